"""The order book of OKX against its dialect: quiet times, restarted ids, equality with REST."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from tests.unit.core.feeds import feed
from tests.unit.exchanges.conformance.simulated import Connection, Simulated

from cryptocdc_exchanges.port import BookUpdate, Control
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_producer.streams.book import Applied, Book
from cryptocdc_simulator.market.book import step_at

OKX = VENUES["okx"]
SYMBOL = "BTC-USDT-SWAP"
FEED = feed(exchange="okx", streams={"orderBook": {}})


@pytest.fixture
def simulated() -> Simulated:
    return Simulated(OKX)


class Follower:
    """A subscription to the book, and the book that it keeps."""

    def __init__(self, simulated: Simulated) -> None:
        (channel,) = OKX.channels.of(FEED.spec.streams, SYMBOL)
        self._connection = Connection(simulated, FEED, channel.path)
        self._simulated = simulated
        self.book = Book(SYMBOL, 20, 1000, OKX.order_book)
        self.updates: list[BookUpdate] = []
        assert self._receive(self._connection.subscribe([channel])) == [Applied.SNAPSHOT]

    def run(self, milliseconds: int) -> list[Applied]:
        return self._receive(self._connection.run(milliseconds))

    def _receive(self, frames: Iterable[bytes]) -> list[Applied]:
        found = []
        for frame in frames:
            events = self._connection.decode(frame)
            assert not isinstance(events, Control)
            for event in events:
                update = event.row(self._simulated.clock.now)
                assert isinstance(update, BookUpdate)
                self.updates.append(update)
                found.append(self.book.receive(update, self._simulated.clock.now)[0])
        return found

    def assert_equal_to_rest(self) -> None:
        row = self.book.flush()
        truth = self._simulated.read(OKX.requests.book(SYMBOL, 20))
        assert row is not None
        assert (row.last_update_id, row.symbol) == (truth.last_id, SYMBOL)
        assert list(zip(row.bid_prices, row.bid_quantities, strict=True)) == truth.bids
        assert list(zip(row.ask_prices, row.ask_quantities, strict=True)) == truth.asks


def test_updates_without_changes_keep_the_book(simulated: Simulated) -> None:
    follower = Follower(simulated)
    simulated.dialect.faults["quiet-book"]({"symbol": SYMBOL, "count": "3"})

    assert set(follower.run(2_000)) == {Applied.APPLIED}
    assert sum(update.first_id > update.last_id for update in follower.updates) == 3
    follower.assert_equal_to_rest()


def test_ids_that_restart_after_maintenance_keep_the_book(simulated: Simulated) -> None:
    follower = Follower(simulated)
    follower.run(1_000)
    simulated.market.listings[SYMBOL].book.restart_ids(step_at(simulated.clock.now))

    assert set(follower.run(2_000)) == {Applied.APPLIED}
    ids = [update.last_id for update in follower.updates]
    assert any(later < earlier for earlier, later in pairwise(ids))
    follower.assert_equal_to_rest()
