"""One verifier for all feeds: the files in a folder define what is proven."""

import threading
import time

import pytest
import yaml
from tests.unit.core.feeds import document

from cryptocdc_core.feed.model import SOURCE, parse
from cryptocdc_verifier import feeds
from cryptocdc_verifier.feeds import FeedsFolder
from cryptocdc_verifier.main import _source


class Provers:
    """What is being proven, by name; `started` counts how often each was begun."""

    def __init__(self):
        self.running = {}
        self.started = {}

    def __call__(self, feed, stop):
        self.running[feed.name] = feed
        self.started[feed.name] = self.started.get(feed.name, 0) + 1
        stop.wait(20)
        del self.running[feed.name]


@pytest.mark.parametrize(
    ("exchange", "annotations", "source"),
    [
        ("okx", {SOURCE: "simulated"}, "simulated"),
        ("okx", {SOURCE: "exchange"}, "exchange"),
        ("okx", None, "exchange"),
        ("simulated", {"else": "7"}, "simulated"),
    ],
)
def test_the_source_is_recorded_by_the_operator_or_follows_from_the_exchange(exchange, annotations, source):
    made = document(exchange=exchange)
    made["metadata"]["annotations"] = annotations
    assert _source(parse(made)) == source


def write(folder, name, **spec):
    made = document(**spec)
    made["metadata"]["name"] = name
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(made))


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met within 10 s"
        time.sleep(0.005)


@pytest.fixture
def provers():
    return Provers()


@pytest.fixture
def folder(tmp_path, provers):
    followed = FeedsFolder(tmp_path, provers)
    yield followed
    followed.end()
    assert not provers.running


def test_added_and_removed_files_are_noticed(tmp_path, folder, provers):
    folder.follow()
    assert not provers.running
    write(tmp_path, "majors")
    write(tmp_path, "others")
    folder.follow()
    until(lambda: set(provers.running) == {"majors", "others"})
    (tmp_path / "majors.yaml").unlink()
    folder.follow()
    assert set(provers.running) == {"others"}


def test_only_a_changed_feed_is_restarted(tmp_path, folder, provers):
    write(tmp_path, "majors")
    write(tmp_path, "others")
    folder.follow()
    write(tmp_path, "majors", retention={"cassandra": "1d"})
    folder.follow()
    folder.follow()
    until(lambda: provers.started == {"majors": 2, "others": 1})
    assert provers.running["majors"].spec.retention.cassandra == "1d"


def test_a_changed_feed_is_proven_again_only_once_its_last_pass_has_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(feeds, "END_S", 0.01)
    passes, ended = [], []
    long_pass = threading.Event()

    def prove(feed, stop):
        passes.append(feed.spec.retention.cassandra)
        stop.wait(20)
        if len(passes) == 1:
            long_pass.wait(20)
        ended.append(feed.name)

    folder = FeedsFolder(tmp_path, prove)
    write(tmp_path, "majors", retention={"cassandra": "2d"})
    folder.follow()
    until(lambda: passes)
    write(tmp_path, "majors", retention={"cassandra": "1d"})
    folder.follow()
    folder.follow()
    assert passes == ["2d"], "its pass goes on"
    assert folder.problem() is None

    long_pass.set()
    until(lambda: ended == ["majors"])
    until(lambda: folder.follow() or passes == ["2d", "1d"])
    folder.end()
    until(lambda: ended == ["majors", "majors"])


def test_changes_of_symbols_do_not_restart_proving(tmp_path, folder, provers):
    write(tmp_path, "majors")
    folder.follow()
    write(tmp_path, "majors", symbols={"names": ["SOLUSDT"]}, suspend=True)
    folder.follow()
    folder.follow()
    until(lambda: "majors" in provers.running)
    assert provers.started == {"majors": 1}


def test_an_invalid_feed_file_changes_nothing(tmp_path, folder, provers, caplog):
    write(tmp_path, "majors")
    folder.follow()
    until(lambda: "majors" in provers.running)
    (tmp_path / "majors.yaml").write_text("kind: Nothing")
    folder.follow()
    folder.follow()
    assert set(provers.running) == {"majors"}
    assert folder.problem() is None
    assert len([line for line in caplog.messages if "majors.yaml is not a valid feed" in line]) == 1


def test_hidden_files_are_not_feeds(tmp_path, folder, provers):
    write(tmp_path, "majors")
    (tmp_path / "majors.yaml").rename(tmp_path / ".majors.yaml")
    folder.follow()
    assert not provers.started


def test_proving_that_stopped_unexpectedly_is_reported(tmp_path):
    died = threading.Event()
    folder = FeedsFolder(tmp_path, lambda feed, stop: died.set())
    write(tmp_path, "majors")
    folder.follow()
    died.wait(10)
    until(lambda: folder.problem() is not None)
    assert "majors" in (folder.problem() or "")
