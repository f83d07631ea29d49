"""A feed's symbols on a cluster in memory: markets listed, paused, not listed yet, or listed wrongly."""

import copy
import json
from datetime import timedelta

import pytest
from tests.unit.operator.reconcile.test_reconcile import STREAMS, deployment, reconciled
from tests.unit.operator.world import World

from cryptocdc_core.planning.resolve import Market, MarketState
from cryptocdc_operator.status.assess import Proof


@pytest.fixture
def world():
    made = World(streams=STREAMS)
    made.run()
    return made


def test_changes_of_symbols_restart_nothing(world):
    before = [json.dumps(deployment(world, component)["spec"]) for component in ("producer", "consumer")]
    connector = copy.deepcopy(world.objects["KafkaConnector", "majors"]["spec"])
    world.edit(symbols={"names": ["ETHUSDT", "SOLUSDT"]})
    reconciled(world)
    assert [json.dumps(deployment(world, component)["spec"]) for component in ("producer", "consumer")] == before
    assert world.objects["KafkaConnector", "majors"]["spec"] == connector
    assert sorted(world.symbols["majors"]) == ["ETHUSDT", "SOLUSDT"]
    assert ("Normal", "SymbolsAdded", "SOLUSDT") in world.events
    assert ("Normal", "SymbolsRemoved", "BTCUSDT") in world.events


def test_the_exchange_is_asked_again_only_for_other_symbols_and_every_day(world):
    asked = world.asked
    world.edit(retention={"cassandra": "30d"})
    reconciled(world)
    assert world.asked == asked
    world.edit(symbols={"names": ["ETHUSDT"]})
    reconciled(world)
    assert world.asked == asked + 1
    world.at += timedelta(days=1)
    world.proof = Proof(0, 10, world.at)
    reconciled(world)
    assert world.asked == asked + 2


def test_top_is_resolved_daily_and_keeps_symbols_near_its_edge():
    world = World(symbols={"top": {"count": 2, "quote": "USDT"}}, suspend=True)
    world.run()
    assert sorted(world.symbols["majors"]) == ["BTCUSDT", "ETHUSDT"]
    world.volumes["SOLUSDT"] = 3.5  # second now, Ethereum third: within 1.5 × 2
    world.at += timedelta(days=1)
    world.run()
    assert sorted(world.symbols["majors"]) == ["BTCUSDT", "ETHUSDT"]
    world.volumes["XRPUSDT"] = 3.6
    world.at += timedelta(days=1)
    world.run()
    assert sorted(world.symbols["majors"]) == ["BTCUSDT", "XRPUSDT"]


def test_an_unreachable_exchange_stops_no_running_program(world):
    world.exchange_silent = True
    world.at += timedelta(days=2)
    world.proof = Proof(0, 10, world.at)
    reconciled(world)
    assert sorted(world.symbols["majors"]) == ["BTCUSDT", "ETHUSDT"]
    world.edit(symbols={"names": ["SOLUSDT"]})
    assert world.reconcile().retry_after_s == 15
    assert world.said("Ready") == ("False", "ExchangeSilent")
    world.exchange_silent = False
    reconciled(world)
    assert sorted(world.symbols["majors"]) == ["SOLUSDT"]


def test_a_quote_asset_without_markets_is_named_and_programs_keep_running(world):
    world.edit(symbols={"top": {"count": 1, "quote": "USDX"}})
    assert world.reconcile().retry_after_s is None
    assert world.said("Ready") == ("False", "UnknownSymbol")
    assert "accepted: USDT" in world.condition("Ready")["message"]
    assert sorted(world.symbols["majors"]) == ["BTCUSDT", "ETHUSDT"]
    assert world.feed()["status"]["observedGeneration"] == 1


def test_a_market_that_is_not_listed_is_waited_for_while_the_others_are_captured(world):
    world.edit(symbols={"names": ["BTCUSDT", "BTCUSDX"]})
    reconciled(world)
    note = "BTCUSDX is not listed by binance: waiting for its first trade; did you mean BTCUSDT?"
    assert world.said("Ready") == ("True", "Waiting")
    assert world.condition("MarketsTrading")["message"] == note
    assert ("Warning", "NotListed", note) in world.events
    assert world.feed()["status"]["waitingNames"] == ["BTCUSDX"]
    assert sorted(world.symbols["majors"]) == ["BTCUSDT", "BTCUSDX"], "producers are already subscribed to it"
    asked = world.asked
    world.at += timedelta(seconds=30)
    world.reconcile()
    assert world.asked == asked, "asked every minute"
    world.at += timedelta(seconds=31)
    world.markets["BTCUSDX"] = Market("BTCUSDX", "USDX")
    reconciled(world)
    assert world.said("Ready") == ("True", "Capturing")
    assert world.said("MarketsTrading") == ("True", "Trading")
    assert ("Normal", "Listed", "BTCUSDX") in world.events


def test_a_feed_whose_only_market_is_unlisted_reports_that_it_waits(world):
    world.edit(symbols={"names": ["NEWUSDT"]})
    world.run()
    assert world.said("Ready") == ("False", "Waiting")
    assert "NEWUSDT is not listed" in world.condition("Ready")["message"]
    assert world.said("ProducersReady") == ("True", "Running")
    world.edit(suspend=True)
    world.run()
    assert deployment(world)["spec"]["replicas"] == 0


def test_a_paused_market_stays_in_the_feed(world):
    world.markets["ETHUSDT"] = Market("ETHUSDT", "USDT", MarketState.HALTED)
    world.at += timedelta(days=1)
    world.proof = Proof(0, 10, world.at)
    reconciled(world)
    assert sorted(world.symbols["majors"]) == ["BTCUSDT", "ETHUSDT"]
    assert (world.said("MarketsTrading"), world.feed()["status"]["haltedNames"]) == (("False", "Paused"), ["ETHUSDT"])
    assert world.said("Ready") == ("True", "Paused")
    world.markets["ETHUSDT"] = Market("ETHUSDT", "USDT")
    world.at += timedelta(minutes=1)
    reconciled(world)
    assert (world.said("Ready"), world.feed()["status"]["haltedNames"]) == (("True", "Capturing"), [])


@pytest.mark.parametrize("symbols", [{"names": ["BTCUSDT", "ETHUSDT"]}, {"top": {"count": 2}}])
def test_an_implausible_list_changes_no_symbol_and_is_requested_again(symbols):
    world = World(streams=STREAMS, symbols=symbols)
    world.run()
    listed, world.markets = world.markets, {"123456": Market("123456", "456")}
    world.at += timedelta(days=1)
    world.proof = Proof(0, 10, world.at)
    world.reconcile()
    assert sorted(world.symbols["majors"]) == ["BTCUSDT", "ETHUSDT"]
    assert world.said("MarketsTrading") == ("Unknown", "ListSuspect")
    assert "lists 1 market and lacks" in world.condition("MarketsTrading")["message"]
    assert world.said("Ready") == ("True", "Capturing")
    asked, world.markets = world.asked, listed
    world.at += timedelta(minutes=1)
    world.reconcile()
    assert world.asked == asked + 1
    assert world.said("MarketsTrading") == ("True", "Trading")


def test_top_keeps_its_symbols_when_all_markets_are_paused():
    world = World(streams=STREAMS, symbols={"top": {"count": 2}})
    world.run()
    world.markets = {symbol: Market(symbol, "USDT", MarketState.HALTED) for symbol in world.markets}
    world.volumes = {}
    world.at += timedelta(days=1)
    world.proof = Proof(0, 10, world.at)
    world.run()
    assert sorted(world.symbols["majors"]) == ["BTCUSDT", "ETHUSDT"]
    assert world.said("Ready") == ("False", "Paused")
