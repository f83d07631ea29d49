"""How everything that belongs to a feed is called and found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptocdc_core.feed import API_VERSION

MANAGER = "cryptocdc-operator"
"""Field manager of server-side apply, and the label that says who made an object."""
FEED_LABEL = "cryptocdc.io/feed"
FEEDS_MAP = "cryptocdc-feeds"
"""The ConfigMap from which the verifier reads all feeds."""
ALERTER = "alerter"
"""The component that a feed has only while it has alerts."""
NEW_SNAPSHOT = "cryptocdc.io/new-snapshot"
"""Annotation of a feed: each new value allows new snapshots again, once the operator has given up."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The feed that an object belongs to, and is removed with."""

    name: str
    uid: str

    @property
    def reference(self) -> dict[str, Any]:
        return {
            "apiVersion": API_VERSION, "kind": "CryptoFeed", "name": self.name, "uid": self.uid,
            "controller": True, "blockOwnerDeletion": True,
        }  # fmt: skip


def labels(feed: str, component: str | None = None) -> dict[str, str]:
    """The labels of a feed's object; of one of its programs with `component`."""
    made = {
        "app.kubernetes.io/name": "cryptocdc",
        "app.kubernetes.io/instance": feed,
        "app.kubernetes.io/part-of": "cryptocdc",
        "app.kubernetes.io/managed-by": MANAGER,
        FEED_LABEL: feed,
    }
    return made | ({"app.kubernetes.io/component": component} if component else {})


def selector(feed: str, component: str) -> dict[str, str]:
    """What finds the pods of a program. Never changes: a Deployment's selector can't."""
    return {
        "app.kubernetes.io/name": "cryptocdc",
        "app.kubernetes.io/instance": feed,
        "app.kubernetes.io/component": component,
    }


def selector_text(feed: str, component: str) -> str:
    return ",".join(f"{key}={value}" for key, value in selector(feed, component).items())
