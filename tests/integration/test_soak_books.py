"""The order books of 500 symbols: how long until each has a row, at the start and after a cut of all connections, and
which weight of requests that takes. Prints a line of figures for each depth."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from typing import Self

import pytest

from cryptocdc_core.time.times import now_ms
from cryptocdc_local.running.run import Run
from tests.integration import simulator
from tests.integration.conftest import Starter, feed_document
from tests.integration.runs import rows_of
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.platform, pytest.mark.soak, pytest.mark.timeout(900)]

SYMBOLS = [f"N{number:03}USDT" for number in range(500)]
LIMIT_S = {20: 60.0, 100: 180.0}
"""By depth. A row of 100 levels needs a snapshot of 500, of which a minute's weight is enough for 228 symbols."""


@pytest.fixture
def exchange() -> Iterator[int]:
    with simulator.running("--rate", "0.01", "--symbols", "1") as port:
        for symbol in SYMBOLS:
            simulator.fault(port, "list", base=symbol.removesuffix("USDT"), quote="USDT")
        yield port


class Weight:
    """Adds up the weight that the simulator counts, which begins again with each minute. Close to exact."""

    def __init__(self, port: int) -> None:
        self.used = 0
        self._port, self._last, self._ended = port, 0, threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _follow(self) -> None:
        while not self._ended.wait(0.5):
            now: int = simulator.state(self._port)["weight_used"]
            self.used += now - self._last if now >= self._last else now
            self._last = now


def seconds_until_all_have_rows(it: Run, since_ms: int) -> float:
    """Return the time from `since_ms` until every symbol has a row of an event after it."""
    table = f"{it.plan.names.schema}.order_book"
    query = f"SELECT count(DISTINCT symbol) FROM {table} WHERE event_time > timestamp 'epoch' + %s * interval '1 ms'"
    wait_for("a row of every order book", lambda: rows_of(it, query, since_ms)[0][0] == len(SYMBOLS), 400)
    return (now_ms() - since_ms) / 1000


@pytest.mark.parametrize("depth", LIMIT_S)
def test_all_books_of_500_symbols_have_rows_soon_after_the_start_and_after_a_cut(
    start: Starter, exchange: int, depth: int
) -> None:
    streams = {"orderBook": {"source": "websocket", "depth": depth, "interval": "1s"}}
    here = {"rest": f"http://127.0.0.1:{exchange}", "websocket": f"ws://127.0.0.1:{exchange}"}
    document = feed_document(f"books-{depth}", SYMBOLS, streams, exchange="binance", endpoints=here)
    started_ms = now_ms()
    with Weight(exchange) as weight, start(document, "exchange") as it:
        after_start_s, of_start = seconds_until_all_have_rows(it, started_ms), weight.used
        # A minute later, so that its weight is unused but for what books need that ran out of levels.
        time.sleep(61 - time.time() % 60)
        cut_ms, before = now_ms(), weight.used
        simulator.fault(exchange, "cut")
        after_cut_s, of_cut = seconds_until_all_have_rows(it, cut_ms), weight.used - before

    print(
        f"{len(SYMBOLS)} books of {depth} levels: after the start {after_start_s:.0f} s and a weight of {of_start:,},"
        f" after a cut {after_cut_s:.0f} s and {of_cut:,}",
        file=sys.stderr,
    )
    assert after_start_s < LIMIT_S[depth]
    assert after_cut_s < LIMIT_S[depth]
