"""The CustomResourceDefinition of CryptoFeed, generated from the feed's model. `make crd` writes it to the chart."""

from __future__ import annotations

from typing import Any

import yaml

from cryptocdc_core.feed import model as feed
from cryptocdc_operator.crd import GROUP, PLURAL, VERSION
from cryptocdc_operator.crd.rules import RULES
from cryptocdc_operator.crd.structural import Schema, structural_schema
from cryptocdc_operator.status.model import Status

HEADER = """\
# Generated from the feed's model by `make crd`: change core/src/cryptocdc_core/feed/model.py, not this file.
"""


_READY = '.status.conditions[?(@.type=="Ready")]'
COLUMNS: list[dict[str, Any]] = [
    {"name": "Symbols", "type": "integer", "jsonPath": ".status.symbols"},
    {"name": "Ready", "type": "string", "jsonPath": f"{_READY}.status"},
    {"name": "Reason", "type": "string", "jsonPath": f"{_READY}.reason"},
    {"name": "Lag", "type": "integer", "jsonPath": ".status.lag", "description": "changes not yet written"},
    {
        "name": "Proven",
        "type": "date",
        "jsonPath": ".status.provenThrough",
        "description": "age of the time up to which both databases are proven equal",
    },
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "History", "type": "string", "jsonPath": ".status.history.phase", "priority": 1},
    {"name": "Message", "type": "string", "jsonPath": f"{_READY}.message", "priority": 1},
]


def feed_schema() -> Schema:
    """Return the schema of a CryptoFeed with its status and all rules."""
    schema = structural_schema(feed.CryptoFeed)
    properties = schema["properties"]
    # The API server validates metadata itself; a CRD may restrict only the name.
    for field in ("apiVersion", "kind"):
        properties[field] = {"type": "string", "description": properties[field]["description"]}
    name = properties["metadata"]["properties"]["name"]
    properties["metadata"] = {
        "type": "object",
        "properties": {"name": {key: name[key] for key in ("type", "pattern", "maxLength")}},
    }
    properties["status"] = structural_schema(Status)
    # The API server always sets the other fields.
    schema["required"] = ["spec"]
    for rule in RULES:
        node = schema
        for field in rule.path:
            node = node["items"] if field == "[]" else node["properties"][field]
        node.setdefault("x-kubernetes-validations", []).append({"rule": rule.expression, "message": rule.message})
    return schema


def definition() -> dict[str, Any]:
    """Return the CustomResourceDefinition."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{PLURAL}.{GROUP}",
            # Without it `helm uninstall` would delete every feed.
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": "CryptoFeed",
                "listKind": "CryptoFeedList",
                "plural": PLURAL,
                "singular": "cryptofeed",
                "shortNames": ["cf"],
                "categories": ["cryptocdc"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": COLUMNS,
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.scaling.consumers",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "schema": {"openAPIV3Schema": feed_schema()},
                }
            ],
        },
    }


def text() -> str:
    """Return the definition as the text of the chart's file."""
    return HEADER + yaml.safe_dump(definition(), sort_keys=False, allow_unicode=True, width=120)
