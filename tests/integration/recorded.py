"""The expected rows of a recorded capture of Binance, computed without any of the project's own code.

A folder has the recordings of the spot market, or of USD-M futures, whose updates of books name the one before (`pu`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from cryptocdc_local.running.run import Run

ROOT = Path(__file__).parents[2]
DEPTH = 20
INTERVAL_MS = 1000

Level = tuple[str, str]
Book = tuple[tuple[Level, ...], tuple[Level, ...]]


def feed() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "examples" / "capture.yaml").read_text(encoding="utf-8")))


def _frames(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for file in folder.glob("*-websocket.capture"):
        for line in file.read_text(encoding="utf-8").splitlines():
            _, _, body = line.partition(": ")
            if body.startswith("{"):
                frame = json.loads(body)
                found.append((frame["stream"], frame["data"]))
    return found


def expected_trades(folder: Path) -> list[tuple[str, int, Decimal, Decimal]]:
    return [
        (d["s"], d["a"], Decimal(d["p"]), Decimal(d["q"]))
        for stream, d in _frames(folder)
        if stream.endswith("@aggTrade")
    ]


def expected_klines(folder: Path) -> list[tuple[str, str, Decimal, Decimal, bool]]:
    return [
        (d["s"], d["k"]["i"], Decimal(d["k"]["c"]), Decimal(d["k"]["v"]), d["k"]["x"])
        for stream, d in _frames(folder)
        if "@kline_" in stream
    ]


def _snapshots(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for file in folder.glob("*-rest.capture"):
        for line in file.read_text(encoding="utf-8").splitlines():
            if "symbol=" in line:
                symbol = line.split("symbol=")[1].split("&")[0]
                found[symbol] = json.loads(line.split(": ", 1)[1])
    return found


def expected_books(folder: Path) -> dict[tuple[str, int], Book]:
    """By symbol and interval: the best levels after the last diff that the exchange dated within it."""
    diffs = defaultdict(list)
    for stream, data in _frames(folder):
        if "@depth" in stream:
            diffs[data["s"]].append(data)
    books: dict[tuple[str, int], Book] = {}
    for symbol, snapshot in _snapshots(folder).items():
        sides = {side: dict(snapshot[name]) for side, name in (("b", "bids"), ("a", "asks"))}
        at, first = snapshot["lastUpdateId"], True
        for diff in diffs[symbol]:
            if diff["u"] <= at:
                continue
            before = diff.get("pu", diff["U"] - 1)
            assert before <= at < diff["u"] if first else before == at, (symbol, at, before, diff["u"])
            at, first = diff["u"], False
            for side, levels in sides.items():
                for price, quantity in diff[side]:
                    if Decimal(quantity) == 0:
                        levels.pop(price, None)
                    else:
                        levels[price] = quantity
            books[symbol, diff["E"] // INTERVAL_MS * INTERVAL_MS] = (
                tuple(sorted(sides["b"].items(), key=lambda level: -Decimal(level[0]))[:DEPTH]),
                tuple(sorted(sides["a"].items(), key=lambda level: Decimal(level[0]))[:DEPTH]),
            )
    return books


def stored(it: Run, table: str, columns: str) -> list[Any]:
    """Rows of a table in Cassandra."""
    from cryptocdc_adapters.cassandra import sessions as cassandra

    cluster, session = cassandra.connect(it.servers.cassandra)
    try:
        return list(session.execute(f'SELECT {columns} FROM "{it.plan.names.keyspace}"."{table}"'))
    finally:
        cluster.shutdown()


def stored_books(it: Run) -> dict[tuple[str, int], Book]:
    """The books in Cassandra, prices and quantities as text with every digit."""
    columns = "symbol, bucket_time, bid_prices, bid_quantities, ask_prices, ask_quantities"
    found = {}
    for symbol, bucket, bid_prices, bid_quantities, ask_prices, ask_quantities in stored(it, "order_book", columns):
        at = round(bucket.replace(tzinfo=UTC).timestamp() * 1000)  # the driver gives naive times in UTC
        found[symbol, at] = (_levels(bid_prices, bid_quantities), _levels(ask_prices, ask_quantities))
    return found


def _levels(prices: list[Decimal], quantities: list[Decimal]) -> tuple[Level, ...]:
    return tuple((format(p, "f"), format(q, "f")) for p, q in zip(prices, quantities, strict=True))
