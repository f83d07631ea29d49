"""The REST market data API of the simulated exchange: /api/v3/…"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from cryptocdc_simulator.dialects.binance import errors, payloads
from cryptocdc_simulator.dialects.binance.parameters import Parameters
from cryptocdc_simulator.dialects.binance.weights import Weights
from cryptocdc_simulator.dialects.port import Answer, ApiError, prepared, ready, stats_of
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.book import step_at
from cryptocdc_simulator.market.klines import INTERVALS, following, opening
from cryptocdc_simulator.market.market import Listing, Market

_AVERAGE_MINUTES = 5


class WeighedApi:
    """A REST API whose requests have weights. `endpoints`: by name, which is also the path."""

    def __init__(
        self, weights: Weights, faults: Faults, endpoints: Mapping[str, Callable[[Parameters], Answer]], base: str
    ) -> None:
        """`base`: the part of a path before the endpoint."""
        self._weights, self._faults, self._base = weights, faults, base
        self.endpoints = endpoints
        self.names = tuple(endpoints)

    def name_of(self, path: str) -> str | None:
        return path if path in self.endpoints else None

    def answer(self, path: str, query: Mapping[str, str]) -> Answer:
        endpoint = self.endpoints.get(path)
        if endpoint is None:
            raise errors.not_found(self._base + path)
        parameters = Parameters(query)
        answer = endpoint(parameters)
        parameters.finish()
        if over := self._weights.charge(answer.weight):
            raise over
        return answer

    def refusal(self, status: int, seconds: int) -> ApiError:
        return errors.refusal(status, seconds, self._weights.limit, self._faults.refuse_until)

    def headers(self) -> dict[str, str]:
        used = str(self.used())
        return {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}

    def used(self) -> int:
        return self._weights.used()

    def use(self, amount: int) -> None:
        self._weights.charge(amount)

    def forgive(self) -> None:
        self._weights.clear()


class MarketEndpoints:
    """The endpoints by name. A method reads its parameters and returns its weight first, then the response."""

    def __init__(self, market: Market, weight_limit: int, faults: Faults) -> None:
        self._market = market
        self._weight_limit = weight_limit
        self._faults = faults
        self.by_name: dict[str, Callable[[Parameters], Answer]] = {
            "ping": self._ping,
            "time": self._time,
            "exchangeInfo": self._exchange_info,
            "depth": self._depth,
            "trades": self._trades,
            "historicalTrades": self._historical_trades,
            "aggTrades": self._aggregates,
            "klines": self._klines,
            "uiKlines": self._klines,
            "avgPrice": self._average_price,
            "ticker/24hr": self._ticker,
            "ticker/price": self._price,
            "ticker/bookTicker": self._book_ticker,
        }

    def _listing(self, symbol: str) -> Listing:
        listing = self._market.listings.get(symbol)
        if listing is None:
            raise errors.invalid_symbol()
        return listing

    def _many(self, symbols: list[str] | None) -> list[Listing]:
        if symbols is None:
            return [listing for listing in self._market.listings.values() if listing.trading]
        return [self._listing(symbol) for symbol in symbols]

    def _server_time(self) -> int:
        return self._market.clock() + self._faults.skew_ms

    def _ping(self, _: Parameters) -> Answer:
        return Answer(1, partial(ready, {}))

    def _time(self, _: Parameters) -> Answer:
        return Answer(1, partial(ready, {"serverTime": self._server_time()}))

    def _exchange_info(self, parameters: Parameters) -> Answer:
        symbols = parameters.one_or_many_symbols()
        status = parameters.text("symbolStatus")
        parameters.text("permissions")
        parameters.text("showPermissionSets")

        async def body() -> Any:
            listings = self._market.listings.values() if symbols is None else [self._listing(name) for name in symbols]
            infos = [payloads.symbol_info(listing) for listing in listings]
            infos = payloads.maintained(infos, self._faults.maintenance)
            if status is not None:
                infos = [info for info in infos if info["status"] == status]
            return payloads.exchange_info(infos, self._weight_limit, self._server_time())

        return Answer(20, body)

    def _depth(self, parameters: Parameters) -> Answer:
        symbol, limit = parameters.required_symbol(), parameters.limit(100, 5000)

        async def body() -> Any:
            listing = self._listing(symbol)
            step = step_at(listing.now())
            bids, asks = listing.book.snapshot(step, limit)
            return payloads.depth(listing.instrument, listing.book.update_id(step), bids, asks)

        return Answer(depth_weight(limit), body)

    def _trades(self, parameters: Parameters) -> Answer:
        symbol, limit = parameters.required_symbol(), parameters.limit(500, 1000)
        return Answer(25, partial(self._raw_trades, symbol, None, limit))

    def _historical_trades(self, parameters: Parameters) -> Answer:
        symbol, limit, start = parameters.required_symbol(), parameters.limit(500, 1000), parameters.integer("fromId")
        return Answer(25, partial(self._raw_trades, symbol, start, limit))

    async def _raw_trades(self, symbol: str, start: int | None, limit: int) -> Any:
        listing = self._listing(symbol)
        end = listing.next_raw_id()
        first = max(0, end - limit) if start is None else start
        return [payloads.trade_row(listing.instrument, t) for t in listing.tape.raws(first, min(end, first + limit))]

    def _aggregates(self, parameters: Parameters) -> Answer:
        symbol, limit, from_id = parameters.required_symbol(), parameters.limit(500, 1000), parameters.integer("fromId")
        start, end = parameters.integer("startTime"), parameters.integer("endTime")
        if from_id is not None and (start is not None or end is not None):
            raise errors.bad_combination()
        check_range(start, end)

        async def body() -> Any:
            listing = self._listing(symbol)
            trades = listing.tape.aggregates(*aggregate_span(listing, from_id, start, end, limit))
            return [payloads.aggregate_row(listing.instrument, trade) for trade in trades]

        return Answer(4, body)

    def _klines(self, parameters: Parameters) -> Answer:
        symbol, interval, limit = parameters.required_symbol(), parameters.interval(), parameters.limit(500, 1000)
        start, end = parameters.integer("startTime"), parameters.integer("endTime")
        parameters.choice("timeZone", "0", "0:00", "+00:00")  # only the time zone UTC is supported
        check_range(start, end)

        async def body() -> Any:
            listing = self._listing(symbol)
            rows = []
            for open_time in kline_openings(interval, start, end, limit, listing.tape.listed_ms, listing.now()):
                close = following(interval, open_time)
                stop = self._faults.kline_stop(symbol, open_time, close, listing.now())
                await prepared(listing, open_time, stop)
                bar = listing.bars.kline(open_time, stop)
                close_time = self._faults.close_time(symbol, interval, open_time, close)
                rows.append(payloads.kline_row(listing.instrument, open_time, close_time, bar))
            return rows

        return Answer(2, body)

    def _average_price(self, parameters: Parameters) -> Answer:
        symbol = parameters.required_symbol()

        async def body() -> Any:
            listing = self._listing(symbol)
            now = listing.now()
            bar = listing.bars.kline(now - _AVERAGE_MINUTES * 60_000, now + 1)
            return payloads.average_price(listing.instrument, _AVERAGE_MINUTES, bar, now)

        return Answer(2, body)

    def _ticker(self, parameters: Parameters) -> Answer:
        symbols = parameters.one_or_many_symbols()
        row = {"FULL": payloads.ticker_row, "MINI": payloads.mini_ticker_row}[parameters.choice("type", "FULL", "MINI")]
        single = parameters.text("symbol") is not None
        weight = 80 if symbols is None or len(symbols) > 100 else 2 if len(symbols) <= 20 else 40

        async def body() -> Any:
            rows = [row(listing.instrument, await stats_of(listing)) for listing in self._many(symbols)]
            return rows[0] if single else rows

        return Answer(weight, body)

    def _price(self, parameters: Parameters) -> Answer:
        def row(listing: Listing) -> Any:
            last = listing.tape.aggregate(max(listing.next_id() - 1, 0)).price
            return {"symbol": listing.symbol, "price": payloads.price_of(listing.instrument, last)}

        return self._each(parameters, row)

    def _book_ticker(self, parameters: Parameters) -> Answer:
        def row(listing: Listing) -> Any:
            bids, asks = listing.book.snapshot(step_at(listing.now()), 1)
            return payloads.book_ticker_row(listing.instrument, bids[0], asks[0])

        return self._each(parameters, row)

    def _each(self, parameters: Parameters, row: Callable[[Listing], Any]) -> Answer:
        symbols = parameters.one_or_many_symbols()
        single = parameters.text("symbol") is not None

        async def body() -> Any:
            rows = [row(listing) for listing in self._many(symbols)]
            return rows[0] if single else rows

        return Answer(2 if single else 4, body)


def check_range(start: int | None, end: int | None) -> None:
    if start is not None and end is not None and start > end:
        raise errors.error(400, -1127, "Start time is greater than end time.")


def aggregate_span(
    listing: Listing, from_id: int | None, start: int | None, end: int | None, limit: int
) -> tuple[int, int]:
    """Return the requested ids, the second exclusive: from an id or a time on, or the last ones."""
    stop = listing.next_id()
    if end is not None:
        stop = min(stop, listing.tape.first_id_at(end + 1))
    if from_id is not None:
        first = from_id
    elif start is not None:
        first = max(0, listing.tape.first_id_at(start))
    else:
        first = max(0, stop - limit)
    return first, min(stop, first + limit)


def depth_weight(limit: int) -> int:
    for most, weight in ((100, 5), (500, 25), (1000, 50)):
        if limit <= most:
            return weight
    return 250


def kline_openings(
    interval: str, start: int | None, end: int | None, limit: int, listed_ms: int, now: int
) -> Iterable[int]:
    """Return the open times of the requested klines: from `start` on, or the last ones up to `end`.

    They are within [start, end], at most `limit`, not before the listing and not after the open kline.
    """
    last = opening(interval, min(now, now if end is None else end))
    first = opening(interval, listed_ms)
    if start is not None and start > first:
        first = opening(interval, start)
        if first < start:
            first = following(interval, first)
    elif start is None:
        # One more, since not all months are as long as the longest.
        earliest = last - (limit + 1) * INTERVALS[interval]
        first = max(first, opening(interval, max(earliest, 0)))
    openings = []
    while first <= last:
        openings.append(first)
        if start is not None and len(openings) == limit:
            break
        first = following(interval, first)
    return openings[-limit:]
