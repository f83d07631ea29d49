"""OKX's order book of 2022 after every recorded frame: equal to the checksum that came with it."""

from __future__ import annotations

import json
from itertools import zip_longest
from zlib import crc32

import pytest
from tests.recordings import FOLDER, MISSING
from tests.unit.core.feeds import feed

from cryptocdc_core.rows.typed import OrderBookRow
from cryptocdc_exchanges.port import BookUpdate, Control
from cryptocdc_exchanges.registry import VENUES
from cryptocdc_producer.streams.book import Applied, Book

OKX = VENUES["okx"]
RECORDING = FOLDER / "okx-websocket.capture"


def checksum(row: OrderBookRow) -> int:
    """Return the signed CRC-32 of price:size of the best 25 levels, bid and ask in turn."""
    bids = zip(row.bid_prices, row.bid_quantities, strict=True)
    asks = zip(row.ask_prices, row.ask_quantities, strict=True)
    pairs = zip_longest(list(bids)[:25], list(asks)[:25])
    text = ":".join(f"{price}:{size}" for pair in pairs for price, size in filter(None, pair))
    found = crc32(text.encode())
    return found - 2**32 if found >= 2**31 else found


@pytest.mark.skipif(not RECORDING.is_file(), reason=MISSING)
def test_the_book_after_each_update_has_the_venue_s_checksum() -> None:
    decode = OKX.frames.decoder(feed(exchange="okx", streams={"orderBook": {}}).spec.streams)
    book = Book("BTC-USDT", 100, 1000, OKX.order_book)
    compared = 0
    for line in RECORDING.read_text(encoding="utf-8").splitlines():
        raw = line.split(": ", 1)[1]
        if '"books"' not in raw:
            continue
        found = decode(raw.encode())
        assert not isinstance(found, Control)
        update = found[0].row(2**42)
        assert isinstance(update, BookUpdate)
        applied, _ = book.receive(update, 0)
        assert applied in (Applied.SNAPSHOT, Applied.APPLIED)
        if update.snapshot:
            continue
        row = book.flush()
        assert row is not None
        assert row.last_update_id is None
        assert checksum(row) == json.loads(raw)["data"][0]["checksum"]
        compared += 1
    assert compared > 90
