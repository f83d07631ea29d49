"""Replacing a feed's connectors by another number of them: which step follows from what is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptocdc_control.handover import Step, decide, prepared
from cryptocdc_core.names import Names
from cryptocdc_core.storage.shards import Shard, shards

NAMES = Names("fid")


@dataclass(frozen=True)
class Part:
    """A shard's slot and connector: see `cryptocdc_control.handover.Found`."""

    confirmed: int | None = 100
    lost: str | None = None
    placed: bool = True
    stopped: bool = False
    begun: bool = True
    running: bool = True


READS = Part()
ENDED = Part(stopped=True, running=False)
WAITS = Part(confirmed=150, stopped=True, begun=False, running=False)
"""Prepared, and not started."""


def found(**parts: list[Part | None]) -> dict[Shard, Part]:
    """`one`, `two`, `three`: the parts of the feed's shards with that number of connectors."""
    numbers = {"one": 1, "two": 2, "three": 3}
    return {
        shard: part
        for number, given in parts.items()
        for shard, part in zip(shards(NAMES, numbers[number]), given, strict=True)
        if part is not None
    }


def step(wanted: int, there: Mapping[Shard, Part]) -> Step:
    return decide(NAMES, wanted, there).step


def test_without_others_the_wanted_connectors_carry():
    assert step(1, {}) is Step.CARRY
    assert step(2, found(two=[READS, None])) is Step.CARRY


def test_new_connectors_are_prepared_while_the_old_one_reads():
    assert step(2, found(one=[READS])) is Step.PREPARE
    assert step(2, found(one=[READS], two=[WAITS, None])) is Step.PREPARE
    assert step(2, found(one=[READS], two=[WAITS, replace(WAITS, placed=False)])) is Step.PREPARE
    assert step(2, found(one=[READS], two=[WAITS, replace(WAITS, lost="gone")])) is Step.PREPARE


def test_the_old_one_reads_until_it_has_passed_every_new_slot():
    behind = decide(NAMES, 2, found(one=[READS], two=[WAITS, WAITS]))
    assert (behind.step, behind.active) == (Step.DRAIN, shards(NAMES, 1))
    assert step(2, found(one=[replace(READS, confirmed=149)], two=[WAITS, WAITS])) is Step.DRAIN
    assert step(2, found(one=[replace(READS, confirmed=150)], two=[WAITS, WAITS])) is Step.STOP


def test_all_old_ones_must_have_passed_them():
    passed, behind = replace(READS, confirmed=200), replace(READS, confirmed=149)
    assert step(1, found(one=[WAITS], two=[passed, behind])) is Step.DRAIN
    assert step(1, found(one=[WAITS], two=[passed, passed])) is Step.STOP


def test_the_new_ones_start_only_once_all_old_ones_are_stopped():
    passed = replace(READS, confirmed=200)
    stopped = replace(passed, stopped=True, running=False)
    assert step(3, found(two=[passed, stopped], three=[WAITS] * 3)) is Step.STOP
    assert step(3, found(two=[stopped, stopped], three=[WAITS] * 3)) is Step.START


def test_the_old_ones_are_removed_once_all_new_ones_run():
    started = replace(WAITS, stopped=False, begun=True, running=False)
    assert step(2, found(one=[ENDED], two=[READS, WAITS])) is Step.CARRY
    assert step(2, found(one=[ENDED], two=[READS, started])) is Step.CARRY
    assert step(2, found(one=[ENDED], two=[READS, READS])) is Step.REMOVE


def test_connectors_that_read_before_they_were_told_to_are_prepared_again():
    read = replace(READS, confirmed=200)
    there = found(one=[READS], two=[WAITS, read])
    assert decide(NAMES, 2, there, recorded=1).step is Step.PREPARE
    assert decide(NAMES, 2, there, recorded=2).step is Step.STOP


def test_prepared_connectors_whose_old_ones_are_gone_take_a_snapshot():
    assert decide(NAMES, 2, found(two=[WAITS, WAITS]), recorded=1).step is Step.SNAPSHOT
    assert decide(NAMES, 2, {}, recorded=1).step is Step.CARRY


def test_a_change_taken_back_before_the_new_ones_read_removes_them():
    assert step(1, found(one=[READS], two=[WAITS, WAITS])) is Step.REMOVE
    assert step(1, found(one=[READS], two=[WAITS, None])) is Step.REMOVE


def test_a_change_taken_back_after_the_new_ones_read_stops_them_before_the_old_one_goes_on():
    assert step(1, found(one=[ENDED], two=[READS, READS])) is Step.STOP
    assert step(1, found(one=[ENDED], two=[ENDED, ENDED])) is Step.CARRY


def test_a_third_number_drains_what_reads_and_not_what_was_replaced():
    reads = replace(READS, confirmed=120)
    move = decide(NAMES, 3, found(one=[replace(ENDED, confirmed=140)], two=[reads, reads], three=[WAITS] * 3))
    assert (move.step, move.active) == (Step.DRAIN, shards(NAMES, 2))


@pytest.mark.parametrize("lost", [replace(READS, lost="removed"), replace(READS, confirmed=None), None])
def test_old_connectors_that_lost_changes_are_not_drained_but_replaced_by_a_snapshot(lost):
    assert step(1, found(one=[WAITS], two=[READS, lost])) is Step.SNAPSHOT


def test_connectors_that_never_read_are_not_drained():
    assert step(2, found(three=[WAITS, None, None])) is Step.SNAPSHOT


class World:
    """Slots and connectors of a feed. `wal` is the end of the log; each connector carries the changes of its symbols
    since its position, in order. A symbol is a number: `number % of` is its shard."""

    SYMBOLS = 6

    def __init__(self) -> None:
        self.wal = 100
        self.slots: dict[Shard, int] = {}
        self.positions: dict[Shard, tuple[int, bool]] = {}
        self.running: set[Shard] = set()
        self.made: set[Shard] = set()
        self.carried: dict[int, set[int]] = {symbol: set() for symbol in range(self.SYMBOLS)}
        self.last: dict[int, int] = {}
        self.snapshots = 0
        self.recorded: int | None = None

    def look(self) -> dict[Shard, Part]:
        return {
            shard: Part(
                confirmed=self.slots.get(shard),
                lost="gone" if shard in self.positions and shard not in self.slots else None,
                placed=shard in self.positions,
                stopped=shard not in self.running,
                begun=shard in self.running or self.positions.get(shard, (0, False))[1],
                running=shard in self.running,
            )
            for shard in {*self.slots, *self.made}
        }

    def read(self, shard: Shard, upto: int) -> None:
        """Let a running connector read its slot."""
        if shard not in self.running:
            return
        if shard not in self.positions:  # a snapshot
            self.snapshots += 1
            self.slots.setdefault(shard, self.wal)
            start = 0
        else:
            start = self.positions[shard][0]
        upto = min(upto, self.wal) if shard in self.positions else self.wal
        if upto <= start:  # its own heartbeat at least
            self.positions[shard] = start, True
            return
        for symbol in range(self.SYMBOLS):
            if symbol % shard.of == shard.number - 1:
                self.carried[symbol] |= set(range(start, upto))
        self.positions[shard] = upto, True
        self.slots[shard] = upto

    def act(self, wanted: int, budget: Callable[[], bool], record: bool = False) -> None:
        """Do the next step, or its beginning: `budget` says whether to go on after each part of it. With `record`, the
        number that carries the changes is stored first."""
        move, mine = decide(NAMES, wanted, self.look(), self.recorded), shards(NAMES, wanted)
        if record and move.step in (Step.CARRY, Step.START):
            self.recorded = wanted
            if not budget():
                return
        others = [shard for shard in self.look() if shard.of != wanted]

        def remove(shard: Shard) -> None:
            self.running.discard(shard)
            self.positions.pop(shard, None)
            self.made.discard(shard)
            self.slots.pop(shard, None)

        def halt(shard: Shard) -> None:
            self.running.discard(shard)

        def start(shard: Shard) -> None:
            self.made.add(shard)
            self.running.add(shard)

        def prepare(shard: Shard) -> None:
            if shard in self.look() and not prepared(self.look()[shard]):
                remove(shard)
            self.slots.setdefault(shard, self.wal)
            self.made.add(shard)
            self.positions.setdefault(shard, (self.slots[shard], False))

        match move.step:
            case Step.CARRY | Step.START | Step.DRAIN:
                parts = [(start, shard) for shard in (mine if move.step is Step.START else move.active)]
            case Step.REMOVE:
                parts = [(remove, shard) for shard in others]
            case Step.SNAPSHOT:
                parts = [(remove, shard) for shard in [*mine, *others]]
            case Step.PREPARE:
                parts = [(prepare, shard) for shard in mine]
            case Step.STOP:
                parts = [(halt, shard) for shard in others]
        for act, shard in parts:
            act(shard)
            if not budget():
                return

    def advance(self, wanted: int, *, record: bool = False) -> None:
        """Act and read until there is nothing more to do."""
        for _ in range(60):
            self.act(wanted, lambda: True, record=record)
            for shard in sorted(self.running):
                self.read(shard, self.wal)

    def lost(self) -> dict[int, set[int]]:
        """The changes that nothing carried, up to what every running connector has read."""
        return {
            symbol: set(range(min(self.positions[shard][0] for shard in self.running))) - done
            for symbol, done in self.carried.items()
        }


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_whatever_is_interrupted_and_however_often_the_number_changes_nothing_is_lost_and_no_two_numbers_read(data):
    """Each act may stop after any of its parts; connectors read at any pace; the wanted number changes at any time."""
    world, wanted = World(), 1
    for _ in range(data.draw(st.integers(1, 60))):
        if data.draw(st.integers(0, 9)) == 0:
            wanted = data.draw(st.integers(1, 3))
        world.wal += data.draw(st.integers(0, 5))
        world.act(wanted, lambda: data.draw(st.booleans()))
        assert len({shard.of for shard in world.running}) <= 1, "two numbers of connectors read at once"
        for shard in sorted(world.running):
            world.read(shard, world.positions.get(shard, (0, True))[0] + data.draw(st.integers(0, 20)))
    world.advance(wanted)
    assert world.running == set(shards(NAMES, wanted)) == set(world.slots) == world.made
    assert not any(world.lost().values())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_change_that_is_interrupted_but_not_taken_back_takes_no_snapshot(data):
    world, before, wanted = World(), data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    world.advance(before)
    taken = world.snapshots
    for _ in range(data.draw(st.integers(1, 40))):
        world.wal += data.draw(st.integers(0, 5))
        world.act(wanted, lambda: data.draw(st.booleans()))
        for shard in sorted(world.running):
            world.read(shard, world.positions[shard][0] + data.draw(st.integers(0, 20)))
    world.advance(wanted)
    assert world.running == set(shards(NAMES, wanted))
    assert taken == before
    assert world.snapshots == taken


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_where_the_number_is_stored_nothing_is_lost_even_if_something_else_starts_what_is_prepared(data):
    """Strimzi may remove a connector that has no KafkaConnector yet, create it from that, and stop it only then."""
    world, wanted = World(), 1
    for _ in range(data.draw(st.integers(1, 60))):
        if data.draw(st.integers(0, 9)) == 0:
            wanted = data.draw(st.integers(1, 3))
        world.wal += data.draw(st.integers(0, 5))
        world.act(wanted, lambda: data.draw(st.booleans()), record=True)
        waiting = sorted(world.made - world.running)
        if waiting and data.draw(st.integers(0, 3)) == 0:
            started = data.draw(st.sampled_from(waiting))
            world.running.add(started)
            world.read(started, world.wal)
            world.running.discard(started)
        for shard in sorted(world.running):
            world.read(shard, world.positions.get(shard, (0, True))[0] + data.draw(st.integers(0, 20)))
    world.advance(wanted, record=True)
    assert world.running == set(shards(NAMES, wanted)) == set(world.slots) == world.made
    assert not any(world.lost().values())
