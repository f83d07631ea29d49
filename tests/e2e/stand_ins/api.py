"""A client of the API server: lists resources, applies them as one field manager, writes their status."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import requests

from tests.e2e.stand_ins.timing import RECONCILE_S

Object = dict[str, Any]

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_MANAGER = "stand-ins"
_TIMEOUT_S = 10


class Api:
    """Each call raises requests.RequestException. Used by one thread."""

    def __init__(self) -> None:
        self._url = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
        self._http = requests.Session()
        self._http.verify = str(_ACCOUNT / "ca.crt")
        self._applied: dict[str, tuple[Object, float]] = {}
        """By path: the last applied object, and when to apply it again."""

    def list(self, version: str, kind: str) -> list[Object]:
        """Return the resources of a kind in all namespaces."""
        items: list[Object] = self._call("GET", _collection(version, kind))["items"]
        return [{"apiVersion": version, "kind": kind, **item} for item in items]

    def get(self, version: str, kind: str, namespace: str, name: str) -> Object | None:
        try:
            return self._call("GET", f"{_collection(version, kind, namespace)}/{name}")
        except requests.HTTPError as error:
            if error.response.status_code == 404:
                return None
            raise

    def apply(self, owner: Object, *documents: Object) -> None:
        """Apply each document, owned by `owner` and in its namespace, overriding others' changes: immediately if it has
        changed, and again after a period."""
        meta = owner["metadata"]
        reference = {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
        }
        for document in documents:
            metadata = {**document["metadata"], "namespace": meta["namespace"], "ownerReferences": [reference]}
            whole = {**document, "metadata": metadata}
            path = _path(whole)
            before, until = self._applied.get(path, ({}, 0.0))
            if before != whole or time.monotonic() >= until:
                self._patch(f"{path}?fieldManager={_MANAGER}&force=true", whole, "application/apply-patch+yaml")
                self._applied[path] = (whole, time.monotonic() + RECONCILE_S)

    def patch(self, item: Object, change: Object) -> None:
        """Merge `patch` into the resource."""
        self._patch(_path(item), change, "application/merge-patch+json")

    def status(self, item: Object, status: Object) -> None:
        """Merge `status` into the resource's status, if that changes anything."""
        before = item.get("status", {})
        if any(before.get(key) != value for key, value in status.items()):
            self._patch(f"{_path(item)}/status", {"status": status}, "application/merge-patch+json")
            item["status"] = {**before, **status}

    def secret(self, namespace: str, name: str) -> dict[str, str] | None:
        """Return a secret's data as text, None if it does not exist. Not for binary keys."""
        found = self.get("v1", "Secret", namespace, name)
        if found is None:
            return None
        data = found.get("data", {})
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}

    def namespace_ends(self, name: str) -> bool:
        return "deletionTimestamp" in self._call("GET", f"/api/v1/namespaces/{name}")["metadata"]

    def ready(self, namespace: str, stateful_set: str) -> bool:
        """Return whether the set's only pod is ready and has the newest template."""
        found = self.get("apps/v1", "StatefulSet", namespace, stateful_set)
        if found is None:
            return False
        status = found.get("status", {})
        return bool(
            status.get("observedGeneration") == found["metadata"]["generation"]
            and status.get("readyReplicas", 0) == found["spec"]["replicas"]
            and status.get("currentRevision") == status.get("updateRevision")
        )

    def _patch(self, path: str, body: Object, media_type: str) -> None:
        self._call("PATCH", path, body, media_type)

    def _call(self, method: str, path: str, body: Object | None = None, media_type: str = "application/json") -> Object:
        # The kubelet renews the token's file every hour.
        headers = {"Authorization": f"Bearer {(_ACCOUNT / 'token').read_text()}", "Content-Type": media_type}
        data = None if body is None else json.dumps(body)
        answer = self._http.request(method, self._url + path, data=data, headers=headers, timeout=_TIMEOUT_S)
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code}: {answer.text[:500]}", response=answer)
        found: Object = answer.json()
        return found


def _collection(version: str, kind: str, namespace: str | None = None) -> str:
    group = f"/apis/{version}" if "/" in version else f"/api/{version}"
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{group}{place}/{kind.lower()}s"


def _path(item: Object) -> str:
    meta = item["metadata"]
    return f"{_collection(item['apiVersion'], item['kind'], meta['namespace'])}/{meta['name']}"
