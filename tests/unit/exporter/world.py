"""An export of made rows into a folder. Needs pyarrow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.unit.exporter.cassandra import Tables
from tests.unit.exporter.made import rows_of

from cryptocdc_adapters.postgres.proofs import Proof
from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.storage.windows import Window
from cryptocdc_exporter.destination import Folder
from cryptocdc_exporter.export import Request, StreamExport
from cryptocdc_exporter.proven import HOUR_MS, Proven

HOUR = 1_790_000_000_000 // HOUR_MS * HOUR_MS
DAY = Window(HOUR, HOUR + 24 * HOUR_MS)
PATH = "stream=recentTrades/symbol={}/date=2026-09-21/{}.parquet"


def trades(symbol: str, hour: int, count: int = 120, seed: int = 1) -> list[dict[str, Any]]:
    made = rows_of(RECENT_TRADES, count, nulls=True, seed=seed, start=HOUR + hour * HOUR_MS)
    return [row | {"symbol": symbol, "trade_id": number} for number, row in enumerate(made)]


def proof(hour: int, *rows: dict[str, Any]) -> Proof:
    start = HOUR + hour * HOUR_MS
    return Proof(Window(start, start + HOUR_MS), len(rows), sum(row["version"] for row in rows), 99)


class World:
    def __init__(self, out: Path) -> None:
        self.out, self.tables, self.stop, self.background = out, Tables(), False, ThreadPoolExecutor(1)
        self.request: dict[str, Any] = {"symbols": [], "unproven": False, "text": False}
        self.after_page: Any = None
        self.said: list[int] = []

    def destination(self) -> Any:
        return Folder(self.out)

    def export(
        self, proofs: list[Proof], window: Window = DAY, stream: Any = RECENT_TRADES, proven: Proven | None = None
    ) -> StreamExport:
        destination = self.destination()
        try:
            request = Request("majors", "simulated", **self.request)
            tables: Any = self.tables
            export = StreamExport(
                stream, request, tables, destination, self.background, self._say, lambda: self.stop
            )  # fmt: skip
            stored, proven = export.stored(), proven or Proven(proofs, ())
            if not request.unproven:
                export.refuse_unproven(window, proven, stored)
            export.run(window, proven, stored)
            return export
        finally:
            destination.close()

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.suffix != "" and
                      path.is_file())  # fmt: skip

    def _say(self, rows: int) -> None:
        self.said.append(rows)
        if self.after_page is not None:
            self.after_page()
