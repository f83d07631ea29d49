"""The properties of each stream's handler, and which rows it counts as lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.rows import make_row
from tests.unit.producer.conftest import ALL_STREAMS, BINANCE, NOW, handlers_of, make_feed

from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import KlinesRow, LatestPricesRow, RecentTradesRow
from cryptocdc_exchanges.port import Offer, Proof, Refill
from cryptocdc_producer.storage.intake import Intake
from cryptocdc_producer.storage.store import Stored
from cryptocdc_producer.streams.continuity import Gap


def test_every_stream_of_the_feed_has_its_handler() -> None:
    handlers = handlers_of(make_feed(), Intake(ProducerMetrics("test")))

    assert {handler.stream.name for handler in handlers} == set(ALL_STREAMS)
    assert {handler.table for handler in handlers if handler.refillable} == {"recent_trades", "klines"}


def test_trades_and_closed_klines_are_never_conflated() -> None:
    by_table = handlers_of(make_feed(), Intake(ProducerMetrics("test"))).by_table

    assert by_table["recent_trades"].key(make_row(RecentTradesRow)) is None
    assert by_table["klines"].key(make_row(KlinesRow, closed=True)) is None
    assert by_table["klines"].key(make_row(KlinesRow, closed=False, open_time=5)) == ("BTCUSDT", "1m", "5")
    assert by_table["latest_prices"].key(make_row(LatestPricesRow)) == ("BTCUSDT",)


@pytest.mark.parametrize(
    ("stream", "settings", "pace_s"),
    [
        ("latestPrices", {"source": "websocket"}, 0),
        ("latestPrices", {"source": "rest", "period": "7s"}, 7),
        ("orderBook", {"source": "websocket", "interval": "5s"}, 5),
    ],
)
def test_the_expected_pace_of_rows_follows_from_the_feed(stream: str, settings: dict[str, str], pace_s: int) -> None:
    (handler,) = handlers_of(make_feed({stream: settings}), Intake(ProducerMetrics("test")))

    assert (handler.pace_s, handler.by_websocket) == (pace_s, settings["source"] == "websocket")


def lost_s(handlers: object, table: str) -> float | None:
    metrics: ProducerMetrics = next(iter(handlers))._out.metrics  # type: ignore[call-overload]
    return metrics.registry.get_sample_value("cryptocdc_producer_outage_seconds_total", {"table": table})


def test_the_first_row_after_a_takeover_ends_the_outage_of_an_unfillable_stream() -> None:
    handlers = handlers_of(make_feed(), Intake(ProducerMetrics("test")))
    handler = handlers.by_table["latest_prices"]
    handler.resume({"BTCUSDT": Stored(newest={"latest_prices": NOW - 60_000})})

    handler.take(make_row(LatestPricesRow, event_time=NOW), NOW)
    handler.take(make_row(LatestPricesRow, event_time=NOW + 60_000), NOW)

    assert lost_s(handlers, "latest_prices") == 60


def test_trades_without_ids_have_outages_instead_of_gaps() -> None:
    offers = {**BINANCE.offers} | {"recent_trades": Offer(("websocket",), Proof.ARRIVAL)}
    handlers = handlers_of(make_feed(), Intake(ProducerMetrics("test")), venue=replace(BINANCE, offers=offers))
    assert handlers.trades is not None
    handlers.trades.resume({"BTCUSDT": Stored(newest={"recent_trades": NOW - 60_000})})
    handlers.trades.begin("BTCUSDT", Stored())

    handlers.trades.take(make_row(RecentTradesRow, trade_time=NOW), NOW)

    assert lost_s(handlers, "recent_trades") == 60
    assert not handlers.trades.refillable


def test_trades_whose_ids_are_not_consecutive_are_not_searched_for_gaps() -> None:
    refill = Refill("trade_id", frozenset({"trade"}))
    offers = {**BINANCE.offers} | {"recent_trades": Offer(("websocket",), Proof.IDS, refill)}
    venue = replace(BINANCE, offers=offers)
    for kind, searched in (("aggregate", False), ("trade", True)):
        gaps: list[Gap] = []
        streams = {"recentTrades": {"kind": kind}}
        handlers = handlers_of(make_feed(streams), Intake(ProducerMetrics("test")), gaps, venue=venue)
        assert handlers.trades is not None
        handlers.trades.begin("BTCUSDT", Stored())
        for trade_id in (7, 12):
            handlers.trades.take(make_row(RecentTradesRow, trade_id=trade_id, trade_time=NOW + trade_id), NOW)

        assert bool(gaps) is searched
        assert handlers.trades.refillable is searched
        assert ("recent_trades" in venue.not_refillable(make_feed(streams).spec.streams)) is not searched
