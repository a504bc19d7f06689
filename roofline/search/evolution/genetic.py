"""The genetic algorithms of pymoo over rows of ranks, told to stop and to continue as we like."""

from __future__ import annotations

from typing import Any

import numpy as np

from roofline.search.evolution.encoding import Encoding
from roofline.search.evolution.operators import cross, mutate
from roofline.search.evolution.state import Archive
from roofline.search.problem import Evaluation

Array = np.ndarray

_UNKNOWN = 1e30
"""Stands for an objective that is not known; such a candidate is infeasible anyway."""


class Breeder:
    """A population, and the algorithm of pymoo that makes the next one of it."""

    def __init__(
        self,
        encoding: Encoding,
        archive: Archive,
        algorithm: str,
        population: int,
        rng: np.random.Generator,
    ):
        self.encoding, self.archive, self.name, self.rng = encoding, archive, algorithm, rng
        self.scale = np.ones(len(archive.problem.objectives))
        self.problem = _problem(self)
        self.algorithm = _algorithm(self, population)

    def begin(self, rows: Array) -> None:
        """Evaluate a first generation: rows (N, dimensions), each a new candidate."""
        judged = self.archive.evaluate(self.encoding.points(rows))
        known = judged.points[judged.feasible]
        if len(known) > 1:
            # NSGA-III takes distances below 0.001 for none: seconds a token must not be that small.
            spread = np.ptp(known, axis=0)
            self.scale = np.where(spread > 0, spread, 1.0)
        self.algorithm.pop_size = max(len(rows), 2)
        self._tell(rows, judged)

    def join(self, points: Array) -> None:
        """Evaluate new candidates that come from elsewhere, and let the fit ones breed too."""
        self._tell(self.encoding.ranks(points), self.archive.evaluate(points))

    def _tell(self, rows: Array, judged: Evaluation) -> None:
        from pymoo.core.population import Population

        joining = Population.new(
            X=rows, F=_finite(judged.points) / self.scale, G=judged.excess[:, None]
        )
        for each in joining:
            each.evaluated.update("FG")
        self.algorithm.tell(infills=joining)

    def breed(self, most: int) -> int:
        """Make the next generation, of at most so many new candidates; return of how many."""
        offspring = self.algorithm.ask()
        if offspring is None or not len(offspring):
            return 0
        offspring = offspring[:most]
        self.algorithm.evaluator.eval(self.problem, offspring)
        self.algorithm.tell(infills=offspring)
        return len(offspring)

    def save(self) -> dict[str, Any]:
        """Return what `load` needs, as arrays by name."""
        population, survival = self.algorithm.pop, self.algorithm.survival
        saved = {name: population.get(name) for name in "XFG"}
        for name in ("rank", "crowding"):
            saved[name] = _numbers(population, name)
        for name in _NORMAL if self.name == "nsga3" else ():
            saved[name] = getattr(survival.norm, name)
        return {"scale": self.scale, "size": self.algorithm.pop_size} | saved

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what was saved."""
        from pymoo.core.population import Population

        self.scale = saved["scale"]
        population = Population.new(X=saved["X"], F=saved["F"], G=saved["G"])
        for name in ("rank", "crowding"):
            population.set(name, saved[name])
        for each in population:
            each.evaluated.update("FG")
        algorithm = self.algorithm
        algorithm.pop, algorithm.pop_size = population, int(saved["size"])
        algorithm.is_initialized, algorithm.n_iter = True, 2
        for name in _NORMAL if self.name == "nsga3" else ():
            setattr(algorithm.survival.norm, name, saved[name])


_NORMAL = ("ideal_point", "worst_point", "nadir_point", "extreme_points")
"""What NSGA-III remembers of all generations beside its population."""


def _problem(breeder: Breeder) -> Any:
    """Return the problem as pymoo knows one; a whole generation is evaluated at once."""
    from pymoo.core.problem import Problem as PymooProblem

    encoding, archive = breeder.encoding, breeder.archive

    class Ranks(PymooProblem):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(
                n_var=len(encoding.lengths),
                n_obj=len(archive.problem.objectives),
                n_ieq_constr=1,
                xl=0 * encoding.lengths,
                xu=encoding.lengths - 1,
                vtype=int,
            )

        def _evaluate(self, ranks: Array, out: dict[str, Array], *_: Any, **__: Any) -> None:
            judged = archive.evaluate(encoding.points(ranks))
            out["F"] = _finite(judged.points) / breeder.scale
            out["G"] = judged.excess[:, None]

    return Ranks()


def _algorithm(breeder: Breeder, population: int) -> Any:
    """Return NSGA-II or NSGA-III with our operators, set up to breed what was never evaluated."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.algorithms.moo.nsga3 import NSGA3
    from pymoo.core.crossover import Crossover
    from pymoo.core.duplicate import DuplicateElimination
    from pymoo.core.mutation import Mutation
    from pymoo.core.repair import Repair
    from pymoo.core.selection import Selection
    from pymoo.core.termination import NoTermination

    encoding, archive, rng = breeder.encoding, breeder.archive, breeder.rng

    class Seen(DuplicateElimination):  # type: ignore[misc]
        def _do(self, these: Any, others: Any, _: Array) -> Array:
            mine = encoding.points(these.get("X"))
            if others is None:
                return ~archive.new(mine)
            return np.isin(mine, encoding.points(others.get("X")))

    class Tournament(Selection):  # type: ignore[misc]
        """Of two drawn at random: the less infeasible, the lower rank, the less crowded, either.

        NSGA-III compares by feasibility alone, its niches having chosen who lives already. All
        pairs at once, and by one stream of random numbers: pymoo's own draws from another where
        two are equally infeasible, and no run of it would repeat.
        """

        def _do(self, _: Any, pop: Any, select: int, parents: int = 2, **__: Any) -> Array:
            pairs = rng.integers(len(pop), size=(select, parents, 2))
            worse = [pop.get("CV")[:, 0]]
            if breeder.name == "nsga2":
                worse += [_numbers(pop, "rank"), -_numbers(pop, "crowding")]
            second = rng.random(pairs.shape[:2]) < 0.5
            for value in reversed(worse):  # the last criterion decided first, the first last
                left, right = value[pairs[..., 0]], value[pairs[..., 1]]
                second = np.where(left == right, second, right < left)
            return np.where(second, pairs[..., 1], pairs[..., 0])

    class Cross(Crossover):  # type: ignore[misc]
        def _do(self, _: Any, parents: Array, *__: Any, **___: Any) -> Array:
            return cross(encoding, parents, rng)

    class Mutate(Mutation):  # type: ignore[misc]
        def _do(self, _: Any, ranks: Array, *__: Any, **___: Any) -> Array:
            return mutate(encoding, ranks, rng)

    class Nearest(Repair):  # type: ignore[misc]
        def _do(self, _: Any, ranks: Array, **__: Any) -> Array:
            return encoding.repair(ranks)

    ours = dict(
        pop_size=population,
        selection=Tournament(),
        crossover=Cross(2, 2, prob=0.9),
        mutation=Mutate(),
        repair=Nearest(),
        eliminate_duplicates=Seen(),
        output=None,
    )
    if breeder.name == "nsga2":
        algorithm = NSGA2(**ours)
    else:
        directions = reference_directions(len(archive.problem.objectives), population)
        algorithm = NSGA3(directions, **ours)
    algorithm.setup(breeder.problem, termination=NoTermination())
    algorithm.random_state = rng
    return algorithm


def reference_directions(objectives: int, most: int) -> Array:
    """Return the finest simplex lattice of at most so many directions (Das and Dennis 1998)."""
    from math import comb

    from pymoo.util.ref_dirs import get_reference_directions

    cuts = 1
    while objectives > 1 and comb(cuts + objectives, cuts + 1) <= most:
        cuts += 1
    return np.asarray(get_reference_directions("das-dennis", objectives, n_partitions=cuts))


def _numbers(population: Any, name: str) -> Array:
    """Return what the survival noted of each; those it did not come to, infeasible, have none."""
    noted = [each.get(name) for each in population]
    return np.array([np.nan if value is None else float(value) for value in noted])


def _finite(points: Array) -> Array:
    return np.clip(np.nan_to_num(points, nan=_UNKNOWN), -_UNKNOWN, _UNKNOWN)
