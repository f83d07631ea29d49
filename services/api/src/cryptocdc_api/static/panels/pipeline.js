// The pipeline: rates by hop, lag, losses, proof.

import { get } from "../api.js";
import { cells, terms, text } from "../dom.js";
import { clock, seconds, short } from "../format.js";

const HOPS = [["frames", "Exchange"], ["postgres", "PostgreSQL"], ["kafka", "Kafka"], ["cassandra", "Cassandra"]];

function hops(all) {
  const list = document.getElementById("hops");
  list.replaceChildren(...HOPS.map(([name, title]) => {
    const item = document.createElement("li");
    const rate = document.createElement("strong"), label = document.createElement("span");
    rate.textContent = `${short(all[`${name}_rate`])}/s`;
    label.textContent = `${title}, ${short(all[name])} ${name === "frames" ? "frames" : "rows"}`;
    item.append(rate, label);
    return item;
  }));
}

export async function showPipeline({ completeness, sink_engine }) {
  const [all, ...streams] = await get("pipeline");
  hops(all);
  const latency = Math.max(...streams.map((row) => row.p99_s ?? 0));
  // Relative to what can be proven by now: the current minute and open candles do not count.
  const behind = all.unproven_s == null ? (Date.now() - all.proven_through_ms) / 1000 : all.unproven_s;
  const arrears = behind > 0 ? `${seconds(behind)} behind what can be proven by now` : "everything that can be proven by now";
  text("proof", all.proven_through ? `both databases proven equal through ${clock(all.proven_through_ms)} UTC, ${arrears}` : "no proof of all streams yet");
  terms(document.getElementById("faults"), [
    ["Lag", all.lag === 1 ? "1 row" : `${short(all.lag)} rows`, all.lag > 10_000],
    ["Latency p99, exchange to Cassandra", latency ? seconds(latency) : "–"],
    ["Gaps open", short(all.gaps_open), all.gaps_open > 0],
    ...(all.gaps_waiting ? [["Gaps waiting for the archive", short(all.gaps_waiting)]] : []),
    ["Rows filled", short(all.gap_rows_filled)],
    ["Unfillable", short(all.gap_rows_unfillable), all.gap_rows_unfillable > 0],
    ["Without data", seconds(all.outage_s), all.outage_s > 0],
    ["Dead letters", short(all.dead_letters), all.dead_letters > 0],
    ["Refused frames", short(all.rejected), all.rejected > 0],
    ["Differences", short(all.differences), all.differences > 0],
    ["Written by", { connect: "Kafka Connect", spark: "Spark" }[sink_engine] ?? "consumers"],
  ]);
  cells(document.getElementById("streams"), streams.map((row) => [
    row.table.replaceAll("_", " "), ...HOPS.map(([name]) => short(row[`${name}_rate`])), short(row.cassandra), short(row.lag),
    seconds(row.p50_s), seconds(row.p99_s), row.proven_through ? clock(row.proven_through_ms) : "not yet",
    completeness[row.table] ?? "–",
  ]));
}
