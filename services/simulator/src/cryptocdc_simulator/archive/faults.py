"""Faults of single files of the archive, on request: POST /simulator/faults/archive?file=…&kind=…&row=…&count=…

A file may have several. `file` is its name, such as BTCUSDT-1m-2026-06.zip, or that of its checksum for the kinds of
`INSTEAD`. Rows are counted from 0, without the header line.

| kind | effect |
|---|---|
| missing | status 404 |
| unavailable | status 503 |
| page | an HTML page with status 200 in place of the file |
| cut | the connection ends in the middle of the next response |
| wrong-checksum | the published checksum is another file's |
| truncated | the zip ends in the middle; its checksum is that of what is served |
| empty | the zip's file has no rows |
| hole | `count` rows from `row` on are missing |
| repeated | `count` rows from `row` on are there twice |
| fields | `count` rows from `row` on have a field more |
| milliseconds, microseconds | the unit of all times |
| header, no-header | whether the file begins with a header line |
| republished | the same rows in another zip, with its own checksum |
| early | the file is there before its time has ended, with the rows up to its first request |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cryptocdc_simulator.faults import Faults, Span

INSTEAD = ("missing", "unavailable", "page")
_ROWS = ("hole", "repeated", "fields")
KINDS = (
    *INSTEAD, "cut", "wrong-checksum", "truncated", "empty", *_ROWS,
    "milliseconds", "microseconds", "header", "no-header", "republished", "early",
)  # fmt: skip

Struck = Mapping[str, Span]
"""The faults of a file by kind, with the rows that they affect."""


def archive_fault(faults: Faults) -> Callable[[Mapping[str, str]], dict[str, Any]]:
    """Return the function that requests a fault. It raises KeyError or ValueError."""

    def strike(parameters: Mapping[str, str]) -> dict[str, Any]:
        file, kind = parameters["file"], parameters["kind"]
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r} is not accepted; accepted: {', '.join(KINDS)}")
        accepted = (".zip", ".zip.CHECKSUM") if kind in INSTEAD else (".zip",)
        if not file.endswith(accepted):
            raise ValueError(f"file {file!r} is not accepted; accepted: a name that ends with {' or '.join(accepted)}")
        row, count = int(parameters.get("row", "0")), int(parameters.get("count", "1"))
        if row < 0 or count < 1:
            raise ValueError(f"row {row}, count {count}: accepted are a row from 0 on and a count from 1 on")
        faults.archive.setdefault(file, {})[kind] = Span(row, row + count - 1)
        return {"file": file, "kind": kind}

    return strike


def damaged(lines: list[str], first: int, struck: Struck) -> list[str]:
    """Return consecutive lines of a file, the first of which is row `first`, with the faults of its rows."""
    none = Span(0, -1)
    hole, repeated, fields = (struck.get(kind, none) for kind in _ROWS)
    if "empty" in struck:
        return []
    written = []
    for row, line in enumerate(lines, start=first):
        if row not in hole:
            changed = line + ",0" if row in fields else line
            written += [changed, changed] if row in repeated else [changed]
    return written
