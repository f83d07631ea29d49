"""Frames recorded from the exchanges themselves: none is refused, and books are rebuilt to the digit."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.recordings import FOLDER, MISSING

from cryptocdc_core.feed import model as feeds
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.port import BookSnapshot, BookUpdate, Control, Venue
from cryptocdc_producer.capture import Capture
from cryptocdc_producer.storage.intake import Data, Intake
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.handler import Outlets
from cryptocdc_producer.streams.handlers import Handlers

from .examples import Recording, every_venue, material


def recording_of(venue: Venue) -> Recording:
    recording = material(venue).recording
    if recording is None:
        pytest.skip(f"there is no recording of {venue.name}")
    if not (FOLDER / recording.frames).is_file():
        pytest.skip(MISSING)
    return recording


def lines(name: str, separator: str) -> Iterator[tuple[str, bytes]]:
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        head, found, rest = line.partition(separator)
        if found and rest.startswith(("{", "[")):
            yield head, rest.encode()


def snapshots(venue: Venue, recording: Recording) -> dict[str, BookSnapshot]:
    """Recorded snapshots by symbol, where the venue takes them over REST."""
    if venue.order_book.snapshot_by != "rest":
        return {}
    found = {}
    for head, body in lines(recording.answers, ": "):
        url = urlsplit(head.split(" -> ")[0])
        for symbol in recording.symbols:
            request = venue.requests.book(symbol, venue.order_book.levels[-1])
            if url.path == request.path and symbol in [v for values in parse_qs(url.query).values() for v in values]:
                found[symbol] = request.read(body, 0)
    return found


@every_venue
def test_recorded_frames_are_decoded_and_books_equal_an_independent_application(venue: Venue) -> None:
    recording = recording_of(venue)
    feed = feeds.parse(
        {
            "apiVersion": "cryptocdc.io/v1alpha1",
            "kind": "CryptoFeed",
            "metadata": {"name": "recorded"},
            "spec": {
                "exchange": venue.name,
                "symbols": {"names": list(recording.symbols)},
                "streams": recording.streams,
                "history": {"klines": "0s"},
            },
        }
    )
    metrics = ProducerMetrics("test")
    intake = Intake(metrics)
    refused: list[tuple[str, str]] = []

    def refuse(reason: str, detail: str, _: bytes, __: str | None) -> None:
        refused.append((reason, detail))

    handlers = Handlers(feed, venue, Outlets(intake, metrics, lambda _: None, lambda *_: None, refuse))
    capture = Capture(feed, venue, handlers, metrics, refuse)
    decode = venue.frames.decoder(feed.spec.streams)
    books: dict[str, tuple[dict[Decimal, str], dict[Decimal, str]]] = {}
    known: dict[str, int] = {}
    waiting = snapshots(venue, recording)
    for symbol in recording.symbols:
        capture.add(symbol, Stored())
        books[symbol] = {}, {}
        known[symbol] = 2**63
    for symbol, found in waiting.items():
        for side, levels in zip(books[symbol], (found.bids, found.asks), strict=True):
            side.update((Decimal(price), quantity) for price, quantity in levels)
        known[symbol] = found.last_id
    taken: set[str] = set()
    frames = 0
    for _, raw in lines(recording.frames, ": "):
        frames += 1
        capture.receive(raw)
        events = decode(raw)
        for event in () if isinstance(events, Control) else events:
            update = event.row(2**42)
            if isinstance(update, BookUpdate):
                _apply(books[update.symbol], update, known)
                if update.symbol in waiting and update.symbol not in taken and handlers.order_books is not None:
                    taken.add(update.symbol)
                    found = waiting[update.symbol]
                    depth = max(len(found.bids), len(found.asks))
                    assert handlers.order_books.take_snapshot(update.symbol, found, depth)
    capture.finish()
    rows = [entry.row for entry in intake.take(0.01) if isinstance(entry, Data)]
    while entries := intake.take(0.01):
        rows += [entry.row for entry in entries if isinstance(entry, Data)]

    assert frames > 100
    assert {row.stream.name for row in rows} == set(recording.streams)
    assert refused == []
    last = {row.symbol: row for row in rows if row.stream.table == "order_book"}
    assert last
    for symbol, row in last.items():
        for side, high, prices, quantities in (
            (books[symbol][0], True, row.bid_prices, row.bid_quantities),  # type: ignore[attr-defined]
            (books[symbol][1], False, row.ask_prices, row.ask_quantities),  # type: ignore[attr-defined]
        ):
            best = [price for price in sorted(side, reverse=high) if Decimal(side[price])][: len(prices)]
            assert [Decimal(price) for price in prices] == best
            assert quantities == [side[price] for price in best]


def _apply(
    book: tuple[dict[Decimal, str], dict[Decimal, str]], update: BookUpdate, known: dict[str, int]
) -> None:  # fmt: skip
    if update.snapshot:
        for side in book:
            side.clear()
    elif update.numbered and update.last_id <= known[update.symbol]:
        return
    known[update.symbol] = update.last_id
    for side, changes in zip(book, (update.bids, update.asks), strict=True):
        for price, quantity in changes:
            side[Decimal(price)] = quantity
