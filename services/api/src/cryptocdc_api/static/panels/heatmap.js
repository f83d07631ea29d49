// Resting quantity by time and price: bids in one colour, asks in another, stronger where there is more.

import { colours, onTheme } from "../theme.js";
import { clock, decimal, marks } from "../format.js";

const SLOT_MS = 10_000, WINDOW_MS = 15 * 60_000, RIGHT = 70, BOTTOM = 22;

export function heatmap(canvas, note) {
  let slots = new Map(), drawn = 0;

  function draw() {
    drawn = 0;
    const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d"), c = colours();
    pen.scale(scale, scale);
    pen.font = "12px system-ui, sans-serif";
    const times = [...slots.keys()].sort((a, b) => a - b);
    if (!times.length) {
      pen.fillStyle = c.dim;
      pen.fillText("no order book yet", 0, 20);
      return;
    }
    const bins = times.flatMap((time) => slots.get(time));
    const full = bins.filter((bin) => bin.bid || bin.ask);
    // The outermost bins of a few books would compress all others.
    const lows = full.map((bin) => bin.low).sort((a, b) => a - b), highs = full.map((bin) => bin.high).sort((a, b) => a - b);
    const low = lows[Math.floor(lows.length * 0.01)], high = highs[Math.ceil(highs.length * 0.99) - 1];
    const most = full.map((bin) => Math.max(bin.bid, bin.ask)).sort((a, b) => a - b)[Math.ceil(full.length * 0.98) - 1] || 1;
    const prices = marks(low, high, 5);
    const right = Math.max(RIGHT, ...prices.map((mark) => pen.measureText(mark.text).width + 16));
    const end = times.at(-1) + SLOT_MS, start = Math.max(times[0], end - WINDOW_MS);
    const x = (time) => ((time - start) / (end - start)) * (width - right);
    const y = (price) => (1 - (price - low) / (high - low)) * (height - BOTTOM);

    const snap = (at) => Math.round(at * scale) / scale; // adjacent cells neither overlap nor leave a gap

    pen.save();
    pen.beginPath();
    pen.rect(0, 0, width - right, height - BOTTOM);
    pen.clip();
    for (const time of times) {
      const left = snap(x(time)), right = snap(x(time + SLOT_MS));
      for (const bin of slots.get(time)) {
        const top = snap(y(bin.high)), under = snap(y(bin.low));
        for (const [quantity, colour] of [[bin.bid, c.up], [bin.ask, c.down]]) {
          if (!quantity) continue;
          pen.globalAlpha = 0.08 + 0.87 * Math.sqrt(Math.min(1, quantity / most));
          pen.fillStyle = colour;
          pen.fillRect(left, top, right - left, under - top);
        }
      }
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = c.ink;
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (const time of times) {
      const full = slots.get(time);
      const bid = Math.max(...full.filter((bin) => bin.bid).map((bin) => bin.high)), ask = Math.min(...full.filter((bin) => bin.ask).map((bin) => bin.low));
      if (Number.isFinite(bid + ask)) pen.lineTo(x(time + SLOT_MS / 2), y((bid + ask) / 2));
    }
    pen.stroke();
    pen.restore();

    pen.globalAlpha = 1;
    pen.fillStyle = c.dim;
    pen.strokeStyle = c.rule;
    pen.textBaseline = "middle";
    for (const { value, text } of prices) pen.fillText(text, width - right + 8, Math.min(Math.max(y(value), 7), height - BOTTOM - 7));
    pen.textBaseline = "bottom";
    const parts = Math.max(2, Math.floor(width / 140));
    for (let step = 0; step < parts; step++) pen.fillText(clock(start + ((end - start) * step) / parts), x(start + ((end - start) * step) / parts), height);
    pen.strokeRect(0.5, 0.5, width - right - 1, height - BOTTOM - 1);
    canvas.dataset.prices = prices.map((mark) => mark.text).join(" ");
  }

  const redraw = () => { drawn ||= requestAnimationFrame(draw); };
  new ResizeObserver(redraw).observe(canvas);
  onTheme(redraw);

  return {
    clear() { slots = new Map(); redraw(); },
    newest: () => Math.max(0, ...slots.keys()),
    add(rows) {
      for (const row of rows) {
        if (!slots.has(row.bucket_time_ms)) slots.set(row.bucket_time_ms, []);
        slots.get(row.bucket_time_ms)[row.bin] = { text: row.price_low, low: +row.price_low, high: +row.price_high, bid: +row.bid_quantity, ask: +row.ask_quantity };
      }
      const newest = Math.max(0, ...slots.keys());
      for (const time of slots.keys()) if (time <= newest - WINDOW_MS) slots.delete(time);
      const last = (slots.get(newest) ?? []).filter(Boolean);
      const heaviest = (what) => last.reduce((a, b) => (b[what] > (a?.[what] ?? 0) ? b : a), null);
      const bid = heaviest("bid"), ask = heaviest("ask");
      note.textContent = bid && ask ? `resting quantity by price, every 10 seconds; largest bid near ${decimal(bid.text)}, largest ask near ${decimal(ask.text)}` : "resting quantity by price, every 10 seconds";
      redraw();
    },
    window: WINDOW_MS,
  };
}
