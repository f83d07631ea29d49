"""The dependencies and the outcome of a pass over a feed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptocdc_core.program.metrics import OperatorMetrics
from cryptocdc_core.program.settings import SettingsError
from cryptocdc_operator.cluster.port import Cluster
from cryptocdc_operator.cluster.secret_data import SecretUnusable
from cryptocdc_operator.servers.port import Connect, ExternalServices
from cryptocdc_operator.settings import Addresses, OperatorSettings

PostEvent = Callable[[str, str, str], None]
"""Posts an event: its type (Normal, Warning), reason and message."""

UNUSABLE = (SettingsError, SecretUnusable)
"""What `Operator.connect` raises for secrets that can't be used as they are."""


@dataclass(frozen=True)
class Operator:
    """Everything that reconciling needs."""

    settings: OperatorSettings
    addresses: Addresses
    cluster: Cluster
    connect: Connect
    external: ExternalServices
    metrics: OperatorMetrics
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def secrets(self) -> tuple[dict[str, Mapping[str, str]], list[str]]:
        """Return the platform's secrets by name, and the names of the missing ones."""
        asked = {name: self.cluster.secret(name) for name in self.settings.secrets}
        found = {name: content for name, content in asked.items() if content is not None}
        return found, [name for name in asked if name not in found]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`retry_after_s`: when to run the next pass, None when nothing needs one soon."""

    retry_after_s: float | None
    waiting_for: str = ""
    failed: bool = False
    """Whether an unexpected exception ended a part of the pass."""
