"""Boxes of a search problem: halved, bounded, and left out where that is proven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roofline.factored.boxes import HIGH, LOW, Boxes
from roofline.search.followed import Followed
from roofline.search.fronts import merge, non_dominated
from roofline.search.pruned.shadow import Shadow
from roofline.search.pruned.state import Pruning
from spec_files import SpecError

if TYPE_CHECKING:
    from roofline.search.problem import Problem

Array = np.ndarray

CELLS = (2**18, 2**16, 2**14)
"""Sizes of the largest table to try: the larger, the closer the bounds and the more memory."""
MOST_HELD = 2**26
"""Boxes of tables whose bounds may be held: half a gigabyte."""
JUDGED = 64
"""Points of a box that are judged one by one rather than halved again."""
ROUNDS = 4
"""Halvings before the boxes of a batch are handed back."""


@dataclass(frozen=True, eq=False)
class Found:
    """What came of a batch: boxes that stay open with their lows, and candidates for the front."""

    boxes: Array
    lows: Array
    keys: Array
    points: Array
    evaluated: int
    feasible: int
    counts: Pruning


class Divide:
    """Halves boxes of a problem's space, and leaves out those that cannot hold a front member."""

    def __init__(self, problem: Problem):
        self.problem = problem
        for cells in CELLS:
            try:
                self.followed = Followed.of(problem, cells)
            except TypeError as why:
                _judge_some(problem)
                raise SpecError(
                    f"bounds cannot be proven of this problem, whose formulas cannot be followed "
                    f"over a grid ({why}): search it by exact or nsga2"
                ) from None
            self.boxes = self._bounded()
            if self.boxes.cells <= MOST_HELD:
                break
        self.spread: list[Array] = []

    def _bounded(self) -> Boxes:
        followed = self.followed
        rules = [np.asarray(rule) for rule in followed.conditions[: followed.rules]]
        sides = [(each, LOW) for each in followed.objectives]
        sides += [(each, HIGH) for each in followed.conditions[followed.rules :]]
        return Boxes(followed.grid.shape, sides, rules)

    def judge(self, choices: Array) -> tuple[Array, Array]:
        """Return which points are allowed, and the objectives of all, as the grid's tables say."""
        k = len(self.problem.objectives)
        found = self.boxes.values(choices)
        allowed = np.ones(len(choices), dtype=bool)
        for condition in found[k:]:
            allowed &= condition.astype(bool)
        return allowed, np.stack(found[:k], axis=1)

    def front_of(self, choices: Array) -> tuple[Array, Array]:
        """Return the front of some candidates (N, axes): their indices, and their objectives."""
        allowed, points = self.judge(choices)
        return self._exact(_undoubted(choices[allowed], points[allowed]))

    def _exact(self, choices: Array) -> tuple[Array, Array]:
        """Return the front of some candidates, as the evaluator itself says."""
        space = self.problem.space
        keys = np.sort(space.indices(choices))
        if not len(keys):
            return keys, np.empty((0, len(self.problem.objectives)))
        judged = self.problem.evaluate(space.at(keys))
        kept = np.flatnonzero(judged.feasible)
        return merge([(keys[kept], judged.points[kept])])

    def lean(self, choices: Array) -> None:
        """Learn from some points along which axis the objectives change most in each stretch."""
        _, points = self.judge(choices)
        with np.errstate(all="ignore"):
            logs = np.log(points)
            scale = np.fmax.reduce(logs, axis=0) - np.fmin.reduce(logs, axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        self.spread = []
        for axis, tree in enumerate(self.boxes.trees):
            length = self.boxes.shape[axis]
            moved = np.repeat(choices, length, axis=0)
            moved[:, axis] = np.tile(np.arange(length), len(choices))
            _, points = self.judge(moved)
            with np.errstate(all="ignore"):
                logs = np.log(points).reshape(len(choices), length, -1) / scale
            low = tree.over(np.nan_to_num(logs, nan=np.inf), 1, np.minimum)
            high = tree.over(np.nan_to_num(logs, nan=-np.inf), 1, np.maximum)
            apart = np.maximum(high - low, 0.0).sum(axis=2).mean(axis=0)
            # One choice cannot be halved; what seems to change nothing still may.
            self.spread.append(np.where(tree.length > 1, np.maximum(apart, 1e-9), -1.0))

    def whole(self) -> tuple[Array, Array]:
        """Return the box that is the whole space, and what no objective in it falls below."""
        whole = self.boxes.whole()
        lows = np.stack(self.boxes.bounds(whole)[: len(self.problem.objectives)], axis=1)
        return whole, np.fmax(lows, -np.inf)

    def batch(self, boxes: Array, lows: Array, front: Array) -> Found:
        """Halve boxes a few times; leave out what is proven, and judge the points of small ones.

        lows: (B, k) what no objective in the boxes falls below, as far as is known.
        """
        shadow = Shadow.of(front)
        counts = Pruning()
        small = []
        for _ in range(ROUNDS):
            if not len(boxes):
                break
            boxes, lows, count = self._left(self._halves(boxes), np.tile(lows, (2, 1)), shadow)
            tiny = self.boxes.points(boxes) <= JUDGED
            small.append(boxes[tiny])
            boxes, lows = boxes[~tiny], lows[~tiny]
            counts += count
        judged = np.concatenate(small) if small else boxes[:0]
        keys, points, evaluated, feasible = self._judged(judged, shadow)
        counts += Pruning(judged=len(judged), judged_points=float(self.boxes.points(judged).sum()))
        return Found(boxes, lows, keys, points, evaluated, feasible, counts)

    def _halves(self, boxes: Array) -> Array:
        gain = np.stack([self.spread[axis][boxes[:, axis]] for axis in range(boxes.shape[1])])
        return self.boxes.halve(boxes, gain.argmax(axis=0))

    def _left(self, boxes: Array, above: Array, shadow: Shadow) -> tuple[Array, Array, Pruning]:
        """Return the boxes that may hold a member, what they cannot fall below, and the counts.

        above: what is known already of their lows.
        """
        bounded = len(boxes)
        some = self.boxes.inhabited(boxes)
        boxes, above = boxes[some], above[some]
        inhabited = len(boxes)
        k = len(self.problem.objectives)
        found = self.boxes.bounds(boxes)
        may = np.ones(len(boxes), dtype=bool)
        for condition in found[k:]:
            may &= condition != 0
        # A low may be unknown; what holds of the whole holds of its halves.
        lows = np.fmax(np.stack(found[:k], axis=1), above)
        hidden = shadow.hides(lows)
        kept = may & ~hidden
        counts = Pruning(
            boxes=bounded,
            empty=bounded - inhabited,
            infeasible=int((~may).sum()),
            dominated=int((may & hidden).sum()),
        )
        return boxes[kept], lows[kept], counts

    def _judged(self, boxes: Array, shadow: Shadow) -> tuple[Array, Array, int, int]:
        """Return the candidates of some boxes that may be members, by themselves a front."""
        evaluated = feasible = 0
        parts = []
        step = max(1, 2**18 // JUDGED)
        for start in range(0, len(boxes), step):
            choices = self.boxes.inside(boxes[start : start + step])
            allowed, points = self.judge(choices)
            rows = np.flatnonzero(allowed)
            evaluated += len(choices)
            feasible += len(rows)
            rows = rows[~shadow.hides(points[rows])]
            parts.append(_undoubted(choices[rows], points[rows]))
        choices = np.concatenate(parts) if parts else np.empty((0, boxes.shape[1]), dtype=int)
        return *self._exact(choices), evaluated, feasible


def _undoubted(choices: Array, points: Array) -> Array:
    """Return the choices of the points that none of the others dominates beyond doubt.

    What the tables say may differ from what the evaluator does in the last bit, which then decides.
    """
    return choices[~Shadow.of(points[non_dominated(points)]).hides(points)]


def can_follow(problem: Problem) -> bool:
    """Whether bounds of a problem can be proven: its formulas can be followed over the grid."""
    try:
        Followed.of(problem, min(CELLS))
    except TypeError:
        return False
    return True


def _judge_some(problem: Problem) -> None:
    """Raise what the evaluator itself has to say against some candidate, if anything."""
    space = problem.space
    some = np.random.default_rng(0).integers(space.size, size=2**14)
    if len(some := some[space.valid(some)]):
        problem.evaluate(space.at(some))
