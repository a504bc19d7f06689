"""Reference models: published architectures, shipped as YAML, and models of the user's files."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, create_model, model_validator

from arch_space.architectures import (
    FORMAT_COLUMNS,
    QK_NORMS,
    Architectures,
    columns,
    concatenate,
    defaults,
)
from arch_space.formats import format_name
from arch_space.huggingface import FAMILIES, from_huggingface
from spec_files import Spec, SpecError, did_you_mean, find_spec, read_spec

__all__ = [
    "ReferenceModel",
    "Source",
    "load_model",
    "load_models",
    "reference_model",
    "shipped_models",
]

_FOLDER = Path(__file__).parent / "models"


def _row_fields() -> dict[str, Any]:
    """The columns of `Architectures` as fields of one row; formats and qk_norm by name."""
    fields: dict[str, Any] = {name: (int, Field(ge=0, strict=True)) for name in columns()}
    for name, default in defaults().items():
        fields[name] = (type(default), Field(default, ge=0, strict=True))
    for name in FORMAT_COLUMNS:
        fields[name] = (str, format_name(defaults()[name]))
    fields["qk_norm"] = (Literal[QK_NORMS], QK_NORMS[0])
    return fields


ArchitectureRow = create_model("ArchitectureRow", __base__=Spec, **_row_fields())


class Source(Spec):
    """Where a model's numbers were read."""

    where: str
    """Address of the published config.json."""
    date: str
    """When the checkpoint was published, YYYY-MM."""


class ReferenceModel(Spec):
    """A model file: an architecture, and where it comes from."""

    name: str
    title: str = ""
    family: str | None = None
    """Hugging Face model type; none for a model that no library has."""
    source: Source | None = None
    parameters: int | None = Field(None, ge=1)
    """Parameters of the published checkpoint, a tied embedding counted once."""
    architecture: ArchitectureRow  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _can_exist(self) -> Self:
        if self.family is not None and self.family not in FAMILIES:
            hint = did_you_mean(self.family, FAMILIES)
            raise SpecError(f"unknown model type {self.family!r}{hint}", at=("family",))
        try:
            self.architectures()
        except SpecError as impossible:
            raise SpecError(str(impossible), at=("architecture",)) from None
        return self

    def architectures(self) -> Architectures:
        """Return the model as a table of one named candidate."""
        row = self.architecture.model_dump()  # type: ignore[attr-defined]
        return Architectures.from_rows([row], names=(self.name,))


def shipped_models() -> list[str]:
    """Return the names of the reference models, sorted."""
    return sorted(file.stem for file in _FOLDER.glob("*.yaml"))


def reference_model(name_or_path: str | Path) -> ReferenceModel:
    """Return a shipped model by name, with or without `.yaml`, or that of a model YAML file."""
    return read_spec(find_spec(name_or_path, _FOLDER, "model"), ReferenceModel)


def load_model(name_or_path: str | Path) -> Architectures:
    """Return one named candidate: a shipped model, a model YAML file, or a config.json.

    A folder that holds a config.json stands for it.
    """
    path = Path(name_or_path)
    if path.is_dir() and (path / "config.json").is_file():
        path = path / "config.json"
    if path.suffix == ".json":
        name = path.resolve().parent.name if path.name == "config.json" else path.stem
        return replace(from_huggingface(_read_json(path), str(path)), names=(name,))
    return reference_model(name_or_path).architectures()


def load_models(names_or_paths: Iterable[str | Path]) -> Architectures:
    """Return several models as one table."""
    tables = [load_model(name) for name in names_or_paths]
    if not tables:
        raise SpecError("no models were given.")
    return concatenate(tables)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except json.JSONDecodeError as broken:
        raise SpecError(f"{path}:{broken.lineno}: not JSON: {broken.msg}.") from None
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file.") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: is not UTF-8 text.") from None
    except OSError as unreadable:
        raise SpecError(f"{path}: cannot be read: {unreadable.strerror}.") from None
