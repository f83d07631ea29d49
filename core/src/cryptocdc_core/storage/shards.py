"""Shards: the parts of a feed's rows, by symbol, that its connectors carry, and their names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptocdc_core.names import Names

_SUFFIX = re.compile(r"(?P<number>[1-9][0-9]*)of(?P<of>[1-9][0-9]*)")


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """The `number`-th, from 1, of the `of` shards of a feed: its publication has the rows of its symbols, and its
    connector reads them through its slot. The only shard of a feed has all rows and no suffix."""

    names: Names
    of: int
    number: int

    @property
    def suffix(self) -> str:
        """For example "1of2"; "" for the only shard."""
        return "" if self.of == 1 else f"{self.number}of{self.of}"

    @property
    def publication(self) -> str:
        return f"{self.names.publication}{self.suffix and f'_{self.suffix}'}"

    @property
    def slot(self) -> str:
        return f"{self.names.slot}{self.suffix and f'_{self.suffix}'}"

    @property
    def connector(self) -> str:
        """With a dot, which no feed's name contains."""
        return f"{self.names.connector}{self.suffix and f'.{self.suffix}'}"

    @property
    def rows(self) -> str | None:
        """The condition in SQL that its rows meet, None if all do.

        A publication accepts only immutable built-in functions. PostgreSQL keeps this hash over major versions, since
        hash indexes and hash partitions rely on it; the sign bit is cleared, since a remainder may be negative.
        """
        if self.of == 1:
            return None
        return f"(hashtext(symbol) & 2147483647) % {self.of} = {self.number - 1}"


def shards(names: Names, connectors: int) -> tuple[Shard, ...]:
    """Return the shards of a feed with that number of connectors."""
    return tuple(Shard(names, connectors, number) for number in range(1, connectors + 1))


def of_slots(names: Names, slots: Iterable[str]) -> dict[str, Shard]:
    """Return the shards, of whatever number of connectors, whose slots are among `slots`, by slot."""
    return _found(names, slots, names.slot, "_")


def of_connectors(names: Names, connectors: Iterable[str]) -> dict[str, Shard]:
    """Return the shards, of whatever number of connectors, whose connectors are among `connectors`, by connector."""
    return _found(names, connectors, names.connector, ".")


def pattern(base: str) -> str:
    """Return the regular expression, for PostgreSQL, of the names that shards of any number derive from `base`."""
    return f"^{base}(_[0-9]+of[0-9]+)?$"


def _found(names: Names, given: Iterable[str], base: str, separator: str) -> dict[str, Shard]:
    found = {}
    for name in given:
        if name == base:
            found[name] = Shard(names, 1, 1)
        elif name.startswith(base + separator):
            match = _SUFFIX.fullmatch(name[len(base) + 1 :])
            if match is not None:
                found[name] = Shard(names, int(match["of"]), int(match["number"]))
    return found
