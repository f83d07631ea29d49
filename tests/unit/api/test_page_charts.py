"""What the page's charts show of which symbol: the page's own module with a stand-in for the charts' library."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api.page import copy_page

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed")

BROWSER = """
globalThis.document = { documentElement: null, querySelector: () => null };
globalThis.getComputedStyle = () => ({ getPropertyValue: () => "#000000" });
globalThis.matchMedia = () => ({ addEventListener() {} });
const element = { clientWidth: 100 }, note = {}, button = { addEventListener() {} };
const { drawn } = await import(`./vendor/lightweight-charts.mjs`);
const { candleChart, priceChart } = await import(`./panels/charts.js`);
"""


def run(folder: Path, script: str) -> Any:
    """Return what the script gives to `show`."""
    assert NODE is not None
    copy_page(folder)
    begin = f"{BROWSER} const show = (value) => console.log(JSON.stringify(value));"
    (folder / "test.mjs").write_text(begin + script, encoding="utf-8")
    ran = subprocess.run([NODE, folder / "test.mjs"], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(ran.stdout)


def test_candles_of_another_symbol_are_removed_before_its_own_arrive(tmp_path: Path) -> None:
    """Regression: while its history could not be read, a new symbol's candles were added to those of the last one."""
    script = """
    const prices = { open: "2", high: "2", low: "2", close: "2", volume: "1", trade_count: 1 };
    const candle = (symbol, minute) => ({ ...prices, symbol, open_time: "", open_time_ms: 60_000 * minute });
    const chart = candleChart(element, note, button, () => {}), [candles] = drawn;
    chart.forecasts([{ open_time_ms: 60_000, lower: "-0.1", upper: "0.1" }]);
    chart.set([candle("BTCUSDT", 1)], false);
    chart.clear();
    const words = note.textContent;
    chart.update([candle("ETHUSDT", 2)]);
    show([words, candles.data.map((one) => one.time), drawn[3].data]);
    """
    assert run(tmp_path, script) == ["no candles yet", [120], []]


def test_prices_of_another_symbol_are_removed_before_its_own_arrive(tmp_path: Path) -> None:
    script = """
    const price = (symbol, second) => ({ symbol, price: "2", event_time_ms: 1000 * second });
    const chart = priceChart(element, () => {}), [line] = drawn;
    chart.set([price("BTCUSDT", 5)]);
    chart.clear();
    chart.update(price("ETHUSDT", 3));
    show(line.data.map((one) => one.time));
    """
    assert run(tmp_path, script) == [3]
