"""The API as its clients see it: over HTTP, page after page, and as a process of its own with other settings."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from cryptocdc_local.running.run import Run
from tests.integration.waiting import wait_for

Rows = list[dict[str, Any]]


def ask(url: str, path: str, **query: object) -> requests.Response:
    """`from_` stands for `from`."""
    given = {name.rstrip("_"): str(value) for name, value in query.items()}
    return requests.get(f"{url}{path}", params=given, timeout=15)


def rows(url: str, path: str, **query: object) -> Rows:
    answer = ask(url, path, **query)
    assert answer.status_code == 200, answer.text
    found: Rows = answer.json()
    return found


def pages(url: str, path: str, **query: object) -> Iterator[Rows]:
    """A range as a client pages through it: by the Link of each answer."""
    answer = ask(url, path, **query)
    while True:
        assert answer.status_code == 200, answer.text
        yield answer.json()
        if "next" not in answer.links:
            return
        answer = requests.get(f"{url}{answer.links['next']['url']}", timeout=15)


def all_rows(url: str, path: str, **query: object) -> Rows:
    return [row for page in pages(url, path, **query) for row in page]


def healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.RequestException:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(it: Run, **settings: object) -> tuple[list[str], dict[str, str]]:
    """`cryptocdc-api` of a run's feed and its environment, with CRYPTOCDC_<NAME> of `settings`."""
    ports = {"api_port": free_port(), "metrics_port": free_port(), "metrics_host": "127.0.0.1"}
    given = {f"CRYPTOCDC_{name.upper()}": str(value) for name, value in {**ports, **settings}.items()}
    program = str(Path(sys.executable).with_name("cryptocdc-api"))
    return [program], {**os.environ, **it.programs.environment, **given}


@contextlib.contextmanager
def served(it: Run, **settings: object) -> Iterator[str]:
    """Another process of the API, with its own settings; its URL. It must exit cleanly on SIGTERM."""
    arguments, environment = command(it, **settings)
    url = f"http://127.0.0.1:{environment['CRYPTOCDC_API_PORT']}"
    process = subprocess.Popen(arguments, env=environment)
    try:
        wait_for("the API", lambda: healthy(url))
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
