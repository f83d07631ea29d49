"""The step between decoding and writing, where users put their own."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from cryptocdc_core.catalogue import Stream
from cryptocdc_core.changes import Change
from cryptocdc_core.exits import BadInput
from cryptocdc_core.feed import CryptoFeed
from cryptocdc_core.settings import ConsumerSettings

Transform = Callable[[Stream, Change], Change | None]
"""Gives the change to write, altered or not, or None to leave it out; it is then counted and its offset committed.

It sees every change, deletes too (`change.op == "d"`, of which only the key's columns mean anything), once or more and
in any order, so it must depend on nothing but its arguments. One that raises makes a dead letter of its record. A
change of the key's columns or of `version` is a different row to Cassandra, and the verifier will say so.
"""

ACCEPTED = "module:function of a module that the consumer can import"


class TransformFailed(Exception):
    """A transform that raised; the message is what it raised."""


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
