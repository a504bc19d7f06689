"""How a file becomes validated values: units, line numbers, and errors of one sentence.

Knows nothing of devices or models. Importing it loads neither pydantic nor a YAML parser.
"""

from typing import TYPE_CHECKING, Any

from spec_files.errors import SpecError, short, within
from spec_files.nearest import did_you_mean, nearest
from spec_files.quantities import DIMENSIONS, format_quantity, parse_quantity
from spec_files.reading import (
    find_spec,
    parse_spec,
    read_json,
    read_spec,
    read_yaml,
    validate_spec,
)
from spec_files.writing import yaml_text

if TYPE_CHECKING:
    from spec_files.model import Spec

__all__ = [
    "DIMENSIONS",
    "Spec",
    "SpecError",
    "did_you_mean",
    "find_spec",
    "format_quantity",
    "nearest",
    "parse_quantity",
    "parse_spec",
    "read_json",
    "read_spec",
    "read_yaml",
    "short",
    "validate_spec",
    "within",
    "yaml_text",
]


def __getattr__(name: str) -> Any:
    if name == "Spec":
        from spec_files.model import Spec

        return Spec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
