"""Public data sets of training runs: which there are, and where on this computer they lie."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from roofline.fitting.runs import Runs, read_runs
from spec_files import SpecError, did_you_mean, read_yaml, validate_spec
from spec_files.model import Spec

if TYPE_CHECKING:
    import pandas as pd

VARIABLE = "ROOFLINE_DATA"
"""Environment variable that names the folder of the files."""
REGISTRY = Path(__file__).with_name("datasets.yaml")


class Dataset(Spec):
    """One registered table of runs."""

    title: str
    source: str
    """The paper."""
    origin: str
    """Where the numbers were published."""
    licence: str
    file: str
    sha256: str
    holds: str
    columns: Mapping[str, str] = Field(default_factory=dict)
    """Variable -> column, where names do not tell."""
    url: str | None = None
    """Address of this very file; none where it is an extract."""


@cache
def datasets() -> dict[str, Dataset]:
    """Return every registered data set, by name."""
    data, lines = read_yaml(REGISTRY)
    assert isinstance(data, dict)
    found = {}
    for name, fields in data.items():
        own = {path[1:]: line for path, line in lines.items() if path[:1] == (name,)}
        found[name] = validate_spec(fields, Dataset, f"{REGISTRY}: {name}", own)
    return found


def locate(name: str) -> Path:
    """Return the file of a registered data set, its SHA-256 checked; fetch it where that can be.

    Raises SpecError for an unknown name, where ROOFLINE_DATA is not set or names no folder, and
    where the file is missing or another one.
    """
    import pooch

    known = datasets()
    if name not in known:
        raise SpecError(f"unknown data set {name!r}{did_you_mean(name, known)}")
    entry = known[name]
    folder = os.environ.get(VARIABLE, "")
    if not folder:
        raise SpecError(
            f"data set {name!r}: set {VARIABLE} to the folder that holds {entry.file} "
            f"(origin: {entry.origin})"
        )
    path = Path(folder) / entry.file
    if not Path(folder).is_dir():
        raise SpecError(f"{VARIABLE}: read {folder!r}, which is not a folder")
    if not path.is_file():
        if entry.url is None:
            raise SpecError(
                f"data set {name!r}: {path}: no such file; it is an extract of {entry.origin} "
                "and has no address of its own"
            )
        try:
            pooch.retrieve(entry.url, f"sha256:{entry.sha256}", entry.file, folder)
        except (OSError, ValueError) as fault:
            raise SpecError(
                f"data set {name!r}: cannot be fetched from {entry.url}: {fault}"
            ) from None
    found = pooch.file_hash(str(path), alg="sha256")
    if found != entry.sha256:
        raise SpecError(
            f"data set {name!r}: {path}: SHA-256 begins with {found[:12]}, that of the registered "
            f"file with {entry.sha256[:12]}: it is another file"
        )
    return path


def load_dataset(name: str) -> Runs:
    """Return the runs of a registered data set; SpecError as `locate` says."""
    runs = read_runs(locate(name), datasets()[name].columns)
    return Runs(runs.table, datasets()[name].file, runs.columns, runs.sha256)


def table() -> pd.DataFrame:
    """Return the registry, a row a data set."""
    import pandas as pd

    rows = [{"name": name, **entry.model_dump()} for name, entry in datasets().items()]
    return pd.DataFrame(rows)
