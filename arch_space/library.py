"""Reference models: published architectures, shipped as YAML, and models of the user's files."""

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, create_model, model_validator

from arch_space.architectures import (
    FORMAT_COLUMNS,
    LARGEST,
    QK_NORMS,
    Architectures,
    columns,
    concatenate,
    defaults,
    meanings,
)
from arch_space.formats import format_name
from arch_space.huggingface import FAMILIES, from_huggingface
from arch_space.names import FOLDER, resolve_model
from arch_space.tensors import parameter_count
from spec_files import (
    Spec,
    SpecError,
    did_you_mean,
    find_spec,
    read_json,
    read_spec,
    short,
    within,
)

__all__ = [
    "ReferenceModel",
    "Source",
    "decodes_by_diffusion",
    "load_model",
    "load_models",
    "reference_model",
    "shipped_models",
]


def _row_fields() -> dict[str, Any]:
    """The columns of `Architectures` as fields of one row; formats and qk_norm by name."""
    limits: dict[str, Any] = {"ge": 0, "le": LARGEST, "strict": True}
    said: dict[str, dict[str, Any]] = {n: {"description": words} for n, words in meanings().items()}
    fields: dict[str, Any] = {name: (int, Field(**limits, **said[name])) for name in columns()}
    for name, default in defaults().items():
        fields[name] = (type(default), Field(default, **limits, **said[name]))
    for name in FORMAT_COLUMNS:
        fields[name] = (str, Field(format_name(defaults()[name]), **said[name]))
    fields["qk_norm"] = (Literal[QK_NORMS], Field(QK_NORMS[0], **said["qk_norm"]))
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
    """What `--model` calls it; the file's name."""
    title: str = ""
    """In words."""
    aliases: tuple[str, ...] = ()
    """Names under which the same architecture is published: fine-tunes, other spellings."""
    family: str | None = None
    """Hugging Face model type; none for a model that no library has."""
    source: Source | None = None
    """Where its numbers were read."""
    parameters: int | None = Field(None, ge=1)
    """Parameters of the published checkpoint, a tied embedding counted once."""
    decodes: Literal["autoregressive", "diffusion"] = "autoregressive"
    """How it was trained to write: token by token, or in passes over masked text."""
    architecture: ArchitectureRow  # type: ignore[valid-type]
    """One value a field; what is left out has its default."""

    @model_validator(mode="after")
    def _can_exist(self) -> Self:
        if self.family is not None and self.family not in FAMILIES:
            hint = did_you_mean(self.family, FAMILIES)
            raise SpecError(f"unknown model type {self.family!r}{hint}", at=("family",))
        with within("architecture"):
            counted = int(parameter_count(self.architectures())[0])
        if self.parameters is not None and self.parameters != counted:
            raise SpecError(
                f"read {self.parameters:,}, but the architecture has {counted:,}",
                at=("parameters",),
            )
        return self

    def architectures(self) -> Architectures:
        """Return the model as a table of one named candidate."""
        row = self.architecture.model_dump()  # type: ignore[attr-defined]
        return Architectures.from_rows([row], names=(self.name,))


def shipped_models() -> list[str]:
    """Return the names of the reference models, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def reference_model(name_or_path: str | Path) -> ReferenceModel:
    """Return a shipped model by name, with or without `.yaml`, or that of a model YAML file.

    A name is also one that `resolve_model` knows: an alias, or a checkpoint of the model.
    """
    path = _find(name_or_path)
    return _shipped(path) if path.parent == FOLDER else read_spec(path, ReferenceModel)


@cache
def _shipped(path: Path) -> ReferenceModel:
    """Read a shipped file once: a sweep asks for a hundred of them."""
    return read_spec(path, ReferenceModel)


@cache
def decodes_by_diffusion(name: str) -> bool:
    """Whether a shipped model writes in passes over masked text; no for names of none."""
    return name in shipped_models() and reference_model(name).decodes == "diffusion"


def _find(name_or_path: str | Path) -> Path:
    try:
        return find_spec(name_or_path, FOLDER, "model")
    except SpecError as absent:
        path = Path(name_or_path)
        file = path.suffix in (".yaml", ".yml") and path.parent.name not in ("", FOLDER.name)
        if file or str(name_or_path).startswith((".", "/", "~")) or os.path.isdir(path):
            raise
        try:
            return FOLDER / f"{resolve_model(str(name_or_path))}.yaml"
        except SpecError:
            raise absent from None


def load_model(name_or_path: str | Path) -> Architectures:
    """Return one named candidate: a shipped model, a model YAML file, or a config.json.

    A folder that holds a config.json stands for it.
    Raises SpecError for an unknown name (with the nearest), a file that is none, and a model type
    of Hugging Face that is not known.
    """
    path = Path(name_or_path)
    if name_or_path and os.path.isdir(path) and path.name not in shipped_models():
        path /= "config.json"
        if not path.is_file():
            raise SpecError(f"model {short(str(name_or_path))} is a folder without a config.json.")
    if path.suffix == ".json":
        if not os.path.exists(path):  # unlike Path.exists, at peace with any text
            raise SpecError(f"no model {short(str(name_or_path))}: no such file.")
        name = path.resolve().parent.name if path.name == "config.json" else path.stem
        return replace(from_huggingface(read_json(path), str(path)), names=(name,))
    return reference_model(name_or_path).architectures()


def load_models(names_or_paths: Iterable[str | Path]) -> Architectures:
    """Return several models as one table, (N,) in their order; SpecError as `load_model`."""
    tables = [load_model(name) for name in names_or_paths]
    if not tables:
        raise SpecError("no models were given.")
    return concatenate(tables)
