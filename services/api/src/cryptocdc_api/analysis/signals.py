"""Figures computed from candles, a row for each candle. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from cryptocdc_api.analysis.indicators import WORKING, Series, ema, rsi, shown, sma, volatility, vwap
from cryptocdc_api.reading.paging import Row
from cryptocdc_api.shapes import Json, digits, shaper
from cryptocdc_core.catalogue import Column
from cryptocdc_core.catalogue.streams import KLINES

WARM_UP = 250
"""Candles before the first one returned, enough that the start of an exponential average of 26 no longer matters."""

SIGNALS = {
    "sma_20": "Mean close of 20 candles.",
    "sma_50": "Mean close of 50 candles.",
    "ema_12": "Exponential average of the close, 12 candles.",
    "ema_26": "Exponential average of the close, 26 candles.",
    "macd": "ema_12 less ema_26.",
    "rsi_14": "Relative strength index of 14 candles, smoothed as Wilder did: 0 to 100.",
    "vwap_20": "Quote volume by volume of 20 candles; null where the exchange does not report quote volumes.",
}
VOLATILITY = {
    "range_percent": "High minus low of the candle, in percent of its open.",
    "volatility_percent": "Standard deviation of the logarithmic returns from candle to candle, in percent.",
}

_HEAD = [c for c in KLINES.columns if c.name in ("symbol", "interval", "open_time", "close", "closed")]
_SHAPE = shaper(_HEAD)
_PLACES = [KLINES.position(column.name) for column in _HEAD]


def head_columns() -> list[Column]:
    """Return the columns of the candle in these rows."""
    return _HEAD


def head(row: Row) -> Json:
    """Return a candle's symbol, interval, time and close."""
    return _SHAPE([row[at] for at in _PLACES])


def _values(rows: Sequence[Row], column: str) -> list[Decimal]:
    at = KLINES.position(column)
    return [row[at] for row in rows]


def _text(value: Decimal | None) -> str | None:
    rounded = shown(value)
    return None if rounded is None else digits(rounded)


def signals(rows: Sequence[Row]) -> list[Json]:
    """Return the signals of each candle; `rows` are consecutive klines, oldest first."""
    closes = _values(rows, "close")
    fast, slow = ema(closes, 12), ema(closes, 26)
    series: dict[str, Series] = {
        "sma_20": sma(closes, 20),
        "sma_50": sma(closes, 50),
        "ema_12": fast,
        "ema_26": slow,
        "macd": [None if a is None or b is None else a - b for a, b in zip(fast, slow, strict=True)],
        "rsi_14": rsi(closes),
        "vwap_20": vwap(_values(rows, "quote_volume"), _values(rows, "volume"), 20),
    }
    assert series.keys() == SIGNALS.keys()
    return [{**head(row), **{name: _text(found[at]) for name, found in series.items()}} for at, row in enumerate(rows)]


def volatilities(rows: Sequence[Row], window: int) -> list[Json]:
    """Return each candle's volatility over the last `window` returns; `rows` as in `signals`."""
    found = volatility(_values(rows, "close"), window)
    prices = zip(*(_values(rows, column) for column in ("open", "high", "low")), strict=True)
    ranges = [
        WORKING.divide(WORKING.multiply(high - low, 100), start) if start else None for start, high, low in prices
    ]
    return [
        {**head(row), "window": window, "range_percent": _text(span), "volatility_percent": _text(value)}
        for row, span, value in zip(rows, ranges, found, strict=True)
    ]
