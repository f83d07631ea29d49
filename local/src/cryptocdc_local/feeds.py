"""The feeds applied on this machine: what each program is told, kept in the home folder, a file for each identity."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from cryptocdc_core import feed as feeds
from cryptocdc_core.feed import CryptoFeed
from cryptocdc_core.names import Names, Source, identity
from cryptocdc_core.resolve import ResolvedFeed, waiting_notes
from cryptocdc_local.platform.account import Account


@dataclass(frozen=True)
class AppliedFeed:
    """A feed as it was last applied. `symbols`, `halted`, `waiting` and `suspect` are those of ResolvedFeed; the URLs
    are those that were chosen.
    """

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
        """What a user must know of the symbols, a line each."""
        if self.suspect:
            return [f"the list of markets of {self.feed.spec.exchange} is not believed: {self.suspect}"]
        paused = [f"paused now, captured once they trade again: {', '.join(self.halted)}"] if self.halted else []
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
    """`<home>/feeds/<fid>.json`, and beside it `<fid>.yaml`, the feed as the programs read it."""

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
        """How `feed` was last applied. Raises FeedError when what it asks for now would mix with the rows of then."""
        earlier = self.read(identity(feed.name, source))
        if earlier is not None:
            feed.refuse_changes(earlier.feed)
        return earlier

    def all(self) -> list[AppliedFeed]:
        """By identity, sorted."""
        found = (self.read(path.stem) for path in sorted(self._folder.glob("*.json")))
        return [applied for applied in found if applied is not None]

    def delete(self, fid: str) -> None:
        self._record(fid).unlink(missing_ok=True)
        self.feed_file(fid).unlink(missing_ok=True)

    def feed_file(self, fid: str) -> Path:
        return self._folder / f"{fid}.yaml"

    def _record(self, fid: str) -> Path:
        return self._folder / f"{fid}.json"
