"""What the operator says about a feed: `status` of a CryptoFeed, and of it the CRD's schema."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cryptocdc_control.connector import Recovery
from cryptocdc_core.feed_base import Count, Symbol

Generation = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True)


class Condition(_Model):
    """One thing that holds or does not, as Kubernetes writes it (metav1.Condition)."""

    type: str = Field(pattern=r"^[A-Za-z]{1,64}$", json_schema_extra={"maxLength": 64})
    """`Ready`, `PlatformReady`, `TablesReady`, `TopicsReady`, `ConnectorReady`, `ProducersReady`, `ConsumersReady`,
    `ApiReady`, `AlerterReady`, `Proven` or `MarketsTrading`."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: str = Field(pattern=r"^[A-Za-z0-9]{1,64}$", json_schema_extra={"maxLength": 64})
    """Why, in one word for programs."""
    message: str = Field(max_length=4096)
    """Why, for people."""
    last_transition_time: AwareDatetime
    """When `status` last changed."""
    observed_generation: Generation | None = None
    """The feed's generation that this was said of."""


class CatchUp(_Model):
    """How the proof of the past gets on while what is proven is old. Not there while it is recent."""

    distance_seconds: Count
    """From what is proven to the present, when that last became less, or after ten minutes in which it did not."""
    since: AwareDatetime
    """When that was."""
    gaining: bool = False
    """Whether it had become less. If not, the proof is late."""


class Status(_Model):
    """What the operator found and did. Only the operator writes here."""

    observed_generation: Generation | None = None
    """The newest generation of the feed that was applied."""
    identity: str | None = Field(None, max_length=63)
    """Names the schema in PostgreSQL, the keyspace in Cassandra and the topics. Noted before any of them is made."""
    conditions: list[Condition] | None = Field(
        None, max_length=16, json_schema_extra={"x-kubernetes-list-map-keys": ["type"]}
    )
    """`Ready` sums up the others; each says why it does not hold."""
    symbols: Count | None = None
    """How many symbols the feed has: those that are captured, and those whose markets are waited for."""
    symbol_names: list[Symbol] | None = Field(None, max_length=1000, json_schema_extra={"uniqueItems": True})
    """These symbols: the names, or what `top` resolved to."""
    halted_names: list[Symbol] | None = Field(None, max_length=1000, json_schema_extra={"uniqueItems": True})
    """Of these the ones whose markets are paused: they are captured once they trade again."""
    waiting_names: list[Symbol] | None = Field(None, max_length=1000, json_schema_extra={"uniqueItems": True})
    """Of these the ones that the exchange does not list: they are captured from their first trade on."""
    waiting_notes: list[Annotated[str, Field(max_length=256)]] | None = Field(
        None, max_length=1000, json_schema_extra={"x-kubernetes-list-type": "atomic"}
    )
    """A sentence for each of these, with listed names that are similar."""
    suspect_list: str | None = Field(None, max_length=1024)
    """Why the exchange's last list of markets was not believed; then what was known before stays."""
    resolved_at: AwareDatetime | None = None
    """When the exchange was last asked what the symbols mean; it is asked every day, and every minute while a market is
    paused or not listed."""
    resolved_from: str | None = Field(None, max_length=64)
    """A digest of what it was asked."""
    tables: list[Annotated[str, Field(max_length=63)]] | None = Field(
        None, max_length=16, json_schema_extra={"uniqueItems": True}
    )
    """The streams' tables that are in PostgreSQL. Those of a stream that left the feed go on being carried."""
    tables_from: str | None = Field(None, max_length=64)
    """A digest of the statements that made the tables in both databases."""
    trades_kind: Literal["aggregate", "trade"] | None = None
    """The kind of trades in the table `recent_trades`, noted when the table was made: `recentTrades` may leave the feed
    and come back, but only with this kind."""
    rows: Count | None = None
    """Rows of PostgreSQL that are proven equal in Cassandra."""
    lag: Count | None = None
    """Changes in Kafka that the consumers have yet to write."""
    proven_through: AwareDatetime | None = None
    """Up to this moment PostgreSQL and Cassandra were compared and found equal."""
    catch_up: CatchUp | None = None
    """How the proof of the past gets on."""
    replicas: Count | None = None
    """Consumers that run."""
    selector: str | None = Field(None, max_length=253)
    """Finds the consumers' pods: what an autoscaler asks for."""
    recovery: Recovery | None = None
    """What was done for a connector that failed."""
