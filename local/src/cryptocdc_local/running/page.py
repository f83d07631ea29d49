"""Opens the live page in the user's browser once it answers, if there is a screen."""

from __future__ import annotations

import os
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Mapping

import requests

from cryptocdc_adapters import http_client

LIMIT_S = 60.0
AGAIN_S = 0.5


def has_screen(environ: Mapping[str, str] = os.environ, system: str = sys.platform) -> bool:
    return system == "darwin" or any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def answers(address: str) -> bool:
    try:
        return http_client.get(f"{address}/health", timeout=2).ok
    except requests.RequestException:
        return False


def open_when_ready(address: str, show: Callable[[str], object] = webbrowser.open) -> threading.Thread:
    """Open the page from a daemon thread once it answers; give up after LIMIT_S."""

    def wait_and_show() -> None:
        deadline = time.monotonic() + LIMIT_S
        while not answers(address):
            if time.monotonic() > deadline:
                return
            time.sleep(AGAIN_S)
        show(address)

    thread = threading.Thread(target=wait_and_show, name="page", daemon=True)
    thread.start()
    return thread
