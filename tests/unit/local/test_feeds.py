"""Applied feeds as they are kept from run to run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.unit.core.feeds import document

from cryptocdc_local.feeds import AppliedFeed, FeedStore
from cryptocdc_local.platform.account import Account


@pytest.fixture
def store(tmp_path: Path) -> FeedStore:
    return FeedStore(tmp_path, Account(os.geteuid(), os.getegid(), "me"))


def applied(**more: object) -> AppliedFeed:
    return AppliedFeed(document(), "exchange", "https://x", "wss://x", ("BTCUSDT",), (), 1.0, **more)  # type: ignore[arg-type]


def test_an_applied_feed_round_trips(store: FeedStore) -> None:
    written = applied(waiting={"NEWUSDT": ("NEARUSDT",)}, suspect="why")
    store.write(written)
    assert store.read("majors") == written


def test_a_feed_applied_by_an_earlier_version_has_no_waiting_symbols(store: FeedStore, tmp_path: Path) -> None:
    store.write(applied())
    record = tmp_path / "feeds" / "majors.json"
    earlier = json.loads(record.read_text())
    del earlier["waiting"], earlier["suspect"]
    record.write_text(json.dumps(earlier))
    assert store.read("majors") == applied()


def test_each_note_about_symbols_is_one_line() -> None:
    notes = applied(waiting={"NEWUSDT": ("NEARUSDT",)}).notes
    assert notes == ["NEWUSDT is not listed by binance: waiting for its first trade; did you mean NEARUSDT?"]
    assert applied(suspect="it lists no markets").notes == [
        "binance's list of markets is implausible: it lists no markets"
    ]
