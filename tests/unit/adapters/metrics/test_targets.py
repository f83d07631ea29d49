"""Where programs serve their metrics: from a file, or by name."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from cryptocdc_adapters.metrics.targets import addresses


def test_addresses_are_read_from_a_prometheus_targets_file(tmp_path: Path) -> None:
    file = tmp_path / "majors.json"
    file.write_text(json.dumps([{"targets": ["127.0.0.1:9101"], "labels": {}}, {"targets": ["127.0.0.1:9201"]}]))
    assert addresses(str(file)) == ["127.0.0.1:9101", "127.0.0.1:9201"]
    assert addresses(str(tmp_path / "none.json")) == []


def test_a_host_name_expands_to_all_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        if host != "majors-metrics":
            raise socket.gaierror
        return [(0, 0, 0, "", ("10.0.0.2", port)), (0, 0, 0, "", ("10.0.0.1", port)), (0, 0, 0, "", ("fd00::1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert addresses("majors-metrics:9090, gone:9090") == ["10.0.0.1:9090", "10.0.0.2:9090", "[fd00::1]:9090"]
    assert addresses("") == []
