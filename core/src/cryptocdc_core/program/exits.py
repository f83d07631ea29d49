"""Exit codes, and errors about bad input."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    OK = 0
    UNEQUAL = 1
    """Unequal or incomplete."""
    BAD_INPUT = 2
    PLATFORM = 3
    """A server or a port is missing."""


class BadInput(ValueError):
    """A feed, setting or option that is not accepted; the message names it, its value and what is accepted."""


def fail(message: object, code: Exit) -> NoReturn:
    """Print the message to standard error and exit."""
    print(message, file=sys.stderr)
    sys.exit(code)


@contextmanager
def refusing_bad_input() -> Iterator[None]:
    """Print a BadInput that is raised inside the block to standard error and exit with its code."""
    try:
        yield
    except BadInput as error:
        fail(error, Exit.BAD_INPUT)


def stop_event() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set from now on."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
