"""The parameters of each endpoint, validated before anything is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from cryptocdc_core.feed import analytics, symbols
from cryptocdc_core.feed.streams import KlineInterval
from cryptocdc_core.time import durations, times

MOST_ROWS = 1000
MOST_TRENDS = 50


def _time(text: Any) -> Any:
    return times.parse(text) if isinstance(text, str) else text


def _as_listed(text: Any) -> Any:
    return symbols.as_listed(text) if isinstance(text, str) else text


Time = Annotated[
    int, BeforeValidator(_time),
    WithJsonSchema(
        {"type": "string", "description": times.ACCEPTED, "examples": ["2026-11-21T10:00:00Z", "1795255200000"]}
    ),
]  # fmt: skip
Symbol = Annotated[
    str, BeforeValidator(_as_listed), Field(pattern=symbols.PATTERN, examples=["BTCUSDT", "币安人生USDT"])
]  # fmt: skip
Interval = Annotated[KlineInterval, Field(description="Default: the first of the feed's.")]


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RangeQuery(_Query):
    """A time range of one symbol, returned page by page or streamed as a whole."""

    start: Time | None = Field(None, alias="from", description="Start of the range.")
    end: Time | None = Field(None, alias="to", description="End of the range, exclusive; default: now.")
    limit: int = Field(100, ge=1, le=MOST_ROWS, description="Rows per page.")
    cursor: str | None = Field(None, max_length=400, description="X-Next-Cursor of the previous page.")
    order: Literal["newest", "oldest"] = Field("newest", description="Order of the rows.")
    stream: bool = Field(False, description="Return the whole range in one response, without a limit.")


class SymbolQuery(RangeQuery):
    symbol: Symbol


class OptionalSymbolQuery(RangeQuery):
    symbol: Symbol | None = Field(None, description="Default: all; required with a range or a cursor.")

    @property
    def ranged(self) -> bool:
        """Whether the history is requested, not the newest row."""
        return bool(self.model_fields_set - {"symbol"})


class KlineQuery(SymbolQuery):
    interval: Interval | None = None


class BarQuery(SymbolQuery):
    interval: Annotated[
        str | None,
        Field(pattern=analytics.LENGTH_PATTERN, examples=["5s", "1m"], description="Default: the first of the feed's."),
    ] = None


class AnomalyQuery(BarQuery):
    kind: Literal["price", "volume", "spread", "quote_rate"] = Field("price", description="What is compared.")
    only: bool = Field(False, description="Leave out the windows of each page that are no anomaly.")


def _listed(given: Any) -> Any:
    """Accept names separated by commas, or the parameter several times."""
    texts = given if isinstance(given, list) else [given]
    return [_as_listed(part) for text in texts for part in str(text).split(",")]


def _step(given: Any) -> Any:
    """Return the step in seconds."""
    return durations.seconds(given) if isinstance(given, str) else given


class TrendsQuery(_Query):
    """The candles of several symbols, at most MOST_ROWS of each."""

    symbols: Annotated[
        list[Symbol], BeforeValidator(_listed), Field(min_length=1, max_length=MOST_TRENDS),
        WithJsonSchema({"type": "string", "description": f"{MOST_TRENDS} at most.", "examples": ["BTCUSDT,ETHUSDT"]}),
    ]  # fmt: skip
    interval: Interval | None = None
    start: Time | None = Field(None, alias="from", description="Start of the range.")
    end: Time | None = Field(None, alias="to", description="End of the range, exclusive; default: now.")


class BooksQuery(_Query):
    """The newest order books of some symbols."""

    symbols: Annotated[
        list[Symbol] | None, BeforeValidator(_listed),
        WithJsonSchema({"type": "string", "description": "Default: all.", "examples": ["BTCUSDT,ETHUSDT"]}),
    ] = None  # fmt: skip


class AveragesQuery(SymbolQuery):
    """`limit` is the number of steps per page."""

    limit: int = Field(MOST_ROWS, ge=1, le=MOST_ROWS, description="Steps per page.")
    step: Annotated[
        int, BeforeValidator(_step),
        WithJsonSchema({"type": "string", "description": "Time covered by a row.", "examples": ["10s", "1m"]}),
    ] = 10  # fmt: skip


class TopQuery(_Query):
    by: Literal["trades", "volume", "quote_volume", "gain", "loss"]
    n: int = Field(10, ge=1, le=MOST_ROWS)


class VolatilityQuery(RangeQuery):
    symbol: Symbol | None = Field(None, description="Default: the newest value of every symbol.")
    interval: Interval | None = None
    window: int = Field(60, ge=2, le=500, description="Number of returns per value.")


class BookQuery(_Query):
    symbol: Symbol


class TraceQuery(_Query):
    """One row by its key. Only the columns of the table's key may be given; without them it is the newest row."""

    table: Literal[
        "recent_trades", "klines", "crypto_24h_stats", "latest_prices", "order_book", "best_quotes", "mark_prices",
        "open_interest", "liquidations",
    ]  # fmt: skip
    symbol: Symbol
    interval: Interval | None = None
    trade_time: Time | None = None
    trade_id: int | None = Field(None, ge=0, le=2**63 - 1)
    liquidation_id: int | None = Field(None, ge=0, le=2**63 - 1)
    open_time: Time | None = None
    event_time: Time | None = None
    bucket_time: Time | None = None

    def key(self) -> dict[str, Any]:
        """Return the given part of the key, by column."""
        return self.model_dump(exclude={"table"}, exclude_none=True)


class NothingQuery(_Query):
    """No parameters."""
