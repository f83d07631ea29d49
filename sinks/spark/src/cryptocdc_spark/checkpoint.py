"""The folder of the checkpoint: Spark's own files in `query`, and beside them whose they are."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

from cryptocdc_spark.start import Checkpoint, parse_offsets

log = logging.getLogger(__name__)


class CheckpointFolder:
    def __init__(self, folder: Path) -> None:
        self.query = folder / "query"
        self._owner = folder / "feed.json"

    def read(self) -> Checkpoint | None:
        """Return the checkpoint; None if there is none that can be read."""
        if not self._owner.exists() or not self.query.exists():
            return None
        try:
            owner = json.loads(self._owner.read_text(encoding="utf-8"))
            planned, done = self._newest("offsets"), self._newest("commits")
            return Checkpoint(
                owner["fid"],
                owner["topics"],
                None if done is None else self._offsets(done),
                None if planned is None else self._offsets(planned),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("%s: the checkpoint can't be read: %r", self.query, error)
            return None

    def begin(self, fid: str, topics: Mapping[str, str]) -> None:
        """Remove Spark's files, for a start without them."""
        self._owner.unlink(missing_ok=True)  # first, so that what a killed start leaves belongs to nobody
        if self.query.exists():
            shutil.rmtree(self.query)
        self.query.mkdir(parents=True)
        draft = self._owner.with_suffix(".new")
        draft.write_text(json.dumps({"fid": fid, "topics": dict(topics)}), encoding="utf-8")
        draft.replace(self._owner)

    def _newest(self, log_name: str) -> int | None:
        numbers = [int(file.name) for file in (self.query / log_name).glob("*") if file.name.isdigit()]
        return max(numbers, default=None)

    def _offsets(self, number: int) -> dict[tuple[str, int], int]:
        return parse_offsets((self.query / "offsets" / str(number)).read_text(encoding="utf-8"))
