"""A feed's status as a document: reading its parts, and the smallest patch that changes it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from cryptocdc_control.connector import Recovery
from cryptocdc_core.storage.shards import Shard
from cryptocdc_operator.status.conditions import rfc3339
from cryptocdc_operator.status.model import CatchUp

RECOVERY, SHARD_RECOVERIES = "recovery", "shardRecoveries"
"""The status fields with the recovery of a feed's only connector, and of each of several."""


def recovery_of(status: Mapping[str, Any], field: str) -> Recovery:
    return Recovery.model_validate(status.get(field) or {})


def store_recovery(status: dict[str, Any], field: str, recovery: Recovery) -> None:
    document = recovery_document(recovery)
    if document:
        status[field] = document
    else:
        status.pop(field, None)


def shard_recovery_of(status: Mapping[str, Any], shard: Shard) -> Recovery:
    """Return the recovery of a shard's connector."""
    if not shard.suffix:
        return recovery_of(status, RECOVERY)
    entries: list[dict[str, Any]] = status.get(SHARD_RECOVERIES, [])
    found = next((entry for entry in entries if entry["shard"] == shard.suffix), {})
    return recovery_of(found, RECOVERY)


def set_recovery(status: dict[str, Any], shard: Shard, recovery: Recovery) -> None:
    """Store the recovery of a shard's connector."""
    if not shard.suffix:
        store_recovery(status, RECOVERY, recovery)
        return
    entries = {entry["shard"]: entry for entry in status.get(SHARD_RECOVERIES, [])}
    entries.pop(shard.suffix, None)
    document = recovery_document(recovery)
    if document:
        entries[shard.suffix] = {"shard": shard.suffix, RECOVERY: document}
    _set_entries(status, entries)


def keep_recoveries(status: dict[str, Any], shards: Collection[Shard]) -> None:
    """Remove the recoveries of other shards: those of another number of connectors."""
    kept = {shard.suffix for shard in shards}
    if "" not in kept:
        status.pop(RECOVERY, None)
    entries = {entry["shard"]: entry for entry in status.get(SHARD_RECOVERIES, [])}
    _set_entries(status, {suffix: entry for suffix, entry in entries.items() if suffix in kept})


def _set_entries(status: dict[str, Any], entries: Mapping[str, Any]) -> None:
    if entries:
        status[SHARD_RECOVERIES] = [entries[suffix] for suffix in sorted(entries)]
    else:
        status.pop(SHARD_RECOVERIES, None)


def recovery_document(recovery: Recovery) -> dict[str, Any]:
    """Return an empty document for a connector that never failed, otherwise a complete one, with the defaults that the
    API server would add."""
    if recovery == Recovery():
        return {}
    return _document(recovery)


def catch_up_of(status: Mapping[str, Any]) -> CatchUp | None:
    found = status.get("catchUp")
    return None if found is None else CatchUp.model_validate(found)


def catch_up_document(state: CatchUp) -> dict[str, Any]:
    return _document(state)


def _document(model: BaseModel) -> dict[str, Any]:
    given = model.model_dump(by_alias=True, exclude_none=True)
    return {key: rfc3339(value) if isinstance(value, datetime) else value for key, value in given.items()}


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


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
