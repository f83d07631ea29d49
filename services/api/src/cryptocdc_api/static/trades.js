// Trades as they come, the newest on top.

import { clock, decimal, places } from "./format.js";

const SHOWN = 60;

export function tape(body) {
  let seen = new Map(), digits = 2;

  function row(trade) {
    const made = document.createElement("tr");
    const side = trade.buyer_is_maker ? "down" : "up";
    const price = `${trade.buyer_is_maker ? "▼" : "▲"} ${decimal(trade.price, digits)}`;
    [[clock(trade.trade_time_ms), ""], [price, side], [decimal(trade.quantity), ""]].forEach(([value, name]) => {
      const cell = made.insertCell();
      cell.textContent = value;
      cell.className = name;
    });
    return made;
  }

  return {
    clear() { seen = new Map(); body.replaceChildren(); },
    // In any order, those that were shown before among them.
    add(trades, fresh) {
      const come = trades.filter((trade) => !seen.has(trade.trade_id));
      if (!come.length) return;
      come.forEach((trade) => { seen.set(trade.trade_id, trade); digits = Math.max(digits, places(trade.price)); });
      const newest = [...seen.values()].sort((a, b) => b.trade_id - a.trade_id).slice(0, SHOWN);
      seen = new Map(newest.map((trade) => [trade.trade_id, trade]));
      const isNew = new Set(come.map((trade) => trade.trade_id));
      body.replaceChildren(...newest.map((trade) => {
        const made = row(trade);
        if (fresh && isNew.has(trade.trade_id)) made.className = "fresh";
        return made;
      }));
    },
  };
}
