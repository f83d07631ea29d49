"""What goes wrong with the platform, and what the user can do about it."""

from __future__ import annotations


class PlatformError(Exception):
    """The platform can't do what was asked. `remedy` is one line that a user can act on; commands exit with 3."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.remedy}"


class HaltError(PlatformError):
    """It can't go on: whoever runs the servers stops all of them now, also those that ran before."""
