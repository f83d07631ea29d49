"""Where a feed's programs serve their metrics."""

from __future__ import annotations

import json
import socket
from pathlib import Path


def addresses(targets: str) -> list[str]:
    """Return `host:port` of each program that runs now.

    `targets` is the path of a Prometheus file_sd file (*.json), or `host:port` separated by commas, where each host is
    expanded to all of its addresses, such as a headless service to its pods. Unknown hosts are left out.
    """
    if targets.endswith(".json"):
        try:
            groups = json.loads(Path(targets).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return [address for group in groups for address in group["targets"]]
    found: list[str] = []
    for target in filter(None, (part.strip() for part in targets.split(","))):
        host, _, port = target.rpartition(":")
        try:
            known = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        except (OSError, ValueError):
            continue
        for address in sorted({str(entry[4][0]) for entry in known}):
            found.append(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
    return found
