"""Exact search: every candidate of a space, chunk by chunk, in bounded memory."""

from __future__ import annotations

import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from roofline.search.fronts import merge, non_dominated, sieve
from roofline.search.problem import Problem
from roofline.search.result import SearchResult
from roofline.search.workers import cores, spread
from spec_files import SpecError

Array = np.ndarray
Progress = Callable[[int, int], None]
"""Called with the points done and the points in all."""

CHUNK = 2**15
"""Grid points taken at once: the columns of their candidates stay near a core's cache."""


@dataclass(frozen=True, eq=False)
class State:
    """How far an enumeration has come: all before `next` is done, and `keys` is its front."""

    fingerprint: str
    next: int
    keys: Array
    points: Array
    evaluated: int = 0
    feasible: int = 0
    seconds: float = 0.0

    @classmethod
    def start(cls, problem: Problem) -> State:
        """Return the state before the first point."""
        nothing = np.empty(0, dtype=np.int64), np.empty((0, len(problem.objectives)))
        return cls(problem.fingerprint(), 0, *nothing)

    @classmethod
    def load(cls, path: Path, problem: Problem) -> State:
        """Read a state; SpecError if it belongs to another problem or is no state at all."""
        try:
            with np.load(path, allow_pickle=False) as saved:
                state = cls(
                    str(saved["fingerprint"]),
                    int(saved["next"]),
                    saved["keys"],
                    saved["points"],
                    int(saved["evaluated"]),
                    int(saved["feasible"]),
                    float(saved["seconds"]),
                )
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as broken:
            raise SpecError(f"{path}: not the checkpoint of a search ({broken})") from None
        if state.fingerprint != problem.fingerprint():
            raise SpecError(
                f"{path}: a checkpoint of another search; space, device, workload, law, objectives "
                "and constraints must be the same"
            )
        return state

    def save(self, path: Path) -> None:
        """Write the state so that a reader sees the old file or the new one, never half of one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **vars(self))
            os.replace(draft, path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise


@dataclass(frozen=True, eq=False)
class _Part:
    """What is left of a chunk: its own front, and how many candidates it had."""

    keys: Array
    points: Array
    evaluated: int
    feasible: int


@contextmanager
def _saved(path: Path | None, state: Callable[[], State]) -> Iterator[None]:
    """Save the state at the end, however the end comes."""
    try:
        yield
    finally:
        if path and state().next:
            state().save(path)


def enumerate_exactly(
    problem: Problem,
    *,
    chunk: int = CHUNK,
    workers: int | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 2.0,
) -> SearchResult:
    """Judge every candidate of a space and return the exact front.

    Chunks are judged by workers (as many as there are cores by default) and joined in order, so the
    front depends neither on the chunks nor on the workers; of candidates with equal objectives the
    first point of the space stays. checkpoint: a file that the search continues from, if it is
    there, and that is written every so many seconds, at the end, and at an interruption.
    """
    if chunk < 1:
        raise SpecError(f"chunk must be at least 1, not {chunk}")
    problem.check()
    path = Path(checkpoint) if checkpoint else None
    state = State.load(path, problem) if path and path.exists() else State.start(problem)
    size, began, before = problem.space.size, time.perf_counter(), state.seconds
    saved = began
    left = -(-(size - state.next) // chunk)
    workers = max(1, min(workers or cores(), left))

    def judge(start: int, front: Array) -> _Part:
        arch, keys = problem.space.candidates(start, start + chunk)
        if not len(keys):
            return _Part(keys, front[:0], 0, 0)
        judged = problem.evaluate(arch)
        rows = np.flatnonzero(judged.feasible)
        count = len(rows)
        # The front so far holds earlier points only; a dominated candidate may go at once.
        rows = rows[sieve(judged.points[rows], front)]
        rows = rows[non_dominated(judged.points[rows])]
        return _Part(keys[rows], judged.points[rows], len(keys), count)

    starts = iter(range(state.next, size, chunk))
    running: deque[tuple[int, Future[_Part]]] = deque()
    with _saved(path, lambda: state), spread(judge, workers) as submit:
        while True:
            while len(running) < 2 * workers and (start := next(starts, None)) is not None:
                running.append((start, submit(start, state.points)))
            if not running:
                break
            start, future = running.popleft()
            part = future.result()
            keys, points = state.keys, state.points
            if len(part.keys):
                keys, points = merge([(keys, points), (part.keys, part.points)])
            now = time.perf_counter()
            state = replace(
                state,
                next=min(start + chunk, size),
                keys=keys,
                points=points,
                evaluated=state.evaluated + part.evaluated,
                feasible=state.feasible + part.feasible,
                seconds=before + now - began,
            )
            if path and now - saved >= checkpoint_every:
                state.save(path)
                saved = now
            if progress:
                progress(state.next, size)
    return SearchResult.of(
        problem,
        state.keys,
        state.points,
        evaluated=state.evaluated,
        feasible=state.feasible,
        seconds=state.seconds,
        method="exact",
    )
