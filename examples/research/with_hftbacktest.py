"""Events for hftbacktest from exported trades and order books: python with_hftbacktest.py FOLDER SYMBOL FILE.npz

An order book is exported as its best levels at the end of each interval. Each becomes a snapshot: both sides are
cleared and filled again.
"""

import sys
from typing import Any

import numpy as np
import pyarrow.dataset as ds
from hftbacktest import (
    BUY_EVENT,
    DEPTH_CLEAR_EVENT,
    DEPTH_SNAPSHOT_EVENT,
    EXCH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    TRADE_EVENT,
)
from hftbacktest.types import event_dtype

Event = tuple[int, int, int, float, float, int, int, float]


def rows(folder: str, stream: str, symbol: str) -> list[dict[str, Any]]:
    return ds.dataset(f"{folder}/stream={stream}/symbol={symbol}").to_table().to_pylist()


def ns(at: Any) -> int:
    return round(at.timestamp() * 1_000_000) * 1000


def events(folder: str, symbol: str) -> np.ndarray:
    """All events in order of time, as hftbacktest's structured array. An event is used at the exchange and here."""
    both = EXCH_EVENT | LOCAL_EVENT
    found: list[Event] = []
    for row in rows(folder, "recentTrades", symbol):
        side = SELL_EVENT if row["buyer_is_maker"] else BUY_EVENT
        exchange, here = ns(row["trade_time"]), ns(row["received_at"])
        price, quantity = float(row["price"]), float(row["quantity"])
        found.append((both | TRADE_EVENT | side, exchange, here, price, quantity, 0, 0, 0.0))
    for row in rows(folder, "orderBook", symbol):
        exchange, here = ns(row["event_time"]), ns(row["received_at"])
        for side, name in ((BUY_EVENT, "bid"), (SELL_EVENT, "ask")):
            prices, quantities = row[f"{name}_prices"], row[f"{name}_quantities"]
            if prices:  # a side is cleared as far as its last level, which comes last
                found.append((both | DEPTH_CLEAR_EVENT | side, exchange, here, float(prices[-1]), 0.0, 0, 0, 0.0))
            for price, quantity in zip(prices, quantities, strict=True):
                found.append(
                    (both | DEPTH_SNAPSHOT_EVENT | side, exchange, here, float(price), float(quantity), 0, 0, 0.0)
                )
    made = np.array(found, dtype=event_dtype)
    # Stable, so that a snapshot's events stay together. Times here never precede those at the exchange.
    made["local_ts"] = np.maximum(made["local_ts"], made["exch_ts"])
    made = made[np.argsort(made["exch_ts"], kind="stable")]
    made["local_ts"] = np.maximum.accumulate(made["local_ts"])
    return made


if __name__ == "__main__":
    data = events(*sys.argv[1:3])
    np.savez_compressed(sys.argv[3], data=data)
    print(f"{len(data):,} events in {sys.argv[3]}")
