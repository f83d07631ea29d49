"""A feed's symbols as the exchange lists them: an implausible list is requested again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core.feeds import feed

from cryptocdc_adapters.exchange import resolving
from cryptocdc_adapters.exchange.resolving import ExchangeSuspect, resolved
from cryptocdc_adapters.exchange.rest import ExchangeError, ExchangeRefused, Rest, markets
from cryptocdc_core.feed.model import FeedError
from cryptocdc_exchanges import registry
from cryptocdc_exchanges.port import Offer, Proof, Request
from cryptocdc_exchanges.registry import VENUES

ODD: dict[str, Any] = {"symbols": [{"symbol": "123456", "status": "TRADING", "quoteAsset": "456"}]}


def listing(*symbols: str, status: str = "TRADING") -> dict[str, Any]:
    return {"symbols": [{"symbol": symbol, "status": status, "quoteAsset": "USDT"} for symbol in symbols]}


ALL = listing("BTCUSDT", "ETHUSDT", "BNBUSDT", "ETHBTC", "SOLUSDT")


class Answers(Rest):
    """Returns the answers in turn, the last one forever."""

    def __init__(self, *infos: Any, volumes: dict[str, str] | None = None) -> None:
        super().__init__(VENUES["binance"])
        self.infos, self.volumes, self.asked = list(infos), volumes or {}, 0

    def get(self, request: Request[Any], _: float = 1.0) -> bytes:
        if request.path.endswith("ticker/24hr"):
            return json.dumps([{"symbol": s, "quoteVolume": v} for s, v in self.volumes.items()]).encode()
        self.asked += 1
        info = self.infos.pop(0) if len(self.infos) > 1 else self.infos[0]
        if isinstance(info, Exception):
            raise info
        return json.dumps(info).encode()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "PAUSE_S", 0.0)


def test_an_implausible_list_is_requested_again_before_it_is_used() -> None:
    rest = Answers(ODD, ALL)
    found = resolved(rest, feed(), "exchange")
    assert (found.symbols, dict(found.waiting), found.suspect, rest.asked) == (("BTCUSDT", "ETHUSDT"), {}, "", 2)


def test_during_maintenance_symbols_stay_known_and_the_reason_is_reported() -> None:
    rest = Answers(ODD)
    found = resolved(rest, feed(), "exchange")
    assert (found.symbols, dict(found.waiting), found.halted) == (("BTCUSDT", "ETHUSDT"), {}, ())
    assert found.suspect.startswith("it lists 1 market and lacks 4 of 4 known ones: BNBUSDT, BTCUSDT, ETHBTC")
    assert rest.asked == resolving.ATTEMPTS


def test_top_keeps_its_symbols_on_an_implausible_list_and_fails_if_it_has_none() -> None:
    top = feed(symbols={"top": {"count": 2}})
    assert resolved(Answers(ODD), top, "exchange", ("SOLUSDT", "BTCUSDT")).symbols == ("BTCUSDT", "SOLUSDT")
    with pytest.raises(ExchangeSuspect, match=r"nothing can be chosen for `top`: it lists 1 market"):
        resolved(Answers(ODD), top, "exchange")


def test_in_full_maintenance_top_is_chosen_among_the_paused_markets() -> None:
    paused = listing("BTCUSDT", "ETHUSDT", "BNBUSDT", "ETHBTC", status="BREAK")
    top = feed(symbols={"top": {"count": 1}})
    found = resolved(Answers(paused, volumes={"ETHUSDT": "5.0"}), top, "exchange")
    assert (found.symbols, found.halted) == (("ETHUSDT",), ("ETHUSDT",))


def test_a_list_that_lacks_most_captured_symbols_is_rejected() -> None:
    current = [f"S{at}USDT" for at in range(5)]
    found = resolved(Answers(ALL), feed(symbols={"top": {"count": 5}}), "exchange", current)
    assert found.symbols == tuple(current)
    assert "lacks 5 of 5" in found.suspect


def test_a_replayed_capture_may_list_only_what_was_recorded() -> None:
    found = resolved(Answers(listing("BTCUSDT")), feed(symbols={"names": ["BTCUSDT"]}), "capture")
    assert (found.symbols, found.suspect) == (("BTCUSDT",), "")


def test_looking_up_one_unlisted_market_is_not_an_error() -> None:
    assert markets(Answers(ExchangeRefused(-1121, "Invalid symbol.", unknown_symbol=True)), "NEWUSDT") == {}
    assert list(markets(Answers(listing("NEWUSDT")), "NEWUSDT")) == ["NEWUSDT"]
    with pytest.raises(ExchangeError):
        markets(Answers(ExchangeRefused(-1003, "Too much.")), "NEWUSDT")


def test_unsupported_options_are_refused_before_the_exchange_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    offers = {
        "recent_trades": Offer(("websocket",), Proof.IDS, accepted={"kind": ("trade",)}),
        "klines": Offer(("rest",), Proof.IDS, accepted={"intervals": ("1m", "1h")}),
    }
    monkeypatch.setitem(registry.VENUES, "binance", replace(VENUES["binance"], offers=offers))
    rest = Answers(ALL)

    with pytest.raises(FeedError) as error:
        resolved(
            rest, feed(streams={"recentTrades": {}, "klines": {"intervals": ["1m", "3m"]}, "orderBook": {}}), "exchange"
        )

    assert error.value.problems == [
        "spec.streams.recentTrades.kind: 'aggregate' is not accepted; accepted at binance: trade",
        "spec.streams.klines.source: 'websocket' is not accepted; accepted at binance: rest",
        "spec.streams.klines.intervals: '3m' is not accepted; accepted at binance: 1m, 1h",
        "spec.streams.orderBook: binance does not have it; accepted: recentTrades, klines;"
        f" exchanges that have orderBook: {', '.join(name for name in VENUES if name != 'binance')}",
    ]
    assert rest.asked == 0
