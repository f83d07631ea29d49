"""A feed's status as a document: reading it, the recoveries in it, and the smallest patch that changes it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from pydantic import ValidationError

from cryptocdc_control.connector import Recovery
from cryptocdc_core.storage.shards import Shard
from cryptocdc_operator.status.conditions import rfc3339
from cryptocdc_operator.status.model import ShardRecovery, Status


def read_status(document: Mapping[str, Any]) -> Status:
    """Return the status of a feed's `document`. A field that another version of the operator wrote in another form is
    absent: it stays as it is until a pass sets it."""
    written = document.get("status") or {}
    try:
        return Status.model_validate(written)
    except ValidationError as error:
        unknown = {detail["loc"][0] for detail in error.errors()}
        return Status.model_validate({key: value for key, value in written.items() if key not in unknown})


def status_patch(before: Status, after: Status) -> dict[str, Any]:
    """Return the patch from one status to the other, empty if they are equal."""
    return merge_patch(_document(before), _document(after))


def _document(status: Status) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(status.model_dump(by_alias=True, exclude_none=True))
    return plain


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case datetime():
            return rfc3339(value)
        case Enum():
            return value.value
    return value


def recovery_of(status: Status, shard: Shard) -> Recovery:
    """Return the recovery of a shard's connector."""
    if not shard.suffix:
        return status.recovery or Recovery()
    found = (entry.recovery for entry in status.shard_recoveries or () if entry.shard == shard.suffix)
    return next(found, Recovery())


def set_recovery(status: Status, shard: Shard, recovery: Recovery) -> None:
    """Store the recovery of a shard's connector."""
    if not shard.suffix:
        status.recovery = stored(recovery)
        return
    others = [entry for entry in status.shard_recoveries or () if entry.shard != shard.suffix]
    mine = [] if stored(recovery) is None else [ShardRecovery(shard=shard.suffix, recovery=recovery)]
    _set_shard_recoveries(status, [*others, *mine])


def stored(recovery: Recovery) -> Recovery | None:
    """Return what the status says of a recovery: nothing of that of a connector that never failed."""
    return None if recovery == Recovery() else recovery


def keep_recoveries(status: Status, shards: Collection[Shard]) -> None:
    """Remove the recoveries of other shards: those of another number of connectors."""
    kept = {shard.suffix for shard in shards}
    if "" not in kept:
        status.recovery = None
    _set_shard_recoveries(status, (entry for entry in status.shard_recoveries or () if entry.shard in kept))


def _set_shard_recoveries(status: Status, entries: Iterable[ShardRecovery]) -> None:
    status.shard_recoveries = sorted(entries, key=lambda entry: entry.shard) or None


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch (RFC 7386) from `before` to `after`. It replaces whole lists, so conditions must be complete."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        then = before.get(key)
        if isinstance(value, dict) and isinstance(then, dict):
            inner = merge_patch(then, value)
            if inner:
                patch[key] = inner
        elif value != then:
            patch[key] = value
    return patch
