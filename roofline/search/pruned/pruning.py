"""Exact search by proof: boxes of the space are halved until they are left out or judged."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from roofline.search.evolution import neighbours
from roofline.search.fronts import merge
from roofline.search.problem import Problem
from roofline.search.pruned.divide import Divide, Found
from roofline.search.pruned.shadow import Shadow
from roofline.search.pruned.state import Pruning, State
from roofline.search.result import SearchResult
from roofline.search.workers import Submit, cores, spread
from spec_files import SpecError

Array = np.ndarray
Progress = Callable[[int, int], None]
"""Called with the points done and the points in all."""

BATCH = 2**13
"""Boxes that a worker takes at once."""
MOST_OPEN = 2**22
"""Boxes that may be open before those nearest to their end are taken first."""
_SAMPLE = 2**15
_WALKS = 20
_LEVELS = 32


class _Open:
    """Open boxes, sorted into classes by how far they may reach below the front."""

    def __init__(self, axes: int, objectives: int):
        self.classes: list[list[tuple[Array, Array]]] = [[] for _ in range(_LEVELS)]
        self.count = 0
        self.shape = axes, objectives

    def add(self, boxes: Array, lows: Array, front: Array) -> None:
        """Add boxes, by what no objective in them falls below."""
        level = _level(lows, front)
        for at in np.unique(level):
            self.classes[at].append((boxes[level == at], lows[level == at]))
        self.count += len(boxes)

    def take(self, most: int) -> tuple[Array, Array]:
        """Take the boxes that reach furthest; when too many are open, those that reach least."""
        parts, left = [], most
        for stack in self.classes if self.count <= MOST_OPEN else self.classes[::-1]:
            while stack and left:
                boxes, lows = stack.pop()
                if len(boxes) > left:
                    stack.append((boxes[left:], lows[left:]))
                    boxes, lows = boxes[:left], lows[:left]
                parts.append((boxes, lows))
                left -= len(boxes)
        self.count -= most - left
        return self._joined(parts)

    def all(self) -> tuple[Array, Array]:
        """Return every open box and its lows."""
        return self._joined([part for stack in self.classes for part in stack])

    def _joined(self, parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
        axes, objectives = self.shape
        none = (np.empty((0, axes), dtype=np.int16), np.empty((0, objectives)))
        boxes, lows = zip(none, *parts, strict=True)
        return np.concatenate(boxes), np.concatenate(lows)


def _level(lows: Array, front: Array) -> Array:
    """Class of each box (B,): by halves of how far, as a share, it may reach below the front."""
    if not len(front):
        return np.zeros(len(lows), dtype=int)
    some = front[np.unique(np.linspace(0, len(front) - 1, 64).astype(int))]
    with np.errstate(all="ignore"):
        logs, bottom = np.log(some), np.log(np.maximum(lows, 0.0))
        scale = logs.max(axis=0) - logs.min(axis=0)
        logs, bottom = (part / np.where(scale > 0, scale, 1.0) for part in (logs, bottom))
        reach = np.full(len(lows), np.inf)
        for member in logs:
            reach = np.minimum(reach, (member - bottom).max(axis=1))
        level = -np.log2(np.maximum(reach, 1e-9))
    return np.clip(np.nan_to_num(level, nan=0.0), 0, _LEVELS - 1).astype(int)


def prune(
    problem: Problem,
    *,
    workers: int | None = None,
    max_seconds: float | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 5.0,
) -> SearchResult:
    """Return the exact front of a space without judging every candidate.

    The space is halved along one dimension, and its halves again. What no objective falls below
    within a box follows from exact extremes of tables and interval arithmetic; a box that the front
    so far dominates even so, or in which no candidate is allowed, is left out, and small ones are
    judged point by point. So the front is the enumerated one, whatever the formulas; of candidates
    with equal objectives the first point of the space stays.

    max_seconds: when to stop even so; the result's `pruning` then says how much hypervolume may be
    missing. checkpoint: a file that the search continues from, if it is there, and that is written
    every so many seconds, at the end, and at an interruption.
    Raises SpecError where the evaluator cannot be followed over a grid.
    """
    problem.check()
    if max_seconds is not None and not max_seconds > 0:
        raise SpecError(f"max_seconds must be positive, not {max_seconds}")
    began = time.perf_counter()
    divide = Divide(problem)
    path = Path(checkpoint) if checkpoint else None
    fingerprint = f"{problem.fingerprint()} by pruning"
    if path and path.exists():
        state = State.load(path, fingerprint)
    else:
        state = State(fingerprint, *divide.whole(), *_first_front(divide))
    divide.lean(_typical(problem, state.keys))
    search = _Search(divide, state, began)
    saved = began
    workers = workers or cores()
    with _saved(path, search), spread(divide.batch, workers) as submit:
        while True:
            late = max_seconds is not None and time.perf_counter() - began > max_seconds
            while not late and len(search.running) < 2 * workers and search.open.count:
                search.start(submit)
            if not search.running:
                break
            search.finish()
            if path and time.perf_counter() - saved >= checkpoint_every:
                search.now().save(path)
                saved = time.perf_counter()
            if progress:
                progress(int(problem.space.size - search.left), problem.space.size)
    state = search.now()
    pruning = replace(
        state.counts,
        open=len(state.boxes),
        points=float(problem.space.size),
        missing=state.missing(),
    )
    return SearchResult.of(
        problem,
        state.keys,
        state.points,
        evaluated=state.evaluated,
        feasible=state.feasible,
        seconds=state.seconds,
        method="pruned",
        pruning=pruning,
    )


class _Search:
    """A search under way: what is found, what is open, and what the workers have.

    left: points of the grid in boxes that are open or with a worker.
    """

    def __init__(self, divide: Divide, state: State, began: float):
        self.divide, self.state = divide, state
        self.began = began - state.seconds
        self.open = _Open(state.boxes.shape[1], state.points.shape[1])
        self.open.add(state.boxes, state.lows, state.points)
        self.running: deque[tuple[Array, Array, Future[Found]]] = deque()
        self.left = self._points(state.boxes)

    def _points(self, boxes: Array) -> float:
        return float(self.divide.boxes.points(boxes).sum())

    def start(self, submit: Submit) -> None:
        """Hand a batch of open boxes to a worker, without those that are dominated by now."""
        boxes, lows = self.open.take(BATCH)
        hidden = Shadow.of(self.state.points).hides(lows)
        self.left -= self._points(boxes[hidden])
        counts = self.state.counts + Pruning(dominated=int(hidden.sum()))
        self.state = replace(self.state, counts=counts)
        boxes, lows = boxes[~hidden], lows[~hidden]
        if len(boxes):
            self.running.append((boxes, lows, submit(boxes, lows, self.state.points)))

    def finish(self) -> None:
        """Wait for the oldest batch, and take in what came of it."""
        state, (boxes, _, future) = self.state, self.running[0]
        found = future.result()
        self.running.popleft()
        keys, points = merge([(state.keys, state.points), (found.keys, found.points)])
        self.state = replace(
            state,
            keys=keys,
            points=points,
            counts=state.counts + found.counts,
            evaluated=state.evaluated + found.evaluated,
            feasible=state.feasible + found.feasible,
        )
        self.open.add(found.boxes, found.lows, points)
        self.left += self._points(found.boxes) - self._points(boxes)

    def now(self) -> State:
        """Return the state that another run would go on from."""
        boxes, lows = self.open.all()
        return replace(
            self.state,
            boxes=np.concatenate([boxes, *(given for given, _, _ in self.running)]),
            lows=np.concatenate([lows, *(given for _, given, _ in self.running)]),
            seconds=time.perf_counter() - self.began,
        )


def _first_front(divide: Divide) -> tuple[Array, Array]:
    """Return a front to begin with: a sample's, moved step by step to its better neighbours."""
    space = divide.problem.space
    keys, points = divide.front_of(space.choices(divide.problem.sample(_SAMPLE)))
    seen = keys[:0]
    for _ in range(_WALKS):
        fresh = np.setdiff1d(keys, seen)
        if not len(fresh):
            break
        seen = np.concatenate([seen, fresh])
        around = neighbours(space, fresh)
        around = around[space.valid(around)]
        keys, points = merge([(keys, points), divide.front_of(space.choices(around))])
    return keys, points


def _typical(problem: Problem, keys: Array) -> Array:
    """Return some points, of the front where there is one, by their choices."""
    if not len(keys):
        keys = problem.sample(256)
    if not len(keys):
        keys = np.zeros(1, dtype=np.int64)
    some = keys[np.unique(np.linspace(0, len(keys) - 1, 64).astype(int))]
    return problem.space.choices(some)


@contextmanager
def _saved(path: Path | None, search: _Search) -> Iterator[None]:
    """Save the state at the end, however the end comes."""
    try:
        yield
    finally:
        if path:
            search.now().save(path)
