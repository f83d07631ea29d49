"""The Cassandra dashboard. Metric names are those of K8ssandra's management API; its times are in microseconds."""

from __future__ import annotations

from cryptocdc_grafana.operations.jvm import jvm
from cryptocdc_grafana.operations.sections import INSTANCE, RATE, Section, now, or_none, over_time

INSTANCES = "org_apache_cassandra_metrics_storage_load"

M = "org_apache_cassandra_metrics_"
NODES = f"{{{INSTANCE}}}"
FEED = f'{{{INSTANCE}, keyspace="$feed"}}'
REQUESTS = 'request_type=~"Read|Write|RangeSlice"'


def _quantile(quantile: float, metric: str, by: str = "", labels: str = "") -> str:
    """Return a timer's quantile. K8ssandra's endpoint serves its histogram; over JMX there is only the quantile that
    Cassandra computes itself over the last few minutes."""
    chosen = f"{INSTANCE}, {labels}" if labels else INSTANCE
    grouped = f" by ({by})" if by else ""
    buckets = f"sum by ({', '.join(filter(None, ('le', by)))}) (rate({M}{metric}_bucket{{{chosen}}}{RATE}))"
    return f'histogram_quantile({quantile}, {buckets}) or max{grouped} ({M}{metric}{{{chosen}, quantile="{quantile}"}})'


def _requests(kind: str) -> str:
    return f'sum(rate({M}client_request_latency_count{{{INSTANCE}, request_type="{kind}"}}{RATE}))'


def _increase(metric: str, by: str) -> str:
    return f"sum by ({by}) (increase({M}{metric}{NODES}{RATE}))"


def _worst(metric: str) -> str:
    return f'max by (table) ({M}table_{metric}{{{INSTANCE}, keyspace="$feed", quantile="0.99"}})'


def sections() -> tuple[Section, ...]:
    refused = " + ".join(
        f"sum(increase({M}client_request_{what}_total{NODES}{RATE}))"
        for what in ("timeouts", "unavailables", "failures")
    )
    write = 'request_type="Write"'
    return (
        Section("Now", (
            now("Writes/s", "Write requests, of one or more rows each.", "short", _requests("Write"), decimals=0),
            now("Reads/s", "Reads of single partitions.", "short", _requests("Read"), decimals=0),
            now("Write p99", "Latency of writes, measured by the coordinator.", "µs",
                f"max({_quantile(0.99, 'client_request_latency', '', write)})", decimals=0),
            now("Failed requests", "Recent timeouts, unavailable replicas and failures.", "short", refused,
                alarm=1),
            now("Compactions", "Pending; a large and growing number means that the disks can't keep up.", "short",
                f"sum({M}compaction_pending_tasks{NODES})", alarm=100),
            now("On disk", "All nodes, replicas included.", "bytes", f"sum({M}storage_load{NODES})"),
        )),
        Section("Requests", (
            over_time("Requests", "Per second, by type.", "short",
                      {"{{request_type}}": f"sum by (request_type) (rate({M}client_request_latency_count"
                                           f"{{{INSTANCE}, {REQUESTS}}}{RATE}))"}),
            over_time("Request latency, p99", "Measured by the coordinator, by type.", "µs",
                      {"{{request_type}}": _quantile(0.99, "client_request_latency", "request_type", REQUESTS)}),
            over_time("Request latency, p50", "Measured by the coordinator, by type.", "µs",
                      {"{{request_type}}": _quantile(0.5, "client_request_latency", "request_type", REQUESTS)}),
            over_time("Timeouts", "Requests whose replicas did not answer in time, by type.", "short",
                      {"{{request_type}}": _increase("client_request_timeouts_total", "request_type")}),
            over_time("Unavailable", "Requests refused because too few replicas were up, by type.", "short",
                      {"{{request_type}}": _increase("client_request_unavailables_total", "request_type")}),
            over_time("Failures", "Requests that failed on a replica, by type.", "short",
                      {"{{request_type}}": _increase("client_request_failures_total", "request_type")}),
        )),
        Section("The feed's tables", (
            over_time("Writes", "Per second, by table.", "short",
                      {"{{table}}": f"sum by (table) (rate({M}table_write_latency_count{FEED}{RATE}))"}, stacked=True),
            over_time("Reads", "Per second, by table.", "short",
                      {"{{table}}": f"sum by (table) (rate({M}table_read_latency_count{FEED}{RATE}))"}, stacked=True),
            over_time("On disk", "By table, replicas included.", "bytes",
                      {"{{table}}": f"sum by (table) ({M}table_live_disk_space_used{FEED})"}, stacked=True),
            over_time("SSTables per read, p99", "By table.", "short",
                      {"{{table}}": _worst("ss_tables_per_read_histogram")}),
            over_time("Tombstones per read, p99", "Deleted or expired cells that a read skipped, by table.", "short",
                      {"{{table}}": _worst("tombstone_scanned_histogram")}),
            over_time("SSTables", "By table.", "short",
                      {"{{table}}": f"sum by (table) ({M}table_live_ss_table_count{FEED})"}),
            over_time("Flushes", "Memtables flushed, by table.", "short",
                      {"{{table}}": f"sum by (table) (increase({M}table_memtable_switch_count{FEED}{RATE}))"}),
            over_time("Pending flushes", "Memtables not flushed yet, by table.", "short",
                      {"{{table}}": f"sum by (table) ({M}table_pending_flushes{FEED})"}),
            over_time("Commit log wait, p99", "Time until a write is on disk; only then is it acknowledged.", "µs",
                      {"{{instance}}": _quantile(0.99, "commit_log_waiting_on_commit", "instance")}),
        )),
        Section("Nodes", (
            over_time("Pending compactions", "By node.", "short",
                      {"{{instance}}": f"{M}compaction_pending_tasks{NODES}"}),
            over_time("Compaction throughput", "Bytes per second, by node.", "Bps",
                      {"{{instance}}": f"rate({M}compaction_bytes_compacted{NODES}{RATE})"}),
            over_time("Pending tasks", "In the thread pools' queues, by pool.", "short",
                      {"{{pool_name}}": f"sum by (pool_name) ({M}thread_pools_pending_tasks{NODES})"}),
            over_time("Dropped messages", "Timed out while queued, by type.", "short",
                      {"{{message_type}}":
                       or_none(f"{_increase('dropped_message_dropped_total', 'message_type')} > 0", "message_type")}),
            over_time("Hints", "Written for unreachable nodes, and being sent.", "short",
                      {"written": f"sum(increase({M}storage_total_hints{NODES}{RATE}))",
                       "being sent": f"sum({M}storage_total_hints_in_progress{NODES})"}),
            over_time("On disk", "Data and commit log, by node.", "bytes",
                      {"{{instance}} data": f"{M}storage_load{NODES}",
                       "{{instance}} commit log": f"{M}commit_log_total_commit_log_size{NODES}"}),
            over_time("Clients", "Native protocol connections, by node.", "short",
                      {"{{instance}}": f"{M}client_connected_native_clients{NODES}"}),
            over_time("Exceptions", "Unhandled exceptions, by node; its log has the traces.", "short",
                      {"{{instance}}": f"increase({M}storage_exceptions{NODES}{RATE})"}),
        )),
        jvm(INSTANCE, 'jvm_memory_bytes_used{area="heap"}', 'jvm_memory_bytes_max{area="heap"}',
            "jvm_gc_collection_seconds_sum", "gc", ""),
    )  # fmt: skip
