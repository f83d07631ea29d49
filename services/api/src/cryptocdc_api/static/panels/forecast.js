// What a row of the table forecasts says, in words and as a band around prices.

import { fixed } from "../format.js";

const percent = (text) => `${fixed(100 * +text, 3)} %`;

// The skill is 1 less the ratio of squared errors to those of a forecast that needs no model; the lesser of two counts.
export function skillInWords(row) {
  if (row.skill === null) return "no skill yet";
  const [last, mean] = [row.skill_last, row.skill_mean].map((text) => fixed(Math.abs(+text), 2));
  if (!row.skilled) return +row.skill_last > 0 ? `no skill: ${mean} worse than the mean of the past` : `no skill: ${last} worse than the last value`;
  return `${last} better than the last value, ${mean} better than the mean of the past`;
}

export function inWords(row) {
  if (row.volatility === null) return "forecast: not enough windows yet";
  const interval = row.upper === null ? "" : `, return between ${percent(row.lower)} and ${percent(row.upper)}`;
  return `forecast of the ${row.completed ? "last" : "current"} ${row.interval}: volatility ${percent(row.volatility)}${interval} (${skillInWords(row)})`;
}

// Prices that the interval is around the start of a candle; null without either.
export function bandOf(row, candle) {
  if (!candle || row.upper === null) return null;
  return { time: row.open_time_ms / 1000, low: +candle.open * (1 + +row.lower), high: +candle.open * (1 + +row.upper) };
}
