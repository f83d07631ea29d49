"""docs/feed.md names every field of the model, its default and what is accepted, and no other."""

import re
import typing
from decimal import Decimal
from pathlib import Path

import annotated_types
import pydantic
from pydantic_core import PydanticUndefined

from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.feed.problems import PATTERNS
from cryptocdc_core.time import durations

DOCUMENT = Path(__file__).parents[4] / "docs" / "feed.md"
ROW = re.compile(r"^\| `([A-Za-z0-9.\[\]]+)` \| (.*?) \| (.*?) \| (.+) \|$", re.MULTILINE)


def fields(model=CryptoFeed, path=""):
    """Return (path, default, accepted) of every field that has a value."""
    for name, field in model.model_fields.items():
        at = f"{path}{field.alias or name}"
        inner = [a for a in (field.annotation, *typing.get_args(field.annotation)) if is_model(a)]
        if inner:
            listed = typing.get_origin(field.annotation) is list
            yield from fields(inner[0], f"{at}[]." if listed else f"{at}.")
        else:
            yield at, default(field), accepted(field.annotation, field.metadata)


def is_model(annotation):
    return isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel)


def default(field):
    value = field.default
    if value is PydanticUndefined:
        return "must be given"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`[{', '.join(value)}]`" if isinstance(value, list) else f"`{value}`"


def accepted(annotation, metadata):
    options = [a for a in typing.get_args(annotation) if a is not type(None)]
    if type(None) in typing.get_args(annotation):
        return accepted(options[0], metadata)
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{option}`" for option in options)
    if typing.get_origin(annotation) is typing.Annotated:
        return accepted(options[0], [*annotation.__metadata__, *metadata])
    if typing.get_origin(annotation) is list:
        low, high = (
            next((getattr(m, n) for m in metadata if hasattr(m, n)), None) for n in ("min_length", "max_length")
        )
        return f"{low} to {high} of: {accepted(options[0], [])}"
    if typing.get_origin(annotation) is dict:
        return "a mapping"
    if annotation is bool:
        return "`true`, `false`"
    if annotation in (int, Decimal):
        low, high = (next(getattr(m, n) for m in bounds(metadata) if hasattr(m, n)) for n in ("ge", "le"))
        return " to ".join(format(bound, "f") if isinstance(bound, Decimal) else str(bound) for bound in (low, high))
    patterns = [m.pattern for m in bounds(metadata) if getattr(m, "pattern", None)]
    words = PATTERNS[patterns[0]] if patterns else "text"
    longest = next((m.max_length for m in bounds(metadata) if getattr(m, "max_length", None)), None)
    return words + (f"; at most {longest} characters" if longest else "")


def bounds(metadata):
    for item in metadata:
        if isinstance(item, pydantic.fields.FieldInfo):
            yield from bounds(item.metadata)
        elif isinstance(item, annotated_types.GroupedMetadata):
            yield from item
        else:
            yield item


def test_every_field_is_documented_as_in_the_model():
    written = {path: (default, accepted) for path, default, accepted, _ in ROW.findall(DOCUMENT.read_text())}
    assert written == {path: (default, accepted) for path, default, accepted in fields()}


def test_durations_are_documented_with_all_their_units():
    text = DOCUMENT.read_text()
    assert all(f"`{unit}`" in text for unit in durations.UNITS_S)
