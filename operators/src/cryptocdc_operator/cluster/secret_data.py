"""A Secret's data, decoded key by key: other keys of the same Secret may be binary, such as Strimzi's `ca.p12`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping


class SecretUnusable(KeyError):
    """A Secret lacks a key, or the key is not text. The message names both."""

    def __str__(self) -> str:
        return str(self.args[0])


class SecretData(Mapping[str, str]):
    """The keys of one Secret as text. Reading a key that is missing or is not text raises SecretUnusable."""

    def __init__(self, name: str, encoded: Mapping[str, str]) -> None:
        """`encoded`: the Secret's `data`, each value in base64."""
        self._name = name
        self._encoded = encoded

    def __getitem__(self, key: str) -> str:
        if key not in self._encoded:
            there = ", ".join(sorted(self._encoded)) or "none"
            raise SecretUnusable(f"secret {self._name} lacks the key {key}; its keys: {there}")
        try:
            return base64.b64decode(self._encoded[key]).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise SecretUnusable(f"secret {self._name}: the key {key} is not UTF-8 text") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._encoded)

    def __len__(self) -> int:
        return len(self._encoded)
