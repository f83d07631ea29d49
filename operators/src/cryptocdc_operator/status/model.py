"""The status of a CryptoFeed, which the operator writes, and from which the CRD's schema is generated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cryptocdc_control.connector import Recovery
from cryptocdc_core.feed.base import Count, Symbol
from cryptocdc_exchanges.port import Proof

HistoryPhase = Literal["Waiting", "Loading", "Loaded", "Incomplete", "Failed"]
Generation = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True)


class Condition(_Model):
    """A condition as in Kubernetes' metav1.Condition."""

    type: str = Field(pattern=r"^[A-Za-z]{1,64}$", json_schema_extra={"maxLength": 64})
    """`Ready`, `PlatformReady`, `TablesReady`, `TopicsReady`, `ConnectorReady`, `ProducersReady`, `ConsumersReady`,
    `ApiReady`, `AlerterReady`, `AnalyzersReady`, `ExportReady`, `Proven` or `MarketsTrading`."""
    status: Literal["True", "False", "Unknown"]
    """Whether the condition is met."""
    reason: str = Field(pattern=r"^[A-Za-z0-9]{1,64}$", json_schema_extra={"maxLength": 64})
    """Why, in one word for programs."""
    message: str = Field(max_length=4096)
    """Why, for people."""
    last_transition_time: AwareDatetime
    """When `status` last changed."""
    observed_generation: Generation | None = None
    """The feed's generation that was assessed."""


class CatchUp(_Model):
    """The progress of an old proof. Absent while the proof is recent."""

    distance_seconds: Count
    """Distance from the proven time to the present when it last became shorter, or after ten minutes in which it did
    not."""
    since: AwareDatetime
    """When that was measured."""
    gaining: bool = False
    """Whether it had become shorter. If not, the proof is not catching up."""


class Completeness(_Model):
    """How it is known whether all rows of a stream arrived."""

    table: str = Field(max_length=63)
    """The stream's table."""
    by: Proof
    """`ids`: rows have consecutive ids, so that each missing one is detected, and fetched if possible. `sequence`: a
    missing message is noticed, but not what it contained. `arrival`: only what arrived is known."""


class HistoryProgress(_Model):
    """How far the feed's past is loaded."""

    since: str | None = Field(None, alias="from", max_length=32)
    """`spec.history.from`, which is loaded from the exchange's archive."""
    phase: HistoryPhase | None = None
    """Absent where nothing is loaded from the archive. `Loaded`: all that `spec.history` asks for until the first row
    captured, apart from what `message` says. `Incomplete`: all that is in order is loaded, the rest is not."""
    message: str | None = Field(None, max_length=4096)
    """Why, for people."""
    files: Count | None = None
    """Files that the archive has."""
    loaded: Count | None = None
    """Files whose rows Kafka has acknowledged."""
    proven: Count | None = None
    """Files that are proven equal in Cassandra."""
    quarantined: Count | None = None
    """Files that are not in order, and not loaded."""
    absent: Count | None = None
    """Files that the archive does not have."""
    rows: Count | None = None
    """Rows of the loaded files."""
    past_open: Count | None = None
    """Parts of the past that are fetched over REST, one for each symbol and interval, and are not fetched yet: those of
    `spec.history.klines` and `recentTrades`, and of `from` the days that PostgreSQL keeps."""
    past_filled: Count | None = None
    """Those that are."""


class ShardRecovery(_Model):
    """The recovery of one of several connectors."""

    shard: str = Field(pattern=r"^[1-9][0-9]*of[1-9][0-9]*$", json_schema_extra={"maxLength": 8})
    """Which connector, such as `1of2`."""
    recovery: Recovery
    """Its recovery."""


class Status(_Model):
    """The observed state of the feed. Written only by the operator."""

    # A pass assigns fields. Lists are replaced, never altered, so that a shallow copy keeps a state.
    model_config = ConfigDict(frozen=False)

    observed_generation: Generation | None = None
    """The newest generation of the feed that was applied."""
    identity: str | None = Field(None, max_length=63)
    """The name of the schema in PostgreSQL and the keyspace in Cassandra, and the prefix of topics. Written before any
    of them is created."""
    conditions: list[Condition] | None = Field(
        None, max_length=16, json_schema_extra={"x-kubernetes-list-map-keys": ["type"]}
    )
    """`Ready` summarizes the others; each has a reason and a message."""
    symbols: Count | None = None
    """Number of the feed's symbols, including those whose markets are paused or not listed."""
    symbol_names: list[Symbol] | None = Field(None, max_length=1000, json_schema_extra={"uniqueItems": True})
    """These symbols: the names, or what `top` resolved to."""
    halted_names: list[Symbol] | None = Field(None, max_length=1000, json_schema_extra={"uniqueItems": True})
    """Symbols whose markets are paused: they are captured once trading resumes."""
    waiting_names: list[Symbol] | None = Field(None, max_length=1000, json_schema_extra={"uniqueItems": True})
    """Symbols that the exchange does not list: they are captured from their first trade on."""
    waiting_notes: list[Annotated[str, Field(max_length=256)]] | None = Field(
        None, max_length=1000, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """A message for each of these, with similar listed names."""
    suspect_list: str | None = Field(None, max_length=1024)
    """Why the exchange's last list of markets is implausible; what was known before is kept then."""
    resolved_at: AwareDatetime | None = None
    """When the symbols were last resolved at the exchange: once a day, and every minute while a market is paused or not
    listed."""
    resolved_from: str | None = Field(None, max_length=64)
    """A digest of the fields from which they were resolved."""
    tables: list[Annotated[str, Field(max_length=63)]] | None = Field(
        None, max_length=16, json_schema_extra={"uniqueItems": True}
    )
    """The streams' tables in PostgreSQL. Those of streams removed from the feed are still replicated."""
    tables_from: str | None = Field(None, max_length=64)
    """A digest of the statements that created the tables in both databases."""
    trades_kind: Literal["aggregate", "trade"] | None = None
    """The kind of trades in the table `recent_trades`, recorded when the table was created: `recentTrades` may be
    removed and added again only with this kind."""
    completeness: list[Completeness] | None = Field(
        None, max_length=16, json_schema_extra={"x-kubernetes-list-map-keys": ["table"]}
    )
    """How it is known, for each table, whether all rows arrived: equal databases do not show that."""
    rows: Count | None = None
    """Rows in PostgreSQL that are proven equal in Cassandra."""
    lag: Count | None = None
    """Changes in Kafka that the consumers have not written yet."""
    proven_through: AwareDatetime | None = None
    """Time up to which PostgreSQL and Cassandra are proven equal."""
    catch_up: CatchUp | None = None
    """The progress of an old proof."""
    repair: str | None = Field(None, max_length=1024)
    """With `spec.repair.enabled`: the rows that were repaired since the verifier started, by cause, and those left, by
    reason."""
    history: HistoryProgress | None = None
    """How far the feed's past is loaded."""
    replicas: Count | None = None
    """Number of consumers, or of the sink connector's tasks."""
    selector: str | None = Field(None, max_length=253)
    """Label selector of the consumers' pods, for autoscalers."""
    connectors: Count | None = None
    """Number of connectors that carry the changes to Kafka now: it differs from the spec's while they are replaced."""
    recovery: Recovery | None = None
    """The recovery of a failed connector, of a feed with one."""
    shard_recoveries: list[ShardRecovery] | None = Field(
        None, max_length=16, json_schema_extra={"x-kubernetes-list-map-keys": ["shard"]}
    )
    """The recoveries of failed connectors, of a feed with several."""
    sink_recovery: Recovery | None = None
    """The recovery of a failed sink connector, with `sink.engine: connect`."""
