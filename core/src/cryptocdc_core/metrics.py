"""Every metric of every program: name, type, labels, meaning. A program makes the one registry that it serves.

Names follow Prometheus: base units, `_total` for counters. Labels are bounded: tables, outcomes, reasons.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class ProgramMetrics:
    """What every program has. `registry` holds all of a program's metrics."""

    def __init__(self, program: str, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.build_info = Gauge(
            "cryptocdc_build_info", "1; the labels say which program and version this is.", ["program", "version"],
            registry=self.registry,
        )  # fmt: skip
        self.build_info.labels(program, version).set(1)

    def forget(self, feed: str) -> None:
        """Say nothing more of a feed that is gone."""
        for metric in vars(self).values():
            if isinstance(metric, MetricWrapperBase) and "feed" in metric._labelnames:
                metric.remove_by_labels({"feed": feed})


def _group_member(prefix: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(
        f"{prefix}group_member",
        "1 while the program is a member of its consumer group, with partitions or without, else 0.",
        registry=registry,
    )


class ProducerMetrics(ProgramMetrics):
    """Exchange → PostgreSQL."""

    def __init__(self, version: str) -> None:
        super().__init__("producer", version)
        r, p = self.registry, "cryptocdc_producer_"
        self.frames = Counter(f"{p}frames_total", "Frames and REST answers received.", ["table", "via"], registry=r)
        self.rows = Counter(
            f"{p}rows_total", "Rows that PostgreSQL took: committed, duplicates included.", ["table"], registry=r
        )
        self.commits = Counter(f"{p}commits_total", "Transactions committed.", registry=r)
        self.commit_seconds = Histogram(
            f"{p}commit_seconds",
            "Of one batch, from its first statement to its commit.",
            buckets=LATENCY_BUCKETS_S,
            registry=r,
        )
        self.event_seconds = Histogram(
            f"{p}event_to_commit_seconds", "From the exchange's time of an event to its commit.", ["table"],
            buckets=LATENCY_BUCKETS_S, registry=r,
        )  # fmt: skip
        self.rejected = Counter(
            f"{p}rejected_total", "Frames and answers refused, kept in the rejected topic.", ["reason"], registry=r
        )
        self.conflated = Counter(
            f"{p}conflated_total", "States overtaken by a newer one before they were written.", ["table"], registry=r
        )
        self.queue_rows = Gauge(f"{p}queue_rows", "Rows waiting for PostgreSQL.", registry=r)
        self.queue_capacity = Gauge(f"{p}queue_capacity_rows", "Rows at which reading pauses.", registry=r)
        self.paused_seconds = Counter(
            f"{p}paused_seconds_total", "Time that reading stood still for a full queue.", registry=r
        )
        self.gaps = Counter(f"{p}gaps_total", "Gaps found.", ["table"], registry=r)
        self.gap_rows = Counter(
            f"{p}gap_rows_total",
            "Rows missing in gaps, by how they ended: filled, unfillable.",
            ["table", "outcome"],
            registry=r,
        )
        self.gaps_open = Gauge(f"{p}gaps_open", "Gaps found and not yet filled.", ["table"], registry=r)
        self.outage_seconds = Counter(
            f"{p}outage_seconds_total", "Time without data of a stream that can't be backfilled.", ["table"], registry=r
        )
        self.reconnects = Counter(f"{p}reconnects_total", "WebSocket connections made anew.", ["reason"], registry=r)
        self.book_resyncs = Counter(
            f"{p}book_resyncs_total",
            "Order books fetched again. Reasons: start, gap, restart, far, stalled, crossed, exhausted, stale, failed.",
            ["reason"],
            registry=r,
        )
        self.trade_id_restarts = Counter(
            f"{p}trade_id_restarts_total", "Times that the trade ids of a symbol began again.", registry=r
        )
        self.weight_used = Gauge(
            f"{p}weight_used", "Request weight of this minute, all programs behind this IP.", registry=r
        )
        self.weight_limit = Gauge(f"{p}weight_limit", "Request weight a minute that the exchange allows.", registry=r)
        self.throttled = Counter(f"{p}throttled_total", "Answers 429 and 418.", ["status"], registry=r)
        self.write_retries = Counter(
            f"{p}write_retries_total", "Batches that PostgreSQL did not take, tried again.", registry=r
        )
        self.symbols = Gauge(f"{p}symbols", "Symbols captured by this producer whose markets trade.", registry=r)
        self.group_member = _group_member(p, r)
        self.halted_symbols = Gauge(
            f"{p}halted_symbols",
            "1 for each symbol assigned whose market is paused: it is captured once it trades again.",
            ["symbol"],
            registry=r,
        )
        self.waiting_symbols = Gauge(
            f"{p}waiting_symbols",
            "1 for each symbol assigned that the exchange does not list: it is captured from its first trade on.",
            ["symbol"],
            registry=r,
        )
        self.suspect_lists = Counter(
            f"{p}suspect_lists_total",
            "Lists of markets that could not be right and were requested again.",
            registry=r,
        )
        self.last_frame = Gauge(f"{p}last_frame_timestamp_seconds", "When the last frame came.", ["table"], registry=r)


class ConsumerMetrics(ProgramMetrics):
    """Kafka → Cassandra."""

    def __init__(self, version: str) -> None:
        super().__init__("consumer", version)
        r, p = self.registry, "cryptocdc_consumer_"
        self.records = Counter(f"{p}records_total", "Records read.", ["table"], registry=r)
        self.rows = Counter(
            f"{p}rows_total", "Rows that Cassandra acknowledged, deletes included.", ["table"], registry=r
        )
        self.deletes = Counter(f"{p}deletes_total", "Deletes that Cassandra acknowledged.", ["table"], registry=r)
        self.expired = Counter(
            f"{p}expired_total", "Rows older than the retention, not written.", ["table"], registry=r
        )
        self.left_out = Counter(
            f"{p}left_out_total", "Changes that the transform left out.", ["table"], registry=r
        )  # fmt: skip
        self.dead_letters = Counter(
            f"{p}dead_letters_total", "Records sent to the dead letters.", ["reason"], registry=r
        )
        self.unknown_fields = Counter(
            f"{p}unknown_fields_total", "Fields left aside that the catalogue does not know.", ["table"], registry=r
        )
        self.batches = Counter(f"{p}batches_total", "Batches that Cassandra acknowledged.", registry=r)
        self.retries = Counter(f"{p}retries_total", "Batches sent again.", ["reason"], registry=r)
        self.write_seconds = Histogram(f"{p}write_seconds", "Of one batch.", buckets=LATENCY_BUCKETS_S, registry=r)
        self.write_stalled_seconds = Gauge(
            f"{p}write_stalled_seconds",
            "Time since Cassandra's last answer while batches wait for one, or since the start without a connection;"
            " 0 while nothing waits.",
            registry=r,
        )
        self.event_seconds = Histogram(
            f"{p}event_to_ack_seconds", "From the exchange's time of an event to Cassandra's ack.", ["table"],
            buckets=LATENCY_BUCKETS_S, registry=r,
        )  # fmt: skip
        self.commit_seconds = Histogram(
            f"{p}commit_to_ack_seconds", "From PostgreSQL's commit to Cassandra's acknowledgement.", ["table"],
            buckets=LATENCY_BUCKETS_S, registry=r,
        )  # fmt: skip
        self.lag = Gauge(
            f"{p}lag_records",
            "Records not yet written, of the partitions this consumer has.",
            ["topic", "partition"],
            registry=r,
        )
        self.in_flight = Gauge(f"{p}in_flight_batches", "Batches sent and not acknowledged.", registry=r)
        self.paused = Gauge(f"{p}paused", "1 while reading stands still for a slow sink.", registry=r)
        self.partitions = Gauge(f"{p}partitions", "Partitions assigned.", registry=r)
        self.group_member = _group_member(p, r)


class VerifierMetrics(ProgramMetrics):
    """PostgreSQL = Cassandra. One verifier proves several feeds: `feed` is the identity that names a feed's parts."""

    def __init__(self, version: str) -> None:
        super().__init__("verifier", version)
        r, p = self.registry, "cryptocdc_verifier_"
        self.rows = Counter(f"{p}rows_total", "Rows compared.", ["feed", "table"], registry=r)
        self.buckets = Counter(
            f"{p}buckets_total",
            "Buckets compared, by outcome: equal, unequal.",
            ["feed", "table", "outcome"],
            registry=r,
        )
        self.differences = Gauge(
            f"{p}differences", "Keys that differ: missing, extra, different.", ["feed", "table", "kind"], registry=r
        )
        self.proven_through = Gauge(
            f"{p}proven_through_timestamp_seconds",
            "Both databases are proven equal up to this time.",
            ["feed", "table"],
            registry=r,
        )
        self.unproven_seconds = Gauge(
            f"{p}unproven_seconds",
            "How far the proof is behind what can be proven by now, closed minutes and candles; 0 when all is proven.",
            ["feed", "table"],
            registry=r,
        )
        self.proven_rows = Gauge(
            f"{p}proven_rows", "Rows of PostgreSQL that are proven equal.", ["feed", "table"], registry=r
        )
        self.wait_seconds = Histogram(
            f"{p}wait_seconds", "Until slot and consumers had passed the snapshot.", ["feed"],
            buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 300), registry=r,
        )  # fmt: skip
        self.partitions_dropped = Counter(
            f"{p}partitions_dropped_total", "PostgreSQL partitions dropped after proof.", ["feed", "table"], registry=r
        )
        self.reproofs = Counter(
            f"{p}reproofs_total", "Proofs withdrawn because rows came or changed later.", ["feed", "table"], registry=r
        )
        self.slot_usable = Gauge(
            f"{p}slot_usable", "1 while the slot is there and has lost nothing.", ["feed"], registry=r
        )
        self.slot_retained_bytes = Gauge(
            f"{p}slot_retained_bytes", "Log that PostgreSQL keeps for the slot.", ["feed"], registry=r
        )
        self.connector_running = Gauge(
            f"{p}connector_running", "1 while the connector and its task run.", ["feed"], registry=r
        )


class AlerterMetrics(ProgramMetrics):
    """The market's prices against the feed's alerts. `alert` is an alert's id; a feed has 50 at most."""

    def __init__(self, version: str) -> None:
        super().__init__("alerter", version)
        r, p = self.registry, "cryptocdc_alerter_"
        self.prices = Counter(f"{p}prices_total", "Prices that alerts were held against.", registry=r)
        self.filled = Counter(f"{p}filled_total", "Prices read again only to fill windows.", registry=r)
        self.group_member = _group_member(p, r)
        self.undecodable = Counter(f"{p}undecodable_total", "Records that are no change: passed over.", registry=r)
        self.firing = Gauge(
            f"{p}firing", "1 while the alert's condition is true, else 0.", ["alert", "symbol"], registry=r
        )
        self.transitions = Counter(
            f"{p}transitions_total", "Records written, by state: firing, resolved.", ["state"], registry=r
        )
        self.evaluated = Gauge(
            f"{p}evaluated_timestamp_seconds",
            "Time of the newest price that was seen, before that of the start.",
            ["symbol"],
            registry=r,
        )
        self.event_seconds = Histogram(
            f"{p}event_to_record_seconds", "From the exchange's time of a price to the acknowledged record.",
            buckets=LATENCY_BUCKETS_S, registry=r,
        )  # fmt: skip
        self.webhooks = Counter(
            f"{p}webhooks_total",
            "Records that the webhook was to get, by outcome: delivered, refused, failed, dropped.",
            ["outcome"],
            registry=r,
        )
        self.webhook_retries = Counter(f"{p}webhook_retries_total", "Posts that were tried again.", registry=r)
        self.webhook_waiting = Gauge(f"{p}webhook_waiting", "Records that wait for the webhook.", registry=r)


class OperatorMetrics(ProgramMetrics):
    """CryptoFeed → Kubernetes."""

    def __init__(self, version: str) -> None:
        super().__init__("operator", version)
        r, p = self.registry, "cryptocdc_operator_"
        self.reconciles = Counter(
            f"{p}reconciles_total", "Feeds compared with what is there, by outcome: done, waiting, failed.",
            ["feed", "outcome"], registry=r,
        )  # fmt: skip
        self.reconcile_seconds = Histogram(
            f"{p}reconcile_seconds", "Of one feed.", buckets=(*LATENCY_BUCKETS_S, 60, 120), registry=r
        )
        self.reconciled_at = Gauge(
            f"{p}reconciled_timestamp_seconds", "When a feed was last reconciled.", ["feed"], registry=r
        )
        self.condition = Gauge(
            f"{p}condition", "1 while the condition of a feed's status is True, else 0.", ["feed", "type"], registry=r
        )
        self.connector_restarts = Counter(
            f"{p}connector_restarts_total", "Failed connectors that were restarted.", ["feed"], registry=r
        )
        self.snapshots = Counter(
            f"{p}snapshots_total", "New snapshots taken because a replication slot was lost.", ["feed"], registry=r
        )


class ApiMetrics(ProgramMetrics):
    """Cassandra → HTTP, Kafka → WebSocket."""

    def __init__(self, version: str) -> None:
        super().__init__("api", version)
        r, p = self.registry, "cryptocdc_api_"
        self.requests = Counter(
            f"{p}requests_total", "Requests answered, WebSockets (101) included.", ["endpoint", "status"], registry=r
        )
        self.request_seconds = Histogram(
            f"{p}request_seconds", "From a request to the end of its answer.", ["endpoint"],
            buckets=(0.001, 0.0025, *LATENCY_BUCKETS_S), registry=r,
        )  # fmt: skip
        self.limited = Counter(f"{p}limited_total", "Requests refused by the rate limit.", registry=r)
        self.read_seconds = Histogram(
            f"{p}read_seconds", "Of one partition of Cassandra.", ["table"],
            buckets=(0.001, 0.0025, *LATENCY_BUCKETS_S), registry=r,
        )  # fmt: skip
        self.read_errors = Counter(
            f"{p}read_errors_total", "Reads that Cassandra did not answer.", ["table"], registry=r
        )
        self.cache = Counter(
            f"{p}cache_total", "Answers sought in the cache, by outcome: hit, miss.", ["cache", "outcome"], registry=r
        )
        self.redis = Counter(
            f"{p}redis_total", "Answers sought in Redis, by outcome: hit, miss, error.", ["outcome"], registry=r
        )
        self.live_clients = Gauge(f"{p}live_clients", "WebSockets open.", registry=r)
        self.live_rows = Counter(f"{p}live_rows_total", "Rows pushed, once for each client.", ["table"], registry=r)
        self.live_failed = Counter(
            f"{p}live_failed_total", "Changes that no row to push could be made of: passed over.", ["table"], registry=r
        )
        self.live_dropped = Counter(f"{p}live_dropped_total", "Clients dropped because they were too slow.", registry=r)
