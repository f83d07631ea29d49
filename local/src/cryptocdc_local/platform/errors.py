"""Errors of the platform, with what the user can do about them."""

from __future__ import annotations


class PlatformError(Exception):
    """The platform can't do what was requested. `remedy` is one line that a user can act on; commands exit with 3."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.remedy}"


class HaltError(PlatformError):
    """The platform can't continue: the runner stops all servers now, including those it did not start."""
