"""The chart's uninstall hook, with a cluster in memory and a clock that advances by sleeping."""

from dataclasses import replace

import kopf
import pytest

from cryptocdc_operator.cluster.namespaces import FINALIZER
from cryptocdc_operator.handlers import configure
from cryptocdc_operator.release_feeds import DELETED_WITHIN_S, STOPPED_WITHIN_S, Feed, release

OTHERS = "example.com/backup"


class FakeCluster:
    """An operator that finishes a deletion after `deletes_in` seconds, stops after `stops_in`, and until then puts its
    finalizer back."""

    def __init__(self, feeds, deletes_in=0.0, stops_in=0.0, conflicts=0):
        self.now = 0.0
        self.held = {feed.name: feed for feed in feeds}
        self.deletes_in, self.stops_in, self.conflicts = deletes_in, stops_in, conflicts
        self.told_to_stop: float | None = None
        self.said: list[str] = []
        self.released: bool | None = None

    def sleep(self, seconds):
        self.now += seconds

    def operator_lives(self):
        return self.told_to_stop is None or self.now < self.told_to_stop + self.stops_in

    def feeds(self):
        if self.operator_lives() and self.now >= self.deletes_in:
            self.held = {name: feed for name, feed in self.held.items() if not feed.deleting}
        return list(self.held.values())

    def stop_operator(self):
        self.told_to_stop = self.now
        self.said.append("stop")

    def operator_pods(self):
        return int(self.operator_lives())

    def set_finalizers(self, feed, finalizers):
        if self.conflicts:
            self.conflicts -= 1
            return False
        self.said.append(f"release {feed.name}")
        if not self.operator_lives():
            self.held[feed.name] = replace(feed, finalizers=tuple(finalizers))
        return True

    def run(self):
        self.released = release(self, now=lambda: self.now, sleep=self.sleep)
        return {feed.name: feed.finalizers for feed in self.held.values()}


def feed(name, *finalizers, deleting=False):
    return Feed(name, "1", finalizers, deleting)


def test_the_released_finalizer_is_the_one_that_the_operator_sets():
    settings = kopf.OperatorSettings()
    configure(settings)
    assert settings.persistence.finalizer == FINALIZER


def test_finalizers_are_removed_and_every_feed_stays():
    cluster = FakeCluster([feed("majors", FINALIZER), feed("minors", FINALIZER)], stops_in=5)
    assert cluster.run() == {"majors": (), "minors": ()}
    assert cluster.released


def test_the_operator_is_stopped_before_its_finalizers_are_removed():
    cluster = FakeCluster([feed("majors", FINALIZER)], stops_in=30)
    cluster.run()
    assert cluster.said[0] == "stop"
    assert not cluster.operator_lives()


def test_foreign_finalizers_stay():
    cluster = FakeCluster([feed("majors", OTHERS, FINALIZER)])
    assert cluster.run() == {"majors": (OTHERS,)}


def test_a_feed_that_is_being_deleted_is_finished_first():
    cluster = FakeCluster([feed("gone", FINALIZER, deleting=True), feed("majors", FINALIZER)], deletes_in=40)
    assert cluster.run() == {"majors": ()}
    assert (cluster.told_to_stop or 0) >= 40


def test_a_stuck_deletion_loses_its_finalizer():
    cluster = FakeCluster([feed("stuck", FINALIZER, deleting=True)], deletes_in=1e9)
    assert cluster.run() == {"stuck": ()}


@pytest.mark.parametrize("stuck", [{"deletes_in": 1e9}, {"stops_in": 1e9}, {"deletes_in": 1e9, "stops_in": 1e9}])
def test_it_finishes_within_its_deadline_whatever_is_stuck(stuck):
    cluster = FakeCluster([feed("stuck", FINALIZER, deleting=True)], **stuck)
    cluster.run()
    # Below the hook's own deadline.
    assert cluster.now < DELETED_WITHIN_S + STOPPED_WITHIN_S + 30 < 240


def test_a_conflicting_update_is_retried_with_the_current_feed():
    cluster = FakeCluster([feed("majors", FINALIZER)], conflicts=2)
    assert cluster.run() == {"majors": ()}


def test_a_finalizer_that_could_not_be_removed_fails_the_hook(caplog):
    cluster = FakeCluster([feed("majors", FINALIZER), feed("minors", FINALIZER)], stops_in=1e9)
    assert cluster.run() == {"majors": (FINALIZER,), "minors": (FINALIZER,)}
    assert "majors, minors: the finalizer could not be removed" in caplog.text
    assert not cluster.released


def test_a_feed_without_our_finalizer_is_not_an_error():
    assert FakeCluster([feed("majors")]).run() == {"majors": ()}
