"""How the pipeline and its programs do, asked of Prometheus: names and labels are those of `cryptocdc_core.metrics`."""

from __future__ import annotations

from cryptocdc_grafana import drawing
from cryptocdc_grafana.sections import RATE, OperationsPanel, Section, over_time
from cryptocdc_grafana.sources import Promql

FEED = 'feed="$feed"'

P, C, V, A = "cryptocdc_producer_", "cryptocdc_consumer_", "cryptocdc_verifier_", "cryptocdc_api_"
K8S = "cryptocdc_operator_"


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


def pipeline() -> tuple[Section, ...]:
    """From the exchange's frame to the proof."""
    return (
        Section("Now", (
            OperationsPanel("Lag", "Records in Kafka and not yet in Cassandra.", drawing.figure("short"),
                            (Promql(f"sum({C}lag_records{{{FEED}}})", "records", instant=True),), width=4, height=4),
            OperationsPanel("Rows a second", "Acknowledged by Cassandra.", drawing.figure("short", decimals=0),
                            (Promql(f"sum(rate({C}rows_total{{{FEED}}}{RATE}))", "rows/s", instant=True),),
                            width=4, height=4),
            OperationsPanel("Age of the proof", "How long ago the moment lies up to which both databases are proven"
                            " equal: of the table that is furthest behind.", drawing.figure("s", decimals=0),
                            (Promql(f"time() - min({V}proven_through_timestamp_seconds{{{FEED}}} > 0)", "age",
                                    instant=True),), width=4, height=4),
            OperationsPanel("Differences", "Keys that differ between the databases.", drawing.figure("short"),
                            (Promql(f"sum({V}differences{{{FEED}}}) or vector(0)", "keys", instant=True),),
                            width=4, height=4),
            OperationsPanel("Open gaps", "Gaps found and not yet filled.", drawing.figure("short"),
                            (Promql(f"sum({P}gaps_open{{{FEED}}}) or vector(0)", "gaps", instant=True),),
                            width=4, height=4),
            OperationsPanel("Dead letters", "Records that could not be written, since the consumers began.",
                            drawing.figure("short"),
                            (Promql(f"sum({C}dead_letters_total{{{FEED}}}) or vector(0)", "records", instant=True),),
                            width=4, height=4),
        )),
        Section("End to end", (
            OperationsPanel("Rates by hop", "Frames from the exchange, rows that PostgreSQL took, records read from"
                            " Kafka, rows that Cassandra acknowledged.", drawing.lines("short"),
                            (Promql(f"sum(rate({P}frames_total{{{FEED}}}{RATE}))", "exchange"),
                             Promql(f"sum(rate({P}rows_total{{{FEED}}}{RATE}))", "PostgreSQL"),
                             Promql(f"sum(rate({C}records_total{{{FEED}}}{RATE}))", "Kafka"),
                             Promql(f"sum(rate({C}rows_total{{{FEED}}}{RATE}))", "Cassandra"))),
            OperationsPanel("Rows by table", "Acknowledged by Cassandra.", drawing.lines("short", stacked=True),
                            (Promql(_rate(f"{C}rows_total", "table"), "{{table}}"),)),
            OperationsPanel("Lag by partition", "Records not yet written.", drawing.lines("short", stacked=True),
                            (Promql(_sum(f"{C}lag_records", "topic, partition"), "{{topic}} {{partition}}"),)),
            OperationsPanel("Latency: exchange to Cassandra", "From the exchange's time of an event to Cassandra's"
                            " acknowledgement.", drawing.lines("s"), _quantiles(f"{C}event_to_ack_seconds")),
            OperationsPanel("Latency: PostgreSQL to Cassandra", "From PostgreSQL's commit to Cassandra's"
                            " acknowledgement.", drawing.lines("s"), _quantiles(f"{C}commit_to_ack_seconds")),
            OperationsPanel("Log kept for the slot", "What PostgreSQL can't drop until Debezium has confirmed it.",
                            drawing.lines("bytes"), (Promql(_sum(f"{V}slot_retained_bytes", "feed"), "{{feed}}"),)),
            over_time("Connector tasks", "Of every connector, by state; a connector whose task has failed still calls"
                      " itself running.", "short",
                      {"{{connector}} {{status}}":
                       "sum by (connector, status) (kafka_connect_connector_task_status)"}, stacked=True),
        )),
        Section("Nothing lost", (
            OperationsPanel("Gaps", "Rows missing in gaps, by how they ended.", drawing.lines("short"),
                            (Promql(f"sum by (outcome) (increase({P}gap_rows_total{{{FEED}}}{RATE})) or vector(0)",
                                    "{{outcome}}"),)),
            OperationsPanel("Refused and dead letters", "Frames refused at capture; records that could not be written.",
                            drawing.lines("short"),
                            (Promql(f"sum(increase({P}rejected_total{{{FEED}}}{RATE})) or vector(0)", "refused"),
                             Promql(f"sum(increase({C}dead_letters_total{{{FEED}}}{RATE})) or vector(0)", "dead"))),
            OperationsPanel("Rows compared", "By the verifier, PostgreSQL with Cassandra.", drawing.lines("short"),
                            (Promql(_rate(f"{V}rows_total", "table"), "{{table}}"),)),
        )),
    )  # fmt: skip


def programs() -> tuple[Section, ...]:
    """Every program by itself."""
    return (
        Section("Producers", (
            OperationsPanel("Symbols", "Captured by each producer.", drawing.lines("short"),
                            (Promql(_sum(f"{P}symbols", "instance"), "{{instance}}"),)),
            OperationsPanel("Commits", "Transactions a second, and how long one takes.", drawing.lines("short"),
                            (Promql(_rate(f"{P}commits_total", "instance"), "{{instance}}"),)),
            OperationsPanel("Commit time", "Of one batch, from its first statement.", drawing.lines("s"),
                            _quantiles(f"{P}commit_seconds")),
            OperationsPanel("Queue", "Rows waiting for PostgreSQL.", drawing.lines("short"),
                            (Promql(_sum(f"{P}queue_rows", "instance"), "{{instance}}"),)),
            OperationsPanel("Request weight", "Used of what the exchange allows in a minute, shared by all behind the"
                            " IP.", drawing.lines("percentunit"),
                            (Promql(f"max({P}weight_used{{{FEED}}}) / max({P}weight_limit{{{FEED}}} > 0) or vector(0)",
                                    "used"),)),
            OperationsPanel("Connections made anew", "WebSockets, by reason; order books fetched anew.",
                            drawing.lines("short"),
                            (Promql(f"sum by (reason) (increase({P}reconnects_total{{{FEED}}}{RATE})) or vector(0)",
                                    "{{reason}}"),
                             Promql(f"sum(increase({P}book_resyncs_total{{{FEED}}}{RATE})) or vector(0)", "books"))),
        )),
        Section("Consumers", (
            OperationsPanel("Partitions", "Assigned to each consumer.", drawing.lines("short"),
                            (Promql(_sum(f"{C}partitions", "instance"), "{{instance}}"),)),
            OperationsPanel("Batches", "Acknowledged a second.", drawing.lines("short"),
                            (Promql(_rate(f"{C}batches_total", "instance"), "{{instance}}"),)),
            OperationsPanel("Batch time", "Of one batch, to Cassandra's acknowledgement.", drawing.lines("s"),
                            _quantiles(f"{C}write_seconds")),
        )),
        Section("Verifier and API", (
            OperationsPanel("Proven through", "Age of the proof by table.", drawing.lines("s"),
                            (Promql(f"time() - max by (table) ({V}proven_through_timestamp_seconds{{{FEED}}} > 0)",
                                    "{{table}}"),)),
            OperationsPanel("API requests", "Answered a second.", drawing.lines("short"),
                            (Promql(_rate(f"{A}requests_total", "endpoint"), "{{endpoint}}"),)),
            OperationsPanel("API time", "From a request to the end of its answer.", drawing.lines("s"),
                            _quantiles(f"{A}request_seconds")),
        )),
        # The operator calls feeds by their names, not by their identities: all of them are shown.
        Section("Operator", (
            over_time("Reconciliations", "Feeds compared with what is there, by outcome.", "short",
                      {"{{outcome}}": f"sum by (outcome) (increase({K8S}reconciles_total{RATE}))"}),
            over_time("Reconciliation time", "Of one feed.", "s", {
                f"p{q * 100:g}": f"histogram_quantile({q}, sum by (le) (rate({K8S}reconcile_seconds_bucket{RATE})))"
                for q in (0.5, 0.99)}),
            over_time("Last reconciled", "How long ago, by feed.", "s",
                      {"{{feed}}": f"time() - max by (feed) ({K8S}reconciled_timestamp_seconds)"}),
            over_time("Conditions", "1 while a condition of the feed's status is true.", "short",
                      {"{{feed}} {{type}}": f"max by (feed, type) ({K8S}condition)"}),
            over_time("Connectors restarted", "Failed connectors that the operator started again.", "short",
                      {"{{feed}}": f"sum by (feed) (increase({K8S}connector_restarts_total{RATE}))"}),
            over_time("Snapshots", "Taken anew because a replication slot was lost.", "short",
                      {"{{feed}}": f"sum by (feed) (increase({K8S}snapshots_total{RATE}))"}),
        )),
        Section("Processes", (
            OperationsPanel("Memory", "Resident, by program.", drawing.lines("bytes"),
                            (Promql(f'process_resident_memory_bytes{{{FEED}}}', "{{instance}}"),), width=12),
            OperationsPanel("Processor", "Seconds a second, by program.", drawing.lines("short"),
                            (Promql(f"rate(process_cpu_seconds_total{{{FEED}}}{RATE})", "{{instance}}"),), width=12),
        )),
    )  # fmt: skip
