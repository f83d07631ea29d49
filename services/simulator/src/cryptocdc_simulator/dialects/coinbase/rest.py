"""The REST API of Coinbase Exchange: /products…, paged by trade ids, ten requests per second."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptocdc_simulator.dialects.coinbase import payloads
from cryptocdc_simulator.dialects.coinbase.products import maintained, product_info
from cryptocdc_simulator.dialects.coinbase.streams import last_trade, month_volume
from cryptocdc_simulator.dialects.port import Answer, ApiError, prepared, stats_of
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.book import DEPTH, step_at
from cryptocdc_simulator.market.market import Listing, Market

Query = Mapping[str, str]
Body = Callable[[], Awaitable[Any]]
Endpoint = Callable[[str, Query], Answer]
"""Validates a request for a product, "" for all, and returns a function that computes the response."""

GRANULARITIES = (60, 300, 900, 3_600, 21_600, 86_400)
_MOST_CANDLES, _MOST_TRADES = 300, 1_000
_RATE, _BURST = 10, 15
_ALL_STATS = "products/stats"
_PATH = re.compile(rf"(?!{_ALL_STATS}$)products/([^/]+)(?:/(trades|candles|ticker|stats|book))?")


def error(status: int, message: str) -> ApiError:
    return ApiError(status, {"message": message})


class TokenBucket:
    """Ten requests per second per address, with bursts of up to fifteen."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._level, self._at = 0.0, clock()  # how much of the burst is used

    def used(self) -> int:
        now = self._clock()
        self._level = max(0.0, self._level - (now - self._at) * _RATE / 1000)
        self._at = now
        return round(self._level)

    def charge(self) -> bool:
        self.used()
        if self._level + 1 > _BURST:
            return False
        self._level += 1
        return True

    def use(self, amount: int) -> None:
        self.used()
        self._level = min(float(_BURST), self._level + amount)

    def clear(self) -> None:
        self._level = 0.0


class CoinbaseApi:
    """The endpoints of a market or a capture, and their limit."""

    def __init__(self, endpoints: Mapping[str, Endpoint], bucket: TokenBucket) -> None:
        self._endpoints, self._bucket = endpoints, bucket
        self.names = tuple(endpoints)

    def name_of(self, path: str) -> str | None:
        name = self._named(path)[0]
        return name if name in self._endpoints else None

    def _named(self, path: str) -> tuple[str, str]:
        """Return the endpoint's name and the product."""
        match = _PATH.fullmatch(path)
        return (match[2] or "product", match[1]) if match else (path, "")

    def answer(self, path: str, query: Query) -> Answer:
        if not self._bucket.charge():
            raise self.refusal(429, 1)
        name, product = self._named(path)
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise error(404, "Route not found")
        return endpoint(product, query)

    def refusal(self, status: int, _: int) -> ApiError:
        return error(status, "Public rate limit exceeded" if status == 429 else "Internal server error")

    def headers(self) -> dict[str, str]:
        return {}

    def used(self) -> int:
        return self._bucket.used()

    def use(self, amount: int) -> None:
        self._bucket.use(amount)

    def forgive(self) -> None:
        self._bucket.clear()


class MarketEndpoints:
    """The endpoints by name."""

    def __init__(self, market: Market, faults: Faults) -> None:
        self._market, self._faults = market, faults
        self.by_name: dict[str, Endpoint] = {
            "time": self._time,
            "products": self._products,
            _ALL_STATS: self._all_stats,
            "product": self._product,
            "trades": self._trades,
            "candles": self._candles,
            "ticker": self._ticker,
            "stats": self._stats,
            "book": self._book,
        }

    def _now(self) -> int:
        return self._market.clock() + self._faults.skew_ms

    def _listing(self, product: str) -> Listing:
        listing = self._market.listings.get(product)
        if listing is None:
            raise error(404, "NotFound")
        return listing

    def _time(self, _: str, __: Query) -> Answer:
        return later(lambda: {"iso": payloads.iso(self._now()), "epoch": self._now() / 1000})

    def _products(self, _: str, __: Query) -> Answer:
        return later(
            lambda: maintained([product_info(it) for it in self._market.listings.values()], self._faults.maintenance)
        )

    def _product(self, product: str, _: Query) -> Answer:
        listing = self._listing(product)
        return later(lambda: product_info(listing))

    def _trades(self, product: str, query: Query) -> Answer:
        """Return the newest trades before the id `after` and after the id `before`, newest first."""
        listing, limit = self._listing(product), min(integer(query, "limit", _MOST_TRADES), _MOST_TRADES)
        before, after = integer(query, "before", -1), integer(query, "after", -1)

        def rows() -> Any:
            stop = listing.next_raw_id() if after < 0 else min(after, listing.next_raw_id())
            trades = listing.tape.raws(max(0, before + 1, stop - limit), stop)
            return [payloads.trade_row(listing.instrument, trade) for trade in trades][::-1]

        def cursors(body: Any) -> dict[str, str]:
            return {"CB-BEFORE": str(body[0]["trade_id"]), "CB-AFTER": str(body[-1]["trade_id"])} if body else {}

        return later(rows)._replace(headers=cursors)

    def _candles(self, product: str, query: Query) -> Answer:
        """Return candles, newest first, without intervals that had no trade. `start` and `end` count only together."""
        listing, granularity = self._listing(product), integer(query, "granularity", 60)
        if granularity not in GRANULARITIES:
            raise error(400, "Unsupported granularity")
        length = granularity * 1000
        start, end = moment(query, "start"), moment(query, "end")
        if start is None or end is None:
            end = listing.now()
            start = end - _MOST_CANDLES * length + 1
        if end < start:
            raise error(400, "start must be before end")
        if (end - start) // length > _MOST_CANDLES:
            raise error(
                400,
                "granularity too small for the requested time range. "
                f"Count of aggregations requested exceeds {_MOST_CANDLES}",
            )

        async def body() -> Any:
            now, rows = listing.now(), []
            first = max(-(-start // length) * length, listing.tape.listed_ms // length * length)
            for open_time in range(first, min(end, now) + 1, length):
                stop = self._faults.kline_stop(product, open_time, open_time + length, now)
                await prepared(listing, open_time, stop)
                bar = listing.bars.between(open_time, stop)
                if bar is not None:
                    rows.append(payloads.candle(listing.instrument, open_time, bar))
            return rows[::-1]

        return Answer(1, body)

    def _ticker(self, product: str, _: Query) -> Answer:
        listing = self._listing(product)

        async def body() -> Any:
            stats = await stats_of(listing)
            return payloads.ticker_row(listing.instrument, last_trade(listing), stats)

        return Answer(1, body)

    def _stats(self, product: str, _: Query) -> Answer:
        listing = self._listing(product)

        async def body() -> Any:
            stats = await stats_of(listing)
            return payloads.stats_row(listing.instrument, stats, month_volume(listing, stats))

        return Answer(1, body)

    def _all_stats(self, _: str, __: Query) -> Answer:
        async def body() -> Any:
            found = {}
            for listing in self._market.listings.values():
                stats = await stats_of(listing)
                found[listing.instrument.symbol] = payloads.all_stats_row(
                    listing.instrument, stats, month_volume(listing, stats)
                )
            return found

        return Answer(1, body)

    def _book(self, product: str, query: Query) -> Answer:
        listing, level = self._listing(product), integer(query, "level", 1)
        if level not in (1, 2):
            raise error(400, "Invalid level")

        def body() -> Any:
            bids, asks = listing.book.snapshot(step_at(listing.now()), 1 if level == 1 else DEPTH)
            sequence = payloads.sequence_of(listing.next_raw_id() - 1)
            return payloads.book(listing.instrument, bids, asks, sequence, self._now())

        return later(body)


def integer(query: Query, name: str, default: int) -> int:
    value = query.get(name)
    if not value:
        return default
    if not value.isdecimal():
        raise error(400, f"{name} must be a valid integer")
    return int(value)


def moment(query: Query, name: str) -> int | None:
    """Return a time in ms, from ISO 8601 or seconds since 1970."""
    value = query.get(name)
    if not value:
        return None
    if value.isdecimal():
        return int(value) * 1000
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise error(400, f"invalid {name}") from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def later(body: Callable[[], Any]) -> Answer:
    async def answered() -> Any:
        return body()

    return Answer(1, answered)
