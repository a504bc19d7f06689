"""Boxes of a grid, and what quantities can be within them: many boxes at once, and proven.

An axis is halved, and its halves again, down to single choices; each such stretch has a number. A
box is one number an axis. The least and the largest cell of a table within each of its boxes are
worked out beforehand, so that a bound of a table is one look-up a box; bounds of functions follow
by interval arithmetic. So nothing is assumed of a formula: what comes out holds for every point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from roofline.factored.quantity import Quantity

Array = np.ndarray

CELLS = 2**24
"""Boxes of one table whose bounds are held: an eighth of a gigabyte for one side."""
BLOCK = 2**12
"""Boxes bounded at a time, so that the columns of each step stay in a core's cache."""
ROUNDING = 1e-12
"""Share by which bounds are widened at each step that rounds in another way than its inputs."""

LOW, HIGH = 0, 1
Side = tuple[Quantity, int]
"""A quantity, and which of its bounds."""


@dataclass(frozen=True, eq=False)
class Tree:
    """The stretches of an axis: number 0 is the whole, each is followed by its halves.

    low, high: (n,) first choice and the one after the last. left, right: (n,) numbers of the
    halves, -1 of a single choice. leaf: (length,) number of each single choice. levels: numbers of
    the stretches that have halves, from the deepest to the whole.
    """

    low: Array
    high: Array
    left: Array
    right: Array
    leaf: Array
    levels: tuple[Array, ...]

    @classmethod
    def of(cls, length: int) -> Tree:
        """Halve an axis of so many choices."""
        stretches, depth = [(0, length)], [0]
        halves = []
        for number, (low, high) in enumerate(stretches):  # grows as it goes
            if high - low == 1:
                halves.append((-1, -1))
                continue
            middle = (low + high) // 2
            halves.append((len(stretches), len(stretches) + 1))
            stretches += [(low, middle), (middle, high)]
            depth += [depth[number] + 1] * 2
        lows, highs = np.array(stretches).T
        left, right = np.array(halves).T
        leaf = np.empty(length, dtype=np.int64)
        leaf[lows[left < 0]] = np.flatnonzero(left < 0)
        levels = (np.flatnonzero((left >= 0) & (np.array(depth) == at)) for at in range(max(depth)))
        return cls(lows, highs, left, right, leaf, tuple(levels)[::-1])

    @cached_property
    def length(self) -> Array:
        """Choices in each stretch, (n,)."""
        return np.asarray(self.high - self.low)

    def over(self, values: Array, axis: int, join: np.ufunc) -> Array:
        """Return values along an axis for each of its stretches, joined within it."""
        values = np.moveaxis(values, axis, 0)
        found = np.empty((len(self.low), *values.shape[1:]), values.dtype)
        found[self.leaf] = values
        for level in self.levels:
            found[level] = join(found[self.left[level]], found[self.right[level]])
        return np.moveaxis(found, 0, axis)


class Boxes:
    """Quantities over a grid, bounded within boxes of it and worked out at its points.

    outputs: with the bound of each that is asked for. rules: tables of which points there are, one
    axis a dimension of the grid; a box in which a rule holds nowhere is empty.
    """

    def __init__(
        self, shape: tuple[int, ...], outputs: Sequence[Side], rules: Sequence[Array] = ()
    ):
        self.shape, self.outputs = shape, tuple(outputs)
        self.trees = tuple(Tree.of(length) for length in shape)
        self._steps = [_Step.of(*side, self.trees) for side in _in_order(self.outputs, _needs)]
        self._done = _done(self._steps, self.outputs)
        self._rules = [_Pyramid.of(rule, self.trees, np.logical_or) for rule in rules]
        self._masks = [(_axes(rule), rule.reshape(-1)) for rule in rules]
        self._quantities = _in_order([each for each, _ in self.outputs], _inputs)

    @property
    def cells(self) -> int:
        """Boxes of tables whose bounds are held, in all."""
        return sum(step.pyramid.cells.size for step in self._steps if step.pyramid is not None)

    def whole(self) -> Array:
        """Return the box that is the whole grid, (1, axes)."""
        return np.zeros((1, len(self.shape)), dtype=np.int16)

    def points(self, boxes: Array) -> Array:
        """Return how many points each box has, those included that the rules leave out; floats."""
        count = np.ones(len(boxes))
        for axis, tree in enumerate(self.trees):
            count *= tree.length[boxes[:, axis]]
        return count

    def halve(self, boxes: Array, axes: Array) -> Array:
        """Return the halves of each box (B, axes) along an axis of its own, (2 B, axes)."""
        found = np.repeat(boxes[np.newaxis], 2, axis=0)
        for axis, tree in enumerate(self.trees):
            mine = np.flatnonzero(axes == axis)
            numbers = boxes[mine, axis]
            found[0, mine, axis], found[1, mine, axis] = tree.left[numbers], tree.right[numbers]
        return found.reshape(-1, boxes.shape[1])

    def inhabited(self, boxes: Array) -> Array:
        """Return which boxes may have a point that the rules allow, (B,) booleans."""
        found = np.ones(len(boxes), dtype=bool)
        for rule in self._rules:
            found &= rule.cells.take(rule.place(boxes))
        return found

    def bounds(self, boxes: Array) -> list[Array]:
        """Return the asked bound of each output within each box, (B,); NaN where nothing is known.

        A condition is 0 or 1.
        """
        return _blocks(self._bounded, boxes, len(self.outputs))

    def _bounded(self, boxes: Array) -> list[Array]:
        known: dict[Any, Any] = {}
        places: dict[tuple[int, ...], Array] = {}
        for step, done in zip(self._steps, self._done, strict=True):
            if step.pyramid is not None:
                axes = step.pyramid.axes
                if axes not in places:
                    places[axes] = step.pyramid.place(boxes)
                known[step.key] = step.pyramid.cells.take(places[axes])
            else:
                known[step.key] = step.bound(*(known[key] for key in step.inputs))
            for key in done:
                del known[key]
        return [np.broadcast_to(known[_key(side)], (len(boxes),)) for side in self.outputs]

    def inside(self, boxes: Array) -> Array:
        """Return the choices of every point in some boxes that the rules allow, (N, axes)."""
        ends = [
            (tree.low[row], tree.length[row]) for tree, row in zip(self.trees, boxes.T, strict=True)
        ]
        spans = np.stack([length for _, length in ends])
        counts = spans.prod(axis=0)
        box = np.repeat(np.arange(len(boxes)), counts)
        rest = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        choices = np.empty((len(box), len(self.shape)), dtype=np.int32)
        for axis in range(len(self.shape) - 1, -1, -1):
            rest, step = np.divmod(rest, spans[axis][box])
            choices[:, axis] = ends[axis][0][box] + step
        allowed = np.ones(len(choices), dtype=bool)
        for axes, mask in self._masks:
            allowed &= mask.take(_place(choices, axes, self.shape))
        return choices[allowed]

    def values(self, choices: Array) -> list[Array]:
        """Return each output at some points, by their choices (N, axes)."""
        return _blocks(self._valued, choices, len(self.outputs))

    def _valued(self, choices: Array) -> list[Array]:
        known: dict[int, Any] = {}
        places: dict[tuple[int, ...], Array] = {}
        for each in self._quantities:
            if each.values is None:
                known[id(each)] = _value(each, *(known[id(i)] for i in _inputs(each)))
                continue
            if each.axes not in places:
                places[each.axes] = _place(choices, each.axes, self.shape)
            known[id(each)] = each.values.reshape(-1).take(places[each.axes])
        return [np.broadcast_to(known[id(each)], (len(choices),)) for each, _ in self.outputs]


@dataclass(frozen=True, eq=False)
class _Pyramid:
    """What a table comes to within each box of its axes, one flat array."""

    axes: tuple[int, ...]
    strides: tuple[int, ...]
    cells: Array

    @classmethod
    def of(cls, table: Array, trees: Sequence[Tree], join: np.ufunc) -> _Pyramid:
        """Join the cells of a table within each box; short axes are left out of one too large."""
        held = list(_axes(table))
        while math.prod(len(trees[axis].low) for axis in held) > CELLS:
            held.remove(min(held, key=lambda axis: len(trees[axis].low)))
        dropped = tuple(axis for axis in _axes(table) if axis not in held)
        cells = join.reduce(table, axis=dropped, keepdims=True) if dropped else table
        for axis in held:
            cells = trees[axis].over(cells, axis, join)
        lengths = [len(trees[axis].low) for axis in held]
        strides = [math.prod(lengths[i + 1 :]) for i in range(len(held))]
        return cls(tuple(held), tuple(strides), np.ascontiguousarray(cells).reshape(-1))

    def place(self, boxes: Array) -> Array:
        """Return where each box stands, (B,)."""
        place = np.zeros(len(boxes), dtype=np.intp)
        for axis, stride in zip(self.axes, self.strides, strict=True):
            place += boxes[:, axis].astype(np.intp) * stride
        return place


@dataclass(frozen=True, eq=False)
class _Step:
    """One bound of one quantity: looked up, or worked out from bounds of others, by their keys."""

    key: tuple[int, int]
    inputs: tuple[tuple[int, int], ...]
    bound: Callable[..., Any]
    pyramid: _Pyramid | None = None

    @classmethod
    def of(cls, each: Quantity, side: int, trees: Sequence[Tree]) -> _Step:
        inputs = tuple(map(_key, _needs((each, side))))
        pyramid = None
        if each.values is not None and each.axes:
            join = (np.minimum, np.maximum)[side]
            pyramid = _Pyramid.of(each.values.astype(float), trees, join)
        return cls(_key((each, side)), inputs, _bound(each, side), pyramid)


def _key(side: Side) -> tuple[int, int]:
    return id(side[0]), side[1]


_RISES = {
    "add", "maximum", "minimum", "positive", "sqrt", "exp", "exp2", "expm1", "log", "log2", "log10",
    "log1p", "tanh", "floor", "ceil", "rint", "logical_and", "logical_or", "bitwise_and",
    "bitwise_or", "rising",
}  # fmt: skip
_ROUGH = {
    "power", "float_power", "square", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p",
    "tanh", "rising",
}  # fmt: skip
"""Functions whose rounding may make them fall as their inputs rise; a sum's and a product's does
not."""


def _directions(each: Quantity) -> tuple[int, ...]:
    """Return for each input of a function whether it rises with it (1) or falls (-1).

    Empty where it does neither, or not for certain.
    """
    if each.name in _RISES:
        return (1,) * len(_inputs(each))
    if each.name == "subtract":
        return (1, -1)
    if each.name in ("negative", "invert", "logical_not"):
        return (-1,)
    lows = [i.low for i in each.inputs]
    if each.name == "multiply" and lows[0] >= 0 and lows[1] >= 0:  # False of NaN
        return (1, 1)
    if each.name == "divide" and lows[0] >= 0 and lows[1] > 0:
        return (1, -1)
    if each.name in ("power", "float_power") and lows[0] >= 0 and not each.inputs[1].axes:
        return (1 if lows[1] >= 0 else -1, 1)
    return ()


def _needs(side: Side) -> list[Side]:
    """Bounds that a bound is worked out from, in the order that `_bound` takes them in."""
    each, which = side
    if each.values is not None:
        return []
    if each.name == "where":
        condition, yes, no = each.inputs
        return [(condition, LOW), (condition, HIGH), (yes, which), (no, which)]
    if directions := _directions(each):
        pairs = zip(_inputs(each), directions, strict=True)
        return [(i, which if way > 0 else 1 - which) for i, way in pairs]
    return [(i, end) for i in _inputs(each) for end in (LOW, HIGH)]


def _bound(each: Quantity, which: int) -> Callable[..., Any]:
    """Return the function from the bounds that one bound of a quantity needs to that bound."""
    if each.values is not None:
        number = float(each.values.reshape(-1)[0])
        return lambda: number
    extreme = (np.minimum, np.maximum)[which]
    widen = ROUNDING * (1, -1)[which]

    def chosen(always: Any, ever: Any, yes: Any, no: Any) -> Any:
        return np.where(always > 0, yes, np.where(ever > 0, extreme(yes, no), no))

    def at_ends(*ends: Any) -> Any:
        with np.errstate(all="ignore"):
            return _value(each, *ends)

    def of_intervals(*ends: Any) -> Any:
        return each.bounds(list(zip(ends[::2], ends[1::2], strict=True)))[which]

    if each.name == "where":
        return chosen
    exact = at_ends if _directions(each) else of_intervals
    if each.name not in _ROUGH:
        return exact

    def wider(*ends: Any) -> Any:
        found = exact(*ends)
        return found - widen * np.abs(found)

    return wider


_BOOLEANS: dict[str, Callable[..., Any]] = {
    "logical_and": np.minimum,
    "bitwise_and": np.minimum,
    "logical_or": np.maximum,
    "bitwise_or": np.maximum,
    "logical_not": lambda a: 1.0 - a,
    "invert": lambda a: 1.0 - a,
}
"""What the logical functions come to where true and false are 1 and 0."""


def _value(each: Quantity, *inputs: Any) -> Any:
    """A function of numbers."""
    with np.errstate(all="ignore"):
        if each.function is not None:
            return each.function(*inputs)
        if each.row is not None:
            return each.row[np.asarray(inputs[0]).astype(np.intp)]
        function: Callable[..., Any] = getattr(np, each.name)
        return _BOOLEANS.get(each.name, function)(*inputs)


def _inputs(each: Quantity) -> Sequence[Quantity]:
    """What a function is worked out from; of one that rises, not the steps within it."""
    return each.inputs[1:] if each.name == "rising" else each.inputs


_T = TypeVar("_T")


def _in_order(ends: Iterable[_T], needs: Callable[[_T], Iterable[_T]]) -> list[_T]:
    """Everything that some ends rest on, each after all that it needs."""
    order: dict[Hashable, _T] = {}
    stack = [(end, False) for end in ends]
    while stack:
        each, ready = stack.pop()
        key = _key(each) if isinstance(each, tuple) else id(each)
        if ready:
            order.setdefault(key, each)
        elif key not in order:
            stack.append((each, True))
            stack.extend((need, False) for need in needs(each))
    return list(order.values())


def _done(steps: Sequence[_Step], outputs: Sequence[Side]) -> list[list[tuple[int, int]]]:
    """After each step, the keys that no later one needs."""
    last = {key: number for number, step in enumerate(steps) for key in step.inputs}
    found: list[list[tuple[int, int]]] = [[] for _ in steps]
    for key in last.keys() - set(map(_key, outputs)):
        found[last[key]].append(key)
    return found


def _blocks(work: Callable[[Array], list[Array]], rows: Array, columns: int) -> list[Array]:
    """Do some work on a few rows at a time, and join what comes out."""
    parts = [work(rows[i : i + BLOCK]) for i in range(0, len(rows), BLOCK)]
    if not parts:
        return [np.empty(0) for _ in range(columns)]
    return [np.concatenate([part[n] for part in parts]) for n in range(columns)]


def _axes(table: Array) -> tuple[int, ...]:
    return tuple(axis for axis, length in enumerate(table.shape) if length > 1)


def _place(choices: Array, axes: Sequence[int], shape: Sequence[int]) -> Array:
    """Where points stand in a flat table over some axes."""
    place = np.zeros(len(choices), dtype=np.intp)
    for axis in axes:
        place *= shape[axis]
        place += choices[:, axis]
    return place
