"""Order books over long ranges: averaged over equal steps, a page at a time, every book counted once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.unit.api.doubles import Answer, Api, Tables
from tests.unit.api.rows import moment, row, rows

from cryptocdc_api.analysis.averages import BOOKS, QUOTES
from cryptocdc_api.reading.reader import range_statement
from cryptocdc_api.reading.tables import BOOK_SUMS
from cryptocdc_api.routes import streams

HOUR_MS = 3_600_000
START_MS = 1_795_834_800_000  # the start of an hour


def book(at_ms: int, bid: str | None = "99", ask: str | None = "101", bids: str = "3", asks: str = "1") -> Any:
    values = {"best_bid": bid, "best_ask": ask, "bid_total": bids, "ask_total": asks}
    decimals = {name: None if value is None else Decimal(value) for name, value in values.items()}
    return row(BOOK_SUMS.columns, at_ms, bucket_time=moment(at_ms), **decimals)


def served(books: list[Any]) -> Api:
    prices = rows("latest_prices", 1)
    return Api(Tables({BOOK_SUMS.name: books, "newest_prices": prices}))


def asked(api: Api, **query: Any) -> Answer:
    answer = api.get("/order_book/averages", symbol="BTCUSDT", from_=START_MS, **query)
    assert answer.status == 200, answer.body
    return answer


def test_each_step_is_the_mean_of_its_books() -> None:
    found = BOOKS.averages(
        [book(START_MS), book(START_MS + 9999, ask="102", asks="3"), book(START_MS + 10_000)], 10_000
    )
    assert [(at["bucket_time_ms"] - START_MS, at["books"]) for at in found] == [(0, 2), (10_000, 1)]
    assert (found[0]["spread"], found[0]["mid"], found[0]["imbalance"]) == ("2.5", "100.25", "0.25")


def test_small_prices_keep_their_digits_and_a_missing_side_is_left_out() -> None:
    (found,) = BOOKS.averages([book(START_MS, "0.00001210", "0.00001211"), book(START_MS + 1, bid=None)], 1000)
    assert Decimal(found["spread"]) == Decimal("0.00000001")
    assert BOOKS.averages([book(START_MS, bid=None)], 1000)[0]["spread"] is None


def test_quotes_are_averaged_over_the_steps_of_their_event_times() -> None:
    def quote(at_ms: int, bid: str, ask: str | None) -> Any:
        values = {"bid_price": Decimal(bid), "ask_price": None if ask is None else Decimal(ask)}
        return row(QUOTES.table.columns, at_ms, event_time=moment(at_ms), **values)

    found = QUOTES.averages([quote(START_MS, "99", "101"), quote(START_MS + 900, "98", None)], 1000)

    assert [(at["event_time_ms"], at["quotes"]) for at in found] == [(START_MS, 2)]
    assert (found[0]["bid"], found[0]["ask"], found[0]["spread"], found[0]["mid"]) == ("98.5", "101", "2", "100")


def test_the_whole_range_is_averaged_not_only_the_last_thousand_books() -> None:
    api = served([book(START_MS + at * 1000) for at in range(3 * 3600)])
    found = asked(api, to=START_MS + 3 * HOUR_MS, step="1m").json()
    assert [at["bucket_time_ms"] for at in found] == [START_MS + at * 60_000 for at in reversed(range(180))]
    assert {at["books"] for at in found} == {60}


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_contain_every_book_once(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AVERAGED_ROWS", 95)  # ends within a step
    api = served([book(START_MS + at * 1000) for at in range(300)])
    found = []
    answer = asked(api, to=START_MS + HOUR_MS, step="10s", limit=7, order=order)
    while True:
        found += answer.json()
        cursor = answer.headers.get("x-next-cursor")
        if cursor is None:
            break
        answer = api.get("/order_book/averages", symbol="BTCUSDT", cursor=cursor, step="10s", limit=7)
    times = [at["bucket_time_ms"] for at in found]
    assert sorted(times, reverse=order == "newest") == times
    assert len(set(times)) == len(times) == 30
    assert {at["books"] for at in found} == {10}


def test_an_invalid_step_is_refused() -> None:
    refused = served([]).get("/order_book/averages", symbol="BTCUSDT", step="10")
    assert refused.status == 400
    assert refused.json()["errors"][0]["field"] == "step"


def test_levels_are_summed_by_cassandra() -> None:
    statement = range_statement("majors", BOOK_SUMS, True)
    assert 'FROM "majors"."order_book"' in statement
    assert "collection_min(ask_prices), collection_sum(bid_quantities)" in statement
