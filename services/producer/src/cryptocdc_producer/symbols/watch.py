"""Watches for silence: of a symbol, whose market may be paused, and of a stream, whose subscription may be lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection

from cryptocdc_adapters.exchange.rest import ExchangeError
from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_producer.capture import Capture
from cryptocdc_producer.rest.requests import Requests
from cryptocdc_producer.streams.trades import Trades
from cryptocdc_producer.symbols.market_states import MarketStates, State, SuspectList
from cryptocdc_producer.symbols.roster import Roster

log = logging.getLogger(__name__)

EVERY_S = 300.0
SILENCE_S = 20.0
"""The state of a symbol that has been silent for this long is requested."""
SILENT_EVERY_S = 30.0
"""Minimum time between such requests: a quiet market is not a paused one."""
AGAIN_S = 5.0
"""Delay after a response that needs confirmation by another."""
ABSENT_EVERY_S = 15.0
"""For markets that are paused or not listed: they are captured again within 30 s of trading."""
FEW = 3
"""Up to this many markets are requested individually; for more the whole list, of megabytes, costs less weight."""
STREAM_SILENCE_S = 120.0
"""A stream that is silent for this long while others of its symbol are not is resubscribed, at most this often."""
_LOOK_EVERY_S = 2.0


async def watch_streams(capture: Capture, roster: Roster) -> None:
    """A single subscription can be lost on a working connection."""
    patience: dict[tuple[str, str], float] = {}
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        silent = set(capture.silent_streams(STREAM_SILENCE_S))
        patience = {stream: until for stream, until in patience.items() if stream in silent}
        now = time.monotonic()
        for stream in silent:
            if now >= patience.get(stream, 0.0):
                log.info("%s: nothing for %s in %.0f s, resubscribing", *stream, STREAM_SILENCE_S)
                patience[stream] = now + STREAM_SILENCE_S * 5
                roster.renew(*stream)


class MarketWatch:
    """Keeps the states of the captured markets. No response ends a subscription: a market that is paused, or not listed
    yet, sends its first frame on the existing one.
    """

    def __init__(
        self,
        requests: Requests,
        capture: Capture,
        trades: Trades | None,
        roster: Roster,
        metrics: ProducerMetrics,
        always_listed: Collection[str],
    ) -> None:
        self._requests, self._capture, self._roster, self._metrics = requests, capture, roster, metrics
        self._trades = trades
        self._states = MarketStates(always_listed)
        self._listed_at = self._absent_at = float("-inf")
        """When (monotonic) all markets were last requested, and those that are absent."""
        self._not_before = float("-inf")
        self._ask_again = False
        self._shown: tuple[set[str], set[str]] = set(), set()

    @property
    def absent(self) -> set[str]:
        """Symbols whose markets are paused or not listed."""
        return set(self._states.absent)

    @property
    def unlisted(self) -> set[str]:
        """Symbols unknown to REST."""
        return self._states.unlisted

    def doubt(self, symbol: str) -> None:
        """Record that a REST response reported `symbol` as unknown: the list of markets is requested to check."""
        if symbol not in self._states.absent:
            self._ask_again = True

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Evaluate what has arrived, and query the exchange about the rest."""
        self._states.keep(self._roster.wanted)
        self._back(self._states.trades(self._capture.live_symbols(SILENCE_S)), by="it sends frames")
        try:
            if self._due():
                await self._ask_all()
            elif self._states.absent and time.monotonic() - self._absent_at >= ABSENT_EVERY_S:
                await self._ask_absent()
        except ExchangeError as error:
            log.warning("can't get the exchange's list of markets: %s", error)
        self._show()

    def _due(self) -> bool:
        """Return whether all markets must be requested."""
        now = time.monotonic()
        age = now - self._listed_at
        if not self._roster.wanted or now < self._not_before:
            return False
        if self._ask_again or self._states.doubtful or age >= EVERY_S:
            return True
        silent = set(self._capture.silent_symbols(SILENCE_S)) - self._states.absent.keys()
        return bool(silent) and age >= SILENT_EVERY_S

    async def _ask_all(self) -> None:
        self._listed_at = self._absent_at = now = time.monotonic()
        # Until a list is trusted.
        self._ask_again, self._not_before = True, now + SILENT_EVERY_S
        markets = await self._requests.markets()
        wanted, live = self._roster.wanted, self._capture.live_symbols(SILENCE_S)
        try:
            back, gone = self._states.take(markets, wanted, live)
        except SuspectList as suspect:
            log.error("the exchange's list of markets is implausible and is requested again: %s", suspect)
            self._metrics.suspect_lists.inc()
            return
        self._ask_again, self._not_before = False, now + AGAIN_S
        self._back(back, by="the exchange lists it as trading")
        if self._trades is not None:
            # With the first answer that lacks it: the market may be listed before the second one.
            for symbol in self._states.missing:
                self._trades.expect_first(symbol, certain=symbol in self._states.absent)
        for symbol in gone:
            if self._states.absent[symbol] is State.PAUSED:
                log.warning("%s: the exchange has paused this market; it is captured once it trades again", symbol)
            else:
                log.warning("%s: not listed by the exchange; it is captured from its first trade on", symbol)

    async def _ask_absent(self) -> None:
        """Query only markets that are not trading."""
        self._absent_at = time.monotonic()
        absent = sorted(self._states.absent)
        if len(absent) > FEW:
            await self._ask_all()
            return
        for symbol in absent:
            market = (await self._requests.markets(symbol)).get(symbol)
            if market is not None and market.trading:
                self._back(self._states.trades([symbol]), by="the exchange lists it as trading")

    def _back(self, symbols: Collection[str], by: str) -> None:
        for symbol in symbols:
            log.info("%s: the market trades: %s", symbol, by)
            if symbol not in self._capture.live_symbols(SILENCE_S):
                # Its subscriptions may have been lost when the market was delisted, or before it was listed.
                self._roster.renew_all(symbol)

    def _show(self) -> None:
        """By name, so that the status can list them; usually there are none."""
        now = self._states.paused, self._states.unlisted
        for gauge, before, symbols in zip(
            (self._metrics.halted_symbols, self._metrics.waiting_symbols), self._shown, now, strict=True
        ):
            for symbol in before - symbols:
                gauge.remove(symbol)
            for symbol in symbols:
                gauge.labels(symbol).set(1)
        self._shown = now
