"""Kafka's brokers and controllers: names of manifests/strimzi/jmx/kafka.yaml, which one machine uses as well."""

from __future__ import annotations

from cryptocdc_grafana.jvm import jvm
from cryptocdc_grafana.sections import INSTANCE, RATE, Section, greatest, now, or_none, over_time, short_topics

INSTANCES = "kafka_server_replicamanager_leadercount"

R, B = "kafka_server_replicamanager_", "kafka_server_brokertopicmetrics_"
C = "kafka_controller_kafkacontroller_"
BROKERS = f"{{{INSTANCE}}}"
FEED_TOPICS = f'{{{INSTANCE}, topic=~"$feed[.].*"}}'
LAG = 'cryptocdc_consumer_lag_records{feed="$feed"}'


def _flow(what: str, by: str = "topic") -> str:
    """A second, of the feed's topics."""
    return short_topics(f"sum by ({by}) (rate({B}{what}persec_total{FEED_TOPICS}{RATE}))")


def _request_time(quantile: str) -> str:
    asked = f'{{{INSTANCE}, quantile="{quantile}"}}'
    return f"max by (request) (kafka_network_requestmetrics_totaltime_milliseconds{asked})"


def sections() -> tuple[Section, ...]:
    return (
        Section("Now", (
            now("Offline", "Partitions without a leader: nothing can be written to or read from them.", "short",
                f"sum({C}offlinepartitionscount{BROKERS})", alarm=1),
            now("Under-replicated", "Partitions with fewer replicas in sync than they have.", "short",
                f"sum({R}underreplicatedpartitions{BROKERS})", alarm=1),
            now("Too few in sync", "Partitions that take no writes for want of replicas in sync.", "short",
                f"sum({R}underminisrpartitioncount{BROKERS})", alarm=1),
            now("Controllers", "1 while the metadata's quorum has a leader.", "short",
                f"sum({C}activecontrollercount{BROKERS})", least=1),
            now("In", "Bytes a second into all topics.", "Bps",
                f"sum(rate({B}bytesinpersec_total{BROKERS}{RATE}))", decimals=0),
            now("Lag of the feed", "Records that the consumers have not yet written to Cassandra.", "short",
                f"sum({LAG})"),
        )),
        Section("The feed's topics", (
            over_time("Records in", "A second, by topic.", "short", {"{{topic}}": _flow("messagesin")}, stacked=True),
            over_time("Bytes in", "A second, by topic.", "Bps", {"{{topic}}": _flow("bytesin")}, stacked=True),
            over_time("Bytes out", "A second, by topic, to every group that reads.", "Bps",
                      {"{{topic}}": _flow("bytesout")}, stacked=True),
            over_time("Lag of the consumers", "Records not yet written to Cassandra, by topic.", "short",
                      {"{{topic}}": short_topics(f"sum by (topic) ({LAG})")}, stacked=True),
            over_time("Log size", "On the brokers' disks, replicas included, by topic.", "bytes",
                      {"{{topic}}": short_topics(f"sum by (topic) (kafka_log_size_bytes{FEED_TOPICS})")}, stacked=True),
            greatest("Largest partitions", "Ten of the feed's, by the size of their log.", "bytes",
                     "{{topic}} {{partition}}",
                     short_topics(f"max by (topic, partition) (kafka_log_size_bytes{FEED_TOPICS})"), 10),
        )),
        Section("Brokers", (
            over_time("Request time, p99", "From a request's arrival to its answer. A consumer's fetch waits for"
                      " records, half a second at most by default.", "ms", {"{{request}}": _request_time("0.99")}),
            over_time("Request time, p50", "From a request's arrival to its answer.", "ms",
                      {"{{request}}": _request_time("0.50")}),
            over_time("Idle threads", "Share of the time that the threads have nothing to do: under 0.3 the broker is"
                      " at its limit.", "percentunit",
                      {"{{instance}} handlers": f"kafka_server_requesthandler_idle_ratio{BROKERS}",
                       "{{instance}} network": f"kafka_network_processor_idle_ratio{BROKERS}"}),
            over_time("Failed requests", "Of producers and of fetches.", "short",
                      {"produce": f"sum(increase({B}failedproducerequestspersec_total{BROKERS}{RATE}))",
                       "fetch": f"sum(increase({B}failedfetchrequestspersec_total{BROKERS}{RATE}))"}),
            over_time("Replicas in sync", "Partitions whose set of replicas in sync shrank, and grew again.", "short",
                      {"shrunk": f"sum(increase({R}isrshrinkspersec_total{BROKERS}{RATE}))",
                       "grown": f"sum(increase({R}isrexpandspersec_total{BROKERS}{RATE}))"}),
            over_time("Partitions", "On each broker, and those that it leads.", "short",
                      {"{{instance}} all": f"{R}partitioncount{BROKERS}",
                       "{{instance}} led": f"{R}leadercount{BROKERS}"}),
        )),
        Section("Metadata (KRaft)", (
            over_time("Leader's epoch", "One more for each election.", "short",
                      {"{{instance}}": f"kafka_server_raft_current_epoch{BROKERS}"}),
            over_time("Not committed", "Records of the metadata's log that the quorum has not yet committed.", "short",
                      {"{{instance}}":
                       f"kafka_server_raft_log_end_offset{BROKERS} - kafka_server_raft_high_watermark{BROKERS}"}),
            over_time("Leaders in the wrong place", "Partitions that their first replica does not lead.", "short",
                      {"partitions": or_none(f"sum({C}preferredreplicaimbalancecount{BROKERS})")}),
        )),
        jvm(INSTANCE),
    )  # fmt: skip
