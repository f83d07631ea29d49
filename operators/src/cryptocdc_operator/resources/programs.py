"""A feed's programs: environment, secrets, inputs and connections of each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from cryptocdc_control.programs import workloads
from cryptocdc_control.sink import engine_of
from cryptocdc_core.feed.alerts import AlertWebhook
from cryptocdc_core.feed.export import Export
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.planning.plan import Plan
from cryptocdc_core.program.settings import CassandraSettings, KafkaSettings, PostgresSettings
from cryptocdc_exchanges.registry import at_archive, venue_of
from cryptocdc_operator.resources.labels import ALERTER, ANALYZER, CONSUMER, EXPORTER, HISTORY, SPARK
from cryptocdc_operator.resources.source import exchange_urls, source_of
from cryptocdc_operator.settings import Addresses, Object, OperatorSettings

FEED = "/etc/cryptocdc"
"""The folder with the feed, in each pod."""
METRICS_PORT, HTTP_PORT = 9090, 8000
DRIVER_PORT, BLOCKS_PORT = 7078, 7079
"""At which executors reach Spark's driver, and driver and executors fetch blocks from each other."""
START_S, SPARK_START_S = 120, 300
API_SERVER = "https://kubernetes.default.svc"
CHECKPOINT = "/var/lib/cryptocdc"
TRUST_STORE = "CRYPTOCDC_SPARK_TRUST_STORE"


CREDENTIALS = "/var/run/secrets/export"
"""Where the keys of `spec.export.secretRef` are mounted."""
DOWNLOADS = "5Gi"
"""Room for what is loaded, or exported, at a time and the spare space, beside a single larger file."""
ARCHIVE_FILE = "2Gi"
"""Room for one day's file of raw trades, of the busiest symbol."""


@dataclass(frozen=True)
class Secret:
    """A secret mounted as files; `files` maps environment variables to the keys whose file paths they contain."""

    name: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Program:
    """One of a feed's programs, with everything in which its Deployment differs from others."""

    component: str
    """For a feed's program, also its name in `cryptocdc_control.programs`."""
    image: str
    resources: Object
    environment: Mapping[str, str]
    secrets: tuple[Secret, ...]
    reaches: tuple[tuple[str, int], ...]
    """Hosts and ports to which it connects; the host "" means any."""
    http: bool = False
    """Whether it serves users on HTTP_PORT, with /health as readiness probe. All programs serve metrics as well."""
    replicas: int = 1
    ports: Mapping[str, int] = field(default_factory=dict)
    """More ports, by name, which only pods of the same feed's programs may reach."""
    account: str | None = None
    """The ServiceAccount whose token it has for Kubernetes' API; None: it has none."""
    mounts: Mapping[str, Object] = field(default_factory=dict)
    """More volumes, by the path at which they are mounted."""
    scratch: str = "64Mi"
    """Size of /tmp."""
    start_s: int = START_S
    """It is restarted if it does not answer after this time."""
    ready: str = "/healthz"
    """The path of the readiness probe, unless it serves users."""
    alone: bool = False
    """Whether the old pod has to stop before a new one starts."""
    inputs: object = None
    """The parts of the feed that the program reads at its start: a change to them restarts it. None for a Job."""


def producer(feed: CryptoFeed, settings: OperatorSettings, addresses: Addresses) -> Program:
    """Exchange → PostgreSQL."""
    spec = feed.spec
    rest, websocket = exchange_urls(feed, settings)
    venue = venue_of(feed, rest, websocket)
    hosts, from_archive = venue.hosts, venue.fills_from_archive(spec.streams)
    urls = {"CRYPTOCDC_REST_URL": rest, "CRYPTOCDC_WEBSOCKET_URL": websocket}
    key = (
        (Secret(spec.credentials_secret_ref, {"CRYPTOCDC_API_KEY_FILE": "api-key"}),)
        if spec.credentials_secret_ref
        else ()
    )
    return Program(
        component="producer",
        image=settings.producer_image,
        resources=settings.producer_resources,
        environment={
            **addresses.of("postgres"), **addresses.of("kafka"), **_login(settings.kafka_producer_secret),
            **{name: url for name, url in urls.items() if url is not None},
        },
        secrets=(
            Secret(
                settings.postgres_secret,
                {"CRYPTOCDC_POSTGRES_USER_FILE": "username", "CRYPTOCDC_POSTGRES_PASSWORD_FILE": "password"},
            ),
            *_ca(settings.postgres_ca_secret, "CRYPTOCDC_POSTGRES_CA_FILE"),
            *_password(settings.kafka_producer_secret),
            *_ca(settings.kafka_ca_secret, "CRYPTOCDC_KAFKA_CA_FILE"),
            *key,
        ),
        reaches=(
            *_postgres(addresses), *_kafka(addresses), *map(_port, (hosts.rest, hosts.websocket)),
            *([_port(hosts.archive)] if from_archive else []),
        ),
        scratch=ARCHIVE_FILE if from_archive else Program.scratch,
    )  # fmt: skip


def consumer(settings: OperatorSettings, addresses: Addresses) -> Program:
    """Kafka → Cassandra."""
    return Program(
        component="consumer",
        image=settings.consumer_image,
        resources=settings.consumer_resources,
        environment={
            **addresses.of("kafka"), **addresses.of("cassandra"), **_login(settings.kafka_consumer_secret),
        },
        secrets=(
            *_password(settings.kafka_consumer_secret),
            *_ca(settings.kafka_ca_secret, "CRYPTOCDC_KAFKA_CA_FILE"),
            Secret(
                settings.writer_secret,
                {"CRYPTOCDC_CASSANDRA_USERNAME_FILE": "username", "CRYPTOCDC_CASSANDRA_PASSWORD_FILE": "password"},
            ),
            *_ca(settings.cassandra_ca_secret, "CRYPTOCDC_CASSANDRA_CA_FILE"),
        ),
        reaches=(*_kafka(addresses), *_cassandra(addresses)),
    )  # fmt: skip


def spark(plan: Plan, settings: OperatorSettings, addresses: Addresses) -> Program:
    """Kafka → Cassandra by Spark: the driver. If it creates executors, it reaches them and Kubernetes' API, which may
    have any address."""
    made, count = consumer(settings, addresses), plan.feed.spec.scaling.consumers
    executors = settings.spark_mode != "local"
    environment = {
        "CRYPTOCDC_CHECKPOINT": CHECKPOINT,
        "CRYPTOCDC_SPARK_MEMORY": settings.spark_memory,
        "CRYPTOCDC_SPARK_MASTER": f"k8s://{API_SERVER}" if executors else f"local[{max(1, count)}]",
    }
    if settings.cassandra_ca_secret is not None:
        environment[TRUST_STORE] = "/tmp/cassandra-ca.p12"  # noqa: S108 - the container's own
    if settings.spark_mode != "operator":
        environment["SPARK_CONF_DIR"] = FEED
    if settings.spark_mode == "executors":
        environment["PYSPARK_SUBMIT_ARGS"] = "--conf spark.kubernetes.driver.pod.name=$(POD_NAME) pyspark-shell"
    more = (("", 443), ("", 6443), (SPARK, DRIVER_PORT), (SPARK, BLOCKS_PORT)) if executors else ()
    return replace(
        made,
        component=SPARK,
        image=settings.spark_image or "",
        resources=settings.spark_resources,
        environment={**made.environment, **environment},
        reaches=(*made.reaches, *more),
        ports={"driver": DRIVER_PORT, "blocks": BLOCKS_PORT} if executors else {},
        account=settings.spark_account if executors else None,
        mounts={
            CHECKPOINT: {"name": "checkpoint", "persistentVolumeClaim": {"claimName": checkpoint_claim(plan.feed)}}
        },
        scratch="1Gi",
        start_s=SPARK_START_S,
        alone=True,
        # Spark reads its properties at its start.
        inputs=[count, settings.spark_executor_cpu],
    )


def checkpoint_claim(feed: CryptoFeed) -> str:
    """Return the name of the claim of Spark's checkpoint."""
    return f"{feed.name}-{SPARK}"


def api(feed: CryptoFeed, settings: OperatorSettings, addresses: Addresses) -> Program | None:
    """Cassandra → HTTP, changes → WebSocket, with the read-only login; None if feeds have no API."""
    if settings.api_image is None:
        return None
    # The alerter is included even if there is none: missing hosts are skipped, and a first alert must not restart the
    # API. Analytics do, since it serves their tables.
    writes = SPARK if feed.spec.sink.engine == "spark" else CONSUMER
    components = ("producer", writes, ALERTER, *([ANALYZER] if feed.spec.computed else []))
    seen = [(f"{feed.name}-{component}", METRICS_PORT) for component in components]
    if settings.verifier_url is not None:
        seen.append(_port(settings.verifier_url))
    given = (
        (settings.api_token_secret, {"CRYPTOCDC_API_TOKEN_FILE": "token"}),
        (settings.api_redis_secret, {"CRYPTOCDC_API_REDIS_URL_FILE": "url"}),
    )
    redis = () if settings.api_redis_secret is None else (("", settings.api_redis_port),)
    return Program(
        component="api",
        image=settings.api_image,
        resources=settings.api_resources,
        environment={
            **addresses.of("kafka"), **addresses.of("cassandra"), **_login(settings.kafka_api_secret),
            "CRYPTOCDC_API_PORT": str(HTTP_PORT),
            "CRYPTOCDC_API_REQUESTS_PER_S": str(settings.api_requests_per_s),
            "CRYPTOCDC_API_TARGETS": ",".join(f"{host}:{port}" for host, port in seen),
            "FORWARDED_ALLOW_IPS": settings.api_trusted_proxies,
        },
        secrets=(
            *_password(settings.kafka_api_secret),
            *_ca(settings.kafka_ca_secret, "CRYPTOCDC_KAFKA_CA_FILE"),
            _reader(settings),
            *_ca(settings.cassandra_ca_secret, "CRYPTOCDC_CASSANDRA_CA_FILE"),
            *(Secret(name, files) for name, files in given if name is not None),
        ),
        reaches=(*_kafka(addresses), *_cassandra(addresses), *seen, *redis),
        http=True,
    )  # fmt: skip


def alerter(feed: CryptoFeed, settings: OperatorSettings, addresses: Addresses) -> Program:
    """Kafka → alerts."""
    webhook = feed.spec.alert_webhook
    reference = webhook.secret_ref if webhook is not None else None
    return Program(
        component=ALERTER,
        image=settings.alerter_image,
        resources=settings.alerter_resources,
        environment={**addresses.of("kafka"), **_login(settings.kafka_alerter_secret)},
        secrets=(
            *_password(settings.kafka_alerter_secret),
            *_ca(settings.kafka_ca_secret, "CRYPTOCDC_KAFKA_CA_FILE"),
            *((Secret(reference, {"CRYPTOCDC_ALERTER_WEBHOOK_URL_FILE": "url"}),) if reference else ()),
        ),
        reaches=(*_kafka(addresses), *_webhook(webhook)),
    )


def analyzer(settings: OperatorSettings, addresses: Addresses) -> Program:
    """Trades in Kafka → computed tables in Kafka; reads stored trades with the read-only login."""
    return Program(
        component=ANALYZER,
        image=settings.analyzer_image,
        resources=settings.analyzer_resources,
        environment={
            **addresses.of("kafka"), **addresses.of("cassandra"), **_login(settings.kafka_analyzer_secret),
        },
        secrets=(
            *_password(settings.kafka_analyzer_secret),
            *_ca(settings.kafka_ca_secret, "CRYPTOCDC_KAFKA_CA_FILE"),
            _reader(settings),
            *_ca(settings.cassandra_ca_secret, "CRYPTOCDC_CASSANDRA_CA_FILE"),
        ),
        reaches=(*_kafka(addresses), *_cassandra(addresses)),
    )  # fmt: skip


def exporter(wanted: Export, settings: OperatorSettings, addresses: Addresses) -> Program:
    """Cassandra → Parquet files in a bucket, with the read-only login; PostgreSQL has the proofs."""
    reference = wanted.secret_ref
    return Program(
        component=EXPORTER,
        image=settings.exporter_image,
        resources=settings.exporter_resources,
        environment={
            **addresses.of("postgres"), **addresses.of("cassandra"),
            **({"CRYPTOCDC_EXPORTER_CREDENTIALS": CREDENTIALS} if reference is not None else {}),
        },
        secrets=(
            Secret(
                settings.postgres_secret,
                {"CRYPTOCDC_POSTGRES_USER_FILE": "username", "CRYPTOCDC_POSTGRES_PASSWORD_FILE": "password"},
            ),
            *_ca(settings.postgres_ca_secret, "CRYPTOCDC_POSTGRES_CA_FILE"),
            _reader(settings),
            *_ca(settings.cassandra_ca_secret, "CRYPTOCDC_CASSANDRA_CA_FILE"),
        ),
        reaches=(*_postgres(addresses), *_cassandra(addresses), _port(wanted.endpoint or "https://s3.amazonaws.com")),
        mounts={}
        if reference is None
        else {CREDENTIALS: {"name": "credentials", "secret": {"secretName": reference, "defaultMode": 0o440}}},
        scratch=DOWNLOADS,
        alone=True,
        ready="/readyz",
    )  # fmt: skip


def history(feed: CryptoFeed, settings: OperatorSettings, addresses: Addresses) -> Program:
    """An exchange's archive → Kafka, with a consumer's rights there; proven in Cassandra with the read-only login. Days
    that PostgreSQL keeps: exchange → PostgreSQL, as a producer."""
    captures, writes = producer(feed, settings, addresses), consumer(settings, addresses)
    rest, _ = exchange_urls(feed, settings)
    hosts = at_archive(feed, source_of(feed, settings), rest).hosts
    captured, writer = ("CRYPTOCDC_POSTGRES_", "CRYPTOCDC_API_KEY_"), settings.writer_secret
    return replace(
        writes,
        component=HISTORY,
        image=settings.history_image or "",
        resources=settings.history_resources,
        environment={
            **writes.environment, **addresses.of("postgres"),
            **({"CRYPTOCDC_REST_URL": rest} if rest is not None else {}),
        },
        secrets=(
            *(secret for secret in writes.secrets if secret.name != writer),
            _reader(settings),
            *(it for it in captures.secrets if all(variable.startswith(captured) for variable in it.files)),
        ),
        reaches=(*_postgres(addresses), *writes.reaches, *map(_port, (hosts.archive, hosts.rest))),
        scratch=DOWNLOADS,
    )  # fmt: skip


def programs_of(plan: Plan, settings: OperatorSettings, addresses: Addresses) -> tuple[Program, ...]:
    """Return all programs of a feed. The alerter runs only while there are alerts to watch, analyzers only while there
    is something to compute, consumers only where they are the sink engine."""
    feed, wanted = plan.feed, workloads(plan)
    served = api(feed, settings, addresses)
    found = [
        replace(producer(feed, settings, addresses), replicas=wanted["producer"].replicas),
    ]
    if engine_of(plan) == "consumer":
        found.append(replace(consumer(settings, addresses), replicas=wanted["consumer"].replicas))
    if engine_of(plan) == "spark":
        found.append(replace(spark(plan, settings, addresses), replicas=wanted["spark"].replicas))
    if served is not None:
        found.append(replace(served, replicas=settings.api_replicas))
    if wanted["alerter"].replicas:
        found.append(alerter(feed, settings, addresses))
    if feed.spec.export is not None:
        found.append(exporter(feed.spec.export, settings, addresses))
    if plan.computed:
        found.append(replace(analyzer(settings, addresses), replicas=wanted["analyzer"].replicas))
    return tuple(_reads(program, wanted[program.component].inputs) for program in found)


def _reads(program: Program, inputs: object) -> Program:
    return replace(program, inputs=inputs if program.inputs is None else [inputs, program.inputs])


def _login(secret: str | None) -> dict[str, str]:
    return {} if secret is None else {"CRYPTOCDC_KAFKA_USERNAME": secret}


def _password(secret: str | None) -> tuple[Secret, ...]:
    return () if secret is None else (Secret(secret, {"CRYPTOCDC_KAFKA_PASSWORD_FILE": "password"}),)


def _reader(settings: OperatorSettings) -> Secret:
    return Secret(
        settings.reader_secret,
        {"CRYPTOCDC_CASSANDRA_USERNAME_FILE": "username", "CRYPTOCDC_CASSANDRA_PASSWORD_FILE": "password"},
    )


def _ca(secret: str | None, variable: str) -> tuple[Secret, ...]:
    return () if secret is None else (Secret(secret, {variable: "ca.crt"}),)


def _postgres(addresses: Addresses) -> tuple[tuple[str, int], ...]:
    server = PostgresSettings.from_env({**addresses, "CRYPTOCDC_POSTGRES_PASSWORD": "-"})
    return ((server.host, server.port),)


def _kafka(addresses: Addresses) -> tuple[tuple[str, int], ...]:
    brokers = KafkaSettings.from_env(addresses).bootstrap.split(",")
    return tuple((host, int(port)) for host, _, port in (broker.rpartition(":") for broker in brokers))


def _cassandra(addresses: Addresses) -> tuple[tuple[str, int], ...]:
    server = CassandraSettings.from_env({**addresses, "CRYPTOCDC_CASSANDRA_PASSWORD": "-"})
    return tuple((host.strip(), server.port) for host in server.hosts.split(","))


def _webhook(webhook: AlertWebhook | None) -> tuple[tuple[str, int], ...]:
    """Return the webhook's host and port. The operator can't see a secret URL: allow any host on the usual ports."""
    if webhook is None:
        return ()
    return (_port(webhook.url),) if webhook.url is not None else (("", 80), ("", 443))


def _port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme in ("https", "wss") else 80)
