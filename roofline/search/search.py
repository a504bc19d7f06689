"""The way in: by enumeration, by pruning where that would take long, or by NSGA-II."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from roofline.search.enumeration import enumerate_exactly
from roofline.search.evolution import evolve
from roofline.search.problem import Problem
from roofline.search.pruned import can_follow, holds_boxes, prune
from roofline.search.result import SearchResult
from roofline.search.workers import cores
from spec_files import SpecError, did_you_mean

METHODS = ("auto", "exact", "pruned", "nsga2")
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
) -> SearchResult:
    """Return the Pareto front of a problem.

    method: `exact` judges every candidate; `pruned` finds the same front, but leaves out boxes of
    the space by proof; `nsga2` spends a number of evaluations, repeatably for a seed. `auto`
    measures the rate on a sample and enumerates where that takes less than a minute; beyond that it
    prunes, for up to three objectives and a minute, and where formulas cannot be followed falls
    back on NSGA-II, or on enumeration where a checkpoint is asked for.
    workers: of the exact searches. progress: called with how much is done of how much.
    max_seconds: when `pruned` stops though it is not done.
    """
    if method not in METHODS:
        raise SpecError(f"unknown search method {method!r}{did_you_mean(method, METHODS)}")
    if method == "auto":
        method = choose(problem, workers, checkpoint)
        method = "exact" if method == "nsga2" and checkpoint else method
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
        return enumerate_exactly(problem, workers=workers, progress=progress, checkpoint=checkpoint)
    return evolve(problem, evaluations=evaluations, seed=seed, progress=progress)


def choose(
    problem: Problem, workers: int | None = None, checkpoint: str | Path | None = None
) -> str:
    """Return the method that suits a problem; that of its checkpoint, if there is one."""
    if checkpoint and Path(checkpoint).exists():
        return "pruned" if holds_boxes(Path(checkpoint)) else "exact"
    if seconds_to_enumerate(problem, workers) <= PATIENCE:
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
