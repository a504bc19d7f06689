"""How far a search by pruning has come, and how to go on from there."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from roofline.search import fronts
from roofline.search.checkpoints import read_checkpoint, write_checkpoint
from spec_files import SpecError

Array = np.ndarray


@dataclass(frozen=True)
class Pruning:
    """What became of the boxes of a space.

    dominated, infeasible, empty: boxes left out since the front so far dominates all that they can
    hold, no candidate in them is allowed, or they have no candidate; judged: those whose candidates
    were judged one by one; open: those left when the search was stopped. boxes: all that were
    bounded. judged_points: points of the grid in judged boxes; points: of the whole grid. missing:
    bound on the hypervolume that the front may still lack, from its own reference point; 0 where it
    is proven exact, None where there is no front to measure from or no bound yet.
    """

    boxes: int = 0
    dominated: int = 0
    infeasible: int = 0
    empty: int = 0
    judged: int = 0
    open: int = 0
    judged_points: float = 0.0
    points: float = 0.0
    missing: float | None = 0.0

    def __add__(self, other: Pruning) -> Pruning:
        mine = {f.name: getattr(self, f.name) for f in fields(self)}
        sums = ("boxes", "dominated", "infeasible", "empty", "judged", "judged_points")
        return replace(self, **{name: mine[name] + getattr(other, name) for name in sums})

    @property
    def share(self) -> float:
        """The share of finished boxes that were left out without a look at their candidates."""
        pruned = self.dominated + self.infeasible + self.empty
        return pruned / max(pruned + self.judged, 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts in plain types."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"share_pruned": self.share}


@dataclass(frozen=True, eq=False)
class State:
    """The front so far, and the boxes in which more of it may lie.

    boxes: (B, axes); lows: (B, k) what no objective in them falls below. keys, points: the front.
    """

    fingerprint: str
    boxes: Array
    lows: Array
    keys: Array
    points: Array
    counts: Pruning = Pruning()
    evaluated: int = 0
    feasible: int = 0
    seconds: float = 0.0

    @classmethod
    def load(cls, path: Path, fingerprint: str) -> State:
        """Read a state; SpecError if it belongs to another problem or is no state at all."""
        read = read_checkpoint(path)
        try:
            names = [f.name for f in fields(Pruning)]
            counts = dict(zip(names, read.pop("counts").tolist(), strict=True))
            whole = {n for n in names if n not in ("judged_points", "points", "missing")}
            state = cls(
                str(read.pop("fingerprint")),
                counts=Pruning(**{n: int(v) if n in whole else v for n, v in counts.items()}),
                evaluated=int(read.pop("evaluated")),
                feasible=int(read.pop("feasible")),
                seconds=float(read.pop("seconds")),
                **{name: read[name] for name in ("boxes", "lows", "keys", "points")},
            )
        except (ValueError, KeyError, TypeError) as broken:
            raise SpecError(f"{path}: not the checkpoint of such a search ({broken})") from None
        if state.fingerprint != fingerprint:
            raise SpecError(
                f"{path}: a checkpoint of another search; space, device, workload, law, objectives "
                "and constraints must be the same"
            )
        return state

    def save(self, path: Path) -> None:
        """Write the state so that a reader sees the old file or the new one, never half of one."""
        counts = [getattr(self.counts, f.name) for f in fields(Pruning)]
        kept = {"counts": np.array(counts, dtype=float), "algorithm": "pruned"}
        write_checkpoint(path, vars(self) | kept)

    def missing(self) -> float | None:
        """Return a bound on the hypervolume that the front may lack, from its reference point.

        None where there is none. Of what lies beyond the reference point nothing is said.
        """
        if not len(self.boxes):
            return 0.0
        if not len(self.points):
            return None
        reference = fronts.reference_point(self.points)
        best = np.concatenate([self.points, np.nan_to_num(self.lows, nan=-np.inf)])
        best = best[fronts.non_dominated(best)]
        whole = fronts.hypervolume(best, reference)
        if not np.isfinite(whole):
            return None
        return max(0.0, whole - fronts.hypervolume(self.points, reference))
