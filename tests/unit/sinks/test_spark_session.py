"""What Spark is started with: refusals before anything is touched, logins, and one process on loopback."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

import pytest

from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.settings import CassandraSettings, KafkaSettings, SettingsError
from cryptocdc_spark import session as sessions
from cryptocdc_spark.session import cassandra_settings, kafka_options, query, session
from cryptocdc_spark.settings import SparkSettings
from cryptocdc_spark.trust_store import trust_store

CASSANDRA = CassandraSettings(password="secret")


def settings(**environment: str) -> SparkSettings:
    return SparkSettings.from_env({f"CRYPTOCDC_{name.upper()}": value for name, value in environment.items()})


def test_one_core_of_this_machine_is_the_default() -> None:
    assert settings(checkpoint="/c") == SparkSettings(checkpoint=Path("/c"), spark_master="local[1]")


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({}, "CRYPTOCDC_CHECKPOINT: must be set"),
        ({"checkpoint": "/c", "spark_memory": "1"}, "CRYPTOCDC_SPARK_MEMORY: '1'"),
    ],
)
def test_bad_settings_name_the_variable(environment: dict[str, str], variable: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        settings(**environment)
    assert str(refusal.value).startswith(variable)


def test_spark_without_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = settings(checkpoint=str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BadInput, match=f"Spark needs Java 17, and there is no `java` in JAVA_HOME, {tmp_path}"):
        session("test", own, CASSANDRA)
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="no `java` on the path; choose another"):
        session("test", own, CASSANDRA)


def test_kafkas_login_and_certificate_become_the_sources_options() -> None:
    assert kafka_options(KafkaSettings(bootstrap="k:1")) == {"kafka.bootstrap.servers": "k:1"}
    login = KafkaSettings(
        bootstrap="k:1", username="u", password='p"\\', mechanism="SCRAM-SHA-512", ca_file=Path("/ca.pem")
    )
    assert kafka_options(login) == {
        "kafka.bootstrap.servers": "k:1",
        "kafka.security.protocol": "SASL_SSL",
        "kafka.sasl.mechanism": "SCRAM-SHA-512",
        "kafka.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required"
        ' username="u" password="p\\"\\\\";',
        "kafka.ssl.truststore.type": "PEM",
        "kafka.ssl.truststore.location": "/ca.pem",
    }


def test_cassandras_login_becomes_the_connectors_settings() -> None:
    made = cassandra_settings(CASSANDRA)
    assert made["spark.cassandra.auth.password"] == "secret"
    assert made["spark.cassandra.output.consistency.level"] == "LOCAL_QUORUM"
    assert not any("ssl" in name for name in made)


def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keytool = tmp_path / "bin" / "keytool"
    keytool.parent.mkdir()
    keytool.write_text("#!/bin/sh\necho 'not an X.509 certificate'\nexit 1\n")
    keytool.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BadInput, match=r"CRYPTOCDC_CASSANDRA_CA_FILE: /ca\.pem: not an X\.509 certificate; accepted"):
        trust_store(Path("/ca.pem"))


def test_executors_elsewhere_get_the_jars_from_the_driver(tmp_path: Path) -> None:
    (tmp_path / "connector.jar").touch()
    own = settings(checkpoint="/c", spark_master="spark://host:7077", spark_jars=str(tmp_path))
    assert sessions._remote(own) == {"spark.jars": str(tmp_path / "connector.jar")}
    assert sessions._remote(settings(checkpoint="/c", spark_master="spark://host:7077")) == {}


def test_the_checkpoint_may_be_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spark = MagicMock()
    query(spark, KafkaSettings(), "group", {}, None, "{}", Path("checkpoint/query"), lambda *_: None)
    ((_, location),) = (call.args for call in spark.mock_calls if call.args[:1] == ("checkpointLocation",))
    assert location == (tmp_path / "checkpoint" / "query").as_uri()
