"""A feed's status as a document: reading its parts, and the smallest patch that changes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from cryptocdc_control.connector import Recovery
from cryptocdc_operator.status.conditions import rfc3339
from cryptocdc_operator.status.model import CatchUp


def recovery_of(status: Mapping[str, Any], field: str = "recovery") -> Recovery:
    return Recovery.model_validate(status.get(field) or {})


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
