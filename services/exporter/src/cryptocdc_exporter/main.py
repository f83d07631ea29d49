"""The program `cryptocdc-exporter`: follows a feed's proofs and exports each hour once it is proven (`spec.export`)."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from cryptocdc_adapters.metrics.serving import Health, serve_or_exit
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.export import SECRET_KEYS, Export
from cryptocdc_core.program import logs
from cryptocdc_core.program.exits import BadInput, refusing_bad_input, stop_event
from cryptocdc_core.program.file_metrics import ExporterMetrics
from cryptocdc_core.program.settings import ExporterSettings, ProgramSettings
from cryptocdc_exporter.export import Counts, Request
from cryptocdc_exporter.places import open_destination
from cryptocdc_exporter.run import follow
from cryptocdc_exporter.target import Target, chosen

log = logging.getLogger("cryptocdc.exporter")

HEALTHY_FOR_S = 900.0
"""A partition that is read, or a pass that finds nothing new, is progress."""
AGAIN_S = 15.0
"""After the destination has failed: a bucket may be made, or a disk be cleared, while this runs."""


class Exporting:
    """Exports as the proofs grow, and counts what was written; a destination that fails is tried again."""

    def __init__(
        self, target: Target, wanted: Export, metrics: ExporterMetrics, health: Health, stop: threading.Event
    ) -> None:
        """Raises BadInput for streams that the feed does not have."""
        self._target, self._wanted = target, wanted
        self._streams = chosen(target.feed, wanted.streams or ())
        self._metrics, self._health, self._stop = metrics, health, stop
        self._problem: str | None = None
        self._counted: dict[str, tuple[int, int, int]] = {}
        health.ready_when(lambda: self._problem)
        self._progress()  # what never makes any shall be noticed

    def run(self) -> None:
        request = Request(self._target.feed.name, self._target.source, (), unproven=False, text=False)
        while not self._stop.is_set():
            try:
                destination = open_destination(self._wanted.uri)
                try:
                    self._counted.clear()
                    follow(
                        self._target, self._streams, None, request, destination, self._read, self._stop, self._passed,
                        self._server_away,
                    )  # fmt: skip
                finally:
                    destination.close()
            except (BadInput, OSError) as error:
                self._failed("destination", f"{self._wanted.uri}: {str(error).removeprefix('--out: ')}")
                self._health.beat()  # a restart would not help
                self._stop.wait(AGAIN_S)

    def _server_away(self, error: Exception) -> None:
        self._counted.clear()  # another connection counts from zero
        self._failed("server", str(error))

    def _failed(self, what: str, problem: str) -> None:
        self._metrics.failures.labels(what).inc()
        self._problem = problem
        log.warning("%s", problem)

    def _read(self, _table: str, _rows: int) -> None:
        self._progress()

    def _passed(self, counts: Mapping[str, Counts]) -> None:
        self._problem = None
        self._progress()
        for table, one in counts.items():
            files, rows, size = self._counted.get(table, (0, 0, 0))
            self._metrics.files.labels(table).inc(one.files - files)
            self._metrics.rows.labels(table).inc(one.rows - rows)
            self._metrics.bytes.labels(table).inc(one.bytes - size)
            self._metrics.left_out.labels(table).set(len(one.changed))
            self._counted[table] = one.files, one.rows, one.bytes
            if one.files != files:
                log.info("%s: %d files with %d rows so far", table, one.files, one.rows)
            if one.through is not None:
                self._metrics.through.labels(table).set(one.through / 1000)

    def _progress(self) -> None:
        self._metrics.progress.set(time.time())
        self._health.beat()


def use_credentials(folder: Path | None, endpoint: str | None) -> None:
    """Put what AWS's clients read into the environment: the keys of the secret mounted at `folder`. Raises BadInput."""
    if folder is not None:
        for name in SECRET_KEYS:
            if (folder / name).exists():
                os.environ[name] = (folder / name).read_text(encoding="utf-8").strip()
        if missing := [name for name in SECRET_KEYS[:2] if not (folder / name).exists()]:
            raise BadInput(f"spec.export.secretRef: the secret lacks {', '.join(missing)}; read are {SECRET_KEYS}")
        os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")  # its answer is waited for at the start
    if endpoint is not None:
        os.environ["AWS_ENDPOINT_URL"] = endpoint


def main() -> None:
    with refusing_bad_input():
        settings = ProgramSettings.from_env()
        logs.configure(settings.log_format, settings.log_level)
        feed = feeds.load(settings.feed)
        wanted = feed.spec.export
        if wanted is None:
            raise BadInput("spec.export: must be set, since it says what this program exports, and where to")
        use_credentials(ExporterSettings.from_env().credentials, wanted.endpoint)
        metrics, health, stop = ExporterMetrics(version("cryptocdc-exporter")), Health(HEALTHY_FOR_S), stop_event()
        exporting = Exporting(Target.from_env(feed, settings.source), wanted, metrics, health, stop)
    server = serve_or_exit(metrics.registry, health, settings)
    exporting.run()
    server.shutdown()


if __name__ == "__main__":
    main()
