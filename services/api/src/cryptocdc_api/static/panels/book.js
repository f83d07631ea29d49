// The order book, level by level.

import { decimal, places } from "../format.js";
import { cells, text } from "../dom.js";

const LEVELS = 12;

function side(body, prices, quantities, digits, most, outwards) {
  const rows = [], steps = Math.max(0, ...quantities.map(places));
  let total = 0;
  for (let at = 0; at < Math.min(LEVELS, prices.length); at++) {
    total += Number(quantities[at]);
    rows.push([decimal(prices[at], digits), decimal(quantities[at]), decimal(total.toFixed(steps)), total / most]);
  }
  if (outwards) rows.reverse();
  cells(body, rows.map((row) => row.slice(0, 3)));
  rows.forEach((row, at) => body.rows[at].style.setProperty("--share", `${(row[3] * 100).toFixed(1)}%`));
}

const sum = (quantities) => quantities.slice(0, LEVELS).reduce((total, quantity) => total + Number(quantity), 0);

let shown = null;

// The displayed row, if any.
export const book = () => shown;

export function clearBook() {
  shown = null;
  for (const id of ["asks", "bids"]) document.getElementById(id).replaceChildren();
  text("spread", "–");
}

export function showBook(book) {
  shown = book;
  const digits = Math.max(2, ...book.bid_prices.map(places), ...book.ask_prices.map(places));
  const most = Math.max(sum(book.bid_quantities), sum(book.ask_quantities)) || 1;
  side(document.getElementById("asks"), book.ask_prices, book.ask_quantities, digits, most, true);
  side(document.getElementById("bids"), book.bid_prices, book.bid_quantities, digits, most, false);
  const bid = sum(book.bid_quantities), ask = sum(book.ask_quantities);
  const spread = book.bid_prices.length && book.ask_prices.length ? (Number(book.ask_prices[0]) - Number(book.bid_prices[0])).toFixed(digits) : null;
  text("spread", spread === null ? "one side is empty" : `spread ${decimal(spread)}, ${Math.round((100 * bid) / (bid + ask))} % bid`);
}
