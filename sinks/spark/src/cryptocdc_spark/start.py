"""Where the job starts: where its checkpoint says, if that agrees with the feed's group, otherwise at the group's
committed offsets. Pure.

The group is what all sink engines share, so it decides: another engine may have written meanwhile, and the checkpoint
may be lost or another feed's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptocdc_adapters.kafka.offsets import Partition, Span


@dataclass(frozen=True)
class Checkpoint:
    """`topics`: the id of each topic. `done`: the offsets up to which batches are finished, None before the first one;
    `planned`: the end of the batch that was started last."""

    fid: str
    topics: Mapping[str, str]
    done: Mapping[Partition, int] | None
    planned: Mapping[Partition, int] | None


@dataclass(frozen=True)
class Start:
    """`resumed`: whether the checkpoint is used. `offsets`: of each partition, to start at without it. `notes`: what is
    logged; `lost`: the records that Kafka removed before they were written."""

    resumed: bool
    offsets: Mapping[Partition, int]
    notes: tuple[str, ...]
    lost: int = 0


def start(
    fid: str,
    topics: Mapping[str, str],
    spans: Mapping[Partition, Span],
    group: Mapping[Partition, int],
    checkpoint: Checkpoint | None,
) -> Start:
    """`topics`: the id of each of the feed's topics. `spans`: of each of their partitions. `group`: what is
    committed."""
    offsets, notes, lost = {}, [], 0
    for at, (first, end) in spans.items():
        committed = group.get(at, first)
        offsets[at] = committed if first <= committed <= end else first
        if committed < first:
            lost += first - committed
            notes.append(f"{_shown(at)}: Kafka removed {first - committed} records before they were written")
        elif committed > end:
            notes.append(f"{_shown(at)}: ends at {end}, before the committed {committed}: the topic was made again")
    why = _mismatch(fid, topics, offsets, checkpoint) if not notes else None
    if why is not None:
        notes.append(f"{why}: continuing at the committed offsets of the feed's group")
    return Start(not notes and checkpoint is not None, offsets, tuple(notes), lost)


def _mismatch(
    fid: str, topics: Mapping[str, str], offsets: Mapping[Partition, int], checkpoint: Checkpoint | None
) -> str | None:
    """Return why the checkpoint can't be used, None if it can or is that of a new feed."""
    if checkpoint is None:
        return "there is no checkpoint" if any(offsets.values()) else None
    if checkpoint.fid != fid:
        return f"the checkpoint is of {checkpoint.fid}, not of {fid}"
    if checkpoint.topics != topics:
        changed = sorted(name for name, _ in checkpoint.topics.items() ^ topics.items())
        return f"the checkpoint is of other topics than now: {', '.join(dict.fromkeys(changed))}"
    if not any(_agrees(offsets, known) for known in (checkpoint.done, checkpoint.planned)):
        return "the checkpoint and the group differ, since another engine wrote meanwhile or a batch was not finished"
    return None


def _agrees(offsets: Mapping[Partition, int], known: Mapping[Partition, int] | None) -> bool:
    """Return whether the checkpoint's offsets are the group's. A partition that it does not know is new."""
    return known is not None and all(known.get(at, 0) == offset for at, offset in offsets.items())


def parse_offsets(text: str) -> dict[Partition, int]:
    """Return the offsets in a file of Spark's offset log: a version, the batch's metadata, then the source's offsets.

    Raises ValueError.
    """
    lines = text.splitlines()
    if len(lines) != 3 or lines[0] != "v1":
        raise ValueError(f"{text[:80]!r} is not an offset log of version 1 with one source")
    return {
        (topic, int(partition)): int(offset)
        for topic, of in json.loads(lines[2]).items()
        for partition, offset in of.items()
    }


def starting_offsets(offsets: Mapping[Partition, int]) -> str:
    """Return the option `startingOffsets` of Spark's Kafka source."""
    by_topic: dict[str, dict[str, int]] = {}
    for (topic, partition), offset in sorted(offsets.items()):
        by_topic.setdefault(topic, {})[str(partition)] = offset
    return json.dumps(by_topic)


def _shown(at: Partition) -> str:
    return f"{at[0]} [{at[1]}]"
