"""Pages of rows as Cassandra sends them."""

from collections.abc import Sequence

from cryptocdc_core.catalogue import Stream
from cryptocdc_verifier.comparing.canonical import ordered
from cryptocdc_verifier.comparing.pages import page_reader, selected


def lines_of(stream: Stream, *rows: Sequence[bytes | None]) -> list[bytes]:
    """The lines of a page with these rows, each with its values in the order of a line."""
    places = [ordered(stream).index(column) for column in selected(stream)]
    page = len(rows).to_bytes(4, "big")
    for row in rows:
        for at in places:
            value = row[at]
            page += (-1).to_bytes(4, "big", signed=True) if value is None else len(value).to_bytes(4, "big") + value
    return page_reader(stream)(page)
