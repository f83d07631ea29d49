"""The Java processes of the servers. Kafka and Connect, and Cassandra under the names that K8ssandra gives."""

from __future__ import annotations

from cryptocdc_grafana.sections import RATE, Section, over_time


def jvm(
    instance: str,
    used: str = "jvm_memory_heap_used_bytes",
    limit: str = "jvm_memory_heap_max_bytes",
    collected: str = "jvm_gc_collection_milliseconds_total",
    collector: str = "collector",
    per_second: str = " / 1000",
) -> Section:
    """`used` and `limit` of the heap in bytes; `collected`: time of collections, in seconds with `per_second`."""
    gc = f"sum by (instance, {collector}) (rate({_filtered(collected, instance)}{RATE})){per_second}"
    return Section("Java", (
        over_time("Heap", "Used, and the most that it may be.", "bytes",
                  {"{{instance}} used": _filtered(used, instance), "{{instance}} most": _filtered(limit, instance)}),
        over_time("Garbage collection", "Share of the time, by collector.", "percentunit",
                  {f"{{{{instance}}}} {{{{{collector}}}}}": gc}),
        over_time("Processor", "Seconds a second.", "short",
                  {"{{instance}}": f"rate(process_cpu_seconds_total{{{instance}}}{RATE})"}),
    ))  # fmt: skip


def _filtered(metric: str, instance: str) -> str:
    """`metric` may have labels already."""
    return f"{metric[:-1]}, {instance}}}" if metric.endswith("}") else f"{metric}{{{instance}}}"
