"""Where a Spark job starts: the feed's group decides, and what does not agree with it is logged, never skipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocdc_adapters.kafka.offsets import Partition, Span, lags
from cryptocdc_spark.checkpoint import CheckpointFolder
from cryptocdc_spark.start import Checkpoint, Start, parse_offsets, start, starting_offsets

A, B, NEW = ("f.f.trades", 0), ("f.f.trades", 1), ("f.f.trades", 2)
TOPICS = {"f.f.trades": "id-1"}
SPANS: Mapping[Partition, Span] = {A: (0, 100), B: (0, 50)}
GROUP = {A: 60, B: 40}
DONE = Checkpoint("f", TOPICS, GROUP, GROUP)


def started(
    checkpoint: Checkpoint | None = DONE,
    group: Mapping[Partition, int] = GROUP,
    spans: Mapping[Partition, Span] = SPANS,
    topics: Mapping[str, str] = TOPICS,
) -> Start:
    return start("f", topics, spans, group, checkpoint)


def test_a_checkpoint_that_agrees_with_the_group_is_used() -> None:
    assert started() == Start(True, GROUP, ())


@pytest.mark.parametrize(
    "checkpoint",
    [
        # Killed after the batch was planned, and after its offsets were committed to the group.
        Checkpoint("f", TOPICS, GROUP, {A: 100, B: 50}),
        Checkpoint("f", TOPICS, {A: 10, B: 10}, GROUP),
        Checkpoint("f", TOPICS, None, GROUP),
    ],
)
def test_a_batch_that_a_kill_has_cut_short_is_repeated_by_the_checkpoint(checkpoint: Checkpoint) -> None:
    assert started(checkpoint).resumed


def test_a_new_feed_starts_at_the_beginning_without_a_word() -> None:
    assert started(None, {}) == Start(False, {A: 0, B: 0}, ())


@pytest.mark.parametrize(
    ("checkpoint", "note"),
    [
        (None, "there is no checkpoint"),
        (Checkpoint("g", TOPICS, GROUP, GROUP), "the checkpoint is of g, not of f"),
        (Checkpoint("f", {"f.f.trades": "id-0"}, GROUP, GROUP), "of other topics than now: f.f.trades"),
        (Checkpoint("f", TOPICS, {A: 10, B: 10}, {A: 20, B: 10}), "another engine wrote meanwhile"),
        (Checkpoint("f", TOPICS, {A: 90, B: 50}, {A: 90, B: 50}), "another engine wrote meanwhile"),
        (Checkpoint("f", TOPICS, None, None), "another engine wrote meanwhile"),
    ],
)
def test_any_other_checkpoint_is_left_for_the_groups_offsets(checkpoint: Checkpoint | None, note: str) -> None:
    found = started(checkpoint)
    assert (found.resumed, found.offsets, found.lost) == (False, GROUP, 0)
    assert note in found.notes[0]
    assert found.notes[0].endswith("continuing at the committed offsets of the feed's group")


def test_a_new_partition_is_read_from_its_beginning() -> None:
    assert started(spans={**SPANS, NEW: (0, 7)}) == Start(True, {**GROUP, NEW: 0}, ())


def test_what_kafka_removed_before_it_was_written_is_counted_and_logged() -> None:
    found = started(spans={A: (75, 100), B: (0, 50)})
    assert (found.resumed, found.offsets, found.lost) == (False, {A: 75, B: 40}, 15)
    assert found.notes == ("f.f.trades [0]: Kafka removed 15 records before they were written",)


def test_a_topic_that_was_made_again_is_read_from_its_beginning() -> None:
    found = started(spans={A: (0, 5), B: (0, 50)}, topics={"f.f.trades": "id-2"})
    assert (found.resumed, found.offsets, found.lost) == (False, {A: 0, B: 40}, 0)
    assert "the topic was made again" in found.notes[0]


@given(
    spans=st.dictionaries(st.sampled_from([A, B, NEW]), st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)),
    group=st.dictionaries(st.sampled_from([A, B, NEW]), st.integers(0, 12)),
    done=st.dictionaries(st.sampled_from([A, B, NEW]), st.integers(0, 12)),
)
def test_no_record_is_left_out_whatever_the_checkpoint_says(
    spans: dict[Partition, list[int]], group: dict[Partition, int], done: dict[Partition, int]
) -> None:
    held = {at: (first, end) for at, (first, end) in spans.items()}
    found = started(Checkpoint("f", TOPICS, done, done), group, held)
    behind = lags(held, group)
    for at, (_, end) in held.items():
        begins = done.get(at, 0) if found.resumed else found.offsets[at]
        assert end - begins >= behind[at]


def test_sparks_offset_log_is_read_and_its_option_written() -> None:
    text = 'v1\n{"batchWatermarkMs":0}\n{"f.f.trades":{"0":60,"1":40}}'
    assert parse_offsets(text) == GROUP
    assert json.loads(starting_offsets(GROUP)) == {"f.f.trades": {"0": 60, "1": 40}}


@pytest.mark.parametrize("text", ["", "v2\n{}\n{}", "v1\n{}", "v1\n{}\n{}\n{}", "v1\n{}\nnot JSON"])
def test_another_offset_log_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_offsets(text)


def test_a_checkpoint_has_the_last_finished_and_the_last_planned_batch(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    assert folder.read() is None
    folder.begin("f", TOPICS)
    assert folder.read() == Checkpoint("f", TOPICS, None, None)
    for name, numbers in {"offsets": (9, 10), "commits": (8, 9)}.items():
        (folder.query / name).mkdir()
        for number in numbers:
            text = f'v1\n{{}}\n{{"f.f.trades":{{"0":{number}}}}}'
            (folder.query / name / str(number)).write_text(text, encoding="utf-8")
            (folder.query / name / f".{number}.crc").write_bytes(b"")
    assert folder.read() == Checkpoint("f", TOPICS, {A: 9}, {A: 10})
    folder.begin("g", TOPICS)
    assert folder.read() == Checkpoint("g", TOPICS, None, None)


def test_a_broken_checkpoint_is_as_none_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.begin("f", TOPICS)
    (folder.query / "offsets").mkdir()
    (folder.query / "offsets" / "3").write_text("v1", encoding="utf-8")
    assert folder.read() is None
    assert "the checkpoint can't be read" in caplog.text
