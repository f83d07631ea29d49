"""The feeds applied on this machine, stored in the home folder, one file per identity, for the programs to read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.names import Names, Source, identity
from cryptocdc_core.planning.resolve import ResolvedFeed, waiting_notes
from cryptocdc_local.platform.account import Account


@dataclass(frozen=True)
class AppliedFeed:
    """A feed as last applied. `symbols`, `halted`, `waiting` and `suspect` are those of ResolvedFeed; the URLs are the
    chosen ones."""

    document: dict[str, Any]
    source: Source
    rest_url: str
    websocket_url: str
    symbols: tuple[str, ...]
    halted: tuple[str, ...]
    resolved_at: float
    """Seconds since the epoch."""
    waiting: dict[str, tuple[str, ...]] = field(default_factory=dict)
    suspect: str = ""

    @property
    def notes(self) -> list[str]:
        """What a user should know about the symbols, one line each."""
        if self.suspect:
            return [f"{self.feed.spec.exchange}'s list of markets is implausible: {self.suspect}"]
        paused = [f"paused now, captured once trading resumes: {', '.join(self.halted)}"] if self.halted else []
        return [*paused, *waiting_notes(self.waiting, self.feed.spec.exchange)]

    @property
    def resolved(self) -> ResolvedFeed:
        return ResolvedFeed(self.feed, self.source, self.symbols, self.halted, self.waiting, self.suspect)

    @property
    def feed(self) -> CryptoFeed:
        return feeds.parse(self.document)

    @property
    def fid(self) -> str:
        return identity(self.feed.name, self.source)

    @property
    def names(self) -> Names:
        return Names(self.fid)


class FeedStore:
    """Stores feeds as `<home>/feeds/<fid>.json`, and next to it `<fid>.yaml`, which the programs read."""

    def __init__(self, home: Path, account: Account) -> None:
        self._folder = home / "feeds"
        self._account = account

    def write(self, applied: AppliedFeed) -> None:
        self._account.make_folder(self._folder)
        self._account.write(self.feed_file(applied.fid), yaml.safe_dump(applied.document, sort_keys=False))
        self._account.write(self._record(applied.fid), json.dumps(asdict(applied)))

    def read(self, fid: str) -> AppliedFeed | None:
        try:
            found = json.loads(self._record(fid).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        applied = AppliedFeed(**found)
        waiting = {symbol: tuple(similar) for symbol, similar in applied.waiting.items()}
        return replace(applied, symbols=tuple(applied.symbols), halted=tuple(applied.halted), waiting=waiting)

    def applied_before(self, feed: CryptoFeed, source: Source) -> AppliedFeed | None:
        """Return how `feed` was last applied. Raises FeedError if an immutable field has changed since."""
        earlier = self.read(identity(feed.name, source))
        if earlier is not None:
            feed.refuse_changes(earlier.feed)
        return earlier

    def all(self) -> list[AppliedFeed]:
        """Return all applied feeds, sorted by identity."""
        found = (self.read(path.stem) for path in sorted(self._folder.glob("*.json")))
        return [applied for applied in found if applied is not None]

    def delete(self, fid: str) -> None:
        self._record(fid).unlink(missing_ok=True)
        self.feed_file(fid).unlink(missing_ok=True)

    def feed_file(self, fid: str) -> Path:
        return self._folder / f"{fid}.yaml"

    def _record(self, fid: str) -> Path:
        return self._folder / f"{fid}.json"
