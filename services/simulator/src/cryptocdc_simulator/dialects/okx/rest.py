"""The REST API of OKX: /api/v5/…, answers in the envelope {code, msg, data}, newest first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from cryptocdc_simulator.dialects.okx import payloads
from cryptocdc_simulator.dialects.okx.instruments import SPOT, SWAP, instrument_info, kind_of, maintained
from cryptocdc_simulator.dialects.okx.limits import LIMITS, Limits
from cryptocdc_simulator.dialects.okx.streams import BARS
from cryptocdc_simulator.dialects.port import Answer, ApiError, prepared, stats_of
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.book import step_at
from cryptocdc_simulator.market.klines import INTERVALS, following, opening
from cryptocdc_simulator.market.market import Listing, Market

Query = Mapping[str, str]
Rows = Callable[[Query], Callable[[], Awaitable[list[Any]]]]
"""An endpoint: checks a request at once, and answers it later."""


def error(status: int, code: str, message: str) -> ApiError:
    return ApiError(status, {"code": code, "msg": message, "data": []})


def too_many() -> ApiError:
    return ApiError(429, {"msg": "Too Many Requests", "code": "50011"})


class OkxApi:
    """The endpoints of a market or of a capture, and their limits."""

    def __init__(self, endpoints: Mapping[str, Rows], limits: Limits) -> None:
        self._endpoints, self._limits = endpoints, limits
        self.names = tuple(endpoints)

    def name_of(self, path: str) -> str | None:
        return path if path in self._endpoints else None

    def answer(self, path: str, query: Query) -> Answer:
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            raise error(404, "404", "Not Found")
        if not self._limits.charge(path):
            raise too_many()
        rows = endpoint(query)

        async def body() -> Any:
            return {"code": "0", "msg": "", "data": await rows()}

        return Answer(1, body, rows="data")

    def refusal(self, status: int, seconds: int) -> ApiError:  # noqa: ARG002 - the venue does not say how long
        if status == 429:
            return too_many()
        return error(status, "50001", "Service temporarily unavailable. Please try again later.")

    def headers(self) -> dict[str, str]:
        return {}

    def used(self) -> int:
        return self._limits.used()

    def use(self, amount: int) -> None:
        self._limits.use(amount)

    def forgive(self) -> None:
        self._limits.clear()


class MarketEndpoints:
    """Answers by name of the endpoint."""

    def __init__(self, market: Market, faults: Faults) -> None:
        self._market, self._faults = market, faults
        self.by_name: dict[str, Rows] = {
            "public/time": self._time,
            "public/instruments": self._instruments,
            "public/mark-price": self._swaps(self._mark_price),
            "public/funding-rate": self._swaps(self._funding_rate),
            "public/open-interest": self._swaps(self._open_interest),
            "market/books": self._books,
            "market/trades": self._trades,
            "market/history-trades": self._history_trades,
            "market/candles": self._candles,
            "market/history-candles": self._history_candles,
            "market/tickers": self._tickers,
            "market/ticker": self._ticker,
        }
        assert self.by_name.keys() == LIMITS.keys()

    def _now(self) -> int:
        return self._market.clock() + self._faults.skew_ms

    def _listing(self, query: Query) -> Listing:
        listing = self._market.listings.get(required(query, "instId"))
        if listing is None:
            raise error(200, "51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return listing

    def _of_kind(self, query: Query) -> list[Listing]:
        kind = required(query, "instType")
        if kind not in (SPOT, SWAP):
            raise error(400, "51000", "Parameter instType error")
        return [listing for listing in self._market.listings.values() if kind_of(listing.instrument) == kind]

    def _time(self, _: Query) -> Callable[[], Awaitable[list[Any]]]:
        return _later(lambda: [{"ts": str(self._now())}])

    def _instruments(self, query: Query) -> Callable[[], Awaitable[list[Any]]]:
        listings, wanted = self._of_kind(query), query.get("instId")
        if wanted is not None:
            listings = [self._listing(query)]

        def rows() -> list[Any]:
            infos = [instrument_info(listing, self._market.clock()) for listing in listings]
            return maintained(infos, self._faults.maintenance)

        return _later(rows)

    def _books(self, query: Query) -> Callable[[], Awaitable[list[Any]]]:
        listing, size = self._listing(query), integer(query, "sz", 1, 400)

        def rows() -> list[Any]:
            step = step_at(listing.now())
            bids, asks = (payloads.levels(listing.instrument, side) for side in listing.book.snapshot(step, size))
            return [{"asks": asks, "bids": bids, "ts": str(self._now()), "seqId": listing.book.update_id(step)}]

        return _later(rows)

    def _trades(self, query: Query) -> Callable[[], Awaitable[list[Any]]]:
        listing, limit = self._listing(query), integer(query, "limit", 100, 500)
        return _later(lambda: _trade_rows(listing, listing.next_raw_id() - limit, listing.next_raw_id()))

    def _history_trades(self, query: Query) -> Callable[[], Awaitable[list[Any]]]:
        """By trade id (type 1, both directions) or by time (type 2, backwards alone)."""
        listing, limit = self._listing(query), integer(query, "limit", 100, 100)
        kind, after, before = integer(query, "type", 1, 2), whole(query, "after"), whole(query, "before")

        def rows() -> list[Any]:
            first, stop = 0, listing.next_raw_id()
            if kind == 2:
                until = listing.tape.first_id_at(after) if after is not None else listing.next_id()
                stop = min(stop, listing.tape.first_raw_id_of(until))
            else:
                stop = stop if after is None else min(stop, after)
                first = 0 if before is None else before + 1
            return _trade_rows(listing, max(first, stop - limit), stop)

        return _later(rows)

    def _candles(self, query: Query) -> Callable[[], Awaitable[list[Any]]]:
        return self._candles_of(query, running=True)

    def _history_candles(self, query: Query) -> Callable[[], Awaitable[list[Any]]]:
        return self._candles_of(query, running=False)

    def _candles_of(self, query: Query, running: bool) -> Callable[[], Awaitable[list[Any]]]:
        """Those that open before `after` and after `before`, the newest of them; `running`: also the open one."""
        listing, limit, bar = self._listing(query), integer(query, "limit", 100, 300), query.get("bar", "1m")
        after, before = whole(query, "after"), whole(query, "before")
        if bar not in BARS:
            raise error(400, "51000", "Parameter bar error")
        interval = BARS[bar]

        async def rows() -> list[Any]:
            now, found = listing.now(), []
            last = opening(interval, now if after is None else min(now, after - 1))
            earliest = max(last - (limit + 1) * INTERVALS[interval], 0 if before is None else before + 1)
            open_time = opening(interval, max(earliest, listing.tape.listed_ms))
            while open_time <= last:
                close = following(interval, open_time)
                if (before is None or open_time > before) and (running or close <= now):
                    stop = self._faults.kline_stop(listing.symbol, open_time, close, now)
                    await prepared(listing, open_time, stop)
                    sums = listing.bars.kline(open_time, stop)
                    found.append(payloads.candle(listing.instrument, open_time, sums, close <= now))
                open_time = close
            return found[::-1][:limit]

        return rows

    def _tickers(self, query: Query) -> Callable[[], Awaitable[list[Any]]]:
        return self._ticker_rows([listing for listing in self._of_kind(query) if listing.trading])

    def _ticker(self, query: Query) -> Callable[[], Awaitable[list[Any]]]:
        return self._ticker_rows([self._listing(query)])

    def _ticker_rows(self, listings: list[Listing]) -> Callable[[], Awaitable[list[Any]]]:
        async def rows() -> list[Any]:
            return [payloads.ticker(listing, await stats_of(listing), self._now()) for listing in listings]

        return rows

    def _swaps(self, row: Callable[[Listing, int], Any]) -> Rows:
        """Of one swap by `instId`, or of all by `instType`."""

        def endpoint(query: Query) -> Callable[[], Awaitable[list[Any]]]:
            listings = [self._listing(query)] if "instId" in query else self._of_kind(query)
            swaps = [listing for listing in listings if listing.instrument.perpetual]
            return _later(lambda: [row(listing, listing.now()) for listing in swaps])

        return endpoint

    def _mark_price(self, listing: Listing, now: int) -> Any:
        return payloads.mark_price(listing.instrument, listing.contract.mark(now), now)

    def _funding_rate(self, listing: Listing, now: int) -> Any:
        return payloads.funding_rate(listing.instrument, listing.contract.mark(now), now)

    def _open_interest(self, listing: Listing, now: int) -> Any:
        contract = listing.contract
        return payloads.open_interest(listing.instrument, contract.open_interest(now), contract.mark(now), now)


def required(query: Query, name: str) -> str:
    value = query.get(name)
    if not value:
        raise error(400, "50014", f"Parameter {name} can not be empty.")
    return value


def whole(query: Query, name: str) -> int | None:
    value = query.get(name)
    if not value:
        return None
    if not value.isdecimal():
        raise error(400, "51000", f"Parameter {name} error")
    return int(value)


def integer(query: Query, name: str, default: int, most: int) -> int:
    """Above `most` the venue serves `most`."""
    value = whole(query, name)
    if value == 0:
        raise error(400, "51000", f"Parameter {name} error")
    return default if value is None else min(value, most)


def _trade_rows(listing: Listing, first: int, stop: int) -> list[Any]:
    raws: Iterable[Any] = listing.tape.raws(max(0, first), stop)
    return [payloads.trade_row(listing.instrument, trade) for trade in raws][::-1]


def _later(rows: Callable[[], list[Any]]) -> Callable[[], Awaitable[list[Any]]]:
    async def answered() -> list[Any]:
        return rows()

    return answered
