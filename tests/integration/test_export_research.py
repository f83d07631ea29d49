"""DuckDB answers the usual questions from exported files with the numbers that the API has."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from cryptocdc_core.catalogue import STREAMS
from cryptocdc_local.platform import Platform
from cryptocdc_local.running.draining import drain
from cryptocdc_local.running.proof import prove
from cryptocdc_local.running.run import Run
from tests.integration.api_client import all_rows, healthy, rows
from tests.integration.command import cryptocdc
from tests.integration.conftest import ALL_STREAMS, CAPTURED, feed_document, starter
from tests.integration.stored import Written
from tests.integration.waiting import wait_for

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")
pytestmark = pytest.mark.platform

SYMBOLS = 12
PAST = timedelta(minutes=75)
WINDOW = 30


def since() -> str:
    return (datetime.now(UTC) - PAST - timedelta(minutes=10)).isoformat()


@dataclass
class Research:
    it: Run
    files: Path
    whole_before: datetime
    """Since PAST before this minute all of BTCUSDT's rows are there; the minute itself may lack its beginning."""

    def ask(self, query: str) -> list[dict[str, Any]]:
        """`{klines}` in the query is what is read of that table."""
        tables = {
            stream.table: f"read_parquet('{self.files}/stream={stream.name}/*/*/*.parquet')"
            for stream in STREAMS.values()
        }
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(query.format(**tables))
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.fixture(scope="module")
def research(
    platform: Platform,
    simulator_port: int,
    command_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Research]:
    """A run with some of the past of BTCUSDT, no longer capturing, and its files."""
    document = feed_document("research", SYMBOLS, ALL_STREAMS)
    with (
        pytest.MonkeyPatch.context() as patch,
        starter(platform, simulator_port, patch) as start,
        start(document, rate=0.25) as it,
        tempfile.NamedTemporaryFile("w", suffix=".yaml") as feed,
    ):
        yaml.safe_dump(document, feed)
        wait_for("the API", lambda: healthy(it.address))
        tables = {stream.table for stream in CAPTURED}
        wait_for("rows of every table", lambda: all(it.figures().streams[table].cassandra for table in tables))
        end = datetime.now(UTC).replace(second=0, microsecond=0)
        wanted = ["--from", (end - PAST).isoformat(), "--to", end.isoformat()]
        done = cryptocdc(command_environment, "backfill", "-f", feed.name, "--symbol", "BTCUSDT", *wanted)
        assert done.code == 0, done
        drain(it, lambda _: None)
        assert prove(it.applied, it.servers, lambda _: None)["equal"]
        out = tmp_path_factory.mktemp("files")
        done = cryptocdc(
            command_environment, "export", "-f", feed.name, "--out", out, "--unproven", "--to",
            round(time.time() * 1000),
        )  # fmt: skip
        assert done.code == 0, done.err
        yield Research(it, out, end)


@pytest.mark.parametrize("table", [stream.table for stream in CAPTURED])
def test_every_table_has_as_many_rows(research: Research, table: str) -> None:
    (found,) = research.ask(f"SELECT count(*) AS rows, count(DISTINCT symbol) AS symbols FROM {{{table}}}")
    stream = next(stream for stream in CAPTURED if stream.table == table)
    stored = Written(research.it).rows(table, stream.columns)
    assert (found["rows"], found["symbols"]) == (len(stored), len({row["symbol"] for row in stored}))
    assert found["rows"] > 0


def test_the_ten_most_traded_symbols(research: Research) -> None:
    found = research.ask(
        "SELECT symbol, arg_max(quote_volume, event_time) AS volume FROM {crypto_24h_stats}"
        " GROUP BY symbol ORDER BY volume DESC LIMIT 10"
    )
    theirs = rows(research.it.address, "/top", by="quote_volume", n=10)
    assert [(row["symbol"], row["volume"]) for row in found] == [
        (row["symbol"], Decimal(row["quote_volume"])) for row in theirs
    ]
    assert len(found) == 10


def test_candles_from_trades(research: Research) -> None:
    found = research.ask(
        "SELECT time_bucket(INTERVAL 1 minute, trade_time) AS minute, arg_min(price, trade_id) AS open,"
        " max(price) AS high, min(price) AS low, arg_max(price, trade_id) AS close, sum(quantity) AS volume"
        " FROM {recent_trades} WHERE symbol = 'BTCUSDT' GROUP BY minute ORDER BY minute"
    )
    theirs = {
        datetime.fromisoformat(row["open_time"]): row
        for row in all_rows(research.it.address, "/klines", symbol="BTCUSDT", interval="1m", from_=since())
        if row["closed"]
    }
    compared = [row for row in found[1:] if row["minute"] < research.whole_before and row["minute"] in theirs]
    assert len(compared) > 60
    for row in compared:
        for name in ("open", "high", "low", "close", "volume"):
            assert row[name] == Decimal(theirs[row["minute"]][name]), row


def test_volatility(research: Research) -> None:
    found = research.ask(
        "WITH returns AS (SELECT open_time, ln(close / lag(close) OVER w) AS change FROM {klines}"
        " WHERE symbol = 'BTCUSDT' AND interval = '1m' WINDOW w AS (ORDER BY open_time))"
        " SELECT open_time AS minute, 100 * stddev_samp(change) OVER (ORDER BY open_time ROWS 29 PRECEDING) AS percent"
        " FROM returns ORDER BY minute"
    )
    theirs = {
        datetime.fromisoformat(row["open_time"]): row["volatility_percent"]
        for row in all_rows(
            research.it.address, "/volatility", symbol="BTCUSDT", interval="1m", window=WINDOW, from_=since()
        )
    }
    compared = [row for row in found[WINDOW:] if theirs.get(row["minute"]) is not None]
    assert len(compared) > 30
    for row in compared:
        assert row["percent"] == pytest.approx(float(theirs[row["minute"]]), rel=1e-6)
