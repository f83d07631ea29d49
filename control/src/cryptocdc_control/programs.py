"""A feed's programs: how many of each run, and which parts of the feed each reads at its start. Pure.

A program reads its inputs once, so a change to them restarts it, and nothing else does. Symbols reach producers through
Kafka, and scaling only changes the number of programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptocdc_control.sink import consumers_of, engine_of, spark_jobs_of
from cryptocdc_core.feed.alerts import price_tables
from cryptocdc_core.feed.history import History
from cryptocdc_core.feed.model import CryptoFeed, Spec
from cryptocdc_core.planning.plan import Plan

PROGRAMS = ("producer", "consumer", "spark", "verifier", "api", "alerter", "analyzer", "history", "exporter")


@dataclass(frozen=True, slots=True)
class Workload:
    """`inputs`: the parts of the feed that the program reads at its start, as JSON values to compare or to hash."""

    replicas: int
    inputs: object


def workloads(plan: Plan) -> Mapping[str, Workload]:
    """Return all programs of a feed, by name; one that the feed does not need has zero replicas."""
    spec = plan.feed.spec
    klines, webhook = spec.streams.klines, spec.alert_webhook
    return {
        "producer": Workload(
            0 if spec.suspend else spec.scaling.producers,
            [
                spec.exchange,
                spec.endpoints.model_dump(exclude={"archive"}),
                spec.streams.model_dump(),
                *_past(spec),
                *_archive(spec),
            ],
        ),
        "consumer": Workload(
            consumers_of(plan),
            [*_written(plan), spec.transform],
        ),
        # Nothing of a feed with another engine, so that its changes don't concern a job that does not run.
        "spark": Workload(spark_jobs_of(plan), _written(plan) if engine_of(plan) == "spark" else []),
        "verifier": Workload(1, proof_inputs(plan.feed)),
        "api": Workload(
            1,
            [
                spec.exchange,
                spec.streams.tables,
                klines and list(klines.intervals),
                spec.retention.cassandra,
                *_analytics(plan.feed),
                *([] if engine_of(plan) == "consumer" else [engine_of(plan)]),
            ],
        ),
        "alerter": Workload(
            1 if plan.alerts else 0,
            [
                # Without these fields where they mean nothing, so that an upgrade restarts no program.
                [
                    alert.model_dump(mode="json", exclude=None if alert.anomaly else {"anomaly", "kind"})
                    for alert in plan.alerts
                ],
                webhook.model_dump() if webhook is not None else None,
                *price_tables(plan.alerts, spec.streams.tables),
            ]
            if plan.alerts
            else [],
        ),
        "analyzer": Workload(spec.scaling.analyzers if plan.computed else 0, _analytics(plan.feed)),
        "history": Workload(1 if spec.loads_archive else 0, _history(plan)),
        "exporter": Workload(1 if spec.export is not None else 0, _exported(plan.feed)),
    }


def _past(spec: Spec) -> list[object]:
    """Return nothing for the default, so that an upgrade restarts no producer."""
    own = spec.history.model_copy(update={"begin": None})  # which another program loads
    return [] if own == History() else [own.model_dump(exclude={"begin"})]


def _history(plan: Plan) -> list[object]:
    """Return what is loaded from the archive: another symbol, or another kind, is loaded as well."""
    spec = plan.feed.spec
    trades, klines = spec.streams.recent_trades, spec.streams.klines
    if not spec.loads_archive:
        return []
    return [
        spec.history.begin,
        spec.endpoints.archive,
        sorted(plan.symbols),
        trades and trades.kind,
        klines and list(klines.intervals),
        # Nothing for a feed without, so that an upgrade loads nothing again.
        *([spec.archived_past] if spec.archived_past else []),
    ]


def _exported(feed: CryptoFeed) -> list[object]:
    spec = feed.spec
    if spec.export is None:
        return []
    return [spec.export.model_dump(), spec.streams.tables, spec.retention.cassandra, *_analytics(feed)]


def _archive(spec: Spec) -> list[object]:
    """Return the archive's address where producers may fill gaps from it: gaps of raw trades."""
    trades = spec.streams.recent_trades
    raw = trades is not None and trades.kind == "trade"
    return [{"archive": spec.endpoints.archive}] if raw and spec.endpoints.archive is not None else []


def proof_inputs(feed: CryptoFeed) -> object:
    """Return the verifier's inputs. On Kubernetes one verifier proves all feeds and compares these itself, per feed."""
    spec = feed.spec
    kept = spec.retention
    # A feed without repair has the same inputs as before there was one.
    repair = [spec.repair.max_rows_per_hour, spec.transform] if spec.repair.enabled else []
    return [spec.exchange, spec.streams.tables, kept.postgres, kept.cassandra, *_analytics(feed), *repair]


def _written(plan: Plan) -> list[object]:
    """Return what is written and for how long it is kept."""
    return [[stream.table for stream in plan.written], plan.feed.spec.retention.cassandra]


def _analytics(feed: CryptoFeed) -> list[object]:
    """Return what the feed computes; nothing for a feed without, so that an upgrade restarts no program."""
    analytics = feed.spec.analytics
    return [] if analytics is None else [analytics.model_dump(mode="json")]


def restarted(before: Plan, after: Plan) -> tuple[str, ...]:
    """Return the programs whose inputs differ between two plans of one feed."""
    then, now = workloads(before), workloads(after)
    return tuple(program for program in PROGRAMS if then[program].inputs != now[program].inputs)
