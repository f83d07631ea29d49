"""Proves the feeds of a folder, each in its own thread, and follows added, changed and removed files."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptocdc_control.programs import proof_inputs
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed, FeedError

log = logging.getLogger("cryptocdc.verifier")

END_S = 30.0
"""How long other feeds wait for the pass of a feed that was stopped to end."""


@dataclass
class _Proving:
    text: str
    feed: CryptoFeed
    thread: threading.Thread
    stop: threading.Event


class FeedsFolder:
    """Call `follow` every few seconds. `prove` is called in a thread for each feed, until its event is set."""

    def __init__(self, folder: Path, prove: Callable[[CryptoFeed, threading.Event], None]) -> None:
        self._folder = folder
        self._prove = prove
        self._running: dict[str, _Proving] = {}
        self._ending: dict[str, threading.Thread] = {}
        """Threads that were stopped and whose pass goes on. Two must not prove the same feed, and what a thread does at
        its end, such as removing the feed's metrics, must not hit the next one."""
        self._refused: dict[str, str] = {}

    def follow(self) -> None:
        """Start, restart and stop proving according to the folder's files. An invalid file is logged once, and its feed
        is still proven as before."""
        texts = self._texts()
        changed = [name for name, running in self._running.items() if texts.get(name) != running.text]
        wanted: dict[str, CryptoFeed] = {}
        for name in sorted({*texts} - {name for name in self._running if name not in changed}):
            try:
                feed = feeds.load(self._folder / name)
            except FeedError as error:
                if self._refused.get(name) != texts[name]:
                    log.error("%s is not a valid feed: %s", name, " ".join(str(error).split()))
                self._refused[name] = texts[name]
                continue
            running = self._running.get(name)
            if running is not None and proof_inputs(running.feed) == proof_inputs(feed):
                running.text = texts[name]
            else:
                wanted[name] = feed
        self._end([name for name in changed if name in wanted or name not in texts])
        self._ending = {name: thread for name, thread in self._ending.items() if thread.is_alive()}
        for name, feed in wanted.items():
            if name in self._ending:  # started by a later call
                continue
            stop = threading.Event()
            thread = threading.Thread(target=self._prove, args=(feed, stop), name=name, daemon=True)
            self._running[name] = _Proving(texts[name], feed, thread, stop)
            thread.start()
            log.info("proving %s", feed.name)

    def problem(self) -> str | None:
        """Return which feed is no longer proven though it should be; None if all are."""
        dead = sorted(name for name, running in self._running.items() if not running.thread.is_alive())
        return f"proving stopped unexpectedly: {', '.join(dead)}" if dead else None

    def end(self) -> None:
        """Stop proving all feeds."""
        self._end(list(self._running))

    def _end(self, names: list[str]) -> None:
        for name in names:  # all are stopped before any is waited for
            self._running[name].stop.set()
        for name in names:
            thread = self._running.pop(name).thread
            thread.join(END_S)
            if thread.is_alive():
                log.warning("%s: its pass did not end within %.0f s and is waited for", name, END_S)
                self._ending[name] = thread

    def _texts(self) -> dict[str, str]:
        """Return the files' texts by name. Hidden files are Kubernetes' own: it swaps a ConfigMap's files through a
        hidden link."""
        texts = {}
        for path in self._folder.glob("[!.]*.yaml"):
            try:
                texts[path.name] = path.read_text(encoding="utf-8")
            except OSError:
                continue
        return texts
