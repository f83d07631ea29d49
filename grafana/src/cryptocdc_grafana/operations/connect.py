"""The Connect and Debezium dashboard. Metric names come from manifests/strimzi/jmx/connect.yaml on every platform."""

from __future__ import annotations

from cryptocdc_grafana.operations.jvm import jvm
from cryptocdc_grafana.operations.sections import INSTANCE, RATE, Section, now, or_none, over_time

INSTANCES = "kafka_connect_worker_connector_count"

D, K = "debezium_", "kafka_connect_"
STREAMING = '{server="$feed", context="streaming"}'
SNAPSHOT = '{server="$feed", context="snapshot"}'
WORKERS = f"{{{INSTANCE}}}"
BY_TASK = "{{connector}} {{task}}"


def _tasks(status: str) -> str:
    return or_none(f'sum({K}connector_task_status{{{INSTANCE}, status="{status}"}})')


def _events(kind: str) -> str:
    return f"sum(rate({D}totalnumberof{kind}eventsseen{STREAMING}{RATE}))"


def sections() -> tuple[Section, ...]:
    behind = f"max({D}millisecondsbehindsource{STREAMING} >= 0)"  # -1 until the first event
    return (
        Section("Now", (
            now("Tasks running", "All connectors.", "short", _tasks("running"),
                least=1),
            now("Tasks failed", "A connector with a failed task still reports RUNNING.", "short", _tasks("failed"),
                alarm=1),
            now("Connected", "Whether Debezium is connected to PostgreSQL.", "bool_yes_no",
                f"min({D}connected{STREAMING})", least=1),
            now("Delay", "From a change in PostgreSQL until Debezium reads it.", "ms", behind,
                decimals=0),
            now("Events/s", "Changes that Debezium reads.", "short", _events(""), decimals=0),
            now("Last event", "Time since Debezium last read a change.", "ms",
                f"max({D}millisecondssincelastevent{STREAMING} >= 0)", decimals=0),
        )),
        Section("Debezium", (
            over_time("Delay behind PostgreSQL", "From a change in PostgreSQL until Debezium reads it.", "ms",
                      {"delay {{shard}}": f"max by (shard) ({D}millisecondsbehindsource{STREAMING} >= 0)"}),
            over_time("Events", "Changes read per second, by operation.", "short",
                      {kind: _events(kind) for kind in ("create", "update", "delete")}, stacked=True),
            over_time("Transactions", "Committed transactions read per second.", "short",
                      {"transactions": f"sum(rate({D}numberofcommittedtransactions{STREAMING}{RATE}))"}),
            over_time("Queue", "How full the queue between the WAL reader and Connect is; when it is full, Kafka is"
                      " slower than PostgreSQL.", "percentunit",
                      {"filled": f"1 - sum({D}queueremainingcapacity{STREAMING})"
                                 f" / sum({D}queuetotalcapacity{STREAMING})"}),
            over_time("Events not forwarded", "Erroneous events, and filtered ones such as heartbeat rows.", "short",
                      {"erroneous": f"sum(increase({D}numberoferroneousevents{STREAMING}{RATE}))",
                       "filtered": f"sum(increase({D}numberofeventsfiltered{STREAMING}{RATE}))"}),
            over_time("Snapshot", "Tables in total and remaining, while a snapshot runs.", "short",
                      {"tables": f"sum({D}totaltablecount{SNAPSHOT})",
                       "remaining": f"sum({D}remainingtablecount{SNAPSHOT})",
                       "running": f"sum({D}snapshotrunning{SNAPSHOT})"}),
        )),
        Section("Connect", (
            over_time("Tasks", "By connector and state.", "short",
                      {"{{connector}} {{status}}": f"sum by (connector, status) ({K}connector_task_status{WORKERS})"},
                      stacked=True),
            over_time("Connectors and tasks", "Running on each worker.", "short",
                      {"{{instance}} connectors": f"{K}worker_connector_count{WORKERS}",
                       "{{instance}} tasks": f"{K}worker_task_count{WORKERS}"}),
            over_time("Records", "Polled from Debezium and acknowledged by Kafka, per second.", "short",
                      {f"{BY_TASK} polled": f"rate({K}source_task_source_record_poll_total{WORKERS}{RATE})",
                       f"{BY_TASK} written": f"rate({K}source_task_source_record_write_total{WORKERS}{RATE})"}),
            over_time("In flight", "Records polled but not yet acknowledged by Kafka.", "short",
                      {BY_TASK: f"{K}source_task_source_record_active_count{WORKERS}"}),
            over_time("Poll time", "Time to poll a batch from Debezium: recent mean and maximum.", "ms",
                      {f"{BY_TASK} mean": f"{K}source_task_poll_batch_avg_time_ms{WORKERS}",
                       f"{BY_TASK} max": f"{K}source_task_poll_batch_max_time_ms{WORKERS}"}),
            over_time("Errors", "In converters and transforms: failures, skipped records, retries.", "short",
                      {"{{connector}} failures": f"increase({K}task_error_total_record_failures{WORKERS}{RATE})",
                       "{{connector}} skipped": f"increase({K}task_error_total_records_skipped{WORKERS}{RATE})",
                       "{{connector}} retries": f"increase({K}task_error_total_retries{WORKERS}{RATE})"}),
        )),
        jvm(INSTANCE),
    )  # fmt: skip
