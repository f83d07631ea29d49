"""The CryptoFeed, which a user writes. Validated as a whole; errors name field, value and what is accepted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError, field_validator

from cryptocdc_core import base_urls
from cryptocdc_core.catalogue import COMPUTED, STREAMS, Stream
from cryptocdc_core.feed.alerts import Alert, AlertWebhook, misplaced, valid_alerts
from cryptocdc_core.feed.analytics import Analytics, without_source
from cryptocdc_core.feed.base import REFERENCE, Asset, Broken, FeedModel, Symbol, are_duplicated, duplicates
from cryptocdc_core.feed.export import Export
from cryptocdc_core.feed.history import History, beyond_retention, exceeds, past_s
from cryptocdc_core.feed.problems import problem, shown
from cryptocdc_core.feed.repair import Repair
from cryptocdc_core.feed.streams import Streams
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.time import durations

API_VERSION = "cryptocdc.io/v1alpha1"

Retention = Annotated[str, Field(pattern=rf"^keep$|{durations.PATTERN}", json_schema_extra={"maxLength": 7})]

MOST_TTL_S = 3650 * 86_400
"""Cassandra's own limit is twenty years from the time of writing."""

MOST_ALERTS = 50

RESERVED = ("public", "information-schema", "cryptocdc")
RESERVED_STARTS = ("pg-", "system", "cryptocdc-")
RESERVED_ENDS = ("-sim", "-capture")


class FeedError(BadInput):
    """An invalid feed. `problems` has one line per problem, each naming the field."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


SOURCE = "cryptocdc.io/source"
"""The annotation by which the verifier knows where the data of a feed comes from, in files that the operator writes."""


class Metadata(FeedModel):
    model_config = ConfigDict(extra="ignore")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,29}$", json_schema_extra={"maxLength": 30})
    """Name of everything that belongs to the feed: `my-feed` has the schema, keyspace and topic prefix `my_feed`.
    Reserved: `public`, `information-schema`, `cryptocdc`, names that start with `pg-`, `system` or `cryptocdc-`, and
    names that end with `-sim` or `-capture`."""
    annotations: dict[str, Any] | None = None
    """Not read, except in the files that the operator writes for the verifier."""

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in RESERVED or name.startswith(RESERVED_STARTS):
            raise ValueError("reserved by the servers or the platform; any other is accepted")
        if name.endswith(RESERVED_ENDS):
            raise ValueError(
                "the suffixes -sim and -capture are reserved for simulated and replayed runs; any other is accepted"
            )
        return name


class Endpoints(FeedModel):
    """Base URLs to use instead of the exchange's own."""

    rest: str | None = Field(None, pattern=base_urls.REST, max_length=200)
    """Base URL of the REST API, instead of the exchange's own; the API's own path at its end is dropped."""
    websocket: str | None = Field(None, pattern=base_urls.WEBSOCKET, max_length=200)
    """Base URL of the WebSocket streams, instead of the exchange's own; the API's own path at its end is dropped."""
    archive: str | None = Field(None, pattern=base_urls.REST, max_length=200)
    """Base URL of the exchange's public archive of past days, instead of the exchange's own."""


class Top(FeedModel):
    """The most traded symbols of a quote asset, instead of names."""

    count: int = Field(ge=1, le=500)
    """Instead of names: capture this many symbols, those with the highest volume in the last 24 hours. Queried daily; a
    symbol leaves only when it falls below rank 1.5 × count."""
    quote: Asset = "USDT"
    """The quote asset of those symbols."""


class Symbols(FeedModel):
    """What to capture: exactly one of `names` and `top`."""

    names: list[Symbol] | None = Field(None, min_length=1, max_length=1000, json_schema_extra={"uniqueItems": True})
    """The symbols to capture, each once. Exactly one of `names` and `top` is given."""
    top: Top | None = None

    @classmethod
    def broken_rules(cls, given: dict[str, Any]) -> Iterator[Broken]:
        if twice := duplicates(given.get("names")):
            yield ("names",), f"{are_duplicated(twice)}; each symbol is accepted once"
        if ("names" in given and "top" in given) or cls.lacks(given, ("names", "top")):
            yield (), "exactly one of names and top is accepted"


class Retentions(FeedModel):
    """How long each server keeps the rows: a whole number with a unit (`s`, `m`, `h`, `d`, `w`), or `keep`."""

    postgres: Retention = "2d"
    """PostgreSQL's partitions that ended longer ago are dropped, once they are proven in Cassandra. `keep` drops
    nothing."""
    kafka: Retention = "1d"
    """How long change topics and rejected frames are kept. Dead letters are kept forever."""
    cassandra: Retention = "90d"
    """A row expires this long after its own time, not after the time it was written. 3650d at most, or `keep`."""

    @field_validator("cassandra")
    @classmethod
    def _expressible(cls, text: str) -> str:
        if (retention_s(text) or 0) > MOST_TTL_S:
            raise ValueError("at most 3650d, or keep, is accepted: Cassandra refuses longer TTLs")
        return text


class Scaling(FeedModel):
    """How many programs share the work."""

    partitions: int = Field(12, ge=1, le=96)
    """Partitions of each change topic and of the symbols topic, and so the maximum number of producers and of
    consumers that can share the work. Can't be changed later."""
    producers: int = Field(1, ge=0, le=96)
    """Number of producers; they share the symbols."""
    consumers: int = Field(1, ge=0, le=96)
    """Number of consumers, which write into Cassandra; they share the partitions. With `sink.engine: connect` it
    is the number of the sink connector's tasks, at most one per partition; with `spark` one job runs unless it is 0."""
    analyzers: int = Field(1, ge=0, le=96)
    """Number of analyzers, if the feed has `analytics`; they share the partitions."""
    connectors: int = Field(1, ge=1, le=8)
    """Number of connectors that read PostgreSQL, each with a replication slot of its own; they share the symbols. Can
    be changed at any time; for the change PostgreSQL needs slots for both numbers."""


class Sink(FeedModel):
    """The sink of the rows."""

    type: Literal["cassandra"] = "cassandra"
    """The kind of database the rows go to."""
    engine: Literal["consumer", "spark", "connect"] = "consumer"
    """What writes the rows: `consumer`, the feed's consumers, `spark`, a Spark Structured Streaming job, or `connect`,
    a sink connector in Kafka Connect. Can be changed at any time."""


class Spec(FeedModel):
    """What to capture, from where, and how long to keep it."""

    exchange: Literal["binance", "binance-us", "binance-usdm", "coinbase", "okx", "simulated"] = "binance"
    """Where the data comes from; `simulated` is the simulator. Can't be changed later."""
    endpoints: Endpoints = Endpoints()
    credentials_secret_ref: str | None = Field(None, alias="credentialsSecretRef", max_length=253)
    """Name of the secret with the API key, if an endpoint requires one. Programs read the key from `CRYPTOCDC_API_KEY`
    or from the file named by `CRYPTOCDC_API_KEY_FILE`."""
    symbols: Symbols
    streams: Streams
    history: History = History()
    analytics: Analytics | None = None
    retention: Retentions = Retentions()
    scaling: Scaling = Scaling()
    repair: Repair = Repair()
    sink: Sink = Sink()
    export: Export | None = None
    transform: str | None = Field(None, pattern=REFERENCE, max_length=200)
    """Your own function, as `module:function`, that alters changes or leaves them out before they are written; or a
    class, whose instance is called. The consumers must be able to import the module."""
    alerts: list[Alert] = Field(
        default=[], max_length=MOST_ALERTS, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """Market conditions that are reported when they become true and when they no longer are. Changing them restarts
    neither producers nor consumers."""
    alert_webhook: AlertWebhook | None = Field(None, alias="alertWebhook")
    suspend: bool = False
    """`true` stops the capture; rows already in PostgreSQL still go to Cassandra."""
    deletion_policy: Literal["Retain", "Delete"] = Field("Retain", alias="deletionPolicy")
    """What happens to the data when the feed is deleted: `Retain` keeps it, `Delete` also removes topics and tables."""

    @classmethod
    def broken_rules(cls, given: dict[str, Any]) -> Iterator[Broken]:
        alerts = valid_alerts(given.get("alerts"))
        if twice := duplicates([alert.id for alert in alerts.values()]):
            yield ("alerts",), f"{are_duplicated(twice)}; each alert is accepted once"
        if given.get("transform") is not None and _field(given.get("sink"), "engine") in ("spark", "connect"):
            yield ("transform",), "accepted with sink.engine: consumer, since only consumers run Python transforms"
        names = _field(given.get("symbols"), "names")
        streams = given.get("streams")
        captured = [name for name in STREAMS if _field(streams, name) is not None]
        kept = _field(given.get("retention"), "kafka") or Retentions().kafka
        given_names = names if isinstance(names, list) else None
        yield from misplaced(alerts, given_names, captured, kept, given.get("analytics"))
        yield from without_source(given.get("analytics"), captured)
        stored = _field(given.get("retention"), "cassandra") or Retentions().cassandra
        yield from beyond_retention(given.get("history"), stored)

    def past_ms(self, table: str) -> int:
        """Return how much of the past of `table` is fetched over REST for a symbol, in milliseconds: at most what both
        databases keep."""
        wanted = past_s(getattr(self.history, table, "0s"))
        kept = [retention_s(text) for text in (self.retention.postgres, self.retention.cassandra)]
        return min([wanted, *(seconds for seconds in kept if seconds is not None)]) * 1000

    @property
    def archived_past(self) -> dict[str, str]:
        """Return by table the `history` of the streams of which more is wanted than PostgreSQL keeps: what is older is
        loaded from the exchange's archive."""
        wanted = {table: text for table in self.streams.tables if (text := getattr(self.history, table, None))}
        return {table: text for table, text in wanted.items() if exceeds(text, retention_s(self.retention.postgres))}

    @property
    def loads_archive(self) -> bool:
        """Return whether the exchange's archive is loaded."""
        return self.history.begin is not None or bool(self.archived_past)

    @property
    def computed(self) -> tuple[Stream, ...]:
        """Return the streams that the analyzer computes."""
        wanted = {} if self.analytics is None else self.analytics.model_dump(by_alias=True)
        return tuple(stream for stream in COMPUTED.values() if wanted.get(stream.name))


class CryptoFeed(FeedModel):
    """Market data of an exchange, captured into PostgreSQL and replicated by change data capture to Cassandra, where it
    is proven equal."""

    api_version: Literal["cryptocdc.io/v1alpha1"] = Field(alias="apiVersion")
    """The version of this document."""
    kind: Literal["CryptoFeed"]
    """What this document is."""
    metadata: Metadata
    spec: Spec

    @property
    def name(self) -> str:
        return self.metadata.name

    def refuse_changes(self, before: CryptoFeed) -> None:
        """Raise FeedError if an immutable field differs from `before`: one that determines what stored rows mean or
        where they are stored."""
        trades, earlier = self.spec.streams.recent_trades, before.spec.streams.recent_trades
        immutable: list[tuple[str, object, object]] = [
            ("spec.exchange", before.spec.exchange, self.spec.exchange),
            ("spec.scaling.partitions", before.spec.scaling.partitions, self.spec.scaling.partitions),
        ]
        if trades is not None and earlier is not None:
            immutable.append(("spec.streams.recentTrades.kind", earlier.kind, trades.kind))
        problems = [
            f"{field}: {now!r} is not accepted; accepted: {then!r}: the field is immutable, use another feed"
            for field, then, now in immutable
            if now != then
        ]
        if problems:
            raise FeedError(problems)


def retention_s(text: str) -> int | None:
    """Return a retention in seconds, None for "keep"."""
    return None if text == "keep" else durations.seconds(text)


def expiry_margin_ms(retention_s: int) -> int:
    """Return how close to their expiry rows are excluded on both sides: they may expire between two readings."""
    return min(3_600_000, max(10_000, retention_s * 1000 // 20))


def parse(document: object) -> CryptoFeed:
    """Return the feed in a parsed document, ignoring `status`. Raises FeedError with all its problems."""
    if not isinstance(document, dict):
        raise FeedError(
            [f"feed: {shown(document)} is not accepted; accepted: a mapping with apiVersion, kind, metadata, spec"]
        )
    try:
        return CryptoFeed.model_validate({key: value for key, value in document.items() if key != "status"})
    except ValidationError as error:
        raise FeedError([problem(detail, CryptoFeed) for detail in error.errors()]) from None


def _field(given: object, name: str) -> object:
    """Return a field of a mapping that may be anything else; None where there is none."""
    return given.get(name) if isinstance(given, dict) else None


class _PlainLoader(yaml.SafeLoader):
    """Rejects aliases: a feed needs none, and ten lines of them can expand to more entries than fit into memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "an alias is not accepted", None)
        return super().compose_node(parent, index)


def _day(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    """Return a day as it is written, as JSON and the API server have it. Raises ValueError for the 31st of February."""
    loader.construct_yaml_timestamp(node)
    return str(node.value)


_PlainLoader.add_constructor("tag:yaml.org,2002:timestamp", _day)


def load(path: Path) -> CryptoFeed:
    """Return the feed in a YAML file. Raises FeedError if it can't be read or is not a YAML file with a single feed."""
    return parse(read(path))


def read(path: Path) -> Any:
    """Return the only document in a YAML file, of any kind. Raises FeedError unless there is exactly one."""
    try:
        documents = [
            document
            for document in yaml.load_all(path.read_text(encoding="utf-8"), _PlainLoader)
            if document is not None
        ]
    except FileNotFoundError:
        raise FeedError([f"{path}: no such file; accepted: a YAML file with one CryptoFeed"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise FeedError([f"{path}: can't be read: {error}"]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: the 31st of February, a huge number
        raise FeedError([f"{path}: invalid YAML: {' '.join(str(error).split())}"]) from None
    if len(documents) != 1:
        raise FeedError([f"{path}: contains {len(documents)} documents; accepted: one CryptoFeed"])
    return documents[0]
