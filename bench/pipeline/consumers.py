"""The two consumers as processes, with the number of rows that Cassandra has acknowledged to each; the analyzer."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from bench.pipeline.pipelines import Pipeline

_ROWS = re.compile(r'^cryptocdc_consumer_rows_total\{table="recent_trades"\} (\S+)$', re.MULTILINE)
_PARTITIONS = re.compile(r"^cryptocdc_consumer_partitions (\S+)$", re.MULTILINE)


class _Process:
    process: subprocess.Popen[str]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def kill(self) -> None:
        """Kill the process and its children, such as Spark's JVM."""
        root = psutil.Process(self.process.pid)
        for process in (*root.children(recursive=True), root):
            process.kill()
        self.process.wait(60)


class Tutorial(_Process):
    """Runs bench.pipeline.tutorial, which starts at the beginning of the topic or at its group's offset."""

    def __init__(self, pipeline: Pipeline) -> None:
        names = pipeline.plan.names
        arguments = [pipeline.topic, names.keyspace, names.consumer_group]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.pipeline.tutorial", *arguments], stdout=subprocess.PIPE, text=True
        )
        self._written = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._written = int(line)

    def acknowledged(self) -> int:
        return self._written


class Ours(_Process):
    """Runs `cryptocdc-consumer`, through bench.pipeline.probe if `latencies` is given, with `settings` in its
    environment."""

    def __init__(self, pipeline: Pipeline, latencies: Path | None = None, **settings: str) -> None:
        port, environment = _served(pipeline)
        program = str(Path(sys.executable).with_name("cryptocdc-consumer"))
        command = [program] if latencies is None else [sys.executable, "-m", "bench.pipeline.probe", str(latencies)]
        self._url = f"http://127.0.0.1:{port}/metrics"
        self._latencies = latencies
        self.process = subprocess.Popen(command, env=environment | settings, text=True)

    def acknowledged(self) -> int:
        return self._read(_ROWS)

    def assigned(self) -> bool:
        return self._read(_PARTITIONS) > 0

    def latencies_ms(self) -> list[float]:
        """Return the latencies; only after the consumer has stopped."""
        assert self._latencies is not None
        found: list[float] = json.loads(self._latencies.read_text(encoding="utf-8"))
        return found

    def _read(self, pattern: re.Pattern[str]) -> int:
        try:
            with urllib.request.urlopen(self._url, timeout=5) as response:
                found = pattern.search(response.read().decode())
        except OSError:
            return 0
        return int(float(found.group(1))) if found else 0


class Spark(_Process):
    """Runs `cryptocdc-spark`."""

    def __init__(self, pipeline: Pipeline, settings: dict[str, str]) -> None:
        program = str(Path(sys.executable).with_name("cryptocdc-spark"))
        self.process = subprocess.Popen([program], env={**_served(pipeline)[1], **settings}, text=True)


class Analyzer(_Process):
    """Runs `cryptocdc-analyzer`."""

    def __init__(self, pipeline: Pipeline) -> None:
        program = str(Path(sys.executable).with_name("cryptocdc-analyzer"))
        self.process = subprocess.Popen([program], env=_served(pipeline)[1], text=True)


def _served(pipeline: Pipeline) -> tuple[int, dict[str, str]]:
    """Return a free port for a program's metrics, and the program's environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port, {
        **os.environ, "CRYPTOCDC_FEED": str(pipeline.feed_file), "CRYPTOCDC_SOURCE": "simulated",
        "CRYPTOCDC_METRICS_HOST": "127.0.0.1", "CRYPTOCDC_METRICS_PORT": str(port),
        "CRYPTOCDC_LOG_LEVEL": "WARNING",
    }  # fmt: skip
