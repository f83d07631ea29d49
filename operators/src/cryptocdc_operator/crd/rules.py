"""What the schema of a CryptoFeed alone can't say: validation rules in CEL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from cryptocdc_core import alerts, durations, feed


@dataclass(frozen=True, slots=True)
class Rule:
    """What the schema alone can't say, in CEL: at `path`, `expression` must hold, or `message` is the answer. In a path
    `[]` stands for each entry of a list."""

    path: tuple[str, ...]
    expression: str
    message: str


_RESERVED = ", ".join(f"'{name}'" for name in feed.RESERVED)
_STARTS = " || ".join(f"self.metadata.name.startsWith('{start}')" for start in feed.RESERVED_STARTS)
_ENDS = " || ".join(f"self.metadata.name.endsWith('{end}')" for end in feed.RESERVED_ENDS)
_UNITS = ", ".join(f"'{unit}': {seconds}" for unit, seconds in durations.UNITS_S.items())
_STREAMS = [field.alias or name for name, field in feed.Streams.model_fields.items()]
_TRADES = ("spec", "streams", "recentTrades", "kind")
_CONDITIONS = get_args(alerts.Condition)
_GIVEN = " + ".join(f"(has(self.{condition}) ? 1 : 0)" for condition in _CONDITIONS)
_LOOKING_BACK = " || ".join(f"has(self.{condition})" for condition in alerts.LOOKING_BACK)
_PRICES = [stream.name for stream, _ in alerts.PRICES.values()]
_IMMUTABLE = "can't be changed, because of the rows that are stored: use another feed"


def _seconds(text: str) -> str:
    """A duration in seconds."""
    return f"int({text}.find('^[0-9]+')) * {{{_UNITS}}}[{text}.find('[a-z]$')]"


RULES = (
    Rule(
        (),
        f"!(self.metadata.name in [{_RESERVED}] || {_STARTS})",
        "metadata.name: a name that the servers or the platform keep for themselves; any other is accepted",
    ),
    Rule(
        (),
        f"!({_ENDS})",
        "metadata.name: the endings -sim and -capture mark simulated and replayed runs; any other is accepted",
    ),
    # CEL sees one change, not the history. The status outlives a recentTrades that leaves the feed and comes back.
    Rule(
        (),
        "!has(self.status) || !has(self.status.tradesKind) || !has(self.spec.streams.recentTrades)"
        " || self.spec.streams.recentTrades.kind == self.status.tradesKind",
        "spec.streams.recentTrades.kind: the table holds trades of the other kind, and their ids never mix:"
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
        "3650d at most, or keep, is accepted: Cassandra refuses expiries that are further away",
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
    # The API server holds a whole number against the whole part of a bound: 0 would not be below 0.01.
    *(Rule(("spec", "alerts", "[]", condition), "self > 0.0", "more than 0 is accepted") for condition in _CONDITIONS),
    Rule(("spec", "alerts", "[]"), f"{_GIVEN} == 1", f"exactly one of {', '.join(_CONDITIONS)} is accepted"),
    Rule(
        ("spec", "alerts", "[]"),
        f"has(self.window) == ({_LOOKING_BACK})",
        f"window is needed with {', '.join(alerts.LOOKING_BACK)}, and accepted with no other condition",
    ),
    Rule(
        ("spec",),
        f"size(self.alerts) == 0 || {' || '.join(f'has(self.streams.{stream})' for stream in _PRICES)}",
        f"alerts: accepted with one of the streams {', '.join(_PRICES)}",
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
        "alerts: a window is longer than retention.kafka, from where prices are read again",
    ),
    Rule(
        ("spec", "alertWebhook"), "has(self.url) != has(self.secretRef)", "exactly one of url and secretRef is accepted"
    ),
)
