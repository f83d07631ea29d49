"""The Kafka dashboard. Metric names come from manifests/strimzi/jmx/kafka.yaml on every platform."""

from __future__ import annotations

from cryptocdc_grafana.operations.jvm import jvm
from cryptocdc_grafana.operations.programs import lag
from cryptocdc_grafana.operations.sections import (
    INSTANCE,
    RATE,
    Section,
    greatest,
    now,
    or_none,
    over_time,
    short_topics,
)

INSTANCES = "kafka_server_replicamanager_leadercount"

R, B = "kafka_server_replicamanager_", "kafka_server_brokertopicmetrics_"
C = "kafka_controller_kafkacontroller_"
BROKERS = f"{{{INSTANCE}}}"
FEED_TOPICS = f'{{{INSTANCE}, topic=~"$feed[.].*"}}'


def _flow(what: str, by: str = "topic") -> str:
    """Return the rate per second of the feed's topics."""
    return short_topics(f"sum by ({by}) (rate({B}{what}persec_total{FEED_TOPICS}{RATE}))")


def _request_time(quantile: str) -> str:
    asked = f'{{{INSTANCE}, quantile="{quantile}"}}'
    return f"max by (request) (kafka_network_requestmetrics_totaltime_milliseconds{asked})"


def sections() -> tuple[Section, ...]:
    return (
        Section("Now", (
            now("Offline", "Partitions without a leader can be neither written nor read.", "short",
                f"sum({C}offlinepartitionscount{BROKERS})", alarm=1),
            now("Under-replicated", "Partitions with replicas that are not in sync.", "short",
                f"sum({R}underreplicatedpartitions{BROKERS})", alarm=1),
            now("Under min ISR", "Partitions that accept no writes because too few replicas are in sync.", "short",
                f"sum({R}underminisrpartitioncount{BROKERS})", alarm=1),
            now("Controllers", "1 while the metadata quorum has a leader.", "short",
                f"sum({C}activecontrollercount{BROKERS})", least=1),
            now("Bytes in", "Bytes per second, all topics.", "Bps",
                f"sum(rate({B}bytesinpersec_total{BROKERS}{RATE}))", decimals=0),
            now("Lag of the feed", "Records that the consumers have not written to Cassandra yet.", "short",
                lag()),
        )),
        Section("The feed's topics", (
            over_time("Records in", "Per second, by topic.", "short", {"{{topic}}": _flow("messagesin")}, stacked=True),
            over_time("Bytes in", "Per second, by topic.", "Bps", {"{{topic}}": _flow("bytesin")}, stacked=True),
            over_time("Bytes out", "Per second, by topic, to all readers.", "Bps",
                      {"{{topic}}": _flow("bytesout")}, stacked=True),
            over_time("Consumer lag", "Records not written to Cassandra yet, by topic.", "short",
                      {"{{topic}}": short_topics(lag("by (topic) "))}, stacked=True),
            over_time("Log size", "On the brokers' disks, replicas included, by topic.", "bytes",
                      {"{{topic}}": short_topics(f"sum by (topic) (kafka_log_size_bytes{FEED_TOPICS})")}, stacked=True),
            greatest("Largest partitions", "The ten largest of the feed, by log size.", "bytes",
                     "{{topic}} {{partition}}",
                     short_topics(f"max by (topic, partition) (kafka_log_size_bytes{FEED_TOPICS})"), 10),
        )),
        Section("Brokers", (
            over_time("Request latency, p99", "From a request's arrival to its response. A consumer's fetch waits for"
                      " records, by default up to half a second.", "ms", {"{{request}}": _request_time("0.99")}),
            over_time("Request latency, p50", "From a request's arrival to its response.", "ms",
                      {"{{request}}": _request_time("0.50")}),
            over_time("Idle threads", "Share of time that the threads are idle: below 0.3 the broker is at its limit.",
                      "percentunit",
                      {"{{instance}} handlers": f"kafka_server_requesthandler_idle_ratio{BROKERS}",
                       "{{instance}} network": f"kafka_network_processor_idle_ratio{BROKERS}"}),
            over_time("Failed requests", "Produce and fetch requests.", "short",
                      {"produce": f"sum(increase({B}failedproducerequestspersec_total{BROKERS}{RATE}))",
                       "fetch": f"sum(increase({B}failedfetchrequestspersec_total{BROKERS}{RATE}))"}),
            over_time("ISR changes", "Partitions whose set of in-sync replicas shrank or expanded.", "short",
                      {"shrunk": f"sum(increase({R}isrshrinkspersec_total{BROKERS}{RATE}))",
                       "expanded": f"sum(increase({R}isrexpandspersec_total{BROKERS}{RATE}))"}),
            over_time("Partitions", "On each broker, and those it leads.", "short",
                      {"{{instance}} all": f"{R}partitioncount{BROKERS}",
                       "{{instance}} led": f"{R}leadercount{BROKERS}"}),
        )),
        Section("Metadata (KRaft)", (
            over_time("Leader epoch", "Rises by one with each election.", "short",
                      {"{{instance}}": f"kafka_server_raft_current_epoch{BROKERS}"}),
            over_time("Uncommitted records", "Metadata records that the quorum has not committed yet.", "short",
                      {"{{instance}}":
                       f"kafka_server_raft_log_end_offset{BROKERS} - kafka_server_raft_high_watermark{BROKERS}"}),
            over_time("Preferred replica imbalance", "Partitions not led by their preferred replica.", "short",
                      {"partitions": or_none(f"sum({C}preferredreplicaimbalancecount{BROKERS})")}),
        )),
        jvm(INSTANCE),
    )  # fmt: skip
