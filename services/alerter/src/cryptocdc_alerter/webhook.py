"""The webhook: each record is posted once it stands in Kafka, on a thread of its own, so that evaluation never waits.

Tried a few times and no more: the record in Kafka is what counts. What could not be told is counted and logged, without
the URL, which may hold a secret.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

import requests

from cryptocdc_adapters.http_client import Session
from cryptocdc_alerter.records import Record, encode
from cryptocdc_core.backoff import Backoff
from cryptocdc_core.metrics import AlerterMetrics

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
ATTEMPTS, BACKOFF = 5, Backoff(1.0, 8.0)
MOST_WAITING = 1_000
DRAIN_S = 10.0
"""For what waits when the program is told to stop."""
PASSES = (408, 425, 429)
"""Answers below 500 that may be another one later."""


class Webhook:
    """`start`, then `tell` from any thread; `stop` drains for DRAIN_S. `post` answers a status, or raises as requests
    does."""

    def __init__(
        self, url: str, metrics: AlerterMetrics, post: Callable[[str, bytes], int] | None = None,
        attempts: int = ATTEMPTS, backoff: Backoff = BACKOFF,
    ) -> None:  # fmt: skip
        self._url = url
        self._metrics = metrics
        self._session = Session()
        self._session.trust_env = False  # no .netrc: where the feed says, and nowhere else
        self._post = post or self._request
        self._attempts, self._backoff = attempts, backoff
        self._waiting: queue.Queue[Record | None] = queue.Queue(MOST_WAITING)
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def tell(self, record: Record) -> None:
        """Never blocks: when MOST_WAITING wait already, this one is dropped and counted."""
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self._metrics.webhooks.labels("dropped").inc()
            log.error("webhook: %d records wait already, %s is not posted", MOST_WAITING, record.id)
        self._metrics.webhook_waiting.set(self._waiting.qsize())

    def stop(self) -> None:
        """What waits is posted, each tried once."""
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
                problem = f"it answers {status}"
            except requests.RequestException as error:
                status, problem = 0, type(error).__name__
            if 200 <= status < 300:
                return "delivered"
            if 300 <= status < 500 and status not in PASSES:
                log.error("webhook: %s of %s is refused: %s", record.state, record.id, problem)
                return "refused"
            if attempt == self._attempts or self._hurry.wait(self._backoff.after(attempt)):
                break
            self._metrics.webhook_retries.inc()
        log.error("webhook: %s of %s is not delivered: %s", record.state, record.id, problem)
        return "failed"

    def _request(self, url: str, body: bytes) -> int:
        # A redirect is an answer like any other: it could lead anywhere.
        answer = self._session.post(
            url, data=body, headers={"Content-Type": "application/json"}, timeout=TIMEOUT_S, allow_redirects=False
        )
        return answer.status_code
