"""Validation rules in CEL, for what the OpenAPI schema of a CryptoFeed can't express."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from cryptocdc_core.feed import alerts, analytics
from cryptocdc_core.feed import model as feed
from cryptocdc_core.feed.history import A_DAY
from cryptocdc_core.feed.streams import Streams
from cryptocdc_core.time import durations


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in CEL: at `path`, `expression` must be true, or the API server refuses the object with `message`. In a
    path, `[]` means each entry of a list."""

    path: tuple[str, ...]
    expression: str
    message: str


_RESERVED = ", ".join(f"'{name}'" for name in feed.RESERVED)
_STARTS = " || ".join(f"self.metadata.name.startsWith('{start}')" for start in feed.RESERVED_STARTS)
_ENDS = " || ".join(f"self.metadata.name.endsWith('{end}')" for end in feed.RESERVED_ENDS)
_UNITS = ", ".join(f"'{unit}': {seconds}" for unit, seconds in durations.UNITS_S.items())
_STREAMS = [field.alias or name for name, field in Streams.model_fields.items()]
_TRADES = ("spec", "streams", "recentTrades", "kind")
_CONDITIONS = alerts.CONDITIONS
_GIVEN = " + ".join(f"(has(self.{condition}) ? 1 : 0)" for condition in _CONDITIONS)
_LOOKING_BACK = " || ".join(f"has(self.{condition})" for condition in alerts.LOOKING_BACK)
_PRICES = [stream.name for stream, _ in alerts.PRICES.values()]
_IMMUTABLE = "immutable, because of the rows already stored: use another feed"


def _seconds(text: str) -> str:
    """Return the CEL expression for a duration in seconds."""
    return f"int({text}.find('^[0-9]+')) * {{{_UNITS}}}[{text}.find('[a-z]$')]"


RULES = (
    Rule(
        (),
        f"!(self.metadata.name in [{_RESERVED}] || {_STARTS})",
        "metadata.name: reserved by the servers or the platform; any other is accepted",
    ),
    Rule(
        (),
        f"!({_ENDS})",
        "metadata.name: the suffixes -sim and -capture are reserved for simulated and replayed runs;"
        " any other is accepted",
    ),
    # CEL sees one change, not the history. The status still knows the kind when recentTrades was removed and added
    # again.
    Rule(
        (),
        "!has(self.status) || !has(self.status.tradesKind) || !has(self.spec.streams.recentTrades)"
        " || self.spec.streams.recentTrades.kind == self.status.tradesKind",
        "spec.streams.recentTrades.kind: the table has trades of the other kind, and their ids must not mix:"
        " use another feed",
    ),
    Rule(("spec", "exchange"), "self == oldSelf", _IMMUTABLE),
    Rule(("spec", "scaling", "partitions"), "self == oldSelf", _IMMUTABLE),
    Rule(_TRADES, "self == oldSelf", _IMMUTABLE),
    Rule(("spec", "symbols"), "has(self.names) != has(self.top)", "exactly one of names and top is accepted"),
    Rule(
        ("spec", "streams"),
        " || ".join(f"has(self.{stream})" for stream in _STREAMS),
        f"at least one of {', '.join(_STREAMS)} is accepted",
    ),
    Rule(
        ("spec", "retention", "cassandra"),
        f"self == 'keep' || {_seconds('self')} <= {feed.MOST_TTL_S}",
        "at most 3650d, or keep, is accepted: Cassandra refuses longer TTLs",
    ),
    Rule(
        ("spec", "analytics"),
        "has(self.bars) || has(self.volatility) || self.bookMetrics",
        "one or more of bars, volatility and bookMetrics is accepted",
    ),
    Rule(
        ("spec", "analytics", "bars", "[]"),
        f"{analytics.DAY_S} % ({_seconds('self')}) == 0",
        f"{analytics.LENGTH_WORDS}, is accepted",
    ),
    Rule(
        ("spec", "analytics", "anomalies", "[]"),
        f"{_seconds('self')} <= {analytics.LONGEST_COMPARED_S}",
        f"{analytics.COMPARED_WORDS}, is accepted",
    ),
    Rule(
        ("spec", "analytics", "forecasts", "[]"),
        f"{_seconds('self')} <= {analytics.LONGEST_FORECAST_S}",
        f"{analytics.FORECAST_WORDS}, is accepted",
    ),
    Rule(
        ("spec", "analytics", "volatility", "[]"),
        f"{analytics.DAY_S} % ({_seconds('self')}) == 0 && ({_seconds('self')}) % {analytics.PART_UNIT_S} == 0",
        f"{analytics.VOLATILITY_WORDS}, is accepted",
    ),
    *(
        Rule(
            ("spec", "analytics", field),
            f"self.all(one, self.exists_one(other, {_seconds('other')} == {_seconds('one')}))",
            "a length is duplicated; each length is accepted once",
        )
        for field in ("bars", "volatility", "anomalies", "forecasts")
    ),
    Rule(
        ("spec", "analytics"),
        "!has(self.anomalies) || (has(self.bars) && self.anomalies.all(one, one in self.bars))",
        "anomalies: accepted are lengths of bars",
    ),
    Rule(
        ("spec", "analytics"),
        "!has(self.forecasts) || (has(self.bars) && has(self.volatility)"
        " && self.forecasts.all(one, one in self.bars && one in self.volatility))",
        "forecasts: accepted are lengths of both bars and volatility",
    ),
    Rule(
        ("spec",),
        "!has(self.analytics) || !(has(self.analytics.bars) || has(self.analytics.volatility))"
        " || has(self.streams.recentTrades)",
        "analytics: bars and volatility are accepted only with the stream recentTrades, from which they are computed",
    ),
    Rule(
        ("spec",),
        "!has(self.analytics) || !self.analytics.bookMetrics || has(self.streams.orderBook)",
        "analytics.bookMetrics: accepted only with the stream orderBook, from which it is computed",
    ),
    Rule(
        ("spec", "alerts"),
        "self.all(one, self.exists_one(other, other == one))",
        "an alert is duplicated; each alert is accepted once",
    ),
    Rule(
        ("spec", "alerts", "[]", "window"),
        f"{_seconds('self')} >= {alerts.SHORTEST_S} && {_seconds('self')} <= {alerts.LONGEST_S}",
        "10s to 1d is accepted",
    ),
    # The API server compares a whole number with the integer part of a bound: 0 would not be below 0.01.
    *(
        Rule(("spec", "alerts", "[]", condition), "self > 0.0", "more than 0 is accepted")
        for condition in get_args(alerts.PriceCondition)
    ),
    Rule(("spec", "alerts", "[]", "anomaly"), "self", "true is accepted"),
    Rule(("spec", "alerts", "[]"), "!has(self.kind) || has(self.anomaly)", "kind: accepted with anomaly only"),
    Rule(("spec", "alerts", "[]"), f"{_GIVEN} == 1", f"exactly one of {', '.join(_CONDITIONS)} is accepted"),
    Rule(
        ("spec", "alerts", "[]"),
        f"has(self.window) == ({_LOOKING_BACK})",
        f"window is required with {', '.join(alerts.LOOKING_BACK)} and not accepted with any other condition",
    ),
    Rule(
        ("spec",),
        "self.alerts.all(alert, has(alert.anomaly)) || "
        + " || ".join(f"has(self.streams.{stream})" for stream in _PRICES),
        f"alerts: accepted only with one of the streams {', '.join(_PRICES)}",
    ),
    Rule(
        ("spec",),
        "!self.alerts.exists(alert, has(alert.anomaly)) || (has(self.analytics) && has(self.analytics.anomalies))",
        "alerts: anomaly is accepted only with analytics.anomalies, which finds them",
    ),
    Rule(
        ("spec",),
        f"!self.alerts.exists(alert, has(alert.kind) && alert.kind in {list(alerts.OF_BOOKS)!r})"
        " || (has(self.analytics) && self.analytics.bookMetrics)",
        "alerts: spread and quote_rate are accepted only with analytics.bookMetrics",
    ),
    Rule(
        ("spec",),
        "!has(self.symbols.names) || self.alerts.all(alert, alert.symbol in self.symbols.names)",
        "alerts: a symbol is not captured; one of symbols.names is accepted",
    ),
    Rule(
        ("spec",),
        "self.retention.kafka == 'keep' || self.alerts.all(alert, !has(alert.window)"
        f" || {_seconds('alert.window')} <= {_seconds('self.retention.kafka')})",
        "alerts: a window is longer than retention.kafka, but prices are reread from Kafka",
    ),
    *(
        Rule(
            ("spec",),
            f"self.retention.cassandra == 'keep' || self.history.{stream} == '{A_DAY}'"
            f" || {_seconds(f'self.history.{stream}')} <= {_seconds('self.retention.cassandra')}",
            f"history.{stream}: longer than retention.cassandra",
        )
        for stream in ("klines", "recentTrades")
    ),
    Rule(
        ("spec",),
        "!has(self.transform) || self.sink.engine == 'consumer'",
        "transform: accepted with sink.engine: consumer, since only consumers run Python transforms",
    ),
    Rule(
        ("spec", "alertWebhook"), "has(self.url) != has(self.secretRef)", "exactly one of url and secretRef is accepted"
    ),
)
