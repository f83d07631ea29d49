"""Mark prices of OKX are joined from three channels: the contents of a row, and when there is none."""

from __future__ import annotations

import json

from tests.unit.core.feeds import feed

from cryptocdc_core.rows.typed import MarkPricesRow
from cryptocdc_exchanges.port import Control
from cryptocdc_exchanges.registry import VENUES

AT = 1_780_315_200_000
MINUTE = 60_000
SWAP = "BTC-USDT-SWAP"


class Received:
    """The rows of the received frames."""

    def __init__(self) -> None:
        self._decode = VENUES["okx"].frames.decoder(feed(exchange="okx", streams={"markPrices": {}}).spec.streams)
        self.rows: list[MarkPricesRow] = []

    def _push(self, channel: str, subject: str, time: int, **fields: str) -> None:
        data = {"instId": subject, "ts": str(time), **fields}
        found = self._decode(json.dumps({"arg": {"channel": channel, "instId": subject}, "data": [data]}).encode())
        assert not isinstance(found, Control)
        for event in found:
            row = event.row(time)
            assert isinstance(row, MarkPricesRow)
            self.rows.append(row)

    def mark(self, price: str, time: int, symbol: str = SWAP) -> None:
        self._push("mark-price", symbol, time, markPx=price)

    def index(self, price: str, time: int, name: str = "BTC-USDT") -> None:
        self._push("index-tickers", name, time, idxPx=price)

    def funding(self, rate: str, ends: int, time: int, symbol: str = SWAP) -> None:
        self._push("funding-rate", symbol, time, fundingRate=rate, fundingTime=str(ends))

    @property
    def values(self) -> list[tuple[int, str, str | None, str | None]]:
        return [(it.event_time - AT, it.mark_price, it.index_price, it.funding_rate) for it in self.rows]


def test_each_mark_price_makes_a_row_once_index_and_funding_are_known() -> None:
    received = Received()
    received.mark("100", AT)
    received.index("99", AT + 1)
    received.mark("101", AT + 2)
    received.funding("0.0001", AT + MINUTE, AT + 3)
    received.index("98", AT + 4)
    received.mark("102", AT + 5)
    received.mark("103", AT + 6)

    assert received.values == [(5, "102", "98", "0.0001"), (6, "103", "98", "0.0001")]


def test_a_part_that_is_too_old_counts_as_unknown() -> None:
    received = Received()
    received.index("99", AT)
    received.funding("0.0001", AT + 600 * MINUTE, AT)
    received.mark("100", AT + 2 * MINUTE)
    received.index("98", AT + 2 * MINUTE)
    received.mark("101", AT + 2 * MINUTE + 1)
    received.funding("0.0002", AT + 600 * MINUTE, AT + 3 * MINUTE)
    received.mark("102", AT + 3 * MINUTE)

    assert [it.mark_price for it in received.rows] == ["100", "102"]


def test_funding_is_null_from_its_time_until_the_next_one_is_reported() -> None:
    received = Received()
    received.index("99", AT)
    received.funding("0.0001", AT + 10, AT)
    received.mark("100", AT + 9)
    received.mark("101", AT + 10)
    received.funding("0.0003", AT + 480 * MINUTE, AT + 11)
    received.mark("102", AT + 12)

    assert [(it.funding_rate, it.next_funding_time) for it in received.rows] == [
        ("0.0001", AT + 10),
        (None, None),
        ("0.0003", AT + 480 * MINUTE),
    ]


def test_two_swaps_share_an_index_and_no_funding() -> None:
    received = Received()
    received.index("99", AT, name="BTC-USD")
    received.funding("0.0001", AT + MINUTE, AT, symbol="BTC-USD-SWAP")
    received.funding("-0.0002", AT + MINUTE, AT, symbol="BTC-USD_UM-SWAP")
    received.mark("100", AT, symbol="BTC-USD-SWAP")
    received.mark("101", AT, symbol="BTC-USD_UM-SWAP")

    assert [(it.symbol, it.index_price, it.funding_rate) for it in received.rows] == [
        ("BTC-USD-SWAP", "99", "0.0001"),
        ("BTC-USD_UM-SWAP", "99", "-0.0002"),
    ]
