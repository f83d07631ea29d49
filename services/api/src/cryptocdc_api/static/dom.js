// Text into the page; never markup.

export function text(id, value) {
  const element = document.getElementById(id);
  if (element.textContent !== value) element.textContent = value;
}

// Rows of plain cells; existing elements are reused. A cell whose value is null is the caller's.
export function cells(body, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((values, at) => {
    const row = body.rows[at] ?? body.insertRow();
    values.forEach((value, column) => {
      const cell = row.cells[column] ?? row.insertCell();
      if (value === null) return;
      const found = typeof value === "object" ? value : { text: value };
      if (cell.textContent !== found.text) cell.textContent = found.text;
      const side = found.side ?? "";
      if (cell.className !== side) cell.className = side;
    });
  });
}

// [[term, value, bad]] into a description list.
export function terms(list, pairs) {
  list.replaceChildren(...pairs.map(([term, value, bad]) => {
    const pair = document.createElement("div");
    if (bad) pair.className = "bad";
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = term;
    dd.textContent = value;
    pair.append(dt, dd);
    return pair;
  }));
}
