"""The run of one feed on one machine, from starting the servers to proving the last row."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import requests

from cryptocdc_adapters.exchange import resolving
from cryptocdc_adapters.exchange.rest import Rest
from cryptocdc_adapters.kafka import clients as kafka
from cryptocdc_adapters.metrics.figures import FeedFigures
from cryptocdc_adapters.metrics.readings import Readings
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.postgres.history_files import counts
from cryptocdc_adapters.replication.connect import ConnectError
from cryptocdc_control.programs import restarted, workloads
from cryptocdc_core.catalogue import COMPUTED
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.names import identity
from cryptocdc_core.planning.plan import Plan, plan
from cryptocdc_core.program.settings import ExchangeSettings
from cryptocdc_exchanges.registry import check, venue_of
from cryptocdc_local.applier import Applied, Servers, apply
from cryptocdc_local.export import export_environment
from cryptocdc_local.feeds import AppliedFeed, FeedStore
from cryptocdc_local.platform import HaltError, Platform
from cryptocdc_local.platform.machine import check_port
from cryptocdc_local.platform.metrics import EVERY_S, ServerMetrics
from cryptocdc_local.platform.progress import Steps
from cryptocdc_local.platform.settings import LOOPBACK
from cryptocdc_local.running import claim
from cryptocdc_local.running.counting import count_rows
from cryptocdc_local.running.exchange_choice import Chosen, Simulator
from cryptocdc_local.running.guard import ConnectorGuard
from cryptocdc_local.running.programs import Programs, stop_left_over
from cryptocdc_local.running.sink import SinkConnector, one_line, spark_environment

log = logging.getLogger("cryptocdc.run")

RESOLVE_AGAIN_S = 86_400
RESOLVE_LOOK_S = 60.0
"""Also the time between two attempts: each has a weight of 100, of the 6,000 per minute for this IP address."""
GUARD_EVERY_S = HISTORY_EVERY_S = 3.0
START_ORDER = ("consumer", "spark", "analyzer", "producer", "alerter", "verifier", "exporter", "history")
"""What writes first, so that the first rows are written to Cassandra immediately. The API starts after the plan is
applied: nothing waits for it, and its start takes a second of CPU time."""


def read_document(path: Path) -> dict[str, object]:
    """Return the feed's document after validating it, also against what its venue has. Raises FeedError."""
    document = feeds.read(path)
    check(feeds.parse(document))
    return dict(document)


def resolved(
    document: dict[str, object], chosen: Chosen, current: Collection[str], absent: Collection[str] = ()
) -> AppliedFeed:
    """Resolve the feed's symbols at the exchange; `current` and `absent` are those of `resolve`.

    Raises FeedError for symbols or assets without a market, ExchangeError if the exchange does not answer properly.
    """
    feed = feeds.parse(document)
    rest = Rest(venue_of(feed, chosen.rest_url), ExchangeSettings.from_env().api_key)
    found = resolving.resolved(rest, feed, chosen.source, current, absent)
    return AppliedFeed(
        document,
        chosen.source,
        chosen.rest_url,
        chosen.websocket_url,
        found.symbols,
        found.halted,
        time.time(),
        dict(found.waiting),
        found.suspect,
    )


@dataclass
class Run:
    """A feed's programs and their watchers. Call `start`, which applies the plan, then `stop_capture`, then `stop`."""

    platform: Platform
    servers: Servers
    store: FeedStore
    chosen: Chosen
    applied: AppliedFeed
    plan: Plan
    simulator: Simulator | None = None

    def __post_init__(self) -> None:
        self.programs = Programs(self.platform.settings, self.plan.names.fid, self._environment())
        self.history = ""
        """How far what `spec.history` asks of the archive is loaded."""
        self.note = self.chosen.note
        self.event = ""
        self.halted: HaltError | None = None
        self.rows_before: dict[str, int] = {}
        self._scaled = True
        self._guard = ConnectorGuard(self.plan, self.servers)
        self._sink = SinkConnector(self.plan, self.servers)
        self._server_metrics = ServerMetrics(self.platform) if self.platform.settings.server_metrics else None
        self._readings = self._new_readings()
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []

    def _new_readings(self) -> Readings:
        tables = self.applied.feed.spec.streams.tables
        targets = str(self.platform.settings.targets(self.plan.names.fid))
        return Readings(targets, self.servers.kafka, self.plan.names, tables, self.applied.feed.spec.sink.engine)

    @property
    def address(self) -> str:
        """The URL of the API."""
        return f"http://{LOOPBACK}:{self.platform.settings.ports.api}"

    def _environment(self) -> dict[str, str]:
        return {
            **self.platform.endpoints().environment(),
            "CRYPTOCDC_FEED": str(self.store.feed_file(self.plan.names.fid)),
            "CRYPTOCDC_SOURCE": self.applied.source,
            "CRYPTOCDC_REST_URL": self.applied.rest_url,
            "CRYPTOCDC_WEBSOCKET_URL": self.applied.websocket_url,
            "CRYPTOCDC_API_HOST": self.platform.settings.api_host,
            "CRYPTOCDC_API_PORT": str(self.platform.settings.ports.api),
            "CRYPTOCDC_API_TARGETS": str(self.platform.settings.targets(self.plan.names.fid)),
        }

    def start(self, report: Callable[[str], None]) -> Applied:
        """Apply the plan and start the programs, while the connector starts."""
        with self._changing():
            result = apply(self.plan, self.servers, report, self._start_programs)
        self.programs.scale("api", 1)
        self._watch(self._check_disk, 0.5)
        self._watch(self._supervise_platform, 1.0)
        self._watch(self._supervise_programs, 0.5)
        self._watch(self._supervise_simulator, 1.0)
        self._watch(self._guard_connector, GUARD_EVERY_S)
        self._watch(self._guard_sink, GUARD_EVERY_S)
        self._watch(self._pick_up_changes, 1.0)
        self._watch(self._follow_history, HISTORY_EVERY_S)
        self._watch(self._resolve_again, RESOLVE_LOOK_S)
        if self._server_metrics is not None:
            self._watch(self._serve_server_metrics, EVERY_S)
        return result

    def _start_programs(self) -> None:
        self.rows_before = count_rows(self.servers, self.plan)
        self.store.write(self.applied)
        self._scale()

    def _scale(self) -> None:
        """Run what the plan says. Of the sink engines, the one that the feed left stops before the other starts."""
        planned = self.plan
        wanted = workloads(planned)
        for engine in ("consumer", "spark"):
            if not wanted[engine].replicas:
                self.programs.scale(engine, 0)
        if wanted["spark"].replicas:
            self.programs.more["spark"] = spark_environment(self.platform, planned.names.fid)
        if wanted["history"].replicas:
            folder = self.platform.settings.home / "history"
            self.programs.more["history"] = {"CRYPTOCDC_HISTORY_FOLDER": str(folder)}
        if wanted["exporter"].replicas:
            self.programs.more["exporter"] = export_environment(self.platform)
        self._sink.plan = planned  # not earlier: its watcher would start the connector beside the consumers
        removed = True
        try:
            self._sink.apply()
        except (ConnectError, requests.RequestException) as error:
            if planned.sink_connector is not None:
                raise
            # Programs don't need Connect, and two engines share the group's partitions: the removal is retried.
            removed = False
            self.event = f"sink connector can't be removed: {one_line(error)}"
        for program in START_ORDER:
            self.programs.scale(program, wanted[program].replicas)
        self._scaled = removed

    def _watch(self, step: Callable[[], None], every_s: float) -> None:
        def loop() -> None:
            while not self._ending.wait(every_s):
                try:
                    step()
                except Exception as error:  # a watcher must not die
                    self.event = f"{step.__name__.strip('_')}: {one_line(error)}"

        thread = threading.Thread(target=loop, name=step.__name__, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _check_disk(self) -> None:
        try:
            self.platform.check_disk_left()
        except HaltError as error:
            self.halted = error

    def _supervise_platform(self) -> None:
        for name, problem in self.platform.supervise().items():
            self.event = f"{name} died and was restarted" if problem is None else f"{name}: {problem.message[:160]}"

    def _supervise_programs(self) -> None:
        for name in self.programs.supervise():
            self.event = f"{name} died and was restarted"

    def _supervise_simulator(self) -> None:
        if self.simulator is not None and not self.simulator.alive():
            self.simulator.start(self.chosen.capture)
            self.event = "simulator died and was restarted"

    def _changing(self, *, wait: bool = True) -> contextlib.AbstractContextManager[bool]:
        return claim.changing(self.platform.settings.run, self.plan.names.fid, wait=wait)

    def _guard_connector(self) -> None:
        with self._changing(wait=False) as free:
            if not free or self.store.read(self.plan.names.fid) != self.applied:
                return  # `cryptocdc apply` changes the connectors, or has just changed them
            said = self._guard.step()
        if said:
            self.event = said
        elif self.event.startswith("connector"):
            self.event = ""

    def _guard_sink(self) -> None:
        said = self._sink.step()
        if said:
            self.event = said
        elif self.event.startswith("sink connector"):
            self.event = ""

    def _follow_history(self) -> None:
        spec = self.applied.feed.spec
        if not spec.loads_archive:
            self.history = ""
            return
        with contextlib.closing(postgres.connect(self.servers.postgres, "run", autocommit=True)) as connection:
            found = counts(connection, self.plan.names)
        states = ", ".join(f"{count:,} {state}" for state, count in sorted(found.files.items()) if state != "absent")
        fetching = f"; {left:,} series left over REST" if (left := found.parts.get("planned", 0)) else ""
        begin = f" from {spec.history.begin}" if spec.history.begin is not None else ""
        self.history = f"history{begin}: {states or 'no files yet'}; {found.rows:,} rows loaded{fetching}"

    def _serve_server_metrics(self) -> None:
        if self._server_metrics is not None:
            self._server_metrics.step()

    def _pick_up_changes(self) -> None:
        """Take over changes made by `cryptocdc apply`."""
        stored = self.store.read(self.plan.names.fid)
        if stored is not None and stored != self.applied:
            before, planned = self.applied, planned_of(stored, self.servers)
            changed = restarted(self.plan, planned)
            self._replace_plan(stored, planned)
            self._scaled = False
            for program in changed:
                self.programs.stop(program)
            if changed:
                self._readings = self._new_readings()
            if before.document != stored.document:
                self.event = "change to the feed applied"
        if not self._scaled:  # also if Connect did not answer the last time
            self._scale()
            self.programs.scale("api", 1)

    def _resolve_again(self) -> None:
        """Resolve `top` again once a day; sooner while a second list must confirm that a symbol is gone."""
        wait_s = RESOLVE_LOOK_S if self.applied.waiting or self.applied.suspect else RESOLVE_AGAIN_S
        if self.applied.feed.spec.symbols.top is None or time.time() - self.applied.resolved_at < wait_s:
            return
        applied = resolved(self.applied.document, self.chosen, self.applied.symbols, self.applied.waiting)
        self.event = "; ".join(applied.notes)
        planned = planned_of(applied, self.servers)
        with self._changing():
            apply(planned, self.servers, lambda _: None)
            self._replace_plan(applied, planned)
            self.store.write(applied)

    def _replace_plan(self, applied: AppliedFeed, planned: Plan) -> None:
        self.applied, self.plan, self._guard.plan = applied, planned, planned
        self.programs.environment = self._environment()

    def figures(self) -> FeedFigures:
        """Scrape all programs and return the figures."""
        return self._readings.read()

    def stop_capture(self) -> None:
        """Stop the producers; each writes its queued rows before it exits."""
        self.programs.stop("producer")

    def stop(self) -> None:
        """Stop the watchers and every program."""
        self._ending.set()
        for thread in self._threads:
            thread.join(timeout=10)
        for kind in ("api", "history", "exporter", "producer", "alerter", "analyzer", "verifier", "consumer", "spark"):
            self.programs.stop(kind)
        try:
            self._sink.remove()
        except (ConnectError, requests.RequestException) as error:  # the next run of the feed uses or removes it
            if self.plan.sink_connector is not None:
                log.warning("%s was not removed: %s", self.plan.names.sink_connector, one_line(error))
        if self._server_metrics is not None:
            self._server_metrics.close()


@contextlib.contextmanager
def started(
    platform: Platform, document: dict[str, object], chosen: Chosen, steps: Steps, report: Callable[[str], None]
) -> Iterator[Run]:
    """Run a feed inside the block, and stop its programs at the end. The servers are started and left running.

    Raises FeedError, ExchangeError, PlatformError, ConnectError.
    """
    fid = identity(feeds.parse(document).name, chosen.source)
    for folder in (platform.settings.home, platform.settings.run):
        platform.account.make_folder(folder)
    with claim.claimed(platform.settings.run, fid):
        yield from _started(platform, document, fid, chosen, steps, report)


def _started(
    platform: Platform,
    document: dict[str, object],
    fid: str,
    chosen: Chosen,
    steps: Steps,
    report: Callable[[str], None],
) -> Iterator[Run]:
    left_over = stop_left_over(platform.settings, fid)
    check_port("CRYPTOCDC_API_PORT", platform.settings.ports.api)
    platform.setup(steps)
    if feeds.parse(document).spec.sink.engine == "spark":
        platform.setup_spark(steps)
    servers = Servers.from_env(platform.endpoints().environment())
    store = FeedStore(platform.settings.home, platform.account)
    earlier = store.applied_before(feeds.parse(document), chosen.source)
    simulator = Simulator(platform.settings, fid, chosen.rest_url) if chosen.needs_simulator else None

    def resolve_feed() -> AppliedFeed:
        if simulator is not None:
            simulator.start(chosen.capture)
        return resolved(document, chosen, earlier.symbols if earlier else (), earlier.waiting if earlier else ())

    try:
        # The exchange is queried while the servers start: neither depends on the other.
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(resolve_feed)
            platform.start(steps)
            applied = answer.result()
        run = Run(platform, servers, store, chosen, applied, planned_of(applied, servers), simulator)
        if left_over:
            run.event = f"stopped leftovers of an earlier run: {', '.join(left_over)}"
        try:
            run.start(report)
            yield run
        finally:
            run.stop()
    finally:
        if simulator is not None:
            simulator.stop()


def planned_of(applied: AppliedFeed, servers: Servers, *, running: bool = True) -> Plan:
    """Return the plan of a resolved feed; if the servers are `running`, also for tables of streams it had before.

    Raises psycopg2.Error, KafkaException.
    """
    kept: list[str] = []
    if running:
        with contextlib.closing(postgres.connect(servers.postgres, "plan", autocommit=True)) as connection:
            kept = postgres.tables(connection, applied.names.schema)
        # A computed stream has no table in PostgreSQL. Its topic is made with its table in Cassandra, and kept.
        topics = {applied.names.change_topic(table): table for table in COMPUTED}
        kept += [topics[topic] for topic in kafka.replication(servers.kafka, topics)]
    return plan(applied.resolved, servers.facts, kept)
