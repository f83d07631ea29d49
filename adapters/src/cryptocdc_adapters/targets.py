"""Where a feed's programs serve their metrics."""

from __future__ import annotations

import json
import socket
from pathlib import Path


def addresses(targets: str) -> list[str]:
    """`host:port` of each program, as they are now.

    `targets` is the path of a file for Prometheus (file_sd, *.json), or `host:port` separated by commas, each host
    standing for all of its addresses, as a headless service stands for its pods. What is not there is left out.
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
