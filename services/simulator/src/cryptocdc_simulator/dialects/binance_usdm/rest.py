"""The REST market data API of USD-M futures: /fapi/v1/…, with its own weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from cryptocdc_simulator.dialects.binance import errors
from cryptocdc_simulator.dialects.binance.parameters import Parameters
from cryptocdc_simulator.dialects.binance.rest import aggregate_span, check_range, kline_openings
from cryptocdc_simulator.dialects.binance_usdm import payloads
from cryptocdc_simulator.dialects.port import Answer, prepared, ready, stats_of
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.book import step_at
from cryptocdc_simulator.market.klines import following
from cryptocdc_simulator.market.market import Listing, Market

DEPTHS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
"""The weight by limit; other limits are not accepted."""


class FuturesEndpoints:
    """The endpoints by name. A method reads its parameters and returns its weight first, then the response."""

    def __init__(self, market: Market, weight_limit: int, faults: Faults) -> None:
        self._market, self._weight_limit, self._faults = market, weight_limit, faults
        self.by_name: dict[str, Callable[[Parameters], Answer]] = {
            "ping": lambda _: Answer(1, partial(ready, {})),
            "time": lambda _: Answer(1, partial(ready, {"serverTime": self._server_time()})),
            "exchangeInfo": self._exchange_info,
            "depth": self._depth,
            "trades": self._trades,
            "aggTrades": self._aggregates,
            "klines": self._klines,
            "ticker/24hr": partial(self._each, (1, 40), self._ticker),
            "ticker/price": partial(self._each, (1, 2), self._price),
            "ticker/bookTicker": partial(self._each, (2, 5), self._book_ticker),
            "premiumIndex": partial(self._each, (1, 10), self._premium_index),
            "openInterest": self._open_interest,
        }

    def _listing(self, symbol: str) -> Listing:
        listing = self._market.listings.get(symbol)
        if listing is None:
            raise errors.invalid_symbol()
        return listing

    def _server_time(self) -> int:
        return self._market.clock() + self._faults.skew_ms

    def _exchange_info(self, _: Parameters) -> Answer:
        async def body() -> Any:
            infos = [payloads.symbol_info(listing) for listing in self._market.listings.values()]
            infos = payloads.maintained(infos, self._faults.maintenance)
            return payloads.exchange_info(infos, self._weight_limit, self._server_time())

        return Answer(1, body)

    def _depth(self, parameters: Parameters) -> Answer:
        symbol, limit = parameters.required_symbol(), parameters.limit(500, 10**9)
        if limit not in DEPTHS:
            raise errors.invalid_value("limit")

        async def body() -> Any:
            listing = self._listing(symbol)
            step = step_at(listing.now())
            bids, asks = listing.book.snapshot(step, limit)
            return payloads.depth(listing.instrument, listing.book.update_id(step), bids, asks, self._server_time())

        return Answer(DEPTHS[limit], body)

    def _trades(self, parameters: Parameters) -> Answer:
        symbol, limit = parameters.required_symbol(), parameters.limit(500, 1000)

        async def body() -> Any:
            listing = self._listing(symbol)
            end = listing.next_raw_id()
            raws = listing.tape.raws(max(0, end - limit), end)
            return [payloads.trade_row(listing.instrument, trade) for trade in raws]

        return Answer(5, body)

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

        return Answer(20, body)

    def _klines(self, parameters: Parameters) -> Answer:
        symbol, interval, limit = parameters.required_symbol(), parameters.interval(), parameters.limit(500, 1500)
        if interval == "1s":
            raise errors.invalid_interval()
        start, end = parameters.integer("startTime"), parameters.integer("endTime")
        check_range(start, end)

        async def body() -> Any:
            listing = self._listing(symbol)
            rows = []
            for open_time in kline_openings(interval, start, end, limit, listing.tape.listed_ms, listing.now()):
                close = following(interval, open_time)
                stop = self._faults.kline_stop(symbol, open_time, close, listing.now())
                await prepared(listing, open_time, stop)
                close_time = self._faults.close_time(symbol, interval, open_time, close)
                rows.append(
                    payloads.kline_row(listing.instrument, open_time, close_time, listing.bars.kline(open_time, stop))
                )
            return rows

        return Answer(kline_weight(limit), body)

    def _open_interest(self, parameters: Parameters) -> Answer:
        symbol = parameters.required_symbol()

        async def body() -> Any:
            listing = self._listing(symbol)
            now = listing.now()
            return payloads.open_interest(listing.instrument, listing.contract.open_interest(now), now)

        return Answer(1, body)

    async def _ticker(self, listing: Listing) -> Any:
        return payloads.ticker_row(listing.instrument, await stats_of(listing))

    async def _price(self, listing: Listing) -> Any:
        last = listing.tape.aggregate(max(listing.next_id() - 1, 0))
        price = payloads.price_of(listing.instrument, last.price)
        return {"symbol": listing.symbol, "price": price, "time": last.time}

    async def _book_ticker(self, listing: Listing) -> Any:
        step = step_at(listing.now())
        bids, asks = listing.book.snapshot(step, 1)
        update_id = listing.book.update_id(step)
        return payloads.book_ticker_row(listing.instrument, update_id, bids[0], asks[0], listing.now())

    async def _premium_index(self, listing: Listing) -> Any:
        now = listing.now()
        return payloads.premium_index(listing.instrument, listing.contract.mark(now), now)

    def _each(self, weights: tuple[int, int], row: Callable[[Listing], Any], parameters: Parameters) -> Answer:
        """Return the response for one symbol, or for all traded ones; `weights` are those of the two."""
        symbol = parameters.optional_symbol()

        async def body() -> Any:
            if symbol is not None:
                return await row(self._listing(symbol))
            return [await row(listing) for listing in self._market.listings.values() if listing.trading]

        return Answer(weights[0 if symbol is not None else 1], body)


def kline_weight(limit: int) -> int:
    for below, weight in ((100, 1), (500, 2), (1001, 5)):
        if limit < below:
            return weight
    return 10
