"""What holds for all tests."""

from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests import recordings as recorded

# An example has no time limit of its own: on a machine that is busy with servers it would fail for nothing.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

SERVERS = "tests/integration/"


class OneWorkerWithServers(LoadScopeScheduling):  # type: ignore[misc]
    """All tests that need servers go to one worker, which starts them once and has run no unit test before, since these
    lower its priority; the others go file by file to the rest."""

    def _split_scope(self, nodeid: str) -> str:
        return SERVERS if nodeid.startswith(SERVERS) else nodeid.split("::", 1)[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> OneWorkerWithServers:
    config.option.loadscopereorder = False  # by size, the tests with servers would come after larger files
    return OneWorkerWithServers(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(SERVERS))


@pytest.fixture
def recordings() -> Path:
    """The folder with the recordings of all venues."""
    if not recorded.FOLDER.is_dir():
        pytest.skip(recorded.MISSING)
    return recorded.FOLDER


@pytest.fixture
def spot_capture(tmp_path: Path, recordings: Path) -> Path:
    """A folder with the recorded half-minute of Binance spot alone: recordings of other venues lie beside it."""
    return _linked(tmp_path / "spot", recordings, "binance-exchangeinfo", "binance-rest", "binance-websocket")


@pytest.fixture
def futures_capture(tmp_path: Path, recordings: Path) -> Path:
    """A folder with the recorded half-minute of Binance USD-M futures alone."""
    return _linked(tmp_path / "futures", recordings, "binance-futures-rest", "binance-futures-websocket")


@pytest.fixture
def okx_capture(tmp_path: Path, recordings: Path) -> Path:
    """A folder with the recorded ten seconds of OKX alone."""
    return _linked(tmp_path / "okx", recordings, "okx-rest", "okx-websocket")


@pytest.fixture
def coinbase_capture(tmp_path: Path, recordings: Path) -> Path:
    """A folder with the recorded half-minute of Coinbase Exchange alone."""
    return _linked(tmp_path / "coinbase", recordings, "coinbase-rest", "coinbase-websocket")


def _linked(folder: Path, recordings: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / f"{name}.capture").symlink_to(recordings / f"{name}.capture")
    return folder
