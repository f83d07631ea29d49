"""kopf's handlers. Each runs one pass of `reconcile` or `tear_down`, one at a time per feed."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from functools import partial
from typing import Any

import kopf

from cryptocdc_operator.cluster.namespaces import FINALIZER, release_all
from cryptocdc_operator.context import Operator, Outcome
from cryptocdc_operator.crd import GROUP, PLURAL, VERSION
from cryptocdc_operator.reconcile.feed import reconcile
from cryptocdc_operator.reconcile.retry import UNEXPECTED
from cryptocdc_operator.reconcile.rollout import WRITERS, stalled_consumers
from cryptocdc_operator.reconcile.stall_watchdog import Progress
from cryptocdc_operator.reconcile.teardown import tear_down
from cryptocdc_operator.resources.labels import MANAGER, selector_text
from cryptocdc_operator.status import conditions
from cryptocdc_operator.status.document import read_status
from cryptocdc_operator.status.failures import describe

log = logging.getLogger("cryptocdc.operator")

DRIFT_S, IDLE_S = 60.0, 10.0
WRITES_EVERY_S = 5.0
"""How often to check whether consumers can write: a full pass runs only when that changes."""
WORKERS = 16
"""Feeds reconciled at the same time."""


class Handlers:
    """Registers its methods with kopf."""

    def __init__(self, operator: Operator, progress: Progress, registry: kopf.OperatorRegistry) -> None:
        self._operator = operator
        self._progress = progress
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._due: dict[str, float] = {}
        """When the handler of a feed's change retries."""
        self._reported: dict[str, str] = {}
        """The failure that the last event reported, by feed."""
        resource: tuple[str, str, str] = (GROUP, VERSION, PLURAL)
        kopf.on.startup(registry=registry)(configure)
        kopf.on.resume(*resource, registry=registry, id="reconcile-all")(self.resumed)
        kopf.on.create(*resource, registry=registry, id="reconcile")(self.changed)
        kopf.on.update(*resource, registry=registry, id="reconcile")(self.changed)
        kopf.on.delete(*resource, registry=registry, id="tear-down")(self.deleted)
        kopf.timer(*resource, registry=registry, id="drift", interval=DRIFT_S, idle=IDLE_S)(self.drifted)
        kopf.timer(*resource, registry=registry, id="writes", interval=WRITES_EVERY_S)(self.check_consumers)
        kopf.on.cleanup(registry=registry)(self.ended)

    def resumed(self, name: str, body: kopf.Body, **_: Any) -> None:
        """Called when the operator starts: another version of it may have other tables."""
        self._follow(name, body, everything=True)

    def changed(self, name: str, body: kopf.Body, **_: Any) -> None:
        self._follow(name, body)

    def _follow(self, name: str, body: kopf.Body, everything: bool = False) -> None:
        outcome = self._reconcile(name, body, everything)
        self._due[name] = time.monotonic() + (outcome.retry_after_s or 0.0)
        _retry_later(outcome)

    def drifted(self, name: str, body: kopf.Body, **_: Any) -> None:
        if self._locks[name].locked() or time.monotonic() < self._due.get(name, 0.0):
            return  # a pass is running
        _retry_later(self._reconcile(name, body))

    def check_consumers(self, name: str, body: kopf.Body, **_: Any) -> None:
        """Check whether the consumers can write, and run a pass if the conditions say otherwise."""
        if self._locks[name].locked():
            return
        try:
            pods = [pod for it in WRITERS for pod in self._operator.cluster.pods(selector_text(name, it))]
            stalled = stalled_consumers(self._operator, pods)
        except Exception as error:  # the next full pass reports it
            log.info("%s: can't list the consumers' pods: %s", name, describe(error))
            return
        written = read_status(body).conditions or ()
        said = next((it for it in written if it.type == conditions.CONSUMERS), None)
        if said is not None and bool(stalled) != (said.reason == conditions.NOT_WRITING):
            self._reconcile(name, body)

    def ended(self, **_: Any) -> None:
        try:
            release_all(self._operator.cluster, self._operator.settings)
        except Exception as error:
            log.error("finalizers may be left over if the namespace is being deleted: %s", describe(error))

    def deleted(self, name: str, body: kopf.Body, **_: Any) -> None:
        self._operator.metrics.reconciled_at.labels(name).set_to_current_time()
        try:
            with self._locks[name]:
                outcome = tear_down(self._operator, name, partial(_post_event, body))
        except Exception as error:
            self._report(name, body, error)
            raise
        finally:
            self._progress.record(name)
        _retry_later(outcome)
        self._locks.pop(name, None)
        self._due.pop(name, None)
        self._reported.pop(name, None)

    def _report(self, name: str, body: kopf.Body, error: Exception) -> None:
        """Report a pass that could not even write the feed's status: in the log, and once per cause as an event."""
        log.error("%s: pass failed; it will be retried", name, exc_info=error)
        words = describe(error)
        if self._reported.get(name) != words:
            self._reported[name] = words
            _post_event(body, "Warning", UNEXPECTED, words)

    def _reconcile(self, name: str, body: kopf.Body, everything: bool = False) -> Outcome:
        metrics, result = self._operator.metrics, "failed"
        began = time.monotonic()
        try:
            with self._locks[name]:
                outcome = reconcile(self._operator, name, partial(_post_event, body), everything=everything)
            self._reported.pop(name, None)
            result = "failed" if outcome.failed else "done" if outcome.retry_after_s is None else "waiting"
        except Exception as error:
            self._report(name, body, error)
            raise
        finally:
            metrics.reconcile_seconds.observe(time.monotonic() - began)
            metrics.reconciles.labels(name, result).inc()
            metrics.reconciled_at.labels(name).set_to_current_time()
            self._progress.record(name)
        return outcome


def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Set kopf's settings."""
    settings.persistence.finalizer = FINALIZER
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP, key="last-handled")
    # One replica, one namespace: there are no peers, and no permission to read cluster-wide objects.
    settings.peering.standalone = True
    settings.scanning.disabled = True
    # A dead watch is noticed within these times (kopf's issues 585, 698, 1276).
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 30
    settings.networking.request_timeout = 60
    settings.execution.max_workers = WORKERS
    # For unexpected failures, such as an unreachable API server.
    settings.execution.default_backoff = 15
    settings.posting.loggers = False
    settings.posting.reporting_component = MANAGER
    settings.posting.event_name_prefix = "cryptocdc-"


def _post_event(body: kopf.Body, kind: str, reason: str, message: str) -> None:
    log.info("%s: %s: %s", body.metadata.name, reason, message)
    kopf.event(body, type=kind, reason=reason, message=conditions.message(message))


def _retry_later(outcome: Outcome) -> None:
    if outcome.retry_after_s is not None:
        raise kopf.TemporaryError(outcome.waiting_for or "waiting", delay=outcome.retry_after_s)
