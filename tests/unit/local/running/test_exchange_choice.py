"""The simulator replaces an exchange only if nothing at all responds."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.unit.core.feeds import feed

from cryptocdc_core.program.exits import Exit
from cryptocdc_core.program.settings import SettingsError
from cryptocdc_exchanges.port import Simulated
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_local.errors import explained
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.running.exchange_choice import SourceError, choose


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.server_address[1]}"
    finally:
        listening.shutdown()
        listening.server_close()


def nobody() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_a_responding_exchange_is_used() -> None:
    with answering(200, b"{}") as url:
        chosen = choose(feed(endpoints={"rest": f"{url}/api/v3"}), None)
    assert (chosen.source, chosen.rest_url, chosen.note) == ("exchange", url, "")


def test_the_simulator_replaces_an_unreachable_exchange() -> None:
    url = nobody()
    chosen = choose(feed(endpoints={"rest": url}), None)
    assert (chosen.source, chosen.note) == ("simulated", f"binance does not answer at {url}: using the simulator")
    with pytest.raises(PlatformError, match="binance does not answer"):
        choose(feed(endpoints={"rest": url}), "exchange")


def test_the_simulator_serves_the_feed_s_venue_below_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    below = replace(VENUES["binance"], simulated=Simulated("/elsewhere", ("BTCUSDT",)))
    monkeypatch.setitem(VENUES, "binance", below)
    chosen = choose(feed(), "simulated")
    assert (chosen.rest_url, chosen.websocket_url) == (
        "http://127.0.0.1:8090/elsewhere",
        "ws://127.0.0.1:8090/elsewhere",
    )
    assert chosen.needs_simulator
    assert not choose(feed(exchange="simulated", endpoints={"rest": "http://other"}), "simulated").needs_simulator


@pytest.mark.parametrize("wanted", [None, "exchange"])
@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (503, b'{"code":-1001,"msg":"Internal error"}', "answers 503"),
        (451, b'{"code":0,"msg":"restricted location"}', "restricted location"),
        (404, b"no such path", "answers 404"),
        (200, b"<html>Sign in</html>", "not an exchange"),
    ],
)
def test_any_other_response_ends_with_exit_code_3_instead_of_simulated_prices(
    wanted: str | None, status: int, body: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(status, body) as url, pytest.raises(SystemExit) as ended, explained():
        choose(feed(endpoints={"rest": url}), wanted)
    assert ended.value.code == Exit.PLATFORM
    printed = capsys.readouterr().err
    assert said in printed
    assert "binance does not serve this machine" in printed
    assert "--source simulated" in printed


def test_an_unsupported_proxy_ends_with_exit_code_2_and_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(SystemExit) as ended, explained():
        choose(feed(), None)
    assert ended.value.code == Exit.BAD_INPUT
    assert "HTTPS_PROXY: the proxy 'socks5://127.0.0.1:1080' is not supported" in capsys.readouterr().err
    with pytest.raises(SettingsError):
        choose(feed(), "exchange")


RECORDED = (
    'https://h.example{api}exchangeInfo -> 1.0: {{"symbols": []}}\n'
    '2.0: {{"stream":"btcusdt@depth","data":{{"e":"depthUpdate"}}}}\n'
)


def recording(folder: Path, api: str = "/api/v3/") -> str:
    (folder / "r.capture").write_text(RECORDED.format(api=api))
    return f"capture:{folder}"


def test_a_recording_is_replayed_at_the_simulator_s_path_of_the_feed_s_venue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    futures = replace(VENUES["binance"], simulated=Simulated("/binance-usdm", ("BTCUSDT",)))
    monkeypatch.setitem(VENUES, "binance", futures)
    chosen = choose(feed(), recording(tmp_path, "/fapi/v1/"))
    assert (chosen.source, chosen.rest_url) == ("capture", "http://127.0.0.1:8090/binance-usdm")
    assert chosen.needs_simulator


def test_endpoints_of_an_exchange_are_not_mistaken_for_a_simulator() -> None:
    chosen = choose(feed(endpoints={"rest": "http://proxy.example", "websocket": "ws://proxy.example"}), "simulated")
    assert (chosen.rest_url, chosen.websocket_url) == ("http://127.0.0.1:8090", "ws://127.0.0.1:8090")


def test_recordings_of_another_exchange_are_refused_before_anything_starts(tmp_path: Path) -> None:
    assert choose(feed(), recording(tmp_path)).source == "capture"
    with pytest.raises(SourceError, match=r"recorded from binance-usdm, which spec.exchange 'binance' does not speak"):
        choose(feed(), recording(tmp_path, "/fapi/v1/"))


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="needs answers below one of"):
        choose(feed(), f"capture:{tmp_path}")
