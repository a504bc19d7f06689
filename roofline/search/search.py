"""The way in: search a problem by enumerating it, or by NSGA-II where that would take long."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from roofline.search.enumeration import enumerate_exactly
from roofline.search.evolution import evolve
from roofline.search.problem import Problem
from roofline.search.result import SearchResult
from roofline.search.workers import cores
from spec_files import SpecError, did_you_mean

METHODS = ("auto", "exact", "nsga2")
PATIENCE = 60.0
"""Seconds that an exact search may take before `auto` turns to NSGA-II."""
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
) -> SearchResult:
    """Return the Pareto front of a problem.

    method: `exact` judges every candidate; `nsga2` spends a number of evaluations, repeatably for a
    seed; `auto` measures the rate on a sample and is exact where that takes less than a minute, or
    where a checkpoint is asked for, which only the exact search has.
    workers: of the exact search. progress: called with how much is done of how much.
    """
    if method not in METHODS:
        raise SpecError(f"unknown search method {method!r}{did_you_mean(method, METHODS)}")
    if method == "auto":
        affordable = seconds_to_enumerate(problem, workers) <= PATIENCE
        method = "exact" if affordable or checkpoint else "nsga2"
    if method == "exact":
        return enumerate_exactly(problem, workers=workers, progress=progress, checkpoint=checkpoint)
    return evolve(problem, evaluations=evaluations, seed=seed, progress=progress)


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
