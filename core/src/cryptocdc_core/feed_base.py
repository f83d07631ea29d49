"""What all parts of a feed's model have in common."""

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

from cryptocdc_core import durations, symbols

# A pattern bounds a string by itself; `maxLength` says so to Kubernetes, which does not read it out of the pattern.
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
"""A rule that is broken: the field, as a path from the model, and what is accepted."""


class FeedModel(BaseModel):
    # Strict, and by the documented names only: what the CRD's schema would refuse is refused here, too. The strings
    # below the fields are what `kubectl explain` and docs/feed.md say.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def broken_rules(cls, given: dict[str, Any]) -> Iterator[Broken]:  # noqa: ARG003 - for the models with rules
        """Yield what is wrong with `given` beyond its fields one by one. `given` is as it was written, by the
        documented names and without nulls: any value in it may be invalid, which is reported elsewhere."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _whole(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """Check fields and rules, whichever fails: a validator that runs after the fields would be left out as soon as
        one of them is invalid, and its mistakes be reported one correction later."""
        if not isinstance(given, dict):
            return validate(given)
        fields = cls.documented_fields()
        # As Kubernetes has it: a field's null stands for the default.
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
        """Return whether none of `wanted` is given, and no unknown field that may be one of them misspelled."""
        return not any(name in given for name in wanted) and given.keys() <= cls.documented_fields()


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for part in path:
        value = value[part]
    return value


def duplicates(values: object) -> list[str]:
    """Return the strings that a list holds more than once, sorted; none of what is not a list."""
    texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
    return sorted({text for text in texts if texts.count(text) > 1})
