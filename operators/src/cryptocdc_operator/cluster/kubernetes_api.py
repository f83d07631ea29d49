"""Kubernetes' API, in one namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kubernetes.client import ApiClient
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ForbiddenError, NotFoundError, ResourceNotFoundError

from cryptocdc_core.feed.model import API_VERSION
from cryptocdc_operator.cluster.secret_data import SecretData
from cryptocdc_operator.resources.labels import FEED_LABEL, FEEDS_MAP, MANAGER, labels
from cryptocdc_operator.settings import Object

T = TypeVar("T")

MERGE = "application/merge-patch+json"
TIMEOUT_S = 30

API_VERSIONS = {
    "CryptoFeed": API_VERSION,
    "Namespace": "v1",
    "ConfigMap": "v1",
    "Secret": "v1",
    "Pod": "v1",
    "Service": "v1",
    "Deployment": "apps/v1",
    "Job": "batch/v1",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PersistentVolumeClaim": "v1",
    "SparkApplication": "spark.apache.org/v1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "KafkaTopic": "kafka.strimzi.io/v1",
    "KafkaConnector": "kafka.strimzi.io/v1",
}


class KubernetesCluster:
    """Raises kubernetes.client.ApiException, and urllib3's errors when the API server can't be reached."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self._client = DynamicClient(client)  # type: ignore[no-untyped-call]
        self._namespace = namespace

    def feed(self, name: str) -> Object | None:
        return self.find("CryptoFeed", name)

    def set_status(self, name: str, patch: Object) -> None:
        self._there(
            lambda: self._resource("CryptoFeed").status.patch(
                body={"status": patch}, name=name, namespace=self._namespace, content_type=MERGE,
                field_manager=MANAGER, _request_timeout=TIMEOUT_S,
            )
        )  # fmt: skip

    def secret(self, name: str) -> Mapping[str, str] | None:
        found = self.find("Secret", name)
        return None if found is None else SecretData(name, found.get("data") or {})

    def missing_kinds(self, kinds: tuple[str, ...]) -> list[str]:
        missing = []
        for kind in kinds:
            try:
                self._resource(kind)
            except ResourceNotFoundError:
                missing.append(kind)
        return missing

    def apply(self, wanted: Object) -> Object:
        return self._dict(
            self._resource(wanted["kind"]).server_side_apply(
                body=wanted, namespace=self._namespace, field_manager=MANAGER, force_conflicts=True,
                _request_timeout=TIMEOUT_S,
            )
        )  # fmt: skip

    def find(self, kind: str, name: str) -> Object | None:
        return self._there(
            lambda: self._dict(
                self._resource(kind).get(name=name, namespace=self._namespace, _request_timeout=TIMEOUT_S)
            )
        )

    def of_feed(self, kind: str, feed: str) -> list[Object]:
        return self._list(kind, f"{FEED_LABEL}={feed}")

    def change(self, kind: str, name: str, patch: Object) -> None:
        self._there(
            lambda: self._resource(kind).patch(
                body=patch, name=name, namespace=self._namespace, content_type=MERGE, field_manager=MANAGER,
                _request_timeout=TIMEOUT_S,
            )
        )  # fmt: skip

    def delete(self, kind: str, name: str) -> None:
        self._there(
            lambda: self._resource(kind).delete(
                name=name, namespace=self._namespace, body={"propagationPolicy": "Background"},
                _request_timeout=TIMEOUT_S,
            )
        )  # fmt: skip

    def pods(self, selector: str) -> list[Object]:
        return self._list("Pod", selector)

    def all(self, kind: str) -> list[Object]:
        return [{"kind": kind, **found} for found in self._list(kind, None)]

    def namespace_ends(self) -> bool:
        """Return whether the namespace is being deleted; False if the operator lacks the permission to see it, as with
        an older chart."""
        try:
            found = self._there(
                lambda: self._dict(self._resource("Namespace").get(name=self._namespace, _request_timeout=TIMEOUT_S))
            )
        except ForbiddenError:
            return False
        return found is not None and "deletionTimestamp" in found["metadata"]

    def share_feed(self, name: str, text: str | None) -> None:
        key = f"{name}.yaml"
        shared = self.find("ConfigMap", FEEDS_MAP)
        if ((shared or {}).get("data") or {}).get(key) == text:
            return
        if shared is None:
            self.apply(
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": FEEDS_MAP, "labels": _SHARED_LABELS},
                }
            )
        self.change("ConfigMap", FEEDS_MAP, {"data": {key: text}})

    def _list(self, kind: str, selector: str | None) -> list[Object]:
        found = self._there(
            lambda: self._dict(
                self._resource(kind).get(namespace=self._namespace, label_selector=selector, _request_timeout=TIMEOUT_S)
            )
        )
        items: list[Object] = [] if found is None else found.get("items") or []
        return items

    def _resource(self, kind: str) -> Any:
        """Return the client for a kind. Raises ResourceNotFoundError if the API server does not have it."""
        return self._client.resources.get(api_version=API_VERSIONS[kind], kind=kind)

    @staticmethod
    def _dict(answer: Any) -> Object:
        made: Object = answer.to_dict()
        return made

    @staticmethod
    def _there(ask: Callable[[], T]) -> T | None:
        """Return the result, or None if the object does not exist or the API server has no such kind."""
        try:
            return ask()
        except (NotFoundError, ResourceNotFoundError):
            return None


_SHARED_LABELS = {key: value for key, value in labels("").items() if value and not key.endswith("instance")}
