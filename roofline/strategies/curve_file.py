"""A table of (samples, accuracy, kind) as people keep it; a difficulty as a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.strategies.fit import KINDS
from spec_files import SpecError, did_you_mean
from spec_files.reading import read_text

if TYPE_CHECKING:
    from roofline.strategies.difficulty import Difficulty

COLUMNS = ("samples", "accuracy", "kind")


def read_curve(path: Path) -> tuple[list[float], list[float], list[str]]:
    """Return samples, accuracies and kinds of a CSV file with a header; kind: coverage if absent.

    Raises SpecError with the line that is wrong.
    """
    reader = csv.DictReader(io.StringIO(read_text(path)), skipinitialspace=True)
    names = [(name or "").strip().lower() for name in reader.fieldnames or []]
    for name in COLUMNS[:2]:
        if name not in names:
            raise SpecError(
                f"{path}: the header has no column {name!r}: read {', '.join(names) or 'nothing'}; "
                "write samples,accuracy or samples,accuracy,kind"
            )
    samples, accuracies, kinds = [], [], []
    try:
        for raw in reader:
            row = {(key or "").strip().lower(): value for key, value in raw.items()}
            where = f"{path}:{reader.line_num}"
            samples.append(_number(row["samples"], f"{where}: samples"))
            accuracies.append(_number(row["accuracy"], f"{where}: accuracy"))
            if not 0 <= accuracies[-1] <= 1:
                raise SpecError(
                    f"{where}: accuracy: read {accuracies[-1]:g}; write a share of one, not percent"
                )
            if samples[-1] < 1 or samples[-1] != int(samples[-1]):
                raise SpecError(f"{where}: samples: read {samples[-1]:g}; write a whole number")
            kind = (row.get("kind") or "coverage").strip().lower()
            if kind not in KINDS:
                raise SpecError(f"{where}: kind: read {kind!r}{did_you_mean(kind, KINDS)}")
            kinds.append(kind)
    except csv.Error as broken:
        raise SpecError(f"{path}:{reader.line_num}: is not CSV: {broken}") from None
    return samples, accuracies, kinds


def _number(text: object, where: str) -> float:
    try:
        value = float(str(text))
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise SpecError(f"{where}: read {text!r} where a number belongs")
    return value


def to_yaml(difficulty: Difficulty) -> str:
    """Write a difficulty as the YAML that `load_difficulty` reads."""
    import yaml

    said = difficulty.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    rounded = {key: _rounded(value) for key, value in said.items()}
    return yaml.safe_dump(rounded, sort_keys=False, allow_unicode=True)


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value
