"""The platform's servers, through the same adapters as the programs use."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2
import requests
from cassandra import DriverException, InvalidRequest, OperationTimedOut
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaException
from psycopg2.extensions import connection as Connection

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.kafka import clients as kafka
from cryptocdc_adapters.kafka import offsets
from cryptocdc_adapters.kafka.symbols import write_symbols
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.postgres.history_files import Counts, counts
from cryptocdc_adapters.replication import shards, slots
from cryptocdc_adapters.replication.connect import Connect, ConnectError, ConnectorState
from cryptocdc_core.names import Names
from cryptocdc_core.planning.plan import Plan
from cryptocdc_core.planning.platform import PlatformFacts
from cryptocdc_core.program.settings import CassandraSettings, ServerSettings
from cryptocdc_core.storage.ddl import (
    HEARTBEAT,
    cassandra_password,
    cassandra_role,
    drop_cassandra,
    drop_postgres,
    drop_publications,
)
from cryptocdc_core.storage.shards import Shard, of_connectors
from cryptocdc_operator.servers.port import CASSANDRA, CONNECT, KAFKA, POSTGRES, Observed, Refused, ServerError
from cryptocdc_operator.settings import Addresses, OperatorSettings
from cryptocdc_operator.status.failures import describe

log = logging.getLogger("cryptocdc.operator")

Secrets = Mapping[str, Mapping[str, str]]
"""The secrets' contents, by name."""
LOOK_S = 10.0
"""The same as the other clients' connection timeout."""


def server_settings(settings: OperatorSettings, addresses: Addresses, secrets: Secrets) -> ServerSettings:
    """Return the servers' settings, completed from the secrets. Raises SettingsError, SecretUnusable."""
    found: dict[str, str] = dict(addresses)

    def login(group: str, secret: str, user: str) -> None:
        found[f"CRYPTOCDC_{group}_{user}"] = secrets[secret]["username"]
        found[f"CRYPTOCDC_{group}_PASSWORD"] = secrets[secret]["password"]

    def authority(group: str, secret: str | None) -> None:
        if secret is not None:
            found[f"CRYPTOCDC_{group}_CA_FILE"] = str(_file(secrets[secret]["ca.crt"]))

    login("POSTGRES", settings.postgres_secret, "USER")
    login("REPLICATION", settings.replication_secret, "USER")
    login("CASSANDRA", settings.cassandra_secret, "USERNAME")
    if settings.kafka_secret is not None:
        found["CRYPTOCDC_KAFKA_USERNAME"] = settings.kafka_secret
        found["CRYPTOCDC_KAFKA_PASSWORD"] = secrets[settings.kafka_secret]["password"]
    authority("POSTGRES", settings.postgres_ca_secret)
    authority("KAFKA", settings.kafka_ca_secret)
    authority("CASSANDRA", settings.cassandra_ca_secret)
    return ServerSettings.from_env(found)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return a private temporary folder, which is removed with this process."""
    return tempfile.TemporaryDirectory(prefix="cryptocdc-")


def _file(text: str) -> Path:
    """Return the path of a file with a CA certificate, as the clients need it; the same text gives the same file."""
    path = Path(_folder().name) / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.crt"
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as draft:
            draft.write(text)
        Path(draft.name).replace(path)
    return path


def connect(settings: OperatorSettings, addresses: Addresses, secrets: Secrets) -> PlatformServers:
    """Return the servers' clients. Raises SettingsError, SecretUnusable."""
    servers = server_settings(settings, addresses, secrets)

    def role(secret: str, *rights: str) -> Role:
        login = {key: secrets[secret][key] for key in ("username", "password")}
        return Role(servers.cassandra.model_copy(update=login), rights)

    made = (
        (settings.make_reader, settings.reader_secret, ("SELECT",)),
        (settings.make_writer, settings.writer_secret, ("SELECT", "MODIFY")),
    )
    return PlatformServers(servers, settings, [role(secret, *rights) for wanted, secret, rights in made if wanted])


@dataclass(frozen=True)
class Role:
    """A role in Cassandra that the operator creates: its login, and its permissions on each feed's keyspace."""

    login: CassandraSettings
    rights: tuple[str, ...]


class PlatformServers:
    """All four servers. Each request opens its own connection, since requests are minutes apart."""

    def __init__(self, servers: ServerSettings, settings: OperatorSettings, roles: Sequence[Role] = ()) -> None:
        """`roles`: created in Cassandra and granted permissions on each feed's keyspace."""
        self._servers = servers
        self._roles = roles
        self._connect = Connect(servers.connect.url)
        secret, namespace = settings.replication_secret, settings.namespace
        replication = f"{{'class': 'NetworkTopologyStrategy', '{servers.cassandra.datacenter}': "
        self.facts = PlatformFacts(
            postgres_host=servers.postgres.host,
            postgres_port=servers.postgres.port,
            postgres_database=servers.postgres.database,
            replication_user=servers.replication.user,
            # Connect resolves it, so that neither the KafkaConnector nor REST ever shows it.
            replication_password=f"${{secrets:{namespace}/{secret}:password}}",
            # Connect has no CA file to verify the certificate against.
            postgres_sslmode="require" if servers.postgres.sslmode.startswith("verify") else servers.postgres.sslmode,
            cassandra_hosts=servers.cassandra.hosts,
            cassandra_port=servers.cassandra.port,
            cassandra_datacenter=servers.cassandra.datacenter,
            cassandra_user=f"${{secrets:{namespace}/{settings.writer_secret}:username}}",
            cassandra_password=f"${{secrets:{namespace}/{settings.writer_secret}:password}}",
            cassandra_ca=None
            if settings.cassandra_ca_secret is None
            else f"${{secrets:{namespace}/{settings.cassandra_ca_secret}:ca.crt}}",
            cassandra_replication=f"{replication}{settings.cassandra_replication}}}",
            topic_replication=settings.topic_replication,
        )

    def history(self, names: Names) -> Counts:
        with _server_errors(POSTGRES), self._postgres() as connection:
            return counts(connection, names)

    def tables(self, names: Names) -> list[str]:
        with _server_errors(POSTGRES), self._postgres() as connection:
            return postgres.tables(connection, names.schema)

    def observe(self, plan: Plan) -> Observed:
        unreachable: dict[str, str] = {}
        found: dict[str, Any] = {"missing_tables": ()}

        def observe(server: str, ask: Callable[[Plan], dict[str, Any]]) -> dict[str, Any]:
            try:
                return ask(plan)
            except ServerError as error:
                unreachable[error.server] = str(error)
            except Exception as error:  # a response that the client can't parse must not hide the other servers
                log.exception("%s: invalid response", server)
                unreachable[server] = describe(error)
            return {}

        # The connector's position is read after the slot: while it runs, both only grow.
        chains = (
            ((POSTGRES, self._observe_postgres), (CONNECT, self._observe_connect)),
            ((CASSANDRA, self._observe_cassandra),),
            ((KAFKA, self._observe_kafka),),
        )
        with ThreadPoolExecutor(len(chains)) as pool:
            for answers in pool.map(lambda chain: [observe(*ask) for ask in chain], chains):
                for answer in answers:
                    found["missing_tables"] += answer.pop("missing_tables", ())
                    found |= answer
        found["shards"] = shards.with_slots(found.pop("slots", {}), found.pop("connectors", {}))
        order = (POSTGRES, KAFKA, CONNECT, CASSANDRA)
        return Observed({server: unreachable[server] for server in order if server in unreachable}, **found)

    def _observe_postgres(self, plan: Plan) -> dict[str, Any]:
        tables = [*(stream.table for stream in plan.carried), HEARTBEAT]
        with _server_errors(POSTGRES), self._postgres() as connection:
            missing = {
                table
                for shard in plan.connectors
                for table in postgres.missing_tables(connection, plan.names.schema, tables, shard.publication)
            }
            return {
                "missing_tables": tuple(f"{POSTGRES} {table}" for table in sorted(missing)),
                "slots": slots.of_feed(connection, plan.names),
            }

    def _postgres(self) -> closing[Connection]:
        return closing(postgres.connect(self._servers.postgres, "operator", autocommit=True))

    def _observe_connect(self, plan: Plan) -> dict[str, Any]:
        sink = plan.names.sink_connector
        with _server_errors(CONNECT):
            found: dict[str, Any] = {"sink_state": self._connect.state(sink), "plugins": self._connect.plugins()}
            if found["sink_state"] is not None:
                found["sink_config"] = self._connect.config(sink)
            found["connectors"] = shards.observe_connectors(self._connect, plan.names, len(plan.connectors))
            configs = {shard: self._connect.config(shard.connector) for shard in found["connectors"]}
            found["configs"] = {shard: config for shard, config in configs.items() if config is not None}
            return found

    def _observe_cassandra(self, plan: Plan) -> dict[str, Any]:
        tables = [stream.table for stream in plan.written]
        with _server_errors(CASSANDRA):
            missing = cassandra.missing_tables(self._servers.cassandra, plan.names.keyspace, tables)
            if not missing:
                missing = [
                    f"permissions of {role.login.username} ({', '.join(role.rights)}) on {plan.names.keyspace}"
                    for role in self._roles
                    if not cassandra.may(role.login, plan.names.keyspace, role.rights)
                ]
            return {"missing_tables": tuple(f"{CASSANDRA} {what}" for what in missing)}

    def _observe_kafka(self, plan: Plan) -> dict[str, Any]:
        with _server_errors(KAFKA):
            group, topics = plan.names.consumer_group, plan.change_topics
            there = kafka.replication(self._servers.kafka, [topic.name for topic in plan.topics], LOOK_S)
            found: dict[str, Any] = {"topics": there}
            try:
                found["lag"] = offsets.group_lag(self._servers.kafka, group, topics, LOOK_S)
            except KafkaException as error:
                if not kafka.has_no_leader_yet(error):
                    raise
            return found

    def apply_tables(self, plan: Plan) -> None:
        with _server_errors(POSTGRES):
            postgres.apply_schema(self._servers.postgres, plan.postgres)
        with _server_errors(CASSANDRA):
            cassandra.apply_schema(self._servers.cassandra, plan.cassandra)
            for role in self._roles:
                self._grant(role, plan.names)

    def _grant(self, role: Role, names: Names) -> None:
        """Create a role and grant its permissions. An existing role's password is changed only if it differs from the
        secret's, since Cassandra refuses a second change within five seconds."""
        username, password = role.login.username, role.login.password
        cassandra.apply_schema(self._servers.cassandra, cassandra_role(names, username, password, role.rights))
        if not cassandra.may(role.login, names.keyspace, role.rights):
            cassandra.apply_schema(self._servers.cassandra, [cassandra_password(username, password)])

    def write_symbols(self, names: Names, symbols: Mapping[str, int]) -> tuple[list[str], list[str]]:
        with _server_errors(KAFKA):
            return write_symbols(self._servers.kafka, names.symbols_topic, symbols)

    def connector_state(self, name: str) -> ConnectorState | None:
        with _server_errors(CONNECT):
            return self._connect.state(name)

    def restart_connector(self, name: str) -> None:
        with _server_errors(CONNECT):
            self._connect.restart(name)

    def stop_connector(self, name: str) -> None:
        with _server_errors(CONNECT):
            self._connect.stop(name)

    def start_connector(self, name: str) -> None:
        with _server_errors(CONNECT):
            self._connect.resume(name)

    def reset_connector(self, name: str) -> None:
        with _server_errors(CONNECT):
            try:
                self._connect.reset_offsets(name)
            except ConnectError as error:
                raise Refused(CONNECT, str(error)) from error

    def delete_connector(self, name: str) -> None:
        with _server_errors(CONNECT):
            self._connect.delete(name)

    def remove_connector(self, name: str) -> None:
        with _server_errors(CONNECT):
            self._connect.remove(name)

    def shards(self, names: Names) -> list[Shard]:
        with _server_errors(POSTGRES), self._postgres() as connection:
            made = slots.of_feed(connection, names)
        with _server_errors(CONNECT):
            return sorted({*made, *of_connectors(names, self._connect.names()).values()})

    def create_slot(self, shard: Shard) -> int:
        with _server_errors(POSTGRES):
            slots.create(self._servers.postgres, self._servers.replication, shard.slot)
            slot = slots.read(self._servers.postgres, shard.slot)
        if slot is None:
            raise ServerError(POSTGRES, f"slot {shard.slot} was dropped while it was created")
        return slot.confirmed

    def place_connector(self, shard: Shard, config: Mapping[str, str], lsn: int) -> None:
        with _server_errors(CONNECT):
            self._connect.place(shard.connector, dict(config), lsn)

    def drop_slot(self, shard: Shard) -> None:
        with _server_errors(POSTGRES):
            slots.drop(self._servers.postgres, self._servers.replication, shard.slot)

    def drop_publications(self, names: Names, kept: Collection[Shard]) -> None:
        with _server_errors(POSTGRES):
            postgres.apply_schema(self._servers.postgres, [drop_publications(names, list(kept))])

    def drop_data(self, names: Names) -> None:
        with _server_errors(POSTGRES):
            postgres.apply_schema(self._servers.postgres, drop_postgres(names))
        with _server_errors(CASSANDRA):
            cassandra.apply_schema(self._servers.cassandra, drop_cassandra(names))


@contextmanager
def _server_errors(server: str) -> Iterator[None]:
    """Convert the clients' exceptions to ServerError, or to Refused if the server rejected the request."""
    try:
        yield
    except (psycopg2.errors.RaiseException, InvalidRequest) as error:
        raise Refused(server, _error_text(error)) from error
    except (
        KafkaException,
        psycopg2.Error, NoHostAvailable, OperationTimedOut, DriverException, ConnectError, TimeoutError,
        requests.RequestException, OSError,
    ) as error:  # fmt: skip
        raise ServerError(server, _error_text(error)) from error


def _error_text(error: Exception) -> str:
    """Return the relevant part of a client's error message."""
    match error:
        case psycopg2.errors.RaiseException():
            return error.diag.message_primary or str(error)
        case psycopg2.OperationalError():
            return str(error).partition("\n")[0]
        case NoHostAvailable() if error.errors:
            return "; ".join(
                f"{host}: {str(reason).rpartition('Last error: ')[2]}" for host, reason in error.errors.items()
            )
        case requests.ConnectionError():
            return f"no connection to {error.request.url if error.request is not None else 'it'}"
        case NoHostAvailable():
            return str(error.args[0])
        case KafkaException() if hasattr(error.args[0], "str"):
            return str(error.args[0].str())
    return str(error) or type(error).__name__
