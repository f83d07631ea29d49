"""What holds for all tests."""

from pathlib import Path

import pytest
from hypothesis import settings

# An example has no time limit of its own: on a machine that is busy with servers it would fail for nothing.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

RECORDINGS = Path(__file__).parents[2] / "shared" / "samples"


@pytest.fixture
def recordings() -> Path:
    """The folder with the recordings of all venues."""
    if not RECORDINGS.is_dir():
        pytest.skip("no recorded captures: ../shared/samples is not beside this checkout")
    return RECORDINGS


@pytest.fixture
def spot_capture(tmp_path: Path, recordings: Path) -> Path:
    """A folder with the recorded half-minute of Binance spot alone: recordings of other venues lie beside it."""
    folder = tmp_path / "spot"
    folder.mkdir()
    for part in ("exchangeinfo", "rest", "websocket"):
        (folder / f"binance-{part}.capture").symlink_to(recordings / f"binance-{part}.capture")
    return folder
