"""Classes saved when a server stops for the first time, so that later starts need about half the time.

Loading and checking some ten thousand classes is most of what a JVM does at its start. The JVM itself checks an
archive against its class path and its own build, and goes without one that doesn't fit.
"""

from __future__ import annotations

from pathlib import Path

_DRAFT = ".new"


class ClassArchive:
    """The archive of one server, of one set of jars and of one build of Java."""

    def __init__(self, folder: Path, server: str, jars: Path, java: Path) -> None:
        build = (java.resolve().parent.parent / "lib" / "server" / "libjvm.so").stat()
        self._folder = folder
        self._server = server
        self.path = folder / f"{server}-{jars.name}-{build.st_mtime_ns:x}.jsa"

    def options(self) -> list[str]:
        """Read the archive where it exists; else write one when the server exits."""
        if self.path.exists():
            return [f"-XX:SharedArchiveFile={self.path}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
        return [f"-XX:ArchiveClassesAtExit={self.path}{_DRAFT}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]


def settle(folder: Path, server: str, whole: bool) -> None:
    """After a stop: keep what the server wrote, and only that, if it came to its own end."""
    for draft in folder.glob(f"{server}-*{_DRAFT}"):
        if whole:
            for older in folder.glob(f"{server}-*.jsa"):
                older.unlink()
            draft.rename(draft.with_name(draft.name.removesuffix(_DRAFT)))
        else:
            draft.unlink()
