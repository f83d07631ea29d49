"""The ConfigMap with the feed as its programs read it. Pure."""

from __future__ import annotations

import yaml

from cryptocdc_core.plan import Plan
from cryptocdc_operator.resources.labels import Owner, labels
from cryptocdc_operator.settings import Object


def feed_text(plan: Plan) -> str:
    """The feed as its programs read it: what the symbols mean written out, and never suspended. Capture is suspended by
    running no producer: one that starts must not find an older file that says so."""
    spec = plan.feed.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    spec["suspend"] = False
    if plan.symbols:
        spec["symbols"] = {"names": sorted(plan.symbols)}
        # A program that reads the file takes no alert of a symbol that is not captured.
        spec["alerts"] = [alert.model_dump(mode="json", by_alias=True, exclude_none=True) for alert in plan.alerts]
    document = {
        "apiVersion": plan.feed.api_version, "kind": plan.feed.kind, "metadata": {"name": plan.feed.name}, "spec": spec,
    }  # fmt: skip
    return yaml.safe_dump(document, sort_keys=False)


def feed_map(plan: Plan, text: str, owner: Owner) -> Object:
    """`text`: the feed, as `feed_text` writes it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{plan.feed.name}-feed",
            "labels": labels(plan.feed.name),
            "ownerReferences": [owner.reference],
        },
        "data": {"feed.yaml": text},
    }
