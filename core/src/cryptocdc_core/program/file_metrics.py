"""The metrics of the programs that read and write files: those of an exchange's archive, and Parquet."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from cryptocdc_core.program.metrics import ProgramMetrics


class HistoryMetrics(ProgramMetrics):
    """An exchange's archive → Kafka."""

    def __init__(self, version: str) -> None:
        super().__init__("history", version)
        r, p = self.registry, "cryptocdc_history_"
        self.rows = Counter(f"{p}rows_total", "Rows sent to Kafka.", registry=r)
        self.files = Counter(
            f"{p}files_total", "Files by the state that they reached: downloaded, loaded, proven, quarantined, absent.",
            ["state"], registry=r,
        )  # fmt: skip


class ExporterMetrics(ProgramMetrics):
    """Cassandra → Parquet files."""

    def __init__(self, version: str) -> None:
        super().__init__("exporter", version)
        r, p = self.registry, "cryptocdc_exporter_"
        self.files = Counter(f"{p}files_total", "Files written.", ["table"], registry=r)
        self.rows = Counter(f"{p}rows_total", "Rows written.", ["table"], registry=r)
        self.bytes = Counter(f"{p}bytes_total", "Bytes written.", ["table"], registry=r)
        self.failures = Counter(
            f"{p}failures_total", "Passes that failed, by what: destination, server.", ["what"], registry=r
        )
        self.through = Gauge(
            f"{p}exported_through_timestamp_seconds", "End of the last exported hour.", ["table"], registry=r
        )
        self.left_out = Gauge(
            f"{p}left_out_hours", "Hours whose rows have changed since they were proven.", ["table"], registry=r
        )
        self.progress = Gauge(
            f"{p}progress_timestamp_seconds", "When it last read rows or found nothing to export.", registry=r
        )
