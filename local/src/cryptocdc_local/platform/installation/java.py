"""Finds Java 17 for the servers, and makes the common part of their command lines."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# Cassandra 5.0 runs on 11 and 17 only, Kafka 4.3's broker on 17 and later.
VERSION = 17


@cache
def find_java() -> Path | None:
    """Return a `java` of exactly version 17, from JAVA_HOME, the system's folder or PATH, in this order."""
    for candidate in _candidates():
        if candidate.is_file() and _major_version(candidate) == VERSION:
            return candidate
    return None


def _candidates() -> Iterator[Path]:
    if java_home := os.environ.get("JAVA_HOME"):
        yield Path(java_home, "bin", "java")
    yield from sorted(Path("/usr/lib/jvm").glob(f"*{VERSION}*/bin/java"))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield Path(folder, "java")


def _major_version(java: Path) -> int | None:
    try:
        text = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(\d+)', text)
    return int(found.group(1)) if found else None


def jvm_options(heap_mb: int, temporary: Path, *, passing: bool = False) -> list[str]:
    """Return the JVM's options: the serial collector beats the parallel ones on small heaps and few cores.

    `passing`: nearly all objects of the program die young, so most of the heap is the young generation.
    """
    return [
        "-server",
        f"-Xmx{heap_mb}m",
        *([f"-Xms{heap_mb}m", f"-Xmn{heap_mb * 5 // 8}m"] if passing else [f"-Xms{heap_mb // 2}m"]),
        "-XX:+UseSerialGC",
        "-XX:MetaspaceSize=96m",  # without it, start-up is interrupted by full collections to grow the metaspace
        "-XX:+ExitOnOutOfMemoryError",  # a half-dead server is worse than a restarted one
        "-XX:-UsePerfData",
        "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true",
        f"-Djava.io.tmpdir={temporary}",
    ]


def jvm_environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "MALLOC_ARENA_MAX": "2",  # glibc's arenas, one per thread, would otherwise double the memory outside the heap
    }
