"""The way in: by enumeration, by pruning where that would take long, or by NSGA-II."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from roofline.search.checkpoints import checkpointed_method
from roofline.search.enumeration import enumerate_exactly, seconds_to_enumerate
from roofline.search.evolution import ALGORITHMS, evolve
from roofline.search.problem import Problem
from roofline.search.pruned import can_follow, prune
from roofline.search.result import SearchResult
from spec_files import SpecError, did_you_mean

if TYPE_CHECKING:
    from roofline.search.cluster import Cluster

METHODS = ("auto", "exact", "pruned", *ALGORITHMS)
SOON = 20.0
"""Seconds that enumeration may take for `auto` to choose it."""
PATIENCE = 60.0
"""Seconds that `auto` prunes for, or enumerates where it cannot prune."""
MOST_PRUNED = 4
"""Objectives up to which a front stays small enough for `auto` to prune by it."""


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
        method = choose_method(problem, checkpoint, workers, cluster, max_seconds)
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
    max_seconds: float | None = None,
) -> str:
    """Return the method of a checkpoint, if there is one, or else the one that suits a problem.

    Exact where that takes less than 20 seconds; else pruned, for up to four objectives where the
    formulas can be followed; else exact where that takes less than a minute; else NSGA-II.
    max_seconds: those that exact may take, if they are fewer.
    """
    if checkpoint and Path(checkpoint).exists():
        return checkpointed_method(Path(checkpoint))
    if cluster is not None:
        return "exact"
    most = np.inf if max_seconds is None else max_seconds
    seconds = seconds_to_enumerate(problem, workers)
    if seconds <= min(SOON, most):
        return "exact"
    if len(problem.objectives) <= MOST_PRUNED and can_follow(problem):
        return "pruned"
    return "exact" if seconds <= min(PATIENCE, most) else "nsga2"
