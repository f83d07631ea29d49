"""What a user would see of a feed while something happens to it: the run's events, `/readyz`, metrics, and the lag."""

from __future__ import annotations

import contextlib
import math
import re
import threading
import time
from collections import defaultdict

import requests
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.kafka.offsets import GroupOffsets, ends, lags
from cryptocdc_adapters.metrics.figures import Samples, parse
from cryptocdc_local.applier import Servers
from cryptocdc_local.running.run import Run

EVERY_S = 1.0
LINE_S = 0.02
"""How often the run's line is looked at: the next event replaces it."""
TIMEOUT_S = 2.0
ACKNOWLEDGED = "cryptocdc_consumer_rows_total"
_AGES = "cryptocdc_consumer_event_to_ack_seconds"
LATE_S = 5.0
"""Rows that Cassandra acknowledges so long after their event, or later, are late."""
LATE = "rows are late"
LAGGING_RECORDS = 1000
LAGGING = "the consumers lag"
"""What is seen while so many records are not written yet."""
_COUNTERS = (
    ACKNOWLEDGED, "cryptocdc_producer_reconnects_total", "cryptocdc_producer_write_retries_total",
    "cryptocdc_producer_throttled_total", "cryptocdc_producer_rejected_total",
    "cryptocdc_producer_paused_seconds_total",
    "cryptocdc_producer_outage_seconds_total", "cryptocdc_producer_gaps_total", "cryptocdc_producer_book_resyncs_total",
    "cryptocdc_producer_trade_id_restarts_total", "cryptocdc_producer_suspect_lists_total",
    "cryptocdc_consumer_retries_total", "cryptocdc_consumer_dead_letters_total",
    "cryptocdc_consumer_unknown_fields_total", "cryptocdc_verifier_repaired_rows_total", f"{_AGES}_bucket",
)  # fmt: skip
"""Counters that mean something when they grow."""
_ALARMS = {
    "cryptocdc_verifier_connector_running": lambda value: value < 1,
    "cryptocdc_verifier_slot_usable": lambda value: value < 1,
    "cryptocdc_verifier_differences": lambda value: value > 0,
    "cryptocdc_producer_group_member": lambda value: value < 1,
    "cryptocdc_consumer_group_member": lambda value: value < 1,
    "cryptocdc_consumer_paused": lambda value: value > 0,
    "cryptocdc_consumer_write_stalled_seconds": lambda value: value > 5,
}
"""Gauges, and when their value means something, once it was otherwise."""


class Observer:
    """Watches a run inside the block."""

    def __init__(self, it: Run, direct: Servers) -> None:
        self._it = it
        self._held_event = ""
        self._restarted: dict[str, int] = {}
        self._written = {stream.table for stream in it.plan.written}
        self._topics = list(it.plan.change_topics)
        self._admin = AdminClient(client_config(direct.kafka) | {"log_level": 0})
        self._group = GroupOffsets(direct.kafka, it.plan.names.consumer_group)
        self._counted: dict[tuple[str, str], float] = defaultdict(float)
        self._last: dict[tuple[str, str], float] = {}
        self._before: dict[str, float] | None = None
        self._calm = {"cryptocdc_verifier_differences"}  # absent until there is one
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(step,), name=f"observer {step.__name__}", daemon=True)
            for step in (self._look_at_run, self._look_at_programs, self._look_at_lag)
        ]
        self.seen: dict[str, float] = {}
        """Each thing that a user would see, numbers replaced by N, and the time (monotonic) when it was first seen."""
        self.lag = 0
        """The records not yet written, when Kafka last answered."""
        self.highest_lag = 0

    def __enter__(self) -> Observer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(30)

    def begin(self) -> None:
        """Forget what was seen until now, also the event that the run still shows: the fault comes next."""
        self._held_event, self._restarted = self._it.event, self._it.programs.restarted
        self.seen, self.highest_lag, self._before = {}, 0, self.totals()

    def totals(self) -> dict[str, float]:
        """Return each counter's sum over all programs, what those counted that have died included."""
        found: dict[str, float] = defaultdict(float)
        for (_, metric), value in list(self._counted.items()):
            found[metric] += value
        for (_, metric), value in list(self._last.items()):
            found[metric] += value
        return dict(found)

    def died(self) -> list[str]:
        """Return the kinds of programs that have died since `begin`."""
        programs = self._it.programs
        alive, before = programs.pids(), self._restarted
        died = [name for name, count in programs.restarted.items() if count > before.get(name, 0) or name not in alive]
        return sorted({name.split("-")[1] for name in died})

    def matching(self, pattern: str) -> str | None:
        """Return the first thing seen that matches."""
        return next((text for text in list(self.seen) if re.search(pattern, text)), None)

    def _watch(self, step: object) -> None:
        while not self._ending.wait(EVERY_S if step != self._look_at_run else LINE_S):
            with contextlib.suppress(requests.RequestException, KafkaException, TimeoutError, OSError):
                step()  # type: ignore[operator]

    def _see(self, text: str) -> None:
        self.seen.setdefault(re.sub(r"\d+(\.\d+)?", "N", " ".join(text.split()))[:220], time.monotonic())

    def _look_at_run(self) -> None:
        event = self._it.event
        if event != self._held_event:
            self._held_event = ""
        if event and event != self._held_event:
            self._see(f"run: {event}")
        if self._it.halted is not None:
            self._see(f"run halted: {self._it.halted.message}")

    def _look_at_programs(self) -> None:
        for name, port in self._it.programs.ports().items():
            program, at = name.removeprefix(f"{self._it.plan.names.fid}-"), f"http://127.0.0.1:{port}"
            if program.startswith("api"):
                at = self._it.address
            try:
                ready = requests.get(f"{at}/readyz", timeout=TIMEOUT_S)
                samples = parse([requests.get(f"{at}/metrics", timeout=TIMEOUT_S).text], time.time())
            except requests.RequestException:
                self._see(f"{program}: /readyz does not answer")
                continue
            if ready.status_code == 503:
                self._see(f"{program}: /readyz: {ready.text.strip()}")
            self._count(program, samples)

    def _count(self, program: str, samples: Samples) -> None:
        for metric in _COUNTERS:
            if metric not in samples.values:
                continue
            at, value = (program, metric), self._value(metric, samples)
            if value < self._last.get(at, 0.0):  # it was restarted
                self._counted[at] += self._last[at]
            self._last[at] = value
        if self._before is not None:
            now = self.totals()
            for metric in _COUNTERS[1:]:
                if now.get(metric, 0.0) > self._before.get(metric, 0.0):
                    self._see(LATE if metric == f"{_AGES}_bucket" else metric)
        for metric, means in _ALARMS.items():
            if metric in samples.values:
                alarming = means(samples.total(metric))
                if alarming and metric in self._calm:
                    self._see(metric)
                elif not alarming:
                    self._calm.add(metric)

    def _value(self, metric: str, samples: Samples) -> float:
        """Return a counter's sum; of rows only those of the feed's streams, not those of tables derived from them; of
        ages the number of late rows."""
        if metric == ACKNOWLEDGED:
            return sum(value for table, value in samples.by(metric, "table").items() if table in self._written)
        if metric == f"{_AGES}_bucket":
            buckets = samples.buckets(_AGES)
            return buckets[math.inf] - buckets[LATE_S]
        return samples.total(metric)

    def _look_at_lag(self) -> None:
        spans = ends(self._admin, self._topics, TIMEOUT_S)
        self.lag = sum(lags(spans, self._group.committed(spans, TIMEOUT_S)).values())
        self.highest_lag = max(self.highest_lag, self.lag)
        if self.lag >= LAGGING_RECORDS:
            self._see(LAGGING)
