"""`cryptocdc backfill` reports only what is stored."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.unit.producer.conftest import make_feed
from tests.unit.producer.rest.test_history import HOUR, START, Rest, candle

from cryptocdc_core.program.exits import Exit
from cryptocdc_producer import commands
from cryptocdc_producer.rest import ranges
from cryptocdc_producer.rest.ranges import UnwrittenError
from cryptocdc_producer.storage.store import Stored


class NothingStored:
    def __init__(self, *_: object) -> None: ...

    def load(self, symbols: list[str]) -> dict[str, Stored]:
        return {symbol: Stored() for symbol in symbols}


@pytest.mark.parametrize("candles", [1, 60_000], ids=["fewer than the queue holds", "more than the queue holds"])
def test_a_backfill_fails_when_its_writer_does(
    candles: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def set_back(*_: object) -> None:
        raise RuntimeError("PostgreSQL has lost committed rows")

    monkeypatch.setattr(ranges, "Store", NothingStored)
    monkeypatch.setattr(ranges, "Rest", lambda *_, **__: Rest([candle(n) for n in range(candles)]))
    monkeypatch.setattr("cryptocdc_adapters.postgres.connections.connect", set_back)
    feed = make_feed({"klines": {"intervals": ["1h"]}})
    database: Any = None

    with pytest.raises(UnwrittenError):
        asyncio.run(
            commands._backfill(feed, "exchange", None, "BTCUSDT", START, START + 60_000 * HOUR, database)
        )  # fmt: skip
    assert "PostgreSQL has lost committed rows" in caplog.text


@pytest.mark.parametrize(
    ("variables", "code", "said"),
    [
        ({"CRYPTOCDC_POSTGRES_PASSWORD": "p"}, Exit.BAD_INPUT, "CRYPTOCDC_REST_URL: 'ftp://nonsense'"),
        ({}, Exit.PLATFORM, "CRYPTOCDC_POSTGRES_PASSWORD: must be set"),
    ],
    ids=["no address of a REST API", "no server"],
)
def test_a_backfill_refuses_invalid_settings_before_it_asks_the_exchange(
    variables: dict[str, str],
    code: Exit,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("CRYPTOCDC_POSTGRES_PASSWORD", raising=False)
    for name, value in {"CRYPTOCDC_REST_URL": "ftp://nonsense", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(commands, "source_in_use", lambda *_: "exchange")
    with pytest.raises(typer.Exit) as exited:
        commands.backfill(Path("examples/feed.yaml"), "BTCUSDT", "2026-11-01", "2026-11-02")
    assert exited.value.exit_code == code
    assert said in capsys.readouterr().err
