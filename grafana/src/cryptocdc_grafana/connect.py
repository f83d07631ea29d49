"""Kafka Connect and Debezium: names of manifests/strimzi/jmx/connect.yaml, which one machine uses as well."""

from __future__ import annotations

from cryptocdc_grafana.jvm import jvm
from cryptocdc_grafana.sections import INSTANCE, RATE, Section, now, or_none, over_time

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
            now("Tasks running", "Of all connectors.", "short", _tasks("running"),
                least=1),
            now("Tasks failed", "A connector with a failed task still calls itself running.", "short", _tasks("failed"),
                alarm=1),
            now("Connected", "Whether Debezium is connected to PostgreSQL.", "bool_yes_no",
                f"min({D}connected{STREAMING})", least=1),
            now("Behind", "From a change's time in PostgreSQL to Debezium's reading of it.", "ms", behind,
                decimals=0),
            now("Events a second", "Changes that Debezium has read.", "short", _events(""), decimals=0),
            now("Last event", "How long ago Debezium saw a change.", "ms",
                f"max({D}millisecondssincelastevent{STREAMING} >= 0)", decimals=0),
        )),
        Section("Debezium", (
            over_time("Behind PostgreSQL", "From a change's time in PostgreSQL to Debezium's reading of it.", "ms",
                      {"now": behind}),
            over_time("Events", "Changes read a second, by kind.", "short",
                      {kind: _events(kind) for kind in ("create", "update", "delete")}, stacked=True),
            over_time("Transactions", "Committed in PostgreSQL and read, a second.", "short",
                      {"transactions": f"sum(rate({D}numberofcommittedtransactions{STREAMING}{RATE}))"}),
            over_time("Queue", "Filled share of the queue between the reader of the log and Connect; full means that"
                      " Kafka is slower than PostgreSQL.", "percentunit",
                      {"filled": f"1 - sum({D}queueremainingcapacity{STREAMING})"
                                 f" / sum({D}queuetotalcapacity{STREAMING})"}),
            over_time("Events not carried", "Erroneous ones, and filtered ones such as heartbeats' rows.", "short",
                      {"erroneous": f"sum(increase({D}numberoferroneousevents{STREAMING}{RATE}))",
                       "filtered": f"sum(increase({D}numberofeventsfiltered{STREAMING}{RATE}))"}),
            over_time("Snapshot", "Tables to be read and of them those that are left, while a snapshot runs.", "short",
                      {"tables": f"sum({D}totaltablecount{SNAPSHOT})",
                       "left": f"sum({D}remainingtablecount{SNAPSHOT})",
                       "running": f"sum({D}snapshotrunning{SNAPSHOT})"}),
        )),
        Section("Connect", (
            over_time("Tasks", "By connector and state.", "short",
                      {"{{connector}} {{status}}": f"sum by (connector, status) ({K}connector_task_status{WORKERS})"},
                      stacked=True),
            over_time("Connectors and tasks", "That each worker runs.", "short",
                      {"{{instance}} connectors": f"{K}worker_connector_count{WORKERS}",
                       "{{instance}} tasks": f"{K}worker_task_count{WORKERS}"}),
            over_time("Records", "Polled from Debezium and acknowledged by Kafka, a second.", "short",
                      {f"{BY_TASK} polled": f"rate({K}source_task_source_record_poll_total{WORKERS}{RATE})",
                       f"{BY_TASK} written": f"rate({K}source_task_source_record_write_total{WORKERS}{RATE})"}),
            over_time("In flight", "Records polled and not yet acknowledged by Kafka.", "short",
                      {BY_TASK: f"{K}source_task_source_record_active_count{WORKERS}"}),
            over_time("Poll time", "Of one batch from Debezium: the mean, and the longest lately.", "ms",
                      {f"{BY_TASK} mean": f"{K}source_task_poll_batch_avg_time_ms{WORKERS}",
                       f"{BY_TASK} longest": f"{K}source_task_poll_batch_max_time_ms{WORKERS}"}),
            over_time("Errors", "Of converters and transforms: failures, records left out, retries.", "short",
                      {"{{connector}} failures": f"increase({K}task_error_total_record_failures{WORKERS}{RATE})",
                       "{{connector}} left out": f"increase({K}task_error_total_records_skipped{WORKERS}{RATE})",
                       "{{connector}} retries": f"increase({K}task_error_total_retries{WORKERS}{RATE})"}),
        )),
        jvm(INSTANCE),
    )  # fmt: skip
