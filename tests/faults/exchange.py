"""What goes wrong at the exchange, by the simulator's faults on request."""

from __future__ import annotations

from functools import partial

from tests.faults.cell import SYMBOLS, Cell
from tests.faults.fault import Fault
from tests.faults.platform import EXCHANGE

AWAY_S = 15


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
    for kind in cell.random.sample(kinds, 3):
        cell.note(kind=kind)
        cell.exchange("malformed", kind=kind)
        cell.hold(2)


def refused(status: int, cell: Cell) -> None:
    """REST refuses, and a cut makes the producer need it: gaps to be filled, books to be fetched."""
    cell.note(seconds=AWAY_S)
    cell.exchange("refuse", status=status, seconds=AWAY_S)
    cell.exchange("cut")
    cell.hold(AWAY_S)


def maintenance(cell: Cell) -> None:
    cell.exchange("maintenance", kind="odd-market", seconds=AWAY_S)
    cell.exchange("cut")
    cell.hold(AWAY_S)


def restarted_ids(cell: Cell) -> None:
    symbol = cell.random.choice(SYMBOLS)
    once("restart-book", cell, symbol=symbol)


def burst(cell: Cell) -> None:
    """Frames are held back, and then come all at once: of every open connection, what was sent meanwhile."""
    seconds = cell.random.randint(12, 15)
    before = cell.proxy.links[EXCHANGE].forwarded
    cell.note(seconds=seconds)
    cell.proxy.set(EXCHANGE, delay_s=seconds)  # what comes now is late, and all later frames wait behind it
    cell.hold(1)
    cell.proxy.set(EXCHANGE)
    cell.hold(seconds - 2)
    held = cell.proxy.links[EXCHANGE].forwarded - before
    cell.hold(3)
    came = cell.proxy.links[EXCHANGE].forwarded - before - held
    cell.note(kilobytes=came // 1000)
    assert came > 10 * max(1, held), f"{came} bytes after {held}: no burst"


EXCHANGE_FAULTS = (
    Fault("exchange-cut", "every connection is reset", partial(once, "cut"), sign="reconnects_total"),
    Fault(
        "exchange-shutdown",
        "every connection is closed after the announcement `serverShutdown`",
        shutdown,
        sign="reconnects_total",
    ),
    Fault(
        "exchange-silence", "connections stay open and nothing comes for 40 to 50 s", silent, sign="reconnects_total"
    ),
    Fault("exchange-gaps", "trades and updates of books are lost", gaps, sign="producer_gaps_total"),
    Fault("exchange-repeats", "events are sent twice", partial(mixed, "duplicate")),
    Fault("exchange-reorders", "events are sent after the next one of their stream", partial(mixed, "reorder")),
    Fault("exchange-malformed", "malformed frames", malformed, sign="rejected_total"),
    *(
        Fault(
            f"exchange-{status}",
            f"REST answers with status {status} for {AWAY_S} s, after a cut",
            partial(refused, status),
            sign="throttled_total" if status in (429, 418) else "reconnects_total",
        )
        for status in (429, 418, 403)
    ),
    Fault("exchange-maintenance", "the list of markets names one odd market, and no other", maintenance),
    Fault(
        "exchange-restarted-ids", "the update ids of a book begin again at 1", restarted_ids, sign="book_resyncs_total"
    ),
    Fault(
        "exchange-burst", "frames of 12 to 15 s come at once, more than ten times the load", burst, links=(EXCHANGE,)
    ),
)
