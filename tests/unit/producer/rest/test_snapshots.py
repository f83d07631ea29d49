"""How many levels a snapshot is requested with, and how many books are fetched at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.producer.conftest import BINANCE, handlers_of, make_feed

from cryptocdc_adapters.exchange.rest import URGENT, ExchangeError
from cryptocdc_core.program.backoff import Backoff
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.port import BookSnapshot, BookUpdate, Venue
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_producer.rest import snapshots
from cryptocdc_producer.rest.snapshots import Snapshots
from cryptocdc_producer.storage.intake import Intake
from cryptocdc_producer.storage.store import Stored


class Requests:
    """Answers with full snapshots, after `failures` failed requests."""

    def __init__(self, failures: int = 0) -> None:
        self.asked: list[tuple[str, int]] = []
        self.answered: asyncio.Queue[None] = asyncio.Queue()
        self.at_once = self.most_at_once = 0
        self._failures = failures

    async def snapshot(self, symbol: str, levels: int, _: float) -> BookSnapshot:
        self.asked.append((symbol, levels))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        self.answered.put_nowait(None)
        if len(self.asked) <= self._failures:
            raise ExchangeError("out of order")
        side = [(str(n), "1") for n in range(1, levels + 1)]
        return BookSnapshot(10, side[::-1], [(f"{n}.5", "1") for n in range(levels, 2 * levels)])


def run(
    requests: Requests,
    depth: int,
    steps: Callable[[Snapshots, Requests], Any],
    symbols: tuple[str, ...] = ("BTCUSDT",),
    venue: Venue = BINANCE,
) -> None:
    """Run `steps` beside the loop that fetches; it fetches nothing for other symbols than these."""

    async def running() -> None:
        feed = make_feed({"orderBook": {"source": "websocket", "depth": depth, "interval": "1s"}})
        books = handlers_of(feed, Intake(ProducerMetrics("test")), venue=venue).order_books
        assert books is not None
        for symbol in symbols:
            books.begin(symbol, Stored())
        fetching: Any = requests
        wanted = Snapshots(venue.order_book, fetching, ProducerMetrics("test"))
        task = asyncio.create_task(wanted.run(books, lambda _: None))
        try:
            await asyncio.wait_for(steps(wanted, requests), 20)
        finally:
            task.cancel()

    asyncio.run(running())


@pytest.mark.parametrize(
    ("venue", "depth", "levels"),
    [("binance", 5, 100), ("binance", 20, 100), ("binance", 100, 500), ("binance-usdm", 20, 50),
     ("binance-usdm", 50, 100)],
)  # fmt: skip
def test_the_cheapest_snapshot_with_twice_the_levels_of_a_row_is_requested(venue: str, depth: int, levels: int) -> None:
    async def steps(wanted: Snapshots, requests: Requests) -> None:
        wanted.want("BTCUSDT", "start")
        await requests.answered.get()

    requests = Requests()
    run(requests, depth, steps, venue=VENUES[venue])
    assert requests.asked == [("BTCUSDT", levels)]


@pytest.mark.parametrize(
    ("venue", "depth", "books"),
    [("binance", 20, 1140), ("binance", 50, 1140), ("binance", 100, 228), ("binance-usdm", 20, 1140),
     ("binance-usdm", 50, 456), ("binance-usdm", 100, 228)],
)  # fmt: skip
def test_so_many_books_are_fetched_within_the_weight_of_a_minute(venue: str, depth: int, books: int) -> None:
    """As docs/exchanges.md says."""

    async def steps(wanted: Snapshots, requests: Requests) -> None:
        wanted.want("BTCUSDT", "start")
        await requests.answered.get()

    requests, it = Requests(), VENUES[venue]
    run(requests, depth, steps, venue=it)
    ((_, levels),) = requests.asked
    (limit,) = it.limits.budgets()
    assert int(limit.amount * URGENT) // it.requests.book("BTCUSDT", levels).cost == books


def test_a_book_that_soon_runs_out_of_levels_gets_more_and_after_a_cut_few_again() -> None:
    async def steps(wanted: Snapshots, requests: Requests) -> None:
        for reason in ("start", "exhausted", "exhausted", "exhausted", "gap"):
            wanted.want("BTCUSDT", reason)
            await requests.answered.get()

    requests = Requests()
    run(requests, 20, steps)
    assert [levels for _, levels in requests.asked] == [100, 500, 1000, 1000, 100]


def test_a_book_whose_levels_lasted_gets_no_more_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_CALM_S", 0.0)

    async def steps(wanted: Snapshots, requests: Requests) -> None:
        for _ in range(2):
            wanted.want("BTCUSDT", "exhausted")
            await requests.answered.get()

    requests = Requests()
    run(requests, 20, steps)
    assert [levels for _, levels in requests.asked] == [100, 100]


def test_a_failed_request_is_repeated_with_as_many_levels() -> None:
    async def steps(wanted: Snapshots, requests: Requests) -> None:
        wanted.want("BTCUSDT", "exhausted")
        await requests.answered.get()
        await requests.answered.get()
        wanted.want("BTCUSDT", "exhausted")
        await requests.answered.get()

    requests = Requests(failures=1)
    run(requests, 20, steps)
    assert [levels for _, levels in requests.asked] == [100, 100, 500]


def test_a_few_books_are_fetched_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_PACE_S", 0.0)
    symbols = tuple(f"S{n}USDT" for n in range(12))

    async def steps(wanted: Snapshots, requests: Requests) -> None:
        for symbol in symbols:
            wanted.want(symbol, "start")
            wanted.want(symbol, "start")
        for _ in symbols:
            await requests.answered.get()

    requests = Requests()
    run(requests, 20, steps, symbols)
    assert sorted(symbol for symbol, _ in requests.asked) == sorted(symbols)
    assert requests.most_at_once == 3


def test_a_snapshot_that_comes_with_its_channel_is_asked_for_until_it_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the subscription is lost or its snapshot refused."""
    monkeypatch.setattr(snapshots, "_ARRIVES_S", 0.01)
    monkeypatch.setattr(snapshots, "_BACKOFF", Backoff(0.0, 0.0))
    monkeypatch.setattr(snapshots, "_PACE_S", 0.0)
    snapshot = BookUpdate(symbol="BTCUSDT", event_time=1, first_id=0, last_id=1, bids=[], asks=[], snapshot=True)

    async def running() -> None:
        feed = make_feed({"orderBook": {"source": "websocket", "depth": 20, "interval": "1s"}})
        books = handlers_of(feed, Intake(ProducerMetrics("test")), venue=VENUES["coinbase"]).order_books
        assert books is not None
        books.begin("BTCUSDT", Stored())
        asked: list[str] = []
        arrived = asyncio.Event()

        def resubscribe(symbol: str) -> None:
            asked.append(symbol)
            if len(asked) == 3:
                books.take(snapshot, 1)
                arrived.set()

        none: Any = None
        wanted = Snapshots(VENUES["coinbase"].order_book, none, ProducerMetrics("test"))
        task = asyncio.create_task(wanted.run(books, resubscribe))
        wanted.want("BTCUSDT", "start")
        await asyncio.wait_for(arrived.wait(), 10)
        await asyncio.sleep(0.2)  # twenty times what another one would take
        assert asked == ["BTCUSDT"] * 3
        task.cancel()

    asyncio.run(running())
