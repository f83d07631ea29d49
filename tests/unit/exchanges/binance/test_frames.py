"""From frames to rows: exact, in the catalogue's order, and nothing invalid accepted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.producer.conftest import NOW, agg_trade, book_ticker, depth, frame, kline, make_feed, ticker

from cryptocdc_core.rows.typed import RecentTradesRow
from cryptocdc_core.rows.versions import Rank, kline_version, version
from cryptocdc_exchanges.binance import frames
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Closing, Reply

digits = st.text("0123456789", min_size=1, max_size=20)
plain_decimals = st.one_of(digits, st.builds(lambda whole, part: f"{whole}.{part}", digits, digits))


DECODE = frames.decoder(make_feed().spec.streams)
RAW = frames.decoder(make_feed({"recentTrades": {"kind": "trade"}}).spec.streams)


def decode(data: dict[str, Any]) -> Any:
    """The only event of a frame."""
    (event,) = (RAW if data["e"] == "trade" else DECODE)(frame(data))  # type: ignore[misc]
    return event


@given(price=plain_decimals, quantity=plain_decimals)
def test_decimals_are_kept_digit_by_digit(price: str, quantity: str) -> None:
    row = decode(agg_trade(p=price, q=quantity)).row(NOW)

    assert (row.price, row.quantity) == (price, quantity)


@pytest.mark.parametrize(
    "wrong",
    ["1.2.3", "", "abc", "1e5", "NaN", "-1", "+1", " 1", "1,5", "0x1", ".5", "5.", "١", "1\n", "1" * 300, "Infinity"],
)
def test_invalid_decimals_are_refused(wrong: str) -> None:
    with pytest.raises(Rejected) as refusal:
        decode(agg_trade(p=wrong)).row(NOW)

    assert refusal.value.reason == "wrong-decimal"
    with pytest.raises(Rejected):
        decode(depth(1, 2, [("1.0", "1.0")], [("2.0", wrong)])).row(NOW)


def test_an_aggregate_trade_becomes_its_row() -> None:
    assert decode(agg_trade(id=7)).row(NOW) == RecentTradesRow(
        symbol="BTCUSDT", trade_time=NOW - 5, trade_id=7, price="96000.12000000", quantity="0.00100000",
        first_trade_id=14, last_trade_id=15, buyer_is_maker=True, received_at=NOW, version=version(NOW - 5),
    )  # fmt: skip


def test_the_first_and_last_id_of_a_raw_trade_are_its_own() -> None:
    event = {"e": "trade", "E": NOW, "s": "BTCUSDT", "t": 9, "p": "1.0", "q": "2.0", "T": NOW, "m": False, "M": True}

    row = decode(event).row(NOW)

    assert (row.trade_id, row.first_trade_id, row.last_trade_id) == (9, 9, 9)


def test_a_closed_kline_outranks_its_open_states() -> None:
    opened = decode(kline(NOW - 60_000, closed=False)).row(NOW)
    closed = decode(kline(NOW - 60_000, closed=True)).row(NOW)

    assert closed.closed is True
    assert closed.version > opened.version
    assert closed.version == kline_version(NOW, NOW, Rank.CLOSED)


def test_a_kline_of_an_interval_that_the_exchange_does_not_have_is_refused() -> None:
    with pytest.raises(Rejected) as refusal:
        decode(kline(NOW, False, i="7m")).row(NOW)

    assert refusal.value.reason == "wrong-field"
    assert "accepted: 1s, 1m" in str(refusal.value)


def test_a_kline_closed_early_outranks_its_open_states() -> None:
    """An outage cuts it short; the states before were dated up to the end of its interval."""
    opened = decode(kline(NOW - 3_600_000, closed=False, interval="1h")).row(NOW)
    cut = decode(kline(NOW - 3_600_000, closed=True, interval="1h", T=NOW - 3_585_162)).row(NOW)

    assert cut.close_time == NOW - 3_585_162
    assert cut.version > opened.version
    assert cut.version == kline_version(NOW, NOW, Rank.CLOSED)


def test_a_ticker_may_fall_but_its_prices_are_not_negative() -> None:
    row = decode(ticker()).row(NOW)
    assert (row.price_change, row.price_change_percent, row.trade_count) == ("-0.50", "-1.250", 9)

    with pytest.raises(Rejected):
        decode(ticker(c="-1.50")).row(NOW)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"stream":"x","data":{"e":"aggTrade"', "invalid-json"),
        (b"\xff\xfe", "invalid-json"),
        (b"[]", "unknown-event"),
        (frame({"e": "neverHeardOf", "s": "BTCUSDT"}), "unknown-event"),
        (b'{"stream":"x","data":5}', "unknown-event"),
        (frame({"code": -1003, "msg": "Too many requests."}), "error-body"),
        (b'{"code":-1121,"msg":"Invalid symbol."}', "error-body"),
        (frame(agg_trade(a="7")), "wrong-field"),
        (frame(agg_trade(a=2**63)), "wrong-field"),
        (frame(agg_trade(T=0)), "wrong-field"),
        (frame(agg_trade(p=96000.12)), "wrong-field"),
        (frame(depth(1, 2, [("1.0",)], [])), "wrong-field"),  # type: ignore[list-item]
        (frame({**agg_trade(), "padding": "x" * 5_000_000}), "oversize"),
    ],
)
def test_a_malformed_frame_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as refusal:
        DECODE(raw)

    assert refusal.value.reason == reason


@pytest.mark.parametrize("field", ["E", "T"])
def test_an_event_more_than_a_minute_ahead_is_refused(field: str) -> None:
    decode(agg_trade() | {field: NOW + 60_000}).row(NOW)

    with pytest.raises(Rejected) as refusal:
        decode(agg_trade() | {field: NOW + 60_001}).row(NOW)
    assert refusal.value.reason == "future"


def test_an_old_event_is_accepted() -> None:
    assert decode(agg_trade(E=1_633_998_523_963, T=1_633_998_523_963)).row(NOW).trade_time == 1_633_998_523_963


def test_replies_to_commands_are_distinguished() -> None:
    assert DECODE(b'{"result":null,"id":3}') == Reply("", 3)
    refused = DECODE(b'{"error":{"code":2,"msg":"Invalid request"},"id":4}')
    assert isinstance(refused, Reply)
    assert "Invalid request" in refused.error
    assert DECODE(frame({"e": "serverShutdown", "E": NOW})) == Closing()


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_with_a_known_reason(raw: bytes) -> None:
    with pytest.raises(Rejected) as refusal:
        DECODE(raw)

    assert refusal.value.reason in {"invalid-json", "unknown-event", "wrong-field", "error-body"}


def quote(*update_id: int, **changed: Any) -> Any:
    """The only event of a frame with a best bid and ask."""
    (event,) = DECODE(frame(book_ticker(*update_id, **changed)))  # type: ignore[misc]
    return event


def test_a_best_quote_is_dated_at_capture_since_the_exchange_gives_it_no_time() -> None:
    event = quote(7, b="0.10", B="20.00")
    row = event.row(NOW)

    assert (event.table, row.symbol, row.update_id) == ("best_quotes", "BTCUSDT", 7)
    assert (row.bid_price, row.bid_quantity, row.ask_price, row.ask_quantity) == ("0.10", "20.00", "1.60", "3.0")
    assert (row.event_time, row.received_at, row.version) == (NOW, NOW, version(NOW))


def test_an_empty_side_of_a_best_quote_is_null() -> None:
    row = quote(b="0.00000000", B="0.00000000").row(NOW)

    assert (row.bid_price, row.bid_quantity, row.ask_price) == (None, None, "1.60")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"b": 1.5}, "wrong-field"), ({"u": -1}, "wrong-field"), ({"A": "1e5"}, "wrong-decimal")],
)
def test_a_wrong_best_quote_is_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        quote(**wrong).row(NOW)
    assert rejected.value.reason == reason


def test_a_best_quote_that_the_feed_did_not_ask_for_is_refused() -> None:
    with pytest.raises(Rejected) as rejected:
        RAW(frame(book_ticker()))
    assert rejected.value.reason == "unknown-event"
