"""A feed's programs: how many of each run, and which parts of the feed each reads at its start. Pure.

A program reads its inputs once, so a change to them restarts it, and nothing else does. Symbols reach producers through
Kafka, and scaling only changes the number of programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptocdc_control.sink import consumers_of, engine_of, spark_jobs_of
from cryptocdc_core.alerts import price_tables
from cryptocdc_core.feed import CryptoFeed
from cryptocdc_core.plan import Plan

PROGRAMS = ("producer", "consumer", "spark", "verifier", "api", "alerter", "analyzer")


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
            [spec.exchange, spec.endpoints.model_dump(), spec.streams.model_dump()],
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
    }


def proof_inputs(feed: CryptoFeed) -> object:
    """Return the verifier's inputs. On Kubernetes one verifier proves all feeds and compares these itself, per feed."""
    spec = feed.spec
    kept = spec.retention
    return [spec.exchange, spec.streams.tables, kept.postgres, kept.cassandra, *_analytics(feed)]


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
