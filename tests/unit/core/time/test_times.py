"""Times as users enter them: one parser for the command and the API."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.time.times import LATEST_MS, iso, iso_us, option, parse

AT_MS = 1_795_834_560_000


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1795834560", AT_MS),  # seconds, which the API once read as three weeks after 1970
        ("1795834560000", AT_MS),
        ("1795834560123", AT_MS + 123),
        ("2026-11-28T02:56:00Z", AT_MS),
        ("2026-11-28T02:56:00", AT_MS),
        ("2026-11-28T02:56", AT_MS),
        ("2026-11-28T03:56:00+01:00", AT_MS),
        ("2026-11-28 02:56:00.123", AT_MS + 123),
        ("2026-11-28T02:56:00.123999Z", AT_MS + 123),
        ("2026-11-28", 1_795_824_000_000),
        ("  2026-11-28 ", 1_795_824_000_000),
        ("1000000000", 1_000_000_000_000),  # 2001, the first of ten digits
        ("9999999999999", 9_999_999_999_999),
        ("0", 0),
        ("1970-01-01", 0),
    ],
)
def test_seconds_milliseconds_and_iso_are_distinguished(text, at_ms):
    assert parse(text) == at_ms


@pytest.mark.parametrize(
    "text",
    [
        "1", "1000", "20261128", "179583456", "17958345600", "179583456000", "17958345600000",
        "1795834560000000", "-1",
        "1795834560.5", "1e9", "１７９５８３４５６０", "", "yesterday", "now", "2026-02-30", "28.11.2026",
        "1969-12-31", "9999-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
        "2026-11-28T02:56:00 00:00", "nan", "\x00",
    ],
)  # fmt: skip
def test_an_ambiguous_or_invalid_time_is_refused_with_what_is_accepted(text):
    with pytest.raises(ValueError, match=r"ISO 8601.* seconds with 10 digits, milliseconds with 13"):
        parse(text)
    with pytest.raises(BadInput, match=r"^--from: .* is not accepted; accepted: ISO 8601"):
        option("--from", text)


@given(st.integers(1_000_000_000_000, 9_999_999_999_999))
def test_every_format_of_a_time_is_parsed_to_the_same_value(at_ms):
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    assert parse(str(at_ms)) == at_ms
    assert parse(str(at_ms // 1000)) == parse(at.isoformat()) == at_ms // 1000 * 1000


@given(st.text())
def test_any_text_is_either_a_valid_time_or_refused(text):
    with suppress(ValueError):
        assert 0 <= parse(text) < LATEST_MS


@given(st.integers(0, 4 * 10**15))
def test_times_are_iso_8601_with_every_microsecond(at_us: int) -> None:
    read = datetime.fromisoformat(iso_us(at_us))
    assert (read - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) == at_us


@given(st.integers(0, LATEST_MS))
def test_a_time_is_formatted_to_the_millisecond_and_parsed_back(at_ms):
    assert iso(at_ms) == iso_us(at_ms * 1000)
    assert len(iso(at_ms)) == len("2026-11-21T08:20:00.000Z")
    if at_ms < LATEST_MS:
        assert parse(iso(at_ms)) == at_ms
