"""What a feed computes on its streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from cryptocdc_core.catalogue.streams import ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.feed.base import Broken, FeedModel, duplicates
from cryptocdc_core.time import durations

DAY_S = 86_400
LENGTH_PATTERN = r"^[1-9][0-9]{0,4}[smhd]$"
LENGTH_WORDS = "a length that divides a day, from 1s to 1d, such as 5s, 15s, 1m, 5m, 1h"
MOST_BARS = 8
PART_UNIT_S = 3
"""A window of volatility has 12 parts of whole milliseconds."""
LONGEST_COMPARED_S = 300
"""Up to 180 windows of order books, one per second, are read at a start."""
COMPARED_WORDS = "a length of bars that is no longer than 5m"
LONGEST_FORECAST_S = 900
"""A forecast depends on up to 360 windows."""
FORECAST_WORDS = "a length of bars and volatility that is no longer than 15m"
VOLATILITY_WORDS = "a length that divides a day and is a multiple of 3s, such as 15s, 1m, 5m, 1h"


def _divides_a_day(text: str) -> str:
    if DAY_S % durations.seconds(text):
        raise ValueError(f"{LENGTH_WORDS}, is accepted")
    return text


BarLength = Annotated[
    str, Field(pattern=LENGTH_PATTERN, json_schema_extra={"maxLength": 6}), AfterValidator(_divides_a_day)
]


def _has_parts(text: str) -> str:
    if durations.seconds(text) % PART_UNIT_S:
        raise ValueError(f"{VOLATILITY_WORDS}, is accepted")
    return text


def _is_short(text: str) -> str:
    if durations.seconds(text) > LONGEST_COMPARED_S:
        raise ValueError(f"{COMPARED_WORDS}, is accepted")
    return text


def _is_predictable(text: str) -> str:
    if durations.seconds(text) > LONGEST_FORECAST_S:
        raise ValueError(f"{FORECAST_WORDS}, is accepted")
    return text


ComparedLength = Annotated[BarLength, AfterValidator(_is_short)]
VolatilityLength = Annotated[BarLength, AfterValidator(_has_parts)]
ForecastLength = Annotated[BarLength, AfterValidator(_is_predictable)]


class Analytics(FeedModel):
    """What the analyzer computes on the captured streams: one or more entries."""

    bars: list[BarLength] | None = Field(
        None, min_length=1, max_length=MOST_BARS, json_schema_extra={"uniqueItems": True}
    )
    """Lengths of the bars to compute from trades into the table `bars`, each once. A length divides a day: 1s to 1d.
    Requires the stream `recentTrades`."""

    book_metrics: bool = Field(False, alias="bookMetrics")
    """`true` computes spread, mid, microprice and imbalances of each order book into the table `book_metrics`. Requires
    the stream `orderBook`."""

    volatility: list[VolatilityLength] | None = Field(
        None, min_length=1, max_length=MOST_BARS, json_schema_extra={"uniqueItems": True}
    )
    """Lengths of the windows whose realized and Parkinson volatility to compute from trades into the table
    `realized_volatility`, each once. A length divides a day and is a multiple of 3s. Requires the stream
    `recentTrades`."""

    anomalies: list[ComparedLength] | None = Field(
        None, min_length=1, max_length=MOST_BARS, json_schema_extra={"uniqueItems": True}
    )
    """Lengths of the bars whose price change and volume to compare with the symbol's own recent past, into the table
    `anomalies`: each is one of `bars`, and at most 5m. With `bookMetrics` the spread and the rate of order books as
    well."""

    forecasts: list[ForecastLength] | None = Field(
        None, min_length=1, max_length=MOST_BARS, json_schema_extra={"uniqueItems": True}
    )
    """Lengths of the windows whose realized volatility and return to predict, into the table `forecasts`: each is one
    of `bars` and one of `volatility`, and at most 15m."""

    @classmethod
    def broken_rules(cls, given: dict[str, Any]) -> Iterator[Broken]:
        if cls.lacks(given, ("bars", "volatility")) and given.get("bookMetrics", False) is False:
            yield (), "one or more of bars, volatility and bookMetrics is accepted"
        anomalies, bars = given.get("anomalies"), given.get("bars")
        both = isinstance(anomalies, list) and isinstance(bars, list | None)
        if others := [str(length) for length in anomalies or () if length not in (bars or ())] if both else []:
            accepted = ", ".join(map(str, bars or ())) or "none, as bars is not given"
            yield ("anomalies",), f"{', '.join(others)}: accepted are lengths of bars: {accepted}"
        yield from _without_actuals(given)
        for field in ("bars", "volatility", "anomalies", "forecasts"):
            listed = given.get(field)
            texts = listed if isinstance(listed, list) else []
            lengths = {text: _seconds(text) for text in texts if isinstance(text, str)}
            known = [length for length in lengths.values() if length]
            if twice := duplicates(listed) or [text for text, length in lengths.items() if known.count(length) > 1]:
                yield (field,), f"{', '.join(twice)}: a length is duplicated; each length is accepted once"

    @property
    def bar_lengths(self) -> dict[str, int]:
        """The lengths of the bars in milliseconds, by the text in the feed."""
        return {text: durations.seconds(text) * 1000 for text in self.bars or ()}

    @property
    def volatility_lengths(self) -> dict[str, int]:
        """The lengths of the windows of volatility in milliseconds, by the text in the feed."""
        return {text: durations.seconds(text) * 1000 for text in self.volatility or ()}

    @property
    def anomaly_lengths(self) -> dict[str, int]:
        """The lengths of the windows of anomalies in milliseconds, by the text in the feed."""
        return {text: durations.seconds(text) * 1000 for text in self.anomalies or ()}

    @property
    def forecast_lengths(self) -> dict[str, int]:
        """The lengths of the windows of forecasts in milliseconds, by the text in the feed."""
        return {text: durations.seconds(text) * 1000 for text in self.forecasts or ()}


def _without_actuals(given: Mapping[str, Any]) -> Iterator[Broken]:
    """Yield the rule that forecasts break whose windows have no bar or no volatility to be compared with."""
    forecasts, *others = (given.get(field) for field in ("forecasts", "bars", "volatility"))
    if isinstance(forecasts, list) and all(isinstance(one, list | None) for one in others):
        bars, volatility = (one or () for one in others)
        both = [length for length in bars if length in volatility]
        if wrong := [str(length) for length in forecasts if length not in both]:
            accepted = ", ".join(map(str, both)) or "none, as they have no length in common"
            yield ("forecasts",), f"{', '.join(wrong)}: accepted are lengths of both bars and volatility: {accepted}"


def _seconds(text: str) -> int:
    """Return a duration in seconds; 0 for any other text, which is reported elsewhere."""
    try:
        return durations.seconds(text)
    except ValueError:
        return 0


def without_source(analytics: object, captured: Sequence[str]) -> Iterator[Broken]:
    """Yield the rules that analytics break on a feed that does not capture what they are computed from. `captured` are
    the names of its streams."""
    for field, stream in (("bars", RECENT_TRADES), ("volatility", RECENT_TRADES), ("bookMetrics", ORDER_BOOK)):
        if isinstance(analytics, Mapping) and analytics.get(field) and captured and stream.name not in captured:
            yield ("analytics", field), f"accepted only with the stream {stream.name}, from which it is computed"
