"""The pure parts of single faults."""

from __future__ import annotations

import pytest
from tests.faults.exchange import most_in_a_second
from tests.faults.rows import moved
from tests.faults.works import _fired_since


def test_a_burst_is_what_passes_within_a_second() -> None:
    assert most_in_a_second([(0.0, 0), (0.6, 10), (1.1, 500), (1.5, 510), (2.4, 520)]) == 500
    assert most_in_a_second([(0.0, 5)]) == 0


@pytest.mark.parametrize(("partitions", "symbols"), [(6, []), (7, ["BTCUSDT"]), (8, []), (9, ["BTCUSDT", "BNBUSDT"])])
def test_only_some_numbers_of_partitions_move_a_symbol_to_a_new_one(partitions: int, symbols: list[str]) -> None:
    assert moved(6, partitions) == symbols


def test_an_alert_counts_that_fired_after_the_fault() -> None:
    fired, resolved = b'{"state": "firing", "since_ms": 100}', b'{"state": "resolved", "since_ms": 100}'
    assert _fired_since(99, [None, fired])
    assert not _fired_since(100, [fired])
    assert not _fired_since(99, [resolved])
