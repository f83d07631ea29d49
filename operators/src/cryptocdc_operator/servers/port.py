"""What the operator needs of the platform's servers, the exchange and the verifier. Tests put doubles here."""

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
    """A server does not answer, or not as wanted. The message says what it said."""

    def __init__(self, server: str, message: str) -> None:
        self.server = server
        super().__init__(" ".join(message.split()))


class Refused(ServerError):
    """A server understood and will not: a retry changes nothing until the feed or the data change."""


class ExchangeSilent(RuntimeError):
    """The exchange does not say what the symbols mean."""


@dataclass(frozen=True)
class Observed:
    """The platform at one moment. What a server that does not answer would have said is None, or empty."""

    unreachable: Mapping[str, str] = field(default_factory=dict)
    """By server, what it said."""
    missing_tables: tuple[str, ...] = ()
    slot: Slot | None = None
    state: ConnectorState | None = None
    config: Mapping[str, str] | None = None
    """The connector's, as Connect has it."""
    position: int | None = None
    """The connector's, in bytes of PostgreSQL's log. Read after the slot."""
    lag: int | None = None
    topics: Mapping[str, int] = field(default_factory=dict)
    """By topic of the plan that Kafka has, how many replicas it has."""

    def carries(self, wanted: Mapping[str, str]) -> bool:
        """Whether Connect has all of a connector's wanted configuration. Strimzi may add settings of its own."""
        return self.config is not None and wanted.items() <= self.config.items()

    def answers(self, *servers: str) -> bool:
        return not any(server in self.unreachable for server in servers)


POSTGRES, KAFKA, CONNECT, CASSANDRA = "PostgreSQL", "Kafka", "Connect", "Cassandra"


class Servers(Protocol):
    """The platform's servers. Each call raises ServerError."""

    @property
    def facts(self) -> PlatformFacts: ...

    def tables(self, names: Names) -> list[str]:
        """The streams' in PostgreSQL."""

    def observe(self, plan: Plan) -> Observed:
        """Raises nothing: what does not answer is in `unreachable`."""

    def apply_tables(self, plan: Plan) -> None:
        """Schema, publication, heartbeat; keyspace and tables. Raises Refused too."""

    def write_symbols(self, names: Names, symbols: Mapping[str, int]) -> tuple[list[str], list[str]]:
        """What was added and what was removed."""

    def connector_state(self, name: str) -> ConnectorState | None: ...

    def restart_connector(self, name: str) -> None: ...

    def stop_connector(self, name: str) -> None:
        """Ask Connect itself to stop it: Strimzi leaves a connector that has failed as it is."""

    def start_connector(self, name: str) -> None:
        """Ask Connect itself to take back a stop."""

    def reset_connector(self, name: str) -> None:
        """Forget the position of a connector that was stopped. Raises Refused when Connect does not accept that."""

    def delete_connector(self, name: str) -> None:
        """Remove from Connect what no KafkaConnector stands for any more."""

    def drop_slot(self, names: Names) -> None: ...

    def drop_data(self, names: Names) -> None:
        """Schema, publication, keyspace, with all rows."""


class ExternalServices(Protocol):
    """What is neither cluster nor platform."""

    def resolve(self, feed: CryptoFeed, current: frozenset[str], absent: frozenset[str]) -> ResolvedFeed:
        """`current` and `absent` as cryptocdc_core.resolve takes them. Raises FeedError, ExchangeSilent."""

    def proof(self, names: Names) -> Proof | str | None:
        """As assess.proven takes it."""

    def obstacle(self, host: str, port: int) -> str | None:
        """What keeps the program there from its work, in its own words; None when nothing does or it does not answer.
        Raises nothing."""


Connect = Callable[[Mapping[str, Mapping[str, str]]], Servers]
"""The servers, reached with the secrets' contents by their names. Raises SettingsError, SecretUnusable."""
