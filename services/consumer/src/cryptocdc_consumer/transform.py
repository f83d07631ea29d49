"""The optional step between decoding and writing, for users' own code."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.settings import ConsumerSettings
from cryptocdc_core.rows.changes import Change

Transform = Callable[[Stream, Change], Change | None]
"""Returns the change to write, altered or not, or None to drop it; a dropped change is counted and its offset
committed.

It is called for every change, including deletes (`change.op == "d"`, for which only the key's columns are meaningful),
once or more and in any order, so it must depend only on its arguments. If it raises, the record becomes a dead letter.
An altered key or `version` is a different row for Cassandra, which the verifier reports.
"""

ACCEPTED = "module:function of a module that the consumer can import"


class TransformFailed(Exception):
    """A transform raised an exception; the message describes it."""


def load(feed: CryptoFeed, own: ConsumerSettings) -> Transform | None:
    """Return the transform that the setting names, or else the feed; None if neither does. Raises BadInput."""
    field, reference = own.variable("transform"), own.transform
    if not reference:
        field, reference = "spec.transform", feed.spec.transform
    if not reference:
        return None
    module, _, name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
        transform: Transform = found() if isinstance(found, type) else found
    except Exception as error:  # the module is the user's: anything may be wrong with it
        raise BadInput(f"{field}: {reference!r}: {error!r}; accepted: {ACCEPTED}") from None
    if not callable(transform):
        raise BadInput(f"{field}: {reference!r} can't be called; accepted: {ACCEPTED}")
    return transform
