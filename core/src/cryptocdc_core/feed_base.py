"""What all parts of a feed's model have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cryptocdc_core import durations

# A pattern bounds a string by itself; `maxLength` says so to Kubernetes, which does not read it out of the pattern.
Duration = Annotated[str, Field(pattern=durations.PATTERN, json_schema_extra={"maxLength": 7})]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9_.-]{1,20}$", json_schema_extra={"maxLength": 20})]


class FeedModel(BaseModel):
    # Strict, and by the documented names only: what the CRD's schema would refuse is refused here, too. The strings
    # below the fields are what `kubectl explain` and docs/feed.md say.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, given: Any) -> Any:
        # As Kubernetes has it: a field's null stands for the default.
        if not isinstance(given, dict):
            return given
        fields = {field.alias or name for name, field in cls.model_fields.items()}
        return {key: value for key, value in given.items() if value is not None or key not in fields}
