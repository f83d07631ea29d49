"""What the page requests when rows could not be read: its own main module, with stand-ins for everything visible."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.unit.api.page import copy_page

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed")

BROWSER = """
// Has every property and method, all of them likewise.
const anything = () => new Proxy(function () {}, {
  get: (_, name) => (name === Symbol.toPrimitive ? () => 0 : name === Symbol.iterator ? function* () {} : anything()),
  set: () => true,
  apply: () => anything(),
  construct: () => anything(),
});
const asked = [], ANSWERS = {
  feed: { feed: "majors", source: "exchange", streams: ["klines"], intervals: ["1m"], bars: [], anomalies: [],
          forecasts: [], completeness: {} },
  symbols: [{ symbol: "BTCUSDT" }], pipeline: [{}], volatility: [], klines: [],
};
const wait = setTimeout;
Object.assign(globalThis, {
  document: anything(), window: anything(), ResizeObserver: anything(), Option: anything(), addEventListener() {},
  getComputedStyle: () => ({ getPropertyValue: () => "#000000" }), matchMedia: anything(),
  requestAnimationFrame: () => 1, location: { href: "http://127.0.0.1:8000/", search: "" },
  sessionStorage: { getItem: () => "" },
  setTimeout: (call, ms) => wait(call, ms / 100),
  WebSocket: class { constructor() { wait(() => this.onmessage({ data: '{"source": "exchange"}' })); } close() {} },
  fetch: async (url) => {
    const path = url.split("?")[0];
    asked.push(path);
    const ok = path !== "klines" || asked.filter((one) => one === "klines").length > 1;
    return { ok, status: ok ? 200 : 503, json: async () => (ok ? ANSWERS[path] : {}) };
  },
});
await import("./main.js");
setInterval(() => { if (asked.filter((one) => one === "klines").length === 2) process.exit(0); }, 20);
wait(() => process.exit(1), 20_000);
"""


def test_history_that_could_not_be_read_is_requested_again(tmp_path: Path) -> None:
    """Regression: after one failed answer, a chart had no history until the connection was lost."""
    assert NODE is not None
    copy_page(tmp_path)
    (tmp_path / "test.mjs").write_text(BROWSER, encoding="utf-8")
    ran = subprocess.run([NODE, tmp_path / "test.mjs"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr[-1000:] or "it was not requested again"
