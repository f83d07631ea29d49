// Traces one row through every hop in a dialog, which a click on a row, or Enter, opens.

import { get } from "../api.js";
import { terms, text } from "../dom.js";
import { decimal, precise, seconds, short } from "../format.js";

const ROWS = {
  recent_trades: "A trade", klines: "A candle", latest_prices: "A price", crypto_24h_stats: "24-hour statistics",
  order_book: "An order book", best_quotes: "A best bid and ask", mark_prices: "A mark price",
  open_interest: "Open interest", liquidations: "A liquidation",
};
const KEYS = {
  recent_trades: ["trade_time", "trade_id"], klines: ["interval", "open_time"], latest_prices: ["event_time"],
  crypto_24h_stats: ["event_time"], order_book: ["bucket_time"], best_quotes: ["event_time"], mark_prices: ["event_time"],
  open_interest: ["event_time"], liquidations: ["trade_time", "liquidation_id"],
};
const STREAMS = { recent_trades: "recentTrades", klines: "klines", latest_prices: "latestPrices", crypto_24h_stats: "crypto24hStats", order_book: "orderBook", best_quotes: "bestQuotes", mark_prices: "markPrices", open_interest: "openInterest", liquidations: "liquidations" };
const HOPS = { exchange: "Exchange: the event", producer: "Producer: received", postgres: "PostgreSQL: committed", kafka: "Kafka: produced", cassandra: "Cassandra: written" };
const FACTS = { lsn: "LSN", op: "operation", writetime: "WRITETIME", ttl_s: "expires in", xmin: "transaction" };
const OPS = { c: "c, insert", u: "u, update", r: "r, snapshot", d: "d, delete" };
const AGAIN_MS = 1000, AGAIN = 10;

const byId = (id) => document.getElementById(id);
const dialog = byId("trace");
let asked = 0;

dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); }); // on the backdrop
byId("trace-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => { asked++; });

function fact(name, value) {
  const shown = name === "op" ? OPS[value] ?? value : name === "ttl_s" ? (value == null ? "never" : lasting(value))
    : typeof value === "number" && name !== "writetime" && name !== "version" ? value.toLocaleString("en") : String(value);
  return [FACTS[name] ?? name.replaceAll("_", " "), shown];
}

const lasting = (s) => (s < 7200 ? seconds(s) : s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} d`);

function hop(found, most) {
  const item = document.createElement("li"), title = document.createElement("h3"), when = document.createElement("p");
  const at = document.createElement("time"), after = document.createElement("span");
  title.textContent = HOPS[found.hop];
  at.textContent = found.at ? precise(found.at) : "time unknown";
  if (found.at) at.dateTime = found.at;
  after.className = "after";
  after.textContent = found.after_ms == null ? "" : `${found.after_ms < 0 ? "−" : "+"}${Math.abs(found.after_ms).toLocaleString("en", { maximumFractionDigits: 1 })} ms`;
  after.style.setProperty("--share", `${Math.max(0, (100 * (found.after_ms ?? 0)) / most).toFixed(1)}%`);
  when.append(at, after);
  item.append(title, when);
  item.dataset.state = found.at ? "there" : "unknown";
  if (Object.keys(found.facts).length) {
    const facts = document.createElement("dl");
    facts.className = "facts";
    terms(facts, Object.entries(found.facts).map(([name, value]) => fact(name, value)));
    item.append(facts);
  }
  const words = [found.source && `from ${found.source}`, found.note].filter(Boolean).join("; ");
  if (words) {
    const note = document.createElement("p");
    note.className = "note";
    note.textContent = words;
    item.append(note);
  }
  return item;
}

function verdict(trail) {
  const columns = Object.values(trail.differing).flat();
  if (columns.length) return [`Kafka and Cassandra differ in ${[...new Set(columns)].join(", ")}.`, "bad"];
  if (!trail.compared.includes("cassandra")) return ["It is in Kafka but not in Cassandra.", "bad"];
  const took = trail.took_ms == null ? "" : ` ${trail.took_ms.toLocaleString("en")} ms from the exchange's event to the write.`;
  return trail.compared.includes("kafka")
    ? [`Kafka and Cassandra have the same row, digit by digit.${took}`, "good"]
    : [`It is in Cassandra. Kafka no longer has its record to compare it with.${took}`, ""];
}

// Only the first few of an order book's levels: a row has dozens.
const cell = (value) => (value == null ? "–" : Array.isArray(value) ? `${value.slice(0, 3).join(", ")} … ${value.length} levels` : String(value));

function values(trail) {
  const places = Object.keys(trail.values), names = Object.keys(trail.values[places[0]] ?? {});
  const differ = new Set(Object.values(trail.differing).flat());
  const head = byId("trace-values").tHead.rows[0], body = byId("trace-values").tBodies[0];
  head.replaceChildren(...["Column", ...places.map((place) => HOPS[place].split(":")[0])].map((name) => {
    const th = document.createElement("th");
    th.scope = "col";
    th.textContent = name;
    return th;
  }));
  body.replaceChildren(...names.map((name) => {
    const row = document.createElement("tr"), th = document.createElement("th");
    th.scope = "row";
    th.textContent = name;
    row.append(th);
    if (differ.has(name)) row.className = "bad";
    places.forEach((place) => { row.insertCell().textContent = cell(trail.values[place][name]); });
    return row;
  }));
}

function command(trail) {
  const key = KEYS[trail.table].map((name) => ` --key ${name}=${trail.key[name]}`).join("");
  return `cryptocdc trace -f FEED --symbol ${trail.symbol} --stream ${STREAMS[trail.table]}${key}`;
}

// The API does not query PostgreSQL; the verifier does, and this is how far it has proven.
async function proof(trail, table) {
  const streams = await get("pipeline");
  const through = streams.find((row) => row.table === table)?.proven_through_ms;
  const at = Date.parse(trail.key[KEYS[table].find((name) => name.endsWith("_time"))]);
  if (through == null) return "The verifier has not proven anything of this stream yet.";
  return through > at
    ? `PostgreSQL and Cassandra are proven equal including this row, up to ${precise(new Date(through).toISOString())}.`
    : `The verifier has not reached this row yet; it has proven everything up to ${precise(new Date(through).toISOString())}.`;
}

function show(trail) {
  text("trace-title", `${ROWS[trail.table]} of ${trail.symbol}, hop by hop`);
  const [words, state] = verdict(trail);
  text("trace-verdict", words);
  byId("trace-verdict").dataset.state = state;
  terms(byId("trace-key"), KEYS[trail.table].map((name) => [name.replaceAll("_", " "), name.endsWith("_time") ? trail.key[name].replace("T", " ").replace("Z", " UTC") : String(trail.key[name])]));
  const most = Math.max(1, ...trail.hops.map((found) => found.after_ms ?? 0));
  byId("trace-hops").replaceChildren(...trail.hops.map((found) => hop(found, most)));
  values(trail);
  text("trace-command", command(trail));
  byId("trace-found").hidden = false;
}

// `row` has at least the columns of the table's key, as returned by the API.
export async function trace(table, row) {
  if (!row) return;
  const mine = ++asked;
  const query = { table, symbol: row.symbol };
  for (const name of KEYS[table]) query[name] = row[`${name}_ms`] ?? row[name];
  text("trace-title", `${ROWS[table]} of ${row.symbol}`);
  text("trace-verdict", "searching");
  text("trace-proof", "");
  byId("trace-verdict").dataset.state = "";
  byId("trace-found").hidden = true;
  if (!dialog.open) dialog.showModal();
  for (let time = 0; time < AGAIN; time++) {
    try {
      const trail = await get("trace", query);
      if (mine !== asked) return;
      show(trail);
      if (trail.compared.includes("cassandra")) {
        const words = await proof(trail, table);
        if (mine === asked) text("trace-proof", words);
        return;
      }
    } catch (error) {
      if (mine !== asked) return;
      text("trace-verdict", error.message);
      byId("trace-verdict").dataset.state = "bad";
    }
    // It may still be under way: rows are displayed when they are in Kafka.
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    if (mine !== asked) return;
  }
}
