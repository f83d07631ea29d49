"""Every query of every panel and variable, put to the real data source: each must return rows."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import psycopg2.errors
import pytest
import requests
import yaml
from cassandra import Unauthorized
from cassandra.cluster import Session

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_adapters.postgres import connections as postgres
from cryptocdc_core.catalogue import COMPUTED, Stream
from cryptocdc_core.catalogue.computed import ANOMALIES, BARS, FORECASTS, KINDS, VOLATILITY
from cryptocdc_core.catalogue.streams import CRYPTO_24H_STATS, KLINES
from cryptocdc_local.platform import Platform, PlatformSettings
from cryptocdc_local.platform.endpoints import READER
from cryptocdc_local.platform.metrics import metrics_served
from cryptocdc_local.platform.platform import SERVERS
from cryptocdc_local.platform.settings import MetricsPorts
from cryptocdc_local.running.run import Run
from tests.integration import grafana
from tests.integration.api_client import ask, free_port, healthy
from tests.integration.conftest import ALL_STREAMS, CAPTURED, PERPETUAL_TABLES, feed_document, starter
from tests.integration.rows import insert
from tests.integration.served_metrics import exporter_metrics, operator_metrics, served
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

SYMBOLS = ("BTCUSDT", "ETHUSDT")
GAINER, GONE = "GAINUSDT", "GONEUSDT"
"""Of two statistics that are put in: whether a captured symbol gains is the market's affair, and none has left."""
STREAMS_ASKED = ALL_STREAMS | {"klines": {"source": "websocket", "intervals": ["1m", "1h"]}}
COMPARED = "1s"
"""After half a minute its windows have enough of a past for a score."""
COMPARING = {title for title, _ in grafana.of_tables("market-cassandra", [ANOMALIES.table])}
PREDICTED = "3s"
"""After three minutes its windows have enough completed forecasts for a skill."""
COMPLETED_MS = 10_000
"""A forecast is completed once the next window has begun: of those before that the newest is drawn."""
PREDICTING = {title for title, _ in grafana.of_tables("market-cassandra", [FORECASTS.table])}
ANALYTICS = {
    "bars": ["1m", COMPARED, PREDICTED], "volatility": ["1m", PREDICTED], "bookMetrics": True,
    "anomalies": [COMPARED], "forecasts": [PREDICTED],
}  # fmt: skip
SCRAPED_S, SERVERS_S = 1, 5  # reading a server's MXBeans takes longer than a program's metrics
OPERATIONS = ("pipeline", "connect", "kafka", "postgresql", "cassandra", "programs")  # the last needs a skill
SERVER_OF = {"connect": "connect", "kafka": "kafka", "postgresql": "postgres", "cassandra": "cassandra"}
PROMETHEUS = shutil.which("prometheus")

JSON_TYPES: dict[str, Any] = {"timestamp": str, "string": str, "number": (str, int, float)}


@pytest.fixture(scope="module")
def it(platform: Platform, simulator_port: int) -> Iterator[Run]:
    document = feed_document("panels", list(SYMBOLS), STREAMS_ASKED, analytics=ANALYTICS)
    with (
        pytest.MonkeyPatch.context() as patch,
        starter(platform, simulator_port, patch) as start,
        start(document) as run,
    ):
        wait_for("the API", lambda: healthy(run.address))
        wait_for("a row of every stream", lambda: all(rows_of(run, s) for s in [*CAPTURED, *COMPUTED.values()]), 180)
        wait_for("a score of every kind", lambda: all(has_score(run, kind) for kind in KINDS), 120)
        wait_for("a heatmap", lambda: ask(run.address, "/heatmap", symbol="BTCUSDT").json(), 60)
        for symbol, age_ms in ((GAINER, 0), (GONE, 25 * 3_600_000)):
            at = int(time.time() * 1000) - age_ms
            insert(run.servers.postgres, run.plan.names, CRYPTO_24H_STATS, [at], symbol, price_change_percent="2.50")
        wait_for("their statistics", lambda: {GAINER, GONE} <= symbols_in(ask(run.address, "/crypto_24h_stats").json()))
        yield run


def symbols_in(rows: list[dict[str, Any]]) -> set[str]:
    return {row["symbol"] for row in rows}


def rows_of(it: Run, stream: Stream) -> bool:
    interval = {KLINES: "1h", BARS: "1m", VOLATILITY: "1m", ANOMALIES: COMPARED, FORECASTS: PREDICTED}.get(stream)
    more = {} if interval is None else {"interval": interval}
    return all(ask(it.address, f"/{stream.table}", symbol=symbol, limit=1, **more).json() for symbol in SYMBOLS)


def has_score(it: Run, kind: str) -> bool:
    found = ask(it.address, f"/{ANOMALIES.table}", symbol="BTCUSDT", interval=COMPARED, kind=kind, limit=1).json()
    return bool(found) and found[0]["score"] is not None


def has_skill(it: Run) -> bool:
    end = int(time.time() * 1000) - COMPLETED_MS
    found = ask(it.address, f"/{FORECASTS.table}", symbol="BTCUSDT", interval=PREDICTED, limit=1, to=end).json()
    return bool(found) and None not in (found[0]["skill"], found[0]["lower"], found[0]["actual_return"])


@pytest.fixture
def chosen(it: Run, request: pytest.FixtureRequest) -> grafana.Chosen:
    title = getattr(request.node, "callspec", None) and request.node.callspec.params.get("title")
    now = int(time.time() * 1000)
    interval = COMPARED if title in COMPARING else PREDICTED if title in PREDICTING else "1m"
    if title in PREDICTING:
        wait_for("a skill", lambda: has_skill(it), 300)
    end = now - COMPLETED_MS if interval == PREDICTED else now
    return grafana.Chosen(it.plan.names.fid, "BTCUSDT", SYMBOLS, interval, now - 3_600_000, end)


def numbers_of(title: str, names: list[str], rows: list[tuple[Any, ...]]) -> None:
    """Each query gives a panel at least one number to draw, and no value that a plugin can't take."""
    assert rows, title
    kinds = {name: type(value) for name, value in zip(names, rows[0], strict=True)}
    assert float in kinds.values(), f"{title}: no number among {kinds}"
    assert not [name for name, kind in kinds.items() if kind.__name__ in ("Decimal", "list")], f"{title}: {kinds}"


@pytest.fixture(scope="module")
def session(it: Run) -> Iterator[Session]:
    """As the user of the dashboards, who can only read."""
    reader = it.servers.cassandra.model_copy(update={"username": READER, "password": it.platform.reader_password})
    cluster, session = cassandra.connect(reader)
    yield session
    cluster.shutdown()


@contextlib.contextmanager
def reading(it: Run) -> Iterator[Any]:
    """A cursor of the same user in PostgreSQL."""
    reader = it.servers.postgres.model_copy(update={"user": READER, "password": it.platform.reader_password})
    with contextlib.closing(postgres.connect(reader, "test")) as connection, connection.cursor() as cursor:
        yield cursor


def test_the_dashboards_reader_can_not_write(it: Run, session: Session, chosen: grafana.Chosen) -> None:
    with pytest.raises(Unauthorized):
        session.execute(f'DELETE FROM "{chosen.feed}".newest_prices WHERE shard = 0')
    with reading(it) as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute(f'DELETE FROM "{chosen.feed}".latest_prices')


def of_statistics(source: str) -> list[tuple[str, grafana.Target]]:
    titles = ("Ten most traded symbols", "Five biggest gainers", "24 hours")
    found = [(title, target) for title, target in grafana.targets(f"market-{source}") if title in titles]
    assert {title for title, _ in found} == set(titles)
    return found


def test_panels_leave_out_statistics_older_than_a_day(it: Run, session: Session, chosen: grafana.Chosen) -> None:
    shown = {}
    for title, target in of_statistics("cassandra"):
        shown["Cassandra", f"{title} {target['refId']}"] = {
            row.symbol for row in session.execute(chosen.filled(target["target"]))
        }
    for title, target in of_statistics("api"):
        asked = {param["key"]: param["value"] for param in target["url_options"]["params"]}
        shown["API", title] = symbols_in(requests.get(f"{it.address}{target['url']}", params=asked, timeout=30).json())
    with reading(it) as cursor:
        for title, target in of_statistics("postgresql"):
            cursor.execute(chosen.filled(target["rawSql"]))
            shown["PostgreSQL", title] = {row[0] for row in cursor.fetchall()}
    assert not [where for where, symbols in shown.items() if GAINER not in symbols or GONE in symbols]


def test_every_dashboard_variable_has_values(it: Run, session: Session, chosen: grafana.Chosen) -> None:
    feeds = [row[0] for row in session.execute(grafana.variable("market-cassandra", "feed")["query"])]
    assert chosen.feed in feeds
    symbols = session.execute(chosen.filled(grafana.variable("market-cassandra", "symbol")["query"]))
    assert sorted(row[0] for row in symbols) == list(SYMBOLS)
    asked = grafana.variable("market-api", "symbol")["infinityQuery"]
    assert requests.get(f"{it.address}{asked['url']}", timeout=10).json() == [
        {"symbol": symbol} for symbol in sorted((*SYMBOLS, GAINER, GONE))
    ]
    captured = ["1m", "1h"]
    found = session.execute(chosen.filled(grafana.variable("market-cassandra", "interval")["query"]))
    assert {row[0] for row in found} == set(captured)
    asked = grafana.variable("market-api", "interval")["infinityQuery"]
    answer = requests.get(f"{it.address}{asked['url']}", timeout=10).json()
    assert [row[asked["columns"][0]["selector"]] for row in answer] == captured
    with reading(it) as cursor:
        cursor.execute(grafana.variable("market-postgresql", "feed"))
        assert (chosen.feed,) in cursor.fetchall()
        cursor.execute(chosen.filled(grafana.variable("market-postgresql", "symbol")))
        assert cursor.fetchall() == [(symbol,) for symbol in SYMBOLS]
        cursor.execute(chosen.filled(grafana.variable("market-postgresql", "interval")))
        assert cursor.fetchall() == [(interval,) for interval in captured]


def test_the_average_spread_of_a_step_is_the_same_from_all_three_sources(
    it: Run, session: Session, chosen: grafana.Chosen
) -> None:
    """Of steps that are over: while one runs, each source has seen another part of it."""
    of = {
        source: next(t for title, t in grafana.targets(f"market-{source}") if title.startswith("Spread"))
        for source in ("cassandra", "api", "postgresql")
    }

    def steps() -> dict[str, dict[int, float]]:
        """By source; empty until a step of the capture is over."""
        end = int(time.time() * 1000) // 10_000 * 10_000 - 10_000
        over = dataclasses.replace(chosen, start=end - 600_000, end=end)
        asked = {p["key"]: over.filled(p["value"]) for p in of["api"]["url_options"]["params"]}
        answer = requests.get(f"{it.address}{of['api']['url']}", params=asked, timeout=30).json()
        rows = session.execute(over.filled(of["cassandra"]["target"]))
        with reading(it) as cursor:
            cursor.execute(over.filled(of["postgresql"]["rawSql"]))
            found = {
                "api": {row["bucket_time_ms"]: float(row["spread"]) for row in answer},
                "cassandra": {int(row.time.replace(tzinfo=UTC).timestamp() * 1000): row.spread for row in rows},
                "postgresql": {int(at.replace(tzinfo=UTC).timestamp() * 1000): spread for at, spread in cursor},
            }
        whole = {name: {at: value for at, value in spreads.items() if at < end} for name, spreads in found.items()}
        return whole if whole["api"] else {}

    spreads = wait_for("a step that is over", steps)
    for name in ("cassandra", "postgresql"):
        assert spreads[name] == {at: pytest.approx(value) for at, value in spreads["api"].items()}, name


@pytest.fixture(scope="module")
def operator_port() -> Iterator[int]:
    with served(operator_metrics()) as port:
        yield port


@pytest.fixture(scope="module")
def exporter_port() -> Iterator[int]:
    with served(exporter_metrics()) as port:
        yield port


@pytest.fixture(scope="module")
def watched(it: Run, metrics_ports: MetricsPorts) -> Iterator[PlatformSettings]:
    """The run's servers while they serve their own metrics."""
    settings = dataclasses.replace(it.platform.settings, metrics_ports=metrics_ports)
    with metrics_served(Platform(settings), print):
        for port in vars(metrics_ports).values():
            assert requests.get(f"http://127.0.0.1:{port}/metrics", timeout=180).ok  # the first answer takes longest
        yield settings


@pytest.fixture(scope="module")
def prometheus(
    it: Run,
    watched: PlatformSettings,
    operator_port: int,
    exporter_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The address of a real Prometheus that scrapes programs and servers, once it has seen them all."""
    if PROMETHEUS is None:
        pytest.skip("no prometheus on this machine: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    programs, servers = it.platform.settings.targets(it.plan.names.fid), watched.server_targets
    jobs: list[dict[str, Any]] = [
        {"job_name": "programs", "file_sd_configs": [{"files": [str(programs)]}]},
        {"job_name": "servers", "file_sd_configs": [{"files": [str(servers)]}], "scrape_interval": f"{SERVERS_S}s"},
        {"job_name": "operator", "static_configs": [{"targets": [f"127.0.0.1:{operator_port}"]}]},
        {
            "job_name": "exporter",
            "static_configs": [{"targets": [f"127.0.0.1:{exporter_port}"], "labels": {"feed": it.plan.names.fid}}],
        },
    ]
    config = {"global": {"scrape_interval": f"{SCRAPED_S}s"}, "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    arguments = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([PROMETHEUS, *arguments, f"--web.listen-address={address}"], stderr=log)
    try:
        url = f"http://{address}"
        expected = len(json.loads(programs.read_text())) + len(SERVERS) + 2
        wait_for("Prometheus to have scraped all of them", lambda: scraped(url) >= expected, 120)
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def scraped(url: str) -> int:
    """Targets that have answered once at least: on a busy machine one or the other is late again and again."""
    try:
        found = answered(url, "count(max_over_time(up[10m]) == 1)")
    except requests.RequestException:
        return 0
    return int(found[0]["value"][1]) if found else 0


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_promql_query_returns_rows(it: Run, prometheus: str, chosen: grafana.Chosen, name: str) -> None:
    """Every query has rows, with no exception: what only a standby or a second broker has is there as 0."""
    instances = instances_of(prometheus, name)
    chosen = dataclasses.replace(chosen, instance="|".join(instances))
    asked = {chosen.filled(target["expr"]): title for title, target in grafana.targets(name)}
    # What has had rows once is not asked again: a busy server misses a scrape now and then.
    found: dict[str, list[Any]] = {}
    deadline = time.monotonic() + 240  # a rate needs samples, a proof comes once a minute, a forecast's skill later
    while asked.keys() - found.keys() and time.monotonic() < deadline:
        requests.get(f"{it.address}/top?by=trades", timeout=10)  # the API's own figures need requests
        found |= {expr: rows for expr in asked.keys() - found.keys() if (rows := answered(prometheus, expr))}
        time.sleep(1)
    assert not {expr: title for expr, title in asked.items() if expr not in found}
    if instances:
        queried = {row["metric"]["instance"] for rows in found.values() for row in rows if "instance" in row["metric"]}
        assert queried == set(instances), "a server's dashboard shows another server"


def instances_of(url: str, name: str) -> list[str]:
    """What the dashboard's variable offers, where it has one; all of it is chosen at first."""
    if name not in SERVER_OF:
        return []
    found = label_values(url, grafana.variable(name, "instance")["query"])
    assert found == [SERVER_OF[name]]
    return found


def label_values(url: str, query: str) -> list[str]:
    """As Grafana asks for `label_values(metric, label)`."""
    asked = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    assert asked, query
    answer = requests.get(f"{url}/api/v1/label/{asked[2]}/values", params={"match[]": asked[1]}, timeout=10).json()
    found: list[str] = answer["data"]
    return found


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_feed_variable_lists_feeds(prometheus: str, chosen: grafana.Chosen, name: str) -> None:
    assert chosen.feed in label_values(prometheus, grafana.variable(name, "feed")["query"])


def answered(url: str, expr: str) -> list[Any]:
    answer = requests.get(f"{url}/api/v1/query", params={"query": expr}, timeout=10).json()
    assert answer["status"] == "success", f"{expr}: {answer}"
    found: list[Any] = answer["data"]["result"]
    return found


# At the end of the file: the forecasts need minutes until they have a skill, and the tests before these run meanwhile.


@pytest.mark.parametrize(("title", "target"), grafana.of_tables("market-cassandra", PERPETUAL_TABLES, others=True))
def test_every_cql_query_returns_rows(
    session: Session, chosen: grafana.Chosen, title: str, target: grafana.Target
) -> None:
    statement = chosen.filled(target["target"])
    if "ALLOW FILTERING" in statement.upper():  # only within partitions that are named
        assert "shard = 0" in statement or any(
            all(part in statement for part in parts)
            for parts in (("symbol = ", "interval = ", "month IN"), ("symbol = ", "day IN"), ("symbol = ", "hour IN"))
        )
    found = list(session.execute(statement))
    numbers_of(title, list(found[0]._fields) if found else [], [tuple(row) for row in found])


@pytest.mark.parametrize(("title", "target"), grafana.of_tables("market-postgresql", PERPETUAL_TABLES, others=True))
def test_every_sql_query_returns_rows(it: Run, chosen: grafana.Chosen, title: str, target: grafana.Target) -> None:
    with reading(it) as cursor:
        cursor.execute(chosen.filled(target["rawSql"]))
        assert cursor.description is not None
        numbers_of(title, [column.name for column in cursor.description], cursor.fetchall())


@pytest.mark.parametrize(("title", "target"), grafana.of_tables("market-api", PERPETUAL_TABLES, others=True))
def test_every_api_query_returns_rows(it: Run, chosen: grafana.Chosen, title: str, target: grafana.Target) -> None:
    asked = {chosen.filled(p["key"]): chosen.filled(p["value"]) for p in target["url_options"]["params"]}
    answer = requests.get(f"{it.address}{target['url']}", params=asked, timeout=30)
    assert answer.ok, answer.text
    found = answer.json()
    assert found, title
    for column in target["columns"]:
        for value in (row[column["selector"]] for row in found[:1]):
            assert isinstance(value, JSON_TYPES[column["type"]]), f"{title}: {column} is {value!r}"
            if column["type"] == "number":
                float(value)
