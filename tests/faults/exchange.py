"""What goes wrong at the exchange, by the simulator's faults on request."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from tests.faults.cell import SYMBOLS, Cell
from tests.faults.fault import Fault
from tests.faults.platform import EXCHANGE

AWAY_S = 15
SILENT_S, LISTED_S = 28, 120
"""For so long connections are silent, less than a producer accepts, but long enough that it asks for the list of
markets; and at most so long the list is odd."""
BURST = 10
"""A burst is at least so many times the usual rate."""


def once(name: str, cell: Cell, **parameters: object) -> None:
    cell.note(**{**parameters, "done": cell.exchange(name, **parameters).get("fault", name)})
    cell.hold(5)


def shutdown(cell: Cell) -> None:
    grace = cell.random.randint(1, 5)
    once("shutdown", cell, grace=grace)
    cell.hold(grace)


def silent(cell: Cell) -> None:
    """Longer than the producer accepts: connections stay open and nothing comes."""
    seconds = cell.random.randint(40, 50)
    cell.note(seconds=seconds)
    cell.exchange("silence", seconds=seconds)
    cell.hold(seconds)


def gaps(cell: Cell) -> None:
    symbols = cell.random.sample(SYMBOLS, 2)
    for symbol in symbols:
        cell.exchange("drop-trades", symbol=symbol, count=cell.random.randint(5, 40))
        cell.exchange("depth-gap", symbol=symbol, count=cell.random.randint(1, 3))
    cell.note(symbols=" ".join(symbols))
    cell.wait("the gaps found", lambda: cell.observer.matching("producer_gaps_total"), 60)


def mixed(name: str, cell: Cell) -> None:
    count = cell.random.randint(100, 300)
    once(name, cell, count=count)


def malformed(cell: Cell) -> None:
    kinds = ["invalid-json", "unknown-event", "wrong-decimal", "oversize", "error-body", "future"]
    drawn = cell.random.sample(kinds, 3)
    cell.note(kinds=" ".join(drawn))
    for kind in drawn:
        cell.exchange("malformed", kind=kind)
        cell.hold(2)


def refused(status: int, cell: Cell) -> None:
    """REST refuses, and a cut makes the producer need it: gaps to be filled, books to be fetched."""
    cell.note(seconds=AWAY_S)
    cell.exchange("refuse", status=status, seconds=AWAY_S)
    cell.exchange("cut")
    cell.hold(AWAY_S)


def maintenance(cell: Cell) -> None:
    """The list is asked for while nothing comes, and is odd then."""
    cell.exchange("maintenance", kind="odd-market", seconds=LISTED_S)
    cell.exchange("silence", seconds=SILENT_S)
    try:
        cell.wait("the odd list", lambda: cell.observer.matching("suspect_lists_total"), LISTED_S - 20)
        cell.hold(cell.random.uniform(5, 15))
    finally:
        cell.exchange("clear")


def restarted_ids(name: str, cell: Cell) -> None:
    once(name, cell, symbol=cell.random.choice(SYMBOLS))


def burst(cell: Cell) -> None:
    """Frames are held back, and then come all at once: of every open connection, what was sent meanwhile."""
    seconds = cell.random.randint(15, 18)
    cell.note(seconds=seconds)
    link, before = cell.proxy.links[EXCHANGE], cell.proxy.links[EXCHANGE].forwarded
    cell.hold(seconds)
    usual = (link.forwarded - before) / seconds
    cell.proxy.set(EXCHANGE, delay_s=seconds)  # what comes now is late, and all later frames wait behind it
    cell.hold(1)
    cell.proxy.set(EXCHANGE)
    cell.hold(seconds - 2)
    passed = []
    for _ in range(50):
        passed.append((time.monotonic(), link.forwarded))
        time.sleep(0.1)
    most = most_in_a_second(passed)
    cell.note(usual_kb_per_s=round(usual / 1000, 1), burst_kb_per_s=round(most / 1000, 1))
    assert most >= BURST * usual, f"{most} bytes in a second after {usual:.0f} usually: no burst"


def most_in_a_second(passed: Sequence[tuple[float, int]]) -> int:
    """Return the most bytes that passed within a second. `passed`: times in seconds, and the bytes until then."""
    return max(
        later_bytes - earlier_bytes
        for earlier, earlier_bytes in passed
        for later, later_bytes in passed
        if 0 <= later - earlier <= 1
    )


EXCHANGE_FAULTS = (
    Fault("exchange-cut", "every connection is reset", partial(once, "cut"), sign="reconnects_total"),
    Fault(
        "exchange-shutdown", "every connection is closed after the announcement `serverShutdown`", shutdown,
        sign="reconnects_total",
    ),
    Fault(
        "exchange-silence", "connections stay open and nothing comes for 40 to 50 s", silent, sign="reconnects_total"
    ),
    Fault("exchange-gaps", "trades and updates of books are lost", gaps, sign="producer_gaps_total"),
    Fault(
        "exchange-repeats", "events are sent twice", partial(mixed, "duplicate"),
        absorbed="nothing: the second one is the same row",
    ),
    Fault(
        "exchange-reorders", "events are sent after the next one of their stream", partial(mixed, "reorder"),
        sign="producer_gaps_total|book_resyncs_total",
    ),
    Fault("exchange-malformed", "malformed frames", malformed, sign="rejected_total"),
    *(
        Fault(
            f"exchange-{status}", f"REST answers with status {status} for {AWAY_S} s, after a cut",
            partial(refused, status), sign="throttled_total",
        )
        for status in (429, 418, 403)
    ),
    Fault(
        "exchange-maintenance", "the list of markets names one odd market, and no other, while nothing comes",
        maintenance, sign="suspect_lists_total",
    ),
    Fault(
        "exchange-restarted-ids", "the update ids of a book begin again at 1", partial(restarted_ids, "restart-book"),
        sign="book_resyncs_total",
    ),
    Fault(
        "exchange-restarted-trade-ids", "the trade ids of a market begin again at 0",
        partial(restarted_ids, "restart-trades"), sign="trade_id_restarts_total",
    ),
    Fault(
        "exchange-burst", f"frames of 15 to 18 s come at once, at least {BURST} times the usual rate", burst,
        links=(EXCHANGE,), absorbed="nothing: they are written in a second",
    ),
)  # fmt: skip
