from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cryptocdc_simulator.app import Settings, exchanges
from cryptocdc_simulator.capture import Capture, CaptureStreams
from cryptocdc_simulator.dialects.binance import frames_of
from cryptocdc_simulator.dialects.binance.capture import CaptureEndpoints
from cryptocdc_simulator.dialects.binance.parameters import Parameters
from cryptocdc_simulator.dialects.port import ApiError

DEPTH = '{"lastUpdateId":5,"bids":[["1.0","2.0"],["0.9","1.0"]],"asks":[]}'
FRAMES = [
    (10.0, "ab@aggTrade", '{"e":"aggTrade","s":"AB","a":1,"p":"1.10000000"}'),
    (10.5, "cd@aggTrade", '{"e":"aggTrade","s":"CD","a":7}'),
    (11.0, "ab@kline_1m", '{"e":"kline","s":"AB"}'),
    (12.0, "ab@aggTrade", '{"e":"aggTrade","s":"AB","a":2}'),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    info = {"serverTime": 9000, "symbols": [{"symbol": "AB", "status": "TRADING"}, {"symbol": "CD"}]}
    lines = [
        f"https://x/api/v3/exchangeInfo -> 9.0: {json.dumps(info)}",
        f"https://x/api/v3/depth?symbol=AB&limit=1000 -> 9.5: {DEPTH}",
        "wss://x/stream?streams=ab@aggTrade <-> 9.9",
        *(f'{time}: {{"stream":"{name}","data":{data}}}' for time, name, data in FRAMES),
        "configuration: {}",
        "",
    ]
    (tmp_path / "some.capture").write_text("\n".join(lines))
    return tmp_path


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_frames_come_in_recorded_order_unaltered_at_pace(folder: Path) -> None:
    seconds = Seconds()
    streams = CaptureStreams(frames_of(Capture.read(folder)), 10.0, seconds)
    assert list(streams.due()) == []
    for name in ("ab@aggTrade", "ab@kline_1m", "cd@aggTrade"):
        streams.open(name)
    assert [out.payload.decode() for out in streams.due()] == [FRAMES[0][2]]
    seconds.now += 0.11
    out = list(streams.due())
    assert [(o.stream, o.payload.decode()) for o in out] == [(s, d) for _, s, d in FRAMES[1:3]]
    assert out[0].wrapped == f'{{"stream":"cd@aggTrade","data":{FRAMES[1][2]}}}'.encode()
    assert not streams.progress()["finished"]
    seconds.now += 0.11
    assert [o.payload.decode() for o in streams.due()] == [FRAMES[3][2]]
    assert streams.progress() == {"frames_total": 4, "frames_wanted": 4, "frames_sent": 4, "finished": True}
    assert streams.time() == 12.0


def test_a_reconnect_continues_where_the_stream_was_left(folder: Path) -> None:
    seconds = Seconds()
    streams = CaptureStreams(frames_of(Capture.read(folder)), 1.0, seconds)
    streams.open("ab@aggTrade")
    assert len(list(streams.due())) == 1
    streams.close("ab@aggTrade")
    seconds.now += 60
    assert list(streams.due()) == []
    streams.open("ab@aggTrade")
    assert [json.loads(o.payload)["a"] for o in streams.due()] == [2]
    assert list(streams.due()) == []
    assert streams.progress() == {"frames_total": 4, "frames_wanted": 2, "frames_sent": 2, "finished": True}


def test_streams_that_were_not_recorded_stay_silent(folder: Path) -> None:
    streams = CaptureStreams(frames_of(Capture.read(folder)), 1.0, Seconds())
    streams.open("zz@aggTrade")
    assert list(streams.due()) == []
    assert not streams.progress()["finished"]


def asked(folder: Path, endpoint: str, **parameters: str) -> Any:
    api = CaptureEndpoints(Capture.read(folder), lambda: 10.25)
    return asyncio.run(api.by_name[endpoint](Parameters(parameters)).body())  # type: ignore[arg-type]


def test_rest_answers_what_was_recorded(folder: Path) -> None:
    assert asked(folder, "time") == {"serverTime": 10_250}
    assert json.loads(asked(folder, "exchangeInfo"))["serverTime"] == 9000
    assert [s["symbol"] for s in asked(folder, "exchangeInfo", symbols='["CD"]')["symbols"]] == ["CD"]
    assert asked(folder, "depth", symbol="AB", limit="1000") == DEPTH.encode()
    assert asked(folder, "depth", symbol="AB", limit="1")["bids"] == [["1.0", "2.0"]]
    assert asked(folder, "klines", symbol="AB", interval="1m", startTime="1") == []
    assert asked(folder, "aggTrades", symbol="CD", fromId="1") == []


@pytest.mark.parametrize(("symbol", "code"), [("CD", -1000), ("XX", -1121)])
def test_what_was_not_recorded_is_an_error(folder: Path, symbol: str, code: int) -> None:
    with pytest.raises(ApiError) as error:
        asked(folder, "depth", symbol=symbol)
    assert isinstance(error.value.body, dict)
    assert error.value.body["code"] == code


@pytest.mark.parametrize("line", ["12.0: not json", "gibberish"])
def test_a_line_in_no_known_format_is_named(folder: Path, line: str) -> None:
    (folder / "worse.capture").write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"worse\.capture:1: .*" + line):
        exchanges(Settings(capture=folder))


def test_a_folder_without_a_capture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="such as that of /exchangeInfo"):
        exchanges(Settings(capture=tmp_path))


def test_the_recorded_half_minute_is_replayed_whole(spot_capture: Path) -> None:
    seconds = Seconds()
    capture = Capture.read(spot_capture)
    frames = frames_of(capture)
    streams = CaptureStreams(frames, 10.0, seconds)
    for name in {frame.stream for frame in frames}:
        streams.open(name)
    said: list[bytes] = []
    while not streams.progress()["finished"]:
        seconds.now += 0.05
        said.extend(out.wrapped for out in streams.due() if out.wrapped)
    recorded = (spot_capture / "binance-websocket.capture").read_bytes().splitlines()[1:]
    assert said == [line.split(b": ", 1)[1] for line in recorded if line]
    assert set(CaptureEndpoints(capture, streams.time).depths) == {"NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"}
    assert seconds.now < 110
