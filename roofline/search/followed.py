"""A search problem over its whole grid at once: one walk through the engine and the law."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.architectures import Architectures
from roofline.factored import Grid, Quantity

if TYPE_CHECKING:
    from roofline.factored.kernel import Kernel
    from roofline.search.problem import Problem

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Followed:
    """What a problem asks of every point of its space, as quantities over the grid.

    objectives: what is minimised. conditions: what must hold of a candidate that is allowed; the
    first `rules` of them say which points are candidates at all.
    """

    grid: Grid
    objectives: tuple[Quantity, ...]
    conditions: tuple[Quantity, ...]
    rules: int

    @classmethod
    def of(cls, problem: Problem, cells: int | None = None) -> Followed:
        """Follow a problem's evaluator over the grid; cells: of the largest table.

        Raises TypeError where it does what cannot be followed: ask an array for its values, or
        decide by them.
        """
        space = problem.space
        grid = Grid(space.shape) if cells is None else Grid(space.shape, cells)
        columns: Any = {name: grid.table(values) for name, values in space.tables().items()}
        said = problem.evaluator(Architectures(**columns))
        quantities: dict[str, Any] = {name: grid.wrap(value) for name, value in said.items()}
        rules = tuple(grid.table(mask) for mask in space.masks())
        conditions = [grid.wrap(each) for each in problem.conditions(quantities)]
        asked = tuple(each for each in conditions if not each.all())
        objectives = tuple(quantities[name] for name in problem.objectives)
        return cls(grid, objectives, (*rules, *asked), len(rules))

    @cached_property
    def kernel(self) -> Kernel:
        """The compiled loops over the grid."""
        from roofline.factored.kernel import Kernel

        return Kernel(self.grid.shape, self.objectives, self.conditions)
