"""Reads the lines of an archive's file into rows: every field checked, ids in order, times within the file's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import nan

from cryptocdc_core.catalogue import Stream, Type, by_table
from cryptocdc_core.rows.typed import Row
from cryptocdc_core.time import intervals
from cryptocdc_core.time.times import iso
from cryptocdc_exchanges.port.archive import File, Format

HOLES_KEPT = 20
"""Holes of a file that are kept individually; more are only counted."""

_VALUES = {
    Type.BIGINT: (r"\d{1,18}", "a whole number"),
    Type.DECIMAL: (r"\d{1,200}+(?:\.\d{1,200}+)?+", "digits such as 0.00012300"),
    Type.TIMESTAMP: (r"\d{13}(?:\d{3})?+", "13 digits for milliseconds, or 16 for microseconds, since 1970"),
    Type.BOOLEAN: ("[Tt]rue|[Ff]alse", "true or false"),
}
"""The pattern of each type's values, and words for it. Without backtracking (++, ?+) it takes a third less time."""
_OTHER_IDS = frozenset({"first_trade_id", "last_trade_id"})
_OTHER_ID = (r"-1|\d{1,18}", "a whole number, or -1 for none")
_MILLISECONDS_DIGITS = 13


class BadLine(ValueError):
    """A line that can't be a row of the file; the message says why, `number` counts lines from 1."""

    def __init__(self, number: int, problem: str) -> None:
        self.number = number
        super().__init__(f"line {number}: {problem}")


def millis(text: str) -> int:
    """Return a time in milliseconds since the epoch, from milliseconds or microseconds: the digits say which."""
    return int(text) if len(text) == _MILLISECONDS_DIGITS else int(text) // 1000


def boolean(text: str) -> bool:
    return text[0] in "tT"


@dataclass
class Found:
    """What was read of a file so far. `first` and `last` are values of the format's `id`."""

    rows: int = 0
    repeated: int = 0
    """Lines that equal the one before them, which are not rows of their own."""
    first: int | None = None
    last: int | None = None
    missing: int = 0
    """Values of the id that no row has."""
    holes: list[tuple[int, int]] = field(default_factory=list)
    """The first and the last value of each of the first holes."""


def hole(kind: str, id_column: str, before: int, after: int) -> tuple[int, int, int] | None:
    """Return the first and last id between two consecutive rows, and how many there are; None if there are none."""
    if id_column != "open_time":
        return None if after <= before + 1 else (before + 1, after - 1, after - before - 1)
    first = intervals.following(kind, before)
    if after <= first:
        return None
    last = intervals.preceding(kind, after)
    return first, last, intervals.count(kind, first, last)


def rows(form: Format, file: File, lines: Iterable[str], read_ms: int, found: Found) -> Iterator[Row]:
    """Yield the rows of a file and count them in `found`. Raises BadLine."""
    stream, kind, id_column = by_table(file.series.table), file.series.kind, form.id
    match = _pattern(form, stream).fullmatch
    stored = tuple(name for name in form.columns if name)
    id_at, time_at = stored.index(id_column), stored.index(stream.time)
    candles = id_column == stream.time
    # Of months, which differ in length, no candle follows by a fixed step.
    step: float = intervals.LENGTH_MS.get(kind, nan) if candles else 1
    make, start_ms, end_ms = form.make(file.series, read_ms), file.start_ms, file.end_ms
    last, before = found.last, ""
    try:
        for number, line in enumerate(lines, 1):
            matched = match(line)
            if matched is None:
                if number == 1 and _is_header(line, len(form.columns)):
                    continue
                raise BadLine(number, _problem(form, stream, line))
            fields = matched.groups()
            at_ms = millis(fields[time_at])
            if not start_ms <= at_ms < end_ms:
                raise BadLine(number, f"{stream.time} {iso(at_ms)} is not within the file's {file.period}")
            identity = at_ms if candles else int(fields[id_at])
            if last is None:
                found.first = identity
            if last is None or identity != last + step:
                if identity == last and line.rstrip() == before.rstrip():
                    found.repeated += 1
                    continue
                _jump(found, form, kind, last, identity, number)
            last, before = identity, line
            found.rows += 1
            yield make(fields)
    finally:
        found.last = last


def _jump(found: Found, form: Format, kind: str, last: int | None, identity: int, number: int) -> None:
    """Count the hole before a row that does not follow the one with the id `last`. Raises BadLine."""
    if form.id == "open_time" and intervals.opening(kind, identity) != identity:
        raise BadLine(number, f"open_time {iso(identity)} is not the beginning of a candle of {kind}")
    if last is None:
        return
    if identity <= last:
        raise BadLine(number, f"{form.id} {identity} follows {last}; accepted: a greater one")
    if (between := hole(kind, form.id, last, identity)) is not None:
        found.missing += between[2]
        if len(found.holes) < HOLES_KEPT:
            found.holes.append(between[:2])


def _pattern(form: Format, stream: Stream) -> re.Pattern[str]:
    """Return the pattern of a line, with a group for each field that is stored: one match checks a whole line."""
    fields = [f"({_accepted(stream, name)[0]})" if name else "[^,\r\n]*" for name in form.columns]
    return re.compile(",".join(fields) + "\r?\n?", re.ASCII)


def _accepted(stream: Stream, column: str) -> tuple[str, str]:
    """Return the pattern of a column's values, and words for it."""
    return _OTHER_ID if column in _OTHER_IDS else _VALUES[stream.types[column]]


def _is_header(line: str, fields: int) -> bool:
    names = line.strip().split(",")
    return len(names) == fields and all(re.fullmatch("[A-Za-z_ ]+", name) for name in names)


def _problem(form: Format, stream: Stream, line: str) -> str:
    shown = line[:200].strip()
    if not shown:
        return "an empty line"
    values = line.rstrip("\r\n").split(",")
    if len(values) != len(form.columns):
        return f"{len(values)} fields instead of {len(form.columns)}: {shown!r}"
    for name, value in zip(form.columns, values, strict=True):
        pattern, words = _accepted(stream, name) if name else ("[^,]*", "")
        if re.fullmatch(pattern, value, re.ASCII) is None:
            return f"{name} {value[:40]!r} is not accepted; accepted: {words}"
    return f"not a line of this file: {shown!r}"
