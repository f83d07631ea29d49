// The page requests the feed once, the selected symbol's history whenever the connection opens, and then receives only
// rows.

import { every, get } from "./api.js";
import { book, clearBook, showBook } from "./panels/book.js";
import { candleChart, priceChart } from "./panels/charts.js";
import { text } from "./dom.js";
import { inWords } from "./panels/forecast.js";
import { heatmap } from "./panels/heatmap.js";
import { live } from "./live.js";
import { markets } from "./panels/markets.js";
import { showPipeline } from "./panels/pipeline.js";
import { perpetual } from "./panels/perpetual.js";
import { quote } from "./panels/quote.js";
import { ticker } from "./panels/ticker.js";
import { trace } from "./panels/trace.js";
import { tape } from "./panels/trades.js";

const CANDLES = 1440, PAGE = 1000, LINE_MS = 15 * 60_000, DRAW_MS = 200, AGAIN_MS = 5000;
const BANNERS = { simulated: "SIMULATED DATA", capture: "REPLAYED CAPTURE" };

const byId = (id) => document.getElementById(id);
const panels = {
  candles: candleChart(byId("candles"), byId("candle"), byId("trace-candle"), (row) => { if (series.table === "klines") trace("klines", row); }),
  line: priceChart(byId("line"), (row) => trace("latest_prices", row)), ticker: ticker(), quote: quote(byId("quote")),
  perpetual: perpetual(document.querySelector("section.perpetual")),
  trades: tape(byId("trades"), byId("tape-note"), (row) => trace("recent_trades", row)), heat: heatmap(byId("heat"), byId("heat-note")),
};
let feed, symbol, series, charted, leave = [], pending = [], drawing = 0, again = 0, predictedMs = 0;

// What the candle chart shows: candles of the exchange, or bars computed from trades.
const allSeries = () => [...feed.intervals.map((interval) => ({ table: "klines", interval })), ...feed.bars.map((interval) => ({ table: "bars", interval }))];
const same = (one, other) => one?.table === other?.table && one?.interval === other?.interval;

const KINDS = ["price", "volume", "spread", "quote_rate"];

// Keeps the newest forecast's words below those of the candle.
function forecast(rows) {
  if (!rows.length) return;
  panels.candles.forecasts(rows);
  const newest = rows.reduce((one, other) => (other.open_time_ms >= one.open_time_ms ? other : one));
  if (newest.open_time_ms < predictedMs) return;
  predictedMs = newest.open_time_ms;
  byId("forecast").hidden = false;
  text("forecast", inWords(newest));
}

const has = (table) => feed.streams.includes(table);

function state(name, waitMs) {
  const words = { connecting: "connecting", live: "live", away: `connection lost, retrying in ${Math.ceil(waitMs / 1000)} s` };
  byId("connection").dataset.state = name;
  text("connection", words[name]);
}

// Returns the newest candles, 24 hours of those of a minute, which is more than one page.
async function aDay(path, query) {
  const newest = await get(path, { ...query, limit: PAGE });
  if (newest.length < PAGE) return newest;
  return [...newest, ...await get(path, { ...query, limit: CANDLES - PAGE, to: newest.at(-1).open_time_ms })];
}

// Reads what was missed while disconnected, or everything for a newly selected symbol; if a part fails, all once more.
async function history() {
  clearTimeout(again);
  const of = symbol, at = series, from = Date.now() - LINE_MS;
  const parts = [];
  const part = (table, path, query, show, read = get) => {
    if (has(table)) parts.push(read(path, { symbol: of, ...query }).then((rows) => { if (of === symbol && same(at, series)) show(rows); }));
  };
  if (at) part(at.table, at.table, { interval: at.interval }, (rows) => {
    const now = `${of} ${at.table} ${at.interval}`;
    panels.candles.set(rows, charted === now); // keep the position of a scrolled view
    charted = now;
  }, aDay);
  panels.candles.anomalies([], true);
  if (at && feed.anomalies.includes(at.interval)) for (const kind of KINDS)
    part("anomalies", "anomalies", { interval: at.interval, kind, only: true, limit: PAGE }, (rows) => panels.candles.anomalies(rows));
  panels.candles.forecasts([], true);
  predictedMs = 0;
  byId("forecast").hidden = true;
  if (at && feed.forecasts.includes(at.interval))
    part("forecasts", "forecasts", { interval: at.interval, limit: PAGE }, forecast);
  part("latest_prices", "latest_prices", { from, limit: 1000 }, (rows) => { panels.line.set(rows); if (rows.length) panels.ticker.price(rows[0]); });
  part("recent_trades", "recent_trades", { limit: 60 }, (rows) => panels.trades.add(rows));
  part("crypto_24h_stats", "crypto_24h_stats", {}, (rows) => { if (rows.length) panels.ticker.stats(rows[0]); });
  part("best_quotes", "best_quotes", {}, (rows) => rows.forEach(panels.quote.show));
  part("mark_prices", "mark_prices", {}, (rows) => rows.forEach(panels.perpetual.mark));
  part("open_interest", "open_interest", {}, (rows) => rows.forEach(panels.perpetual.interest));
  part("liquidations", "liquidations", { limit: 30 }, panels.perpetual.liquidations);
  part("order_book", "order_book", { limit: 1 }, (rows) => { if (rows.length) showBook(rows[0]); });
  const ends = await Promise.allSettled(parts);
  if (of === symbol && same(at, series) && ends.some(({ status }) => status === "rejected")) again = setTimeout(history, AGAIN_MS);
}

// Rows arrive in bursts; the page is drawn a few times per second at most.
function draw() {
  drawing = 0;
  const rows = pending.filter((row) => row.symbol === symbol && row.op !== "d");
  pending = [];
  const of = (table) => rows.filter((row) => row.table === table);
  if (series) panels.candles.update(of(series.table).filter((row) => row.interval === series.interval));
  const compared = of("anomalies").filter((row) => row.interval === series?.interval);
  if (compared.length) panels.candles.anomalies(compared);
  forecast(of("forecasts").filter((row) => row.interval === series?.interval));
  of("latest_prices").forEach((row) => { panels.ticker.price(row); panels.line.update(row); });
  panels.trades.add(of("recent_trades"), true);
  of("crypto_24h_stats").slice(-1).forEach(panels.ticker.stats);
  of("best_quotes").slice(-1).forEach(panels.quote.show);
  of("mark_prices").slice(-1).forEach(panels.perpetual.mark);
  of("open_interest").slice(-1).forEach(panels.perpetual.interest);
  if (of("liquidations").length) panels.perpetual.liquidations(of("liquidations"));
  of("order_book").slice(-1).forEach(showBook);
}

function take(rows) {
  pending.push(...rows);
  drawing ||= setTimeout(draw, DRAW_MS);
}

async function heat() {
  const of = symbol;
  const from = Math.max(panels.heat.newest() + 1, Date.now() - panels.heat.window);
  const rows = await get("heatmap", { symbol: of, from, stream: true });
  if (of === symbol) panels.heat.add(rows);
}

async function volatility() {
  const of = symbol, at = series.table === "klines" ? series.interval : feed.intervals[0];
  const [row] = await get("volatility", { symbol: of, interval: at, window: 20, limit: 1 });
  if (of === symbol) panels.ticker.volatility(row ?? null);
}

function show() {
  leave.forEach((end) => end());
  clearTimeout(again);
  pending = [];
  Object.values(panels).forEach((panel) => panel.clear?.());
  clearBook();
  charted = null;
  byId("forecast").hidden = true;
  byId("symbol").value = symbol;
  const here = new URLSearchParams({ symbol, ...(series && { [series.table === "bars" ? "bars" : "interval"]: series.interval }) });
  window.history.replaceState(null, "", `?${here}`);
  leave = [live(symbol, { opened: history, rows: take, state })];
  if (has("order_book")) leave.push(every(10_000, heat));
  if (has("klines")) leave.push(every(10_000, volatility));
}

function pick(chosen) {
  symbol = chosen;
  show();
}

function choose(chosen) {
  series = chosen;
  panels.candles.shows(series);
}

function offerIntervals() {
  const pickers = { klines: byId("intervals"), bars: byId("bars") };
  for (const one of allSeries()) {
    const label = document.createElement("label"), input = document.createElement("input"), shown = document.createElement("span");
    Object.assign(input, { type: "radio", name: "interval", value: `${one.table} ${one.interval}`, checked: same(one, series) });
    input.addEventListener("change", () => { choose(one); if (symbol) show(); }); // before the symbols are known there is nothing to request
    shown.textContent = one.interval;
    label.append(input, shown);
    pickers[one.table].append(label);
  }
  pickers.klines.hidden = !feed.intervals.length;
  pickers.bars.hidden = !feed.bars.length;
}

async function offerSymbols() {
  const names = (await get("symbols")).map((row) => row.symbol);
  const there = [...byId("symbol").options].map((option) => option.value);
  if (names.join() === there.join()) return;
  byId("symbol").replaceChildren(...names.map((name) => new Option(name)));
  if (!symbol && names.length) {
    const asked = new URLSearchParams(location.search).get("symbol");
    const [most] = has("crypto_24h_stats") ? await get("top", { by: "trades", n: 1 }) : [];
    pick(names.includes(asked) ? asked : most?.symbol ?? names[0]);
  }
  byId("symbol").value = symbol ?? "";
}

async function start() {
  feed = await get("feed");
  text("feed", feed.feed);
  const banner = BANNERS[feed.source];
  byId("source").hidden = !banner;
  text("source", banner ?? "");
  const asked = new URLSearchParams(location.search);
  const wanted = asked.has("bars") ? { table: "bars", interval: asked.get("bars") } : { table: "klines", interval: asked.get("interval") };
  choose(allSeries().find((one) => same(one, wanted)) ?? allSeries()[0]);
  for (const [panel, table] of Object.entries({ line: "latest_prices", book: "order_book", heat: "order_book", tape: "recent_trades", traded: "crypto_24h_stats", gains: "crypto_24h_stats" }))
    document.querySelector(`section.${panel}`).hidden = !has(table);
  document.querySelector("section.candles").hidden = !series;
  document.querySelector("section.perpetual").hidden = !["mark_prices", "open_interest", "liquidations"].some(has);
  byId("trace-mark").hidden = !has("mark_prices");
  byId("trace-mark").addEventListener("click", () => trace("mark_prices", panels.perpetual.shown().mark));
  byId("trace-interest").hidden = !has("open_interest");
  byId("trace-interest").addEventListener("click", () => trace("open_interest", panels.perpetual.shown().interest));
  offerIntervals();
  byId("symbol").addEventListener("change", () => pick(byId("symbol").value));
  byId("trace-price").addEventListener("click", () => trace("latest_prices", panels.ticker.shown().price));
  byId("change").addEventListener("click", () => trace("crypto_24h_stats", panels.ticker.shown().stats));
  byId("quote").addEventListener("click", () => trace("best_quotes", panels.quote.shown()));
  document.querySelector(".levels").addEventListener("click", () => trace("order_book", book()));
  every(5000, offerSymbols);
  every(2000, () => showPipeline(feed));
  if (has("crypto_24h_stats")) every(3000, markets(pick));
}

const stop = every(1000, async () => {
  try {
    await start();
    stop();
  } catch (error) {
    state("away", 1000);
    throw error;
  }
});
