"""The ports to the platform's servers, the exchange and the verifier. Tests use doubles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cryptocdc_adapters.connect import ConnectorState
from cryptocdc_adapters.slots import Slot
from cryptocdc_core.feed import CryptoFeed
from cryptocdc_core.names import Names
from cryptocdc_core.plan import Plan
from cryptocdc_core.platform import PlatformFacts
from cryptocdc_core.resolve import ResolvedFeed
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
    slot: Slot | None = None
    state: ConnectorState | None = None
    config: Mapping[str, str] | None = None
    """The connector's configuration in Connect."""
    position: int | None = None
    """The connector's position, an LSN as a number of bytes. Read after the slot."""
    sink_state: ConnectorState | None = None
    """The state of the connector that writes into Cassandra."""
    sink_config: Mapping[str, str] | None = None
    plugins: frozenset[str] = frozenset()
    """The classes of the connectors that Connect has; only for a plan with a sink connector."""
    lag: int | None = None
    topics: Mapping[str, int] = field(default_factory=dict)
    """The number of replicas of the plan's existing topics, by name."""

    def carries(self, wanted: Mapping[str, str]) -> bool:
        """Return whether Connect has all of the wanted configuration. Strimzi may add settings of its own."""
        return self.config is not None and wanted.items() <= self.config.items()

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

    def observe(self, plan: Plan) -> Observed:
        """Observe all servers. Raises nothing: those that do not answer are in `unreachable`."""

    def apply_tables(self, plan: Plan) -> None:
        """Create schema, publication and heartbeat; keyspace and tables. Also raises Refused."""

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

    def drop_slot(self, names: Names) -> None: ...

    def drop_data(self, names: Names) -> None:
        """Remove schema, publication and keyspace, with all rows."""


class ExternalServices(Protocol):
    """The port to everything outside cluster and platform."""

    def resolve(self, feed: CryptoFeed, current: frozenset[str], absent: frozenset[str]) -> ResolvedFeed:
        """Resolve the feed; `current` and `absent` as in `cryptocdc_core.resolve`. Raises FeedError, ExchangeSilent."""

    def proof(self, names: Names) -> Proof | str | None:
        """Return the proof for `assess.proven`."""

    def obstacle(self, host: str, port: int) -> str | None:
        """Return why the program at that address can't work, as it reports it; None if it can, or does not answer.
        Raises nothing."""


Connect = Callable[[Mapping[str, Mapping[str, str]]], Servers]
"""Returns the servers, given the secrets' contents by name. Raises SettingsError, SecretUnusable."""
