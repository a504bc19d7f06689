"""Boxes of a grid, and what quantities can be within them: many boxes at once, and proven.

An axis is halved, and its halves again, down to single choices; each such stretch has a number. A
box is one number an axis. The least and the largest cell of a table within each of its boxes is
worked out beforehand, so that bounds of a table are one look-up a box; bounds of functions follow
by interval arithmetic. So nothing is assumed of a formula: what comes out holds for every point.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from roofline.factored.intervals import Bounds
from roofline.factored.quantity import Quantity

Array = np.ndarray

CELLS = 2**24
"""Boxes of one table whose bounds are held: a quarter of a gigabyte for both."""
ROUNDING = 1e-12
"""Share by which bounds are widened at each step that rounds in another way than its inputs."""
_ROUGH = {
    "power", "float_power", "square", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "tanh",
}  # fmt: skip
BLOCK = 2**12
"""Boxes bounded at a time, so that the columns of each step stay in a core's cache."""


@dataclass(frozen=True, eq=False)
class Tree:
    """The stretches of an axis of some length: number 0 is the whole, larger ones are shorter.

    low, high: (n,) first choice and the one after the last. left, right: (n,) numbers of the
    halves, -1 of a single choice. leaf: (length,) number of each single choice. levels: numbers of
    what is halved, from the shortest to the longest.
    """

    low: Array
    high: Array
    left: Array
    right: Array
    leaf: Array
    levels: tuple[Array, ...]

    @classmethod
    def of(cls, length: int) -> Tree:
        """Halve an axis."""
        stretches = [(0, length)]
        left, right, depth = [], [], [0]
        for number, (low, high) in enumerate(stretches):  # grows as it goes
            if high - low == 1:
                left.append(-1)
                right.append(-1)
                continue
            middle = (low + high) // 2
            left.append(len(stretches))
            right.append(len(stretches) + 1)
            stretches += [(low, middle), (middle, high)]
            depth += [depth[number] + 1] * 2
        lows, highs = np.array(stretches).T
        single = np.flatnonzero(highs - lows == 1)
        leaf = np.empty(length, dtype=np.int64)
        leaf[lows[single]] = single
        deep, halved = np.array(depth), highs - lows > 1
        levels = tuple(
            np.flatnonzero(halved & (deep == level)) for level in range(deep.max(), -1, -1)
        )
        return cls(lows, highs, np.array(left), np.array(right), leaf, levels)

    @cached_property
    def length(self) -> Array:
        """Choices in each stretch, (n,)."""
        return self.high - self.low

    def over(self, values: Array, axis: int, join: np.ufunc) -> Array:
        """Return values along an axis for each of its stretches, joined within it."""
        values = np.moveaxis(values, axis, 0)
        found = np.empty((len(self.low), *values.shape[1:]), values.dtype)
        found[self.leaf] = values
        for level in self.levels:
            if len(level):
                found[level] = join(found[self.left[level]], found[self.right[level]])
        return np.moveaxis(found, 0, axis)


class Boxes:
    """Quantities over a grid, bounded within boxes of it and worked out at its points.

    conditions: quantities that are true or false. Their tables say which boxes are empty: a table
    of conditions may rule out a point by itself.
    """

    def __init__(
        self, shape: tuple[int, ...], outputs: Sequence[Quantity], rules: Sequence[Array] = ()
    ):
        self.shape = shape
        self.trees = tuple(Tree.of(length) for length in shape)
        self.outputs = tuple(outputs)
        self._steps = _needed(outputs)
        self._at = {id(each): number for number, each in enumerate(self._steps)}
        self._last = _last_use(self._steps, self._at, self.outputs)
        self._bounds: dict[int, _Pyramid] = {}
        for number, each in enumerate(self._steps):
            if each.values is not None and each.values.size > 1:
                values = each.values.astype(float)
                self._bounds[number] = _Pyramid.of(values, self.trees, (np.minimum, np.maximum))
        self._rules = [_Pyramid.of(rule, self.trees, (np.logical_or,)) for rule in rules]
        self._masks = [(axes, rule.reshape(-1)) for rule in rules for axes in [_axes(rule)]]

    def whole(self) -> Array:
        """Return the box that is the whole grid, (1, axes)."""
        return np.zeros((1, len(self.shape)), dtype=np.int16)

    def points(self, boxes: Array) -> Array:
        """Return how many points each box has, (B,) floats."""
        count = np.ones(len(boxes))
        for axis, tree in enumerate(self.trees):
            count *= tree.length[boxes[:, axis]]
        return count

    def halve(self, boxes: Array, axes: Array) -> Array:
        """Return the halves of each box along an axis of its own, (2 B, axes)."""
        rows = np.arange(len(boxes))
        found = np.repeat(boxes[np.newaxis], 2, axis=0)
        for axis, tree in enumerate(self.trees):
            mine = rows[axes == axis]
            numbers = boxes[mine, axis]
            found[0, mine, axis], found[1, mine, axis] = tree.left[numbers], tree.right[numbers]
        return found.reshape(-1, boxes.shape[1])

    def inhabited(self, boxes: Array) -> Array:
        """Return which boxes may have a point that the rules allow, (B,) booleans."""
        found = np.ones(len(boxes), dtype=bool)
        for rule in self._rules:
            found &= rule.cells[0].take(rule.place(boxes))
        return found

    def bounds(self, boxes: Array) -> list[Bounds]:
        """Return bounds of each output within each box, (B,) arrays; NaN where nothing is known."""
        parts = [self._bounded(boxes[i : i + BLOCK]) for i in range(0, len(boxes), BLOCK)]
        return [
            (np.concatenate([p[n][0] for p in parts]), np.concatenate([p[n][1] for p in parts]))
            for n in range(len(self.outputs))
        ]

    def _bounded(self, boxes: Array) -> list[Bounds]:
        known: list[Any] = [None] * len(self._steps)
        places: dict[tuple[int, ...], Array] = {}
        for number, each in enumerate(self._steps):
            if number in self._bounds:
                pyramid = self._bounds[number]
                if pyramid.axes not in places:
                    places[pyramid.axes] = pyramid.place(boxes)
                place = places[pyramid.axes]
                known[number] = tuple(cells.take(place) for cells in pyramid.cells)
            elif each.values is not None:
                known[number] = (each.low, each.high)
            else:
                inputs = [known[self._at[id(i)]] for i in _inputs(each)]
                known[number] = _bound(each, inputs)
                for done in self._last.get(number, ()):
                    known[done] = None
        shape = (len(boxes),)
        found = (known[self._at[id(each)]] for each in self.outputs)
        return [(np.broadcast_to(low, shape), np.broadcast_to(high, shape)) for low, high in found]

    def inside(self, boxes: Array) -> Array:
        """Return the choices of every point in some boxes, (N, axes), those that rules allow."""
        spans = np.stack([t.length[boxes[:, a]] for a, t in enumerate(self.trees)], axis=1)
        starts = np.stack([t.low[boxes[:, a]] for a, t in enumerate(self.trees)], axis=1)
        counts = spans.prod(axis=1)
        box = np.repeat(np.arange(len(boxes)), counts)
        rest = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        choices = np.empty((len(box), len(self.shape)), dtype=np.int32)
        for axis in range(len(self.shape) - 1, -1, -1):
            span = spans[box, axis]
            rest, step = np.divmod(rest, span)
            choices[:, axis] = starts[box, axis] + step
        allowed = np.ones(len(choices), dtype=bool)
        for axes, mask in self._masks:
            allowed &= mask.take(_place(choices, axes, self.shape))
        return choices[allowed]

    def values(self, choices: Array) -> list[Array]:
        """Return each output at some points, by their choices (N, axes)."""
        parts = [self._valued(choices[i : i + BLOCK]) for i in range(0, len(choices), BLOCK)]
        if not parts:
            return [np.empty(0) for _ in self.outputs]
        return [np.concatenate([part[n] for part in parts]) for n in range(len(self.outputs))]

    def _valued(self, choices: Array) -> list[Array]:
        known: list[Any] = [None] * len(self._steps)
        places: dict[tuple[int, ...], Array] = {}
        for number, each in enumerate(self._steps):
            if each.values is not None and each.axes:
                if each.axes not in places:
                    places[each.axes] = _place(choices, each.axes, self.shape)
                known[number] = each.values.reshape(-1).take(places[each.axes])
            elif each.values is not None:
                known[number] = each.values.reshape(-1)
            else:
                inputs = [known[self._at[id(i)]] for i in _inputs(each)]
                known[number] = _value(each, inputs)
                for done in self._last.get(number, ()):
                    known[done] = None
        found = (known[self._at[id(each)]] for each in self.outputs)
        return [np.broadcast_to(value, (len(choices),)) for value in found]


@dataclass(frozen=True, eq=False)
class _Pyramid:
    """What a table comes to within each box of its axes: one flat array for each way of joining."""

    axes: tuple[int, ...]
    strides: tuple[int, ...]
    cells: tuple[Array, ...]

    @classmethod
    def of(cls, table: Array, trees: Sequence[Tree], joins: tuple[np.ufunc, ...]) -> _Pyramid:
        """Join the cells of a table within each box; short axes are left out of one too large."""
        axes = list(_axes(table))
        held = list(axes)
        while math.prod(len(trees[axis].low) for axis in held) > CELLS:
            held.remove(min(held, key=lambda axis: len(trees[axis].low)))
        dropped = tuple(axis for axis in axes if axis not in held)
        found = []
        for join in joins:
            cells = join.reduce(table, axis=dropped, keepdims=True) if dropped else table
            for axis in held:
                cells = trees[axis].over(cells, axis, join)
            found.append(np.ascontiguousarray(cells).reshape(-1))
        lengths = [len(trees[axis].low) for axis in held]
        strides = [math.prod(lengths[i + 1 :]) for i in range(len(held))]
        return cls(tuple(held), tuple(strides), tuple(found))

    def place(self, boxes: Array) -> Array:
        """Return where each box stands, (B,)."""
        place = np.zeros(len(boxes), dtype=np.intp)
        for axis, stride in zip(self.axes, self.strides, strict=True):
            place += boxes[:, axis].astype(np.intp) * stride
        return place


def _axes(table: Array) -> tuple[int, ...]:
    return tuple(axis for axis, length in enumerate(table.shape) if length > 1)


def _place(choices: Array, axes: Sequence[int], shape: Sequence[int]) -> Array:
    """Where points stand in a flat table over some axes."""
    place = np.zeros(len(choices), dtype=np.intp)
    for axis in axes:
        place *= shape[axis]
        place += choices[:, axis]
    return place


def _inputs(each: Quantity) -> tuple[Quantity, ...]:
    """What a function is worked out from; of one that rises, not the steps within it."""
    return each.inputs[1:] if each.name == "rising" else each.inputs


def _needed(outputs: Sequence[Quantity]) -> list[Quantity]:
    """Every quantity that the outputs are worked out from, inputs before what is made of them."""
    order: dict[int, Quantity] = {}

    def visit(each: Quantity) -> Iterator[Quantity]:
        stack = [(each, False)]
        while stack:
            at, ready = stack.pop()
            if ready:
                yield at
            elif id(at) not in order:
                stack.append((at, True))
                stack.extend((i, False) for i in _inputs(at))

    for output in outputs:
        for each in visit(output):
            order.setdefault(id(each), each)
    return list(order.values())


def _last_use(
    steps: Sequence[Quantity], at: dict[int, int], outputs: Sequence[Quantity]
) -> dict[int, list[int]]:
    """By step, the quantities that no later step needs."""
    last = {at[id(i)]: number for number, each in enumerate(steps) for i in _inputs(each)}
    for output in outputs:
        last.pop(at[id(output)], None)
    found: dict[int, list[int]] = {}
    for needed, number in last.items():
        found.setdefault(number, []).append(needed)
    return found


def _bound(each: Quantity, inputs: list[Bounds]) -> Bounds:
    """Bounds of a function; a little wider where rounding may make it fall as its inputs rise."""
    if each.function is None and each.name not in _ROUGH:
        return each.bounds(inputs)
    low, high = each.bounds([(None, None), *inputs] if each.function is not None else inputs)
    return low - ROUNDING * np.abs(low), high + ROUNDING * np.abs(high)


def _value(each: Quantity, inputs: list[Array]) -> Array:
    with np.errstate(all="ignore"):
        if each.function is not None:
            return np.asarray(each.function(*inputs))
        if each.row is not None:
            return np.asarray(each.row[np.asarray(inputs[0]).astype(np.intp)])
        return np.asarray(getattr(np, each.name)(*inputs))
