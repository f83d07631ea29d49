"""What the producer reads of PostgreSQL when it takes over a symbol, as the writer has left it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import pytest

from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue.streams import KLINES, LATEST_PRICES, RECENT_TRADES
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.names import Names
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import KlinesRow, LatestPricesRow, RecentTradesRow
from cryptocdc_core.storage import ddl
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_local.applier import Servers
from cryptocdc_producer.storage.intake import Data, Entry, Intake
from cryptocdc_producer.storage.store import Store, Stored
from cryptocdc_producer.storage.writer import Writer
from cryptocdc_producer.streams.continuity import Gap
from tests.integration.conftest import feed_document
from tests.rows import make_row

pytestmark = pytest.mark.platform

STREAMS = (RECENT_TRADES, KLINES, LATEST_PRICES)
NAMES = Names("store_test")
WANTED = {
    "recentTrades": {"source": "websocket"},
    "klines": {"source": "websocket", "intervals": ["1m", "1h", "1M"]},
    "latestPrices": {"source": "websocket"},
}
HOUR = 3_600_000
AT = int(time.time() * 1000) // (24 * HOUR) * 24 * HOUR
MAY, JUNE = 1_777_593_600_000, 1_780_272_000_000


@pytest.fixture(autouse=True)
def _tables(servers: Servers) -> Iterator[None]:
    def drop() -> None:
        with own.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA IF EXISTS {NAMES.schema} CASCADE")
            cursor.execute(f"DROP PUBLICATION IF EXISTS {NAMES.publication}")

    own = postgres.connect(servers.postgres, "test", autocommit=True)
    drop()
    postgres.apply_schema(servers.postgres, ddl.postgres_schema(NAMES, STREAMS, servers.replication.user))
    yield
    drop()
    own.close()


def stored(servers: Servers, *entries: Entry) -> Stored:
    """What a producer finds of BTCUSDT once `entries` are written."""
    metrics = ProducerMetrics("test")
    intake = Intake(metrics)
    connect = partial(postgres.connect, servers.postgres, "producer")
    writer = Writer(NAMES, STREAMS, intake, connect, metrics, lambda *refused: pytest.fail(str(refused)))
    intake.put(*entries)
    intake.close()
    writer.start()
    assert writer.finish(60)
    feed = feeds.parse(feed_document("store-test", ["BTCUSDT", "ETHUSDT"], WANTED))
    return Store(NAMES, feed, VENUES["binance"], connect).load(["BTCUSDT", "ETHUSDT"])["BTCUSDT"]


def kline(interval: str, open_time: int, closed: bool, symbol: str = "BTCUSDT") -> Data:
    return Data(make_row(KlinesRow, symbol=symbol, interval=interval, open_time=open_time, closed=closed))


def test_a_new_symbol_has_nothing_stored(servers: Servers) -> None:
    assert stored(servers, kline("1h", AT, closed=False, symbol="ETHUSDT")) == Stored()


def test_the_newest_row_of_each_stream_and_the_open_gaps_are_read(servers: Servers) -> None:
    gap = Gap("recent_trades", "BTCUSDT", "", 5, 6)

    found = stored(
        servers,
        gap,
        *[Data(make_row(RecentTradesRow, trade_id=number, trade_time=AT + number)) for number in (4, 7)],
        Data(make_row(LatestPricesRow, event_time=AT + 9)),
        *[kline("1h", AT + number * HOUR, closed=number < 3) for number in range(5)],
    )

    assert found == Stored(7, AT + 7, {"1h": AT + 2 * HOUR}, (gap,), {"latest_prices": AT + 9})


def test_without_a_closed_kline_the_oldest_open_one_is_the_next_to_close(servers: Servers) -> None:
    found = stored(
        servers,
        kline("1m", AT, closed=False),
        kline("1h", AT + HOUR, closed=False),
        kline("1h", AT, closed=False),
        kline("1M", JUNE, closed=False),
    )

    assert found.last_closes == {"1m": AT - 60_000, "1h": AT - HOUR, "1M": MAY}
