"""Heuristic search: NSGA-II (pymoo) over the choices of a space, then a walk along its front."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.search.fronts import merge
from roofline.search.problem import Evaluation, Problem
from roofline.search.result import SearchResult
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.spaces import Space

Array = np.ndarray
Progress = Callable[[int, int], None]

POPULATION = 200
POLISH = 0.5
"""Share of the evaluations that is kept for the walk along the front."""


@dataclass(eq=False)
class _Archive:
    """The front of all that was evaluated, and the memory of what was."""

    problem: Problem
    keys: Array
    points: Array
    seen: set[int] = field(default_factory=set)
    feasible: int = 0

    @classmethod
    def of(cls, problem: Problem) -> _Archive:
        return cls(problem, np.empty(0, dtype=np.int64), np.empty((0, len(problem.objectives))))

    @property
    def evaluated(self) -> int:
        return len(self.seen)

    def new(self, indices: Array) -> Array:
        """Which points are candidates, not seen before, and not twice in these, (N,) booleans."""
        fresh = np.zeros(len(indices), dtype=bool)
        fresh[np.unique(indices, return_index=True)[1]] = True
        fresh &= self.problem.space.valid(indices)
        fresh[fresh] = [index not in self.seen for index in indices[fresh].tolist()]
        return fresh

    def evaluate(self, indices: Array) -> Evaluation:
        judged = self.problem.evaluate(self.problem.space.at(indices))
        self.seen.update(indices.tolist())
        self.feasible += int(judged.feasible.sum())
        allowed = indices[judged.feasible], judged.points[judged.feasible]
        self.keys, self.points = merge([(self.keys, self.points), allowed])
        return judged


def evolve(
    problem: Problem,
    *,
    evaluations: int = 100_000,
    population: int = POPULATION,
    seed: int = 0,
    progress: Progress | None = None,
) -> SearchResult:
    """Search a space with at most so many evaluations; a seed makes the run repeatable.

    Every individual is a row of choices, one a dimension. Offspring that are no candidates or were
    evaluated before are bred again, so each evaluation is of a new candidate. The front returned is
    that of everything evaluated. The second half of the budget goes to neighbours of the front:
    points that differ from one of its own by one choice; it ends early where there are none left.
    """
    if evaluations < 1 or population < 4:
        raise SpecError("a search needs at least 1 evaluation and a population of 4")
    problem.check()
    began = time.perf_counter()
    rng = np.random.default_rng(seed)
    archive = _Archive.of(problem)

    def tell() -> None:
        if progress:
            progress(min(archive.evaluated, evaluations), evaluations)

    _breed(archive, int(evaluations * (1 - POLISH)), population, rng, tell)
    _walk(archive, evaluations, rng, tell)
    if progress:
        progress(evaluations, evaluations)
    return SearchResult.of(
        problem,
        archive.keys,
        archive.points,
        evaluated=archive.evaluated,
        feasible=archive.feasible,
        seconds=time.perf_counter() - began,
        method="nsga2",
    )


def _breed(
    archive: _Archive,
    evaluations: int,
    population: int,
    rng: np.random.Generator,
    tell: Callable[[], None],
) -> None:
    """NSGA-II until the evaluations are spent, or no new candidate can be bred."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.crossover import Crossover
    from pymoo.core.duplicate import DuplicateElimination
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.core.termination import NoTermination

    space = archive.problem.space
    lengths = np.array(space.shape)

    class Choices(PymooProblem):  # type: ignore[misc]
        def __init__(self) -> None:
            k = len(archive.problem.objectives)
            super().__init__(
                n_var=len(lengths),
                n_obj=k,
                n_ieq_constr=1,
                xl=0 * lengths,
                xu=lengths - 1,
                vtype=int,
            )

        def _evaluate(self, choices: Array, out: dict[str, Array], *_: Any, **__: Any) -> None:
            judged = archive.evaluate(space.indices(choices))
            out["F"] = np.nan_to_num(judged.points, nan=np.finfo(float).max)
            out["G"] = judged.excess[:, None]

    class Seen(DuplicateElimination):  # type: ignore[misc]
        def _do(self, these: Any, others: Any, _: Array) -> Array:
            mine = space.indices(these.get("X"))
            if others is None:
                return ~archive.new(mine)
            return np.isin(mine, space.indices(others.get("X")))

    class Exchange(Crossover):  # type: ignore[misc]
        """Each choice comes from one parent, and from the other for the twin."""

        def _do(self, _: Any, parents: Array, *__: Any, **___: Any) -> Array:
            swap = rng.random(parents.shape[1:]) < 0.5
            return np.where(swap, parents[::-1], parents)

    class Step(Mutation):  # type: ignore[misc]
        def _do(self, _: Any, choices: Array, *__: Any, **___: Any) -> Array:
            return _mutate(choices, lengths, rng)

    algorithm = NSGA2(
        pop_size=population,
        sampling=space.choices(_draw(archive, min(population, evaluations), rng)),
        crossover=Exchange(2, 2, prob=0.9),
        mutation=Step(),
        eliminate_duplicates=Seen(),
        output=None,
    )
    problem = Choices()
    algorithm.setup(problem, termination=NoTermination(), seed=int(rng.integers(2**31)))
    while archive.evaluated < evaluations:
        offspring = algorithm.ask()
        if offspring is None or not len(offspring):
            return
        offspring = offspring[: evaluations - archive.evaluated]
        algorithm.evaluator.eval(problem, offspring)
        algorithm.tell(infills=offspring)
        tell()


def _draw(archive: _Archive, count: int, rng: np.random.Generator) -> Array:
    """Draw candidates at random, no point twice; fewer where the space is nearly empty."""
    space = archive.problem.space
    found: Array = np.empty(0, dtype=np.int64)
    for _ in range(256):
        drawn = np.concatenate([found, rng.integers(space.size, size=4 * count)])
        found = drawn[archive.new(drawn)][:count]
        if len(found) == count:
            return found
    if not len(found):
        found = space.candidates()[1][:count]
    if not len(found):
        raise SpecError(f"{space.name}: no candidate is left: its rules exclude every point")
    return found


def _mutate(choices: Array, lengths: Array, rng: np.random.Generator) -> Array:
    """Change one choice in each row on average: by a short step, or now and then to any other."""
    changed = rng.random(choices.shape) < 1 / len(lengths)
    changed[np.arange(len(choices)), rng.integers(len(lengths), size=len(choices))] |= (
        rng.random(len(choices)) < 0.5
    )
    step = rng.geometric(0.5, choices.shape) * rng.choice((-1, 1), choices.shape)
    near = np.clip(choices + step, 0, lengths - 1)
    anywhere = rng.integers(lengths, size=choices.shape)
    moved = np.where(rng.random(choices.shape) < 0.25, anywhere, near)
    return np.asarray(np.where(changed, moved, choices))


def _walk(
    archive: _Archive, evaluations: int, rng: np.random.Generator, tell: Callable[[], None]
) -> None:
    """Evaluate the neighbours of the front until it is its own neighbourhood's, or the end."""
    space = archive.problem.space
    expanded = np.empty(0, dtype=np.int64)
    while archive.evaluated < evaluations:
        fresh = np.setdiff1d(archive.keys, expanded)
        if not len(fresh):
            return
        around = neighbours(space, fresh)
        around = rng.permutation(around[archive.new(around)])
        around = around[: evaluations - archive.evaluated]
        expanded = np.concatenate([expanded, fresh])
        if len(around):
            archive.evaluate(around)
            tell()


def neighbours(space: Space, indices: Array, steps: Sequence[int] = (-2, -1, 1, 2)) -> Array:
    """Return the points that differ by one choice, so many steps away in its list of values."""
    choices = space.choices(indices)
    found = []
    for axis, length in enumerate(space.shape):
        for step in steps:
            moved = choices.copy()
            moved[:, axis] += step
            found.append(space.indices(moved[(moved[:, axis] >= 0) & (moved[:, axis] < length)]))
    return np.unique(np.concatenate(found))
