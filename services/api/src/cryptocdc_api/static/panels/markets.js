// The most traded symbols and the biggest gainers. Each symbol is a button that selects it.

import { get } from "../api.js";
import { cells } from "../dom.js";
import { change, decimal, short } from "../format.js";

const DAY_MS = 86_400_000, NO_STATISTICS = "No statistics in the last 24 hours.";

export function markets(pick) {
  const traded = document.getElementById("traded"), gains = document.getElementById("gains");

  function show(body, rows, extra) {
    if (body.querySelector(".empty")) body.replaceChildren(); // its cell spans all columns
    cells(body, rows.map((row) => {
      const moved = change(row.price_change_percent);
      return [null, decimal(row.last_price, 2), { text: moved.text, side: moved.side }, ...extra(row)];
    }));
    rows.forEach((row, at) => {
      const cell = body.rows[at].cells[0];
      let button = cell.firstElementChild;
      if (!button) {
        button = document.createElement("button");
        button.type = "button";
        button.addEventListener("click", () => pick(button.textContent));
        cell.replaceChildren(button);
      }
      if (button.textContent !== row.symbol) button.textContent = row.symbol;
    });
  }

  function none(body, why) {
    body.replaceChildren();
    const cell = body.insertRow().insertCell();
    cell.colSpan = 4;
    cell.className = "empty";
    cell.textContent = why;
  }

  // Symbols whose exchange does not report the figure are not ranked.
  async function why(column, figure, otherwise) {
    const recent = (await get("crypto_24h_stats")).filter((row) => row.event_time_ms > Date.now() - DAY_MS);
    if (!recent.length) return NO_STATISTICS;
    return recent.every((row) => row[column] == null) ? `The exchange does not report ${figure}.` : otherwise;
  }

  return async () => {
    const [most, best] = await Promise.all([get("top", { by: "trades", n: 10 }), get("top", { by: "gain", n: 5 })]);
    if (most.length) show(traded, most, (row) => [short(row.trade_count)]);
    else none(traded, await why("trade_count", "numbers of trades", NO_STATISTICS));
    if (best.length) show(gains, best, () => []);
    else none(gains, await why("price_change_percent", "changes of the price", "No gainers in the last 24 hours."));
  };
}
