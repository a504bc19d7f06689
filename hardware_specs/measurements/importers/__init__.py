"""Files that benchmarks write, read as rows of measurements.

The kind of a file is told by what it holds, not by its name. Each kind is one module here with
`matches`, whether a file is of that kind, and `rows`, one dictionary of columns a measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardware_specs.measurements.importers import llama_bench, plain, tensorrt_llm, vllm
from hardware_specs.measurements.importers.contents import Contents
from hardware_specs.measurements.rows import COLUMNS, NUMBERS, build_rows
from spec_files import SpecError, did_you_mean, short
from spec_files.reading import read_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KINDS", "read_measurements"]

KINDS = {
    "llama-bench": llama_bench,
    "vllm bench": vllm,
    "trtllm-bench": tensorrt_llm,
    "a table": plain,
}
_NEEDED = {
    "device": "on which device it was measured: give device=... or device_key=",
    "model": "which model it measured: give model=",
    "weight_format": "in which format the weights were: give weight_format=",
}


def read_measurements(
    path: str | Path, columns: Mapping[str, str] | None = None, **defaults: Any
) -> pd.DataFrame:
    """Read a file of measurements of any kind in KINDS into the table that `load_rows` returns.

    columns: for a table of one's own, its columns by ours. defaults: values of our columns, such as
    device_key="rtx4090", model="Llama-3.1-8B", weight_format="Q4_K_M" or batch=8, for what the file
    does not say. A text replaces what it does say, but one model or format cannot stand for
    several; a number does not.
    SpecError, one sentence, says what cannot be read, or which argument is missing.
    """
    for name in defaults:
        if name not in COLUMNS:
            raise SpecError(f"unknown column {name!r}{did_you_mean(name, COLUMNS)}.")
    contents = Contents(read_text(Path(path)), str(path))
    for kind in KINDS.values():
        if kind.matches(contents, columns or {}):
            return _frame(kind.rows(contents, columns or {}, defaults), contents.name, defaults)
    raise SpecError(f"{path}: is no measurement of {', '.join(KINDS)}.")


def _frame(found: list[dict[str, Any]], name: str, defaults: Mapping[str, Any]) -> pd.DataFrame:
    if not found:
        raise SpecError(f"{name}: holds no measurement.")
    for column, value in defaults.items():
        stated = {str(row[column]) for row in found if row.get(column) not in (None, "")}
        if len(stated) > 1 and column in ("model", "weight_format"):
            one, other = (short(each) for each in sorted(stated)[:2])
            raise SpecError(
                f"{name}: {column}={short(value)} cannot stand for all rows: "
                f"the file has {len(stated)} values of it, {one} and {other} among them."
            )
        for row in found:
            if column not in NUMBERS or row.get(column) in (None, ""):
                row[column] = value
    for column, what in _NEEDED.items():
        names = ("device", "device_key") if column == "device" else (column,)
        if not all(any(row.get(each) for each in names) for row in found):
            raise SpecError(f"{name}: does not say {what}...")
    every = dict.fromkeys(column for row in found for column in row)
    return build_rows({c: [row.get(c) for row in found] for c in every}, name)
