"""The labels by which a feed's objects are found, and shared names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptocdc_core.feed.model import API_VERSION

MANAGER = "cryptocdc-operator"
"""Field manager of server-side apply, and value of the label managed-by."""
FEED_LABEL = "cryptocdc.io/feed"
FEEDS_MAP = "cryptocdc-feeds"
"""The ConfigMap from which the verifier reads all feeds."""
ALERTER = "alerter"
"""The component that a feed has only while it has alerts."""
ANALYZER = "analyzer"
"""The component that a feed has only while it has analytics."""
CONSUMER = "consumer"
"""The component that writes with `sink.engine: consumer`."""
EXPORTER = "exporter"
"""The component that a feed has only with `spec.export`."""
HISTORY = "history"
"""The Job that loads the exchange's archive."""
SPARK, EXECUTOR = "spark", "spark-executor"
"""The driver, which a feed has only with `sink.engine: spark`, and the executors that the driver creates."""
NEW_SNAPSHOT = "cryptocdc.io/new-snapshot"
"""Annotation of a feed: each new value allows new snapshots after the operator has halted the connector."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The feed that owns an object, which is removed with it."""

    name: str
    uid: str

    @property
    def reference(self) -> dict[str, Any]:
        return {
            "apiVersion": API_VERSION, "kind": "CryptoFeed", "name": self.name, "uid": self.uid,
            "controller": True, "blockOwnerDeletion": True,
        }  # fmt: skip


def labels(feed: str, component: str | None = None) -> dict[str, str]:
    """Return the labels of a feed's object; with `component`, of one of its programs."""
    made = {
        "app.kubernetes.io/name": "cryptocdc",
        "app.kubernetes.io/instance": feed,
        "app.kubernetes.io/part-of": "cryptocdc",
        "app.kubernetes.io/managed-by": MANAGER,
        FEED_LABEL: feed,
    }
    return made | ({"app.kubernetes.io/component": component} if component else {})


def selector(feed: str, component: str) -> dict[str, str]:
    """Return the selector of a program's pods. It must never change, since a Deployment's selector is immutable."""
    return {
        "app.kubernetes.io/name": "cryptocdc",
        "app.kubernetes.io/instance": feed,
        "app.kubernetes.io/component": component,
    }


def selector_text(feed: str, component: str) -> str:
    return ",".join(f"{key}={value}" for key, value in selector(feed, component).items())
