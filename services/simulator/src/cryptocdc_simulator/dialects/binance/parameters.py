"""The parameters of a REST request, validated as by the exchange."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from cryptocdc_simulator.dialects.binance import errors
from cryptocdc_simulator.market.klines import INTERVALS

_NAME, _NAME_RANGE = r"(?:(?![a-z])[\w.-]){1,50}", r"[\w\-._&&[^a-z]]{1,50}"
"""Word characters of any script except a to z; and the same as the exchange writes it in its refusals."""
SYMBOL, SYMBOL_RANGE = re.compile(_NAME), f"^{_NAME_RANGE}$"
_SYMBOLS = re.compile(rf'\[("{_NAME}"(,"{_NAME}")*)?\]')
_SYMBOLS_RANGE = rf'^\[("{_NAME_RANGE}"(,"{_NAME_RANGE}"){{0,}}){{0,1}}\]$'
_INTEGER = r"^[0-9]{1,20}$"


class Parameters:
    """Reads parameters by name; `finish` raises an error for those that were not read."""

    def __init__(self, sent: Mapping[str, str]) -> None:
        self._sent = sent
        self._read: set[str] = set()

    def text(self, name: str) -> str | None:
        self._read.add(name)
        return self._sent.get(name)

    def required_symbol(self) -> str:
        symbol = self.optional_symbol()
        if symbol is None:
            raise errors.missing("symbol")
        return symbol

    def optional_symbol(self) -> str | None:
        symbol = self.text("symbol")
        if symbol is None:
            return None
        if not symbol:
            raise errors.missing("symbol")
        if not SYMBOL.fullmatch(symbol):
            raise errors.illegal("symbol", SYMBOL_RANGE)
        return symbol

    def one_or_many_symbols(self) -> list[str] | None:
        """Return `symbol` or `symbols`, not both; None for all. A space in `symbols` is an illegal character."""
        symbol, symbols = self.optional_symbol(), self.text("symbols")
        if symbol is not None and symbols is not None:
            raise errors.bad_combination()
        if symbol is not None:
            return [symbol]
        if symbols is None:
            return None
        if not symbols:
            raise errors.missing("symbols")
        if not _SYMBOLS.fullmatch(symbols):
            raise errors.illegal("symbols", _SYMBOLS_RANGE)
        names: list[str] = json.loads(symbols)
        if len(set(names)) < len(names):
            raise errors.error(400, -1151, "Symbol is present multiple times in the list.")
        return names

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not value:
            raise errors.missing(name)
        if not re.match(_INTEGER, value):
            raise errors.illegal(name, _INTEGER)
        return int(value)

    def limit(self, default: int, most: int) -> int:
        """Return the limit; if it is above `most`, the exchange uses `most`."""
        limit = self.integer("limit")
        if limit is None:
            return default
        if limit == 0:
            raise errors.invalid_value("limit")
        return min(limit, most)

    def interval(self) -> str:
        interval = self.text("interval")
        if not interval:
            raise errors.missing("interval")
        if interval not in INTERVALS:
            raise errors.invalid_interval()
        return interval

    def choice(self, name: str, default: str, *others: str) -> str:
        value = self.text(name)
        if value is None:
            return default
        if value not in (default, *others):
            raise errors.invalid_value(name)
        return value

    def finish(self) -> None:
        unread = set(self._sent) - self._read
        if unread:
            raise errors.unread(len(self._sent) - len(unread), len(self._sent))
