"""Alerts and sequences of prices."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from cryptocdc_alerter.evaluation import Evaluation, Position, Transition
from cryptocdc_alerter.window import Point
from cryptocdc_core.feed.alerts import Alert

TOPIC = "majors.majors.latest_prices"


def alert(**given: Any) -> Alert:
    return Alert.model_validate({"symbol": "ETHUSDT", **given})


def position(offset: int, partition: int = 3) -> Position:
    return Position(TOPIC, partition, offset)


def run(evaluation: Evaluation, prices: Iterable[Any], start: int = 0, symbol: str = "ETHUSDT") -> list[Transition]:
    """Evaluate one price per second, the first at offset and second `start`; return all transitions."""
    turned: list[Transition] = []
    for at, price in enumerate(prices, start):
        turned += evaluation.evaluate(symbol, Point(at * 1000, Decimal(str(price))), position(at))
    return turned
