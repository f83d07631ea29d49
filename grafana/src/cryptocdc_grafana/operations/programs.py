"""Dashboards of pipeline and programs, from Prometheus: `cryptocdc_core.program.metrics` declares the metrics."""

from __future__ import annotations

from cryptocdc_grafana import drawing
from cryptocdc_grafana.drawing import yes_or_no
from cryptocdc_grafana.operations.sections import (
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
K8S, L, N, X = "cryptocdc_operator_", "cryptocdc_alerter_", "cryptocdc_analyzer_", "cryptocdc_exporter_"
VOLUMES = 'persistentvolumeclaim=~".*cryptocdc.*"'


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{FEED}}}{RATE}))"


def _quantiles(metric: str) -> tuple[Promql, ...]:
    """Return the queries for a histogram's p50 and p99."""
    return tuple(
        Promql(f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket{{{FEED}}}{RATE})))", f"p{q * 100:g}")
        for q in (0.5, 0.99)
    )


def _sum(metric: str, by: str) -> str:
    return f"sum by ({by}) ({metric}{{{FEED}}})"


def lag(by: str = "") -> str:
    """Return the feed's lag: the consumers', and the verifier's where another engine writes."""
    return " or ".join(f"sum {by}({program}lag_records{{{FEED}}})" for program in (C, V))


def feeds_now() -> tuple[OperationsPanel, ...]:
    """Return the figures that show whether a feed is healthy."""
    return (
        now("Lag", "Records in Kafka that are not in Cassandra yet.", "short", lag(), alarm=10_000),
        now("Rows/s", "Acknowledged by Cassandra.", "short", f"sum(rate({C}rows_total{{{FEED}}}{RATE}))",
            decimals=0),
        now("Proof behind", "How far the proof of equality trails what can be proven by now, for the table that is"
            " furthest behind.", "s", f"max({V}unproven_seconds{{{FEED}}})", decimals=0, alarm=1800),
        now("Differences", "Keys that differ between the databases.", "short",
            or_none(f"sum({V}differences{{{FEED}}})"), alarm=1),
        now("Open gaps", "Gaps found but not filled yet.", "short", or_none(f"sum({P}gaps_open{{{FEED}}})"), alarm=1),
        now("Dead letters", "Records that could not be written, since the consumers started.", "short",
            or_none(f"sum({C}dead_letters_total{{{FEED}}}) or sum({V}dead_letters{{{FEED}}})"), alarm=1),
    )  # fmt: skip


def pipeline() -> tuple[Section, ...]:
    """Return the sections of the pipeline, from the exchange's frame to the proof."""
    return (
        Section("Now", feeds_now()),
        Section("End to end", (
            over_time("Rates by hop", "Per second: frames from the exchange, rows committed in PostgreSQL, records read"
                      " from Kafka, rows acknowledged by Cassandra.", "short",
                      {"exchange": f"sum(rate({P}frames_total{{{FEED}}}{RATE}))",
                       "PostgreSQL": f"sum(rate({P}rows_total{{{FEED}}}{RATE}))",
                       "Kafka": f"sum(rate({C}records_total{{{FEED}}}{RATE}))",
                       "Cassandra": f"sum(rate({C}rows_total{{{FEED}}}{RATE}))"}),
            over_time("Rows by table", "Acknowledged by Cassandra, per second.", "short",
                      {"{{table}}": _rate(f"{C}rows_total", "table")}, stacked=True, to_market=True),
            over_time("Last frame", "Time since the exchange last sent data, by table.", "s",
                      {"{{table}}": f"time() - max by (table) ({P}last_frame_timestamp_seconds{{{FEED}}} > 0)"}),
            over_time("Lag by table", "Records not written to Cassandra yet.", "short",
                      {"{{topic}}": short_topics(lag("by (topic) "))}, stacked=True),
            greatest("Partitions furthest behind", "The five partitions with the highest lag now.", "short",
                     "{{topic}} {{partition}}", short_topics(_sum(f"{C}lag_records", "topic, partition")), 5),
            OperationsPanel("Latency: exchange to Cassandra", "From the exchange's time of an event to Cassandra's"
                            " acknowledgement.", drawing.lines("s"), _quantiles(f"{C}event_to_ack_seconds")),
            OperationsPanel("Latency: PostgreSQL to Cassandra", "From PostgreSQL's commit to Cassandra's"
                            " acknowledgement.", drawing.lines("s"), _quantiles(f"{C}commit_to_ack_seconds")),
            over_time("WAL retained for the slot", "By slot: PostgreSQL can't remove it until Debezium confirms it.",
                      "bytes", {"{{slot}}": _sum(f"{V}slot_retained_bytes", "slot")}),
            over_time("Connector tasks", "Of every connector, by state; a connector whose task has failed still reports"
                      " RUNNING.", "short",
                      {"{{connector}} {{status}}":
                       "sum by (connector, status) (kafka_connect_connector_task_status)"}, stacked=True),
        )),
        Section("Completeness", (
            over_time("Gaps", "Missing rows of gaps, by outcome.", "short",
                      {"{{outcome}}":
                       or_none(f"sum by (outcome) (increase({P}gap_rows_total{{{FEED}}}{RATE}))", "outcome")}),
            over_time("Refused and dead letters", "Frames refused at capture; records that could not be written.",
                      "short",
                      {"refused": or_none(f"sum(increase({P}rejected_total{{{FEED}}}{RATE}))"),
                       "dead": or_none(f"sum(increase({C}dead_letters_total{{{FEED}}}{RATE}))")}),
            over_time("Rows compared", "By the verifier, PostgreSQL with Cassandra, per second.", "short",
                      {"{{table}}": _rate(f"{V}rows_total", "table")}),
            over_time("Repaired rows", "Rows sent again because they were missing or different, by cause.", "short",
                      {"{{cause}}":
                       or_none(f"sum by (cause) (increase({V}repaired_rows_total{{{FEED}}}{RATE}))", "cause")}),
        )),
    )  # fmt: skip


def programs() -> tuple[Section, ...]:
    """Return the sections of the programs, one per kind."""
    return (
        Section("Producers", (
            OperationsPanel("Symbols", "Captured by each producer.", drawing.lines("short"),
                            (Promql(_sum(f"{P}symbols", "instance"), "{{instance}}"),)),
            OperationsPanel("Commits", "Transactions per second.", drawing.lines("short"),
                            (Promql(_rate(f"{P}commits_total", "instance"), "{{instance}}"),)),
            OperationsPanel("Commit time", "Of one batch, from its first statement to its commit.", drawing.lines("s"),
                            _quantiles(f"{P}commit_seconds")),
            OperationsPanel("Queue", "Rows waiting for PostgreSQL.", drawing.lines("short"),
                            (Promql(_sum(f"{P}queue_rows", "instance"), "{{instance}}"),)),
            OperationsPanel("Request weight", "Share used of what the exchange allows per minute and IP address.",
                            drawing.lines("percentunit"),
                            (Promql(or_none(f"max({P}weight_used{{{FEED}}}) / max({P}weight_limit{{{FEED}}} > 0)"),
                                    "used"),)),
            over_time("Reconnects", "WebSocket connections, by reason; order books fetched again.", "short",
                      {"{{reason}}":
                       or_none(f"sum by (reason) (increase({P}reconnects_total{{{FEED}}}{RATE}))", "reason"),
                       "books": or_none(f"sum(increase({P}book_resyncs_total{{{FEED}}}{RATE}))")}),
        )),
        Section("Consumers", (
            OperationsPanel("Partitions", "Assigned to each consumer.", drawing.lines("short"),
                            (Promql(_sum(f"{C}partitions", "instance"), "{{instance}}"),)),
            OperationsPanel("Batches", "Acknowledged per second.", drawing.lines("short"),
                            (Promql(_rate(f"{C}batches_total", "instance"), "{{instance}}"),)),
            OperationsPanel("Batch write time", "Until Cassandra acknowledges the batch.", drawing.lines("s"),
                            _quantiles(f"{C}write_seconds")),
            state("Group membership", "Whether a program is in its Kafka group; if not, it is assigned no partitions.",
                  yes_or_no(good=True),
                  {"{{instance}}": " or ".join(f"{program}group_member{{{FEED}}}" for program in (P, C, L, N))}),
        )),
        Section("Verifier and API", (
            over_time("Proof behind, by table", "How far the proof trails what can be proven by now: closed minutes"
                      " and candles.", "s", {"{{table}}": f"max by (table) ({V}unproven_seconds{{{FEED}}})"}),
            OperationsPanel("API requests", "Answered per second.", drawing.lines("short"),
                            (Promql(_rate(f"{A}requests_total", "endpoint"), "{{endpoint}}"),)),
            over_time("Market alerts", "Alerts that fire now, and records that the webhook did not accept.", "short",
                      {"firing": or_none(f"sum({L}firing{{{FEED}}})"),
                       "not delivered":
                       or_none(f'sum(increase({L}webhooks_total{{{FEED}, outcome!="delivered"}}{RATE}))')}),
            OperationsPanel("API response time", "From a request to the end of its response.", drawing.lines("s"),
                            _quantiles(f"{A}request_seconds")),
        )),
        Section("Analyzers (of feeds with analytics)", (
            OperationsPanel("Rows computed", "Acknowledged by Kafka, per second.", drawing.lines("short"),
                            (Promql(_rate(f"{N}rows_total", "instance"), "{{instance}}"),)),
            OperationsPanel("Time to compute", "From PostgreSQL's commit of the last trade to the acknowledged row.",
                            drawing.lines("s"), _quantiles(f"{N}commit_to_row_seconds")),
            over_time("Windows read again", "Windows whose trades were read from Cassandra, and those of them that a"
                      " late trade corrected.", "short",
                      {"read": or_none(f"sum(increase({N}reloaded_windows_total{{{FEED}}}{RATE}))"),
                       "late": or_none(f"sum(increase({N}late_windows_total{{{FEED}}}{RATE}))")}),
            over_time("Waiting", "For consumers or Cassandra, before windows can be read.", "s",
                      {"{{instance}}": f"{N}waiting_seconds{{{FEED}}}"}),
            over_time("Skill of forecasts", "Mean over the symbols, by length; at 0 and below there is none.",
                      "percentunit", {"{{interval}}": f"avg by (interval) ({N}forecast_skill{{{FEED}}})"}),
        ), closed=True, empty="no analyzer: the feed has no analytics"),
        Section("Exporter (of feeds with spec.export)", (
            over_time("Export behind", "Time since the end of the last exported hour, by table: up to an hour and some"
                      " minutes.", "s",
                      {"{{table}}": f"time() - max by (table) ({X}exported_through_timestamp_seconds{{{FEED}}})"}),
            over_time("Rows exported", "Written into Parquet files, per second.", "short",
                      {"{{table}}": _rate(f"{X}rows_total", "table")}, stacked=True),
            over_time("Failures", "Passes that failed, by what did not answer; hours left out, since their rows have"
                      " changed.", "short",
                      {"{{what}}": or_none(f"sum by (what) (increase({X}failures_total{{{FEED}}}{RATE}))", "what"),
                       "left out": or_none(f"sum({X}left_out_hours{{{FEED}}})")}),
        ), closed=True, empty="no exporter: the feed has no spec.export"),
        # The operator labels feeds with their names, not with their identities: all of them are shown.
        Section("Operator (on Kubernetes)", (
            over_time("Reconciliations", "By outcome.", "short",
                      {"{{outcome}}": f"sum by (outcome) (increase({K8S}reconciles_total{RATE}))"}),
            over_time("Reconciliation time", "Of one feed.", "s", {
                f"p{q * 100:g}": f"histogram_quantile({q}, sum by (le) (rate({K8S}reconcile_seconds_bucket{RATE})))"
                for q in (0.5, 0.99)}),
            over_time("Last reconciled", "Time since, by feed.", "s",
                      {"{{feed}}": f"time() - max by (feed) ({K8S}reconciled_timestamp_seconds)"}),
            state("Conditions", "Which conditions of the feed's status are true.", yes_or_no(good=None),
                  {"{{feed}} {{type}}": f"max by (feed, type) ({K8S}condition)"}),
            over_time("Connectors restarted", "Failed connectors that the operator restarted.", "short",
                      {"{{feed}}": f"sum by (feed) (increase({K8S}connector_restarts_total{RATE}))"}),
            over_time("Snapshots", "New snapshots taken because a replication slot was lost.", "short",
                      {"{{feed}}": f"sum by (feed) (increase({K8S}snapshots_total{RATE}))"}),
        ), closed=True, empty="no operator: it runs only on Kubernetes"),
        Section("Processes", (
            OperationsPanel("Memory", "Resident, by program.", drawing.lines("bytes"),
                            (Promql(f'process_resident_memory_bytes{{{FEED}}}', "{{instance}}"),)),
            OperationsPanel("CPU", "CPU seconds per second, by program.", drawing.lines("short"),
                            (Promql(f"rate(process_cpu_seconds_total{{{FEED}}}{RATE})", "{{instance}}"),)),
            over_time("Free space on volumes", "Of each volume; on one machine, of the disk with the home folder.",
                      "percentunit",
                      {"{{persistentvolumeclaim}}": f"kubelet_volume_stats_available_bytes{{{VOLUMES}}}"
                                                    f" / kubelet_volume_stats_capacity_bytes{{{VOLUMES}}}"}),
        )),
    )  # fmt: skip
