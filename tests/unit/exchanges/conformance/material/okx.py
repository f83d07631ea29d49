"""OKX, spot and swaps, as https://www.okx.com/docs-v5/en/ documents it."""

from __future__ import annotations

import json
from typing import Any

from cryptocdc_core.planning.resolve import MarketState
from cryptocdc_core.rows.typed import (
    BestQuotesRow,
    Crypto24hStatsRow,
    KlinesRow,
    LatestPricesRow,
    LiquidationsRow,
    MarkPricesRow,
    OpenInterestRow,
    RecentTradesRow,
)
from cryptocdc_core.rows.versions import Rank, kline_version, version
from cryptocdc_exchanges.checks import fingerprint
from cryptocdc_exchanges.okx import requests
from cryptocdc_exchanges.port import Alive, Answer, BookSnapshot, BookUpdate, Closing, Refusal, Reply, SlowDown
from cryptocdc_exchanges.registry import VENUES

from ..examples import NOW, Body, Frame, Material, Recording

REQUESTS = VENUES["okx"].requests
AT = 1_780_315_199_900
MINUTE = 60_000
OPENED = 1_780_315_080_000
SWAP = "BTC-USDT-SWAP"


def push(channel: str, *data: Any, symbol: str = SWAP, **more: Any) -> bytes:
    return json.dumps({"arg": {"channel": channel, "instId": symbol}, **more, "data": list(data)}).encode()


def body(*data: Any) -> bytes:
    return json.dumps({"code": "0", "msg": "", "data": list(data)}).encode()


TRADE = {
    "instId": SWAP, "tradeId": "130639474", "px": "42219.90", "sz": "0.1200", "side": "sell", "ts": str(AT),
    "source": "0",
}  # fmt: skip
AGGREGATE = {**TRADE, "count": "3", "seqId": 1234}
CANDLE = [str(OPENED), "8533.02", "8553.74", "8527.17", "8548.26", "45247", "529.5858061", "5529.50", "1"]
TICKER = {
    "instType": "SPOT", "instId": "BTC-USDT", "last": "9999.99", "lastSz": "0.10", "askPx": "9999.99", "askSz": "11",
    "bidPx": "", "bidSz": "", "open24h": "9000", "high24h": "10000", "low24h": "8888.88", "volCcy24h": "2222",
    "vol24h": "0.2222", "sodUtc0": "2222", "sodUtc8": "2222", "ts": str(AT),
}  # fmt: skip
SNAPSHOT = {
    "asks": [["8476.98", "415", "0", "13"]], "bids": [["8476.97", "256", "0", "12"]], "ts": str(AT), "checksum": 0,
    "prevSeqId": -1, "seqId": 123456,
}  # fmt: skip
UPDATE = {**SNAPSHOT, "asks": [["8476.980", "0", "0", "0"]], "bids": [], "prevSeqId": 123456, "seqId": 123467}
QUIET = {**UPDATE, "asks": [], "prevSeqId": 123467, "seqId": 123467}
QUOTE = {
    "asks": [["111.06", "55154", "0", "2"]], "bids": [["111.05", "57745", "0", "2"]], "ts": str(AT), "seqId": 363996337,
}  # fmt: skip
MARK = {"instType": "SWAP", "instId": SWAP, "markPx": "42310.6", "ts": str(AT)}
INDEX = {
    "instId": "BTC-USDT", "idxPx": "42307.10", "high24h": "43000", "low24h": "41000.5", "open24h": "42500",
    "sodUtc0": "42400", "sodUtc8": "42450", "ts": str(AT - 90_000),
}  # fmt: skip
FUNDING = {
    "formulaType": "noRate", "fundingRate": "-0.0001875391284828", "fundingTime": str(AT + 3_600_000), "instId": SWAP,
    "instType": "SWAP", "interestRate": "", "method": "current_period", "maxFundingRate": "0.00375",
    "minFundingRate": "-0.00375", "nextFundingRate": "", "nextFundingTime": str(AT + 32_400_000),
    "premium": "0.0001233824646391", "settFundingRate": "0.0001418433662153", "settState": "settled",
    "ts": str(AT - 30_000),
}  # fmt: skip
OPEN = {
    "instId": SWAP, "instType": "SWAP", "oi": "2216113.010000000309", "oiCcy": "22161.1301000000031",
    "oiUsd": "1939251795.5453", "ts": str(AT),
}  # fmt: skip
FORCED: dict[str, Any] = {
    "details": [{"bkLoss": "0", "bkPx": "42007.20", "ccy": "", "posSide": "short", "side": "buy", "sz": "13.4",
                 "ts": str(AT)}],
    "instFamily": "BTC-USDT", "instId": SWAP, "instType": "SWAP", "uly": "BTC-USDT",
}  # fmt: skip
RESET = {**UPDATE, "prevSeqId": 123467, "seqId": 3}


def trade_row(first_id: int | None) -> RecentTradesRow:
    return RecentTradesRow(
        symbol=SWAP, trade_time=AT, trade_id=130639474, price="42219.90", quantity="0.1200", first_trade_id=first_id,
        last_trade_id=130639474, buyer_is_maker=True, received_at=NOW, version=version(AT),
    )  # fmt: skip


def candle_row(rank: Rank) -> KlinesRow:
    return KlinesRow(
        symbol=SWAP, interval="1m", open_time=OPENED, close_time=OPENED + MINUTE - 1, open="8533.02", high="8553.74",
        low="8527.17", close="8548.26", volume="45247", quote_volume="5529.50", trade_count=None, taker_buy_volume=None,
        taker_buy_quote_volume=None, closed=True, event_time=NOW, received_at=NOW,
        version=kline_version(NOW, OPENED + MINUTE, rank),
    )  # fmt: skip


STATS = Crypto24hStatsRow(
    symbol="BTC-USDT", event_time=AT, price_change=None, price_change_percent=None, weighted_avg_price=None,
    open_price="9000", high_price="10000", low_price="8888.88", last_price="9999.99", last_quantity="0.10",
    bid_price=None, bid_quantity=None, ask_price="9999.99", ask_quantity="11", volume="0.2222", quote_volume="2222",
    open_time=None, close_time=None, trade_count=None, received_at=NOW, version=version(AT),
)  # fmt: skip
PRICE = LatestPricesRow(symbol="BTC-USDT", event_time=AT, price="9999.99", received_at=NOW, version=version(AT))


def mark_row(rate: str | None, ends: int | None) -> MarkPricesRow:
    return MarkPricesRow(
        symbol=SWAP, event_time=AT, mark_price="42310.6", index_price="42307.10", funding_rate=rate,
        next_funding_time=ends, received_at=NOW, version=version(AT),
    )  # fmt: skip


def forced(**order: Any) -> bytes:
    detail = {**FORCED["details"][0], **order}
    document = {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [{**FORCED, "details": [detail]}]}
    return json.dumps(document).encode()


def parts(**funding: str) -> list[bytes]:
    return [push("index-tickers", INDEX, symbol="BTC-USDT"), push("funding-rate", {**FUNDING, **funding})]


def update(first_id: int, last_id: int, **more: Any) -> BookUpdate:
    return BookUpdate(**{"symbol": SWAP, "event_time": AT, "first_id": first_id, "last_id": last_id, "bids": [],
                         "asks": [("8476.980", "0")], **more})  # fmt: skip


def event(**fields: Any) -> bytes:
    return json.dumps({**fields, "connId": "a4d3ae55"}).encode()


WRONG = (
    "Wrong URL or channel:books,instId:BTC-USD-191227 doesn't exist. Please use the correct URL, channel and parameters"
    " referring to API document."
)

MATERIAL = Material(
    frames=[
        Frame(push("trades-all", TRADE), trade_row(130639474)),
        Frame(push("trades", AGGREGATE), trade_row(None), "aggregate"),
        Frame(push("trades", {**AGGREGATE, "count": "1"}), trade_row(130639474), "aggregate"),
        Frame(push("candle1m", CANDLE), candle_row(Rank.CLOSED)),
        Frame(push("tickers", TICKER, symbol="BTC-USDT"), STATS),
        Frame(push("tickers", TICKER, symbol="BTC-USDT"), PRICE),
        Frame(
            push("books", SNAPSHOT, action="snapshot"),
            update(0, 123456, snapshot=True, bids=[("8476.97", "256")], asks=[("8476.98", "415")]),
        ),
        Frame(push("books", UPDATE, action="update"), update(123457, 123467)),
        Frame(push("books", QUIET, action="update"), update(123468, 123467, asks=[])),
        Frame(push("books", RESET, action="update"), update(123468, 3)),
        Frame(
            push("bbo-tbt", QUOTE),
            BestQuotesRow(
                symbol=SWAP, event_time=AT, update_id=363996337, bid_price="111.05", bid_quantity="57745",
                ask_price="111.06", ask_quantity="55154", received_at=NOW, version=version(AT),
            ),
        ),
        Frame(
            push("bbo-tbt", {**QUOTE, "bids": []}),
            BestQuotesRow(
                symbol=SWAP, event_time=AT, update_id=363996337, bid_price=None, bid_quantity=None, ask_price="111.06",
                ask_quantity="55154", received_at=NOW, version=version(AT),
            ),
        ),
        Frame(push("mark-price", MARK), mark_row("-0.0001875391284828", AT + 3_600_000), before=parts()),
        Frame(push("mark-price", MARK), mark_row(None, AT + 3_600_000), before=parts(fundingRate="")),
        Frame(push("mark-price", MARK), mark_row(None, None), before=parts(fundingTime=str(AT))),
        Frame(
            forced(),
            LiquidationsRow(
                symbol=SWAP, trade_time=AT, side="buy", price="42007.20", quantity="13.4",
                liquidation_id=fingerprint("buy", "short", "42007.20", "13.4", "0"), average_price=None,
                filled_quantity=None, received_at=NOW, version=version(AT),
            ),
        ),
    ],
    controls=[
        (
            event(id="7", event="subscribe", arg={"channel": "liquidation-orders", "instType": "SWAP"}),
            Reply("", 7, frozenset({"liquidation-orders:SWAP"})),
        ),
        (
            event(id="7", event="subscribe", arg={"channel": "books", "instId": SWAP}),
            Reply("", 7, frozenset({f"books:{SWAP}"})),
        ),
        (
            event(event="unsubscribe", arg={"channel": "candle1H", "instId": SWAP}),
            Reply("", None, frozenset({f"candle1H:{SWAP}"})),
        ),
        (
            event(id="8", event="error", code="60018", msg=WRONG),
            Reply(f"60018: {WRONG}", 8, frozenset({"books:BTC-USD-191227"})),
        ),
        (
            event(id="9", event="error", code="60014", msg="Requests too frequent"),
            Reply("60014: Requests too frequent", 9, None),
        ),
        (event(event="notice", code="64008", msg="The connection will soon be closed."), Closing()),
        (b"pong", Alive()),
    ],
    odd=[
        (b'{"arg":{"channel":"trades-all"', "invalid-json"),
        (push("never-heard-of", TRADE), "unknown-event"),
        (push("trades", AGGREGATE), "unknown-event"),
        (push("candle7m", CANDLE), "unknown-event"),
        (push("trades-all", {**TRADE, "tradeId": "-1"}), "wrong-field"),
        (push("trades-all", {**TRADE, "side": "both"}), "wrong-field"),
        (push("trades-all", {**TRADE, "padding": "x" * 2_000_000}), "oversize"),
        (push("trades-all", {**TRADE, "px": "1e5"}), "wrong-decimal"),
        (push("index-tickers", {**INDEX, "idxPx": "4e4"}, symbol="BTC-USDT"), "wrong-decimal"),
        (push("funding-rate", {**FUNDING, "fundingRate": "1e-5"}), "wrong-decimal"),
        (push("funding-rate", {**FUNDING, "fundingTime": ""}), "wrong-field"),
        (push("open-interest", OPEN), "unknown-event"),
        (forced(side="both"), "wrong-field"),
        (forced(bkPx=""), "wrong-decimal"),
        (push("books", UPDATE), "wrong-field"),
        (push("books", {**UPDATE, "prevSeqId": -1}, action="update"), "wrong-field"),
        (event(event="login", code="0"), "unknown-event"),
        (event(event="error", code="60012", msg="Invalid request: {}"), "error-body"),
        (b'{"code":"50001","msg":"Service temporarily unavailable."}', "error-body"),
    ],
    bodies=[
        Body(REQUESTS.trades(SWAP, "trade", 130639474, 1), body(TRADE), [trade_row(130639474)]),
        Body(REQUESTS.trades(SWAP, "trade", None, 1), body(TRADE), [trade_row(130639474)]),
        Body(REQUESTS.klines(SWAP, "1m", OPENED, 1), body(CANDLE), [candle_row(Rank.FINAL)]),
        Body(REQUESTS.stats(["BTC-USDT"]), body(TICKER), [STATS]),
        Body(REQUESTS.prices(["BTC-USDT"]), body(TICKER), [PRICE]),
        Body(
            requests.open_interest(SWAP),
            body(OPEN),
            [OpenInterestRow(
                symbol=SWAP, event_time=AT, open_interest="22161.1301000000031", received_at=NOW, version=version(AT)
            )],
        ),
        Body(
            REQUESTS.book(SWAP, 20),
            body(SNAPSHOT),
            BookSnapshot(123456, [("8476.97", "256")], [("8476.98", "415")]),
        ),
    ],
    verdicts=[
        (Answer(200, {}, body()), None),
        (Answer(503, {}, b'{"code":"50001","msg":"Service temporarily unavailable."}'), None),
        (Answer(429, {}, b'{"msg":"Too Many Requests","code":"50011"}'), SlowDown(2.0)),
        (Answer(200, {}, b'{"code":"50011","msg":"Rate limit reached.","data":[]}'), SlowDown(2.0)),
        (Answer(200, {}, b'{"code":"50013","msg":"Systems are busy.","data":[]}'), SlowDown(2.0)),
        (Answer(403, {}, b"<html>"), SlowDown(60.0)),
        (Answer(200, {}, b'{"code":"51001","msg":"No such ID.","data":[]}'), Refusal("51001", "No such ID.", True)),
        (Answer(400, {}, b'{"code":"51000","msg":"bar error","data":[]}'), Refusal("51000", "bar error")),
        (Answer(404, {}, b"<html>"), Refusal(0, "")),
    ],
    states=(
        body(
            *(
                {"instId": symbol, "instType": "SPOT", "state": state, "quoteCcy": "USDT"}
                for symbol, state in {
                    "BTC-USDT": "live", "LUNA-USDT": "suspend", "NEW-USDT": "preopen", "OLD-USDT": "expired",
                    "SPLIT-USDT": "rebase",
                }.items()
            )
        ),
        {
            "BTC-USDT": MarketState.TRADING, "LUNA-USDT": MarketState.HALTED, "NEW-USDT": MarketState.PENDING,
            "OLD-USDT": MarketState.GONE, "SPLIT-USDT": MarketState.HALTED,
        },
    ),
    recording=Recording(
        "okx-websocket.capture",
        "okx-rest.capture",
        ("BTC-USDT",),
        {
            "recentTrades": {"kind": "aggregate"},
            "crypto24hStats": {"source": "websocket"},
            "latestPrices": {},
            "orderBook": {"depth": 5, "interval": "1s"},
        },
    ),
)  # fmt: skip
