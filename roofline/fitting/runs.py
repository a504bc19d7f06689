"""Tables of training runs: read, recognised by their columns, checked, and picked from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from roofline.laws.formula import Formula
from roofline.laws.variables import VARIABLES
from spec_files import SpecError, did_you_mean, short

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray

# Symbols of the papers, where capitals matter: D is tokens and d is width.
_SYMBOLS = {
    "N": "parameters", "D": "tokens", "T": "tokens", "C": "compute", "d": "width", "w": "width",
    "l": "layers", "r": "expansion", "rho": "activation", "d_m": "cached_width",
}  # fmt: skip
_LOSS = (
    "loss", "final_loss", "val_loss", "validation_loss", "eval_loss", "test_loss", "loss_val",
)  # fmt: skip
_RUN = ("run", "run_name", "run_id")
_LARGEST = 200_000_000  # bytes of a table


@dataclass(frozen=True)
class Runs:
    """Rows of training runs, one a checkpoint that has a loss.

    table: as read; origin: what errors call it; columns: variable -> column, where a caller has
    said so; sha256: of the file, '' where there was none; note: what was kept of it.
    """

    table: pd.DataFrame
    origin: str = "the runs"
    columns: Mapping[str, str] = None  # type: ignore[assignment]
    sha256: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", dict(self.columns or {}))
        for name, column in self.columns.items():
            if name not in (*VARIABLES, "loss", "run"):
                known = (*VARIABLES, "loss", "run")
                raise SpecError(f"{name!r} is not a variable of laws{did_you_mean(name, known)}")
            if column not in self.table.columns:
                raise self._no(column)
        for one, other in combinations(self.columns, 2):
            if self.columns[one] == self.columns[other]:
                raise SpecError(
                    f"--column: {self.columns[one]!r} is said to be both {one} and {other}"
                )

    def __len__(self) -> int:
        return len(self.table)

    def column_of(self, variable: str) -> str | None:
        """Return the column that holds a variable, `loss` or `run`; None where there is none.

        By the caller's word, else by its name, else by the papers' symbols, else by its aliases,
        whose capitals do not matter. SpecError where two columns could be it.
        """
        if variable in self.columns:
            return self.columns[variable]
        names = [str(name) for name in self.table.columns]
        if variable in names:
            return variable
        symbols = [name for name in names if _SYMBOLS.get(name) == variable]
        aliases = {"loss": _LOSS, "run": _RUN}.get(variable) or VARIABLES[variable].aliases
        lower = [name for name in names if name not in _SYMBOLS and name.lower() in aliases]
        found = symbols or lower
        if len(found) > 1:
            raise SpecError(
                f"{self.origin}: columns {found[0]!r} and {found[1]!r} could both be {variable}; "
                f"say which: --column {variable}={found[0]}"
            )
        return found[0] if found else None

    def numbers(self, variable: str) -> Array:
        """Return a variable or the loss of each row, (rows,) floats; SpecError names a bad row."""
        column = self.column_of(variable)
        if column is None:
            raise self._missing(variable)
        return self._floats(column)

    def column(self, name: str) -> Array:
        """Return a column by its own name, (rows,) floats; SpecError names a bad row."""
        if name not in self.table.columns:
            raise self._no(name)
        return self._floats(name)

    def loss(self) -> Array:
        """Return the loss of each row, nats, (rows,), above zero; SpecError names a bad row."""
        loss = self.numbers("loss")
        if (loss <= 0).any():
            row = int(np.flatnonzero(loss <= 0)[0])
            raise SpecError(
                f"{self.origin}: row {row + 1}: loss {loss[row]:g}; a loss is above zero"
            )
        return loss

    def groups(self) -> Array:
        """Return which run each row belongs to, (rows,) integers from 0.

        Checkpoints of one run are not independent: what resamples draws whole runs. SpecError where
        a row does not say its run and others do.
        """
        column = self.column_of("run")
        if column is None:
            return np.arange(len(self))
        names = self.table[column]
        if (blank := names.isna().to_numpy()).any():
            row = int(np.flatnonzero(blank)[0])
            raise SpecError(
                f"{self.origin}: row {row + 1}: {column} is empty; name the run of each"
            )
        return np.unique(names.astype(str), return_inverse=True)[1]

    def where(self, condition: str, option: str = "--where") -> Array:
        """Return which rows a condition on columns picks, (rows,) bool.

        condition: such as `N > 5e8 and train_set == 'rpj'`; names are columns, or variables.
        SpecError for an unknown name (with the nearest) and for what is no condition.
        """
        formula = Formula(condition, option, condition=True)
        variables = [name for name in VARIABLES if self._recognised(name)]
        formula.check((*map(str, self.table.columns), *variables))
        values = {name: self._values(name) for name in formula.names}
        picked = np.asarray(formula(values))
        if picked.dtype != bool or picked.ndim > 1:
            raise SpecError(f"{option}: {short(condition)}: is not a condition, as N > 5e8 is")
        return np.broadcast_to(picked, (len(self),)).copy()

    def keep(self, rows: Array, note: str = "") -> Runs:
        """Return the picked rows; note: what they are, for the law's description of its data."""
        table = self.table[rows].reset_index(drop=True)
        return replace(self, table=table, note="; ".join(filter(None, (self.note, note))))

    def best_of(self, columns: Iterable[str]) -> Runs:
        """Return of the rows that agree in these columns the one of least loss.

        For grids that also search a setting which a law does not see, such as warm-up.
        """
        by = [self._known(name) for name in columns]
        loss = self.loss()
        order = np.argsort(loss, kind="stable")
        first = ~self.table.iloc[order].duplicated(by).to_numpy()
        rows = np.zeros(len(self), dtype=bool)
        rows[order[first]] = True
        return self.keep(rows, f"best of each {', '.join(by)}")

    def with_constant(self, column: str, value: float) -> Runs:
        """Return the runs with a column that all of them share."""
        return replace(self, table=self.table.assign(**{column: value}))

    def describe(self) -> str:
        """Say what the rows are, in a few words."""
        runs = len(np.unique(self.groups()))
        rows = f"{len(self)} runs" if runs == len(self) else f"{len(self)} rows of {runs} runs"
        return f"{rows} of {self.origin}" + (f" ({self.note})" if self.note else "")

    def _known(self, name: str) -> str:
        if name in self.table.columns:
            return name
        column = self.column_of(name) if name in VARIABLES else None
        if column is None:
            raise self._no(name)
        return column

    def _recognised(self, variable: str) -> bool:
        try:
            return self.column_of(variable) is not None
        except SpecError:
            return False

    def _values(self, name: str) -> Array:
        column = name if name in self.table.columns else self.column_of(name)
        values = self.table[column].to_numpy()
        return values if values.dtype.kind in "biuf" else values.astype(str)

    def _floats(self, column: str) -> Array:
        import pandas as pd

        values = pd.to_numeric(self.table[column], errors="coerce").to_numpy(dtype=float)
        bad = ~np.isfinite(values)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            read = self.table[column].iloc[row]
            more = f" (and {bad.sum() - 1} more rows)" if bad.sum() > 1 else ""
            raise SpecError(
                f"{self.origin}: row {row + 1}: {column}: read {short(str(read))} where a number "
                f"belongs{more}"
            )
        return values

    def _missing(self, variable: str) -> SpecError:
        if variable == "loss":
            wanted = "no column of losses; call it 'loss'"
        else:
            known = VARIABLES[variable]
            wanted = f"no column for {variable} ({known.title}); call it {variable!r}"
        near = did_you_mean(variable, map(str, self.table.columns))
        return SpecError(f"{self.origin}: {wanted} or say --column {variable}=COLUMN{near}")

    def _no(self, column: str) -> SpecError:
        near = did_you_mean(column, map(str, self.table.columns))
        return SpecError(f"{self.origin}: no column {column!r}{near}")


def read_runs(path: str | Path, columns: Mapping[str, str] | None = None) -> Runs:
    """Return the runs of a CSV, JSON-lines or Parquet file.

    columns: variable (or `loss`, `run`) -> column, where names do not tell. SpecError where the
    file is none of these, or empty.
    """
    import pandas as pd

    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise SpecError(f"{path}: is not a file.")
        if path.stat().st_size > _LARGEST:
            raise SpecError(f"{path}: is larger than {_LARGEST // 10**6} MB.")
        data = path.read_bytes()
        if path.suffix in (".jsonl", ".ndjson"):
            table = pd.read_json(path, lines=True)
        elif path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(path)
    except SpecError:
        raise
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file.") from None
    except OSError as fault:
        raise SpecError(f"{path}: cannot be read: {fault.strerror or fault}.") from None
    except (ValueError, pd.errors.ParserError) as fault:
        raise SpecError(f"{path}: is not a table: {' '.join(str(fault).split())}") from None
    if not len(table):
        raise SpecError(f"{path}: has no rows.")
    table.columns = [str(name).strip() for name in table.columns]
    if (twice := table.columns.duplicated()).any():
        raise SpecError(f"{path}: two columns are named {table.columns[twice][0]!r}.")
    return Runs(table, str(path), columns or {}, hashlib.sha256(data).hexdigest())
