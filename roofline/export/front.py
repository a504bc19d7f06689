"""A sweep's front as it lies in its folder, and the member that is to be trained."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.architectures import WORDS, Architectures, columns, defaults
from arch_space.tensors import parameter_count
from roofline.laws.formula import Formula
from roofline.search.objectives import COLUMNS, DIMENSIONS
from roofline.search.sweep import Sweep
from spec_files import SpecError, did_you_mean, format_quantity, parse_quantity, read_json

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray

KNEE = "knee"
_COMPARED = re.compile(
    r"\b([A-Za-z_]\w*)\s*(<=|>=|==|!=|<|>)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"\s*(?!(?:and|or|not)\b)([A-Za-z%µ][\w/%]*)?"
)


@dataclass(frozen=True)
class Front:
    """The members of a front and what their sweep says of them.

    table: front.csv, a row a member; origin: the file. sweep, summary: of the files beside it;
    None where front.csv stands alone.
    """

    table: pd.DataFrame
    origin: str
    sweep: Sweep | None = None
    summary: dict[str, Any] | None = None

    @classmethod
    def load(cls, path: str | Path) -> Front:
        """Read a sweep's folder, or its front.csv with what lies beside it.

        Raises SpecError for a file that is none, and for columns that are missing.
        """
        import pandas as pd

        path = Path(path)
        file = path / "front.csv" if path.is_dir() else path
        if not file.is_file():
            unfinished = path.is_dir() and (path / "sweep.yaml").is_file()
            hint = f"; `roofline sweep --resume {path}` finishes its sweep" if unfinished else ""
            raise SpecError(f"{file}: no such file{hint}")
        try:
            table = pd.read_csv(file)
        except (ValueError, OSError) as fault:
            raise SpecError(f"{file}: is not a table: {' '.join(str(fault).split())}") from None
        wanted = [n for n in columns() if n not in defaults()] + ["loss", "parameters"]
        for name in wanted:
            if name not in table.columns:
                near = did_you_mean(name, map(str, table.columns))
                raise SpecError(f"{file}: no column {name!r}{near}; it is not a sweep's front.csv")
        if not len(table):
            raise SpecError(f"{file}: has no members")
        beside = file.parent
        sweep = Sweep.load(beside / "sweep.yaml") if (beside / "sweep.yaml").is_file() else None
        known = beside / "summary.json"
        summary = read_json(known) if known.is_file() else None
        if summary is not None and not isinstance(summary, dict):
            raise SpecError(f"{known}: is not the summary of a sweep")
        return cls(table, str(file), sweep, summary)

    def __len__(self) -> int:
        return len(self.table)

    def architectures(self) -> Architectures:
        """Return the members, as they would run.

        Raises SpecError where a member's count of parameters is not that of its columns.
        """
        named = [name for name in columns() if name in self.table.columns]
        blank = self.table[named].isna().any()
        if blank.any():
            raise SpecError(f"{self.origin}: column {blank.idxmax()!r} has empty cells")
        text = [n for n in named if n not in WORDS and self.table[n].dtype.kind not in "biuf"]
        if text:
            raise SpecError(f"{self.origin}: column {text[0]!r} does not hold numbers")
        arch = Architectures.from_rows(self.table[named].to_dict("records"))
        counted, stated = parameter_count(arch.as_float()), self.table["parameters"].to_numpy()
        wrong = np.flatnonzero(counted != stated)
        if len(wrong):
            row = int(wrong[0])
            raise SpecError(
                f"{self.origin}: member {row}: parameters {stated[row]}, where its columns make "
                f"{counted[row]:.0f}; was the file edited?"
            )
        return arch

    def pick(self, wanted: str) -> int:
        """Return the row of a member.

        wanted: `knee`, a member's number, or a condition on columns or objectives with units, such
        as "tpot<20ms and memory<2GB", of whose members the one of least loss is taken.
        Raises SpecError for anything else, and for a condition that no member meets (with the
        nearest).
        """
        said = wanted.strip()
        if said == KNEE:
            if self.summary is None or not isinstance(self.summary.get("knee"), int):
                raise SpecError(
                    f"--pick knee: no summary.json beside {self.origin} says which it is; name a "
                    "member's number"
                )
            return self._row(self.summary["knee"], "knee")
        if re.fullmatch(r"[+-]?\d+", said):
            return self._row(int(said), said)
        if not re.search(r"[<>=]", said):
            near = did_you_mean(said, [KNEE])
            raise SpecError(
                f"--pick: read {wanted!r}{near}; write knee, a member's number, or a condition "
                "such as 'tpot<20ms'"
            )
        met = self.meeting(said)
        if not met.any():
            raise SpecError(f"--pick: no member meets {said!r}; {self._nearest(said)}")
        loss = np.where(met, self.table["loss"].to_numpy(dtype=float), np.inf)
        return int(np.argmin(loss))

    def meeting(self, condition: str) -> Array:
        """Return which members meet a condition, (members,) bool; SpecError as `pick`."""
        formula = Formula(_COMPARED.sub(_in_si, condition), "--pick", condition=True)
        formula.check(self._values())
        met = np.asarray(formula(self._values()))
        if met.dtype != bool:
            raise SpecError(f"--pick: {condition!r} is not a condition, as 'tpot<20ms' is")
        return np.broadcast_to(met, (len(self),))

    def _row(self, row: int, said: str) -> int:
        if not 0 <= row < len(self):
            raise SpecError(f"--pick {said}: members are numbered 0 to {len(self) - 1}")
        return row

    def _values(self) -> dict[str, Array]:
        found = {str(name): self.table[name].to_numpy() for name in self.table.columns}
        short = {name: found[column] for name, column in COLUMNS.items() if column in found}
        return {k: v if v.dtype.kind in "biuf" else v.astype(str) for k, v in found.items()} | short

    def _nearest(self, condition: str) -> str:
        """Say which member comes nearest to the numbers that a condition compares with."""
        values = self._values()
        beyond = np.zeros(len(self))
        names = []
        for name, sign, number, unit in _COMPARED.findall(condition):
            if name not in values or values[name].dtype.kind not in "iuf":
                continue
            limit = _si(name, number, unit)
            off = (values[name] - limit) / (abs(limit) or 1.0)
            each = {"<": off, "<=": off, ">": -off, ">=": -off, "==": abs(off)}.get(sign)
            if each is not None:
                beyond = np.maximum(beyond, each)
                names.append(name)
        if not names:
            return "nearest is none"
        row = int(np.argmin(beyond))
        told = ", ".join(f"{n} {_spoken(n, values[n][row])}" for n in dict.fromkeys(names))
        return f"nearest is member {row}: {told}"


def _si(name: str, number: str, unit: str) -> float:
    if not unit:
        if DIMENSIONS.get(name, "ratio") != "ratio" and float(number):
            raise SpecError(
                f"--pick: {name} {number}: write its unit, as in "
                f"{format_quantity(float(number), DIMENSIONS[name])}"
            )
        return float(number)
    if name not in DIMENSIONS:
        raise SpecError(f"--pick: {name} {number}{unit}: columns of a table are without units")
    try:
        return parse_quantity(f"{number} {unit}", DIMENSIONS[name])
    except SpecError as error:
        raise SpecError(f"--pick: {name}: {error}") from None


def _in_si(found: re.Match[str]) -> str:
    name, sign, number, unit = found.groups()
    return f"{name} {sign} {_si(name, number, unit or '')!r} "


def _spoken(name: str, value: float) -> str:
    if DIMENSIONS.get(name, "ratio") == "ratio":
        return f"{value:.6g}"
    return format_quantity(float(value), DIMENSIONS[name])
