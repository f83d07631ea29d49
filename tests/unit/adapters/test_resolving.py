"""A feed's symbols as the exchange answers for them: an answer that can't be right is requested again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.core.feeds import feed

from cryptocdc_adapters import resolving
from cryptocdc_adapters.exchange import ExchangeError, ExchangeRefused, Rest, markets
from cryptocdc_adapters.exchange_budget import Budget
from cryptocdc_adapters.resolving import ExchangeSuspect, resolved

ODD: dict[str, Any] = {"symbols": [{"symbol": "123456", "status": "TRADING", "quoteAsset": "456"}]}


def listing(*symbols: str, status: str = "TRADING") -> dict[str, Any]:
    return {"symbols": [{"symbol": symbol, "status": status, "quoteAsset": "USDT"} for symbol in symbols]}


ALL = listing("BTCUSDT", "ETHUSDT", "BNBUSDT", "ETHBTC", "SOLUSDT")


class Answers(Rest):
    """Gives one answer after the other, the last one forever."""

    def __init__(self, *infos: Any, volumes: dict[str, str] | None = None) -> None:
        self.infos, self.volumes, self.asked = list(infos), volumes or {}, 0
        self.budget = Budget()

    def get(self, path: str, *_: Any, **__: Any) -> bytes:
        if path == "ticker/24hr":
            return json.dumps([{"symbol": s, "quoteVolume": v} for s, v in self.volumes.items()]).encode()
        self.asked += 1
        info = self.infos.pop(0) if len(self.infos) > 1 else self.infos[0]
        if isinstance(info, Exception):
            raise info
        return json.dumps(info).encode()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "PAUSE_S", 0.0)


def test_an_implausible_list_is_requested_again_before_it_is_acted_on() -> None:
    rest = Answers(ODD, ALL)
    found = resolved(rest, feed(), "exchange")
    assert (found.symbols, dict(found.waiting), found.suspect, rest.asked) == (("BTCUSDT", "ETHUSDT"), {}, "", 2)


def test_a_maintenance_makes_no_name_unknown_and_says_why() -> None:
    rest = Answers(ODD)
    found = resolved(rest, feed(), "exchange")
    assert (found.symbols, dict(found.waiting), found.halted) == (("BTCUSDT", "ETHUSDT"), {}, ())
    assert found.suspect.startswith("it lists 1 market and lacks 4 of 4 known ones: BNBUSDT, BTCUSDT, ETHBTC")
    assert rest.asked == resolving.ATTEMPTS


def test_top_keeps_what_it_had_and_without_anything_ends_with_the_exchange_s_fault() -> None:
    top = feed(symbols={"top": {"count": 2}})
    assert resolved(Answers(ODD), top, "exchange", ("SOLUSDT", "BTCUSDT")).symbols == ("BTCUSDT", "SOLUSDT")
    with pytest.raises(ExchangeSuspect, match=r"nothing can be chosen for `top`: it lists 1 market"):
        resolved(Answers(ODD), top, "exchange")


def test_in_full_maintenance_top_is_chosen_among_the_paused_markets() -> None:
    paused = listing("BTCUSDT", "ETHUSDT", "BNBUSDT", "ETHBTC", status="BREAK")
    top = feed(symbols={"top": {"count": 1}})
    found = resolved(Answers(paused, volumes={"ETHUSDT": "5.0"}), top, "exchange")
    assert (found.symbols, found.halted) == (("ETHUSDT",), ("ETHUSDT",))


def test_a_list_without_most_of_what_was_captured_is_not_believed() -> None:
    current = [f"S{at}USDT" for at in range(5)]
    found = resolved(Answers(ALL), feed(symbols={"top": {"count": 5}}), "exchange", current)
    assert found.symbols == tuple(current)
    assert "lacks 5 of 5" in found.suspect


def test_a_replayed_capture_may_list_what_was_recorded_alone() -> None:
    found = resolved(Answers(listing("BTCUSDT")), feed(symbols={"names": ["BTCUSDT"]}), "capture")
    assert (found.symbols, found.suspect) == (("BTCUSDT",), "")


def test_one_market_that_is_not_listed_is_no_error() -> None:
    assert markets(Answers(ExchangeRefused(-1121, "Invalid symbol.")), "NEWUSDT") == {}
    assert list(markets(Answers(listing("NEWUSDT")), "NEWUSDT")) == ["NEWUSDT"]
    with pytest.raises(ExchangeError):
        markets(Answers(ExchangeRefused(-1003, "Too much.")), "NEWUSDT")
