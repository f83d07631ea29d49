"""Converts pages of Cassandra's rows to lines, by a function that is compiled for each stream."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cryptocdc_adapters.cassandra.raw_rows import Page, row_at
from cryptocdc_core.catalogue import Column, Stream, Type
from cryptocdc_verifier.comparing.canonical import CONVERTERS, NULL, ordered

Read = Callable[[Page], list[bytes]]

_FIXED = {Type.BIGINT: "q", Type.TIMESTAMP: "q", Type.INTEGER: "i", Type.BOOLEAN: "b"}
"""The types of fixed size, with their format for `struct`."""


def selected(stream: Stream) -> tuple[Column, ...]:
    """Return the columns in the order in which `page_reader` expects them: those of fixed size that are never null come
    first, since they are unpacked together."""
    return tuple(sorted(ordered(stream), key=lambda column: not _is_fixed(column)))


def _is_fixed(column: Column) -> bool:
    return column.type in _FIXED and not column.nullable


_READ = """
def read(page):
    lines = []
    append = lines.append
    rows = length(page)[0]
    page += padding
    at = 4
    for _ in range(rows):
        {unpacked} = unpack(page, at)
        if {sizes_fit}:
            at += {size}
{variable}            append(f"{line}".encode())
        else:
            row, at = row_at(page, at, {columns})
            append(any_line(row))
    return lines
"""

_VARIABLE = """\
            size = length(page, at)[0]
            at += 4
            if size < 0:
                {value} = NULL
            else:
                {value} = {convert}(page[at : at + size])
                at += size
"""


def page_reader(stream: Stream) -> Read:
    """Compile the function that returns the lines of a page.

    In a microbenchmark a row of trades takes half as long as in a loop over its columns. A row that was written by hand
    may lack any value: it takes the second way.
    """
    columns = selected(stream)
    fixed = [column for column in columns if _is_fixed(column)]
    form = struct.Struct(">" + "".join(f"i{_FIXED[column.type]}" for column in fixed))
    names = {column.name: f"value_{column.name}" for column in columns}
    sizes = [(f"size_{column.name}", struct.calcsize(f">{_FIXED[column.type]}")) for column in fixed]
    places = [columns.index(column) for column in ordered(stream)]
    convert = [CONVERTERS[column.type] for column in columns]

    def any_line(row: list[bytes | None]) -> bytes:
        texts = [NULL if raw is None else convert[at](raw) for at, raw in enumerate(row)]
        return "\t".join([texts[at] for at in places]).encode()

    source = _READ.format(
        unpacked=", ".join(f"{size}, {names[column.name]}" for column, (size, _) in zip(fixed, sizes, strict=True)),
        sizes_fit=" and ".join(f"{name} == {size}" for name, size in sizes),
        size=form.size,
        columns=len(columns),
        variable="".join(
            _VARIABLE.format(value=names[column.name], convert=f"convert_{column.type.name.lower()}")
            for column in columns
            if not _is_fixed(column)
        ),
        line="\\t".join(
            f"{{'t' if {names[column.name]} else 'f'}}"
            if column.type is Type.BOOLEAN and _is_fixed(column)
            else f"{{{names[column.name]}}}"
            for column in ordered(stream)
        ),
    )
    scope: dict[str, Any] = {
        "length": struct.Struct(">i").unpack_from,
        "unpack": form.unpack_from,
        "padding": bytes(form.size),  # the last row may be shorter, if its values are null
        "row_at": row_at,
        "any_line": any_line,
        "NULL": NULL,
        **{f"convert_{kind.name.lower()}": function for kind, function in CONVERTERS.items()},
    }
    scope["convert_text"] = lru_cache(4096)(CONVERTERS[Type.TEXT])
    exec(source, scope)  # noqa: S102 - made only of the catalogue's names
    read: Read = scope["read"]
    return read
