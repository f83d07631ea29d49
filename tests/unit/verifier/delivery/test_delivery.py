"""Waiting for slot and consumers, with a clock that the test advances."""

from dataclasses import replace

import pytest

from cryptocdc_adapters.replication.slots import Slot
from cryptocdc_core.names import Names
from cryptocdc_core.storage.shards import shards
from cryptocdc_verifier.delivery.slots_passed import SlotsPassed
from cryptocdc_verifier.delivery.stalls import Clock, wait_until_zero
from cryptocdc_verifier.delivery.waiting import Delivery, lag_by_topic
from cryptocdc_verifier.target import VerifyError

NAMES = Names("fid")
TOPIC = ("fid.fid.klines", 0)


class Time:
    """Seconds that pass only by sleeping; `then` are called before each sleep, one after the other."""

    def __init__(self, *then):
        self.seconds = 0.0
        self.then = list(then)

    def sleep(self, seconds):
        self.seconds += seconds
        if self.then:
            self.then.pop(0)()

    @property
    def clock(self):
        return Clock(lambda: self.seconds, self.sleep)


class Server:
    """A slot and a group's offsets, as the test sets them."""

    def __init__(self, confirmed=0, wal_status="reserved", ends=None, committed=None):
        self.slot: Slot | None = Slot("fid_slot", confirmed, True, wal_status, 0)
        self.log = 100
        self.beats = 0
        self.there = ends or {}
        self.done = committed or {}

    def read(self):
        (shard,) = shards(NAMES, 1)
        return {} if self.slot is None else {shard: self.slot}

    def beat(self):
        self.beats += 1
        self.log += 10
        return self.log

    def ends(self):
        return self.there

    def committed(self, partitions):
        return self.done

    def confirm(self, position):
        self.slot = Slot("fid_slot", position, True, "reserved", 0)


def delivery(server, time, stalled_s=120, connectors=1):
    passed = SlotsPassed(server, lambda shard: f"connector {shard.connector} is RUNNING, its task FAILED", NAMES,
                         connectors, time.clock, stalled_s)  # fmt: skip
    return Delivery(passed, server, "fid-consumer", time.clock, stalled_s)


def test_the_wait_ends_once_the_slot_confirms_a_change_after_the_snapshot():
    server = Server(confirmed=105)
    time = Time(lambda: server.confirm(109), lambda: server.confirm(110))
    delivery(server, time).wait(100)
    assert time.seconds == pytest.approx(0.2)


def test_a_slot_created_later_must_confirm_a_change_after_its_creation():
    server = Server()
    server.slot = None

    def appear():
        # It confirms where it was made, before its snapshot has reached Kafka.
        server.slot = Slot("fid_slot", 500, True, "reserved", 0)
        server.log = 500

    time = Time(appear, lambda: None, lambda: server.confirm(510))
    delivery(server, time).wait(100)
    assert server.slot == Slot("fid_slot", 510, True, "reserved", 0)


def test_an_idle_slot_gets_a_heartbeat_every_second():
    server = Server()
    time = Time(*[lambda: None] * 34, lambda: server.confirm(1000))
    delivery(server, time).wait(100)
    assert server.beats == 4


def test_a_stalled_slot_is_reported_with_the_connectors_state():
    time = Time()
    with pytest.raises(VerifyError, match=r"fid_slot has not advanced for 120 s.*RUNNING, its task FAILED"):
        delivery(Server(), time).wait(100)
    assert 120 < time.seconds < 122


def test_a_missing_slot_is_named():
    server = Server()
    server.slot = None
    with pytest.raises(VerifyError, match="slot fid_slot has been missing"):
        delivery(server, Time()).wait(100)


def test_a_lost_slot_ends_the_wait_at_once():
    time = Time()
    with pytest.raises(VerifyError, match="slot fid_slot is lost"):
        delivery(Server(wal_status="lost"), time).wait(100)
    assert time.seconds == 0


class Slots(Server):
    """The slots of several shards; `confirmed` by number of connectors."""

    def __init__(self, **confirmed):
        super().__init__()
        numbers = {"one": 1, "two": 2}
        self.made = {
            shard: Slot(shard.slot, position, True, "reserved", 0)
            for number, positions in confirmed.items()
            for shard, position in zip(shards(NAMES, numbers[number]), positions, strict=True)
        }

    def read(self):
        return self.made

    def confirm_slot(self, slot, position):
        self.made = {
            shard: replace(found, confirmed=position if found.name == slot else found.confirmed)
            for shard, found in self.made.items()
        }

    def drop(self, slot):
        self.made = {shard: found for shard, found in self.made.items() if found.name != slot}


def test_every_slot_of_a_feed_must_confirm_the_position():
    server = Slots(two=[500, 105])
    time = Time(lambda: server.confirm_slot("fid_slot_1of2", 900), lambda: server.confirm_slot("fid_slot_2of2", 110))
    delivery(server, time).wait(100)
    assert time.seconds == pytest.approx(0.2)


def test_the_slot_that_does_not_advance_is_reported_with_its_connector():
    with pytest.raises(VerifyError, match=r"slot fid_slot_2of2 has not advanced for 120 s.*connector fid\.2of2 is"):
        delivery(Slots(two=[500, 105]), Time()).wait(100)


def test_one_missing_slot_of_several_is_named():
    server = Slots(two=[500, 500])
    server.drop("fid_slot_1of2")
    with pytest.raises(VerifyError, match="slot fid_slot_1of2 has been missing"):
        delivery(server, Time()).wait(100)


def test_all_slots_of_a_feed_with_several_connectors_are_named_if_none_exists():
    with pytest.raises(VerifyError, match="slot fid_slot_1of2, fid_slot_2of2 has been missing"):
        delivery(Slots(), Time(), connectors=2).wait(100)


def test_slots_that_vanish_while_a_stall_is_described_are_reported_as_missing():
    server = Slots(two=[500, 105])

    class Vanishing(Time):
        def sleep(self, seconds):
            super().sleep(seconds)
            reads = iter([server.made, {}])  # the waiting's own, then that of the description
            server.read = lambda: next(reads)  # type: ignore[method-assign]

    with pytest.raises(VerifyError, match="slot fid_slot_1of2, fid_slot_2of2 has been missing"):
        delivery(server, Vanishing(), connectors=2).wait(100)


def test_while_the_number_of_connectors_changes_the_slots_of_either_number_suffice():
    old = Slots(one=[105], two=[50, 50])
    delivery(old, Time(lambda: old.confirm_slot("fid_slot", 110))).wait(100)
    new = Slots(one=[105], two=[150, 150])
    new.log = 150
    time = Time(lambda: new.confirm_slot("fid_slot_1of2", 200), lambda: new.confirm_slot("fid_slot_2of2", 200))
    delivery(new, time).wait(100)
    assert time.seconds == pytest.approx(0.2), "new slots confirm where they were made before anything has passed them"


def test_a_slot_that_was_created_again_meanwhile_must_confirm_a_later_change():
    server = Slots(one=[50])

    def lose():
        server.drop("fid_slot")

    def create():
        server.made = Slots(one=[500]).made
        server.log = 500

    time = Time(lose, create, lambda: None, lambda: server.confirm_slot("fid_slot", 510))
    delivery(server, time).wait(100)
    assert time.seconds == pytest.approx(0.4)


def test_consumers_must_commit_up_to_the_end_offsets():
    server = Server(confirmed=1000, ends={TOPIC: (0, 50)}, committed={TOPIC: 20})
    time = Time(lambda: server.done.update({TOPIC: 50}))
    delivery(server, time).wait(100)
    assert time.seconds == pytest.approx(0.1)


def test_stalled_consumers_are_reported_with_their_lag():
    server = Server(confirmed=1000, ends={TOPIC: (0, 50)}, committed={TOPIC: 20})
    with pytest.raises(VerifyError, match="group fid-consumer has not committed anything for 120 s and is 30 records"):
        delivery(server, Time()).wait(100)


@pytest.mark.parametrize("kept", [(0, 0), (50, 50)])
def test_an_empty_partition_needs_no_commit(kept):
    delivery(Server(confirmed=1000, ends={TOPIC: kept}), Time()).wait(100)


def test_a_backlog_may_take_longer_than_the_limit_as_long_as_it_shrinks():
    left = [1000]

    def shrink():
        left[0] -= 1

    time = Time(*[shrink] * 1000)
    wait_until_zero(lambda: left[0], lambda n: "", time.clock, stalled_s=5)
    assert time.seconds == pytest.approx(100)


def test_lag_is_counted_by_topic_whatever_retention_has_removed():
    klines, trades = "fid.fid.klines", "fid.fid.recent_trades"
    server = Server(
        ends={(klines, 0): (0, 10), (klines, 1): (40, 50), (trades, 0): (0, 0)},
        committed={(klines, 0): 7, (klines, 1): 5},
    )
    assert lag_by_topic(server) == {klines: 13, trades: 0}
