"""Reading the pending dead letters from a topic that is a list."""

from types import SimpleNamespace
from typing import Any

import pytest

from cryptocdc_core.names import Names
from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_verifier.differences import dead_letters
from cryptocdc_verifier.differences.dead_letters import LETTERS_KEPT, read_pending

NAMES = Names("fid")
MANY = 3 * LETTERS_KEPT


@pytest.fixture
def read(monkeypatch):
    """The number of records read of a topic with MANY dead letters."""
    records: list[int] = []
    letter: Any = SimpleNamespace(key=lambda: b'{"symbol":"BTCUSDT"}', value=lambda: b"", headers=lambda: [])

    def read_to_ends(_consumer, _topic, _spans):
        for at in range(MANY):
            records.append(at)
            yield letter

    monkeypatch.setattr(dead_letters, "Consumer", lambda _config: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(dead_letters, "uncommitted", lambda _consumer, _topic: {0: (0, MANY)})
    monkeypatch.setattr(dead_letters, "read_to_ends", read_to_ends)
    return records


def test_all_dead_letters_are_counted_and_the_first_are_kept(read):
    pending = read_pending(KafkaSettings(), NAMES)

    assert (pending.count, len(pending.letters)) == (MANY, LETTERS_KEPT)


def test_no_more_dead_letters_are_read_than_asked_for(read):
    pending = read_pending(KafkaSettings(), NAMES, LETTERS_KEPT + 1)

    assert len(read) == LETTERS_KEPT + 1
    assert pending.count > len(pending.letters)
