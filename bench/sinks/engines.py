"""What writes trades from Kafka into Cassandra, as `make bench-sinks` starts, kills and measures it."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.pipeline.consumers import Ours, Spark, Tutorial
from bench.pipeline.pipelines import Pipeline, tutorial_connector, wait_until
from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Platform
from cryptocdc_local.running.sink import spark_environment

FEEDS = {"consumer": "consumer", "spark": "spark", "connect": "connect", "tutorial": "consumer"}
"""By sink, the engine of its feed."""


class Engine(ABC):
    """One sink with a pipeline of its own."""

    name: str

    def __init__(self, platform: Platform, servers: Servers, folder: Path) -> None:
        self.platform = platform
        self.pipeline = Pipeline(self.name, servers, folder, sink={"engine": FEEDS[self.name]})

    def apply(self) -> None:
        """Create the pipeline's tables, topics and source connector, which is paused."""
        self.pipeline.apply(self.source())
        self.pipeline.pause()

    def source(self) -> dict[str, str]:
        """Return the source connector's configuration."""
        return self.pipeline.plan.connector

    @abstractmethod
    def running(self) -> contextlib.AbstractContextManager[None]:
        """Run the sink during the block."""

    @abstractmethod
    def kill(self) -> None:
        """End the sink by SIGKILL, and start it again."""

    @abstractmethod
    def pid(self) -> int: ...

    def pids(self) -> dict[str, int]:
        """Return the ids of the processes that take part in the work, by name."""
        servers = {status.name: status.pid for status in self.platform.status() if status.pid is not None}
        return servers | {"sink": self.pid()} if self.pid() not in servers.values() else servers

    def memory_mib(self) -> float:
        """Return the resident memory of the sink's process and its children."""
        process = psutil.Process(self.pid())
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True))) / 2**20


class _Program(Engine):
    """A sink that is a process of its own."""

    @abstractmethod
    def start(self) -> Ours | Tutorial | Spark: ...

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._program = self.start()
        try:
            yield
        finally:
            self._program.stop()

    def kill(self) -> None:
        self._program.kill()
        self._program = self.start()

    def pid(self) -> int:
        return self._program.process.pid


class ConsumerEngine(_Program):
    name = "consumer"

    def start(self) -> Ours:
        return Ours(self.pipeline)


class SparkEngine(_Program):
    """Spark's driver with one local core."""

    name = "spark"

    def start(self) -> Spark:
        return Spark(self.pipeline, spark_environment(self.platform, self.pipeline.plan.names.fid))


class TutorialEngine(_Program):
    name = "tutorial"

    def start(self) -> Tutorial:
        return Tutorial(self.pipeline)

    def source(self) -> dict[str, str]:
        return tutorial_connector(self.pipeline)


class ConnectEngine(Engine):
    """The sink connector, in the process that also runs the source connectors: killed, both are."""

    name = "connect"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        name, config = self.pipeline.plan.names.sink_connector, self.pipeline.plan.sink_connector
        assert config is not None
        self.pipeline.connect.apply(name, config)
        self.pipeline.connect.wait_running(name)
        try:
            yield
        finally:
            self.pipeline.connect.remove(name)

    def kill(self) -> None:
        self.platform.kill("connect")
        wait_until("Connect to be back", lambda: not self.platform.supervise() and self.platform.is_running())

    def pid(self) -> int:
        return next(status.pid for status in self.platform.status() if status.name == "connect" and status.pid)


ENGINES: dict[str, type[Engine]] = {
    each.name: each for each in (ConsumerEngine, SparkEngine, ConnectEngine, TutorialEngine)
}
