"""The base of the feed model's classes, and the types of their fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails

from cryptocdc_core.feed import symbols
from cryptocdc_core.time import durations

# The patterns bound the lengths already; `maxLength` is for Kubernetes, which does not derive it from a pattern.
Duration = Annotated[str, Field(pattern=durations.PATTERN, json_schema_extra={"maxLength": 7})]
Count = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
Symbol = Annotated[
    str,
    Field(pattern=symbols.PATTERN, json_schema_extra={"maxLength": symbols.MAX_LENGTH}),
    AfterValidator(symbols.composed),
]
Asset = Annotated[
    str,
    Field(pattern=symbols.ASSET_PATTERN, json_schema_extra={"maxLength": symbols.MAX_ASSET_LENGTH}),
    AfterValidator(symbols.composed),
]

REFERENCE = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
"""A module and what it contains, as Python names them."""

Broken = tuple[tuple[str | int, ...], str]
"""A broken rule: the field, as a path from the model, and what is accepted."""


class FeedModel(BaseModel):
    # Strict, and by the documented names only: whatever the CRD's schema would refuse is refused here, too. The strings
    # below the fields are the descriptions in `kubectl explain` and docs/feed.md.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def broken_rules(cls, given: dict[str, Any]) -> Iterator[Broken]:  # noqa: ARG003 - for the models with rules
        """Yield the broken rules that concern several fields of `given`. It is the mapping as the user wrote it, with
        the documented names and without nulls; any value in it may be invalid, which is reported elsewhere."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _whole(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """Check both fields and rules: a validator that runs after the fields would be skipped as soon as one field is
        invalid, so the user would learn of broken rules only after correcting it."""
        if not isinstance(given, dict):
            return validate(given)
        fields = cls.documented_fields()
        # As in Kubernetes, null means the default.
        present = {key: value for key, value in given.items() if value is not None or key not in fields}
        problems: list[InitErrorDetails] = []
        made = None
        try:
            made = validate(present)
        except ValidationError as error:
            problems += [
                InitErrorDetails(type=found["type"], loc=found["loc"], input=found["input"], ctx=found.get("ctx", {}))
                for found in error.errors(include_url=False)
            ]
        for path, accepted in cls.broken_rules(present):
            problems.append(
                InitErrorDetails(
                    type="value_error", loc=path, input=_at(present, path), ctx={"error": ValueError(accepted)}
                )
            )
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        assert made is not None
        return made

    @classmethod
    def documented_fields(cls) -> set[str]:
        return {field.alias or name for name, field in cls.model_fields.items()}

    @classmethod
    def lacks(cls, given: dict[str, Any], wanted: Sequence[str]) -> bool:
        """Return whether none of `wanted` is given, nor an unknown field that may be a misspelling of one."""
        return not any(name in given for name in wanted) and given.keys() <= cls.documented_fields()


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        value = value[part]
    return value


def duplicates(values: object) -> list[str]:
    """Return the strings that occur more than once in a list, sorted; none if `values` is not a list."""
    texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
    return sorted({text for text in texts if texts.count(text) > 1})


def are_duplicated(values: list[str]) -> str:
    return f"{', '.join(values)} {'is' if len(values) == 1 else 'are'} duplicated"
