"""Which engine writes a feed's changes into Cassandra, and when it may start after another. Pure.

All engines read as the feed's consumer group, so the next one continues at the offsets of the last. Two that run at the
same time would share the partitions and lose nothing; one at a time keeps a feed's state simple to see.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

from cryptocdc_core.planning.plan import Plan

Engine = Literal["consumer", "spark", "connect"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

PARTS: dict[Engine, str] = {"consumer": "the consumers", "spark": "the Spark job", "connect": "the sink connector"}


def engine_of(plan: Plan) -> Engine:
    return plan.feed.spec.sink.engine


def consumers_of(plan: Plan) -> int:
    """Return how many consumers run."""
    return plan.feed.spec.scaling.consumers if engine_of(plan) == "consumer" else 0


def spark_jobs_of(plan: Plan) -> int:
    """Return how many Spark jobs run: one, since it spreads its work over executors itself, or none."""
    return min(1, plan.feed.spec.scaling.consumers) if engine_of(plan) == "spark" else 0


def obstacle(plan: Plan, running: Collection[Engine]) -> str | None:
    """Return why the feed's engine can't start yet, None if it can. `running`: the engines that still run in part."""
    others = [PARTS[engine] for engine in ENGINES if engine in running and engine != engine_of(plan)]
    return f"{' and '.join(others)} must stop first" if others else None
