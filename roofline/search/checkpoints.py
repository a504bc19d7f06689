"""Files that an interrupted search continues from: arrays by name, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from roofline.outputs import whole_file
from spec_files import SpecError


def write_checkpoint(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays so that a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, "wb") as file:
        np.savez(file, **arrays)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the arrays of a checkpoint; SpecError where the file is none. Nothing in it is run."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            return dict(saved.items())
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, AttributeError) as broken:
        raise SpecError(f"{path}: not the checkpoint of a search ({broken})") from None


def checkpointed_method(path: Path) -> str:
    """Return the method whose checkpoint a file is: exact, pruned, or the algorithm's name."""
    return str(read_checkpoint(path).get("algorithm", "exact"))
