"""The page's tables keep their elements and their order, and its panels show what rows say: the page's own modules, run
by Node if installed."""

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


PERPETUAL = """
const section = new Element("section"), note = new Element("p");
const figures = new Element("dl"), body = new Element("tbody");
note.className = "note";
section.append(figures, body, note);
const panel = panels.perpetual(section);
const mark = (more) => ({ mark_price: "50000.10", index_price: "49990", funding_rate: "0.0001",
  next_funding_time_ms: 8 * 3600 * 1000, ...more });
const texts = () => figures.children.map((pair) => pair.children.map((one) => one.textContent));
"""


def test_the_figures_of_a_perpetual_are_shown_as_reported() -> None:
    script = """
    panel.mark(mark());
    panel.interest({ open_interest: "12345.500" });
    show(texts());
    """
    assert run("perpetual", PERPETUAL + script) == [
        ["Mark price", "50,000.1"],
        ["Index price", "49,990"],
        ["Funding rate", "0.0100 %"],
        ["Next funding", "08:00:00 UTC"],
        ["Open interest", "12,345.5"],
    ]


def test_what_the_exchange_does_not_report_of_a_perpetual_is_a_dash() -> None:
    script = """
    panel.mark(mark({ index_price: null, funding_rate: null, next_funding_time_ms: null }));
    const without = texts();
    panel.clear();
    show([without, texts()]);
    """
    assert run("perpetual", PERPETUAL + script) == [
        [["Mark price", "50,000.1"], ["Index price", "–"], ["Funding rate", "–"], ["Next funding", "–"]],
        [],
    ]


def test_liquidations_are_listed_once_newest_first() -> None:
    script = """
    const row = (second, liquidation_id, side) => ({ trade_time_ms: 1000 * second, liquidation_id, side, price: "2",
      quantity: "0.50" });
    panel.clear();
    const before = note.textContent;
    panel.liquidations([row(1, "a", "buy"), row(2, "b", "sell")]);
    panel.liquidations([row(2, "b", "sell"), row(3, "c", "buy")]);
    show([before, note.textContent, body.rows.map((one) => one.cells.map((cell) => cell.textContent)),
      body.rows[0].cells[1].className]);
    """
    assert run("perpetual", PERPETUAL + script) == [
        "no liquidation was reported",
        "positions that the exchange closed, newest first",
        [["00:00:03", "buy", "2", "0.5"], ["00:00:02", "sell", "2", "0.5"], ["00:00:01", "buy", "2", "0.5"]],
        "up",
    ]


QUOTE = """
const button = new Element("button"), panel = panels.quote(button);
const row = (more) => ({ event_time_ms: 1000, bid_price: "99.50", bid_quantity: "2", ask_price: "100.125",
  ask_quantity: "1000", ...more });
const shown = (made) => { panel.show(made); return document.getElementById("quote-values").textContent; };
"""


def test_a_quote_is_shown_with_its_spread_in_the_prices_decimals() -> None:
    script = """
    const first = shown(row());
    show([first, button.hidden, shown(row({ event_time_ms: 999, bid_price: "1" })) === first]);
    """
    assert run("quote", QUOTE + script) == ["bid 99.500 × 2, ask 100.125 × 1,000, spread 0.625", False, True]


def test_a_quote_without_one_side_has_no_spread() -> None:
    script = """
    show([shown(row({ ask_price: null, ask_quantity: null })), shown(row({ bid_price: null, bid_quantity: null }))]);
    """
    assert run("quote", QUOTE + script) == ["bid 99.50 × 2, no ask", "no bid, ask 100.125 × 1,000"]


def test_the_pipelines_streams_say_how_their_completeness_is_known() -> None:
    script = """
    const row = (table) => ({ table, frames_rate: 1, postgres_rate: 1, kafka_rate: 1, cassandra_rate: 1, cassandra: 5,
      lag: 0, p50_s: 0.1, p99_s: 0.2 });
    const rows = ["", "recent_trades", "bars"].map(row);
    globalThis.fetch = async () => ({ ok: true, status: 200, json: async () => rows });
    await panels.showPipeline({ completeness: { recent_trades: "ids" }, sink_engine: "consumer" });
    const streams = document.getElementById("streams").rows;
    show(streams.map((one) => [one.cells[0].textContent, one.cells.at(-1).textContent]));
    """
    assert run("pipeline", script) == [["recent trades", "ids"], ["bars", "–"]]
