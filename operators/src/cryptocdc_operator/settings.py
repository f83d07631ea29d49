"""The operator's settings from the environment, `CRYPTOCDC_OPERATOR_*`, and the servers' addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, Json

from cryptocdc_core.program.settings import Port, ServerSettings, Settings

Optional = Annotated[str | None, BeforeValidator(lambda value: None if value == "none" else value)]
"""`none` means None: an empty variable counts as not set."""
Resources = Json[dict[str, dict[str, str]]]


class OperatorSettings(Settings):
    """Images, and the platform's names and secrets."""

    model_config = ConfigDict(title="operator_", validate_default=True)

    namespace: str
    """The operator's own namespace, which feeds, platform and programs share."""
    producer_image: str
    consumer_image: str
    alerter_image: str
    analyzer_image: str
    exporter_image: str
    verifier_image: Optional = None
    """For verification Jobs."""
    api_image: Optional = None
    """`none`: feeds have no API."""
    image_pull_policy: str = Field("IfNotPresent", pattern="^(Always|IfNotPresent|Never)$")
    image_pull_secrets: str = ""
    """Names, comma-separated."""
    producer_resources: Resources = '{"requests": {"cpu": "100m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}}'  # type: ignore[assignment]
    """JSON, as a container's `resources`."""
    consumer_resources: Resources = '{"requests": {"cpu": "100m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}}'  # type: ignore[assignment]
    """JSON, as a container's `resources`."""
    api_resources: Resources = '{"requests": {"cpu": "50m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}}'  # type: ignore[assignment]
    """JSON, as a container's `resources`."""
    api_replicas: int = Field(1, ge=0, le=100)
    """Pods of each feed's API."""
    api_requests_per_s: float = Field(100, gt=0)
    """Limit for one client address."""
    api_token_secret: Optional = None
    """Key token: required in each request."""
    api_redis_secret: Optional = None
    """Key url: a Redis that the API's pods use as a shared cache."""
    api_redis_port: Port = 6379
    """For the network policy: the URL is a secret that the operator does not read."""
    api_trusted_proxies: str = "127.0.0.1"
    """Comma-separated addresses and networks of proxies whose `X-Forwarded-For` is trusted."""
    alerter_resources: Resources = '{"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}}'  # type: ignore[assignment]
    """JSON, as a container's `resources`."""
    analyzer_resources: Resources = '{"requests": {"cpu": "100m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}}'  # type: ignore[assignment]
    """JSON, as a container's `resources`."""
    exporter_resources: Resources = '{"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "768Mi"}}'  # type: ignore[assignment]
    """JSON, as a container's `resources`."""
    history_image: Optional = None
    """`none`: exchanges' archives are not loaded."""
    history_resources: Resources = '{"requests": {"cpu": "100m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}}'  # type: ignore[assignment]
    """JSON, as a container's `resources`."""
    spark_image: Optional = None
    """`none`: feeds with `sink.engine: spark` are not run."""
    spark_mode: Literal["executors", "local", "operator"] = "executors"
    """How Spark runs: a driver that creates executors, one pod that does everything, or as a SparkApplication, which
    needs Spark's operator."""
    spark_account: str = "cryptocdc-spark"
    """The ServiceAccount with which a driver creates its executors."""
    spark_resources: Resources = '{"requests": {"cpu": "100m", "memory": "768Mi"}, "limits": {"memory": "1280Mi"}}'  # type: ignore[assignment]
    """JSON, as a container's `resources`: of the driver."""
    spark_memory: str = Field("512m", pattern="^[1-9][0-9]*[mg]$")
    """Java's heap in the driver and in each executor; Spark adds what else an executor needs."""
    spark_executor_cpu: str = "100m"
    """Requested by each executor, as a quantity of Kubernetes."""
    spark_checkpoint_size: str = "1Gi"
    """Of a feed's checkpoint volume. Applies to new volumes, like the next."""
    spark_storage_class: Optional = None
    """`none`: the cluster's default."""
    kafka_cluster: str = "cryptocdc"
    """The Kafka that KafkaTopics belong to."""
    connect_cluster: str = "cryptocdc"
    """The KafkaConnect that KafkaConnectors belong to."""
    topic_replication: int = Field(1, ge=1, le=9)
    cassandra_replication: int = Field(1, ge=1, le=9)
    """Replicas of each keyspace, in the datacenter CRYPTOCDC_CASSANDRA_DATACENTER."""
    postgres_secret: str = "cryptocdc-postgres-app"  # noqa: S105 - a name
    """Keys username, password: the owner of the database."""
    postgres_ca_secret: Optional = "cryptocdc-postgres-ca"  # noqa: S105
    """Key ca.crt."""
    replication_secret: str = "cryptocdc-replication"  # noqa: S105
    """Keys username, password: Debezium's login, which also drops slots. Connect reads the secret itself."""
    kafka_secret: Optional = "cryptocdc-operator"  # noqa: S105
    """Key password; the user has the secret's name, as in Strimzi's secrets. The same applies to the next five."""
    kafka_producer_secret: Optional = "cryptocdc-producer"  # noqa: S105
    kafka_consumer_secret: Optional = "cryptocdc-consumer"  # noqa: S105
    kafka_api_secret: Optional = "cryptocdc-api"  # noqa: S105
    kafka_alerter_secret: Optional = "cryptocdc-alerter"  # noqa: S105
    kafka_analyzer_secret: Optional = "cryptocdc-analyzer"  # noqa: S105
    kafka_ca_secret: Optional = "cryptocdc-cluster-ca-cert"  # noqa: S105
    """Key ca.crt."""
    cassandra_secret: str = "cryptocdc-superuser"  # noqa: S105
    """Keys username, password."""
    cassandra_ca_secret: Optional = None
    """Key ca.crt."""
    reader_secret: str = "cryptocdc-reader"  # noqa: S105
    """Keys username, password: the read-only login to the feeds' keyspaces, for the API and the analyzers."""
    make_reader: bool = True
    """Create that role in Cassandra, and grant it each feed's keyspace. False: somebody else does."""
    writer_secret: str = "cryptocdc-writer"  # noqa: S105
    """Keys username, password: the login that reads and writes the feeds' keyspaces, for the consumers."""
    make_writer: bool = True
    """The same for that role."""
    verifier_url: Optional = "http://cryptocdc-verifier:9090"
    simulator_rest_url: str = "http://cryptocdc-simulator:8090"
    """For feeds with `exchange: simulated` and no endpoints, like the next."""
    simulator_websocket_url: str = "ws://cryptocdc-simulator:8090"
    network_policies: bool = True
    pod_monitors: bool = False
    """Needs prometheus-operator's CRDs."""
    pod_monitor_labels: Json[dict[str, str]] = "{}"  # type: ignore[assignment]
    """Labels by which a Prometheus selects them: a JSON object."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets required to use the platform, in the order in which to look for them. Not that of the analyzers:
        few feeds have any, and an older platform lacks it. Without it their pods do not start, and say so."""
        given = (
            self.postgres_secret, self.postgres_ca_secret, self.replication_secret, self.kafka_secret,
            self.kafka_producer_secret, self.kafka_consumer_secret, self.kafka_alerter_secret,
            self.kafka_ca_secret, self.cassandra_secret, self.cassandra_ca_secret, self.reader_secret,
            self.writer_secret, self.kafka_api_secret if self.api_image else None,
        )  # fmt: skip
        return tuple(name for name in given if name is not None)

    @property
    def server_pods(self) -> dict[str, str]:
        """Selectors of the pods of the servers that Strimzi runs, by server."""
        return {
            "Kafka": f"strimzi.io/cluster={self.kafka_cluster},strimzi.io/name={self.kafka_cluster}-kafka",
            "Connect": f"strimzi.io/cluster={self.connect_cluster},strimzi.io/name={self.connect_cluster}-connect",
        }


class Addresses(dict[str, str]):
    """The variables with the servers' addresses, without secrets, which are passed on to the programs."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Take only variables in `env`; for the rest the programs have the same defaults as the operator. Raises
        SettingsError."""
        found = cls({name: env[name] for name in cls.names() if env.get(name)})
        secrets = (f"CRYPTOCDC_{group}_PASSWORD" for group in ("POSTGRES", "REPLICATION", "CASSANDRA"))
        ServerSettings.from_env({**found, **dict.fromkeys(secrets, "-")})  # secrets are read in each pass
        return found

    @staticmethod
    def names() -> tuple[str, ...]:
        return tuple(name for names in ADDRESSES.values() for name in names)

    def of(self, server: str) -> dict[str, str]:
        """Return the variables of one server."""
        return {name: self[name] for name in ADDRESSES[server] if name in self}


def _variables(group: str, *fields: str) -> tuple[str, ...]:
    return tuple(f"CRYPTOCDC_{group}_{field}" for field in fields)


ADDRESSES: Mapping[str, tuple[str, ...]] = {
    "postgres": _variables("POSTGRES", "HOST", "PORT", "DATABASE", "SSLMODE"),
    "kafka": _variables("KAFKA", "BOOTSTRAP", "MECHANISM"),
    "cassandra": _variables("CASSANDRA", "HOSTS", "PORT", "DATACENTER"),
    "connect": _variables("CONNECT", "URL"),
}

Object = dict[str, Any]
"""A Kubernetes object as a dict."""
