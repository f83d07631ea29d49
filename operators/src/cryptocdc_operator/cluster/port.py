"""What the operator needs of Kubernetes' API. Tests put a double here."""

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
        """Its keys as text, decoded when read: reading one raises SecretUnusable."""

    def missing_kinds(self, kinds: tuple[str, ...]) -> list[str]:
        """Those that the API server does not know."""

    def apply(self, wanted: Object) -> Object:
        """Server-side apply; the object as it is then."""

    def find(self, kind: str, name: str) -> Object | None: ...

    def of_feed(self, kind: str, feed: str) -> list[Object]:
        """All objects of a kind that bear the feed's label."""

    def change(self, kind: str, name: str, patch: Object) -> None:
        """Merge `patch` into an object, if it is there."""

    def delete(self, kind: str, name: str) -> None:
        """If it is there; what it owns goes after it."""

    def pods(self, selector: str) -> list[Object]:
        """Those whose labels a selector such as `a=b,c=d` finds."""

    def all(self, kind: str) -> list[Object]: ...

    def namespace_ends(self) -> bool:
        """Whether the operator's own namespace is being deleted."""

    def share_feed(self, name: str, text: str | None) -> None:
        """Put the feed among those that the verifier proves, or take it out."""
