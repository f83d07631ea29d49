"""A feed's live figures, computed from what its programs serve on `/metrics` and from Kafka's offsets."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import requests
from prometheus_client.parser import text_string_to_metric_families

from cryptocdc_adapters import http_client
from cryptocdc_core.feed.repair import repair_line

SCRAPE_TIMEOUT_S = 2.0
LAG = "cryptocdc_consumer_lag_records"
Labels = frozenset[tuple[str, str]]
Partition = tuple[str, int]
"""A topic's name and the number of one of its partitions."""


@dataclass(frozen=True)
class Samples:
    """The sum over all of a feed's programs of each sample, by name and labels."""

    values: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)
    largest: Mapping[str, float] = field(default_factory=dict)
    """The maximum by name, for samples whose sum is meaningless: all programs report the same budget."""
    at: float = 0.0
    programs: int = 0

    def by(self, name: str, label: str, **match: str) -> dict[str, float]:
        """The samples called `name` whose labels agree with `match`, summed by one of their labels."""
        wanted = frozenset(match.items())
        found: dict[str, float] = defaultdict(float)
        for labels, value in self.values.get(name, {}).items():
            if wanted <= labels:
                found[dict(labels).get(label, "")] += value
        return dict(found)

    def total(self, name: str, **match: str) -> float:
        """The sum of the samples called `name` whose labels agree with `match`."""
        wanted = frozenset(match.items())
        return sum(value for labels, value in self.values.get(name, {}).items() if wanted <= labels)

    def buckets(self, name: str, **match: str) -> dict[float, float]:
        """A histogram's cumulative buckets by upper bound in seconds."""
        wanted = frozenset(match.items())
        found: dict[float, float] = defaultdict(float)
        for labels, value in self.values.get(f"{name}_bucket", {}).items():
            if wanted <= labels:
                found[float(dict(labels)["le"])] += value
        return dict(found)


def scrape(addresses: Iterable[str]) -> Samples:
    """Scrape a feed's programs at `host:port`, those that do not answer left out."""
    texts = []
    for address in addresses:
        try:
            texts.append(http_client.get(f"http://{address}/metrics", timeout=SCRAPE_TIMEOUT_S).text)
        except requests.RequestException:
            continue
    return parse(texts, time.time())


def parse(texts: Iterable[str], at: float) -> Samples:
    """Samples of several programs' exposition texts, those of the same name and labels added up."""
    values: dict[str, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))
    largest: dict[str, float] = defaultdict(float)
    programs = 0
    for text in texts:
        programs += 1
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                values[sample.name][frozenset(sample.labels.items())] += sample.value
                largest[sample.name] = max(largest[sample.name], sample.value)
    return Samples(values, largest, at, programs)


def quantile(q: float, buckets: Mapping[float, float]) -> float | None:
    """The q-quantile in seconds by linear interpolation in cumulative buckets, as PromQL's histogram_quantile; None
    where nothing was observed."""
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    rank = q * buckets[bounds[-1]]
    below, start = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return start
            inside = buckets[bound] - below
            return start + (bound - start) * ((rank - below) / inside if inside else 1.0)
        below, start = buckets[bound], bound
    return start


def since(now: Mapping[float, float], before: Mapping[float, float]) -> dict[float, float]:
    """Return what a histogram observed between two scrapes; all of it after a restart of the program."""
    gone = {bound: count - before.get(bound, 0.0) for bound, count in now.items()}
    return dict(now) if any(count < 0 for count in gone.values()) else gone


def lag_by_partition(samples: Samples, uncommitted: Mapping[Partition, int]) -> dict[Partition, float]:
    """Return the lag as reported by the consumers; for partitions that none reads, as reported by Kafka."""
    reported: dict[Partition, float] = {}
    for labels, records in samples.values.get(LAG, {}).items():
        of = dict(labels)
        reported[of["topic"], int(of["partition"])] = records
    return {**uncommitted, **reported}


def repair_counts(samples: Samples, fid: str) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many of a feed's rows were repaired since the verifier started, by cause, and how many differing ones
    repair has left, by reason."""
    repaired = samples.by("cryptocdc_verifier_repaired_rows_total", "cause", feed=fid)
    left = samples.by("cryptocdc_verifier_unrepaired_rows", "reason", feed=fid)
    return _positive(repaired), _positive(left)


def _positive(found: Mapping[str, float]) -> dict[str, int]:
    return {name: int(count) for name, count in sorted(found.items()) if count}


@dataclass(frozen=True)
class Written:
    """What Kafka says of a sink engine that reports no figures of its own."""

    records: Mapping[str, int]
    """By table, how many records are committed; each is in Cassandra or a dead letter."""
    dead_letters: int


@dataclass(frozen=True)
class StreamFigures:
    """One table's figures; rates in rows per second, times in seconds."""

    frames: int
    postgres: int
    kafka: int
    cassandra: int
    frames_rate: float
    postgres_rate: float
    kafka_rate: float
    cassandra_rate: float
    lag: int
    p50: float | None
    p99: float | None
    proven_through: float | None
    """Seconds since the epoch."""
    unproven_s: float | None = None
    """How far the proof is behind what can be proven by now, where the verifier says so."""

    def proof_behind_s(self, now: float) -> float | None:
        """Return how far the proof is behind what can be proven at `now`, in seconds; None where nothing is proven.

        Without the verifier's own figure, how far it is behind `now`.
        """
        if self.proven_through is None:
            return None
        return now - self.proven_through if self.unproven_s is None else self.unproven_s


@dataclass(frozen=True)
class FeedFigures:
    streams: dict[str, StreamFigures]
    gaps_open: int
    gap_rows_filled: int
    gap_rows_unfillable: int
    dead_letters: int
    rejected: int
    outage_s: float
    symbols: int
    halted: tuple[str, ...]
    """Captured once their markets, which are paused, trade again."""
    weight_used: int
    weight_limit: int
    differences: int
    programs: int
    alerts_firing: tuple[str, ...] = ()
    """Market alerts whose condition is true, by their ids."""
    write_stalled_s: float = 0.0
    """Of the consumer that has waited longest for Cassandra to acknowledge anything."""
    gaps_waiting: int = 0
    """Those that wait for a file of the exchange's archive; not among the open ones."""
    waiting: tuple[str, ...] = ()
    """Captured from their first trade on: the exchange does not list them."""
    repaired: int = 0
    """Rows that the verifier has sent again and that are equal now, since it started."""
    repair: str = ""
    """What was repaired and left, by cause and reason, as in the status of a CryptoFeed; empty if nothing was."""


WINDOW_S = 10.0
"""Rates and latencies are those of about this long."""


class Figures:
    """Turns scrapes into figures; feed it a scrape and the topics' record counts every second or two."""

    def __init__(self, fid: str, tables: Iterable[str]) -> None:
        """`fid`, the feed's identity: the verifier that is scraped may prove others as well."""
        self._fid = fid
        self._tables = tuple(tables)
        self._history: list[tuple[Samples, Mapping[str, int], Written | None]] = []
        self._repairs: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {})

    def update(
        self,
        samples: Samples,
        kafka: Mapping[str, int],
        uncommitted: Mapping[Partition, int] | None = None,
        written: Written | None = None,
    ) -> FeedFigures:
        """`kafka`: by table, how many records its topic has ever taken. `uncommitted`: by partition, how many the
        consumers have not committed; used where no consumer reports its lag. `written`: given for a sink engine that
        reports no figures."""
        self._history.append((samples, kafka, written))
        while len(self._history) > 2 and samples.at - self._history[1][0].at >= WINDOW_S:
            self._history.pop(0)
        lag = lag_by_partition(samples, uncommitted or {})
        streams = {table: self._stream(table, lag) for table in self._tables}
        differences = "cryptocdc_verifier_differences"
        # A verifier that did not answer once has not forgotten its repairs: they would be reported again.
        if samples.by(differences, "table", feed=self._fid):
            self._repairs = repair_counts(samples, self._fid)
        producer, consumer = "cryptocdc_producer_", "cryptocdc_consumer_"
        return FeedFigures(
            streams=streams,
            gaps_open=int(samples.total(f"{producer}gaps_open")),
            gaps_waiting=int(samples.total(f"{producer}gaps_waiting")),
            gap_rows_filled=int(samples.total(f"{producer}gap_rows_total", outcome="filled")),
            gap_rows_unfillable=int(samples.total(f"{producer}gap_rows_total", outcome="unfillable")),
            dead_letters=written.dead_letters
            if written is not None
            else int(samples.total(f"{consumer}dead_letters_total")),
            rejected=int(samples.total(f"{producer}rejected_total")),
            outage_s=samples.total(f"{producer}outage_seconds_total"),
            symbols=int(samples.total(f"{producer}symbols")),
            halted=tuple(sorted(samples.by(f"{producer}halted_symbols", "symbol"))),
            waiting=tuple(sorted(samples.by(f"{producer}waiting_symbols", "symbol"))),
            weight_used=int(samples.largest.get(f"{producer}weight_used", 0)),
            weight_limit=int(samples.largest.get(f"{producer}weight_limit", 0)),
            differences=int(samples.total(differences, feed=self._fid)),
            repaired=sum(self._repairs[0].values()),
            repair=repair_line(*self._repairs),
            programs=samples.programs,
            write_stalled_s=samples.largest.get(f"{consumer}write_stalled_seconds", 0.0),
            alerts_firing=tuple(sorted(a for a, on in samples.by("cryptocdc_alerter_firing", "alert").items() if on)),
        )

    def _stream(self, table: str, lag: Mapping[Partition, float]) -> StreamFigures:
        now, kafka, written = self._history[-1]
        before, kafka_before, written_before = self._history[0]
        seconds = now.at - before.at
        names = {
            "frames": "cryptocdc_producer_frames_total",
            "postgres": "cryptocdc_producer_rows_total",
            "cassandra": "cryptocdc_consumer_rows_total",
        }
        counts = {hop: now.total(name, table=table) for hop, name in names.items()}
        earlier = {hop: before.total(name, table=table) for hop, name in names.items()}

        if written is not None:
            counts["cassandra"] = written.records.get(table, 0)
            earlier["cassandra"] = written_before.records.get(table, 0) if written_before is not None else 0

        def rate(count: float, then: float) -> float:
            return max(0.0, count - then) / seconds if seconds > 0 else 0.0

        latency = "cryptocdc_consumer_event_to_ack_seconds"
        recent = since(now.buckets(latency, table=table), before.buckets(latency, table=table))
        proven = now.by("cryptocdc_verifier_proven_through_timestamp_seconds", "table", feed=self._fid).get(table)
        return StreamFigures(
            frames=int(counts["frames"]),
            postgres=int(counts["postgres"]),
            kafka=kafka.get(table, 0),
            cassandra=int(counts["cassandra"]),
            frames_rate=rate(counts["frames"], earlier["frames"]),
            postgres_rate=rate(counts["postgres"], earlier["postgres"]),
            kafka_rate=rate(kafka.get(table, 0), kafka_before.get(table, 0)),
            cassandra_rate=rate(counts["cassandra"], earlier["cassandra"]),
            lag=int(sum(records for (topic, _), records in lag.items() if topic.endswith(f".{table}"))),
            p50=quantile(0.5, recent),
            p99=quantile(0.99, recent),
            proven_through=proven or None,
            unproven_s=now.by("cryptocdc_verifier_unproven_seconds", "table", feed=self._fid).get(table),
        )
