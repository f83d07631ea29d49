"""Decodes captured rows from change records, and encodes rows of computed tables in the same form. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from cryptocdc_analyzer.books import metrics
from cryptocdc_analyzer.windows.bars import Trade
from cryptocdc_core.catalogue.computed import BOOK_METRICS
from cryptocdc_core.catalogue.streams import ORDER_BOOK, RECENT_TRADES
from cryptocdc_core.rows.changes import Decoder, Undecodable, record_end, record_value


class Result(NamedTuple):
    """A row of a computed table. `committed_us` is PostgreSQL's commit of the newest row that it is made of, `op` the
    operation of its change: an update unless it is known to be the first version, since a null of an update also
    removes an older version's value."""

    table: str
    row: dict[str, Any]
    committed_us: int
    op: str = "u"


class Trades:
    """Decodes changes of recent_trades."""

    def __init__(self) -> None:
        self._decoder = Decoder(RECENT_TRADES)

    def read(self, value: bytes | None) -> Trade | None:
        """Return the trade in a record's value; None for a delete. Raises Undecodable."""
        change: Any = self._decoder.decode(value)
        if change.op == "d":
            return None
        try:
            price, quantity = Decimal(change.price), Decimal(change.quantity)
        except InvalidOperation:
            raise Undecodable(f"price {change.price!r} or quantity {change.quantity!r} is not a decimal") from None
        if not price.is_finite() or not quantity.is_finite():
            raise Undecodable(f"price {change.price!r} or quantity {change.quantity!r} is not a finite number")
        return Trade(
            change.symbol, change.trade_time, change.trade_id, price, quantity, not change.buyer_is_maker,
            change.received_at, change.committed_us,
        )  # fmt: skip


class Books:
    """Decodes changes of order_book."""

    def __init__(self) -> None:
        self._decoder = Decoder(ORDER_BOOK)

    def read(self, value: bytes | None) -> Result | None:
        """Return the row of book_metrics for a record's value; None for a delete. Raises Undecodable, ArithmeticError.

        The change's operation is kept: consumers treat a first version otherwise than one that replaces another.
        """
        change: Any = self._decoder.decode(value)
        if change.op == "d":
            return None
        return Result(BOOK_METRICS.table, metrics(change), change.committed_us, change.op)


def value_of(result: Result) -> bytes:
    """Return the value of a computed row's record."""
    return record_value(result.row, record_end(result.op, result.committed_us))
