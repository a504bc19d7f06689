"""The base of every model that is read from a file."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Spec(BaseModel):
    """A frozen value; an unknown key is an error, and docstrings under fields describe them."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_is_a_number(cls, value: Any, about: ValidationInfo) -> Any:
        """Refuse true and false where a number belongs: pydantic takes them for 1 and 0."""
        wanted = cls.model_fields[str(about.field_name)].annotation
        if isinstance(value, bool) and wanted in (int, float):
            raise ValueError(f"read {str(value).lower()} where a number belongs")
        return value
