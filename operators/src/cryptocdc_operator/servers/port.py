"""The ports to the platform's servers, the exchange and the verifier. Tests use doubles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cryptocdc_adapters.postgres.history_files import Counts
from cryptocdc_adapters.replication.connect import ConnectorState
from cryptocdc_adapters.replication.shards import ShardState
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.names import Names
from cryptocdc_core.planning.plan import Plan
from cryptocdc_core.planning.platform import PlatformFacts
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_core.storage.shards import Shard
from cryptocdc_operator.status.assess import Proof


class ServerError(RuntimeError):
    """A server does not answer, or answers with an error, which is the message."""

    def __init__(self, server: str, message: str) -> None:
        self.server = server
        super().__init__(" ".join(message.split()))


class Refused(ServerError):
    """A server rejected a request: a retry is useless until the feed or the data change."""


class ExchangeSilent(RuntimeError):
    """The exchange does not answer the request for its markets."""


@dataclass(frozen=True)
class Observed:
    """The platform at one moment. Fields of a server that does not answer are None or empty."""

    unreachable: Mapping[str, str] = field(default_factory=dict)
    """Error messages, by server."""
    missing_tables: tuple[str, ...] = ()
    shards: Mapping[Shard, ShardState] = field(default_factory=dict)
    """Every slot and connector of the feed, of whatever number of connectors; positions are read after slots."""
    configs: Mapping[Shard, Mapping[str, str]] = field(default_factory=dict)
    """The connectors' configurations in Connect."""
    sink_state: ConnectorState | None = None
    """The state of the connector that writes into Cassandra."""
    sink_config: Mapping[str, str] | None = None
    plugins: frozenset[str] = frozenset()
    """The classes of Connect's plugins."""
    lag: int | None = None
    topics: Mapping[str, int] = field(default_factory=dict)
    """The number of replicas of the plan's existing topics, by name."""

    def shard(self, shard: Shard) -> ShardState:
        return self.shards.get(shard, ShardState())

    def carries(self, shard: Shard, wanted: Mapping[str, str]) -> bool:
        """Return whether Connect has all of the wanted configuration. Strimzi may add settings of its own."""
        return shard in self.configs and wanted.items() <= self.configs[shard].items()

    def sink_carries(self, wanted: Mapping[str, str]) -> bool:
        """As `carries`, of the connector that writes into Cassandra."""
        return self.sink_config is not None and wanted.items() <= self.sink_config.items()

    def answers(self, *servers: str) -> bool:
        return not any(server in self.unreachable for server in servers)


POSTGRES, KAFKA, CONNECT, CASSANDRA = "PostgreSQL", "Kafka", "Connect", "Cassandra"


class Servers(Protocol):
    """The platform's servers. Each call raises ServerError."""

    @property
    def facts(self) -> PlatformFacts: ...

    def tables(self, names: Names) -> list[str]:
        """Return the streams' tables in PostgreSQL."""

    def history(self, names: Names) -> Counts:
        """Return how far the feed's past is loaded, from PostgreSQL."""

    def observe(self, plan: Plan) -> Observed:
        """Observe all servers. Raises nothing: those that do not answer are in `unreachable`."""

    def apply_tables(self, plan: Plan) -> None:
        """Create schema, publications and heartbeat; keyspace and tables. Also raises Refused."""

    def write_symbols(self, names: Names, symbols: Mapping[str, int]) -> tuple[list[str], list[str]]:
        """Write the symbols, and return those added and those removed."""

    def connector_state(self, name: str) -> ConnectorState | None: ...

    def restart_connector(self, name: str) -> None: ...

    def stop_connector(self, name: str) -> None:
        """Stop the connector in Connect directly: Strimzi does not stop a failed one."""

    def start_connector(self, name: str) -> None:
        """Resume the connector in Connect directly."""

    def reset_connector(self, name: str) -> None:
        """Reset the position of a stopped connector. Raises Refused if Connect does not accept that."""

    def delete_connector(self, name: str) -> None:
        """Delete a connector without KafkaConnector from Connect."""

    def remove_connector(self, name: str) -> None:
        """Delete a sink connector from Connect; its group's offsets stay."""

    def shards(self, names: Names) -> list[Shard]:
        """Return the shards that have a slot or a connector in Connect, of whatever number of connectors."""

    def create_slot(self, shard: Shard) -> int:
        """Create the shard's slot if there is none, and return its position."""

    def place_connector(self, shard: Shard, config: Mapping[str, str], lsn: int) -> None:
        """Create the shard's connector in Connect, stopped, if there is none; its first start reads from `lsn` on."""

    def drop_slot(self, shard: Shard) -> None: ...

    def drop_publications(self, names: Names, kept: Collection[Shard]) -> None:
        """Drop the feed's publications but for those of the shards `kept`."""

    def drop_data(self, names: Names) -> None:
        """Remove schema, publications and keyspace, with all rows."""


class ExternalServices(Protocol):
    """The port to everything outside cluster and platform."""

    def resolve(self, feed: CryptoFeed, current: frozenset[str], absent: frozenset[str]) -> ResolvedFeed:
        """Resolve the feed; `current` and `absent` as in `cryptocdc_core.planning.resolve`.

        Raises FeedError, ExchangeSilent.
        """

    def proof(self, names: Names) -> Proof | str | None:
        """Return the proof for `assess.proven`."""

    def obstacle(self, host: str, port: int) -> str | None:
        """Return why the program at that address can't work, as it reports it; None if it can, or does not answer.
        Raises nothing."""


Connect = Callable[[Mapping[str, Mapping[str, str]]], Servers]
"""Returns the servers, given the secrets' contents by name. Raises SettingsError, SecretUnusable."""
