"""`make bench-export`: Parquet files written per second, from memory and from Cassandra, and DuckDB's scan of them.

    python -m bench.export [--runs 3] [--skip-cassandra]

Prints a table and writes bench/out/export.json. Exits with 0 if every target is met, 1 if one is missed.
"""

from __future__ import annotations

import argparse
import random
import resource
import struct
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console

from bench.pipeline import trades
from bench.pipeline.consumers import Ours
from bench.pipeline.pipelines import SYMBOLS, Pipeline, bench_platform, running, wait_until
from bench.report import Report
from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.cassandra.raw_rows import RawTables
from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.storage.windows import Partition, Window
from cryptocdc_exporter.columns import Columns
from cryptocdc_exporter.destination import Folder
from cryptocdc_exporter.export import Request, StreamExport
from cryptocdc_exporter.proven import HOUR_MS, Proven
from cryptocdc_exporter.run import PAGE_ROWS

OUT = Path(__file__).parent / "out" / "export.json"
SCANNED_ROWS = 10_000_000

HOURS = 20
STORED_ROWS = 1_000_000
START = 1_790_000_000_000 // HOUR_MS * HOUR_MS


class Pages:
    """Pages of trades in memory, in place of Cassandra: SCANNED_ROWS of them, made of a few different pages."""

    def __init__(self) -> None:
        chance, selected = random.Random(1), Columns(RECENT_TRADES, ()).selected
        self._pages = [_page(chance, number, selected) for number in range(20)]
        self._per_part = SCANNED_ROWS // PAGE_ROWS // (len(SYMBOLS) * HOURS) + 1

    def partitions(self, _stream: Stream) -> Iterator[Partition]:
        for symbol in SYMBOLS:
            for hour in range(HOURS):
                yield Partition((symbol,), START + hour * HOUR_MS)

    def prepare(self, *_: object, **__: object) -> None:
        return None

    def read(
        self, _statement: None, wanted: Iterable[tuple[Partition, Window]]
    ) -> Iterator[tuple[Partition, Iterator[bytes]]]:
        for partition, _ in wanted:
            yield partition, iter(self._pages[: self._per_part])


def _page(chance: random.Random, number: int, selected: Sequence[str]) -> bytes:
    parts = [struct.pack(">i", PAGE_ROWS)]
    for row in range(PAGE_ROWS):
        id, at = number * PAGE_ROWS + row, START + (number * PAGE_ROWS + row) // 50
        values = {
            "trade_time": struct.pack(">q", at), "trade_id": struct.pack(">q", id),
            "price": _decimal(3_000_000_000_000 + chance.randrange(200_000) * 1_000_000),
            "quantity": _decimal(chance.randrange(1, 500_000) * 1000), "first_trade_id": struct.pack(">q", id),
            "last_trade_id": struct.pack(">q", id), "buyer_is_maker": bytes([chance.randrange(2)]),
            "received_at": struct.pack(">q", at + chance.randrange(5, 50)), "version": struct.pack(">q", at * 1000),
        }  # fmt: skip
        parts += [struct.pack(">i", len(values[name])) + values[name] for name in selected]
    return b"".join(parts)


def _decimal(number: int) -> bytes:
    return struct.pack(">i", 8) + number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def _export(tables: Any, out: Path) -> tuple[int, float, float]:
    """Return the rows exported, and seconds of wall and CPU time."""
    with ThreadPoolExecutor(1) as background:
        folder = Folder(out)
        request = Request("bench", "simulated", (), unproven=True, text=False)
        export = StreamExport(RECENT_TRADES, request, tables, folder, background, lambda _: None, lambda: False)
        began, used = time.monotonic(), time.process_time()
        stored = export.stored()
        assert stored.extent is not None
        export.run(stored.extent, Proven((), ()), stored)
        folder.close()
    return export.counts.rows, time.monotonic() - began, time.process_time() - used


def _memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_writing(report: Report, out: Path) -> None:
    rows, seconds, cpu = _export(Pages(), out)
    report.add("written.rows_per_s", rows / seconds)
    report.add("written.cpu_us_per_row", cpu * 1e6 / rows)
    report.add("written.bytes_per_row", sum(file.stat().st_size for file in out.rglob("*.parquet")) / rows)
    report.add("written.memory_mib", _memory_mib())


def measure_scans(report: Report, out: Path) -> None:
    files = f"read_parquet('{out}/**/*.parquet')"
    connection = duckdb.connect(config={"threads": 2})
    queries = {
        "most_traded": "SELECT symbol, sum(price::DOUBLE * quantity::DOUBLE) AS traded FROM {} GROUP BY symbol"
        " ORDER BY traded",
        "candles": "SELECT symbol, time_bucket(INTERVAL 1 minute, trade_time) AS minute, arg_min(price, trade_id),"
        " max(price), min(price), arg_max(price, trade_id), sum(quantity) FROM {} GROUP BY symbol, minute",
    }
    for name, query in queries.items():
        began = time.monotonic()
        connection.execute(query.format(files)).fetchall()
        report.add(f"duckdb.{name}_s", time.monotonic() - began)


def measure_cassandra(report: Report, runs: int, folder: Path) -> None:
    platform = bench_platform()
    with running(platform) as servers:
        pipeline = Pipeline("exported", servers, folder)
        pipeline.apply()
        with Ours(pipeline) as consumer:
            for text in trades.commits(STORED_ROWS):
                trades.copy(pipeline.database, pipeline.plan.names.schema, text)
            wait_until("the rows in Cassandra", lambda: consumer.acknowledged() >= STORED_ROWS, every_s=0.2)
        pipeline.pause()
        cluster, _ = cassandra.connect(servers.cassandra)
        try:
            for number in range(runs):
                tables = RawTables(cluster, pipeline.plan.names.keyspace, PAGE_ROWS)
                rows, seconds, cpu = _export(tables, folder / f"stored-{number}")
                assert rows == STORED_ROWS
                report.add("from_cassandra.rows_per_s", rows / seconds)
                report.add("from_cassandra.cpu_us_per_row", cpu * 1e6 / rows)
        finally:
            cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.export", description="Measure exports on this machine.")
    parser.add_argument("--runs", type=int, default=3, help="number of repetitions (3)")
    parser.add_argument("--skip-cassandra", action="store_true", help="skip what needs servers")
    options = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as temporary:
        try:
            for number in range(options.runs):
                out = Path(temporary) / f"written-{number}"
                measure_writing(report, out)
                measure_scans(report, out)
            if not options.skip_cassandra:
                measure_cassandra(report, options.runs, Path(temporary))
        finally:
            report.write(OUT)
            report.show(Console())
    sys.exit(1 if list(report.missed()) else 0)


if __name__ == "__main__":
    main()
