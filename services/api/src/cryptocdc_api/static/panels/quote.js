// The best bid and ask, and the spread.

import { text } from "../dom.js";
import { decimal, fixed, places } from "../format.js";

export function quote(button) {
  let shown = null;
  return {
    // The displayed row, if any.
    shown: () => shown,
    clear() { shown = null; button.hidden = true; text("quote-values", ""); },
    show(row) {
      if (shown && row.event_time_ms < shown.event_time_ms) return;
      shown = row;
      const prices = [row.bid_price, row.ask_price], digits = Math.max(2, ...prices.filter(Boolean).map(places));
      const side = (name, price, quantity) => (price == null ? `no ${name}` : `${name} ${decimal(price, digits)} × ${decimal(quantity)}`);
      const spread = prices.includes(null) ? "" : `, spread ${fixed(Number(row.ask_price) - Number(row.bid_price), digits)}`;
      text("quote-values", `${side("bid", row.bid_price, row.bid_quantity)}, ${side("ask", row.ask_price, row.ask_quantity)}${spread}`);
      button.hidden = false;
    },
  };
}
