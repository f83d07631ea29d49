"""The CustomResourceDefinition of CryptoFeed, made from the feed's model. `make crd` writes it into the chart."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, get_args

import yaml

from cryptocdc_core import alerts, durations, feed
from cryptocdc_operator.status import Status
from cryptocdc_operator.structural import Schema, structural_schema

GROUP, VERSION = feed.API_VERSION.split("/")
PLURAL = "cryptofeeds"

HEADER = """\
# Made from the feed's model by `make crd`: change core/src/cryptocdc_core/feed.py, not this file.
"""


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

_READY = '.status.conditions[?(@.type=="Ready")]'
COLUMNS: list[dict[str, Any]] = [
    {"name": "Symbols", "type": "integer", "jsonPath": ".status.symbols"},
    {"name": "Ready", "type": "string", "jsonPath": f"{_READY}.status"},
    {"name": "Reason", "type": "string", "jsonPath": f"{_READY}.reason"},
    {"name": "Lag", "type": "integer", "jsonPath": ".status.lag", "description": "changes yet to be written"},
    {
        "name": "Proven",
        "type": "date",
        "jsonPath": ".status.provenThrough",
        "description": "how long ago the moment lies up to which both databases were found equal",
    },
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Message", "type": "string", "jsonPath": f"{_READY}.message", "priority": 1},
]


def feed_schema() -> Schema:
    """The schema of a CryptoFeed with its status and all rules."""
    schema = structural_schema(feed.CryptoFeed)
    properties = schema["properties"]
    # Of these the API server knows more itself; it lets a CRD bound nothing but the name.
    for field in ("apiVersion", "kind"):
        properties[field] = {"type": "string", "description": properties[field]["description"]}
    name = properties["metadata"]["properties"]["name"]
    properties["metadata"] = {
        "type": "object",
        "properties": {"name": {key: name[key] for key in ("type", "pattern", "maxLength")}},
    }
    properties["status"] = structural_schema(Status)
    # Given by the API server, never missing.
    schema["required"] = ["spec"]
    for rule in RULES:
        node = schema
        for field in rule.path:
            node = node["items"] if field == "[]" else node["properties"][field]
        node.setdefault("x-kubernetes-validations", []).append({"rule": rule.expression, "message": rule.message})
    return schema


def definition() -> dict[str, Any]:
    """The CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{PLURAL}.{GROUP}",
            # Without it `helm uninstall` would delete every feed.
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": "CryptoFeed",
                "listKind": "CryptoFeedList",
                "plural": PLURAL,
                "singular": "cryptofeed",
                "shortNames": ["cf"],
                "categories": ["cryptocdc"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": COLUMNS,
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.scaling.consumers",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "schema": {"openAPIV3Schema": feed_schema()},
                }
            ],
        },
    }


def text() -> str:
    """The definition as the file that lies in the chart."""
    return HEADER + yaml.safe_dump(definition(), sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    sys.stdout.write(text())
