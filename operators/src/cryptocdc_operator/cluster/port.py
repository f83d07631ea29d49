"""The port to Kubernetes' API. Tests use a double."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cryptocdc_operator.settings import Object


class Cluster(Protocol):
    """Kubernetes' API, in the operator's namespace."""

    def feed(self, name: str) -> Object | None: ...

    def set_status(self, name: str, patch: Object) -> None:
        """Merge `patch` into the status."""

    def secret(self, name: str) -> Mapping[str, str] | None:
        """Return the secret's keys as text, decoded on access, which raises SecretUnusable; None if it does not
        exist."""

    def missing_kinds(self, kinds: tuple[str, ...]) -> list[str]:
        """Return those of the kinds that the API server does not have."""

    def apply(self, wanted: Object) -> Object:
        """Server-side apply an object, and return the result."""

    def find(self, kind: str, name: str) -> Object | None: ...

    def of_feed(self, kind: str, feed: str) -> list[Object]:
        """Return all objects of a kind with the feed's label."""

    def change(self, kind: str, name: str, patch: Object) -> None:
        """Merge `patch` into an object if it exists."""

    def delete(self, kind: str, name: str) -> None:
        """Delete an object if it exists; objects that it owns are deleted afterwards."""

    def pods(self, selector: str) -> list[Object]:
        """Return the pods that match a label selector such as `a=b,c=d`."""

    def all(self, kind: str) -> list[Object]: ...

    def namespace_ends(self) -> bool:
        """Return whether the operator's own namespace is being deleted."""

    def share_feed(self, name: str, text: str | None) -> None:
        """Add the feed to those that the verifier proves, or remove it if `text` is None."""
