"""The all-in-one container, for systems other than Debian 12: started, stopped, killed, restarted."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e import environment
from tests.e2e.cluster import CommandError, run, wait_for
from tests.e2e.environment import build_all_in_one, version

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

IMAGE = f"cryptocdc/all-in-one:{version()}"
NAME = f"cryptocdc-all-in-one-{os.getpid()}"
FIRST_ROWS_LIMIT_S, STOP_LIMIT_S = 300, 120
FEED = """
apiVersion: cryptocdc.io/v1alpha1
kind: CryptoFeed
metadata: {name: mounted}
spec:
  exchange: simulated
  symbols: {names: [BTCUSDT, ETHUSDT]}
  streams: {recentTrades: {}, klines: {intervals: [1m]}}
"""


class Terminal:
    """A command in a terminal of its own, as a user runs it. What it prints is read and dropped: docker stops at a full
    terminal."""

    def __init__(self, *command: str) -> None:
        self._user, programs = pty.openpty()
        self._process = subprocess.Popen(
            command, stdin=programs, stdout=programs, stderr=programs, start_new_session=True
        )
        os.close(programs)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # Linux reports the end of a terminal as an error
            while os.read(self._user, 65536):
                pass

    def interrupted(self, limit_s: float) -> int:
        """Press Ctrl-C; return the command's exit code."""
        os.write(self._user, b"\x03")
        return self._process.wait(limit_s)


class Container:
    """The container of the test, which publishes its API on a free port of loopback."""

    def __init__(self, feed: Path) -> None:
        self._feed = feed

    def start(self) -> None:
        run(self._command("--detach"))

    def start_in_terminal(self) -> Terminal:
        return Terminal(*self._command("--interactive", "--tty"))

    def _command(self, *options: str) -> list[str]:
        mounts = ["--volume", f"{NAME}:/data", "--volume", f"{self._feed}:/feed.yaml:ro"]
        return ["docker", "run", *options, "--name", NAME, "--publish", "127.0.0.1::8000", *mounts, IMAGE]

    def stopped(self) -> int:
        """Stop it as a user does; return its exit code."""
        run(["docker", "stop", "--time", str(STOP_LIMIT_S), NAME], limit_s=STOP_LIMIT_S + 30)
        return self.exit_code()

    def exit_code(self) -> int:
        return int(run(["docker", "inspect", "--format", "{{.State.ExitCode}}", NAME]))

    def executed(self, *command: str) -> str:
        return run(["docker", "exec", NAME, *command])

    def log(self) -> str:
        """Return what it has printed to both outputs."""
        return run(["sh", "-c", f"docker logs {NAME} 2>&1"])

    def remove(self) -> None:
        run(["docker", "rm", "--force", NAME])

    def get(self, path: str) -> str:
        """Return the API's response; empty while there is none. AssertionError if the container has exited."""
        state = run(["docker", "inspect", "--format", "{{.State.Running}}", NAME]).strip()
        assert state == "true", f"it has ended: {self.log()[-3000:]}"
        address = run(["docker", "port", NAME, "8000/tcp"]).split()[0]
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def rows(self, path: str) -> list[dict[str, Any]]:
        found = json.loads(self.get(path) or "[]")
        return found if isinstance(found, list) else []


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    if missing := environment.lacking():
        pytest.skip(missing)
    build_all_in_one()
    feed = tmp_path_factory.mktemp("all-in-one") / "feed.yaml"
    feed.write_text(FEED, encoding="utf-8")
    feed.chmod(0o644)
    feed.parent.chmod(0o755)
    it = Container(feed)
    try:
        yield it
    finally:
        for command in (["docker", "rm", "--force", NAME], ["docker", "volume", "rm", "--force", NAME]):
            try:
                run(command)
            except CommandError as error:
                print(error)


def trades(container: Container) -> list[dict[str, Any]]:
    return container.rows("/recent_trades?symbol=BTCUSDT&limit=1000")


def test_one_container_captures_keeps_its_data_and_stops_cleanly(container: Container) -> None:
    container.start()
    before = wait_for("trades on the page's API", lambda: trades(container), FIRST_ROWS_LIMIT_S)
    assert "<html" in container.get("/")
    health = json.loads(container.get("/health"))
    assert (health["feed"], health["simulated"]) == ("mounted", True)
    assert container.executed("id", "-u").strip() == "10001"
    assert container.stopped() == 0, container.log()
    assert "stopped; the data stays" in container.log()
    container.remove()

    container.start()
    oldest = min(before, key=lambda row: int(row["trade_id"]))
    again = f"/recent_trades?symbol=BTCUSDT&order=oldest&from={quote(str(oldest['trade_time']))}"
    kept = wait_for("rows of the first run", lambda: container.rows(again), FIRST_ROWS_LIMIT_S)
    assert oldest in kept

    # As in a power failure; then the same volume.
    run(["docker", "kill", "--signal", "KILL", NAME])
    assert container.exit_code() == 137
    container.remove()
    terminal = container.start_in_terminal()
    kept = wait_for("rows after the kill", lambda: container.rows(again), FIRST_ROWS_LIMIT_S)
    assert oldest in kept
    newest = max(int(row["trade_id"]) for row in before)
    wait_for("new trades", lambda: any(int(row["trade_id"]) > newest for row in trades(container)), FIRST_ROWS_LIMIT_S)
    assert terminal.interrupted(STOP_LIMIT_S) == 0, container.log()
    assert "stopped; the data stays" in container.log()


def test_an_invalid_feed_ends_the_container_with_the_feeds_error(container: Container, tmp_path: Path) -> None:
    bad = tmp_path / "feed.yaml"
    bad.write_text(FEED.replace("simulated", "nowhere"), encoding="utf-8")
    with pytest.raises(CommandError) as refused:
        run(["docker", "run", "--rm", "--volume", f"{bad}:/feed.yaml:ro", IMAGE])
    assert "exit 2" in str(refused.value)
    assert "spec.exchange" in str(refused.value)
