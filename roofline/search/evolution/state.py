"""All that a run has found and evaluated, and how far the front still grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from roofline.search.fronts import hypervolume, merge, reference_point
from roofline.search.problem import Evaluation, Problem

Array = np.ndarray

_EXACT_VOLUME = 4  # objectives up to which the hypervolume is cheap enough to be worked out
_CONTRIBUTIONS = 3  # objectives up to which what each member adds to it is
_DIRECTIONS = 2**13  # along which it is otherwise approximated


@dataclass(eq=False)
class Archive:
    """The front of all that was evaluated, and the memory of what was."""

    problem: Problem
    keys: Array
    points: Array
    seen: set[int] = field(default_factory=set)
    feasible: int = 0

    @classmethod
    def of(cls, problem: Problem) -> Archive:
        """Return the archive before anything is evaluated."""
        return cls(problem, np.empty(0, dtype=np.int64), np.empty((0, len(problem.objectives))))

    @property
    def evaluated(self) -> int:
        """How many candidates were evaluated, each once."""
        return len(self.seen)

    def new(self, points: Array) -> Array:
        """Which points are candidates, not seen before, and not twice in these, (N,) booleans."""
        fresh = np.zeros(len(points), dtype=bool)
        fresh[np.unique(points, return_index=True)[1]] = True
        fresh &= self.problem.space.valid(points)
        fresh[fresh] = [point not in self.seen for point in points[fresh].tolist()]
        return fresh

    def evaluate(self, points: Array) -> Evaluation:
        """Judge candidates, all at once, and keep those that belong on the front."""
        judged = self.problem.evaluate(self.problem.space.at(points))
        self.seen.update(points.tolist())
        self.feasible += int(judged.feasible.sum())
        allowed = points[judged.feasible], judged.points[judged.feasible]
        self.keys, self.points = merge([(self.keys, self.points), allowed])
        return judged

    def save(self) -> dict[str, Any]:
        """Return what `load` needs, as arrays by name."""
        seen = np.fromiter(sorted(self.seen), np.int64, len(self.seen))
        return {"keys": self.keys, "points": self.points, "seen": seen, "feasible": self.feasible}

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what was saved."""
        self.keys, self.points = saved["keys"], saved["points"]
        self.seen, self.feasible = set(saved["seen"].tolist()), int(saved["feasible"])


@dataclass(eq=False)
class Growth:
    """Whether the front's hypervolume still grows, by looking back a number of evaluations.

    Both volumes are measured from one reference point, that of the later front; the share that was
    added since does not depend on the objectives' units.
    """

    window: int
    tolerance: float
    since: int = 0
    before: Array | None = None

    def begin(self, archive: Archive) -> None:
        """Look back no further than to here."""
        self.since, self.before = archive.evaluated, archive.points

    def stalled(self, archive: Archive) -> bool:
        """Return whether a window is over in which the volume grew by no more than tolerated."""
        if self.before is None:
            self.begin(archive)
        if archive.evaluated - self.since < self.window:
            return False
        grown = growth(self.before, archive.points)
        self.begin(archive)
        return grown <= self.tolerance


def growth(before: Array | None, after: Array) -> float:
    """Return the share of a front's hypervolume that an earlier front of the same run lacked."""
    if before is None or not len(before):
        return float(len(after) > 0)
    reference = reference_point(after)
    whole = _volume(after, reference)
    return 1 - _volume(before, reference) / whole if whole else 0.0


def contributions(points: Array) -> Array:
    """Return what each member of a front alone adds to its hypervolume, (N,); ends add most.

    An end is best in some objective: what lies beyond it is not known, so it is infinite. Of more
    than three objectives the others are not told apart, for want of time.
    """
    if 1 < points.shape[1] <= _CONTRIBUTIONS and len(points):
        import moocore

        added = np.array(moocore.hv_contributions(points, ref=reference_point(points)))
    else:
        added = np.zeros(len(points))
    if len(points):
        added[np.argmin(points, axis=0)] = np.inf
    return added


def _volume(points: Array, reference: Array) -> float:
    if points.shape[1] <= _EXACT_VOLUME:
        return hypervolume(points, reference)
    import moocore

    # Scaled, for the directions of the approximation to see every objective alike.
    best = points.min(axis=0)
    scaled = (points - best) / np.where(reference > best, reference - best, 1.0)
    return float(moocore.hv_approx(scaled, ref=1.0, nsamples=_DIRECTIONS))
