// Trades as they arrive, the newest first. The list pauses while the pointer or keyboard focus is in it or a trace is
// open, so that focus can return to the traced trade.

import { clock, decimal, places } from "../format.js";

const SHOWN = 60;

export function tape(body, note, open) {
  let seen = new Map(), rows = new Map(), held = [], digits = 2, pointed = false, following = false;

  const choosing = () => pointed || body.contains(document.activeElement) || (following && document.querySelector("dialog[open]"));
  const follow = (made) => { following = true; open(seen.get(made.dataset.id)); };
  const buttonOf = (made) => made?.cells[0].firstElementChild;

  function fill(made, trade) {
    const price = `${trade.buyer_is_maker ? "▼" : "▲"} ${decimal(trade.price, digits)}`;
    buttonOf(made).textContent = clock(trade.trade_time_ms);
    made.cells[1].textContent = price;
    made.cells[1].className = trade.buyer_is_maker ? "down" : "up";
    made.cells[2].textContent = decimal(trade.quantity);
    buttonOf(made).setAttribute("aria-label", `${clock(trade.trade_time_ms)}, ${trade.buyer_is_maker ? "sold" : "bought"} ${decimal(trade.quantity)} at ${decimal(trade.price, digits)}: trace this trade`);
  }

  function row(trade) {
    const made = document.createElement("tr"), button = document.createElement("button");
    made.dataset.id = trade.trade_id;
    button.type = "button";
    button.className = "plain";
    button.tabIndex = -1; // one trade is reached by Tab, the others by arrow keys
    made.insertCell().append(button);
    made.insertCell();
    made.insertCell();
    fill(made, trade);
    return made;
  }

  function reachable(chosen) {
    for (const made of body.rows) buttonOf(made).tabIndex = made === chosen ? 0 : -1;
  }

  function draw(come, fresh) {
    const before = digits;
    come.forEach((trade) => { seen.set(String(trade.trade_id), trade); digits = Math.max(digits, places(trade.price)); });
    const newest = [...seen.values()].sort((a, b) => b.trade_time_ms - a.trade_time_ms || b.trade_id - a.trade_id).slice(0, SHOWN);
    seen = new Map(newest.map((trade) => [String(trade.trade_id), trade]));
    // Rows that stay are not moved: a focused one would lose the focus.
    let next = body.firstElementChild;
    for (const trade of newest) {
      let made = rows.get(trade.trade_id);
      if (!made) {
        made = row(trade);
        if (fresh) made.className = "fresh";
        rows.set(trade.trade_id, made);
      } else if (digits !== before) fill(made, trade);
      if (made === next) next = next.nextElementSibling;
      else body.insertBefore(made, next);
    }
    while (next) {
      const gone = next;
      next = next.nextElementSibling;
      rows.delete(Number(gone.dataset.id));
      gone.remove();
    }
    if (!body.contains(document.activeElement)) reachable(body.rows[0]);
  }

  function release() {
    if (choosing()) return;
    following = false;
    note.textContent = "";
    if (held.length) draw(held, false);
    held = [];
  }

  const list = body.closest("table");
  list.addEventListener("pointerenter", (event) => { pointed = event.pointerType === "mouse"; });
  list.addEventListener("pointerleave", () => { pointed = false; release(); });
  list.addEventListener("focusout", () => setTimeout(release));
  body.addEventListener("click", (event) => { const made = event.target.closest("tr"); if (made) follow(made); });
  body.addEventListener("keydown", (event) => {
    const at = event.target.closest("tr");
    const to = { ArrowDown: at?.nextElementSibling, ArrowUp: at?.previousElementSibling, Home: body.firstElementChild, End: body.lastElementChild }[event.key];
    if (!to) return;
    event.preventDefault();
    reachable(to);
    buttonOf(to).focus();
  });

  return {
    clear() { seen = new Map(); rows = new Map(); held = []; note.textContent = ""; body.replaceChildren(); },
    // In any order; some may already be displayed.
    add(trades, fresh) {
      const come = trades.filter((trade) => !seen.has(String(trade.trade_id)));
      if (!come.length) return;
      if (choosing() && body.rows.length) {
        held = [...held, ...come].slice(-SHOWN);
        note.textContent = "paused while you choose";
        return;
      }
      release();
      draw(come, fresh);
    },
  };
}
