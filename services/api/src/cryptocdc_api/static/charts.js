// Candles with their volume, and the price as a line.

import { AreaSeries, CandlestickSeries, HistogramSeries, createChart } from "./vendor/lightweight-charts.mjs";
import { decimal, places, short } from "./format.js";
import { colours, onTheme } from "./theme.js";

const SPAN_S = 15 * 60;

function chart(element) {
  // The logo would bring a style sheet of its own, which the page's policy refuses; the notice stands in the footer.
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

const priceFormat = (digits) => ({
  type: "custom", minMove: 10 ** -digits,
  formatter: (price) => price.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }),
});

export function candleChart(element, note) {
  const [made, style] = chart(element);
  const candles = made.addSeries(CandlestickSeries, { borderVisible: false });
  const volume = made.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
  made.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.22 } });
  let shown = new Map(), last = null, c = {};

  const bar = (row) => ({ time: row.open_time_ms / 1000, open: +row.open, high: +row.high, low: +row.low, close: +row.close });
  const column = (row) => ({ time: row.open_time_ms / 1000, value: +row.volume, color: (+row.close >= +row.open ? c.up : c.down) + "66" });
  const restyle = () => {
    c = style();
    candles.applyOptions({ upColor: c.up, downColor: c.down, wickUpColor: c.up, wickDownColor: c.down });
    volume.setData([...shown.values()].map(column));
  };
  restyle();
  onTheme(restyle);

  function tell() {
    if (!last) { note.textContent = "no candle yet"; return; }
    const d = places(last.close);
    note.textContent = `open ${decimal(last.open, d)}  high ${decimal(last.high, d)}  low ${decimal(last.low, d)}  close ${decimal(last.close, d)}  volume ${short(last.volume)}  trades ${short(last.trade_count)}`;
  }

  return {
    set(rows, keepView) {
      const ordered = [...rows].sort((a, b) => a.open_time_ms - b.open_time_ms);
      shown = new Map(ordered.map((row) => [row.open_time_ms, row]));
      last = ordered.at(-1) ?? null;
      candles.applyOptions({ priceFormat: priceFormat(Math.max(2, ...ordered.slice(-50).map((row) => Math.max(places(row.close), places(row.low))))) });
      candles.setData(ordered.map(bar));
      volume.setData(ordered.map(column));
      if (!keepView) made.timeScale().setVisibleLogicalRange({ from: ordered.length - element.clientWidth / 10, to: ordered.length + 2 });
      tell();
    },
    update(row) {
      shown.set(row.open_time_ms, row);
      if (last && row.open_time_ms < last.open_time_ms) { this.set([...shown.values()], true); return; }
      last = row;
      candles.update(bar(row));
      volume.update(column(row));
      tell();
    },
  };
}

export function priceChart(element) {
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
  let oldest = 0, newest = 0;
  const show = () => {
    if (newest > oldest) made.timeScale().setVisibleRange({ from: Math.max(oldest, newest - SPAN_S), to: newest });
  };
  const second = (row) => Math.floor(row.event_time_ms / 1000);

  return {
    set(rows) {
      const bySecond = new Map([...rows].sort((a, b) => a.event_time_ms - b.event_time_ms).map((row) => [second(row), +row.price]));
      line.applyOptions({ priceFormat: priceFormat(Math.max(2, ...rows.slice(0, 50).map((row) => places(row.price)))) });
      line.setData([...bySecond].map(([time, value]) => ({ time, value })));
      [oldest, newest] = [[...bySecond.keys()].at(0) ?? 0, [...bySecond.keys()].at(-1) ?? 0];
      show();
    },
    update(row) {
      if (second(row) < newest) return;
      newest = second(row);
      oldest ||= newest;
      line.update({ time: newest, value: +row.price });
      show();
    },
  };
}
