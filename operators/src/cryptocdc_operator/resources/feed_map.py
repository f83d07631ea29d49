"""The ConfigMap with the feed as its programs read it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from cryptocdc_core.feed.model import SOURCE
from cryptocdc_core.names import source_named
from cryptocdc_core.planning.plan import Plan
from cryptocdc_operator.resources.labels import Owner, labels
from cryptocdc_operator.settings import Object

FILE = "feed.yaml"


def feed_text(plan: Plan) -> str:
    """Return the feed as its programs read it: with resolved symbols and its source, and never suspended. Capture is
    suspended by running no producers: one that starts must not read an outdated file that says suspended."""
    spec = plan.feed.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    spec["suspend"] = False
    if plan.symbols:
        spec["symbols"] = {"names": sorted(plan.symbols)}
        # Programs refuse a feed with alerts on symbols that are not captured.
        spec["alerts"] = [alert.model_dump(mode="json", by_alias=True, exclude_none=True) for alert in plan.alerts]
    source = source_named(plan.feed.name, plan.names.fid)
    metadata = {"name": plan.feed.name, "annotations": {SOURCE: source}}
    document = {"apiVersion": plan.feed.api_version, "kind": plan.feed.kind, "metadata": metadata, "spec": spec}
    return yaml.safe_dump(document, sort_keys=False)


def feed_map(plan: Plan, text: str, owner: Owner, more: Mapping[str, str] | None = None) -> Object:
    """Return the ConfigMap; `text` is the result of `feed_text`, `more` has the contents of more files by name."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{plan.feed.name}-feed",
            "labels": labels(plan.feed.name),
            "ownerReferences": [owner.reference],
        },
        "data": {FILE: text, **(more or {})},
    }
