"""The Spark job: reads the settings, wires everything, and runs until stopped."""

from __future__ import annotations

import logging

from cryptocdc_core import feed as feeds
from cryptocdc_core import logs
from cryptocdc_core.exits import refusing_bad_input
from cryptocdc_core.settings import CassandraSettings, KafkaSettings, ProgramSettings
from cryptocdc_spark.settings import SparkSettings

log = logging.getLogger("cryptocdc.spark")


def main() -> None:
    with refusing_bad_input():
        settings, own = ProgramSettings.from_env(), SparkSettings.from_env()
        kafka, sink = KafkaSettings.from_env(), CassandraSettings.from_env()
        logs.configure(settings.log_format, settings.log_level)
        feed = feeds.load(settings.feed)
    log.info("%s: %s, %s, %s", feed.name, own.checkpoint, kafka.bootstrap, sink.hosts)


if __name__ == "__main__":
    main()
