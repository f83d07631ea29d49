"""Distinguishes no response, an exchange, and anything else that responds."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cryptocdc_adapters.exchange.reach import TIMEOUT_S, NotAnExchange, Pong
from cryptocdc_adapters.exchange.reach import ping as ping_venue
from cryptocdc_adapters.exchange.rest import ExchangeUnreachable
from cryptocdc_exchanges.registry import VENUES

Served = Callable[..., str]


def ping(url: str, timeout_s: float = TIMEOUT_S) -> Pong:
    return ping_venue(VENUES["binance"].at(url), timeout_s)


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def served() -> Iterator[Served]:
    """Starts a server that gives the same response to every request, including CONNECT; returns its URL."""
    running = []

    def serve(status: int, body: bytes, kind: str = "application/json", context: ssl.SSLContext | None = None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_CONNECT = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            listening.socket = context.wrap_socket(listening.socket, server_side=True)
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        running.append(listening)
        return f"{'http' if context is None else 'https'}://127.0.0.1:{listening.server_address[1]}"

    yield serve
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_ping_returns_the_round_trip_time_and_the_clock_difference(served: Served) -> None:
    found = ping(served(200, b"{}"))
    assert found.milliseconds > 0
    assert found.skew is not None
    assert abs(found.skew) < 5


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (503, b'{"code":-1001,"msg":"Internal error"}', "application/json", 'answers 503: {"code":-1001'),
        (451, b'{"code":0,"msg":"restricted location"}', "application/json", "answers 451:.*restricted location"),
        (403, b"<html>Forbidden</html>", "text/html", "answers 403: <html>"),
        (404, b"not found", "text/plain", "answers 404: not found"),
        (200, b"<html>Sign in</html>", "text/html", "not an exchange; it sends text/html: <html>Sign in"),
        (200, b"[]", "application/json", "not an exchange"),
    ],
)
def test_any_other_response_is_reported_with_its_content(
    served: Served, status: int, body: bytes, kind: str, said: str
) -> None:
    with pytest.raises(NotAnExchange, match=said):
        ping(served(status, body, kind))


def test_an_untrusted_certificate_is_reported_as_such(served: Served, tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=mallory",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with pytest.raises(NotAnExchange, match="certificate not accepted: certificate verify failed: self"):
        ping(served(200, b"{}", context=context))


def test_a_closed_port_is_unreachable(nobody: str) -> None:
    with pytest.raises(ExchangeUnreachable, match="refused"):
        ping(f"http://{nobody}")


def test_a_host_without_an_address_is_unreachable() -> None:
    with pytest.raises(ExchangeUnreachable):
        ping("http://exchange.invalid")


def test_a_server_that_accepts_but_never_responds_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ExchangeUnreachable):
        ping(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.2)


def test_a_server_that_closes_the_connection_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as cutting:
        threading.Thread(target=lambda: [cutting.accept()[0].close() for _ in range(2)], daemon=True).start()
        for scheme in ("http", "https"):
            with pytest.raises(ExchangeUnreachable):
                ping(f"{scheme}://127.0.0.1:{cutting.getsockname()[1]}", 2)


def test_a_refusing_proxy_is_reported_and_an_absent_one_is_unreachable(
    monkeypatch: pytest.MonkeyPatch, served: Served, nobody: str
) -> None:
    proxy = served(407, b"who are you?", "text/plain").removeprefix("http://")
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@{proxy}")
    with pytest.raises(NotAnExchange, match=f"the proxy http://{proxy} refuses it: Tunnel connection failed: 407"):
        ping("https://exchange.example")
    monkeypatch.setenv("HTTPS_PROXY", nobody)
    with pytest.raises(ExchangeUnreachable, match=f"the proxy http://{nobody} does not answer"):
        ping("https://exchange.example")


def test_a_proxy_s_own_page_is_reported(monkeypatch: pytest.MonkeyPatch, served: Served) -> None:
    monkeypatch.setenv("HTTP_PROXY", served(200, b"<html>Sign in</html>", "text/html"))
    with pytest.raises(NotAnExchange, match="not an exchange; it sends text/html"):
        ping("http://exchange.example")
