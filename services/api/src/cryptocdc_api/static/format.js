// Figures as people read them. Prices and quantities come as exact text and are never made binary numbers to be shown.

const grouped = (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ",");

export function places(text) {
  const fraction = (text.split(".")[1] ?? "").replace(/0+$/, "");
  return fraction.length;
}

export function decimal(text, least = 0) {
  if (text == null) return "–";
  const [whole, fraction = ""] = text.split(".");
  const sign = whole.startsWith("-") ? "−" : "";
  const kept = fraction.replace(/0+$/, "").padEnd(least, "0");
  return sign + grouped(whole.replace("-", "")) + (kept ? `.${kept}` : "");
}

export function short(value) {
  if (value == null) return "–";
  const n = Number(value);
  return Math.abs(n) < 10_000
    ? n.toLocaleString("en", { maximumFractionDigits: Math.abs(n) < 100 ? 2 : 0 })
    : n.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 4 });
}

// A change bears its sign and an arrow, so that it does not depend on its colour.
export function change(percent) {
  const n = Number(percent);
  const arrow = n > 0 ? "▲" : n < 0 ? "▼" : "■";
  return { text: `${arrow} ${Math.abs(n).toFixed(2)} %`, side: n > 0 ? "up" : n < 0 ? "down" : "", spoken: `${n > 0 ? "up" : "down"} ${Math.abs(n).toFixed(2)} per cent` };
}

export const clock = (ms) => new Date(ms).toISOString().slice(11, 19);

// The time of day of an ISO text, with the fraction that it has.
export const precise = (iso) => iso.slice(11).replace("Z", "");

export function seconds(s) {
  if (s == null) return "–";
  return s < 1 ? `${Math.round(s * 1000)} ms` : s < 120 ? `${s.toFixed(1)} s` : `${Math.round(s / 60)} min`;
}
