"""The page's tables keep their elements and their order: the page's own modules, run by Node if installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cryptocdc_api.routes.site import STATIC

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed")

BROWSER = Path(__file__).with_name("browser.mjs")


def run(panel: str, script: str) -> Any:
    """Return what the script gives to `show`; it may use the module `panel` as `panels`."""
    assert NODE is not None
    imports = f'import {{ Element }} from "{BROWSER.as_uri()}"; import * as panels from "{_panel(panel)}";'
    begin = f"{imports} const show = (value) => console.log(JSON.stringify(value));"
    ran = subprocess.run(
        [NODE, "--input-type=module", "-e", begin + script], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(ran.stdout)


def _panel(name: str) -> str:
    return (STATIC / "panels" / f"{name}.js").as_uri()


MARKETS = """
const row = (symbol) => ({ symbol, last_price: "1.5", price_change_percent: "2", trade_count: 7 });
let traded = [];
const json = (path) => (path.includes("by=trades") ? traded : []);
globalThis.fetch = async (path) => ({ ok: true, status: 200, json: async () => json(path) });
const step = panels.markets(() => {}), body = document.getElementById("traded");
"""


def test_a_symbol_of_the_ranking_stays_the_same_button() -> None:
    """Regression: each refresh made new buttons, so that the keyboard's focus was lost every three seconds."""
    script = """
    traded = [row("BTCUSDT"), row("ETHUSDT")];
    await step();
    const buttons = body.rows.map((one) => one.cells[0].firstElementChild);
    traded = [row("ETHUSDT"), row("BTCUSDT")];
    await step();
    show(body.rows.map((one, at) => [one.cells[0].firstElementChild === buttons[at], one.textContent]));
    """
    assert run("markets", MARKETS + script) == [[True, "ETHUSDT1.50▲ 2.00 %7"], [True, "BTCUSDT1.50▲ 2.00 %7"]]


def test_a_ranking_that_was_empty_has_ordinary_cells() -> None:
    """Regression: the first row kept the cell of the message, which spans all columns."""
    script = """
    await step();
    const message = body.textContent;
    traded = [row("BTCUSDT")];
    await step();
    show([message, body.rows[0].cells.map((cell) => cell.colSpan ?? 1)]);
    """
    assert run("markets", MARKETS + script) == ["No statistics in the last 24 hours.", [1, 1, 1, 1]]


def test_trades_are_listed_by_time_also_after_their_ids_have_restarted() -> None:
    """Regression: the list had the highest ids, so that trades with new, low ids never appeared."""
    script = """
    const table = new Element("table"), note = new Element("p"), body = new Element("tbody");
    table.append(body);
    const trade = (trade_id, second) => ({ trade_id, trade_time_ms: 1000 * second, price: "1", quantity: "1" });
    const list = panels.tape(body, note, () => {});
    list.add(Array.from({ length: 60 }, (_, at) => trade(9000 + at, at)));
    list.add([trade(1, 60), trade(2, 60)]);
    show([body.rows.length, body.rows.slice(0, 3).map((one) => one.dataset.id)]);
    """
    assert run("trades", script) == [60, [2, 1, 9059]]
