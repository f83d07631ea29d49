"""What `--out` means."""

from __future__ import annotations

from pathlib import Path

from cryptocdc_core.program.exits import BadInput
from cryptocdc_exporter.bucket import SCHEME, Bucket
from cryptocdc_exporter.destination import Destination, Folder


def open_destination(out: str) -> Destination:
    """Return where the files go. Raises BadInput."""
    if out.startswith(SCHEME):
        return Bucket(out)
    if "://" in out:
        raise BadInput(f"--out: {out!r} is not accepted; accepted: a folder, or {SCHEME}BUCKET/PATH")
    return Folder(Path(out))
