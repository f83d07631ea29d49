"""How the pipeline and its programs do, asked of Prometheus: names and labels are those of `cryptocdc_core.metrics`."""

from __future__ import annotations

from cryptocdc_grafana import drawing
from cryptocdc_grafana.drawing import yes_or_no
from cryptocdc_grafana.sections import (
    RATE,
    OperationsPanel,
    Section,
    greatest,
    now,
    or_none,
    over_time,
    short_topics,
    state,
)
from cryptocdc_grafana.sources import Promql

FEED = 'feed="$feed"'

P, C, V, A = "cryptocdc_producer_", "cryptocdc_consumer_", "cryptocdc_verifier_", "cryptocdc_api_"
K8S, L = "cryptocdc_operator_", "cryptocdc_alerter_"
VOLUMES = 'persistentvolumeclaim=~".*cryptocdc.*"'


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{FEED}}}{RATE}))"


def _quantiles(metric: str) -> tuple[Promql, ...]:
    """p50 and p99 of a histogram."""
    return tuple(
        Promql(f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket{{{FEED}}}{RATE})))", f"p{q * 100:g}")
        for q in (0.5, 0.99)
    )


def _sum(metric: str, by: str) -> str:
    return f"sum by ({by}) ({metric}{{{FEED}}})"


def feeds_now() -> tuple[OperationsPanel, ...]:
    """The figures by which a feed is well or not."""
    return (
        now("Lag", "Records in Kafka and not yet in Cassandra.", "short", f"sum({C}lag_records{{{FEED}}})",
            alarm=10_000),
        now("Rows a second", "Acknowledged by Cassandra.", "short", f"sum(rate({C}rows_total{{{FEED}}}{RATE}))",
            decimals=0),
        now("Proof behind", "How far the proof of equality is behind what can be proven by now: of the table that is"
            " furthest behind.", "s", f"max({V}unproven_seconds{{{FEED}}})", decimals=0, alarm=1800),
        now("Differences", "Keys that differ between the databases.", "short",
            or_none(f"sum({V}differences{{{FEED}}})"), alarm=1),
        now("Open gaps", "Gaps found and not yet filled.", "short", or_none(f"sum({P}gaps_open{{{FEED}}})"), alarm=1),
        now("Dead letters", "Records that could not be written, since the consumers began.", "short",
            or_none(f"sum({C}dead_letters_total{{{FEED}}})"), alarm=1),
    )  # fmt: skip


def pipeline() -> tuple[Section, ...]:
    """From the exchange's frame to the proof."""
    return (
        Section("Now", feeds_now()),
        Section("End to end", (
            over_time("Rates by hop", "Frames from the exchange, rows that PostgreSQL took, records read from Kafka,"
                      " rows that Cassandra acknowledged, a second.", "short",
                      {"exchange": f"sum(rate({P}frames_total{{{FEED}}}{RATE}))",
                       "PostgreSQL": f"sum(rate({P}rows_total{{{FEED}}}{RATE}))",
                       "Kafka": f"sum(rate({C}records_total{{{FEED}}}{RATE}))",
                       "Cassandra": f"sum(rate({C}rows_total{{{FEED}}}{RATE}))"}),
            over_time("Rows by table", "Acknowledged by Cassandra, a second.", "short",
                      {"{{table}}": _rate(f"{C}rows_total", "table")}, stacked=True, to_market=True),
            over_time("Last frame", "How long ago the exchange sent something, by table.", "s",
                      {"{{table}}": f"time() - max by (table) ({P}last_frame_timestamp_seconds{{{FEED}}} > 0)"}),
            over_time("Lag by table", "Records not yet written to Cassandra.", "short",
                      {"{{topic}}": short_topics(_sum(f"{C}lag_records", "topic"))}, stacked=True),
            greatest("Partitions furthest behind", "The five with the most records not yet written, now.", "short",
                     "{{topic}} {{partition}}", short_topics(_sum(f"{C}lag_records", "topic, partition")), 5),
            OperationsPanel("Latency: exchange to Cassandra", "From the exchange's time of an event to Cassandra's"
                            " acknowledgement.", drawing.lines("s"), _quantiles(f"{C}event_to_ack_seconds")),
            OperationsPanel("Latency: PostgreSQL to Cassandra", "From PostgreSQL's commit to Cassandra's"
                            " acknowledgement.", drawing.lines("s"), _quantiles(f"{C}commit_to_ack_seconds")),
            over_time("Log kept for the slot", "What PostgreSQL can't drop until Debezium has confirmed it.", "bytes",
                      {"{{feed}}": _sum(f"{V}slot_retained_bytes", "feed")}),
            over_time("Connector tasks", "Of every connector, by state; a connector whose task has failed still calls"
                      " itself running.", "short",
                      {"{{connector}} {{status}}":
                       "sum by (connector, status) (kafka_connect_connector_task_status)"}, stacked=True),
        )),
        Section("Nothing lost", (
            over_time("Gaps", "Rows missing in gaps, by how they ended.", "short",
                      {"{{outcome}}":
                       or_none(f"sum by (outcome) (increase({P}gap_rows_total{{{FEED}}}{RATE}))", "outcome")}),
            over_time("Refused and dead letters", "Frames refused at capture; records that could not be written.",
                      "short",
                      {"refused": or_none(f"sum(increase({P}rejected_total{{{FEED}}}{RATE}))"),
                       "dead": or_none(f"sum(increase({C}dead_letters_total{{{FEED}}}{RATE}))")}),
            over_time("Rows compared", "By the verifier, PostgreSQL with Cassandra, a second.", "short",
                      {"{{table}}": _rate(f"{V}rows_total", "table")}),
        )),
    )  # fmt: skip


def programs() -> tuple[Section, ...]:
    """Every program by itself."""
    return (
        Section("Producers", (
            OperationsPanel("Symbols", "Captured by each producer.", drawing.lines("short"),
                            (Promql(_sum(f"{P}symbols", "instance"), "{{instance}}"),)),
            OperationsPanel("Commits", "Transactions a second.", drawing.lines("short"),
                            (Promql(_rate(f"{P}commits_total", "instance"), "{{instance}}"),)),
            OperationsPanel("Commit time", "Of one batch, from its first statement.", drawing.lines("s"),
                            _quantiles(f"{P}commit_seconds")),
            OperationsPanel("Queue", "Rows waiting for PostgreSQL.", drawing.lines("short"),
                            (Promql(_sum(f"{P}queue_rows", "instance"), "{{instance}}"),)),
            OperationsPanel("Request weight", "Used of what the exchange allows in a minute, shared by all behind the"
                            " IP.", drawing.lines("percentunit"),
                            (Promql(or_none(f"max({P}weight_used{{{FEED}}}) / max({P}weight_limit{{{FEED}}} > 0)"),
                                    "used"),)),
            over_time("Reconnects", "WebSockets, by reason; order books fetched again.", "short",
                      {"{{reason}}":
                       or_none(f"sum by (reason) (increase({P}reconnects_total{{{FEED}}}{RATE}))", "reason"),
                       "books": or_none(f"sum(increase({P}book_resyncs_total{{{FEED}}}{RATE}))")}),
        )),
        Section("Consumers", (
            OperationsPanel("Partitions", "Assigned to each consumer.", drawing.lines("short"),
                            (Promql(_sum(f"{C}partitions", "instance"), "{{instance}}"),)),
            OperationsPanel("Batches", "Acknowledged a second.", drawing.lines("short"),
                            (Promql(_rate(f"{C}batches_total", "instance"), "{{instance}}"),)),
            OperationsPanel("Batch time", "Of one batch, to Cassandra's acknowledgement.", drawing.lines("s"),
                            _quantiles(f"{C}write_seconds")),
            state("Group membership", "Whether a program is a member of its Kafka group: else it gets nothing to do.",
                  yes_or_no(good=True),
                  {"{{instance}}": " or ".join(f"{program}group_member{{{FEED}}}" for program in (P, C, L))}),
        )),
        Section("Verifier and API", (
            over_time("Proof behind, by table", "How far the proof is behind what can be proven by now: closed minutes"
                      " and candles.", "s", {"{{table}}": f"max by (table) ({V}unproven_seconds{{{FEED}}})"}),
            OperationsPanel("API requests", "Answered a second.", drawing.lines("short"),
                            (Promql(_rate(f"{A}requests_total", "endpoint"), "{{endpoint}}"),)),
            over_time("Market alerts", "That fire now, and their reports that no webhook took.", "short",
                      {"firing": or_none(f"sum({L}firing{{{FEED}}})"),
                       "not delivered":
                       or_none(f'sum(increase({L}webhooks_total{{{FEED}, outcome!="delivered"}}{RATE}))')}),
            OperationsPanel("API time", "From a request to the end of its answer.", drawing.lines("s"),
                            _quantiles(f"{A}request_seconds")),
        )),
        # The operator calls feeds by their names, not by their identities: all of them are shown.
        Section("Operator (on Kubernetes)", (
            over_time("Reconciliations", "Feeds compared with what is there, by outcome.", "short",
                      {"{{outcome}}": f"sum by (outcome) (increase({K8S}reconciles_total{RATE}))"}),
            over_time("Reconciliation time", "Of one feed.", "s", {
                f"p{q * 100:g}": f"histogram_quantile({q}, sum by (le) (rate({K8S}reconcile_seconds_bucket{RATE})))"
                for q in (0.5, 0.99)}),
            over_time("Last reconciled", "How long ago, by feed.", "s",
                      {"{{feed}}": f"time() - max by (feed) ({K8S}reconciled_timestamp_seconds)"}),
            state("Conditions", "Which conditions of the feed's status are true.", yes_or_no(good=None),
                  {"{{feed}} {{type}}": f"max by (feed, type) ({K8S}condition)"}),
            over_time("Connectors restarted", "Failed connectors that the operator started again.", "short",
                      {"{{feed}}": f"sum by (feed) (increase({K8S}connector_restarts_total{RATE}))"}),
            over_time("Snapshots", "Taken again because a replication slot was lost.", "short",
                      {"{{feed}}": f"sum by (feed) (increase({K8S}snapshots_total{RATE}))"}),
        ), closed=True, empty="no operator: it runs on Kubernetes only"),
        Section("Processes", (
            OperationsPanel("Memory", "Resident, by program.", drawing.lines("bytes"),
                            (Promql(f'process_resident_memory_bytes{{{FEED}}}', "{{instance}}"),)),
            OperationsPanel("Processor", "Seconds a second, by program.", drawing.lines("short"),
                            (Promql(f"rate(process_cpu_seconds_total{{{FEED}}}{RATE})", "{{instance}}"),)),
            over_time("Free on volumes", "Share of each volume; on one machine of the disk that holds the home folder.",
                      "percentunit",
                      {"{{persistentvolumeclaim}}": f"kubelet_volume_stats_available_bytes{{{VOLUMES}}}"
                                                    f" / kubelet_volume_stats_capacity_bytes{{{VOLUMES}}}"}),
        )),
    )  # fmt: skip
