"""Shows long steps: a spinner for each on a terminal, otherwise a line for each once it is done."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Steps(Protocol):
    """Receives the progress of long steps. May be called from several threads."""

    def begin(self, step: str, detail: str = "") -> None: ...

    def update(self, step: str, detail: str) -> None: ...

    def done(self, step: str, detail: str = "") -> None: ...


class Silent:
    """Ignores all progress."""

    def begin(self, step: str, detail: str = "") -> None:
        pass

    def update(self, step: str, detail: str) -> None:
        pass

    def done(self, step: str, detail: str = "") -> None:
        pass


class _Shown:
    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}

    def begin(self, step: str, detail: str = "") -> None:
        self._began[step] = time.monotonic()
        self._tasks[step] = self._progress.add_task(step, detail=detail, total=1)

    def update(self, step: str, detail: str) -> None:
        self._progress.update(self._tasks[step], detail=detail)

    def done(self, step: str, detail: str = "") -> None:
        self._progress.update(self._tasks[step], detail=detail or "ready", completed=1)
        if not self._console.is_terminal:
            self._console.print(f"{step}: {detail or 'ready'} ({time.monotonic() - self._began[step]:.1f} s)")


@contextlib.contextmanager
def shown(console: Console) -> Iterator[Steps]:
    """Show the steps on the console while the block runs."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description:<12}"),
        TextColumn("[dim]{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield _Shown(console, progress)
