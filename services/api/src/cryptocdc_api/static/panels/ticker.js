// The line at the top: the price and its 24-hour statistics.

import { terms, text } from "../dom.js";
import { change, decimal, places, short } from "../format.js";

export function ticker() {
  let stats = null, candle = null, newest = null, digits = 2, last = 0;
  const price = document.getElementById("price"), moved = document.getElementById("change");

  // Until there are enough candles, the range of the open one.
  function volatile() {
    if (!candle) return ["Volatility", "–"];
    const percent = (value) => `${Number(value).toFixed(3)} %`;
    return candle.volatility_percent == null
      ? [`Volatility, range of this ${candle.interval}`, percent(candle.range_percent)]
      : [`Volatility, ${candle.window} × ${candle.interval}`, percent(candle.volatility_percent)];
  }

  function figures() {
    if (!stats) { terms(document.getElementById("figures"), []); return; }
    const found = change(stats.price_change_percent);
    moved.textContent = found.text;
    moved.className = `plain change ${found.side}`;
    moved.hidden = false;
    moved.setAttribute("aria-label", `${found.spoken} in 24 hours, trace these statistics`);
    terms(document.getElementById("figures"), [
      ["24 h high", decimal(stats.high_price, digits)], ["24 h low", decimal(stats.low_price, digits)],
      ["24 h volume", short(stats.volume)], ["24 h quote volume", short(stats.quote_volume)],
      ["24 h trades", short(stats.trade_count)],
      volatile(),
    ]);
  }

  return {
    // The displayed rows, if any.
    shown: () => ({ price: newest, stats }),
    clear() { stats = candle = newest = null; last = 0; digits = 2; text("price", "–"); moved.textContent = ""; moved.hidden = true; figures(); },
    stats(row) { stats = row; figures(); },
    volatility(row) { candle = row; figures(); },
    price(row) {
      if (row.event_time_ms < last) return;
      last = row.event_time_ms;
      newest = row;
      digits = Math.max(digits, places(row.price));
      price.textContent = decimal(row.price, digits);
      document.title = `${price.textContent} ${row.symbol} – cryptocdc`;
    },
  };
}
