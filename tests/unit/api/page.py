"""The page without the charts' library, which needs a browser's canvas."""

from __future__ import annotations

import shutil
from pathlib import Path

from cryptocdc_api.routes.site import STATIC

LIBRARY = """
const chain = () => new Proxy(() => {}, { get: () => chain(), apply: () => chain() });
export const drawn = [];
class Series {
  constructor() { this.data = []; drawn.push(this); }
  setData(data) { this.data = data; }
  update(row) { this.data = [...this.data.filter((one) => one.time < row.time), row]; }
  applyOptions() {}
  priceScale() { return chain(); }
}
const made = { addSeries: () => new Series() };
export const createChart = () => new Proxy(made, { get: (found, name) => found[name] ?? chain() });
export const marks = [];
export const createSeriesMarkers = () => ({ setMarkers(made) { marks.splice(0, marks.length, ...made); } });
export const AreaSeries = 1, CandlestickSeries = 2, HistogramSeries = 3, LineSeries = 4;
"""
"""Holds the data of each series in `drawn`, and the marks at candles in `marks`, and draws nothing."""


def copy_page(folder: Path) -> None:
    """Copy the page's files into an existing folder, with a stand-in for the library."""
    shutil.copytree(STATIC, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("vendor"))
    (folder / "vendor").mkdir()
    (folder / "vendor" / "lightweight-charts.mjs").write_text(LIBRARY, encoding="utf-8")
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
