"""The program `cryptocdc-history`: loads what `spec.history` of a feed asks of the exchange's archive, and ends.

Exit code 0: everything is loaded that the archive and REST have and that is in order; the table `history` says what is
not. Any other code: the same program, started again, goes on.
"""

from __future__ import annotations

import logging
import time
from importlib.metadata import version

import psycopg2
from cassandra import DriverException
from cassandra.cluster import NoHostAvailable
from confluent_kafka import KafkaException

from cryptocdc_adapters.metrics.serving import Health, serve_or_exit
from cryptocdc_adapters.postgres.history_files import HistoryFile
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.program import logs
from cryptocdc_core.program.exits import BadInput, Exit, fail, refusing_bad_input
from cryptocdc_core.program.file_metrics import HistoryMetrics
from cryptocdc_core.program.settings import ProgramSettings
from cryptocdc_core.time import times
from cryptocdc_exchanges.registry import at_archive
from cryptocdc_history.chosen import begins, downloads, series_of, symbols_of, with_archive
from cryptocdc_history.loading import HistoryError, load
from cryptocdc_history.result import Load, Options, Result
from cryptocdc_producer.archive.load import Progress, remove_downloads
from cryptocdc_verifier.target import Target, VerifyError

log = logging.getLogger("cryptocdc.history")

HEALTHY_FOR_S = 600.0
_LOG_EVERY_S = 10.0


class Log:
    """Says in the log and in the metrics how far loading has come."""

    def __init__(self, metrics: HistoryMetrics, health: Health) -> None:
        self._metrics, self._health = metrics, health
        self._sent = 0
        self._said = float("-inf")

    def asked(self, done: int, of: int) -> None:
        self._health.beat()
        self._say("asked the archive for %d of %d files", done, of)

    def planned(self, result: Result) -> None:
        log.info(
            "%d files, %d MiB, about %d rows", len(result.survey.items), result.survey.bytes >> 20, result.estimated
        )
        for note in result.notes():
            log.info("%s", note)

    def loading(self) -> Progress:
        return Progress(sent=self._rows, ended=self._ended)

    def proving(self, count: int) -> None:
        self._health.beat()
        log.info("waiting for consumers, then proving %d files", count)

    def proven(self, record: HistoryFile) -> None:
        self._health.beat()
        self._ended(record)

    def fetching(self, record: HistoryFile, rows: int, through_ms: int) -> None:
        self._health.beat()
        self._say("%s: %d rows through %s", record.path, rows, times.iso(through_ms))

    def fetched(self, record: HistoryFile) -> None:
        self._health.beat()
        log.info(
            "%s: %s, %d rows%s", record.path, record.state, record.rows or 0, f": {record.reason}" * bool(record.reason)
        )

    def _rows(self, path: str, rows: int) -> None:
        self._sent += rows
        self._metrics.rows.inc(rows)
        self._health.beat()
        self._say("%d rows sent, now of %s", self._sent, path)

    def _ended(self, record: HistoryFile) -> None:
        self._metrics.files.labels(record.state).inc()
        log.info("%s: %s%s", record.path, record.state, f": {record.reason}" if record.reason else "")

    def _say(self, message: str, *words: object) -> None:
        now = time.monotonic()
        if now - self._said >= _LOG_EVERY_S:
            self._said = now
            log.info(message, *words)


def main() -> None:
    with refusing_bad_input():
        settings = ProgramSettings.from_env()
        logs.configure(settings.log_format, settings.log_level)
        metrics, health = HistoryMetrics(version("cryptocdc-history")), Health(HEALTHY_FOR_S)
        if settings.source == "capture":
            log.info("a capture has no past days: nothing is loaded")
            return
        serve_or_exit(metrics.registry, health, settings)
        try:
            result = _load(settings, Log(metrics, health))
        except (HistoryError, VerifyError) as error:
            fail(error, Exit.PLATFORM)
        except (psycopg2.Error, KafkaException, NoHostAvailable, DriverException) as error:
            fail(" ".join(str(error).split()), Exit.PLATFORM)
    log.info("%s", result.text())


def _load(settings: ProgramSettings, said: Log) -> Result:
    """Load what is not loaded yet. Raises BadInput, HistoryError, VerifyError, and errors of the servers' clients."""
    feed = feeds.load(settings.feed)
    since = begins(feed, times.now_ms())
    if not since:
        raise BadInput(
            "spec.history: nothing of it is loaded from an archive; accepted: from, or klines or recentTrades longer"
            " than retention.postgres"
        )
    target = Target.from_env(feed, settings.source)
    venue = with_archive(at_archive(feed, settings.source, settings.rest_url))
    folder = downloads(target)
    series = [it for it in series_of(feed, venue, symbols_of(target)) if it.table in since]
    options = Options(since, None, series, folder, refuse_beyond=False)
    result = load(Load(target, venue, options), said)
    remove_downloads(folder)
    return result


if __name__ == "__main__":
    main()
