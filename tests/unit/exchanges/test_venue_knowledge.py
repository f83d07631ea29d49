"""Knowledge of a venue's API stays in its folder: paths, channels, headers, codes and fields."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDER = Path("exchanges/src/cryptocdc_exchanges")
ELSEWHERE = ("services/simulator",)
"""It speaks each API, and is written from the documentation."""
WORDS = {
    # A folder of the same family begins with its name: binance_usdm shares parts of binance.
    "binance": (
        "/api/v3", "aggTrade", "bookTicker", "miniTicker", "depthUpdate", "24hrTicker", "lastUpdateId", "exchangeInfo",
        "historicalTrades", "ticker/24hr", "X-MBX-", "-1121", "serverShutdown", "fromId", '"SUBSCRIBE"', "@depth",
    ),
    "binance_usdm": ("fapi", "contractType", "PENDING_TRADING", '"pu"', "/public/stream", "/market/stream"),
    "coinbase": (
        "level2_batch", "l2update", "last_match", "product_ids", "open_24h", "trading_disabled", "granularity",
        "stats_24hour", "not a valid product",
    ),
    "okx": (
        "/api/v5", "/ws/v5", "instId", "instType", "tradeId", "prevSeqId", "history-trades", "history-candles",
        "trades-all", "volCcy24h", "51001", "50011", "64008",
        "idxPx", "fundingRate", "liquidation-orders", "oiCcy",
    ),
}  # fmt: skip


@pytest.mark.parametrize("venue", WORDS)
def test_no_word_of_a_venue_s_api_appears_outside_its_folder(venue: str) -> None:
    parts = ("core", "control", "exchanges", "adapters", "services", "operators", "local", "grafana")
    sources = [file for part in parts for file in (ROOT / part / "src").rglob("*.py")]
    sources += (ROOT / "services").glob("*/src/**/*.py")
    found = [
        f"{file.relative_to(ROOT)}: {word}"
        for file in sources
        if not str(file.relative_to(ROOT)).startswith((str(FOLDER / venue), *ELSEWHERE))
        for word in WORDS[venue]
        if word in file.read_text(encoding="utf-8")
    ]
    assert not found
    assert len(sources) > 100


def test_binance_s_weight_header_is_in_the_venue_s_limits_module() -> None:
    assert "X-MBX-USED-WEIGHT" in (ROOT / FOLDER / "binance" / "limits.py").read_text(encoding="utf-8")


def test_every_venue_has_an_entry_in_the_list_of_words() -> None:
    assert {*WORDS, "port"} == {file.parent.name for file in (ROOT / FOLDER).glob("*/__init__.py")}
