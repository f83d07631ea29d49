"""Fixtures of the exporter's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.exporter.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    from tests.unit.exporter.world import World  # a test without pyarrow is skipped before

    made = World(tmp_path / "out")
    yield made
    made.background.shutdown()
