"""Generate `typed.py`, the typed rows, from the catalogue: `make rows`."""

from __future__ import annotations

from cryptocdc_core.catalogue import STREAMS, Stream, Type

_PYTHON = {
    Type.TEXT: "str",
    Type.BIGINT: "int",
    Type.INTEGER: "int",
    Type.BOOLEAN: "bool",
    Type.DECIMAL: "str",
    Type.DECIMALS: "list[str]",
    Type.TIMESTAMP: "int",
}
_HEAD = '''\
"""One row of each stream, generated from the catalogue by `make rows`: do not edit.

Times are milliseconds since the epoch, decimals the exchange's own digits, None is null. Fields are in the order of the
columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from cryptocdc_core.catalogue import STREAMS, Stream


class Row(msgspec.Struct, gc=False):
    """What the rows of all streams have in common."""

    stream: ClassVar[Stream]
    if TYPE_CHECKING:
        symbol: str
        received_at: int
        version: int
'''


def class_name(stream: Stream) -> str:
    """Return the name of a stream's row, e.g. RecentTradesRow."""
    return f"{stream.name[0].upper()}{stream.name[1:]}Row"


def source() -> str:
    """Return the text of `typed.py`."""
    parts = [_HEAD]
    for stream in STREAMS.values():
        fields = "".join(
            f"    {column.name}: {_PYTHON[column.type]}{' | None' if column.nullable else ''}\n"
            for column in stream.columns
        )
        head = f'class {class_name(stream)}(Row, kw_only=True, gc=False):\n    """A row of `{stream.table}`."""\n'
        parts.append(f'{head}\n    stream: ClassVar[Stream] = STREAMS["{stream.name}"]\n{fields}')
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(source(), end="")
