"""Spark's session and the streaming query over the feed's change topics."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.settings import CassandraSettings, KafkaSettings
from cryptocdc_spark.expressions import parsed, routed
from cryptocdc_spark.settings import SessionSettings
from cryptocdc_spark.trust_store import STORE_PASSWORD, trust_store

TRIGGER = "200 milliseconds"
MOST_RECORDS = 20_000
"""Of a batch, which is held in memory: at most some 20 MB of order books."""
_SUBMITTED = "PYSPARK_GATEWAY_PORT"
"""Set in a driver that `spark-submit` has started: it has the master and the memory."""


_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    # The aggregates of a batch are a few rows.
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.streaming.minBatchesToRetain": "10",
}


def session(name: str, own: SessionSettings, cassandra: CassandraSettings | None) -> Any:
    """Start Spark, without Cassandra's connector if there are no settings of it. Raises BadInput if it is not
    installed, or Java is not."""
    home = os.environ.get("JAVA_HOME")
    if _SUBMITTED not in os.environ and shutil.which(str(Path(home, "bin", "java")) if home else "java") is None:
        where = f"in JAVA_HOME, {home}" if home else "on the path"
        raise BadInput(
            f"Spark needs Java 17, and there is no `java` {where}; choose another `sink.engine` or install it"
        )
    try:
        from pyspark import SparkConf
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise BadInput(f"PySpark can't be imported: {error}; requirements/spark.txt has what to install") from None
    connector = {} if cassandra is None else cassandra_settings(cassandra, own.spark_trust_store)
    settings = _SETTINGS | connector | (_local(own) if _is_local(own) else _remote(own))
    # Otherwise each of its callbacks is logged.
    logging.getLogger("py4j").setLevel(logging.WARNING)
    if _is_local(own):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    conf = SparkConf().setAppName(name).setAll(list(settings.items()))
    if _SUBMITTED not in os.environ:
        conf.setMaster(own.spark_master)
    spark = SparkSession.builder.config(conf=conf).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _is_local(own: SessionSettings) -> bool:
    return _SUBMITTED not in os.environ and own.spark_master.startswith("local")


def _local(own: SessionSettings) -> dict[str, str]:
    """Return the settings of a job in one process on loopback."""
    return {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": own.spark_memory,
        # One core: a concurrent collector would only take turns with the work. The code that Spark generates for
        # a row of any stream is longer than Java compiles by default.
        "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:-DontCompileHugeMethods",
        **({"spark.driver.extraClassPath": f"{own.spark_jars}/*"} if own.spark_jars is not None else {}),
    }


def _remote(own: SessionSettings) -> dict[str, str]:
    """Return the settings with which executors get the jars from the driver, if Spark itself does not have them."""
    jars = [] if own.spark_jars is None else sorted(own.spark_jars.glob("*.jar"))
    return {"spark.jars": ",".join(map(str, jars))} if jars else {}


def cassandra_settings(cassandra: CassandraSettings, store: Path | None = None) -> dict[str, str]:
    """Return the settings of Spark's Cassandra connector. `store`: where to make its trust store."""
    settings = {
        "spark.cassandra.connection.host": cassandra.hosts,
        "spark.cassandra.connection.port": str(cassandra.port),
        "spark.cassandra.connection.localDC": cassandra.datacenter,
        "spark.cassandra.auth.username": cassandra.username,
        "spark.cassandra.auth.password": cassandra.password,
        "spark.cassandra.connection.keepAliveMS": "3600000",
        # A failed write is repeated by the consumer's way, so there is nothing to gain by insisting.
        "spark.cassandra.query.retry.count": "3",
        "spark.cassandra.read.timeoutMS": "15000",
        "spark.cassandra.output.consistency.level": "LOCAL_QUORUM",
        "spark.cassandra.output.batch.size.bytes": "65536",
        "spark.cassandra.output.concurrent.writes": "16",
    }
    if cassandra.ca_file is not None:
        settings |= {
            "spark.cassandra.connection.ssl.enabled": "true",
            "spark.cassandra.connection.ssl.trustStore.type": "PKCS12",
            "spark.cassandra.connection.ssl.trustStore.path": str(trust_store(cassandra.ca_file, store)),
            "spark.cassandra.connection.ssl.trustStore.password": STORE_PASSWORD,
        }
    return settings


def kafka_options(kafka: KafkaSettings) -> dict[str, str]:
    """Return the options of Spark's Kafka source for the brokers and the login."""
    options = {"kafka.bootstrap.servers": kafka.bootstrap}
    if kafka.username is not None:
        login = "plain.Plain" if kafka.mechanism == "PLAIN" else "scram.Scram"
        text = (f'"{value}"' for value in map(_escaped, (kafka.username, kafka.password or "")))
        user, password = text
        options |= {
            "kafka.security.protocol": "SASL_SSL" if kafka.ca_file else "SASL_PLAINTEXT",
            "kafka.sasl.mechanism": kafka.mechanism,
            "kafka.sasl.jaas.config": f"org.apache.kafka.common.security.{login}LoginModule required"
            f" username={user} password={password};",
        }
    elif kafka.ca_file:
        options["kafka.security.protocol"] = "SSL"
    if kafka.ca_file:
        options |= {"kafka.ssl.truststore.type": "PEM", "kafka.ssl.truststore.location": str(kafka.ca_file)}
    return options


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def query(
    spark: Any,
    kafka: KafkaSettings,
    group: str,
    topics: Mapping[str, Stream],
    retention_s: int | None,
    starting: str,
    checkpoint: Path,
    write: Callable[[Any, int], None],
) -> Any:
    """Start the query. `starting` only matters without a checkpoint; lost records end it instead of being skipped."""
    options = {
        **kafka_options(kafka),
        "subscribe": ",".join(topics),
        "groupIdPrefix": f"{group}-spark",
        "startingOffsets": starting,
        "failOnDataLoss": "true",
        "maxOffsetsPerTrigger": str(MOST_RECORDS),
    }
    records = spark.readStream.format("kafka").options(**options).load()
    rows = records.selectExpr(*parsed(topics)).selectExpr(*routed(topics, retention_s))
    writer = rows.writeStream.foreachBatch(write).trigger(processingTime=TRIGGER)
    return writer.option("checkpointLocation", checkpoint.absolute().as_uri()).start()
