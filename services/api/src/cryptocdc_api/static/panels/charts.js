// Candles with their volume, and the price as a line.

import { AreaSeries, CandlestickSeries, HistogramSeries, LineSeries, createChart, createSeriesMarkers } from "../vendor/lightweight-charts.mjs";
import { decimal, fixed, places, short } from "../format.js";
import { bandOf } from "./forecast.js";
import { colours, onTheme } from "../theme.js";

const SPAN_S = 15 * 60;

function chart(element) {
  // The logo needs an inline style sheet, which the page's policy blocks; the attribution is in the footer.
  const made = createChart(element, { autoSize: true, layout: { attributionLogo: false } });
  const style = () => {
    const c = colours();
    made.applyOptions({
      layout: { background: { color: "transparent" }, textColor: c.dim, fontFamily: "system-ui, sans-serif", fontSize: 12 },
      grid: { vertLines: { color: c.soft }, horzLines: { color: c.soft } },
      rightPriceScale: { borderColor: c.rule },
      timeScale: { borderColor: c.rule, timeVisible: true, secondsVisible: false, rightOffset: 3 },
      handleScroll: { vertTouchDrag: false },
    });
    return c;
  };
  return [made, style];
}

// The decimals of a market's prices: those of the longest one displayed so far.
function digitsOf(series) {
  let digits = 0;
  const apply = (found) => {
    digits = found;
    series.applyOptions({ priceFormat: { type: "custom", minMove: 10 ** -digits, formatter: (price) => fixed(price, digits) } });
  };
  apply(2);
  return {
    get: () => digits,
    clear() { apply(2); },
    see(texts) { const most = Math.max(digits, ...texts.map(places)); if (most > digits) apply(most); },
  };
}

// `open` is called with the row of a clicked candle, and by `button` with the one selected by arrow keys.
export function candleChart(element, note, button, open) {
  const [made, style] = chart(element);
  const candles = made.addSeries(CandlestickSeries, { borderVisible: false });
  const volume = made.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
  made.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.22 } });
  const marks = createSeriesMarkers(candles, []);
  const edge = () => made.addSeries(LineSeries, { lineWidth: 1, lineStyle: 2, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false });
  const lower = edge(), upper = edge();
  let predicted = new Map(); // forecasts, by open time
  let found = new Map(); // anomalies, by open time and kind
  let shown = new Map(), last = null, chosen = null, traceable = true, seconds = false, c = {};
  const digits = digitsOf(candles), prices = (row) => [row.open, row.high, row.low, row.close];

  const bar = (row) => ({ time: row.open_time_ms / 1000, open: +row.open, high: +row.high, low: +row.low, close: +row.close });
  const column = (row) => ({ time: row.open_time_ms / 1000, value: +row.volume, color: (+row.close >= +row.open ? c.up : c.down) + "66" });
  const restyle = () => {
    c = style();
    made.applyOptions({ timeScale: { secondsVisible: seconds } });
    candles.applyOptions({ upColor: c.up, downColor: c.down, wickUpColor: c.up, wickDownColor: c.down });
    for (const one of [lower, upper]) one.applyOptions({ color: c.accent });
    volume.setData([...shown.values()].map(column));
    mark();
  };
  // The interval of each window's return, around the price that its candle began with.
  const band = () => {
    const bands = [...predicted.values()].sort((a, b) => a.open_time_ms - b.open_time_ms).flatMap((row) => bandOf(row, shown.get(row.open_time_ms)) ?? []);
    lower.setData(bands.map(({ time, low }) => ({ time, value: low })));
    upper.setData(bands.map(({ time, high }) => ({ time, value: high })));
  };
  // One mark a candle, however many kinds stand out.
  const mark = () => {
    const times = [...new Set([...found.values()].map((row) => row.open_time_ms))].filter((at) => shown.has(at)).sort((a, b) => a - b);
    marks.setMarkers(times.map((at) => ({ time: at / 1000, position: "aboveBar", shape: "circle", color: c.accent, text: "!" })));
  };
  restyle();
  onTheme(restyle);

  function tell() {
    button.hidden = !last || !traceable;
    if (!last) { note.textContent = "no candles yet"; return; }
    const row = shown.get(chosen) ?? last, d = digits.get();
    const when = chosen === null ? "" : `${row.open_time.slice(0, 16).replace("T", " ")}  `;
    const why = [...found.values()].filter((one) => one.open_time_ms === row.open_time_ms).map((one) => `  ! ${one.reason}`).join("");
    note.textContent = `${when}open ${decimal(row.open, d)}  high ${decimal(row.high, d)}  low ${decimal(row.low, d)}  close ${decimal(row.close, d)}  volume ${short(row.volume)}  trades ${short(row.trade_count)}${why}`;
  }

  // null: the newest
  function choose(at) {
    chosen = at;
    if (at === null) made.clearCrosshairPosition();
    else made.setCrosshairPosition(+shown.get(at).close, at / 1000, candles);
    tell();
  }

  // A candle is narrower than a fingertip, so a tap next to it counts.
  made.subscribeClick(({ logical }) => {
    const times = [...shown.keys()].sort((a, b) => a - b), at = Math.max(0, Math.min(logical, times.length - 1));
    if (times.length && Math.abs(at - logical) <= 2) open(shown.get(times[at]));
  });
  button.addEventListener("click", () => open(shown.get(chosen) ?? last));
  button.addEventListener("blur", () => { if (!document.querySelector("dialog[open]")) choose(null); });
  button.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !last) return;
    event.preventDefault();
    const times = [...shown.keys()].sort((a, b) => a - b);
    const at = times.indexOf(chosen ?? last.open_time_ms) + step;
    if (at >= 0) choose(at >= times.length - 1 ? null : times[at]);
  });

  return {
    // Bars are computed: they have not passed the hops of a captured row, which is what a trace shows.
    shows(series) {
      traceable = series?.table !== "bars";
      seconds = series?.interval.endsWith("s") ?? false;
      restyle();
    },
    set(rows, keepView) {
      const ordered = [...rows].sort((a, b) => a.open_time_ms - b.open_time_ms);
      shown = new Map(ordered.map((row) => [row.open_time_ms, row]));
      if (!shown.has(chosen)) chosen = null;
      last = ordered.at(-1) ?? null;
      if (!keepView) digits.clear();
      digits.see(ordered.slice(-50).flatMap(prices));
      candles.setData(ordered.map(bar));
      volume.setData(ordered.map(column));
      mark();
      band();
      if (!keepView) made.timeScale().setVisibleLogicalRange({ from: ordered.length - element.clientWidth / 10, to: ordered.length + 2 });
      tell();
    },
    clear() { found = new Map(); predicted = new Map(); this.set([], true); },
    // Rows of the table anomalies. A corrected window may take one back.
    anomalies(rows, replace = false) {
      if (replace) found = new Map();
      for (const row of rows) {
        const key = `${row.open_time_ms} ${row.kind}`;
        if (row.anomaly) found.set(key, row); else found.delete(key);
      }
      mark();
      tell();
    },
    // Rows of the table forecasts: each comes again once its window is over.
    forecasts(rows, replace = false) {
      if (replace) predicted = new Map();
      for (const row of rows) predicted.set(row.open_time_ms, row);
      band();
    },
    // Rows as they arrive: older ones, as of a gap that is filled, need the whole chart to be drawn again, once.
    update(rows) {
      const ordered = [...rows].sort((a, b) => a.open_time_ms - b.open_time_ms);
      const older = last && ordered.length && ordered[0].open_time_ms < last.open_time_ms;
      for (const row of ordered) {
        const begins = !shown.has(row.open_time_ms);
        shown.set(row.open_time_ms, row);
        if (older) continue;
        last = row;
        digits.see(prices(row));
        candles.update(bar(row));
        volume.update(column(row));
        if (begins) band();
        tell();
      }
      if (older) this.set([...shown.values()], true);
    },
  };
}

// `open` is called with the row of the clicked second.
export function priceChart(element, open) {
  const [made, style] = chart(element);
  const line = made.addSeries(AreaSeries, { lineWidth: 2, priceLineVisible: false });
  made.applyOptions({ timeScale: { secondsVisible: true }, handleScroll: false, handleScale: false });
  const restyle = () => {
    const c = style();
    made.applyOptions({ timeScale: { secondsVisible: true } });
    line.applyOptions({ lineColor: c.accent, topColor: c.accent + "38", bottomColor: c.accent + "00" });
  };
  restyle();
  onTheme(restyle);
  let oldest = 0, newest = 0, rowOf = new Map(), of = null;
  const digits = digitsOf(line);
  made.subscribeClick(({ time }) => open(rowOf.get(time)));
  const show = () => {
    if (newest > oldest) made.timeScale().setVisibleRange({ from: Math.max(oldest, newest - SPAN_S), to: newest });
  };
  const second = (row) => Math.floor(row.event_time_ms / 1000);

  return {
    set(rows) {
      rowOf = new Map([...rows].sort((a, b) => a.event_time_ms - b.event_time_ms).map((row) => [second(row), row]));
      if (rows.length && rows[0].symbol !== of) { digits.clear(); of = rows[0].symbol; }
      digits.see(rows.slice(0, 50).map((row) => row.price));
      line.setData([...rowOf].map(([time, row]) => ({ time, value: +row.price })));
      [oldest, newest] = [[...rowOf.keys()].at(0) ?? 0, [...rowOf.keys()].at(-1) ?? 0];
      show();
    },
    clear() { this.set([]); },
    update(row) {
      if (second(row) < newest) return;
      newest = second(row);
      oldest ||= newest;
      rowOf.set(newest, row);
      digits.see([row.price]);
      for (const time of rowOf.keys()) if (time < newest - SPAN_S) rowOf.delete(time); else break;
      line.update({ time: newest, value: +row.price });
      show();
    },
  };
}
