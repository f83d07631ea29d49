"""The live page is opened if there is a screen, and only once the API is healthy."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cryptocdc_local.running.page import has_screen, open_when_ready


@pytest.mark.parametrize(
    ("environ", "system", "there"),
    [({}, "linux", False), ({"DISPLAY": ":0"}, "linux", True), ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
     ({"DISPLAY": ""}, "linux", False), ({}, "darwin", True)],
)  # fmt: skip
def test_a_screen_is_detected_by_environment_and_system(environ: dict[str, str], system: str, there: bool) -> None:
    assert has_screen(environ, system) is there


def test_the_page_is_opened_only_once_the_api_is_healthy() -> None:
    answers = iter([503, 503, 200])
    asked: list[str] = []

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(next(answers))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shown: list[str] = []
        address = f"http://127.0.0.1:{server.server_port}"
        open_when_ready(address, shown.append).join(10)
        server.shutdown()
    assert shown == [address]
    assert asked == ["/health"] * 3
