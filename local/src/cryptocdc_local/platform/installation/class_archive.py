"""Class data archives, saved when a server stops for the first time, which halve the time of later starts.

Loading and verifying some ten thousand classes is most of a JVM's start. The JVM checks an archive against its class
path and its own build, and ignores one that does not match.
"""

from __future__ import annotations

from pathlib import Path

_DRAFT = ".new"


class ClassArchive:
    """The archive of one server for one set of jars and one build of Java."""

    def __init__(self, folder: Path, server: str, jars: Path, java: Path) -> None:
        build = (java.resolve().parent.parent / "lib" / "server" / "libjvm.so").stat()
        self._folder = folder
        self._server = server
        self.path = folder / f"{server}-{jars.name}-{build.st_mtime_ns:x}.jsa"

    def options(self) -> list[str]:
        """Return the options to read the archive if it exists, otherwise to write one when the server exits."""
        if self.path.exists():
            return [f"-XX:SharedArchiveFile={self.path}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
        return [f"-XX:ArchiveClassesAtExit={self.path}{_DRAFT}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]


def settle(folder: Path, server: str, whole: bool) -> None:
    """After a stop, keep the archive that the server wrote if it exited by itself (`whole`), else discard it."""
    for draft in folder.glob(f"{server}-*{_DRAFT}"):
        if whole:
            for older in folder.glob(f"{server}-*.jsa"):
                older.unlink()
            draft.rename(draft.with_name(draft.name.removesuffix(_DRAFT)))
        else:
            draft.unlink()
