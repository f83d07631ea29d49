"""Settings of every program, read from the environment: `CRYPTOCDC_*`, and each secret also from a file, `…_FILE`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from cryptocdc_core import base_urls
from cryptocdc_core.names import Source
from cryptocdc_core.program.exits import BadInput

PREFIX = "CRYPTOCDC_"

POSTGRES_PORT, KAFKA_PORT, CONNECT_PORT, CASSANDRA_PORT, SIMULATOR_PORT, API_PORT = (
    15432,
    19092,
    18083,
    19042,
    8090,
    8000,
)
"""The default ports on one machine: what `cryptocdc` starts listens there, and the programs connect to them."""


class SettingsError(BadInput):
    """Invalid settings; the message has one line per variable."""


class Settings(BaseModel):
    """The base of all settings; `title` is the group in their variables' names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Read each field from CRYPTOCDC_<GROUP>_<FIELD>. Raises SettingsError, which names every invalid variable."""
        env = os.environ if env is None else env
        found: dict[str, Any] = {}
        for field in cls.model_fields:
            name = cls.variable(field)
            if f"{name}_FILE" in env:
                try:
                    found[field] = Path(env[f"{name}_FILE"]).read_text(encoding="utf-8").strip()
                except OSError as error:
                    raise SettingsError(f"{name}_FILE: can't be read: {error}") from None
            elif env.get(name, "") != "":
                found[field] = env[name]
        try:
            return cls.model_validate(found)
        except ValidationError as error:
            lines = []
            for detail in error.errors():
                field = str(detail["loc"][0])
                name, hidden = cls.variable(field), not cls.model_fields[field].repr
                shown = "" if hidden else f" {detail['input']!r}:"
                lines.append(
                    f"{name}: must be set" if detail["type"] == "missing" else f"{name}:{shown} {detail['msg']}"
                )
            raise SettingsError("\n".join(lines)) from None

    @classmethod
    def variable(cls, field: str) -> str:
        """Return the name of the environment variable of `field`."""
        group = cls.model_config.get("title") or ""
        return f"{PREFIX}{group}{field}".upper()


RestUrl = Annotated[str, Field(pattern=base_urls.REST)]
WebsocketUrl = Annotated[str, Field(pattern=base_urls.WEBSOCKET)]
Port = Annotated[int, Field(ge=1, le=65535)]

_BROKER = re.compile(r"(?:[^\s,:/\[\]]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")


def _brokers(text: str) -> str:
    """Return the list of brokers without white space. Raises PydanticCustomError."""
    brokers = [broker.strip() for broker in text.split(",")]
    for broker in brokers:
        found = _BROKER.fullmatch(broker)
        if found is None or not 1 <= int(found[1]) <= 65535:
            raise PydanticCustomError("brokers", "accepted: host:port[,host:port], with ports from 1 to 65535")
    return ",".join(brokers)


class PostgresSettings(Settings):
    model_config = ConfigDict(title="postgres_")

    host: str = "127.0.0.1"
    port: Port = POSTGRES_PORT
    database: str = "cryptocdc"
    user: str = "cryptocdc"
    password: str = Field(repr=False)
    sslmode: str = Field("prefer", pattern="^(disable|allow|prefer|require|verify-ca|verify-full)$")
    ca_file: Path | None = None
    """CA certificate for `verify-ca` and `verify-full`."""


class ReplicationSettings(Settings):
    """Debezium's login to PostgreSQL."""

    model_config = ConfigDict(title="replication_")

    user: str = "debezium"
    password: str = Field(repr=False)


class KafkaSettings(Settings):
    model_config = ConfigDict(title="kafka_")

    bootstrap: Annotated[str, AfterValidator(_brokers)] = f"127.0.0.1:{KAFKA_PORT}"
    """Brokers, comma-separated, each with its port."""
    username: str | None = None
    password: str | None = Field(None, repr=False)
    mechanism: str = "PLAIN"
    ca_file: Path | None = None
    """If given, connections use TLS and verify the brokers' certificates against it."""
    max_poll_interval_s: int = Field(300, ge=10, le=3600)
    """How long a program may go without reading before its group gives its partitions to others."""


class CassandraSettings(Settings):
    model_config = ConfigDict(title="cassandra_")

    hosts: str = "127.0.0.1"
    """Comma-separated."""
    port: Port = CASSANDRA_PORT
    username: str = "cryptocdc"
    password: str = Field(repr=False)
    datacenter: str = "datacenter1"
    ca_file: Path | None = None
    """If given, connections use TLS and verify the nodes' certificates against it, but not their host names, since
    nodes are contacted by address."""


class ConnectSettings(Settings):
    model_config = ConfigDict(title="connect_")

    url: str = f"http://127.0.0.1:{CONNECT_PORT}"


@dataclass(frozen=True)
class ServerSettings:
    """How each server is reached."""

    postgres: PostgresSettings
    replication: ReplicationSettings
    kafka: KafkaSettings
    connect: ConnectSettings
    cassandra: CassandraSettings

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Raises SettingsError."""
        return cls(
            PostgresSettings.from_env(env),
            ReplicationSettings.from_env(env),
            KafkaSettings.from_env(env),
            ConnectSettings.from_env(env),
            CassandraSettings.from_env(env),
        )


class SimulatorSettings(Settings):
    """Where the simulator on this machine listens; the simulator reads the same variable."""

    model_config = ConfigDict(title="simulator_")

    port: Port = SIMULATOR_PORT

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


class ServingSettings(Settings):
    """Settings of every program's metrics, health checks and log."""

    model_config = ConfigDict(title="")

    metrics_port: Port = 9090
    metrics_host: str = "0.0.0.0"  # noqa: S104 - in a pod the scraper is outside; on one machine the runner sets 127.0.0.1
    log_format: str = Field("auto", pattern="^(auto|json|text)$")
    """auto: text on a terminal, JSON elsewhere."""
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")


class ExchangeSettings(Settings):
    """How the exchange is reached, instead of as the feed says, and the credentials for it."""

    model_config = ConfigDict(title="")

    api_key: str | None = Field(None, repr=False)
    """For endpoints that require one (credentialsSecretRef)."""
    rest_url: RestUrl | None = None
    """Base URL of the exchange's REST API."""
    websocket_url: WebsocketUrl | None = None
    """Base URL of the exchange's streams."""


class ProgramSettings(ServingSettings, ExchangeSettings):
    """Settings of each of a feed's programs."""

    feed: Path
    """The feed's file."""
    source: Source = "exchange"


class ProvingSettings(ServingSettings):
    """What the continuous verifier proves: one feed, or all feeds in a folder."""

    feed: Path | None = None
    """The feed's file."""
    feeds: Path | None = None
    """A folder with a file NAME.yaml for each feed, which is reread continuously. `feed` is ignored then."""
    source: Source = "exchange"
    """The source of `feed`. The feeds of a folder never fall back to the simulator: `exchange` decides."""


class ArchiveSettings(Settings):
    """Settings of the exchange's archive of past days, for the producer."""

    model_config = ConfigDict(title="archive_")

    retry_s: float = Field(3600, gt=0)
    """Seconds after which a day's file that is not there, or not in order, is looked for again."""


class HistorySettings(Settings):
    """Settings of the program that loads past days from the exchange's archive."""

    model_config = ConfigDict(title="history_")

    folder: Path | None = None
    """Where downloads are kept meanwhile, in a folder for each feed; by default in the temporary folder."""


class ExporterSettings(Settings):
    """Settings of the exporter alone."""

    model_config = ConfigDict(title="exporter_")

    credentials: Path | None = None
    """A folder with a file for each key of `spec.export.secretRef`."""


class VerifierSettings(Settings):
    """Settings of the continuous verifier alone."""

    model_config = ConfigDict(title="verifier_")

    rows_per_s: int = Field(10_000, ge=1)
    """Maximum rows compared per second: more than is captured, less than would slow the databases down."""


class ConsumerSettings(Settings):
    """Settings of the consumer alone."""

    model_config = ConfigDict(title="")

    transform: str | None = None
    """Instead of the feed's `spec.transform`."""


class AlerterSettings(Settings):
    """Settings of the alerter alone."""

    model_config = ConfigDict(title="alerter_")

    webhook_url: str | None = Field(None, repr=False, pattern=r"^https?://[^\s/?#]+[^\s]*$")
    """Overrides the feed's `alertWebhook.url`; comes from its `secretRef`."""


class ApiSettings(Settings):
    """Settings of the API alone."""

    model_config = ConfigDict(title="api_")

    host: str = "0.0.0.0"  # noqa: S104 - in a pod the clients are outside; on one machine the runner sets 127.0.0.1
    port: Port = API_PORT
    token: str | None = Field(None, repr=False, min_length=1)
    """If given, each request must present it."""
    requests_per_s: float = Field(100, gt=0)
    """Limit for one client address."""
    redis_url: str | None = Field(None, repr=False, pattern="^(redis|rediss|unix)://")
    """If given, API processes share a cache there. Requests succeed without it, too."""
    targets: str = ""
    """Where the programs serve their metrics: the path of a Prometheus file_sd file, or comma-separated `host:port`
    entries, each host meaning all of its addresses (those of a headless service are its pods')."""
