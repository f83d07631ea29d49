"""The typed rows are the catalogue's columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from cryptocdc_core.catalogue import STREAMS, Stream
from cryptocdc_core.rows import generate, typed


def test_the_generated_row_types_are_up_to_date_with_the_catalogue() -> None:
    written = Path(typed.__file__).read_text(encoding="utf-8")
    assert written == generate.source(), "the catalogue has changed: `make rows`"


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_the_fields_of_a_row_are_the_columns_in_order(stream: Stream) -> None:
    kind = getattr(typed, generate.class_name(stream))
    assert (kind.stream, kind.__struct_fields__) == (stream, stream.column_names)
