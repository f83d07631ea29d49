"""Silence: of a symbol that the exchange may have halted, of a stream whose subscription may have died."""

from __future__ import annotations

import asyncio
import logging
import time

from cryptocdc_adapters.exchange import ExchangeError
from cryptocdc_producer.capture import Capture
from cryptocdc_producer.questions import Questions
from cryptocdc_producer.roster import Roster

log = logging.getLogger(__name__)

EVERY_S = 300.0
SILENCE_S = 20.0
"""A symbol of which nothing came for so long is asked about."""
SILENT_EVERY_S = 30.0
"""But not more often than this: a quiet market is no halted one."""
STREAM_SILENCE_S = 120.0
"""A stream silent for so long while others of its symbol are not is subscribed to anew; at most so often."""
_LOOK_EVERY_S = 2.0


async def watch_streams(capture: Capture, roster: Roster) -> None:
    """A subscription can die alone, on a connection that lives."""
    patience: dict[tuple[str, str], float] = {}
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        silent = set(capture.silent_streams(STREAM_SILENCE_S))
        patience = {stream: until for stream, until in patience.items() if stream in silent}
        now = time.monotonic()
        for stream in silent:
            if now >= patience.get(stream, 0.0):
                log.info("%s: nothing for %s since %.0f s, subscribing anew", *stream, STREAM_SILENCE_S)
                patience[stream] = now + STREAM_SILENCE_S * 5
                roster.renew(*stream)


async def watch_markets(questions: Questions, capture: Capture, roster: Roster) -> None:
    asked_at = float("-inf")
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        age = time.monotonic() - asked_at
        if not roster.wanted or age < SILENT_EVERY_S:
            continue
        if age < EVERY_S and not capture.silent_symbols(SILENCE_S):
            continue
        asked_at = time.monotonic()
        try:
            markets = await questions.markets()
        except ExchangeError as error:
            log.warning("the exchange does not tell its markets: %s", error)
            continue
        trading = {symbol for symbol, market in markets.items() if market.trading}
        roster.set_trading(trading.__contains__)
