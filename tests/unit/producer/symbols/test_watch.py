"""How markets that fall silent are handled: never because of a single list of the exchange alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from tests.unit.producer.conftest import BINANCE, Recorded, agg_trade, frame, make_capture, make_feed

from cryptocdc_adapters.exchange.rest import ExchangeUnreachable
from cryptocdc_core.planning.resolve import Market, MarketState
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_exchanges.port import Channel
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import Gap
from cryptocdc_producer.symbols.roster import Roster
from cryptocdc_producer.symbols.watch import ABSENT_EVERY_S, MarketWatch

OTHERS = {symbol: Market(symbol, "USDT") for symbol in ("BTCUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT")}
TRADING = {**OTHERS, "ETHUSDT": Market("ETHUSDT", "USDT")}
PAUSED = {**OTHERS, "ETHUSDT": Market("ETHUSDT", "USDT", MarketState.HALTED)}
MAINTENANCE = {"123456": Market("123456", "456")}


class Streams:
    """The subscriptions, and the renewed ones."""

    def __init__(self) -> None:
        self.open: set[Channel] = set()
        self.renewed: set[Channel] = set()

    def add(self, streams: Iterable[Channel]) -> None:
        self.open |= set(streams)

    def remove(self, streams: Iterable[Channel]) -> None:
        self.open -= set(streams)

    def renew(self, streams: Iterable[Channel]) -> None:
        self.renewed |= set(streams)


class Exchange:
    """The exchange's current list."""

    def __init__(self) -> None:
        self.lists: Mapping[str, Market] | Exception = TRADING
        self.asked: list[str | None] = []

    async def markets(self, symbol: str | None = None) -> dict[str, Market]:
        self.asked.append(symbol)
        if isinstance(self.lists, Exception):
            raise self.lists
        return {name: market for name, market in self.lists.items() if symbol in (None, name)}


class Watched:
    """A watch on BTCUSDT and ETHUSDT that is checked every two seconds of a clock that tests move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")) -> None:
        self.at = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.at)
        self.metrics, self.exchange, self.streams = ProducerMetrics("test"), Exchange(), Streams()
        self.recorded: Recorded = make_capture()
        self.capture = self.recorded.capture
        for symbol in symbols:
            self.capture.add(symbol, Stored())
        self.roster = Roster(make_feed(), BINANCE, None, self.capture, self.streams, None)  # type: ignore[arg-type]
        self.roster._wanted = set(symbols)
        for symbol in symbols:
            self.streams.add(self.roster.channels(symbol))
        self.subscribed = set(self.streams.open)
        always = ("BTCUSDT", "ETHUSDT")
        self.watch = MarketWatch(self.exchange, self.capture, self.recorded.trades, self.roster, self.metrics, always)  # type: ignore[arg-type]

    def trade(self, symbol: str, id: int = 7) -> None:
        self.capture.receive(frame(agg_trade(id, symbol)))

    def passes(self, seconds: float, *trading: str) -> None:
        """Let time pass while the markets in `trading` send frames and the others are silent."""
        ids = iter(range(int(self.at) * 10, 10**9))
        for _ in range(int(seconds / 2)):
            self.at += 2
            for symbol in trading:
                self.trade(symbol, next(ids))
            asyncio.run(self.watch.look())

    def shown(self, gauge: str) -> list[str]:
        return [
            sample.labels["symbol"]
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == f"cryptocdc_producer_{gauge}"
        ]

    def count(self, name: str) -> Any:
        return self.metrics.registry.get_sample_value(f"cryptocdc_producer_{name}")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_an_implausible_list_ends_no_subscription_and_is_requested_again(watched: Watched) -> None:
    watched.exchange.lists = MAINTENANCE
    watched.passes(120, "BTCUSDT", "ETHUSDT")
    assert watched.streams.open == watched.subscribed
    assert watched.capture.symbols == {"BTCUSDT", "ETHUSDT"}
    assert (watched.shown("halted_symbols"), watched.shown("waiting_symbols")) == ([], [])
    assert 3 <= watched.count("suspect_lists_total") <= 5
    assert watched.recorded.refused == [], "no frame is thrown away"


def test_a_paused_market_stays_subscribed_and_is_shown_until_its_first_frame(watched: Watched) -> None:
    watched.passes(10, "BTCUSDT", "ETHUSDT")
    watched.exchange.lists = PAUSED
    watched.passes(80, "BTCUSDT")
    assert watched.shown("halted_symbols") == ["ETHUSDT"]
    assert watched.streams.open == watched.subscribed
    last = watched.recorded.trades.last("ETHUSDT") or 0
    watched.trade("ETHUSDT", last + 1)
    watched.passes(2)
    assert watched.shown("halted_symbols") == []
    assert watched.recorded.trades.last("ETHUSDT") == last + 1


def test_a_market_that_trades_again_is_subscribed_to_again_in_time(watched: Watched) -> None:
    """The subscription may have died while the market was paused."""
    watched.exchange.lists = PAUSED
    watched.passes(80, "BTCUSDT")
    assert watched.streams.renewed == set()
    watched.exchange.lists = TRADING
    watched.passes(ABSENT_EVERY_S + 2, "BTCUSDT")
    assert watched.streams.renewed == set(watched.roster.channels("ETHUSDT"))
    assert "ETHUSDT" in watched.exchange.asked, "requested alone, since the list of all is megabytes"


def test_the_only_market_is_watched_while_it_is_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Watched(monkeypatch, ("ETHUSDT",))
    alone.capture.remove("BTCUSDT")
    alone.passes(10, "ETHUSDT")
    alone.exchange.lists = PAUSED
    alone.passes(40)
    alone.exchange.lists = TRADING
    back_at = alone.at
    alone.passes(20)
    assert alone.streams.open == alone.subscribed
    assert alone.shown("halted_symbols") == []
    assert alone.at - back_at <= 30


def test_the_first_trades_of_a_newly_listed_market_are_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = Watched(monkeypatch, ("BTCUSDT", "NEWUSDT"))
    waiting.passes(20, "BTCUSDT")
    assert waiting.shown("waiting_symbols") == ["NEWUSDT"]
    assert waiting.watch.unlisted == {"NEWUSDT"}
    waiting.trade("NEWUSDT", 20_037)
    assert [gap for gap in waiting.recorded.gaps if gap.symbol == "NEWUSDT"] == [
        Gap("recent_trades", "NEWUSDT", "", 0, 20_036)
    ]
    waiting.passes(2)
    assert waiting.shown("waiting_symbols") == []


def test_the_first_trades_of_a_market_listed_just_after_the_start_are_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = Watched(monkeypatch, ("BTCUSDT", "NEWUSDT"))
    waiting.passes(2, "BTCUSDT")
    assert waiting.shown("waiting_symbols") == []
    waiting.trade("NEWUSDT", 7)
    assert [gap for gap in waiting.recorded.gaps if gap.symbol == "NEWUSDT"] == [
        Gap("recent_trades", "NEWUSDT", "", 0, 6)
    ]


@pytest.mark.parametrize("trade_id", [2_345_678, 915_837_986])
def test_a_market_missing_from_one_list_has_no_gap_of_its_history(
    monkeypatch: pytest.MonkeyPatch, trade_id: int
) -> None:
    waiting = Watched(monkeypatch, ("BTCUSDT", "NEWUSDT"))
    waiting.passes(2, "BTCUSDT")
    waiting.trade("NEWUSDT", trade_id)
    assert [gap for gap in waiting.recorded.gaps if gap.symbol == "NEWUSDT"] == []


def test_a_market_with_stored_trades_has_no_gap_before_its_next_trade(monkeypatch: pytest.MonkeyPatch) -> None:
    again = Watched(monkeypatch, ("BTCUSDT",))
    again.capture.add("OLDUSDT", Stored(last_trade=41))
    again.roster._wanted.add("OLDUSDT")
    again.passes(20, "BTCUSDT")
    again.trade("OLDUSDT", 42)
    assert [gap for gap in again.recorded.gaps if gap.symbol == "OLDUSDT"] == []


def test_a_symbol_reported_as_unknown_is_looked_up_in_the_list_first(watched: Watched) -> None:
    watched.passes(20, "BTCUSDT", "ETHUSDT")
    asked = len(watched.exchange.asked)
    watched.watch.doubt("ETHUSDT")
    watched.passes(2, "BTCUSDT", "ETHUSDT")
    assert watched.exchange.asked[asked:] == [None]
    assert watched.watch.unlisted == set()


def test_an_unreachable_exchange_changes_nothing_and_is_asked_again(watched: Watched) -> None:
    watched.exchange.lists = ExchangeUnreachable("away")
    watched.passes(100)
    assert 3 <= len(watched.exchange.asked) <= 4
    assert watched.streams.open == watched.subscribed
