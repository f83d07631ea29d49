"""The simulator's control API, for tests and for the runner, separate from the exchange's API. For each venue, below its
base path:

    GET  /simulator/state
    POST /simulator/faults/<fault>?<parameters>      200 with the effect, 400 {"error": …} for an invalid request

| fault | parameters | effect |
|---|---|---|
| drop-trades | symbol, count | the next `count` aggregate trades, and their raw trades, are in no stream, but in REST. Returns `aggregate_ids` and `trade_ids`: [first, last] |
| depth-gap | symbol, count=1 | the diffs of the next `count` steps of 100 ms are in no stream: update ids skip |
| restart-book | symbol | the update ids of its book restart at 1, in streams and in REST, as after a restart of the exchange |
| jump-book | symbol, ids | the update ids of its book continue this much further ahead, in streams and in REST |
| cross-book | symbol, seconds | its book has a bid above all asks, in streams and in REST. Returns its `price` |
| restart-trades | symbol | the ids of its trades restart at 0, in streams and in REST, which no longer has earlier trades |
| unsettled | symbol, seconds | REST lacks the trades of a kline's second half until this long after its end, then the kline is revised |
| cut-kline | symbol, interval, close, open= | the kline that opens at `open` ms, or the open one, is reported with the close time `close` ms |
| short-page | path, rows | the next response to `path` of the API, such as klines, has at most `rows` rows, although there are more |
| cut | – | every connection is reset, without a closing handshake |
| silence | seconds | currently open connections stay open but get no frames (pings continue); new ones do |
| shutdown | grace=10 | every open connection is closed after `grace` seconds, preceded by the venue's announcement (serverShutdown) |
| malformed | kind, stream= | each open connection gets one malformed frame of `stream`, or of any of its streams. kind: invalid-json, unknown-event, wrong-decimal, oversize (5 MiB), error-body, future (an hour ahead) |
| malformed | kind, path | the next successful response to `path` of the API, such as depth, is malformed. kind: invalid-json, wrong-decimal, oversize (5 MiB), error-body (status 400) |
| duplicate | count | the next `count` events are sent twice |
| reorder | count | each of the next `count` events is sent after the next one of its stream |
| refuse | status, seconds | every REST request gets 429 or 418 (with Retry-After), 403 (the firewall's page), 451 or 5xx |
| page | seconds | every REST request gets an HTML page with status 200, as from a proxy that requires a login |
| maintenance | kind, seconds | exchangeInfo is that of a maintenance, everything else continues. kind: odd-market (one test market and no other), break (every market in BREAK), empty |
| weight | used | adds to the request weight used in this minute, as if by another process |
| delist | symbol, remove=false | no trades from now on; exchangeInfo reports BREAK, or the symbol is unknown (-1121) |
| resume | symbol | a symbol in BREAK trades again; trades of the pause are in REST, but in no stream |
| list | base, quote, unseen=0, and the venue's own parameters | a new symbol starts to trade, with ids from 0; the first `unseen` aggregate trades are in no stream, but in REST |
| crash | symbol, percent, seconds | the price falls by `percent` within `seconds`, starting at `begins` (at most 5 s ahead) |
| skew | ms | event times and serverTime are off by this much; trade times are not |
| clear | – | ends refuse, page, maintenance, silence, duplicate, reorder, skew, unsettled, pending malformed responses and faults of the archive, and resets used weight and bans |

Faults of a single venue are in its dialect (`Dialect.faults`).

Faults do not survive a restart: a crash, a delisting and a new symbol are then undone.
"""  # noqa: E501 - a table has rows

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse

from cryptocdc_simulator.capture import CaptureStreams
from cryptocdc_simulator.connections import Connections
from cryptocdc_simulator.dialects.port import Dialect
from cryptocdc_simulator.faults import MAINTENANCES, Dropped, Faults, Span
from cryptocdc_simulator.malformed import ANSWERS, KINDS, VENUE_KINDS
from cryptocdc_simulator.market.book import STEP_MS, step_at
from cryptocdc_simulator.market.decimals import plain
from cryptocdc_simulator.market.klines import INTERVALS, opening
from cryptocdc_simulator.market.market import Listing

Result = dict[str, Any]


class Control:
    """`replay` is set only if a capture is replayed; then there is no market, which some faults need."""

    def __init__(
        self, dialect: Dialect, connections: Connections, faults: Faults, replay: CaptureStreams | None
    ) -> None:
        self._dialect, self._api = dialect, dialect.api
        self._connections, self._faults = connections, faults
        self._market, self._replay = dialect.market, replay
        self._by_name: dict[str, Callable[[QueryParams], Result]] = {
            **dialect.faults,
            "cut": self._cut,
            "silence": self._silence,
            "shutdown": self._shutdown,
            "malformed": self._malformed,
            "duplicate": self._duplicate,
            "reorder": self._reorder,
            "refuse": self._refuse,
            "short-page": self._short_page,
            "page": self._page,
            "weight": self._weight,
            "clear": self._clear,
        }
        if dialect.market is not None:
            self._by_name |= {
                "drop-trades": self._drop_trades,
                "depth-gap": self._depth_gap,
                "restart-book": self._restart_book,
                "jump-book": self._jump_book,
                "cross-book": self._cross_book,
                "restart-trades": self._restart_trades,
                "unsettled": self._unsettled,
                "cut-kline": self._cut_kline,
                "delist": self._delist,
                "resume": self._resume,
                "list": self._list,
                "maintenance": self._maintenance,
                "crash": self._crash,
                "skew": self._skew,
            }

    async def state(self, _: Request) -> JSONResponse:
        state: Result = {
            "simulated": True,
            "dialect": self._dialect.name,
            "source": "market" if self._replay is None else "capture",
            "connections": [{"streams": list(connection.streams)} for connection in self._connections.open],
            "connections_accepted": self._connections.accepted,
            "frames_sent": self._connections.frames,
            "weight_used": self._api.used(),
            "faults": self._faults.state(),
        }
        if self._market is not None:
            listings = self._market.listings.values()
            state["seed"], state["rate"] = self._market.seed, self._market.rate
            state["symbols"] = {listing.symbol: "TRADING" if listing.trading else "BREAK" for listing in listings}
        if self._replay is not None:
            state["capture"] = self._replay.progress()
        return JSONResponse(state)

    async def fault(self, request: Request) -> JSONResponse:
        name = request.path_params["fault"]
        apply = self._by_name.get(name)
        if apply is None:
            return JSONResponse({"error": f"no fault {name!r} here; there is {', '.join(self._by_name)}"}, 404)
        try:
            result = apply(request.query_params)
        except KeyError as missing:
            return JSONResponse({"error": f"{name} needs the parameter {missing}"}, 400)
        except ValueError as wrong:
            return JSONResponse({"error": f"{name}: {wrong}"}, 400)
        self._faults.counts[name.replace("-", "_")] += 1
        return JSONResponse({"fault": name, **result})

    def _listing(self, parameters: QueryParams) -> Listing:
        symbol = parameters["symbol"]
        if self._market is None or symbol not in self._market.listings:
            raise ValueError(f"symbol {symbol!r} is not listed")
        return self._market.listings[symbol]

    def _cut(self, _: QueryParams) -> Result:
        connections = list(self._connections.open)
        for connection in connections:
            connection.cut()
        return {"connections": len(connections)}

    def _silence(self, parameters: QueryParams) -> Result:
        until = time.monotonic() + _positive(parameters, "seconds")
        for connection in self._connections.open:
            connection.silent_until = until
        return {"connections": len(self._connections.open)}

    def _shutdown(self, parameters: QueryParams) -> Result:
        grace = _positive(parameters, "grace") if "grace" in parameters else 10.0
        for connection in self._connections.open:
            self._connections.shut_down(connection, grace)
        return {"connections": len(self._connections.open)}

    def _malformed(self, parameters: QueryParams) -> Result:
        kind, path = parameters["kind"], parameters.get("path")
        accepted = (*KINDS, *VENUE_KINDS) if path is None else ANSWERS
        if kind not in accepted:
            raise ValueError(f"kind {kind!r} is not accepted; accepted: {', '.join(accepted)}")
        if path is not None:
            self._faults.malformed[self._path(path)] = kind
            return {"path": path}
        frames = self._connections.malform(kind, parameters.get("stream"))
        self._faults.counts[f"malformed_{kind}"] += frames
        return {"frames": frames}

    def _path(self, path: str) -> str:
        if path not in self._api.names:
            raise ValueError(f"path {path!r} is not accepted; accepted: {', '.join(self._api.names)}")
        return path

    def _short_page(self, parameters: QueryParams) -> Result:
        path, rows = self._path(parameters["path"]), int(_positive(parameters, "rows"))
        self._faults.short_pages[path] = rows
        return {"path": path, "rows": rows}

    def _duplicate(self, parameters: QueryParams) -> Result:
        self._faults.duplicates += int(_positive(parameters, "count"))
        return {"pending": self._faults.duplicates}

    def _reorder(self, parameters: QueryParams) -> Result:
        self._faults.reorders += int(_positive(parameters, "count"))
        return {"pending": self._faults.reorders}

    def _refuse(self, parameters: QueryParams) -> Result:
        status = int(parameters["status"])
        if status not in (403, 418, 429, 451) and not 500 <= status <= 599:
            raise ValueError(f"status {status} is not accepted; accepted: 403, 418, 429, 451, 5xx")
        self._faults.refuse(status, _positive(parameters, "seconds"))
        return {"until": self._faults.refuse_until}

    def _page(self, parameters: QueryParams) -> Result:
        self._faults.show_page(_positive(parameters, "seconds"))
        return {"until": self._faults.page_until}

    def _maintenance(self, parameters: QueryParams) -> Result:
        kind = parameters["kind"]
        if kind not in MAINTENANCES:
            raise ValueError(f"kind {kind!r} is not accepted; accepted: {', '.join(MAINTENANCES)}")
        self._faults.maintain(kind, _positive(parameters, "seconds"))
        return {"until": self._faults.maintenance_until}

    def _weight(self, parameters: QueryParams) -> Result:
        self._api.use(int(_positive(parameters, "used")))
        return {"used": self._api.used()}

    def _clear(self, _: QueryParams) -> Result:
        self._faults.clear()
        self._api.forgive()
        for connection in self._connections.open:
            connection.silent_until = 0.0
        return {}

    def _drop_trades(self, parameters: QueryParams) -> Result:
        listing, count = self._listing(parameters), int(_positive(parameters, "count"))
        first = listing.next_id()  # those up to now may have been sent already
        aggregates = Span(first, first + count - 1)
        raws = Span(listing.tape.first_raw_id_of(first), listing.tape.first_raw_id_of(first + count) - 1)
        self._faults.dropped.append(Dropped(listing.symbol, aggregates, raws))
        return {"aggregate_ids": [aggregates.first, aggregates.last], "trade_ids": [raws.first, raws.last]}

    def _depth_gap(self, parameters: QueryParams) -> Result:
        listing, count = self._listing(parameters), int(_positive(parameters, "count")) if "count" in parameters else 1
        first = step_at(listing.now()) + 1
        self._faults.book_gaps.append((listing.symbol, Span(first, first + count - 1)))
        book = listing.book
        return {"update_ids": [book.update_id(first - 1) + 1, book.update_id(first + count - 1)]}

    def _restart_book(self, parameters: QueryParams) -> Result:
        listing = self._listing(parameters)
        step = step_at(listing.now())
        before = listing.book.update_id(step)
        listing.book.restart_ids(step)
        return {"last_update_id": before}

    def _jump_book(self, parameters: QueryParams) -> Result:
        listing, ids = self._listing(parameters), int(_positive(parameters, "ids"))
        step = step_at(listing.now())
        before = listing.book.update_id(step)
        listing.book.jump_ids(step, ids)
        return {"last_update_id": before, "next_update_id": before + ids + 1}

    def _cross_book(self, parameters: QueryParams) -> Result:
        listing, seconds = self._listing(parameters), _positive(parameters, "seconds")
        price, _ = listing.book.cross(step_at(listing.now()), max(round(seconds * 1000 / STEP_MS), 1))
        return {"price": plain(price, listing.instrument.price_decimals)}

    def _restart_trades(self, parameters: QueryParams) -> Result:
        listing = self._listing(parameters)
        self._connections.pump()  # what was traded until now is sent with its ids
        before = {"last_aggregate_id": listing.next_id() - 1, "last_trade_id": listing.next_raw_id() - 1}
        listing.restart_trade_ids()
        self._connections.reopen(listing.symbol)
        return before

    def _unsettled(self, parameters: QueryParams) -> Result:
        seconds = _positive(parameters, "seconds")
        self._faults.unsettled_ms[self._listing(parameters).symbol] = round(seconds * 1000)
        return {"seconds": seconds}

    def _cut_kline(self, parameters: QueryParams) -> Result:
        listing, interval, close = self._listing(parameters), parameters["interval"], int(parameters["close"])
        if interval not in INTERVALS:
            raise ValueError(f"interval {interval!r} is not accepted; accepted: {', '.join(INTERVALS)}")
        open_time = opening(interval, int(parameters.get("open", listing.now())))
        self._faults.cut_klines[listing.symbol, interval, open_time] = close
        return {"open_time": open_time, "close_time": close}

    def _delist(self, parameters: QueryParams) -> Result:
        assert self._market is not None
        listing = self._listing(parameters)
        self._market.delist(listing.symbol)
        if parameters.get("remove", "false") == "true":
            self._market.remove(listing.symbol)
        return {"next_aggregate_id": listing.next_id(), "next_trade_id": listing.next_raw_id()}

    def _resume(self, parameters: QueryParams) -> Result:
        assert self._market is not None
        listing = self._listing(parameters)
        if listing.trading:
            raise ValueError(f"symbol {listing.symbol!r} trades")
        self._market.resume(listing.symbol)
        self._connections.reopen(listing.symbol)
        return {"next_aggregate_id": listing.next_id(), "next_trade_id": listing.next_raw_id()}

    def _list(self, parameters: QueryParams) -> Result:
        assert self._market is not None
        instrument = self._dialect.new_instrument(parameters)
        listed = self._market.listings.get(instrument.symbol)
        if listed is not None and listed.trading:
            raise ValueError(f"symbol {instrument.symbol} is already listed")
        unseen = int(_positive(parameters, "unseen")) if "unseen" in parameters else 0
        listing = self._market.list_new(instrument)
        if unseen:
            raws = Span(0, listing.tape.first_raw_id_of(unseen) - 1)
            self._faults.dropped.append(Dropped(listing.symbol, Span(0, unseen - 1), raws))
        self._connections.reopen(listing.symbol)
        return {"symbol": listing.symbol, "from": listing.tape.listed_ms}

    def _crash(self, parameters: QueryParams) -> Result:
        assert self._market is not None
        listing, percent = self._listing(parameters), _positive(parameters, "percent")
        if percent >= 100:
            raise ValueError(f"percent {percent} is not below 100")
        return {"begins": self._market.crash(listing.symbol, percent, _positive(parameters, "seconds"))}

    def _skew(self, parameters: QueryParams) -> Result:
        self._faults.skew_ms = int(parameters["ms"])
        return {"skew_ms": self._faults.skew_ms}


def _positive(parameters: QueryParams, name: str) -> float:
    value = float(parameters[name])
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} {parameters[name]!r} is not a positive number")
    return value
