"""Changes of order books as the connector sends them."""

from __future__ import annotations

import json


def book_change(bids: list[str], wanted: list[str], asks: list[str], offered: list[str], op: str = "c") -> bytes:
    """Prices and quantities of each side, best first."""
    return json.dumps(
        {
            "symbol": "BTCUSDT", "bucket_time": 1_790_000_000_000, "last_update_id": 1, "bid_prices": bids,
            "bid_quantities": wanted, "ask_prices": asks, "ask_quantities": offered, "event_time": 1_790_000_000_500,
            "received_at": 1_790_000_000_510, "version": 7,
            "__op": op, "__lsn": 1, "__source_ts_us": 1_790_000_000_520_000, "__deleted": "false",
        }
    ).encode()  # fmt: skip
