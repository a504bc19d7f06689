"""Exact search: every candidate of a space, chunk by chunk, in bounded memory."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.grid import blocks
from roofline.search.checkpoints import read_checkpoint, write_checkpoint
from roofline.search.followed import Followed
from roofline.search.fronts import merge, non_dominated, sieve, strongest
from roofline.search.problem import Problem
from roofline.search.result import SearchResult
from roofline.search.workers import cores, spread
from spec_files import SpecError

if TYPE_CHECKING:
    from roofline.search.cluster import Cluster

Array = np.ndarray
Progress = Callable[[int, int], None]
"""Called with the points done and the points in all."""

CHUNK = 2**15
"""Grid points taken at once: the columns of their candidates stay near a core's cache."""
TOGETHER = 16
"""Chunks of one task of a cluster, which takes some milliseconds to hand out."""
BOX = 2**20
"""Grid points of a box of the compiled loops."""
WORTH_COMPILING = 4_000_000
"""Grid points from which it takes longer to judge them by columns than to compile loops."""
_PLACES = 16  # of a space, at which its pace is taken
_GLANCE = 1.0  # seconds after which no further place is looked at


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
    def start(cls, fingerprint: str, objectives: int) -> State:
        """Return the state before the first point."""
        return cls(fingerprint, 0, np.empty(0, dtype=np.int64), np.empty((0, objectives)))

    @classmethod
    def load(cls, path: Path, fingerprint: str) -> State:
        """Read a state; SpecError if it belongs to another problem or is no state at all."""
        saved = read_checkpoint(path)
        try:
            state = cls(
                str(saved["fingerprint"]),
                int(saved["next"]),
                saved["keys"],
                saved["points"],
                int(saved["evaluated"]),
                int(saved["feasible"]),
                float(saved["seconds"]),
            )
        except (KeyError, TypeError, ValueError) as broken:
            raise SpecError(f"{path}: not the checkpoint of an exact search ({broken})") from None
        if state.fingerprint != fingerprint:
            raise SpecError(
                f"{path}: a checkpoint of another search; space, device, workload, law, objectives "
                "and constraints must be the same"
            )
        return state

    def save(self, path: Path) -> None:
        """Write the state, whole or not at all."""
        write_checkpoint(path, vars(self))


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


class _Columns:
    """Points of a space in their order, a chunk of columns at a time, judged by the evaluator."""

    grain = 1  # a stretch may begin at any multiple of it

    def __init__(self, problem: Problem, chunk: int, together: int = 1):
        self.problem, self.chunk, self.together = problem, chunk, together
        self.fingerprint = problem.fingerprint()

    def stretches(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield where each chunk begins and ends, or so many together."""
        return blocks(start, self.problem.space.size, self.chunk * self.together)

    def judge(self, start: int, stop: int, front: Array) -> _Part:
        parts = [self._judge(low, high, front) for low, high in blocks(start, stop, self.chunk)]
        if len(parts) == 1:
            return parts[0]
        keys, points = merge([(part.keys, part.points) for part in parts])
        evaluated, feasible = (sum(getattr(p, n) for p in parts) for n in ("evaluated", "feasible"))
        return _Part(keys, points, evaluated, feasible)

    def _judge(self, start: int, stop: int, front: Array) -> _Part:
        problem = self.problem
        arch, keys = problem.space.candidates(start, stop)
        if not len(keys):
            return _Part(keys, front[:0], 0, 0)
        judged = problem.evaluate(arch)
        rows = np.flatnonzero(judged.feasible)
        count = len(rows)
        # The front so far holds earlier points only; a dominated candidate may go at once.
        rows = rows[sieve(judged.points[rows], front)]
        rows = rows[non_dominated(judged.points[rows])]
        return _Part(keys[rows], judged.points[rows], len(keys), count)


class _Loops:
    """Points of a space in the order of the compiled loops, a box at a time."""

    def __init__(self, problem: Problem, followed: Followed):
        self.problem, self.kernel = problem, followed.kernel
        self.shape, self.order = self.kernel.shape, self.kernel.order
        self.fingerprint = f"{problem.fingerprint()} by loops {self.order}"
        lengths = [self.shape[axis] for axis in self.order]
        # The outer loops stand still, the next takes a few steps, those inside run whole.
        cells = [math.prod(lengths[level + 1 :]) for level in range(len(lengths))]
        self.level = next(level for level, inner in enumerate(cells) if inner <= BOX)
        self.inner = self.grain = cells[self.level]
        self.steps = max(1, BOX // self.inner)
        self.known = self._known()

    def __reduce__(self) -> tuple[Any, ...]:
        return _judge, (self.problem, CHUNK, True)  # compiled code does not travel

    def _known(self) -> Array:
        """The front of a sample, so that the first boxes do not keep all they have."""
        judged = self.problem.evaluate(self.problem.space.at(self.problem.sample(CHUNK)))
        points = judged.points[judged.feasible]
        return points[non_dominated(points)]

    def stretches(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield where each box begins and ends, counted in the order of the loops."""
        length = self.shape[self.order[self.level]]
        size = math.prod(self.shape)
        while start < size:
            at = start // self.inner % length
            stop = start + min(self.steps, length - at) * self.inner
            yield start, stop
            start = stop

    def judge(self, start: int, stop: int, front: Array) -> _Part:
        low, high = [0] * len(self.shape), list(self.shape)
        rest = start // self.inner
        for level in range(self.level, -1, -1):
            axis = self.order[level]
            rest, low[axis] = divmod(rest, self.shape[axis])
            high[axis] = low[axis] + 1
        axis = self.order[self.level]
        high[axis] = low[axis] + (stop - start) // self.inner
        known = np.concatenate([front, self.known])
        known = strongest(known[non_dominated(known)])
        keys, points, feasible = self.kernel.survivors(low, high, known)
        if not self.kernel.to_the_bit:
            points = self._judged_again(keys, points)
        keys, points = merge([(keys, points)])
        return _Part(keys, points, stop - start, feasible)

    def _judged_again(self, keys: Array, points: Array) -> Array:
        """What the evaluator itself says, where the loops may differ from it in the last bit."""
        space = self.problem.space
        parts = [keys[i : i + CHUNK] for i in range(0, len(keys), CHUNK)]
        judged = [self.problem.evaluate(space.at(part)).points for part in parts]
        return np.concatenate(judged) if judged else points


def enumerate_exactly(
    problem: Problem,
    *,
    chunk: int = CHUNK,
    workers: int | None = None,
    compiled: bool | None = None,
    progress: Progress | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 2.0,
    cluster: Cluster | None = None,
) -> SearchResult:
    """Judge every candidate of a space and return the exact front.

    Chunks are judged by workers (as many as there are cores by default) and joined in order, so the
    front depends neither on the chunks nor on the workers; of candidates with equal objectives the
    first point of the space stays. compiled: whether loops over the grid are compiled, which pays
    on large spaces, and by default is done there for every evaluator that can be followed; chunk is
    of the other way. checkpoint: a file that the search continues from, if it is there, and that is
    written every so many seconds, at the end, and at an interruption. cluster: machines to do the
    work instead of this one; the front is the same.
    """
    if chunk < 1:
        raise SpecError(f"chunk must be at least 1, not {chunk}")
    problem.check()
    size = problem.space.size
    judge = _judge(problem, chunk, size >= WORTH_COMPILING if compiled is None else compiled)
    if cluster and isinstance(judge, _Columns):
        judge.together = TOGETHER
    path = Path(checkpoint) if checkpoint else None
    if path and path.exists():
        state = State.load(path, judge.fingerprint)
    else:
        state = State.start(judge.fingerprint, len(problem.objectives))
    began, before = time.perf_counter(), state.seconds
    saved = began
    stretches = judge.stretches(state.next)
    running: deque[tuple[int, Future[_Part]]] = deque()
    workers = max(1, min(workers or cores(), -(-(size - state.next) // chunk)))
    spreading = (
        cluster.spread(judge.judge)
        if cluster
        else spread(judge.judge, workers, threads=isinstance(judge, _Loops))
    )
    with _saved(path, lambda: state), spreading as submit:
        while True:
            most = 2 * (cluster.width if cluster else workers)
            while len(running) < most and (stretch := next(stretches, None)) is not None:
                running.append((stretch[1], submit(*stretch, state.points)))
            if not running:
                break
            stop, future = running.popleft()
            part = future.result()
            keys, points = state.keys, state.points
            if len(part.keys):
                keys, points = merge([(keys, points), (part.keys, part.points)])
            now = time.perf_counter()
            state = replace(
                state,
                next=stop,
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
        evaluated=problem.space.valid_count,
        feasible=state.feasible,
        seconds=state.seconds,
        method="exact",
    )


def seconds_to_enumerate(problem: Problem, workers: int | None = None) -> float:
    """Estimate how long an exact search takes: what it would run is run at places across the space.

    Where that is loops, they are compiled for it, which the search itself then need not do. Of many
    objectives it is an underestimate, for the front that candidates are compared with still grows.
    """
    problem.check()
    size = problem.space.size
    judge = _judge(problem, CHUNK, size >= WORTH_COMPILING)
    starts = dict.fromkeys(
        size * place // _PLACES // judge.grain * judge.grain for place in range(_PLACES)
    )
    stretches = [next(judge.stretches(start)) for start in starts]
    none = np.empty((0, len(problem.objectives)))
    first = judge.judge(*stretches[0], none)  # also pays for imports and compilation
    front = first.keys, first.points
    points, began = 0, time.perf_counter()
    for start, stop in stretches:
        part = judge.judge(start, stop, front[1])
        front = merge([front, (part.keys, part.points)])
        points += stop - start
        took = time.perf_counter() - began
        if took > _GLANCE:
            break
    return took * size / points / min(workers or cores(), -(-size // CHUNK))


def _judge(problem: Problem, chunk: int, compiled: bool) -> _Columns | _Loops:
    """Choose how candidates are judged; an evaluator that cannot be followed by its columns."""
    if compiled:
        try:
            return _Loops(problem, Followed.of(problem))
        except (TypeError, SpecError):  # what is truly wrong, the columns say again
            pass
    return _Columns(problem, chunk)
