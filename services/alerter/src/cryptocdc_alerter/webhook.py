"""The webhook: posts each record once it is in Kafka, from its own thread, so that evaluation never waits.

It is tried a few times only, since the record in Kafka is authoritative. Failures are counted and logged, without the
URL, which may contain a secret.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

import requests

from cryptocdc_adapters.http_client import Session
from cryptocdc_alerter.records import Record, encode
from cryptocdc_core.program.backoff import Backoff
from cryptocdc_core.program.metrics import AlerterMetrics

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
ATTEMPTS, BACKOFF = 5, Backoff(1.0, 8.0)
MOST_WAITING = 1_000
DRAIN_S = 10.0
"""Time to post waiting records when the program stops."""
PASSES = (408, 425, 429)
"""Status codes below 500 after which a retry may succeed."""


class Webhook:
    """Call `start`, then `enqueue` from any thread; `stop` drains for DRAIN_S. `post` returns a status code, or raises
    exceptions of requests."""

    def __init__(
        self, url: str, metrics: AlerterMetrics, post: Callable[[str, bytes], int] | None = None,
        attempts: int = ATTEMPTS, backoff: Backoff = BACKOFF,
    ) -> None:  # fmt: skip
        self._url = url
        self._metrics = metrics
        self._session = Session()
        self._session.trust_env = False  # ignore .netrc
        self._post = post or self._request
        self._attempts, self._backoff = attempts, backoff
        self._waiting: queue.Queue[Record | None] = queue.Queue(MOST_WAITING)
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def enqueue(self, record: Record) -> None:
        """Queue a record without blocking: if MOST_WAITING are queued, it is dropped and counted."""
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self._metrics.webhooks.labels("dropped").inc()
            log.error("webhook: %d records are already waiting, %s is dropped", MOST_WAITING, record.id)
        self._metrics.webhook_waiting.set(self._waiting.qsize())

    def stop(self) -> None:
        """Post the waiting records, each with one attempt, and stop."""
        self._hurry.set()
        try:
            self._waiting.put(None, timeout=DRAIN_S)
        except queue.Full:
            return
        self._thread.join(DRAIN_S)

    def _run(self) -> None:
        while (record := self._waiting.get()) is not None:
            self._metrics.webhook_waiting.set(self._waiting.qsize())
            self._metrics.webhooks.labels(self._deliver(record)).inc()

    def _deliver(self, record: Record) -> str:
        body = encode(record)
        for attempt in range(1, self._attempts + 1):
            try:
                status = self._post(self._url, body)
                problem = f"status {status}"
            except requests.RequestException as error:
                status, problem = 0, type(error).__name__
            if 200 <= status < 300:
                return "delivered"
            if 300 <= status < 500 and status not in PASSES:
                log.error("webhook: %s of %s was refused: %s", record.state, record.id, problem)
                return "refused"
            if attempt == self._attempts or self._hurry.wait(self._backoff.after(attempt)):
                break
            self._metrics.webhook_retries.inc()
        log.error("webhook: %s of %s could not be delivered: %s", record.state, record.id, problem)
        return "failed"

    def _request(self, url: str, body: bytes) -> int:
        # Redirects are not followed: they could lead anywhere.
        answer = self._session.post(
            url, data=body, headers={"Content-Type": "application/json"}, timeout=TIMEOUT_S, allow_redirects=False
        )
        return answer.status_code
