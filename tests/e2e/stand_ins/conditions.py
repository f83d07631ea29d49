"""The conditions of Strimzi's resources. Its operators report failures differently: the topic operator by Ready False,
the others by NotReady True."""

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
    """Return whether the current generation of the resource is reported as ready."""
    status = item.get("status", {})
    return status.get("observedGeneration") == item["metadata"]["generation"] and any(
        it["type"] == "Ready" and it["status"] == "True" for it in status.get("conditions", [])
    )


def _status(item: Object, condition: Object) -> Object:
    """Return the status with a condition and the observed generation; the transition time changes only with the
    condition."""
    for before in item.get("status", {}).get("conditions", []):
        if {key: value for key, value in before.items() if key != "lastTransitionTime"} == condition:
            condition = before
            break
    else:
        now = datetime.datetime.now(datetime.UTC)
        condition = {**condition, "lastTransitionTime": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {"conditions": [condition], "observedGeneration": item["metadata"]["generation"]}
