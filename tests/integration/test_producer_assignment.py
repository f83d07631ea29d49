"""Symbols shared among producers by Kafka: spread, taken over, added, removed; kept without Kafka."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from cryptocdc_adapters.kafka.clients import apply_topics, delete_topics
from cryptocdc_adapters.kafka.symbols import write_symbols
from cryptocdc_core.names import Names
from cryptocdc_core.planning.plan import Topic
from cryptocdc_local.applier import Servers
from cryptocdc_producer.symbols.assignment import Assignment
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

PARTITIONS = 6
SYMBOLS = {f"SYM{number}USDT": number % PARTITIONS for number in range(18)}


class Member:
    """A producer's share of the symbols, as reported to it."""

    def __init__(self, servers: Servers, names: Names) -> None:
        self.symbols: set[str] = set()
        self.moved: list[set[str]] = []
        self.removed: list[set[str]] = []
        self._assignment = Assignment(servers.kafka, names, self._change)
        self._assignment.start()

    def _change(self, acquired: set[str], moved: set[str], removed: set[str]) -> None:
        self.symbols = (self.symbols | acquired) - moved - removed
        if moved:
            self.moved.append(moved)
        if removed:
            self.removed.append(removed)

    @property
    def in_group(self) -> bool:
        return self._assignment.membership.member

    def stop(self) -> None:
        self._assignment.stop(20)


@pytest.fixture
def names(servers: Servers) -> Iterator[Names]:
    found = Names(f"assignment_{uuid.uuid4().hex[:8]}")
    apply_topics(servers.kafka, [Topic(found.symbols_topic, PARTITIONS, {"cleanup.policy": "compact"})], 1)
    write_symbols(servers.kafka, found.symbols_topic, SYMBOLS)
    yield found
    delete_topics(servers.kafka, [found.symbols_topic])


def test_symbols_are_shared_and_taken_over(servers: Servers, names: Names) -> None:
    first = Member(servers, names)
    wait_for("all symbols with the first", lambda: first.symbols == SYMBOLS.keys())
    second = Member(servers, names)
    wait_for(
        "each symbol with one of two",
        lambda: second.symbols and not first.symbols & second.symbols
        and first.symbols | second.symbols == SYMBOLS.keys(),
    )  # fmt: skip
    # Cooperative: symbols that did not move were never released.
    assert set().union(*first.moved) == second.symbols

    first.stop()
    wait_for("all symbols with the second", lambda: second.symbols == SYMBOLS.keys())
    second.stop()
    assert second.symbols == SYMBOLS.keys()


def test_a_producer_without_partitions_is_still_a_group_member(servers: Servers, names: Names) -> None:
    members = [Member(servers, names) for _ in range(PARTITIONS + 1)]
    try:
        wait_for("all of them in the group", lambda: all(member.in_group for member in members), 60)
        wait_for("all symbols with someone", lambda: set().union(*(m.symbols for m in members)) == SYMBOLS.keys(), 60)
        wait_for("one without symbols", lambda: sorted(bool(m.symbols) for m in members).count(False) == 1, 60)
        wait_for("all of them in the group", lambda: all(member.in_group for member in members), 60)
    finally:
        for member in members:
            member.stop()


def test_a_symbol_is_added_and_removed_while_running(servers: Servers, names: Names) -> None:
    member = Member(servers, names)
    wait_for("all symbols", lambda: member.symbols == SYMBOLS.keys())
    changed = {symbol: at for symbol, at in SYMBOLS.items() if symbol != "SYM3USDT"} | {"NEWUSDT": 2}

    write_symbols(servers.kafka, names.symbols_topic, changed)

    wait_for("the change", lambda: member.symbols == changed.keys())
    assert member.removed == [{"SYM3USDT"}]
    assert not member.moved
    member.stop()


def test_a_producer_that_joins_later_reads_the_current_symbols(servers: Servers, names: Names) -> None:
    left = {symbol: at for symbol, at in SYMBOLS.items() if at == 1}
    write_symbols(servers.kafka, names.symbols_topic, left)

    member = Member(servers, names)

    wait_for("what was not removed", lambda: member.symbols == left.keys())
    assert not member.removed
    member.stop()
