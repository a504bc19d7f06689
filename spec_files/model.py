"""The base of every model that is read from a file."""

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """A frozen value; an unknown key is an error, and docstrings under fields describe them."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
