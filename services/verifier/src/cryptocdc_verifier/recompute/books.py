"""The figures of stored order books, computed plainly: the analyzer's results are compared with these. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.catalogue.streams import ORDER_BOOK
from cryptocdc_verifier.comparing.canonical import NULL, ordered
from cryptocdc_verifier.recompute.bars import Number, number, product, rounded, total

BOOK_METRICS = by_table("book_metrics")
_NAMES = [column.name for column in ordered(ORDER_BOOK)]


def metrics(line: bytes) -> bytes | None:
    """Return the line of book_metrics for a line of order_book; None if a value is missing, as where a row was written
    by hand."""
    book = dict(zip(_NAMES, line.decode().split("\t"), strict=True))
    if NULL in (book["bid_prices"], book["bid_quantities"], book["ask_prices"], book["ask_quantities"]):
        return None
    bids, wanted = _numbers(book["bid_prices"]), _numbers(book["bid_quantities"])
    asks, offered = _numbers(book["ask_prices"]), _numbers(book["ask_quantities"])
    values: dict[str, object] = {
        "symbol": book["symbol"],
        "bucket_time": book["bucket_time"],
        "bid_price": bids[0] if bids else NULL,
        "ask_price": asks[0] if asks else NULL,
        "spread": NULL,
        "mid": NULL,
        "microprice": NULL,
        "event_time": book["event_time"],
        "received_at": book["received_at"],
        "version": book["version"],
    }
    if bids and asks:
        both = total([bids[0], asks[0]])
        weight = total([wanted[0], offered[0]])
        weighted = total([product(bids[0], offered[0]), product(asks[0], wanted[0])])
        values["spread"] = total([asks[0], Number(-bids[0].units, bids[0].places)])
        values["mid"] = Number(both.units * 5, both.places + 1)
        values["microprice"] = rounded(weighted.value / weight.value) if weight.units else NULL
    for column in BOOK_METRICS.columns:
        if column.name.startswith("imbalance_"):
            depth = int(column.name.removeprefix("imbalance_"))
            values[column.name] = _imbalance(wanted[:depth], offered[:depth])
    return "\t".join(str(values[column.name]) for column in ordered(BOOK_METRICS)).encode()


def _imbalance(wanted: Sequence[Number], offered: Sequence[Number]) -> str:
    if not wanted or not offered:
        return NULL
    one, other = total(wanted).value, total(offered).value
    return rounded((one - other) / (one + other)) if one + other else NULL


def _numbers(listed: str) -> list[Number]:
    return [number(text) for text in listed.strip("{}").split(",") if text]
