// Formats numbers. Prices and quantities are exact text and are never converted to binary numbers for display.

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

// A computed number, with as many decimals as its market's prices have.
export const fixed = (n, digits) => decimal(n.toFixed(digits), digits);

// Round values between two numbers, with enough digits to be distinct: a step of 1, 2 or 5 times a power of ten, at most
// `most` steps.
export function marks(low, high, most) {
  const least = (high - low) / most, power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= least * (1 - 1e-9));
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) found.push({ value: at * step, text: fixed(at * step, digits) });
  return found;
}

export function short(value) {
  if (value == null) return "–";
  const n = Number(value);
  if (Math.abs(n) < 1) return n.toLocaleString("en", { maximumSignificantDigits: 3 });
  return Math.abs(n) < 10_000
    ? n.toLocaleString("en", { maximumFractionDigits: Math.abs(n) < 100 ? 2 : 0 })
    : n.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 4 });
}

// A change has a sign and an arrow, so that its meaning does not depend on colour.
export function change(percent) {
  if (percent == null) return { text: "–", side: "", spoken: "change not reported" };
  const n = Number(percent);
  const arrow = n > 0 ? "▲" : n < 0 ? "▼" : "■";
  return { text: `${arrow} ${Math.abs(n).toFixed(2)} %`, side: n > 0 ? "up" : n < 0 ? "down" : "", spoken: `${n > 0 ? "up" : "down"} ${Math.abs(n).toFixed(2)} percent` };
}

export const clock = (ms) => new Date(ms).toISOString().slice(11, 19);

// The time of day of an ISO 8601 text, with its fraction of a second.
export const precise = (iso) => iso.slice(11).replace("Z", "");

export function seconds(s) {
  if (s == null) return "–";
  return s < 1 ? `${Math.round(s * 1000)} ms` : s < 120 ? `${s.toFixed(1)} s` : `${Math.round(s / 60)} min`;
}
