"""`cryptocdc analyze recompute` on Parquet files, without any server: its rows are those of the analyzer and of the
verifier, to the digit. Skipped where PySpark is not installed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from cryptocdc_analyzer.windows.bars import Trade
from cryptocdc_analyzer.windows.series import Added, Series, Windows
from cryptocdc_core.catalogue import Stream, by_table
from cryptocdc_core.catalogue.streams import ORDER_BOOK, RECENT_TRADES
from cryptocdc_local.platform import PlatformSettings
from cryptocdc_local.platform.installation.java import find_java
from cryptocdc_local.platform.installation.spark import is_installed, spark_parts
from cryptocdc_local.running.sink import session_environment
from cryptocdc_verifier.comparing.canonical import NULL, ordered
from cryptocdc_verifier.recompute import anomalies as recompute_anomalies
from cryptocdc_verifier.recompute import books as recompute_books
from cryptocdc_verifier.recompute import forecasts as recompute_forecasts
from cryptocdc_verifier.recompute.bars import BarFold, computed, trade_of
from cryptocdc_verifier.recompute.volatility import VolatilityFold
from tests.integration import parquet
from tests.integration.command import Answer, cryptocdc
from tests.integration.conftest import feed_document, home_folder

LIB = PlatformSettings(home_folder()).lib
pytestmark = [
    pytest.mark.soak,  # Spark on files, for minutes
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not is_installed(LIB), reason="PySpark is not installed; a feed with `engine: spark` installs it"
    ),
    pytest.mark.skipif(find_java() is None, reason="there is no Java 17"),
]

MINUTE_MS = 60_000
START_MS = 1_790_000_000_000 - 1_790_000_000_000 % (5 * MINUTE_MS)
FROM_MS, TO_MS = START_MS + 11 * MINUTE_MS - 2_000, START_MS + 21 * MINUTE_MS + 4_000
"""Neither is at the start of a window."""
SYMBOLS = ("BTCUSDT", "ETHUSDT")
ANALYTICS = {
    "bars": ["3s", "5s", "1m"], "volatility": ["3s", "15s"], "bookMetrics": True, "anomalies": ["5s"],
    "forecasts": ["3s"],
}  # fmt: skip

Row = dict[str, Any]


def trades() -> Iterator[Row]:
    """25 minutes with moves that stand out, trades of the same millisecond, zero quantities and trailing zeros."""
    chance, id = random.Random(7), 0
    for symbol in SYMBOLS:
        price, at = Decimal("100.00"), START_MS
        while at < START_MS + 25 * MINUTE_MS:
            id += 1
            price += Decimal(chance.randrange(-20, 21)) / 1000
            burst = 40 if chance.random() < 0.003 else 1
            quantity = f"{chance.randrange(0, 900) * burst / 100:.{chance.choice((2, 4, 8))}f}"
            yield {
                "symbol": symbol, "trade_time": at, "trade_id": id, "price": format(price, "f"), "quantity": quantity,
                "first_trade_id": None, "last_trade_id": None, "buyer_is_maker": chance.random() < 0.5,
                "received_at": at + chance.randrange(5, 50), "version": at * 1000,
            }  # fmt: skip
            at += chance.choice((0, 17, 400, 900, 2_500))


def books() -> Iterator[Row]:
    chance = random.Random(8)
    for second in range(25 * 60):
        at = START_MS + second * 1000
        if chance.random() < 0.1:
            continue
        depth = 0 if chance.random() < 0.01 else chance.randrange(1, 22)
        width = chance.choice((1, 1, 2, 900 if chance.random() < 0.01 else 2))
        yield {
            "symbol": SYMBOLS[0], "bucket_time": at, "last_update_id": None,
            "bid_prices": [f"{100 - n * 0.01:.2f}" for n in range(depth)],
            "bid_quantities": [f"{chance.randrange(1, 99) / 10:.3f}" for _ in range(depth)],
            "ask_prices": [f"{100 + (n + width) * 0.01:.2f}" for n in range(20)],
            "ask_quantities": [f"{chance.randrange(1, 99) / 10:.3f}" for _ in range(20)],
            "event_time": at + 900, "received_at": at + 950, "version": at * 1000 + chance.randrange(1, 4),
        }  # fmt: skip


TRADES, BOOKS = list(trades()), list(books())
_SCHEMA = {
    RECENT_TRADES: "symbol STRING, trade_time BIGINT, trade_id BIGINT, price STRING, quantity STRING,"
    " first_trade_id BIGINT, last_trade_id BIGINT, buyer_is_maker BOOLEAN, received_at BIGINT, version BIGINT",
    ORDER_BOOK: "symbol STRING, bucket_time BIGINT, last_update_id BIGINT, bid_prices ARRAY<STRING>,"
    " bid_quantities ARRAY<STRING>, ask_prices ARRAY<STRING>, ask_quantities ARRAY<STRING>, event_time BIGINT,"
    " received_at BIGINT, version BIGINT",
}


def spark(task: str, file: Path) -> None:
    environment = os.environ | session_environment(spark_parts(LIB))
    subprocess.run([sys.executable, parquet.__file__, task, file], env=environment, check=True, timeout=240)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`files` with times as timestamps and one trade twice, `milliseconds` with times as numbers and decimals of 8
    places, and a feed."""
    made = tmp_path_factory.mktemp("recompute")
    older = TRADES[700] | {"price": "1", "version": TRADES[700]["version"] - 1}
    asked = []
    for stream, rows in ((RECENT_TRADES, [*TRADES, older]), (ORDER_BOOK, BOOKS)):
        columns = [
            f"timestamp_millis({c.name}) AS {c.name}" if c.type.name == "TIMESTAMP" else c.name for c in stream.columns
        ]
        asked.append({"folder": str(made / "files" / f"stream={stream.name}"), "columns": columns, "rows": rows,
                      "schema": _SCHEMA[stream]})  # fmt: skip
    plain = [
        f"CAST({c.name} AS DECIMAL(38, 8)) AS {c.name}" if c.type.name == "DECIMAL" else c.name
        for c in RECENT_TRADES.columns
    ]
    asked.append({"folder": str(made / "milliseconds" / f"stream={RECENT_TRADES.name}"), "columns": plain,
                  "rows": TRADES, "schema": _SCHEMA[RECENT_TRADES]})  # fmt: skip
    for one in asked:
        one["rows"] = [list(row.values()) for row in one["rows"]]  # type: ignore[attr-defined]
    (made / "write.json").write_text(json.dumps(asked), encoding="utf-8")
    spark("write", made / "write.json")
    return made


def feed_file(folder: Path, analytics: dict[str, Any]) -> Path:
    streams: dict[str, Any] = {"recentTrades": {}, "orderBook": {}}
    file = folder / f"feed-{len(analytics)}.yaml"
    document = feed_document("recomputed", list(SYMBOLS), streams, analytics=analytics)
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return file


def recompute(folder: Path, feed: Path, rows: str, out: str, *more: object) -> Answer:
    environment = os.environ | {"CRYPTOCDC_HOME": str(home_folder())}
    return cryptocdc(
        environment, "analyze", "recompute", "-f", feed, "--from", FROM_MS, "--to", TO_MS, "--rows", folder / rows,
        "--out", folder / out, "--json", *more, limit_s=600,
    )  # fmt: skip


def read(folder: Path, out: str, *streams: Stream) -> dict[str, list[Row]]:
    """The rows that were written, by table."""
    file = folder / "read.json"
    asked = {stream.table: str(folder / out / f"stream={stream.name}") for stream in streams}
    file.write_text(json.dumps(asked), encoding="utf-8")
    spark("read", file)
    found: dict[str, list[Row]] = json.loads(file.read_text(encoding="utf-8"))
    return found


def line(stream: Stream, row: Row) -> bytes:
    """The row as the verifier compares it."""

    def text(value: object) -> str:
        if isinstance(value, bool):
            return "t" if value else "f"
        return NULL if value is None else f"{{{','.join(value)}}}" if isinstance(value, list) else str(value)

    return "\t".join(text(row[column.name]) for column in ordered(stream)).encode()


def lines(stream: Stream, rows: Iterable[Row]) -> list[bytes]:
    return sorted(line(stream, row) for row in rows)


def whole(length: int) -> range:
    """The windows that lie in the range."""
    return range(-(-FROM_MS // length) * length, TO_MS - TO_MS % length, length)


def expected_windows(fold: Any, symbol: str, interval: str, length: int) -> dict[int, bytes]:
    """By the verifier, which shares no code with the analyzer."""
    stored = (trade_of(line(RECENT_TRADES, row)) for row in TRADES if row["symbol"] == symbol)
    return computed(fold, symbol, interval, length, (one for one in stored if one is not None))


def expected_anomalies(source: Stream, symbol: str, source_lines: Iterable[bytes]) -> Iterator[bytes]:
    length, reach = 5_000, 60 * 5_000
    windows = recompute_anomalies.facts(source, source_lines, length)
    for run in range(START_MS, TO_MS, reach):
        of_run = {at: facts for at, facts in windows.items() if run - reach <= at < run + reach}
        found = recompute_anomalies.lines_of(source, symbol, "5s", length, run, of_run)
        yield from (made for (at, _), made in found.items() if at in whole(length))


def expected_forecasts(symbol: str, bars: Iterable[bytes], volatility: Iterable[bytes]) -> Iterator[bytes]:
    length, run_ms = 3_000, 120 * 3_000
    windows = recompute_forecasts.windows_of(bars, volatility)
    for run in range(START_MS - START_MS % run_ms, TO_MS, run_ms):
        of_run = {at: window for at, window in windows.items() if run - 2 * run_ms <= at < run + run_ms}
        found = recompute_forecasts.lines_of(symbol, "3s", length, run, of_run)
        yield from (made for (at, _), made in found.items() if at in whole(length))


def test_each_table_equals_what_the_analyzer_and_the_verifier_compute_to_the_digit(folder: Path) -> None:
    answer = recompute(folder, feed_file(folder, ANALYTICS), "files", "out")
    assert answer.code == 0, answer.err
    bars, volatility, metrics, anomalies, forecasts = map(
        by_table, ("bars", "realized_volatility", "book_metrics", "anomalies", "forecasts")
    )
    found = read(folder, "out", bars, volatility, metrics, anomalies, forecasts)
    assert {table: counts["rows"] for table, counts in answer.json()["tables"].items()} == {
        table: len(rows) for table, rows in found.items()
    }

    windows = Windows(
        {
            Series("bars", "3s"): 3_000,
            Series("bars", "5s"): 5_000,
            Series("bars", "1m"): MINUTE_MS,
            Series("realized_volatility", "3s"): 3_000,
            Series("realized_volatility", "15s"): 15_000,
        },
        START_MS - 10 * MINUTE_MS,
    )
    added, analyzed = Added(), []
    for row in TRADES:
        windows.add(
            Trade(
                row["symbol"], row["trade_time"], row["trade_id"], Decimal(row["price"]), Decimal(row["quantity"]),
                not row["buyer_is_maker"], row["received_at"], 0,
            ),
            added,
        )  # fmt: skip
    for symbol in SYMBOLS:  # of the first windows no other trades are stored
        list(windows.resolve(symbol, [], added))
    analyzed = [(table, row) for table, row, _ in windows.take()]
    lengths = {"3s": 3_000, "5s": 5_000, "15s": 15_000, "1m": MINUTE_MS}
    for stream in (bars, volatility):
        ours = [
            row
            for table, row in analyzed
            if table == stream.table and row["open_time"] in whole(lengths[row["interval"]])
        ]
        assert len(ours) > 50
        assert lines(stream, found[stream.table]) == lines(stream, ours)

    bar_lines = {symbol: expected_windows(BarFold, symbol, "5s", 5_000) for symbol in SYMBOLS}
    theirs = [made for symbol in SYMBOLS for at, made in bar_lines[symbol].items() if at in whole(5_000)]
    short_lines = {symbol: expected_windows(BarFold, symbol, "3s", 3_000) for symbol in SYMBOLS}
    theirs += [made for symbol in SYMBOLS for at, made in short_lines[symbol].items() if at in whole(3_000)]
    theirs += [
        made
        for symbol in SYMBOLS
        for at, made in expected_windows(BarFold, symbol, "1m", MINUTE_MS).items()
        if at in whole(MINUTE_MS)
    ]
    assert lines(bars, found["bars"]) == sorted(theirs)
    volatility_lines = {symbol: expected_windows(VolatilityFold, symbol, "3s", 3_000) for symbol in SYMBOLS}
    theirs = [made for symbol in SYMBOLS for at, made in volatility_lines[symbol].items() if at in whole(3_000)]
    theirs += [
        made
        for symbol in SYMBOLS
        for at, made in expected_windows(VolatilityFold, symbol, "15s", 15_000).items()
        if at in whole(15_000)
    ]
    assert lines(volatility, found["realized_volatility"]) == sorted(theirs)

    book_lines = [recompute_books.metrics(line(ORDER_BOOK, row)) for row in BOOKS]
    in_range = [made for made, row in zip(book_lines, BOOKS, strict=True) if FROM_MS <= row["bucket_time"] < TO_MS]
    assert lines(metrics, found["book_metrics"]) == sorted(made for made in in_range if made)

    theirs = [made for symbol in SYMBOLS for made in expected_anomalies(bars, symbol, bar_lines[symbol].values())]
    theirs += expected_anomalies(metrics, SYMBOLS[0], [made for made in book_lines if made])
    assert lines(anomalies, found["anomalies"]) == sorted(theirs)
    assert {row["kind"] for row in found["anomalies"] if row["anomaly"]} >= {"volume", "spread"}

    theirs = [
        made
        for symbol in SYMBOLS
        for made in expected_forecasts(symbol, short_lines[symbol].values(), volatility_lines[symbol].values())
    ]
    assert lines(forecasts, found["forecasts"]) == sorted(theirs)
    assert any(row["skill"] is not None for row in found["forecasts"])


def test_decimals_of_a_fixed_scale_and_times_as_numbers_are_read_for_the_chosen_symbol(folder: Path) -> None:
    feed = feed_file(folder, {"bars": ["5s"]})
    answer = recompute(folder, feed, "milliseconds", "chosen", "--symbol", "ETHUSDT")
    assert answer.code == 0, answer.err
    found = read(folder, "chosen", by_table("bars"))["bars"]
    assert {row["symbol"] for row in found} == {"ETHUSDT"}
    exact = expected_windows(BarFold, "ETHUSDT", "5s", 5_000)
    assert sorted(row["open_time"] for row in found) == sorted(at for at in exact if at in whole(5_000))
    volume = ordered(by_table("bars")).index(next(c for c in by_table("bars").columns if c.name == "volume"))
    for row in found:
        assert Decimal(row["volume"]) == Decimal(exact[row["open_time"]].decode().split("\t")[volume])

    answer = recompute(folder, feed, "milliseconds", "other", "--symbol", "DOGEUSDT")
    assert (answer.code, answer.err.strip().splitlines()[-1]) == (
        2, "--symbol: DOGEUSDT is not accepted; accepted: BTCUSDT, ETHUSDT",
    )  # fmt: skip
    assert not (folder / "other").exists()
