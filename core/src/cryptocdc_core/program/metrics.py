"""Every metric of every program: name, type, labels, meaning. Each program has one registry, which it serves.

Names follow Prometheus: base units, `_total` for counters. Labels are bounded: tables, outcomes, reasons.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class ProgramMetrics:
    """The metrics that every program has. `registry` contains all of a program's metrics."""

    def __init__(self, program: str, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.build_info = Gauge(
            "cryptocdc_build_info", "Always 1; the labels are the program and its version.", ["program", "version"],
            registry=self.registry,
        )  # fmt: skip
        self.build_info.labels(program, version).set(1)

    def remove_feed(self, feed: str) -> None:
        """Remove all series of a feed that was deleted."""
        for metric in vars(self).values():
            if isinstance(metric, MetricWrapperBase) and "feed" in metric._labelnames:
                metric.remove_by_labels({"feed": feed})


def _group_member(prefix: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(
        f"{prefix}group_member",
        "1 while the program is a member of its consumer group, with or without partitions, else 0.",
        registry=registry,
    )


class ProducerMetrics(ProgramMetrics):
    """Exchange → PostgreSQL."""

    def __init__(self, version: str) -> None:
        super().__init__("producer", version)
        r, p = self.registry, "cryptocdc_producer_"
        self.frames = Counter(f"{p}frames_total", "Frames and REST responses received.", ["table", "via"], registry=r)
        self.rows = Counter(
            f"{p}rows_total", "Rows committed in PostgreSQL, duplicates included.", ["table"], registry=r
        )
        self.commits = Counter(f"{p}commits_total", "Transactions committed.", registry=r)
        self.commit_seconds = Histogram(
            f"{p}commit_seconds",
            "Duration of a batch, from its first statement to its commit.",
            buckets=LATENCY_BUCKETS_S,
            registry=r,
        )
        self.event_seconds = Histogram(
            f"{p}event_to_commit_seconds", "Time from an event at the exchange to its commit.", ["table"],
            buckets=LATENCY_BUCKETS_S, registry=r,
        )  # fmt: skip
        self.rejected = Counter(
            f"{p}rejected_total",
            "Frames and responses refused, kept in the topic `fid.rejected`.",
            ["reason"],
            registry=r,
        )
        self.conflated = Counter(
            f"{p}conflated_total", "Values superseded by a newer one before they were written.", ["table"], registry=r
        )
        self.queue_rows = Gauge(f"{p}queue_rows", "Rows waiting for PostgreSQL.", registry=r)
        self.queue_capacity = Gauge(f"{p}queue_capacity_rows", "Rows in the queue at which reading pauses.", registry=r)
        self.paused_seconds = Counter(
            f"{p}paused_seconds_total", "Time that reading was paused because the queue was full.", registry=r
        )
        self.gaps = Counter(f"{p}gaps_total", "Gaps found.", ["table"], registry=r)
        self.gap_rows = Counter(
            f"{p}gap_rows_total", "Missing rows of gaps, by outcome: filled, unfillable.", ["table", "outcome"],
            registry=r,
        )  # fmt: skip
        self.gaps_open = Gauge(f"{p}gaps_open", "Gaps found but not filled yet.", ["table"], registry=r)
        self.gaps_waiting = Gauge(f"{p}gaps_waiting", "Gaps that wait for an archive's file.", ["table"], registry=r)
        self.outage_seconds = Counter(
            f"{p}outage_seconds_total", "Time without data of a stream that can't be backfilled.", ["table"], registry=r
        )
        self.reconnects = Counter(f"{p}reconnects_total", "WebSocket reconnections.", ["reason"], registry=r)
        self.book_resyncs = Counter(
            f"{p}book_resyncs_total",
            "Order books fetched again. Reasons: start, gap, restart, far, stalled, crossed, exhausted, stale, failed.",
            ["reason"],
            registry=r,
        )
        self.trade_id_restarts = Counter(
            f"{p}trade_id_restarts_total", "How often a symbol's trade ids restarted.", registry=r
        )
        self.weight_used = Gauge(
            f"{p}weight_used", "Request weight used this minute by all programs behind this IP address.", registry=r
        )
        self.weight_limit = Gauge(f"{p}weight_limit", "Request weight per minute that the exchange allows.", registry=r)
        self.throttled = Counter(f"{p}throttled_total", "Responses with status 429 or 418.", ["status"], registry=r)
        self.write_retries = Counter(
            f"{p}write_retries_total", "Retries of batches that PostgreSQL did not accept.", registry=r
        )
        self.symbols = Gauge(f"{p}symbols", "Symbols captured by this producer whose markets are trading.", registry=r)
        self.group_member = _group_member(p, r)
        self.halted_symbols = Gauge(
            f"{p}halted_symbols",
            "1 for each assigned symbol whose market is paused; it is captured once trading resumes.",
            ["symbol"],
            registry=r,
        )
        self.waiting_symbols = Gauge(
            f"{p}waiting_symbols",
            "1 for each assigned symbol that the exchange does not list; it is captured from its first trade on.",
            ["symbol"],
            registry=r,
        )
        self.suspect_lists = Counter(
            f"{p}suspect_lists_total",
            "Implausible lists of markets, which were requested again.",
            registry=r,
        )
        self.last_frame = Gauge(f"{p}last_frame_timestamp_seconds", "Time of the last frame.", ["table"], registry=r)


class ConsumerMetrics(ProgramMetrics):
    """Kafka → Cassandra."""

    def __init__(self, version: str) -> None:
        super().__init__("consumer", version)
        r, p = self.registry, "cryptocdc_consumer_"
        self.records = Counter(f"{p}records_total", "Records read.", ["table"], registry=r)
        self.rows = Counter(
            f"{p}rows_total", "Rows acknowledged by Cassandra, deletes included.", ["table"], registry=r
        )
        self.deletes = Counter(f"{p}deletes_total", "Deletes acknowledged by Cassandra.", ["table"], registry=r)
        self.expired = Counter(
            f"{p}expired_total", "Rows not written because they are older than the retention.", ["table"], registry=r
        )
        self.left_out = Counter(
            f"{p}left_out_total", "Changes dropped by the transform.", ["table"], registry=r
        )  # fmt: skip
        self.dead_letters = Counter(
            f"{p}dead_letters_total", "Records that became dead letters.", ["reason"], registry=r
        )
        self.unknown_fields = Counter(
            f"{p}unknown_fields_total", "Ignored fields that are not in the catalogue.", ["table"], registry=r
        )
        self.batches = Counter(f"{p}batches_total", "Batches acknowledged by Cassandra.", registry=r)
        self.retries = Counter(f"{p}retries_total", "Batches retried.", ["reason"], registry=r)
        self.write_seconds = Histogram(
            f"{p}write_seconds", "Duration of a batch.", buckets=LATENCY_BUCKETS_S, registry=r
        )
        self.write_stalled_seconds = Gauge(
            f"{p}write_stalled_seconds",
            "Time since Cassandra's last response while batches wait for one, or since the start while there is no"
            " connection; 0 while nothing waits.",
            registry=r,
        )
        self.event_seconds = Histogram(
            f"{p}event_to_ack_seconds", "Time from an event at the exchange to its acknowledgement.", ["table"],
            buckets=LATENCY_BUCKETS_S, registry=r,
        )  # fmt: skip
        self.commit_seconds = Histogram(
            f"{p}commit_to_ack_seconds", "Time from PostgreSQL's commit to Cassandra's acknowledgement.", ["table"],
            buckets=LATENCY_BUCKETS_S, registry=r,
        )  # fmt: skip
        self.lag = Gauge(
            f"{p}lag_records",
            "Records not written yet in the partitions assigned to this consumer.",
            ["topic", "partition"],
            registry=r,
        )
        self.in_flight = Gauge(f"{p}in_flight_batches", "Batches sent but not acknowledged yet.", registry=r)
        self.paused = Gauge(f"{p}paused", "1 while reading is paused because Cassandra is slow.", registry=r)
        self.partitions = Gauge(f"{p}partitions", "Partitions assigned.", registry=r)
        self.group_member = _group_member(p, r)


class VerifierMetrics(ProgramMetrics):
    """PostgreSQL = Cassandra. One verifier can prove several feeds: the label `feed` is a feed's identity."""

    def __init__(self, version: str) -> None:
        super().__init__("verifier", version)
        r, p = self.registry, "cryptocdc_verifier_"
        self.rows = Counter(f"{p}rows_total", "Rows compared.", ["feed", "table"], registry=r)
        self.buckets = Counter(
            f"{p}buckets_total",
            "Time buckets compared, by outcome: equal, unequal.",
            ["feed", "table", "outcome"],
            registry=r,
        )
        self.differences = Gauge(
            f"{p}differences",
            "Keys that differ, by kind: missing, extra, different.",
            ["feed", "table", "kind"],
            registry=r,
        )
        self.proven_through = Gauge(
            f"{p}proven_through_timestamp_seconds",
            "Time up to which both databases are proven equal.",
            ["feed", "table"],
            registry=r,
        )
        self.unproven_seconds = Gauge(
            f"{p}unproven_seconds",
            "How far the proof trails what can be proven by now: closed minutes and candles; 0 when all is proven.",
            ["feed", "table"],
            registry=r,
        )
        self.proven_rows = Gauge(
            f"{p}proven_rows", "Rows in PostgreSQL that are proven equal.", ["feed", "table"], registry=r
        )
        self.wait_seconds = Histogram(
            f"{p}wait_seconds", "Time until slots and consumers had passed the snapshot.", ["feed"],
            buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 300), registry=r,
        )  # fmt: skip
        self.partitions_dropped = Counter(
            f"{p}partitions_dropped_total", "PostgreSQL partitions dropped once proven.", ["feed", "table"], registry=r
        )
        self.reproofs = Counter(
            f"{p}reproofs_total",
            "Proofs withdrawn because rows arrived or changed later.",
            ["feed", "table"],
            registry=r,
        )
        self.repaired_rows = Counter(
            f"{p}repaired_rows_total",
            "Rows sent again because they were missing or different, and equal afterwards, by cause.",
            ["feed", "table", "cause"],
            registry=r,
        )
        self.unrepaired_rows = Gauge(
            f"{p}unrepaired_rows",
            "Differing rows that repair has left, by reason: harmful, not possible now, or beyond the limit.",
            ["feed", "table", "reason"],
            registry=r,
        )
        self.slot_usable = Gauge(
            f"{p}slot_usable", "1 while the slot exists and has lost no WAL.", ["feed", "slot"], registry=r
        )
        self.slot_retained_bytes = Gauge(
            f"{p}slot_retained_bytes", "WAL that PostgreSQL retains for the slot.", ["feed", "slot"], registry=r
        )
        self.lag = Gauge(
            f"{p}lag_records",
            "Records not yet written to Cassandra and committed, by whichever sink engine.",
            ["feed", "topic"],
            registry=r,
        )
        self.dead_letters = Gauge(f"{p}dead_letters", "Dead letters that have not been replayed.", ["feed"], registry=r)
        self.connector_running = Gauge(
            f"{p}connector_running", "1 while the connector and its task run.", ["feed", "connector"], registry=r
        )


class AlerterMetrics(ProgramMetrics):
    """Market alerts. The label `alert` is an alert's id; a feed has at most 50."""

    def __init__(self, version: str) -> None:
        super().__init__("alerter", version)
        r, p = self.registry, "cryptocdc_alerter_"
        self.prices = Counter(f"{p}prices_total", "Prices evaluated.", registry=r)
        self.filled = Counter(
            f"{p}filled_total", "Prices reread to fill the alerts' windows after a start.", registry=r
        )
        self.group_member = _group_member(p, r)
        self.undecodable = Counter(
            f"{p}undecodable_total", "Records skipped because they are not valid changes.", registry=r
        )
        self.firing = Gauge(
            f"{p}firing", "1 while the alert's condition is true, else 0.", ["alert", "symbol"], registry=r
        )
        self.transitions = Counter(
            f"{p}transitions_total", "Records written, by state: firing, resolved.", ["state"], registry=r
        )
        self.evaluated = Gauge(
            f"{p}evaluated_timestamp_seconds",
            "Time of the newest price evaluated; the start time until there is one.",
            ["symbol"],
            registry=r,
        )
        self.event_seconds = Histogram(
            f"{p}event_to_record_seconds", "Time from a price at the exchange to the acknowledged record.",
            buckets=LATENCY_BUCKETS_S, registry=r,
        )  # fmt: skip
        self.webhooks = Counter(
            f"{p}webhooks_total",
            "Records for the webhook, by outcome: delivered, refused, failed, dropped.",
            ["outcome"],
            registry=r,
        )
        self.webhook_retries = Counter(f"{p}webhook_retries_total", "Retried webhook requests.", registry=r)
        self.webhook_waiting = Gauge(f"{p}webhook_waiting", "Records waiting to be posted to the webhook.", registry=r)


class AnalyzerMetrics(ProgramMetrics):
    """Captured rows → computed tables."""

    def __init__(self, version: str) -> None:
        super().__init__("analyzer", version)
        r, p = self.registry, "cryptocdc_analyzer_"
        self.trades = Counter(f"{p}trades_total", "Trades read, repeated ones included.", registry=r)
        self.repeated = Counter(f"{p}repeated_total", "Trades that their windows already had.", registry=r)
        self.rows = Counter(f"{p}rows_total", "Rows acknowledged by Kafka.", ["table"], registry=r)
        self.late = Counter(
            f"{p}late_windows_total", "Windows corrected by a trade that came later than the lateness.", registry=r
        )
        self.reloaded = Counter(
            f"{p}reloaded_windows_total", "Windows whose trades were read from Cassandra, late ones included.",
            registry=r,
        )  # fmt: skip
        self.undecodable = Counter(
            f"{p}undecodable_total", "Records skipped because they are not valid changes.", registry=r
        )
        self.missed = Counter(
            f"{p}missed_total", "Rows that Kafka's retention removed before they were read.", registry=r
        )
        self.deletes = Counter(
            f"{p}deletes_total", "Deletions by hand, which leave computed rows as they are.", registry=r
        )
        self.waiting_seconds = Gauge(
            f"{p}waiting_seconds", "How long it has been waiting for the consumers, or for Cassandra.", registry=r
        )
        self.open_windows = Gauge(f"{p}open_windows", "Windows in memory.", registry=r)
        self.forecast_skill = Gauge(
            f"{p}forecast_skill",
            "Skill of the last 120 forecasts against the last window's value and the mean, the lesser; none at 0.",
            ["symbol", "interval"], registry=r,
        )  # fmt: skip
        self.group_member = _group_member(p, r)
        self.commit_seconds = Histogram(
            f"{p}commit_to_row_seconds", "Time from PostgreSQL's commit of the newest row to the acknowledged result.",
            buckets=LATENCY_BUCKETS_S, registry=r,
        )  # fmt: skip


class OperatorMetrics(ProgramMetrics):
    """CryptoFeed → Kubernetes."""

    def __init__(self, version: str) -> None:
        super().__init__("operator", version)
        r, p = self.registry, "cryptocdc_operator_"
        self.reconciles = Counter(
            f"{p}reconciles_total", "Reconciliations, by outcome: done, waiting, failed.",
            ["feed", "outcome"], registry=r,
        )  # fmt: skip
        self.reconcile_seconds = Histogram(
            f"{p}reconcile_seconds", "Duration of a reconciliation.", buckets=(*LATENCY_BUCKETS_S, 60, 120), registry=r
        )
        self.reconciled_at = Gauge(
            f"{p}reconciled_timestamp_seconds", "Time of a feed's last reconciliation.", ["feed"], registry=r
        )
        self.condition = Gauge(
            f"{p}condition", "1 while the condition of a feed's status is True, else 0.", ["feed", "type"], registry=r
        )
        self.connector_restarts = Counter(
            f"{p}connector_restarts_total", "Restarts of failed connectors.", ["feed"], registry=r
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
            f"{p}requests_total",
            "Requests answered, WebSocket upgrades (101) included.",
            ["endpoint", "status"],
            registry=r,
        )
        self.request_seconds = Histogram(
            f"{p}request_seconds", "Time from a request to the end of its response.", ["endpoint"],
            buckets=(0.001, 0.0025, *LATENCY_BUCKETS_S), registry=r,
        )  # fmt: skip
        self.limited = Counter(f"{p}limited_total", "Requests refused by the rate limit.", registry=r)
        self.read_seconds = Histogram(
            f"{p}read_seconds", "Duration of reading one Cassandra partition.", ["table"],
            buckets=(0.001, 0.0025, *LATENCY_BUCKETS_S), registry=r,
        )  # fmt: skip
        self.read_errors = Counter(f"{p}read_errors_total", "Reads that failed in Cassandra.", ["table"], registry=r)
        self.cache = Counter(
            f"{p}cache_total", "Cache lookups, by outcome: hit, miss.", ["cache", "outcome"], registry=r
        )
        self.redis = Counter(f"{p}redis_total", "Redis lookups, by outcome: hit, miss, error.", ["outcome"], registry=r)
        self.live_clients = Gauge(f"{p}live_clients", "Open WebSockets.", registry=r)
        self.live_rows = Counter(f"{p}live_rows_total", "Rows pushed, counted once per client.", ["table"], registry=r)
        self.live_failed = Counter(
            f"{p}live_failed_total",
            "Changes skipped because they could not be converted to a row.",
            ["table"],
            registry=r,
        )
        self.live_dropped = Counter(f"{p}live_dropped_total", "Clients dropped because they were too slow.", registry=r)
