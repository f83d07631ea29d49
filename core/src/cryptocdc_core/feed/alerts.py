"""Market alerts in a feed: a symbol and exactly one condition, on its price or that it stands out from its past."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    SerializationInfo,
    ValidationError,
    WithJsonSchema,
    field_validator,
)

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, KLINES, LATEST_PRICES, RECENT_TRADES
from cryptocdc_core.feed.base import Broken, Duration, FeedModel, Symbol
from cryptocdc_core.time import durations

SHORTEST_S, LONGEST_S = 10, 86_400
"""Limits of a window. Prices arrive about once per second, and the longest window is reread from Kafka at each
start."""

PRICES: dict[str, tuple[Stream, str]] = {
    stream.table: (stream, column)
    for stream, column in (
        (LATEST_PRICES, "price"),
        (RECENT_TRADES, "price"),
        (KLINES, "close"),
        (CRYPTO_24H_STATS, "last_price"),
    )
}
"""The streams with prices and their price columns, by table. Alerts use the first that the feed captures."""

PriceCondition = Literal["dropPercent", "risePercent", "volatilityPercent", "above", "below"]
Condition = PriceCondition | Literal["anomaly"]
CONDITIONS: tuple[Condition, ...] = (*get_args(PriceCondition), "anomaly")
Kind = Literal["price", "volume", "spread", "quote_rate"]
OF_BOOKS: tuple[Kind, ...] = ("spread", "quote_rate")


def _as_written(value: Any) -> Any:
    """Convert a number to the decimal that was written: up to 15 digits, a float's shortest repr is what was
    written."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("a number is accepted, such as 5 or 2.5")
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _plain(value: Decimal, info: SerializationInfo) -> Any:
    """Serialize to a number in JSON and YAML: an int if it is whole."""
    if not info.mode_is_json():
        return value
    return int(value) if value == value.to_integral_value() else float(value)


_READ, _WRITTEN = BeforeValidator(_as_written), PlainSerializer(_plain)
_LEAST_PERCENT, _LEAST_PRICE, _MOST_PRICE = Decimal("0.01"), Decimal("0.000000000001"), Decimal(1_000_000_000_000)
Below100 = Annotated[
    Decimal, _READ, _WRITTEN, Field(ge=_LEAST_PERCENT, le=Decimal("99.99")),
    WithJsonSchema({"type": "number", "minimum": 0.01, "maximum": 99.99}),
]  # fmt: skip
Percent = Annotated[
    Decimal, _READ, _WRITTEN, Field(ge=_LEAST_PERCENT, le=Decimal(10_000)),
    WithJsonSchema({"type": "number", "minimum": 0.01, "maximum": 10_000}),
]  # fmt: skip
Price = Annotated[
    Decimal, _READ, _WRITTEN, Field(ge=_LEAST_PRICE, le=_MOST_PRICE),
    WithJsonSchema({"type": "number", "minimum": 1e-12, "maximum": 1_000_000_000_000}),
]  # fmt: skip


class Alert(FeedModel):
    """A symbol and exactly one condition."""

    symbol: Symbol
    """The captured symbol whose price is watched. With `symbols.top` this can't be validated beforehand: if no price
    arrives, the alert CryptocdcAlertsBlind fires."""
    window: Duration | None = None
    """How far dropPercent, risePercent and volatilityPercent look back: 10s to 1d, and no longer than Kafka keeps the
    prices. Required for these, not accepted for above and below."""
    drop_percent: Below100 | None = Field(None, alias="dropPercent")
    """True while the price is at least this many percent below the highest of the window."""
    rise_percent: Percent | None = Field(None, alias="risePercent")
    """True while the price is at least this many percent above the lowest of the window."""
    volatility_percent: Percent | None = Field(None, alias="volatilityPercent")
    """True while the highest price of the window is at least this many percent above its lowest."""
    above: Price | None = None
    """True while the price is above this one, in the quote asset."""
    below: Price | None = None
    """True while the price is below this one, in the quote asset."""
    anomaly: bool | None = None
    """`true`: true while a window stands out from the symbol's recent past. It fires with an anomaly, and resolves with
    the next window of the same kind and length that is not an anomaly. Requires `analytics.anomalies`."""
    kind: Kind | None = None
    """The kind of anomaly to watch: `price`, `volume`, `spread` or `quote_rate`; by default all. Accepted with
    `anomaly` only."""

    @field_validator("window")
    @classmethod
    def _bounded(cls, window: str | None) -> str | None:
        if window is not None and not SHORTEST_S <= durations.seconds(window) <= LONGEST_S:
            raise ValueError("10s to 1d is accepted")
        return window

    @classmethod
    def broken_rules(cls, given: dict[str, Any]) -> Iterator[Broken]:
        conditions = [name for name in CONDITIONS if name in given]
        if len(conditions) > 1 or cls.lacks(given, CONDITIONS):
            yield (), f"exactly one of {', '.join(CONDITIONS)} is accepted"
        elif given.get("anomaly") is False:
            yield ("anomaly",), "true is accepted"
        elif given.get("kind") is not None and conditions != ["anomaly"]:
            yield ("kind",), "accepted with anomaly only"
        elif conditions and looks_back(conditions[0]) != ("window" in given):
            need = "needs" if looks_back(conditions[0]) else "has no"
            if need == "has no" or cls.lacks(given, ("window",)):
                yield (), f"{conditions[0]} {need} window; accepted: window with {', '.join(LOOKING_BACK)} only"

    def _thresholds(self) -> list[tuple[PriceCondition, Decimal | None]]:
        return [
            ("dropPercent", self.drop_percent), ("risePercent", self.rise_percent),
            ("volatilityPercent", self.volatility_percent), ("above", self.above), ("below", self.below),
        ]  # fmt: skip

    @property
    def condition(self) -> Condition:
        return next((name for name, value in self._thresholds() if value is not None), "anomaly")

    @property
    def price_condition(self) -> PriceCondition:
        return next(name for name, value in self._thresholds() if value is not None)

    @property
    def threshold(self) -> Decimal:
        """In percent or in the quote asset, depending on the condition, which is on the price."""
        return next(value for _, value in self._thresholds() if value is not None)

    @property
    def window_ms(self) -> int:
        """The window in milliseconds; 0 for a condition without one."""
        return durations.seconds(self.window) * 1000 if self.window is not None else 0

    @property
    def id(self) -> str:
        """The alert in one word, "ETHUSDT/dropPercent/5/1h": one with another threshold is another alert."""
        if self.anomaly:
            return "/".join([self.symbol, "anomaly", *filter(None, [self.kind])])
        parts = [self.symbol, self.condition, number_text(self.threshold), *filter(None, [self.window])]
        return "/".join(parts)


LOOKING_BACK: tuple[PriceCondition, ...] = ("dropPercent", "risePercent", "volatilityPercent")


def looks_back(condition: Condition) -> bool:
    return condition in LOOKING_BACK


def number_text(number: Decimal) -> str:
    """Return the number without exponent or trailing zeros."""
    return format(number.normalize(), "f")


class AlertWebhook(FeedModel):
    """Where each alert is posted to, when it fires and when it resolves: exactly one of `url` and `secretRef`."""

    url: str | None = Field(None, pattern=r"^https?://[^\s/?#]+[^\s]*$", max_length=500)
    """Receives each alert record as a JSON POST. Exactly one of `url` and `secretRef` is given."""
    secret_ref: str | None = Field(None, alias="secretRef", max_length=253)
    """Name of the secret whose key `url` contains the URL, if the URL must be kept secret. The alerter reads it from
    `CRYPTOCDC_ALERTER_WEBHOOK_URL` or from the file named by `CRYPTOCDC_ALERTER_WEBHOOK_URL_FILE`."""

    @classmethod
    def broken_rules(cls, given: dict[str, Any]) -> Iterator[Broken]:
        if ("url" in given and "secretRef" in given) or cls.lacks(given, ("url", "secretRef")):
            yield (), "exactly one of url and secretRef is accepted"


def valid_alerts(given: object) -> dict[int, Alert]:
    """Return the alerts of a feed's list that are valid on their own, by index."""
    found = {}
    for at, entry in enumerate(given if isinstance(given, list) else []):
        with suppress(ValidationError):
            found[at] = Alert.model_validate(entry)
    return found


def misplaced(
    alerts: Mapping[int, Alert], names: Sequence[object] | None, streams: Sequence[str], kept: object, analytics: object
) -> Iterator[Broken]:
    """Yield the rules that alerts break in the context of their feed, though each is valid on its own.

    `names`: the feed's symbols if it names them; `streams`: the captured ones; `kept`: its retention in Kafka;
    `analytics`: what it computes.
    """
    priced_alerts = [alert for alert in alerts.values() if not alert.anomaly]
    if priced_alerts and streams and not any(stream.name in streams for stream, _ in PRICES.values()):
        priced = ", ".join(stream.name for stream, _ in PRICES.values())
        yield (
            ("alerts",),
            f"{len(priced_alerts)} given, but the feed has no stream with prices; one of {priced} is required",
        )
    for at, alert in alerts.items():
        if names is not None and alert.symbol not in names:
            yield ("alerts", at, "symbol"), "is not captured; one of spec.symbols.names is accepted"
        if alert.anomaly and not _given(analytics, "anomalies"):
            yield ("alerts", at, "anomaly"), "accepted only with analytics.anomalies, which finds them"
        elif alert.kind in OF_BOOKS and not _given(analytics, "bookMetrics"):
            yield ("alerts", at, "kind"), "accepted only with analytics.bookMetrics, from which it is computed"
        with suppress(ValueError, TypeError):  # an invalid retention, or `keep`
            if alert.window_ms > durations.seconds(str(kept)) * 1000:
                yield (
                    ("alerts", at, "window"),
                    f"at most spec.retention.kafka, {kept}, is accepted: prices are reread from Kafka",
                )


def _given(analytics: object, field: str) -> bool:
    return isinstance(analytics, Mapping) and bool(analytics.get(field))


def price_source(tables: Sequence[str]) -> tuple[Stream, str]:
    """Return the stream whose changes the alerts watch, and its price column. `tables` are those the feed captures."""
    return next(found for table, found in PRICES.items() if table in tables)


def price_tables(alerts: Sequence[Alert], tables: Sequence[str]) -> list[str]:
    """Return the table whose prices the alerts watch; none if they watch only anomalies."""
    return [] if all(alert.anomaly for alert in alerts) else [price_source(tables)[0].table]
