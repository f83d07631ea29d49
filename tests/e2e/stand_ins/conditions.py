"""The conditions of Strimzi's resources. Its operators say a failure in two ways: the topic operator by a Ready that is
False, the others by a NotReady that is True."""

from __future__ import annotations

import datetime

from tests.e2e.stand_ins.api import Object


def ready(item: Object) -> Object:
    return _status(item, {"type": "Ready", "status": "True"})


def not_ready(item: Object, reason: str, message: str) -> Object:
    return _status(item, {"type": "NotReady", "status": "True", "reason": reason, "message": message[:1000]})


def ready_false(item: Object, reason: str, message: str) -> Object:
    return _status(item, {"type": "Ready", "status": "False", "reason": reason, "message": message[:1000]})


def is_ready(item: Object) -> bool:
    """Whether the resource as it is now was called ready."""
    status = item.get("status", {})
    return status.get("observedGeneration") == item["metadata"]["generation"] and any(
        it["type"] == "Ready" and it["status"] == "True" for it in status.get("conditions", [])
    )


def _status(item: Object, condition: Object) -> Object:
    """The condition and the generation that was seen; the time of change stays while the condition does."""
    for before in item.get("status", {}).get("conditions", []):
        if {key: value for key, value in before.items() if key != "lastTransitionTime"} == condition:
            condition = before
            break
    else:
        now = datetime.datetime.now(datetime.UTC)
        condition = {**condition, "lastTransitionTime": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {"conditions": [condition], "observedGeneration": item["metadata"]["generation"]}
