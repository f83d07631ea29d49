"""Compares a feed with the actual state, and applies as much of the difference as possible now. Can be repeated at any
time, also after the operator was killed: whatever must be remembered is in the status before it is acted on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from kubernetes.client import ApiException

from cryptocdc_control.connector import Recovery
from cryptocdc_control.sink import PARTS, engine_of
from cryptocdc_core.catalogue import COMPUTED
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed, FeedError
from cryptocdc_core.names import Names, identity, source_named
from cryptocdc_core.planning.plan import Plan, plan
from cryptocdc_exchanges.registry import check
from cryptocdc_operator.context import UNUSABLE, Operator, Outcome, PostEvent
from cryptocdc_operator.reconcile.connectors.of_a_feed import ConnectorsPass, for_connect
from cryptocdc_operator.reconcile.history import apply_history
from cryptocdc_operator.reconcile.objects import apply_objects, remove_others
from cryptocdc_operator.reconcile.proof import record_proof, repair_event
from cryptocdc_operator.reconcile.retry import LATER_S, UNEXPECTED, outcome_of
from cryptocdc_operator.reconcile.rollout import WRITERS, roll_out
from cryptocdc_operator.reconcile.sink.engine import SinkPass
from cryptocdc_operator.reconcile.symbols import Resolution
from cryptocdc_operator.reconcile.tables import apply_tables
from cryptocdc_operator.reconcile.topics import apply_topics
from cryptocdc_operator.resources import feed_map
from cryptocdc_operator.resources.labels import EXECUTOR, NEW_SNAPSHOT, SPARK, Owner, selector_text
from cryptocdc_operator.resources.programs import Program, programs_of
from cryptocdc_operator.resources.source import source_of
from cryptocdc_operator.servers.port import CONNECT, POSTGRES, Observed, ServerError, Servers
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status import assess, conditions
from cryptocdc_operator.status.conditions import Assessment
from cryptocdc_operator.status.document import read_status, status_patch, stored
from cryptocdc_operator.status.failures import API_SERVER_AWAY, describe
from cryptocdc_operator.status.model import Condition

log = logging.getLogger("cryptocdc.operator")


def reconcile(operator: Operator, name: str, post_event: PostEvent, *, everything: bool = False) -> Outcome:
    """Run one pass over a feed. With `everything`, the tables' statements are run even if they seem unnecessary:
    another version of the operator may have others. Raises the exceptions of the API server's client."""
    document = operator.cluster.feed(name)
    if document is None or "deletionTimestamp" in document["metadata"]:
        return Outcome(None)
    return _Pass(operator, document, post_event, everything).run()


class _Stop(Exception):
    """The pass can't continue; an assessment says why."""


@dataclass
class _Pass:
    operator: Operator
    document: Object
    post_event: PostEvent
    everything: bool
    assessments: dict[str, Assessment] = field(default_factory=dict)
    failed: bool = False

    def __post_init__(self) -> None:
        metadata = self.document["metadata"]
        self.name: str = metadata["name"]
        self.generation: int = metadata["generation"]
        self.owner = Owner(self.name, metadata["uid"])
        self.cluster = self.operator.cluster
        self.settings = self.operator.settings
        self.written = read_status(self.document)
        """The status in the cluster."""
        self.status = self.written.model_copy()
        self.suspended = bool(self.document["spec"].get("suspend"))
        self.now = self.operator.now()
        self.nothing_trades = False
        self.unreachable: dict[str, str] = {}
        """Error messages of the servers that have not answered in this pass."""

    def run(self) -> Outcome:
        try:
            self._run()
        except _Stop:
            pass
        except ServerError as error:
            self._no_longer_answers(error)
        except Exception as error:
            self.assessments[conditions.READY] = self._failed(error)
        try:
            return self._finish()
        except ApiException as error:
            # A status field that the API server refuses must not prevent the conditions from being written.
            self.status = self.written.model_copy()
            self.assessments[conditions.READY] = self._failed(error)
            return self._finish()

    def _step(self, kind: str, step: Callable[[], None]) -> None:
        """Run one step of the pass. Its failure becomes the condition `kind`; later steps still run."""
        try:
            step()
        except ServerError as error:
            self._no_longer_answers(error)
        except API_SERVER_AWAY:
            raise
        except Exception as error:
            self.assessments[kind] = self._failed(error)

    def _no_longer_answers(self, error: ServerError) -> None:
        """Record a server that answered when it was observed and no longer does."""
        self.unreachable[error.server] = str(error)
        self.assessments[conditions.PLATFORM] = self._platform(self.unreachable)

    def _platform(self, unreachable: Mapping[str, str]) -> Assessment:
        """Assess the servers; for one that does not answer, Kubernetes knows whether it is only restarting."""
        found: dict[str, str | None] = {}
        for server, selector in self.settings.server_pods.items():
            if server in unreachable:
                try:
                    found[server] = assess.not_serving(self.cluster.pods(selector))
                except Exception as error:  # the server is reported as unreachable in any case
                    log.warning("%s: can't list the pods of %s: %s", self.name, server, describe(error))
        restarting = {server: why for server, why in found.items() if why is not None}
        return assess.platform((), (), unreachable, restarting)

    def _failed(self, error: Exception) -> Assessment:
        log.error("%s: part of the pass failed", self.name, exc_info=error)
        self.failed = True
        return Assessment("False", UNEXPECTED, describe(error))

    def _run(self) -> None:
        feed = self._parsed()
        servers = self._connected()
        planned = self._planned(feed, servers)
        programs = programs_of(planned, self.settings, self.operator.addresses)
        observed = servers.observe(planned)
        planned = for_connect(planned, observed, self.cluster)
        self.unreachable.update(observed.unreachable)
        self.assessments[conditions.PLATFORM] = self._platform(self.unreachable)
        text = feed_map.feed_text(planned)
        sink = SinkPass(self.operator, self.owner, planned, servers, observed, self.post_event, self.everything)
        kept = sink.writers if sink.refusal() is not None else set()
        objects = partial(
            apply_objects, self.operator, self.owner, planned, text, programs, kept, everything=self.everything
        )
        self._step(conditions.READY, objects)
        self._step(conditions.TABLES, lambda: self._apply_tables(planned, text, servers, observed))
        self._step(conditions.TOPICS, lambda: self._apply_topics(planned, servers, observed))
        self._step(conditions.CONNECTOR, lambda: self._apply_connectors(planned, servers, observed))
        self._step(conditions.READY, lambda: self._apply_programs(feed, programs, planned, observed, sink))
        self._step(conditions.PROVEN, lambda: self._apply_proof(planned, observed))
        self._step(conditions.READY, lambda: self._apply_history(planned, servers, observed))

    def _parsed(self) -> CryptoFeed:
        try:
            feed = feeds.parse(self.document)
            check(feed)
            if feed.spec.export is not None and not feed.spec.export.in_bucket:
                raise FeedError(
                    [
                        f"spec.export.uri: {feed.spec.export.uri!r} is not accepted; accepted on Kubernetes: s3://BUCKET/PATH"
                    ]
                )
            return feed
        except FeedError as error:
            self.assessments[conditions.READY] = Assessment("False", "FeedRefused", "; ".join(error.problems))
            raise _Stop from None

    def _connected(self) -> Servers:
        """Return the servers, once the required secrets and kinds exist."""
        kinds = ("KafkaTopic", "KafkaConnector", *(("PodMonitor",) if self.settings.pod_monitors else ()))
        secrets, missing = self.operator.secrets()
        unknown = self.cluster.missing_kinds(kinds)
        if missing or unknown:
            self.assessments[conditions.PLATFORM] = assess.platform(missing, unknown, {})
            raise _Stop
        try:
            return self.operator.connect(secrets)
        except UNUSABLE as error:
            self.assessments[conditions.PLATFORM] = Assessment("False", "SecretUnusable", str(error))
            raise _Stop from None

    def _planned(self, feed: CryptoFeed, servers: Servers) -> Plan:
        """Return the plan with the resolved symbols."""
        source = source_of(feed, self.settings)
        names = Names(identity(feed.name, source))
        if (before := self.status.identity) not in (None, names.fid):
            self.assessments[conditions.READY] = assess.other_source(source_named(feed.name, before), source)
            raise _Stop
        resolution = Resolution(self.operator, feed, self.status, self.now, self.post_event)
        resolved = resolution.resolve()
        if resolution.problem is not None:
            self.assessments[conditions.READY] = resolution.problem
        if resolved is None:
            raise _Stop
        self.status.identity = names.fid
        self.assessments[conditions.MARKETS] = resolution.record(resolved)
        self.nothing_trades = bool(resolved.symbols) and {*resolved.halted, *resolved.waiting} >= {*resolved.symbols}
        # Before anything is created: the deletion of the feed must know what to look for.
        self._write()
        return plan(resolved, servers.facts, self._kept(names, servers))

    def _kept(self, names: Names, servers: Servers) -> list[str]:
        """Return the streams' tables, including removed streams'; as last seen while PostgreSQL does not answer.

        A computed stream has no table in PostgreSQL: its topic is made with its table in Cassandra, and kept.
        """
        try:
            self.status.tables = servers.tables(names)
        except ServerError as error:
            log.warning("%s: assuming the tables that existed before: %s", self.name, error)
        topics = {topic["spec"]["topicName"] for topic in self.cluster.of_feed("KafkaTopic", self.name)}
        computed = [table for table in COMPUTED if names.change_topic(table) in topics]
        return [*(self.status.tables or ()), *computed]

    @property
    def _applied(self) -> bool:
        """Whether this generation was applied completely before."""
        return self.written.observed_generation == self.generation

    def _apply_tables(self, planned: Plan, text: str, servers: Servers, observed: Observed) -> None:
        applied = apply_tables(planned, servers, observed, before=self.status.tables_from, always=self.everything)
        self.assessments[conditions.TABLES] = applied.assessment
        if applied.made_from is not None:
            if observed.missing_tables and self._applied:
                missing = ", ".join(observed.missing_tables)
                self.post_event("Warning", "TablesMadeAgain", f"missing: {missing}")
            self.status.tables_from = applied.made_from
        if not applied.assessment.holds:
            return
        trades = planned.feed.spec.streams.recent_trades
        if trades is not None:
            self.status.trades_kind = trades.kind
        self.cluster.share_feed(self.name, text)

    def _apply_topics(self, planned: Plan, servers: Servers, observed: Observed) -> None:
        self.assessments[conditions.TOPICS] = apply_topics(
            self.operator, self.owner, planned, servers, observed, self.post_event
        )

    @property
    def _tables_made(self) -> bool:
        """Whether the publication exists with the tables of this generation, a precondition for the slot."""
        tables = self.assessments.get(conditions.TABLES)
        return self._applied or (tables is not None and tables.holds)

    def _apply_connectors(self, planned: Plan, servers: Servers, observed: Observed) -> None:
        annotations = self.document["metadata"].get("annotations") or {}
        connectors = ConnectorsPass(
            self.operator, self.owner, planned, servers, observed, self.post_event,
            self.status, self._write, annotations.get(NEW_SNAPSHOT),
            any((c.type, c.status) == (conditions.CONNECTOR, "True") for c in self._conditions()),
        )  # fmt: skip
        self.assessments[conditions.CONNECTOR] = connectors.reconcile(tables_made=self._tables_made)

    def _apply_programs(
        self, feed: CryptoFeed, programs: tuple[Program, ...], planned: Plan, observed: Observed, sink: SinkPass
    ) -> None:
        """Apply the programs' Deployments. An added stream is captured only once every connector carries it, otherwise
        its rows would be skipped. This does not matter before a feed's first connectors exist: their snapshots include
        all rows.

        What writes the rows goes on until the engine that replaces it can start.
        """
        replaces = any(shard not in planned.connectors for shard in observed.shards)
        carried = all(
            observed.carries(shard, config) or (shard not in observed.configs and not replaces)
            for shard, config in planned.connectors.items()
        )
        ready = self._applied or (self._tables_made and observed.answers(CONNECT) and carried)
        wanted = {f"{feed.name}-{program.component}" for program in programs}
        if sink.spark.by_operator:
            wanted.discard(f"{feed.name}-{SPARK}")
        if sink.waits(ready=ready):
            wanted |= sink.writers
        remove_others(self.cluster, "Deployment", self.name, wanted)
        for component in conditions.LEFT_OUT.keys() - {program.component for program in programs}:
            kind, what = conditions.OF_PROGRAMS[component]
            reason, why = conditions.LEFT_OUT[component]
            self.assessments[kind] = Assessment("True", reason, f"no {what} run: {why}")
        self._step(conditions.CONSUMERS, lambda: self._apply_sink(sink, ready))
        waits = self.assessments.get(conditions.CONSUMERS)
        for program in programs:
            kind, _ = conditions.OF_PROGRAMS[program.component]
            if program.component not in WRITERS:
                self._step(kind, partial(self._apply_program, feed, program, ready))
            elif waits is None:
                self._step(kind, partial(self._apply_writer, sink, program, ready))
        tables = self.assessments.get(conditions.TABLES)
        complete = ready and tables is not None and tables.holds
        if complete and conditions.READY not in self.assessments and not self.failed:
            self.status.observed_generation = self.generation

    def _apply_sink(self, sink: SinkPass, ready: bool) -> None:
        """Assess what writes the rows, unless it is a program that may start: `_apply_writer` does that."""
        refusal = sink.refusal()
        if refusal is not None:
            self.assessments[conditions.CONSUMERS] = refusal
            return
        if sink.waits(ready=ready):
            why = f"{PARTS[engine_of(sink.plan)]} starts once tables and connector are ready"
            self.assessments[conditions.CONSUMERS] = Assessment("False", "Waiting", why)
            return
        obstacle = sink.obstacle()
        if obstacle is not None:
            self.assessments[conditions.CONSUMERS] = Assessment("False", "Changing", obstacle)
        elif engine_of(sink.plan) == "connect":
            self.assessments[conditions.CONSUMERS] = sink.reconcile(
                self.status.sink_recovery or Recovery(), self._save_sink_recovery, ready=ready
            )
            self.status.replicas = len(sink.observed.sink_state.tasks) if sink.observed.sink_state else 0
        else:
            self.status.sink_recovery = None

    def _apply_program(self, feed: CryptoFeed, program: Program, ready: bool) -> None:
        kind, _ = conditions.OF_PROGRAMS[program.component]
        self.assessments[kind], _ = roll_out(self.operator, self.owner, feed, program, ready=ready)

    def _apply_writer(self, sink: SinkPass, program: Program, ready: bool) -> None:
        """Apply consumers or Spark, whose number is the scale of the feed."""
        feed, counted = sink.plan.feed, program.component
        if counted == SPARK and sink.spark.by_operator:
            assessment = sink.spark.reconcile(program, ready=ready)
        else:
            assessment, live = roll_out(self.operator, self.owner, feed, program, ready=ready)
            self.status.replicas = ((live or {}).get("status") or {}).get("replicas") or 0
        if counted == SPARK and self.settings.spark_mode != "local":
            counted = EXECUTOR
            self.status.replicas = len(sink.spark.executors())
            assessment = sink.spark.with_executors(assessment)
        self.assessments[conditions.CONSUMERS] = assessment
        self.status.selector = selector_text(feed.name, counted)

    def _apply_proof(self, planned: Plan, observed: Observed) -> None:
        proof = self.operator.external.proof(planned.names)
        event = repair_event(self.status.repair, proof)
        self.assessments[conditions.PROVEN] = record_proof(
            self.status, planned.feed, proof, self.now, suspended=self.suspended
        )
        if event is not None:
            self.post_event(*event)
        if observed.lag is not None:
            self.status.lag = observed.lag

    def _apply_history(self, planned: Plan, servers: Servers, observed: Observed) -> None:
        if not observed.answers(POSTGRES):
            return  # what was seen before stays
        needed = (conditions.TABLES, conditions.TOPICS, conditions.CONNECTOR, conditions.CONSUMERS)
        ready = all(kind in self.assessments and self.assessments[kind].holds for kind in needed)
        apply_history(self.operator, self.owner, planned, servers, self.status, self.post_event, ready=ready)

    def _finish(self) -> Outcome:
        if conditions.READY not in self.assessments:
            known = {kind: Assessment("Unknown", "NotSeen", "not checked yet") for kind in conditions.PARTS}
            known |= {c.type: Assessment(c.status, c.reason, c.message) for c in self._conditions()}
            self.assessments[conditions.READY] = conditions.ready(
                known | self.assessments, self.suspended, self.nothing_trades
            )
        before = self._conditions()
        after = conditions.merge(before, self.assessments, self.generation, self.now)
        self.status.conditions = after
        self._write()
        for condition in conditions.changed(before, after):
            status, reason = condition.status, condition.reason
            normal = status == "True" or (status == "False" and reason in conditions.COMING)
            message = f"{condition.type} is {status}: {condition.message}"
            self.post_event("Normal" if normal else "Warning", reason, message)
        for condition in after:
            holds = condition.status == "True"
            self.operator.metrics.condition.labels(self.name, condition.type).set(holds)
        outcome = outcome_of(after, self.now)
        return Outcome(LATER_S, outcome.waiting_for or after[0].message, failed=True) if self.failed else outcome

    def _conditions(self) -> list[Condition]:
        return self.written.conditions or []

    def _save_sink_recovery(self, recovery: Recovery) -> None:
        self.status.sink_recovery = stored(recovery)
        self._write()

    def _write(self) -> None:
        patch = status_patch(self.written, self.status)
        if patch:
            self.cluster.set_status(self.name, patch)
            self.written = self.status.model_copy()
