"""The searches side by side: equal evaluations, many seeds, against the exhaustive optimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from roofline.graphs.cost import FlopCost
from roofline.graphs.ledger import Entry, Ledger
from roofline.graphs.pool import Pool, load_pool, load_task
from roofline.graphs.problem import Problem, make_problem
from roofline.graphs.run import EVALUATIONS, search
from roofline.graphs.search.proposers.rules import KINDS, Rules
from roofline.graphs.surrogate import Coefficients, published
from roofline.graphs.utility import SurrogateUtility

Array = np.ndarray

UNGATHERED = "agent without gathering"
COMPARED = ("agent", UNGATHERED, "reinforce", "random", "bayesian")
SEEDS = 20
NODES = 5
CASES = (("math", 18.0), ("mmlu", 18.0), ("humaneval", 18.0), ("math", 14.0), ("humaneval", 24.0))
CLOSE = 1e-9
"""Accuracy within which a graph is the optimum."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """One task and budget: what each method found.

    optimum: the best graph of all, count of them within the budget. traces: by method, the best
    accuracy after each evaluation, (seeds, evaluations).
    """

    problem: Problem
    optimum: Entry
    count: int
    traces: dict[str, Array]

    @property
    def name(self) -> str:
        """Task and budget."""
        return f"{self.problem.task.title}, {self.problem.say(self.problem.budget)}"

    def final(self, method: str) -> Array:
        """Best accuracy of each seed, (seeds,)."""
        return self.traces[method][:, -1]

    def hits(self, method: str) -> int:
        """Seeds that found the optimum."""
        return int((self.final(method) >= self.optimum.utility - CLOSE).sum())


def compare(
    task: str,
    budget: float,
    seeds: int = SEEDS,
    evaluations: int = EVALUATIONS,
    nodes: int = NODES,
    methods: Sequence[str] = COMPARED,
    pool: Pool | None = None,
) -> Comparison:
    """Run every method with every seed on one task and budget of FLOPs."""
    models, said = pool or load_pool(["1b", "3b", "8b"]), load_task(task)
    flops = FlopCost.of(models, said)
    problem = make_problem(models, said, flops, None, "flops", budget, nodes)
    utility = SurrogateUtility(published(), said, models)
    every = Ledger(problem, utility, 0)
    search(every, "exhaustive", 0)
    traces = {}
    for method in methods:
        rows = []
        for seed in range(seeds):
            ledger = Ledger(problem, utility, evaluations)
            _run(ledger, method, seed)
            rows.append(ledger.trace())
        traces[method] = np.array(rows)
    return Comparison(problem, every.best()[0], every.asked, traces)


def _run(ledger: Ledger, method: str, seed: int) -> None:
    """Run a method of `COMPARED`."""
    if method == UNGATHERED:
        kinds = tuple(kind for kind in KINDS if kind != "gather")
        search(ledger, "agent", seed, Rules(kinds=kinds))
    else:
        search(ledger, method, seed)


def drawn_utilities(
    task: str,
    budget: float,
    count: int = SEEDS,
    evaluations: int = EVALUATIONS,
    nodes: int = NODES,
) -> dict[str, Array]:
    """How far below the optimum each method ends on other utilities, (count,) by method.

    They are surrogates whose coefficients are drawn: sharpness of 0 to 8, crowding of 0.02 to 0.5,
    gain of -0.2 to 1.2. The rules were written before any of them was seen.
    """
    pool, said = load_pool(["1b", "3b", "8b"]), load_task(task)
    problem = make_problem(pool, said, FlopCost.of(pool, said), None, "flops", budget, nodes)
    below: dict[str, list[float]] = {method: [] for method in COMPARED}
    for seed in range(count):
        rng = np.random.default_rng(seed)
        sharpness, crowding, gain = rng.uniform((0.0, 0.02, -0.2), (8.0, 0.5, 1.2))
        using = Coefficients(float(sharpness), float(crowding), float(gain))
        known = replace(published(), coefficients={said.title: using})
        utility = SurrogateUtility(known, said, pool)
        every = Ledger(problem, utility, 0)
        search(every, "exhaustive", 0)
        best = every.best()[0].utility
        for method in COMPARED:
            ledger = Ledger(problem, utility, evaluations)
            _run(ledger, method, seed)
            below[method].append(max(0.0, best - ledger.best()[0].utility))
    return {method: np.array(values) for method, values in below.items()}
