"""Bars on real servers: whatever is killed, frozen, late or lost, each window has the bar of its stored trades."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from cassandra.cluster import Session
from confluent_kafka.admin import AdminClient

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_adapters.replication.connect import Connect
from cryptocdc_core.catalogue import by_table
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.storage.partitioning import change_partition
from cryptocdc_local.applier import Servers
from cryptocdc_verifier.continuous.computed import ComputedProof
from cryptocdc_verifier.continuous.proofs import Proofs
from cryptocdc_verifier.delivery.waiting import ComputedDelivery
from cryptocdc_verifier.report import Report
from cryptocdc_verifier.target import VerifyError
from cryptocdc_verifier.verify import sides
from tests.integration import topics
from tests.integration.feed_by_hand import session_of, started
from tests.integration.market import MINUTE_MS, SYMBOLS, Market, running
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

BARS_PER_MINUTE = 12 + 20 + 1


@pytest.fixture(scope="module")
def market(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with started(Market(servers, tmp_path_factory.mktemp("feeds"))) as made:
        yield made


@pytest.fixture(scope="module")
def cql(market: Market) -> Iterator[Session]:
    with session_of(market) as session:
        yield session


def assert_proven(report: Report, minutes: int) -> None:
    assert (report.reason, report.tables["bars"].rows) == (None, minutes * BARS_PER_MINUTE * len(SYMBOLS))
    assert report.tables["realized_volatility"].rows == minutes * (20 + 1) * len(SYMBOLS)
    # Price and volume of each window of 5 s but the newest.
    assert report.tables["anomalies"].rows >= 2 * (minutes * 12 - 1) * len(SYMBOLS)
    assert report.tables["forecasts"].rows >= (minutes * 20 - 1) * len(SYMBOLS)


def bar(market: Market, cql: Session, minute: int) -> Any:
    at = market.base_ms + minute * MINUTE_MS
    day = at - at % 86_400_000
    query = "SELECT * FROM bars WHERE symbol = 'BTCUSDT' AND interval = '1m' AND day = %s AND open_time = %s"
    return cql.execute(query, (day, at)).one()


def anomaly(cql: Session, at: int, kind: str) -> Any:
    query = (
        "SELECT * FROM anomalies WHERE symbol = 'BTCUSDT' AND interval = '5s' AND kind = %s AND day = %s"
        " AND open_time = %s"
    )
    return cql.execute(query, (kind, at - at % 86_400_000, at)).one()


def forecast(cql: Session, at: int) -> Any:
    query = "SELECT * FROM forecasts WHERE symbol = 'BTCUSDT' AND interval = '3s' AND day = %s AND open_time = %s"
    return cql.execute(query, (at - at % 86_400_000, at)).one()


def test_each_closed_window_is_computed_and_proven(market: Market, cql: Session) -> None:
    market.trade(0)
    market.trade(1)
    with pytest.raises(VerifyError, match="is an analyzer running"):
        market.verify(stalled_s=8)
    with running(market) as analyzer:
        assert_proven(market.verify(), minutes=2)
        trades = list(cql.execute(
            "SELECT * FROM recent_trades WHERE symbol = 'BTCUSDT' AND hour = %s AND trade_time < %s",
            (market.base_ms, market.base_ms + MINUTE_MS),
        ))  # fmt: skip
        found = bar(market, cql, 0)
        assert (found.trade_count, found.open, found.close) == (60, trades[-1].price, trades[0].price)
        assert found.volume == sum(trade.quantity for trade in trades)
        assert found.quote_volume == sum(trade.price * trade.quantity for trade in trades)
        assert found.buy_volume == sum(trade.quantity for trade in trades if not trade.buyer_is_maker)
        assert round(found.vwap, 9) == round(found.quote_volume / found.volume, 9)
        assert found.audit.op == "u"
        assert analyzer.metric("rows_total") > 0
        assert analyzer.end(signal.SIGTERM) == 0


def test_the_continuous_verifier_proves_closed_windows(market: Market) -> None:
    metrics, stop = VerifierMetrics("0"), threading.Event()
    now_ms = market.base_ms + 3 * MINUTE_MS
    with running(market), sides(market.target) as (postgres, stored):
        wait = ComputedDelivery(market.target).wait
        proofs = Proofs(postgres.connection, market.plan.names)
        proof = ComputedProof(market.target, proofs, stored, wait, metrics, stop, 10_000, lambda: now_ms)
        for _slice in range(2):  # of the hour before `base_ms`, and after it
            proof.prove()
        (proven,) = proofs.of(by_table("bars"))
    of = {"feed": market.plan.names.fid, "table": "bars"}
    value = metrics.registry.get_sample_value
    assert value("cryptocdc_verifier_rows_total", of) == 2 * BARS_PER_MINUTE * len(SYMBOLS)
    assert value("cryptocdc_verifier_differences", of | {"kind": "missing"}) == 0
    assert value("cryptocdc_verifier_proven_through_timestamp_seconds", of) == proven.window.end / 1000
    assert proven.window.end == now_ms - MINUTE_MS


def test_each_order_book_has_its_metrics(market: Market, cql: Session) -> None:
    market.insert("order_book", [market.base_ms + second * 1_000 for second in range(40)])
    with running(market):
        report = market.verify()
    assert (report.reason, report.tables["book_metrics"].rows) == (None, 40)
    assert anomaly(cql, market.base_ms, "quote_rate").value == 1
    where = "symbol = 'BTCUSDT' AND hour = %s AND bucket_time = %s"
    found = cql.execute(f"SELECT * FROM book_metrics WHERE {where}", (market.base_ms, market.base_ms)).one()
    assert (found.spread, found.mid) == (Decimal("0.00"), Decimal("64000.100"))


def test_late_trades_correct_their_windows(market: Market, cql: Session) -> None:
    with running(market):
        market.trade(3)
        wait_for("the trades to be read", lambda: market.lag() == 0)
        before = bar(market, cql, 0)
        market.trade(0, count=30, ms=1)
        assert_proven(market.verify(), minutes=3)
        after = bar(market, cql, 0)
        assert (before.trade_count, after.trade_count) == (60, 90)
        assert after.version > before.version


def test_killing_or_freezing_one_of_two_analyzers_does_not_change_the_windows(market: Market) -> None:
    with running(market) as first:
        market.trade(5, count=600)
        wait_for("some of them", lambda: first.metric("trades_total") > 0)
        first.end(signal.SIGKILL)
    market.trade(6)
    with running(market) as frozen, running(market) as other:
        for analyzer in (frozen, other):
            wait_for("it to be a member", lambda analyzer=analyzer: analyzer.metric("group_member") == 1)  # type: ignore[misc]
        market.trade(7, count=600)
        frozen.process.send_signal(signal.SIGSTOP)
        market.trade(8)
        market.trade(7, count=60, ms=7)
        wait_for("the other to take over", lambda: market.lag() == 0, 60)
        frozen.process.send_signal(signal.SIGCONT)
        market.trade(9)
        assert_proven(market.verify(), minutes=8)


def test_a_group_without_its_offsets_computes_the_same_windows(market: Market) -> None:
    admin = AdminClient(client_config(market.servers.kafka))
    group = market.plan.names.analyzer_group

    def forgotten() -> bool:
        try:
            admin.delete_consumer_groups([group])[group].result(10)
        except Exception:  # members that were killed are still waited for
            return False
        return True

    wait_for("the group to be removed", forgotten, 60)
    with running(market) as analyzer:
        assert_proven(market.verify(), minutes=8)
        assert analyzer.metric("trades_total") > 4_000


def test_a_window_that_stands_out_is_an_anomaly_and_says_why(market: Market, cql: Session) -> None:
    with running(market):
        market.trade(10, size=100_000)
        assert_proven(market.verify(), minutes=9)
    at = market.base_ms + 10 * MINUTE_MS
    before, found = anomaly(cql, at - 5_000, "volume"), anomaly(cql, at, "volume")
    assert (before.anomaly, before.reason, found.anomaly) == (False, None, True)
    assert found.score > 5
    assert f"is {found.score} standard deviations above {found.expected:f}, the mean of" in found.reason


def test_a_forecast_is_completed_with_what_came_and_the_newest_is_open(market: Market, cql: Session) -> None:
    newest = market.base_ms + 12 * MINUTE_MS - 3_000
    with running(market) as analyzer:
        market.trade(11)
        assert_proven(market.verify(), minutes=10)
        wait_for("the newest forecast", lambda: forecast(cql, newest) is not None)
        skill = analyzer.metric("forecast_skill")
    before, open_one = forecast(cql, newest - 3_000), forecast(cql, newest)
    assert before.completed
    assert None not in (before.volatility, before.actual_volatility, before.actual_return, before.error, before.inside)
    assert before.inside == (before.lower <= before.actual_return <= before.upper)
    assert before.forecast_count > 60
    assert before.skill == min(before.skill_last, before.skill_mean)
    assert before.skilled == (before.skill > 0)
    assert (open_one.completed, open_one.actual_volatility, open_one.inside) == (False, None, None)
    assert (open_one.volatility > 0, open_one.last_volatility) == (True, before.actual_volatility)
    # All symbols have the same trades.
    assert skill == pytest.approx(len(SYMBOLS) * float(open_one.skill))


def test_symbols_that_move_to_added_partitions_keep_their_windows(market: Market) -> None:
    names, kafka, added = market.plan.names, market.servers.kafka, 7
    (before,) = {change_partition(symbol, 3) for symbol in SYMBOLS}
    assert min(change_partition(symbol, added) for symbol in SYMBOLS) >= 3  # all move to partitions that are new
    connect = Connect(market.servers.connect.url)
    with running(market) as analyzer:
        market.trade(12, count=30)
        market.insert("order_book", [market.base_ms + 12 * MINUTE_MS + second * 1_000 for second in range(3)])
        wait_for("the rows to be read", lambda: market.lag() == 0)
        for table in ("recent_trades", "order_book"):
            topics.add_partitions(kafka, names.change_topic(table), added)
        connect.restart(names.connector)
        connect.wait_running(names.connector)
        market.trade(12, count=30, ms=7)
        market.insert("order_book", [market.base_ms + 12 * MINUTE_MS + second * 1_000 for second in range(3, 9)])
        market.trade(13)
        assert_proven(market.verify(), minutes=12)
        assert analyzer.process.poll() is None
    assert max(found.partition for found in topics.read(kafka, names.change_topic("recent_trades"))) >= 3
    for table in ("bars", "anomalies", "forecasts"):
        assert {found.partition for found in topics.read(kafka, names.change_topic(table))} == {before}
    with running(market):  # another one reads the new partitions from where the first stopped
        market.trade(14)
        assert_proven(market.verify(), minutes=13)


def test_altered_removed_and_added_bars_are_named(market: Market, cql: Session) -> None:
    at, day = market.base_ms, market.base_ms - market.base_ms % 86_400_000
    where = "symbol = 'BTCUSDT' AND interval = '1m' AND day = %s AND open_time = %s"
    cql.execute(f"UPDATE bars SET vwap = 1.5 WHERE {where}", (day, at))
    cql.execute(f"DELETE FROM bars WHERE {where}", (day, at + 3 * MINUTE_MS))
    cql.execute(f"UPDATE bars SET high = 7 WHERE {where}", (day, at + 4 * MINUTE_MS))
    hour = "symbol = 'BTCUSDT' AND hour = %s AND bucket_time = %s"
    cql.execute(f"UPDATE book_metrics SET mid = 1 WHERE {hour}", (at, at + 1_000))
    cql.execute(
        "UPDATE anomalies SET score = 1 WHERE symbol = 'BTCUSDT' AND interval = '5s' AND kind = 'volume'"
        " AND day = %s AND open_time = %s",
        (day, at + 10 * MINUTE_MS),
    )
    cql.execute(
        "UPDATE forecasts SET skill = 0.9 WHERE symbol = 'BTCUSDT' AND interval = '3s' AND day = %s AND open_time = %s",
        (day, at + 10 * MINUTE_MS),
    )
    with running(market):
        report = market.verify()
        assert report.tables["forecasts"].different == 1
        assert report.tables["book_metrics"].different == 1
        assert report.tables["anomalies"].different >= 1
        found = report.tables["bars"]
        assert (found.missing, found.extra, found.different) == (1, 1, 1)
        assert not report.equal
        answer = market.command("--json", "--explain")
    assert answer.returncode == 1
    document = json.loads(answer.stdout)
    (altered,) = [key for key in document["keys"] if (key["table"], key["kind"]) == ("bars", "different")]
    assert (altered["columns"], altered["key"]["interval"]) == (["vwap"], "1m")
    assert Decimal(altered["cassandra"]["vwap"]) == Decimal("1.5")
    assert "by hand" in altered["cause"]
