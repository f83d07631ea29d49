"""The analyzer under load: CPU time per trade, and the time from a trade's commit to its bar's update."""

from __future__ import annotations

import time

import msgspec

from bench import cpu
from bench.parts.throughput import COMMITS_PER_S, WARM_UP_S
from bench.pipeline import trades
from bench.pipeline.consumers import Analyzer, Ours
from bench.pipeline.pipelines import Pipeline, wait_until
from cryptocdc_adapters.kafka import offsets
from cryptocdc_adapters.kafka.topics import read_whole

RATE = 10_000
SETTLED_S = 65.0
"""A minute after its start the analyzer no longer reads new windows from Cassandra."""


class _Bar(msgspec.Struct):
    symbol: str
    interval: str
    open_time: int
    committed_us: int = msgspec.field(name="__source_ts_us")


def analysis(pipeline: Pipeline, seconds: float) -> tuple[float, list[float]]:
    """Return microseconds of CPU time per trade at RATE trades per second, and milliseconds from the commit of the
    first trade that an update of a bar is about to the timestamp of the update's record, which the analyzer gives it
    before it is sent."""
    pipeline.resume()
    pipeline.wait_running()
    names = pipeline.plan.names
    with Ours(pipeline), Analyzer(pipeline) as analyzer:
        started = time.monotonic()
        for text in trades.paced(SETTLED_S, 200, COMMITS_PER_S):
            trades.copy(pipeline.database, names.schema, text)
        wait_until("the analyzer's minute", lambda: time.monotonic() > started + SETTLED_S)
        _load(pipeline, WARM_UP_S)
        measured_us = time.time_ns() // 1000
        before = cpu.seconds({"analyzer": analyzer.process.pid})
        _load(pipeline, seconds)
        lag = [names.change_topic("recent_trades")]
        wait_until(
            "the last bars", lambda: offsets.group_lag(pipeline.servers.kafka, names.analyzer_group, lag) == 0, 0.2
        )
        spent = cpu.seconds({"analyzer": analyzer.process.pid})["analyzer"] - before["analyzer"]
    pipeline.pause()
    return spent * 1_000_000 / (RATE * seconds), _latencies_ms(pipeline, measured_us)


def _load(pipeline: Pipeline, seconds: float) -> None:
    for text in trades.paced(seconds, RATE, COMMITS_PER_S):
        trades.copy(pipeline.database, pipeline.plan.names.schema, text)


def _latencies_ms(pipeline: Pipeline, since_us: int) -> list[float]:
    """An update is about all commits after the one before of the same bar: counted from that one, which is too long by
    the time between two commits."""
    decoder = msgspec.json.Decoder(_Bar)
    last: dict[tuple[str, str, int], int] = {}
    found = []
    for message in read_whole(pipeline.servers.kafka, pipeline.plan.names.change_topic("bars")):
        bar = decoder.decode(message.value() or b"")
        key = bar.symbol, bar.interval, bar.open_time
        from_us = last.get(key, bar.committed_us)
        last[key] = bar.committed_us
        if from_us >= since_us:
            found.append(message.timestamp()[1] - from_us / 1000)
    return found
