"""Documented frames and responses become exact rows; invalid ones are refused with a reason and nothing worse."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptocdc_core.catalogue import STREAMS
from cryptocdc_core.rows.typed import Row
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import BookUpdate, Control, Decode, Rows, Venue
from cryptocdc_exchanges.registry import VENUES

from .examples import NOW, every_venue, feed_of, material, streams_of

REASONS = {
    "invalid-json", "unknown-event", "wrong-field", "wrong-decimal", "error-body", "future", "oversize",
}  # fmt: skip

REPLACEMENTS: tuple[Any, ...] = (..., None, True, [], {}, "", "1e5", -7, 2**70, 1.5, "\N{SNOWMAN}")
"""The first one: left out."""


def decoder(venue: Venue, kind: str = "", before: Sequence[bytes] = ()) -> Decode:
    """A decoder that has read the frames `before`."""
    decode = venue.frames.decoder(feed_of(venue, kind=kind).spec.streams)
    for raw in before:
        assert not decode(raw)
    return decode


def read(venue: Venue, raw: bytes, kind: str = "", before: Sequence[bytes] = ()) -> list[Row | BookUpdate]:
    """Return the rows of a frame's events at NOW."""
    found = decoder(venue, kind, before)(raw)
    return [] if isinstance(found, Control) else [event.row(NOW) for event in found]


def read_or_refusal(
    venue: Venue, raw: bytes, kind: str = "", before: Sequence[bytes] = ()
) -> list[Row | BookUpdate] | Rejected:
    try:
        return read(venue, raw, kind, before)
    except Rejected as rejected:
        return rejected


def table_of(row: Row | BookUpdate) -> str:
    return "order_book" if isinstance(row, BookUpdate) else row.stream.table


@every_venue
def test_every_documented_frame_becomes_its_row_digit_by_digit(venue: Venue) -> None:
    for frame in material(venue).frames:
        rows = read(venue, frame.raw, frame.kind, frame.before)
        (made,) = (row for row in rows if table_of(row) == table_of(frame.becomes))
        wanted = frame.becomes
        if isinstance(made, BookUpdate):
            assert isinstance(wanted, BookUpdate)
            assert (list(map(tuple, made.bids)), list(map(tuple, made.asks))) == (wanted.bids, wanted.asks)
            assert (made.symbol, made.event_time, made.last_id) == (wanted.symbol, wanted.event_time, wanted.last_id)
            assert (made.snapshot, made.snapshot or made.first_id) == (
                wanted.snapshot,
                wanted.snapshot or wanted.first_id,
            )
        else:
            assert made == wanted


@every_venue
def test_every_websocket_stream_of_the_venue_has_a_documented_frame(venue: Venue) -> None:
    shown = {table_of(frame.becomes) for frame in material(venue).frames}

    assert shown == {STREAMS[name].table for name in streams_of(venue)}


@every_venue
def test_control_frames_are_distinguished_from_data(venue: Venue) -> None:
    decode = decoder(venue)
    for raw, control in material(venue).controls:
        assert decode(raw) == control
    assert material(venue).controls


@every_venue
def test_an_invalid_frame_is_refused_with_its_reason(venue: Venue) -> None:
    assert len(material(venue).odd) >= 4
    for raw, reason in material(venue).odd:
        with pytest.raises(Rejected) as refusal:
            read(venue, raw)
        assert refusal.value.reason == reason, raw[:200]


@every_venue
def test_missing_or_mistyped_fields_are_refused_or_lead_to_valid_rows(venue: Venue) -> None:
    """Each value of each documented frame is removed or replaced in turn."""
    for frame in material(venue).frames:
        document = json.loads(frame.raw)
        for path in list(_paths(document)):
            for replacement in REPLACEMENTS:
                changed = json.loads(frame.raw)
                _change(changed, path, replacement)
                found = read_or_refusal(venue, json.dumps(changed).encode(), frame.kind, frame.before)
                if isinstance(found, Rejected):
                    assert found.reason in REASONS
                    assert str(found)
                else:
                    assert all(_sound(row) for row in found), (path, replacement)


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=300), name=st.sampled_from(sorted(VENUES)))
def test_random_bytes_are_decoded_or_refused_with_a_known_reason(raw: bytes, name: str) -> None:
    found = read_or_refusal(VENUES[name], raw)
    assert not isinstance(found, Rejected) or found.reason in REASONS


@every_venue
def test_a_truncated_frame_is_refused(venue: Venue) -> None:
    picked = random.Random(7)
    for frame in material(venue).frames:
        for _ in range(30):
            with pytest.raises(Rejected):
                read(venue, frame.raw[: picked.randrange(len(frame.raw))], frame.kind)


@every_venue
def test_an_event_dated_more_than_a_minute_ahead_is_refused(venue: Venue) -> None:
    for frame in material(venue).frames:
        if frame.kind or _time_of(frame.becomes) == NOW:  # the venue sends no time: capture dates it
            continue
        for event in decoder(venue, before=frame.before)(frame.raw):  # type: ignore[union-attr]
            with pytest.raises(Rejected) as refusal:
                event.row(_time_of(frame.becomes) - 3_600_000)
            assert refusal.value.reason == "future"


@every_venue
def test_every_documented_response_becomes_its_rows(venue: Venue) -> None:
    for example in material(venue).bodies:
        found: Any = example.request.read(example.raw, NOW)
        if isinstance(found, Rows):
            assert (found.rows, found.refused) == (list(example.becomes), [])
        else:
            assert tuple(map(_plain, found)) == tuple(map(_plain, example.becomes))


@every_venue
def test_an_unexpected_response_body_is_refused(venue: Venue) -> None:
    for example in material(venue).bodies:
        for raw in (b"", b"{", b"\xff", b"7", b"<html>"):
            with pytest.raises(Rejected) as refusal:
                example.request.read(raw, NOW)
            assert refusal.value.reason in REASONS


@every_venue
def test_documented_responses_lead_to_the_documented_verdict(venue: Venue) -> None:
    for answer, verdict in material(venue).verdicts:
        assert venue.limits.verdict(answer) == verdict, answer


@every_venue
def test_a_market_has_the_documented_state(venue: Venue) -> None:
    raw, states = material(venue).states
    listing = venue.markets.listing(None)[0].read(raw, NOW)

    assert {symbol: market.state for symbol, market in listing.markets.items()} == states
    assert {market.trading for market in listing.markets.values()} == {True, False}


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Any:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*at, key)
        yield from _paths(part, (*at, key))


def _change(document: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        document = document[key]
    if value is ...:
        del document[path[-1]]
    else:
        document[path[-1]] = value


def _sound(row: Row | BookUpdate) -> bool:
    """Return whether every column of the row has its type; a value that nothing depends on may be anything."""
    if isinstance(row, BookUpdate):
        return isinstance(row.last_id, int) and all(isinstance(text, str) for level in row.bids for text in level)
    return row.version > 0 and isinstance(row.symbol, str)


def _time_of(made: Row | BookUpdate) -> int:
    if isinstance(made, BookUpdate):
        return made.event_time
    found: int = getattr(made, made.stream.time)
    return found


def _plain(value: Any) -> Any:
    return [tuple(level) for level in value] if isinstance(value, list) else value
