// What only perpetual contracts have: mark price, funding, open interest, liquidations.

import { cells, terms } from "../dom.js";
import { clock, decimal } from "../format.js";

const KEPT = 30;

export function perpetual(section) {
  const figures = section.querySelector("dl"), body = section.querySelector("tbody"), note = section.querySelector(".note");
  let mark = null, interest = null, closed = [];

  const funding = () => (mark.funding_rate == null ? "–" : `${(Number(mark.funding_rate) * 100).toFixed(4)} %`);

  function draw() {
    terms(figures, [
      ...(mark ? [["Mark price", decimal(mark.mark_price)], ["Index price", decimal(mark.index_price)], ["Funding rate", funding()],
        ["Next funding", mark.next_funding_time_ms == null ? "–" : `${clock(mark.next_funding_time_ms)} UTC`]] : []),
      ...(interest ? [["Open interest", decimal(interest.open_interest)]] : []),
    ]);
    cells(body, closed.map((row) => [clock(row.trade_time_ms), { text: row.side, side: row.side === "buy" ? "up" : "down" }, decimal(row.price), decimal(row.quantity)]));
    note.textContent = closed.length ? "positions that the exchange closed, newest first" : "no liquidation was reported";
  }

  return {
    // The displayed rows, if any.
    shown: () => ({ mark, interest, closed }),
    clear() { mark = interest = null; closed = []; draw(); },
    mark(row) { mark = row; draw(); },
    interest(row) { interest = row; draw(); },
    liquidations(rows) {
      const known = new Map([...closed, ...rows].map((row) => [`${row.trade_time_ms} ${row.liquidation_id}`, row]));
      closed = [...known.values()].sort((a, b) => b.trade_time_ms - a.trade_time_ms).slice(0, KEPT);
      draw();
    },
  };
}
