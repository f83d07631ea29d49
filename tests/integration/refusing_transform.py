"""A user's transform with a fixable fault: it raises for the tables named in a file while that exists."""

from __future__ import annotations

import os
from pathlib import Path

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.rows.changes import Change

FILE = "CRYPTOCDC_TEST_REFUSED_TABLES"


def refuse(stream: Stream, change: Change) -> Change:
    file = Path(os.environ[FILE])
    if file.exists() and stream.table in file.read_text(encoding="utf-8").split():
        raise LookupError(f"no rate for {stream.table}")
    return change
