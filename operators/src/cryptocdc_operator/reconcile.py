"""A feed compared with what is there, and brought on by as much as can be done now. May be run at any time, again, and
after an operator that died in the middle: what must be remembered stands in the feed's status before it is acted on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from kubernetes.client import ApiException

from cryptocdc_control.connector import Recovery
from cryptocdc_core import feed as feeds
from cryptocdc_core.feed import CryptoFeed, FeedError
from cryptocdc_core.names import Names, identity, source_of
from cryptocdc_core.plan import Plan, plan
from cryptocdc_core.resolve import ResolvedFeed, waiting_notes
from cryptocdc_operator import children, judge
from cryptocdc_operator.carrying import Carrying
from cryptocdc_operator.catching_up import caught_up_so_far
from cryptocdc_operator.context import UNUSABLE, Operator, Outcome
from cryptocdc_operator.edges import (
    CONNECT,
    ExchangeSilent,
    Say,
    Seen,
    ServerError,
    Servers,
)
from cryptocdc_operator.failures import API_SERVER_AWAY, in_words
from cryptocdc_operator.judge import Proof, Verdict, rfc3339
from cryptocdc_operator.labels import NEW_SNAPSHOT, Owner, selector_text
from cryptocdc_operator.objects import apply_objects, remove_others
from cryptocdc_operator.programs import Program, programs_of
from cryptocdc_operator.rollout import CONSUMER, roll_out
from cryptocdc_operator.settings import Object
from cryptocdc_operator.statuses import (
    catch_up_document,
    catch_up_of,
    merge_patch,
    moment,
    recovery_document,
    recovery_of,
)
from cryptocdc_operator.tables import apply_tables
from cryptocdc_operator.topics import apply_topics, listed
from cryptocdc_operator.workloads import digest

log = logging.getLogger("cryptocdc.operator")

RESOLVE_AGAIN = timedelta(days=1)
RESOLVE_SOON = timedelta(minutes=1)
"""While a market is paused or not listed, or the exchange's list was not believed."""
SOON_S, LATER_S, SELDOM_S = 3.0, 15.0, 30.0
"""When to come again: to go on with what was begun; to see whether a server is back; to see to what takes long."""

UNFORESEEN = "PassFailed"
"""The reason of a condition that an exception which nothing foresaw has ended; its message is the exception's."""
AWAY = (
    "ExchangeSilent", "TaskFailed", "NotMade", "SymbolsNotWritten", "TopicRefused", "ConnectorRefused", UNFORESEEN,
)  # fmt: skip
"""Reasons that may pass by themselves, when whatever stands behind them is back."""


def reconcile(operator: Operator, name: str, say: Say, *, everything: bool = False) -> Outcome:
    """One pass over a feed. With `everything` the tables' statements are run though nothing asks for it: another
    version of the operator may have others. Raises what the API server's client raises."""
    document = operator.cluster.feed(name)
    if document is None or "deletionTimestamp" in document["metadata"]:
        return Outcome(None)
    return _Pass(operator, document, say, everything).run()


class _Stop(Exception):
    """The pass can't go on: a verdict says why."""


@dataclass
class _Pass:
    operator: Operator
    document: Object
    say: Say
    everything: bool
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    failed: bool = False

    def __post_init__(self) -> None:
        metadata = self.document["metadata"]
        self.name: str = metadata["name"]
        self.generation: int = metadata["generation"]
        self.owner = Owner(self.name, metadata["uid"])
        self.cluster = self.operator.cluster
        self.settings = self.operator.settings
        self.written: dict[str, Any] = dict(self.document.get("status", {}))
        """The status as it stands in the cluster."""
        self.status: dict[str, Any] = dict(self.written)
        self.suspended = bool(self.document["spec"].get("suspend"))
        self.now = self.operator.now()
        self.nothing_trades = False

    def run(self) -> Outcome:
        try:
            self._run()
        except _Stop:
            pass
        except ServerError as error:
            self._no_longer_answers(error)
        except Exception as error:
            self.verdicts[judge.READY] = self._failed(error)
        try:
            return self._finish()
        except ApiException as error:
            # What the API server does not accept of the status must not keep the conditions from being written.
            self.status = dict(self.written)
            self.verdicts[judge.READY] = self._failed(error)
            return self._finish()

    def _step(self, kind: str, step: Callable[[], None]) -> None:
        """Run one step of the pass. What goes wrong with it becomes the condition `kind`; the next steps still run."""
        try:
            step()
        except ServerError as error:
            self._no_longer_answers(error)
        except API_SERVER_AWAY:
            raise
        except Exception as error:
            self.verdicts[kind] = self._failed(error)

    def _no_longer_answers(self, error: ServerError) -> None:
        """It answered when it was looked at."""
        self.verdicts[judge.PLATFORM] = self._platform({error.server: str(error)})

    def _platform(self, unreachable: Mapping[str, str]) -> Verdict:
        """Of a server that does not answer Kubernetes knows whether it is only restarting."""
        found: dict[str, str | None] = {}
        for server, selector in self.settings.server_pods.items():
            if server in unreachable:
                try:
                    found[server] = judge.not_serving(self.cluster.pods(selector))
                except Exception as error:  # that the server does not answer is said all the same
                    log.warning("%s: the pods of %s can't be listed: %s", self.name, server, in_words(error))
        restarting = {server: why for server, why in found.items() if why is not None}
        return judge.platform((), (), unreachable, restarting)

    def _failed(self, error: Exception) -> Verdict:
        log.error("%s: a part of the pass failed", self.name, exc_info=error)
        self.failed = True
        return Verdict("False", UNFORESEEN, in_words(error))

    def _run(self) -> None:
        feed = self._parsed()
        servers = self._reached()
        planned = self._planned(feed, servers)
        programs = programs_of(planned, self.settings, self.operator.addresses)
        seen = servers.look(planned)
        self.verdicts[judge.PLATFORM] = self._platform(seen.unreachable)
        text = children.feed_text(planned)
        objects = partial(apply_objects, self.operator, self.owner, planned, text, programs, everything=self.everything)
        self._step(judge.READY, objects)
        self._step(judge.TABLES, lambda: self._apply_tables(planned, text, servers, seen))
        self._step(judge.TOPICS, lambda: self._apply_topics(planned, servers, seen))
        self._step(judge.CONNECTOR, lambda: self._apply_connector(planned, servers, seen))
        self._step(judge.READY, lambda: self._apply_programs(feed, programs, planned, seen))
        self._step(judge.PROVEN, lambda: self._apply_proof(planned, seen))

    def _parsed(self) -> CryptoFeed:
        try:
            return feeds.parse(self.document)
        except FeedError as error:
            raise self._stopped("FeedRefused", "; ".join(error.problems)) from None

    def _reached(self) -> Servers:
        """The servers, once the secrets and kinds are there without which nothing can be done."""
        kinds = ("KafkaTopic", "KafkaConnector", *(("PodMonitor",) if self.settings.pod_monitors else ()))
        secrets, missing = self.operator.secrets()
        unknown = self.cluster.missing_kinds(kinds)
        if missing or unknown:
            self.verdicts[judge.PLATFORM] = judge.platform(missing, unknown, {})
            raise _Stop
        try:
            return self.operator.connect(secrets)
        except UNUSABLE as error:
            self.verdicts[judge.PLATFORM] = Verdict("False", "SecretUnusable", str(error))
            raise _Stop from None

    def _planned(self, feed: CryptoFeed, servers: Servers) -> Plan:
        """The plan with what the symbols mean. The exchange is asked when the feed asks for others, and every day."""
        names = Names(identity(feed.name, source_of(feed.spec.exchange)))
        asked = digest([feed.spec.exchange, feed.spec.endpoints.rest, feed.spec.symbols.model_dump()])
        then, known = moment(self.status.get("resolvedAt")), self.status.get("symbolNames")
        same = known is not None and self.status.get("resolvedFrom") == asked
        open_questions = any(self.status.get(key) for key in ("waitingNames", "haltedNames", "suspectList"))
        if same and then is not None and self.now < then + (RESOLVE_SOON if open_questions else RESOLVE_AGAIN):
            resolved = self._resolved_before(feed)
        else:
            try:
                resolved = self._asked(feed, same)
                self.status["resolvedFrom"] = asked
            except FeedError as error:
                resolved = self._unresolved(feed, "UnknownSymbol", "; ".join(error.problems))
            except ExchangeSilent as error:
                if same:
                    log.warning("%s: its symbols stay as they are: %s", self.name, error)
                    resolved = self._resolved_before(feed)
                else:
                    resolved = self._unresolved(feed, "ExchangeSilent", f"{feed.spec.exchange}: {error}")
        self.status["identity"] = names.fid
        self._note_markets(resolved)
        # Before anything is made: who deletes the feed must know what to look for.
        self._write()
        return plan(resolved, servers.facts, self._kept(names, servers))

    def _asked(self, feed: CryptoFeed, same: bool) -> ResolvedFeed:
        """What the exchange answers. Where its list of markets is not believed, what is known of them stays."""
        waited = frozenset(self.status.get("waitingNames", ()))
        resolved = self.operator.outside.resolve(feed, frozenset(self.status.get("symbolNames", ())), waited)
        self.status["resolvedAt"] = rfc3339(self.now)
        self.status["suspectList"] = resolved.suspect or None
        if resolved.suspect:
            return self._resolved_before(feed) if same else resolved
        self.status["waitingNotes"] = waiting_notes(resolved.waiting, feed.spec.exchange)
        fresh = {symbol: similar for symbol, similar in resolved.waiting.items() if symbol not in waited}
        if fresh:
            self.say("Warning", "NotListed", "; ".join(waiting_notes(fresh, feed.spec.exchange)))
        appeared = sorted((waited - resolved.waiting.keys()) & set(resolved.symbols))
        if appeared:
            self.say("Normal", "Listed", listed(appeared))
        return resolved

    def _note_markets(self, resolved: ResolvedFeed) -> None:
        self.status["symbolNames"], self.status["symbols"] = list(resolved.symbols), len(resolved.symbols)
        self.status["haltedNames"], self.status["waitingNames"] = list(resolved.halted), list(resolved.waiting)
        self.verdicts[judge.MARKETS] = judge.markets(
            resolved.feed.spec.exchange, len(resolved.symbols), resolved.halted,
            self.status.get("waitingNotes", ()), self.status.get("suspectList") or "",
        )  # fmt: skip
        self.nothing_trades = bool(resolved.symbols) and {*resolved.halted, *resolved.waiting} >= {*resolved.symbols}

    def _kept(self, names: Names, servers: Servers) -> list[str]:
        """The streams' tables, also of those that have left the feed; as last seen while PostgreSQL is away."""
        try:
            self.status["tables"] = servers.tables(names)
        except ServerError as error:
            log.warning("%s: its tables are taken to be those of before: %s", self.name, error)
        found: list[str] = self.status.get("tables", [])
        return found

    def _unresolved(self, feed: CryptoFeed, reason: str, message: str) -> ResolvedFeed:
        """All else goes on with the symbols that there were; a feed that never had any waits."""
        stop = self._stopped(reason, message)
        if "symbolNames" not in self.status:
            raise stop
        return self._resolved_before(feed)

    def _resolved_before(self, feed: CryptoFeed) -> ResolvedFeed:
        symbols, halted = self.status["symbolNames"], self.status.get("haltedNames", [])
        waiting = dict.fromkeys(self.status.get("waitingNames", ()), ())
        return ResolvedFeed(feed, source_of(feed.spec.exchange), tuple(symbols), tuple(halted), waiting)

    @property
    def _applied(self) -> bool:
        """Whether all of this generation was applied before."""
        return bool(self.written.get("observedGeneration") == self.generation)

    def _apply_tables(self, planned: Plan, text: str, servers: Servers, seen: Seen) -> None:
        applied = apply_tables(planned, servers, seen, before=self.status.get("tablesFrom"), always=self.everything)
        self.verdicts[judge.TABLES] = applied.verdict
        if applied.made_from is not None:
            if seen.missing_tables and self._applied:
                self.say("Warning", "TablesMadeAgain", f"these were missing: {', '.join(seen.missing_tables)}")
            self.status["tablesFrom"] = applied.made_from
        if not applied.verdict.holds:
            return
        trades = planned.feed.spec.streams.recent_trades
        if trades is not None:
            self.status["tradesKind"] = trades.kind
        self.cluster.share_feed(self.name, text)

    def _apply_topics(self, planned: Plan, servers: Servers, seen: Seen) -> None:
        self.verdicts[judge.TOPICS] = apply_topics(self.operator, self.owner, planned, servers, seen, self.say)

    @property
    def _tables_made(self) -> bool:
        """Whether the publication is there and holds the tables of this generation: the slot must not come before."""
        tables = self.verdicts.get(judge.TABLES)
        return self._applied or (tables is not None and tables.holds)

    def _apply_connector(self, planned: Plan, servers: Servers, seen: Seen) -> None:
        carrying = Carrying(self.operator, self.owner, planned, servers, seen, self.say)
        annotations = self.document["metadata"].get("annotations") or {}
        self.verdicts[judge.CONNECTOR] = carrying.bring_on(
            recovery_of(self.status), annotations.get(NEW_SNAPSHOT), self._keep, tables_made=self._tables_made
        )

    def _apply_programs(self, feed: CryptoFeed, programs: tuple[Program, ...], planned: Plan, seen: Seen) -> None:
        """A stream that was added is captured only once the connector carries it: its rows would be passed over. Where
        there is no connector yet, nothing is: its snapshot carries what was captured before."""
        carried = seen.config is None or seen.carries(planned.connector)
        ready = self._applied or (self._tables_made and seen.answers(CONNECT) and carried)
        wanted = {f"{feed.name}-{program.component}" for program in programs}
        remove_others(self.cluster, "Deployment", self.name, wanted)
        for component in judge.OF_PROGRAMS.keys() - {program.component for program in programs}:
            kind, what = judge.OF_PROGRAMS[component]
            reason, why = judge.LEFT_OUT[component]
            self.verdicts[kind] = Verdict("True", reason, f"no {what} run: {why}")
        for program in programs:
            kind, _ = judge.OF_PROGRAMS[program.component]
            self._step(kind, partial(self._apply_program, feed, program, ready))
        tables = self.verdicts.get(judge.TABLES)
        if ready and tables is not None and tables.holds and judge.READY not in self.verdicts and not self.failed:
            self.status["observedGeneration"] = self.generation

    def _apply_program(self, feed: CryptoFeed, program: Program, ready: bool) -> None:
        kind, _ = judge.OF_PROGRAMS[program.component]
        self.verdicts[kind], live = roll_out(self.operator, self.owner, feed, program, ready=ready)
        if program.component == CONSUMER:
            status = (live or {}).get("status") or {}
            self.status["replicas"] = status.get("replicas") or 0
            self.status["selector"] = selector_text(feed.name, program.component)

    def _apply_proof(self, planned: Plan, seen: Seen) -> None:
        proof, catch_up = self.operator.outside.proof(planned.names), catch_up_of(self.status)
        if isinstance(proof, Proof) and proof.through is not None:
            earlier = moment(self.status.get("provenThrough"))
            catch_up = caught_up_so_far(catch_up, earlier, proof.through, self.now)
            self.status.pop("catchUp", None)
            if catch_up is not None:
                self.status["catchUp"] = catch_up_document(catch_up)
        self.verdicts[judge.PROVEN] = judge.proven(proof, self.suspended, catch_up, self.now)
        if seen.lag is not None:
            self.status["lag"] = seen.lag
        if isinstance(proof, Proof):
            self.status["rows"] = proof.rows
            if proof.through is not None:
                self.status["provenThrough"] = rfc3339(proof.through)

    def _finish(self) -> Outcome:
        if judge.READY not in self.verdicts:
            known = {kind: Verdict("Unknown", "NotSeen", "not looked at yet") for kind in judge.PARTS}
            known |= {c["type"]: Verdict(c["status"], c["reason"], c["message"]) for c in self._conditions()}
            self.verdicts[judge.READY] = judge.ready(known | self.verdicts, self.suspended, self.nothing_trades)
        before = self._conditions()
        after = judge.conditions(before, self.verdicts, self.generation, self.now)
        self.status["conditions"] = after
        self._write()
        for condition in judge.changed(before, after):
            kind = "Normal" if condition["status"] == "True" else "Warning"
            if condition["status"] == "False" and condition["reason"] in judge.COMING:
                kind = "Normal"
            self.say(kind, condition["reason"], f"{condition['type']} is {condition['status']}: {condition['message']}")
        for condition in after:
            holds = condition["status"] == "True"
            self.operator.metrics.condition.labels(self.name, condition["type"]).set(holds)
        outcome = _outcome(after, self.now)
        return Outcome(LATER_S, outcome.waiting_for or after[0]["message"], failed=True) if self.failed else outcome

    def _conditions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.written.get("conditions", [])
        return found

    def _keep(self, kept: Recovery) -> None:
        said = recovery_document(kept)
        if said:
            self.status["recovery"] = said
        else:
            self.status.pop("recovery", None)
        self._write()

    def _write(self) -> None:
        patch = merge_patch(self.written, self.status)
        if patch:
            self.cluster.set_status(self.name, patch)
            self.written = dict(self.status)

    def _stopped(self, reason: str, message: str) -> _Stop:
        self.verdicts[judge.READY] = Verdict("False", reason, message)
        return _Stop(reason)


def _outcome(conditions: list[dict[str, Any]], now: datetime) -> Outcome:
    """Come soon while something passes by itself, the more seldom the longer it takes; later while a server or the
    exchange is away. A refusal waits for the feed to change."""
    by_type = {condition["type"]: condition for condition in conditions}
    ready = by_type[judge.READY]
    if ready["status"] == "True":
        return Outcome(None)
    if by_type[judge.PLATFORM]["status"] == "False" or ready["reason"] in AWAY:
        return Outcome(LATER_S, ready["message"])
    coming = [condition for condition in conditions if condition["reason"] in judge.COMING]
    if coming:
        latest = max(datetime.fromisoformat(condition["lastTransitionTime"]) for condition in coming)
        return Outcome(min(max(SOON_S, (now - latest).total_seconds() / 10), SELDOM_S), ready["message"])
    return Outcome(None)
