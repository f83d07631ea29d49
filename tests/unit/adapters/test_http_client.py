"""Which requests of each client use a proxy, and how an unsupported proxy is reported."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from cryptocdc_adapters import http_client
from cryptocdc_adapters.exchange.rest import ExchangeUnreachable, Rest
from cryptocdc_adapters.http_client import UnsupportedProxy, proxy_of
from cryptocdc_adapters.replication.connect import Connect
from cryptocdc_exchanges.registry import VENUES

BINANCE = VENUES["binance"]
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """`host:port` of a server that answers `{}` to everything, also as a proxy, and the request targets it received."""
    targets: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            targets.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{listening.server_address[1]}", targets
    listening.shutdown()
    listening.server_close()


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://a.example/x", {}, None),
        ("https://a.example/x", {"HTTPS_PROXY": "127.0.0.1:3128"}, "http://127.0.0.1:3128"),
        ("wss://a.example:9443", {"https_proxy": "http://p:1"}, "http://p:1"),
        ("ws://a.example", {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:2"}, "http://p:1"),
        ("https://a.example", {"HTTP_PROXY": "http://p:1"}, None),
        ("https://a.example", {"ALL_PROXY": "https://p:1"}, "https://p:1"),
        ("https://a.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example"}, None),
        ("https://a.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other.example"}, "http://p:1"),
        ("http://127.0.0.1:18083/connectors", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://127.9.9.9", {"HTTP_PROXY": "http://p:1"}, None),
        ("ws://[::1]:8090/stream", {"ALL_PROXY": "http://p:1"}, None),
        ("http://localhost:8090", {"HTTP_PROXY": "socks5://p:1"}, None),
    ],
)
def test_the_environment_names_the_proxy_and_loopback_is_never_proxied(
    monkeypatch: pytest.MonkeyPatch, url: str, environment: dict[str, str], proxy: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(url) == proxy


@pytest.mark.parametrize(
    ("variable", "value", "shown"),
    [
        ("HTTPS_PROXY", "socks5://127.0.0.1:1080", "'socks5://127.0.0.1:1080'"),
        ("all_proxy", "socks5h://user:secret@p:1080", "'socks5h://p:1080'"),
        ("HTTPS_PROXY", "http://p:port", "'http://p:port'"),
        ("HTTPS_PROXY", "http://", "'http://'"),
    ],
)
def test_a_proxy_that_is_not_supported_is_named_with_its_variable_and_without_its_password(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, shown: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UnsupportedProxy) as refused:
        http_client.get("https://a.example", timeout=1)
    said = str(refused.value)
    assert said.startswith(f"{variable}: the proxy {shown} is not supported; accepted: http://HOST:PORT")
    assert "secret" not in said


def test_a_proxy_without_a_scheme_works(monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[str]]) -> None:
    address, targets = server
    monkeypatch.setenv("HTTP_PROXY", address)
    assert Rest(BINANCE.at("http://exchange.example")).get(BINANCE.requests.ping()) == b"{}"
    assert targets == ["http://exchange.example/api/v3/ping"]


def test_requests_to_loopback_bypass_the_proxy(monkeypatch: pytest.MonkeyPatch, server: tuple[str, list[str]]) -> None:
    address, targets = server
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert Connect(f"http://{address}").config("c") == {}
    assert Rest(BINANCE.at(f"http://{address}")).get(BINANCE.requests.ping()) == b"{}"
    assert http_client.get(f"http://{address}/metrics", timeout=5).ok
    assert targets == ["/connectors/c/config", "/api/v3/ping", "/metrics"]


@pytest.mark.parametrize("host", ["a" * 64 + ".example", ".example", "a..example"])
def test_a_host_name_that_can_not_be_encoded_is_a_request_error(host: str) -> None:
    with pytest.raises(requests.RequestException):
        http_client.get(f"http://{host}", timeout=1)
    with pytest.raises(ExchangeUnreachable):
        Rest(BINANCE.at(f"http://{host}"), patience_s=0).get(BINANCE.requests.ping())


def test_the_exchange_s_client_refuses_an_unsupported_proxy_immediately(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(ExchangeUnreachable, match="HTTPS_PROXY: the proxy 'socks5://127"):
        Rest(BINANCE.at("https://exchange.example")).get(BINANCE.requests.ping())
