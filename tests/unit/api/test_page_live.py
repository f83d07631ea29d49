"""The page's connection for new rows: the page's own module, run by Node if installed, with a WebSocket's stand-in."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from cryptocdc_api.routes.site import STATIC

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed")

BROWSER = """
const sockets = [], listeners = new Set();
Object.assign(globalThis, {
  location: { href: "http://127.0.0.1:8000/" },
  sessionStorage: { getItem: () => TOKEN },
  addEventListener: (_, listener) => listeners.add(listener),
  removeEventListener: (_, listener) => listeners.delete(listener),
  WebSocket: class {
    constructor(url, protocols) {
      // As browsers do (RFC 6455, 4.1): separators are not accepted.
      if (!protocols.every((one) => /^[-!#$%&'*+.^_`|~0-9a-zA-Z]+$/.test(one))) throw new SyntaxError("protocols");
      sockets.push({ url: String(url), protocols });
    }
    close() {}
  },
});
const { live } = await import(MODULE);
const leave = live("BTCUSDT", { opened() {}, rows() {}, state() {} });
"""


def run(expression: str, token: str = "") -> Any:
    assert NODE is not None
    module = (STATIC / "live.js").as_uri()
    begin = BROWSER.replace("TOKEN", json.dumps(token)).replace("MODULE", json.dumps(module))
    script = f"{begin}\nconsole.log(JSON.stringify({expression}))"
    ran = subprocess.run(
        [NODE, "--input-type=module", "-e", script], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(ran.stdout)


def test_any_token_can_be_passed_to_a_socket() -> None:
    (socket,) = run("sockets", "a/b+c=")
    assert socket["protocols"] == ["bearer.a%2Fb%2Bc%3D"]


def test_a_connection_that_is_left_holds_nothing() -> None:
    assert run("(leave(), listeners.size)") == 0
