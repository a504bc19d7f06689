"""The searches side by side: equal evaluations, many seeds, against the exhaustive optimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from roofline.graphs.cost import FlopCost
from roofline.graphs.ledger import Entry, Ledger
from roofline.graphs.pool import Pool, load_pool, load_task
from roofline.graphs.problem import Problem, make_problem
from roofline.graphs.run import EVALUATIONS, search
from roofline.graphs.surrogate import published
from roofline.graphs.utility import SurrogateUtility

Array = np.ndarray

COMPARED = ("agent", "reinforce", "random", "bayesian")
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
            search(ledger, method, seed)
            rows.append(ledger.trace())
        traces[method] = np.array(rows)
    return Comparison(problem, every.best()[0], every.asked, traces)
