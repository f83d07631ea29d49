"""The section about the servers' JVMs: Kafka and Connect by default, Cassandra with K8ssandra's metric names."""

from __future__ import annotations

from cryptocdc_grafana.operations.sections import RATE, Section, over_time


def jvm(
    instance: str,
    used: str = "jvm_memory_heap_used_bytes",
    limit: str = "jvm_memory_heap_max_bytes",
    collected: str = "jvm_gc_collection_milliseconds_total",
    collector: str = "collector",
    per_second: str = " / 1000",
) -> Section:
    """`used` and `limit` are the heap's metrics in bytes; `collected` is the time spent in garbage collection, which
    `per_second` converts to seconds."""
    gc = f"sum by (instance, {collector}) (rate({_filtered(collected, instance)}{RATE})){per_second}"
    return Section("Java", (
        over_time("Heap", "Used heap and its limit.", "bytes",
                  {"{{instance}} used": _filtered(used, instance), "{{instance}} max": _filtered(limit, instance)}),
        over_time("Garbage collection", "Share of time spent, by collector.", "percentunit",
                  {f"{{{{instance}}}} {{{{{collector}}}}}": gc}),
        over_time("CPU", "CPU seconds per second.", "short",
                  {"{{instance}}": f"rate(process_cpu_seconds_total{{{instance}}}{RATE})"}),
    ))  # fmt: skip


def _filtered(metric: str, instance: str) -> str:
    """`metric` may have labels already."""
    return f"{metric[:-1]}, {instance}}}" if metric.endswith("}") else f"{metric}{{{instance}}}"
