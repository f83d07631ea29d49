"""The step between decoding and writing, where users put their own."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.changes import Change
from cryptocdc_core.exits import BadInput

Transform = Callable[[Stream, Change], Change | None]
"""Gives the change to write, altered or not, or None to leave it out; it is then counted and its offset committed.

It sees every change, deletes too (`change.op == "d"`, of which only the key's columns mean anything), once or more and
in any order, so it must depend on nothing but its arguments. One that raises makes a dead letter of its record. A
change of the key's columns or of `version` is a different row to Cassandra, and the verifier will say so.
"""

SETTING = "CRYPTOCDC_TRANSFORM"


class TransformError(BadInput):
    """A transform that can't be loaded; the message names the setting."""


class TransformFailed(Exception):
    """A transform that raised; the message is what it raised."""


def load(reference: str | None) -> Transform | None:
    """The transform that "module:function" names, None for none. Raises TransformError."""
    if not reference:
        return None
    module, _, name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise TransformError(f"{SETTING}: {reference!r}: {error}; accepted: module:function") from None
    if not callable(found):
        raise TransformError(f"{SETTING}: {reference!r} is no function; accepted: module:function")
    transform: Transform = found
    return transform
