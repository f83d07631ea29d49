"""One cell of the matrix: a feed under load, one fault, its recovery, and the verifier over every row."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg2
import requests
from cassandra import DriverException
from cassandra.cluster import NoHostAvailable

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.metrics.figures import Samples, parse
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_adapters.replication.connect import ConnectError
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.program.backoff import retry
from cryptocdc_core.storage.ddl import GAPS
from cryptocdc_local import applier
from cryptocdc_local.platform.progress import Silent
from cryptocdc_local.running import run
from cryptocdc_local.running.draining import drain
from cryptocdc_local.running.exchange_choice import Chosen, Simulator
from cryptocdc_local.running.proof import prove
from cryptocdc_local.running.run import Run
from tests.faults.fault import Fault
from tests.faults.observer import ACKNOWLEDGED, Observer
from tests.faults.platform import EXCHANGE, ProxiedPlatform
from tests.faults.result import Result, judge
from tests.faults.sent import Sent, sent
from tests.faults.trade_ids import missing_ids
from tests.integration import topics
from tests.integration.conftest import feed_document
from tests.integration.waiting import T, wait_for

SYMBOLS = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT"]
STREAMS: dict[str, Any] = {
    "recentTrades": {"source": "websocket", "kind": "aggregate"},
    "klines": {"source": "websocket", "intervals": ["1m"]},
    "latestPrices": {"source": "websocket"},
    "orderBook": {"source": "websocket", "depth": 20, "interval": "1s"},
}
FLOWING = ("recent_trades", "latest_prices", "order_book")
"""Tables of which every symbol has a new row within seconds."""
LOADED_ROWS = 300
"""Rows in Cassandra before the fault comes."""
CAUGHT_UP = 200
"""Records of lag at most, once a feed has recovered."""
EXPLAINED = 2000
"""Differing keys that are listed, so that each of those that a fault explains can be looked at."""


class Cell:
    """What a fault finds: a feed under load on a platform with proxied links. All randomness comes from `random`."""

    def __init__(self, platform: ProxiedPlatform, fault: Fault, seed: int, say: Callable[[str], None]) -> None:
        self.platform, self.fault, self.seed = platform, fault, seed
        self.proxy = platform.proxy
        self.random = random.Random(f"{fault.name} {seed}")
        self.direct = platform.direct
        self.parameters: dict[str, Any] = {}
        self._say = say
        name = f"f{int(time.time()) % 10_000_000}"
        self.document = feed_document(name, SYMBOLS, STREAMS, **fault.spec)
        address = f"127.0.0.1:{platform.port(EXCHANGE)}"
        self._chosen = Chosen("simulated", f"http://{address}", f"ws://{address}")
        self._name = name
        self._at_end: list[Callable[[], None]] = []
        self._runs = contextlib.ExitStack()
        self._cluster: Any = None
        self.began_ms = 0.0
        """When the fault began."""
        self.lost: tuple[float, float] | None = None
        """The time, from and to in ms, whose rows PostgreSQL has lost."""
        self.it: Run
        self.observer: Observer

    # For faults

    def note(self, **parameters: Any) -> None:
        """Record what was drawn for the fault."""
        self.parameters |= parameters
        self._say(", ".join(f"{name} {value}" for name, value in parameters.items()))

    def hold(self, seconds: float) -> None:
        """Let the fault last this long, or until the run halts."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.it.halted is None:
            time.sleep(0.1)

    def wait(self, what: str, probe: Callable[[], T | None], limit_s: float = 120) -> T:
        self._say(f"waiting: {what}")
        return wait_for(what, probe, limit_s)

    def exchange(self, name: str, **parameters: object) -> dict[str, Any]:
        """Have the simulated exchange do something wrong."""
        url = f"{self.simulator.url}/simulator/faults/{name}"
        answer = requests.post(url, params={k: str(v) for k, v in parameters.items()}, timeout=10)
        assert answer.status_code == 200, answer.text
        done: dict[str, Any] = answer.json()
        return done

    def sql(self, statement: str, *values: object, superuser: bool = False) -> list[tuple[Any, ...]]:
        settings = self.direct.postgres
        if superuser:
            settings = settings.model_copy(update={"user": "postgres", "password": self.superuser_password})
        connection = postgres.connect(settings, "referee", autocommit=True)
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    @property
    def superuser_password(self) -> str:
        stored = json.loads((self.platform.settings.home / "credentials.json").read_text("utf-8"))
        return str(stored["postgres_superuser"])

    def cql(self, statement: str, *values: object) -> list[Any]:
        if self._cluster is None:
            self._cluster, self._session = cassandra.connect(self.direct.cassandra)
        return list(self._session.execute(statement, values or None, timeout=5))

    def samples(self, program: str) -> Samples:
        """Return what a program counts; nothing while it does not answer."""
        try:
            text = requests.get(f"http://127.0.0.1:{self.it.programs.ports()[program]}/metrics", timeout=2).text
        except requests.RequestException:
            text = ""
        return parse([text], 0.0)

    def metric(self, program: str, name: str) -> float:
        """Return the sum of a program's samples called `name`; 0 while it does not answer."""
        return self.samples(program).total(name)

    def at_end(self, work: Callable[[], None]) -> None:
        """Have `work` done after the feed is removed, whatever happens."""
        self._at_end.append(work)

    def written(self) -> int:
        """Return the number of rows of the feed's streams that Cassandra has acknowledged."""
        return int(self.observer.totals().get(ACKNOWLEDGED, 0))

    def program(self, kind: str) -> str:
        """Draw one of the programs of a kind."""
        return self.random.choice(self.it.programs.names(kind))

    # The feed

    def start(self) -> None:
        """Start the feed, or start it again with its data."""
        self.it = self._runs.enter_context(
            run.started(self.platform, self.document, self._chosen, Silent(), lambda _: None)
        )
        self.observer = self._runs.enter_context(Observer(self.it, self.direct))

    def stop(self) -> None:
        self._runs.close()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The feed with its exchange inside the block; all of it is removed at the end."""
        given = {
            "CRYPTOCDC_SIMULATOR_PORT": str(self.platform.simulator_port),
            "CRYPTOCDC_SIMULATOR_RATE": str(self.fault.rate),
            "CRYPTOCDC_SIMULATOR_SEED": str(self.seed),
            **self.fault.environment,
        }
        before = {name: os.environ.get(name) for name in given}
        os.environ.update(given)
        self._forwarded = {name: link.forwarded for name, link in self.proxy.links.items()}
        self.simulator = Simulator(self.platform.settings, f"{self._name}-exchange")
        try:
            self.simulator.start(None)
            self.start()
            yield
        finally:
            with contextlib.ExitStack() as after:
                after.callback(_restore, before)
                for work in self._at_end:
                    after.callback(work)
                after.callback(self.simulator.stop)
                after.callback(self._remove)
                after.callback(self.stop)
                for link in self.proxy.links:
                    self.proxy.set(link)
                if self._cluster is not None:
                    after.callback(self._cluster.shutdown)

    def _remove(self) -> None:
        self.platform.start()
        if hasattr(self, "it"):
            # What a dead connection has left open holds locks on the tables.
            left = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ %s"
            self.sql(left, "^cryptocdc-(producer|verifier)", superuser=True)
            # The worker's first request through a connection that is dead without being closed fails.
            retry(self._delete_feed, (ConnectError, requests.RequestException), 120, 1)
            self.it.store.delete(self.it.plan.names.fid)

    def _delete_feed(self) -> None:
        applier.delete(self.it.plan, self.direct, lambda _: None, everything=True)

    def load(self) -> None:
        self.wait("rows of every stream", lambda: self.flows_since(0), 180)
        self.wait("load", lambda: self.written() > LOADED_ROWS)
        for name, link in self.proxy.links.items():
            assert link.forwarded > self._forwarded[name], f"nothing passes the proxy to {name}"
        self.hold(self.random.uniform(0, 3))  # so that the fault comes at another moment with each seed

    def flows_since(self, at_ms: float) -> bool:
        """Return whether Cassandra has a later row of every stream and symbol."""
        keyspace, now_ms = self.it.plan.names.keyspace, int(time.time() * 1000)
        try:
            for table in FLOWING:
                stream = by_table(table)
                for symbol in SYMBOLS:
                    found = self.cql(
                        f'SELECT toUnixTimestamp({stream.time}) AS at FROM "{keyspace}".{table}'
                        f" WHERE symbol = %s AND {stream.bucket_column} = {stream.bucket.floor(now_ms)} LIMIT 1",
                        symbol,
                    )
                    if not found or found[0].at <= at_ms:
                        return False
        except (DriverException, NoHostAvailable):
            return False
        return True

    def recovered(self, lifted_ms: float) -> bool:
        """Return whether everything flows again, nothing is left to be caught up, and the part that was hit works."""
        try:
            flows = self.flows_since(lifted_ms) and self.observer.lag <= CAUGHT_UP and self.gaps_open() == 0
        except psycopg2.Error:
            return False
        return flows and all(works(self, lifted_ms) for works in self.fault.works)

    def gaps_open(self) -> int:
        schema = self.it.plan.names.schema
        return int(self.sql(f"SELECT count(*) FROM {schema}.{GAPS} WHERE state = 'open'")[0][0])

    def trades_missing(self) -> int:
        """Return how many ids between each symbol's first and last trade PostgreSQL does not have."""
        found = self.sql(
            f"SELECT symbol, trade_id FROM {self.it.plan.names.schema}.recent_trades ORDER BY trade_time, trade_id"
        )
        return missing_ids(found)

    def sent(self) -> Sent:
        """Return what the change topics hold."""
        topics_read = (
            (stream, topics.read(self.direct.kafka, at)) for at, stream in self.it.plan.change_topics.items()
        )
        return sent(topics_read, self.began_ms)


def _restore(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def run_cell(platform: ProxiedPlatform, fault: Fault, seed: int, commit: str, say: Callable[[str], None]) -> Result:
    """Run a cell and return what was seen. Never raises for what the feed did."""
    absent = set(fault.links) - platform.proxy.links.keys()
    assert not absent, f"{fault.name} needs a proxied link to {', '.join(absent)}"
    began, at = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    result = Result(fault.name, seed, commit, at, fault.outcome.value)
    platform.start()
    cell = Cell(platform, fault, seed, say)
    try:
        with cell.running():
            _run(cell, result)
    except Exception as error:  # whatever it was, the cell is not as declared, and the next one may be
        result.problem = result.problem or f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
    result.parameters, result.seconds = cell.parameters, round(time.monotonic() - began, 1)
    return result


def _run(cell: Cell, result: Result) -> None:
    fault = cell.fault
    cell.load()
    cell.observer.begin()
    cell.began_ms = time.time() * 1000
    seen, limit_s = cell.observer, fault.recovers_s
    cell._say("inflicting it")
    fault.inflict(cell)
    try:
        if sign := fault.visible:
            result.sign = cell.wait(f"sign {sign}", lambda: seen.matching(sign), limit_s)
        if fault.remedy is not None:
            cell._say("doing what the documentation advises")
            fault.remedy(cell)
        lifted, lifted_ms = time.monotonic(), time.time() * 1000
        cell.wait("recovery", lambda: cell.recovered(lifted_ms), limit_s)
        result.recovered_s = round(time.monotonic() - lifted, 1)
        result.died = cell.observer.died()
        cell._say("draining")
        assert drain(cell.it, lambda _: None) == [], "gaps stay open"
        report = prove(cell.it.applied, cell.direct, lambda _: None, explained=EXPLAINED)
        result.rows, result.quarantined = report["rows"], report["quarantined"]
        result.missing, result.extra, result.different = (report[k] for k in ("missing", "extra", "different"))
        result.trades_missing = cell.trades_missing()
        found = cell.sent()
        result.resent = found.repeated + max(0, cell.written() - found.records)
        result.snapshot_rows, result.snapshot_left = found.snapshot, found.before - found.snapshot
        judge(fault, result, report["keys"], cell.lost)
    finally:
        result.highest_lag = max(seen.highest_lag, cell.observer.highest_lag)
        result.seen = [*seen.seen, *(text for text in cell.observer.seen if text not in seen.seen)]
        with contextlib.suppress(psycopg2.Error):
            result.gaps_open = cell.gaps_open()
