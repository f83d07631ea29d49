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
const { drawn, marks } = await import(`./vendor/lightweight-charts.mjs`);
const { candleChart, priceChart } = await import(`./panels/charts.js`);
const prices = { open: "2", high: "2", low: "2", close: "2", volume: "1", trade_count: 1 };
const candle = (symbol, minute) => ({ ...prices, symbol, open_time: "", open_time_ms: 60_000 * minute });
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


def test_an_anomaly_is_marked_at_its_candle_and_taken_back_by_a_correction(tmp_path: Path) -> None:
    script = """
    const found = (minute, kind, anomaly = true) =>
      ({ open_time_ms: 60_000 * minute, kind, anomaly, reason: `${kind} stands out` });
    const chart = candleChart(element, note, button, () => {}), seen = [];
    const see = () => seen.push([marks.map((one) => one.time), note.textContent.split("  ! ").slice(1)]);
    chart.anomalies([found(1, "price"), found(2, "price"), found(2, "volume"), found(3, "price")]);
    see();
    chart.set([candle("BTCUSDT", 1), candle("BTCUSDT", 2)], false);
    see();
    chart.anomalies([found(2, "price", false), found(1, "spread", false)]);
    see();
    chart.anomalies([found(2, "volume", false)]);
    see();
    chart.update([candle("BTCUSDT", 3)]);
    chart.anomalies([found(1, "price", false)]);
    see();
    show(seen);
    """
    assert run(tmp_path, script) == [
        [[], []],  # no candle yet
        [[60, 120], ["price stands out", "volume stands out"]],
        [[60, 120], ["volume stands out"]],
        [[60], []],
        [[180], ["price stands out"]],
    ]


def test_a_forecast_is_a_band_around_the_start_of_its_candle(tmp_path: Path) -> None:
    script = """
    const forecast = (minute, lower, upper) => ({ open_time_ms: 60_000 * minute, lower, upper });
    const chart = candleChart(element, note, button, () => {}), [, , lower, upper] = drawn, seen = [];
    const see = () => seen.push([lower, upper].map(({ data }) => data.map(({ time, value }) => [time, value])));
    chart.set([candle("BTCUSDT", 1)], false);
    chart.forecasts([forecast(2, "-0.5", "0.25"), forecast(1, "-0.25", "0.5"), forecast(0, "-0.1", "0.1")]);
    see();
    chart.update([{ ...candle("BTCUSDT", 2), open: "4" }]);
    see();
    chart.forecasts([forecast(1, null, null), forecast(2, "-0.25", "0.25")]);
    see();
    chart.forecasts([], true);
    see();
    show(seen);
    """
    assert run(tmp_path, script) == [
        [[[60, 1.5]], [[60, 3]]],
        [[[60, 1.5], [120, 2]], [[60, 3], [120, 5]]],
        [[[120, 3]], [[120, 5]]],
        [[], []],
    ]
