"""What a search found: a Pareto front, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roofline.search import fronts

if TYPE_CHECKING:
    import pandas as pd

    from arch_space.architectures import Architectures
    from roofline.search.problem import Problem
    from roofline.search.pruned.state import Pruning

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class SearchResult:
    """M candidates that no evaluated one dominates, ascending by the first objective.

    indices: (M,) points of the space. points: (M, k) objectives, in SI units. quantities: every
    column of the evaluator, (M,). in_range: (M,) the law's data reach the candidate. evaluated,
    feasible: how many candidates were judged and allowed. valid: how many the space has. method:
    exact, pruned, nsga2 or nsga3. pruning: what became of the boxes of a pruned search.
    """

    indices: Array
    architectures: Architectures
    objectives: tuple[str, ...]
    points: Array
    quantities: Mapping[str, Array]
    in_range: Array
    evaluated: int
    feasible: int
    valid: int
    seconds: float
    method: str
    pruning: Pruning | None = None

    @classmethod
    def of(
        cls,
        problem: Problem,
        indices: Array,
        points: Array,
        *,
        evaluated: int,
        feasible: int,
        seconds: float,
        method: str,
        pruning: Pruning | None = None,
    ) -> SearchResult:
        """Describe a front: indices (M,) and their objectives (M, k)."""
        order = np.lexsort((indices, *points.T[::-1]))
        indices, points = indices[order], points[order]
        architectures = problem.space.at(indices)
        found = problem.evaluate(architectures).quantities if len(indices) else {}
        return cls(
            indices=indices,
            architectures=architectures,
            objectives=problem.objectives,
            points=points,
            quantities=found,
            in_range=np.asarray(found.get("in_range", np.ones(len(indices), dtype=bool))),
            evaluated=evaluated,
            feasible=feasible,
            valid=problem.space.valid_count,
            seconds=seconds,
            method=method,
            pruning=pruning,
        )

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def exact(self) -> bool:
        """Whether it is proven that no candidate of the space beats a member."""
        if self.pruning is not None:
            return self.pruning.open == 0
        return self.method == "exact"

    def reference(self) -> Array:
        """Return the point that the front's hypervolume is measured from by default."""
        return fronts.reference_point(self.points)

    def hypervolume(self, reference: Array | None = None) -> float:
        """Return the volume that the front dominates, in the product of the objectives' units."""
        if not len(self):
            return 0.0
        return fronts.hypervolume(self.points, self.reference() if reference is None else reference)

    def hypervolume_ratio(self, exact: SearchResult) -> float:
        """Return the share of an exact front's hypervolume that this one reaches."""
        return fronts.hypervolume_ratio(self.points, exact.points)

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame of M rows: index, what the evaluator said, and the architecture."""
        import pandas as pd

        said = pd.DataFrame({"index": self.indices, **self.quantities})
        return pd.concat([said, self.architectures.to_frame()], axis=1)
