"""Settings of the Spark jobs alone."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field

from cryptocdc_core.program.settings import Settings


class SessionSettings(Settings):
    """Of every Spark job."""

    model_config = ConfigDict(title="")

    spark_master: str = "local[1]"
    """Where the job runs: one core of this machine, or a cluster. Not used by a job that `spark-submit` starts."""
    spark_memory: str = Field("512m", pattern=r"^[1-9]\d*[mg]$")
    """The largest heap of the driver, which with a local master also does the work."""
    spark_jars: Path | None = None
    """A folder with the jars of Kafka's source and of the Cassandra connector, if Spark itself does not have them."""
    spark_trust_store: Path | None = None
    """Where to make Java's store of Cassandra's certificate authority, by default a new folder. Executors elsewhere
    need it at the same path: `python -m cryptocdc_spark.trust_store` makes it there."""


class SparkSettings(SessionSettings):
    """Of the job that writes a feed's changes."""

    checkpoint: Path
    """The folder of Spark's checkpoint. It may be lost: the job then continues at the group's committed offsets."""
