"""The CryptoFeed: what a user writes. Validated whole; every error names field, value and what is accepted."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from cryptocdc_core import durations

API_VERSION = "cryptocdc.io/v1alpha1"

KlineInterval = Literal[
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"
]
Transport = Literal["websocket", "rest"]
Duration = Annotated[str, Field(pattern=durations.PATTERN)]
Retention = Annotated[str, Field(pattern=rf"^keep$|{durations.PATTERN}")]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9_.-]{1,20}$")]

MOST_TTL_S = 3650 * 86_400
"""Cassandra's own limit is twenty years from the time of writing."""

_RESERVED = ("public", "information-schema")
_RESERVED_STARTS = ("pg-", "system")
_RESERVED_ENDS = ("-sim", "-capture")


class FeedError(ValueError):
    """A feed that can't be accepted. `problems` holds a line for each, naming the field."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class _Model(BaseModel):
    # Strict, and by the documented names only: what the CRD's schema would refuse is refused here, too.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Metadata(_Model):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,29}$")

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in _RESERVED or name.startswith(_RESERVED_STARTS):
            raise ValueError("a name that PostgreSQL and Cassandra keep for themselves; any other is accepted")
        if name.endswith(_RESERVED_ENDS):
            raise ValueError("the endings -sim and -capture mark simulated and replayed runs; any other is accepted")
        return name


class Endpoints(_Model):
    rest: str | None = Field(None, pattern=r"^https?://[^\s]+$", max_length=200)
    websocket: str | None = Field(None, pattern=r"^wss?://[^\s]+$", max_length=200)


class Top(_Model):
    count: int = Field(ge=1, le=500)
    quote: str = Field("USDT", pattern=r"^[A-Z0-9]{1,12}$")


class Symbols(_Model):
    names: list[Symbol] | None = Field(None, min_length=1, max_length=1000)
    top: Top | None = None

    @field_validator("names")
    @classmethod
    def _distinct(cls, names: list[str] | None) -> list[str] | None:
        twice = sorted({name for name in names or [] if (names or []).count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands more than once; each symbol is accepted once")
        return names

    @model_validator(mode="after")
    def _exactly_one(self) -> Symbols:
        if (self.names is None) == (self.top is None):
            raise ValueError("exactly one of names and top is accepted")
        return self


class RecentTrades(_Model):
    source: Transport = "websocket"
    kind: Literal["aggregate", "trade"] = "aggregate"
    period: Duration = "5s"


class Klines(_Model):
    source: Transport = "websocket"
    intervals: list[KlineInterval] = Field(default=["1m"], min_length=1, max_length=16)
    period: Duration = "10s"

    @field_validator("intervals")
    @classmethod
    def _distinct(cls, intervals: list[str]) -> list[str]:
        if len(set(intervals)) != len(intervals):
            raise ValueError("an interval stands more than once; each is accepted once")
        return intervals


class Crypto24hStats(_Model):
    source: Transport = "rest"
    period: Duration = "60s"


class LatestPrices(_Model):
    source: Transport = "websocket"
    period: Duration = "5s"


class OrderBook(_Model):
    source: Transport = "websocket"
    depth: Literal[5, 10, 20, 50, 100] = 20
    interval: Literal["1s", "2s", "5s", "10s", "30s", "1m", "5m"] = "1s"


class Streams(_Model):
    recent_trades: RecentTrades | None = Field(None, alias="recentTrades")
    klines: Klines | None = None
    crypto_24h_stats: Crypto24hStats | None = Field(None, alias="crypto24hStats")
    latest_prices: LatestPrices | None = Field(None, alias="latestPrices")
    order_book: OrderBook | None = Field(None, alias="orderBook")

    @model_validator(mode="after")
    def _at_least_one(self) -> Streams:
        if not self.tables:
            raise ValueError(f"at least one of {', '.join(f.alias or n for n, f in _stream_fields())} is accepted")
        return self

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of the streams that the feed asks for; a stream's field is called as its table."""
        return tuple(name for name, _ in _stream_fields() if getattr(self, name) is not None)


def _stream_fields() -> list[tuple[str, Any]]:
    return list(Streams.model_fields.items())


class Retentions(_Model):
    postgres: Retention = "2d"
    kafka: Retention = "1d"
    cassandra: Retention = "90d"

    @field_validator("cassandra")
    @classmethod
    def _expressible(cls, text: str) -> str:
        if (retention_s(text) or 0) > MOST_TTL_S:
            raise ValueError("3650d at most, or keep, is accepted: Cassandra refuses expiries that are further away")
        return text


class Scaling(_Model):
    partitions: int = Field(12, ge=1, le=96)
    producers: int = Field(1, ge=0, le=96)
    consumers: int = Field(1, ge=0, le=96)


class Sink(_Model):
    type: Literal["cassandra"] = "cassandra"


class Spec(_Model):
    exchange: Literal["binance", "binance-us", "simulated"] = "binance"
    endpoints: Endpoints = Endpoints()
    credentials_secret_ref: str | None = Field(None, alias="credentialsSecretRef", max_length=253)
    symbols: Symbols
    streams: Streams
    retention: Retentions = Retentions()
    scaling: Scaling = Scaling()
    sink: Sink = Sink()
    suspend: bool = False
    deletion_policy: Literal["Retain", "Delete"] = Field("Retain", alias="deletionPolicy")


class CryptoFeed(_Model):
    """What to capture, from where, and how long to keep it."""

    api_version: Literal["cryptocdc.io/v1alpha1"] = Field(alias="apiVersion")
    kind: Literal["CryptoFeed"]
    metadata: Metadata
    spec: Spec

    @property
    def name(self) -> str:
        return self.metadata.name

    def refuse_changes(self, before: CryptoFeed) -> None:
        """Raise FeedError when a field differs from `before` that decides what stored rows mean or where they lie."""
        trades, earlier = self.spec.streams.recent_trades, before.spec.streams.recent_trades
        immutable: list[tuple[str, object, object]] = [
            ("spec.exchange", before.spec.exchange, self.spec.exchange),
            ("spec.scaling.partitions", before.spec.scaling.partitions, self.spec.scaling.partitions),
        ]
        if trades is not None and earlier is not None:
            immutable.append(("spec.streams.recentTrades.kind", earlier.kind, trades.kind))
        problems = [
            f"{field}: {now!r} is not accepted; accepted: {then!r}, which it was made with: use another feed"
            for field, then, now in immutable
            if now != then
        ]
        if problems:
            raise FeedError(problems)


def retention_s(text: str) -> int | None:
    """A retention in seconds, None for "keep"."""
    return None if text == "keep" else durations.seconds(text)


def parse(document: object) -> CryptoFeed:
    """The feed in a parsed document, status left aside. Raises FeedError with every problem in it."""
    if not isinstance(document, dict):
        raise FeedError(
            [f"feed: {_shown(document)} is not accepted; accepted: a mapping with apiVersion, kind, metadata, spec"]
        )
    try:
        return CryptoFeed.model_validate({key: value for key, value in document.items() if key != "status"})
    except ValidationError as error:
        raise FeedError([_problem(detail) for detail in error.errors()]) from None


def load(path: Path) -> CryptoFeed:
    """The feed in a YAML file. Raises FeedError when the file can't be read, is no YAML or no feed."""
    try:
        documents = [
            document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document is not None
        ]
    except FileNotFoundError:
        raise FeedError([f"{path}: no such file; accepted: a YAML file that holds one CryptoFeed"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise FeedError([f"{path}: can't be read: {error}"]) from None
    except yaml.YAMLError as error:
        raise FeedError([f"{path}: no YAML: {' '.join(str(error).split())}"]) from None
    if len(documents) != 1:
        raise FeedError([f"{path}: holds {len(documents)} documents; accepted: one CryptoFeed"])
    return parse(documents[0])


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _problem(detail: ErrorDetails) -> str:
    """One line for one of pydantic's errors: the field, the value, what is accepted."""
    path = ""
    for part in detail["loc"]:
        path += f"[{part}]" if isinstance(part, int) else (f".{part}" if path else str(part))
    path = path or "feed"
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "missing":
        return f"{path}: is missing; it must be given"
    if kind == "extra_forbidden":
        field = str(detail["loc"][-1])
        near = difflib.get_close_matches(field, _fields_at(detail["loc"][:-1]), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{path}: no such field; accepted: {', '.join(_fields_at(detail['loc'][:-1]))}{hint}"
    if kind == "value_error":
        return f"{path}: {_shown(detail['input'])}: {context['error']}"
    accepted = {
        "literal_error": lambda: str(context["expected"]),
        "string_pattern_mismatch": lambda: _PATTERNS.get(str(context["pattern"]), f"what matches {context['pattern']}"),
        "greater_than_equal": lambda: f"{context['ge']} or more",
        "less_than_equal": lambda: f"{context['le']} or less",
        "too_short": lambda: f"{context['min_length']} or more entries",
        "model_type": lambda: f"a mapping with {', '.join(_fields_at(detail['loc']))}",
        "too_long": lambda: f"at most {context['max_length']} entries",
    }.get(kind, lambda: detail["msg"].removeprefix("Input should be ").removeprefix("a valid "))()
    return f"{path}: {_shown(detail['input'])} is not accepted; accepted: {accepted}"


_PATTERNS = {
    durations.PATTERN: "a whole number with a unit, such as 60s, 15m, 12h, 2d",
    rf"^keep$|{durations.PATTERN}": "keep, or a whole number with a unit, such as 12h, 2d, 90d",
    r"^[a-z][a-z0-9-]{0,29}$": "1 to 30 of a-z, 0-9 and -, the first a letter",
    r"^[A-Z0-9_.-]{1,20}$": "the exchange's name in capitals, such as BTCUSDT",
    r"^[A-Z0-9]{1,12}$": "an asset in capitals, such as USDT",
    r"^https?://[^\s]+$": "a base URL that begins with http:// or https://",
    r"^wss?://[^\s]+$": "a base URL that begins with ws:// or wss://",
}


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """What the model at `loc` calls its fields."""
    model: Any = CryptoFeed
    for part in loc:
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                options = [field.annotation, *getattr(field.annotation, "__args__", ())]
                model = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    return [field.alias or name for name, field in model.model_fields.items()]
