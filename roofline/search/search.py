"""The way in: by enumeration, by pruning where that would take long, or by NSGA-II."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.search.checkpoints import checkpointed_method
from roofline.search.enumeration import enumerate_exactly
from roofline.search.evolution import ALGORITHMS, evolve
from roofline.search.problem import Problem
from roofline.search.pruned import can_follow, prune
from roofline.search.result import SearchResult
from roofline.search.workers import cores
from spec_files import SpecError, did_you_mean

if TYPE_CHECKING:
    from roofline.search.cluster import Cluster

METHODS = ("auto", "exact", "pruned", *ALGORITHMS)
PATIENCE = 60.0
"""Seconds that an exact search may take before `auto` turns to another."""
MOST_PRUNED = 3
"""Objectives up to which a front stays small enough for `auto` to prune by it."""
_SAMPLE = 2**14


def search(
    problem: Problem,
    method: str = "auto",
    *,
    workers: int | None = None,
    evaluations: int = 100_000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    checkpoint: str | Path | None = None,
    max_seconds: float | None = None,
    cluster: Cluster | None = None,
) -> SearchResult:
    """Return the Pareto front of a problem.

    method: `exact` judges every candidate; `pruned` finds the same front, but leaves out boxes of
    the space by proof; `nsga2` and `nsga3` spend a number of evaluations, repeatably for a seed.
    `auto` goes on with the method whose checkpoint there is, or is what `choose_method` says, and
    prunes for a minute.
    workers: of the exact searches. progress: called with how much is done of how much. checkpoint:
    a file that the search continues from, if it is there, and that it writes. max_seconds: when
    `pruned` stops though it is not done. cluster: machines to enumerate on; `auto` is then exact,
    for the other searches run in one process.
    """
    if method not in METHODS:
        raise SpecError(f"unknown search method {method!r}{did_you_mean(method, METHODS)}")
    if method == "auto":
        method = choose_method(problem, checkpoint, workers, cluster)
        max_seconds = PATIENCE if max_seconds is None else max_seconds
    if method == "pruned":
        return prune(
            problem,
            workers=workers,
            max_seconds=max_seconds,
            progress=progress,
            checkpoint=checkpoint,
        )
    if method == "exact":
        return enumerate_exactly(
            problem, workers=workers, progress=progress, checkpoint=checkpoint, cluster=cluster
        )
    return evolve(
        problem,
        algorithm=method,
        evaluations=evaluations,
        seed=seed,
        progress=progress,
        checkpoint=checkpoint,
    )


def choose_method(
    problem: Problem,
    checkpoint: str | Path | None = None,
    workers: int | None = None,
    cluster: Cluster | None = None,
) -> str:
    """Return the method of a checkpoint, if there is one, or else the one that suits a problem.

    Exact where that takes less than a minute; else pruned, for up to three objectives where the
    formulas can be followed; else NSGA-II.
    """
    if checkpoint and Path(checkpoint).exists():
        return checkpointed_method(Path(checkpoint))
    if cluster is not None or seconds_to_enumerate(problem, workers) <= PATIENCE:
        return "exact"
    few = len(problem.objectives) <= MOST_PRUNED
    return "pruned" if few and can_follow(problem) else "nsga2"


def seconds_to_enumerate(problem: Problem, workers: int | None = None) -> float:
    """Estimate how long an exact search takes, from the rate on points across the whole space."""
    problem.check()  # the first call also pays for imports
    began = time.perf_counter()
    candidates = problem.sample(_SAMPLE)
    if len(candidates):
        problem.evaluate(problem.space.at(candidates))
    took = time.perf_counter() - began
    points = problem.space.size
    return took * points / min(_SAMPLE, points) / (workers or cores())
