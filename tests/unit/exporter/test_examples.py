"""The loaders in examples/research, each where its library is installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from tests.unit.exporter.made import rows_of
from tests.unit.exporter.world import HOUR, World

from cryptocdc_core.catalogue.streams import KLINES, ORDER_BOOK, RECENT_TRADES

EXAMPLES = Path(__file__).parents[3] / "examples" / "research"


def loader(name: str, library: str) -> ModuleType:
    pytest.importorskip(library, reason=f"{library} is not installed; docs/research.md says which version was tried")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def trades() -> list[dict[str, Any]]:
    """Four a second for two minutes."""
    return [
        row | {"trade_id": n, "trade_time": HOUR + n * 250, "received_at": HOUR + n * 250 + 30,
               "price": f"{100 + n % 7}.50", "quantity": f"0.{1 + n % 9}00", "buyer_is_maker": n % 3 == 0}
        for n, row in enumerate(rows_of(RECENT_TRADES, 480, nulls=False, start=HOUR))
    ]  # fmt: skip


def candles() -> list[dict[str, Any]]:
    prices = {"open": "100.50", "high": "106.50", "low": "100.50", "close": "103.50", "volume": "119.700"}
    return [
        row | prices | {"interval": "1m", "open_time": HOUR + n * 60_000, "close_time": HOUR + n * 60_000 + 59_999,
                        "received_at": HOUR + n * 60_000 + 60_050, "closed": n < 2}
        for n, row in enumerate(rows_of(KLINES, 3, nulls=False, start=HOUR))
    ]  # fmt: skip


def books() -> list[dict[str, Any]]:
    levels = {"bid_prices": ["100.00", "99.50"], "bid_quantities": ["1.0", "2.0"], "ask_prices": ["100.50", "101.00"],
              "ask_quantities": ["3.0", "4.0"]}  # fmt: skip
    return [
        row | levels | {"bucket_time": HOUR + n * 1000, "event_time": HOUR + n * 1000 + 900,
                        "received_at": HOUR + n * 1000 + 950}
        for n, row in enumerate(rows_of(ORDER_BOOK, 120, nulls=False, start=HOUR))
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[str]:
    world = World(tmp_path / "out")
    world.request["unproven"] = True
    for stream, rows in ((RECENT_TRADES, trades()), (KLINES, candles()), (ORDER_BOOK, books())):
        world.tables.put(stream, rows)
        world.export([], stream=stream)
    yield str(world.out)
    world.background.shutdown()


def test_polars_makes_candles_of_trades(folder: str) -> None:
    made = loader("with_polars", "polars").candles(folder, "BTCUSDT")
    first = made.row(0, named=True)
    assert (made.height, first["open"], first["high"], first["trades"]) == (2, Decimal("100.5"), Decimal("106.5"), 240)
    assert first["volume"] == sum(Decimal(row["quantity"]) for row in trades()[:240])


def test_nautilus_trader_gets_trade_ticks_and_bars(folder: str) -> None:
    module = loader("with_nautilus", "nautilus_trader")
    ticks = list(module.trade_ticks(folder, "BTCUSDT", "BINANCE"))
    assert [str(tick.trade_id) for tick in ticks] == [str(n) for n in range(480)]
    assert (str(ticks[0].price), str(ticks[0].size), ticks[0].ts_event) == ("100.5", "0.1", HOUR * 1_000_000)
    assert (ticks[0].aggressor_side.name, ticks[1].aggressor_side.name) == ("SELLER", "BUYER")
    bars = list(module.bars(folder, "BTCUSDT", "BINANCE"))
    assert [(str(bar.high), str(bar.volume)) for bar in bars] == [("106.5", "119.7")] * 2


def test_hftbacktest_gets_events_it_can_replay(folder: str) -> None:
    module = loader("with_hftbacktest", "hftbacktest")
    import hftbacktest

    data = module.events(folder, "BTCUSDT")
    assert len(data) == 480 + 120 * 6
    asset = (
        hftbacktest.BacktestAsset().data(data).linear_asset(1.0).constant_order_latency(0, 0)
        .risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(0.0, 0.0)
        .tick_size(0.5).lot_size(0.1)
    )  # fmt: skip
    replay = hftbacktest.HashMapMarketDepthBacktest([asset])
    assert replay.elapse(30_000_000_000) == 0
    depth = replay.depth(0)
    assert (depth.best_bid, depth.best_ask) == (100.0, 100.5)
    replay.close()
