"""A compiled loop over a grid: what was recorded, each step at the outermost loop that it can be.

The loops are written out and compiled by numba. A function of some axes is computed where the last
of their loops begins, so most of the work is done once for many points; a condition that fails
there skips all loops inside. The arithmetic is numpy's, step by step and in double precision: no
step is fused or reordered, so sums and products come out the same to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from roofline.factored.compiled import compiled
from roofline.factored.quantity import Quantity, recorded

Array = np.ndarray

_STEPS = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "power": "{} ** {}",
    "float_power": "{} ** {}",
    # NaN, once there, stays, as with numpy.
    "maximum": "{0} if ({0} > {1} or {0} != {0}) else {1}",
    "minimum": "{0} if ({0} < {1} or {0} != {0}) else {1}",
    "negative": "-{}",
    "positive": "{}",
    "absolute": "abs({})",
    "square": "{0} * {0}",
    "reciprocal": "1.0 / {}",
    "less": "{} < {}",
    "less_equal": "{} <= {}",
    "greater": "{} > {}",
    "greater_equal": "{} >= {}",
    "equal": "{} == {}",
    "not_equal": "{} != {}",
    "logical_and": "{} and {}",
    "logical_or": "{} or {}",
    "bitwise_and": "{} and {}",
    "bitwise_or": "{} or {}",
    "logical_not": "not {}",
    "invert": "not {}",
    "isnan": "{0} != {0}",
    "isfinite": "abs({}) < INFINITY",
    "where": "{1} if {0} else {2}",
    "rising": "{}",
} | {
    name: f"np.{name}({{}})"
    for name in ("sqrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "tanh", "floor",
                 "ceil", "rint")
}  # fmt: skip
_APPROXIMATE = {
    "power", "float_power", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "tanh",
}  # fmt: skip
_LOGICAL = {
    "logical_and", "logical_or", "logical_not", "bitwise_and", "bitwise_or", "invert",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Kernel:
    """Judges every point of a box of a grid, and keeps those that no point of a front beats.

    outputs: what is minimised. conditions: what must hold of a point, in the order given.
    order: axes from the outermost loop to the innermost.
    """

    shape: tuple[int, ...]
    outputs: tuple[Quantity, ...]
    conditions: tuple[Quantity, ...]

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Axes from the outermost loop to the innermost, so that the least is done in the inner."""
        return _cheapest(self._steps, self.shape)

    @cached_property
    def _steps(self) -> list[Quantity]:
        """What is computed; the inputs that only bound a function are not."""
        return recorded((*self.outputs, *self.conditions), computed=True)

    @property
    def steps(self) -> list[tuple[str, tuple[int, ...]]]:
        """Every step with the axes that it is a function of."""
        return [(each.name, each.axes) for each in self._steps if each.values is None]

    def work(self) -> tuple[float, float]:
        """Return operations and table look-ups a point of the grid, conditions skipping nothing.

        A step counts for the points of the loops that it stands in, those of the outer ones alone.
        """
        depth = {axis: level for level, axis in enumerate(self.order)}
        operations = looked_up = 0.0
        for each in self._steps:
            inner = self.order[max((depth[axis] for axis in each.axes), default=-1) + 1 :]
            share = 1.0 / math.prod(self.shape[axis] for axis in inner)
            if each.values is None:
                operations += share
            if each.values is not None or each.row is not None:
                looked_up += share
        return operations, looked_up

    @property
    def to_the_bit(self) -> bool:
        """Whether every step rounds as numpy's does; powers and logarithms need not."""
        return not any(name in _APPROXIMATE for name, _ in self.steps)

    @cached_property
    def source(self) -> str:
        """The loops, as Python."""
        return _write(self)

    @cached_property
    def numbers(self) -> Array:
        """Constants and tables, one after the other, as the loops look them up."""
        return np.concatenate([*self._tables.values(), np.zeros(1)])

    @cached_property
    def _tables(self) -> dict[int, Array]:
        """Numbers that each step is looked up in, flat, by the step's identity."""
        held = ((each, each.row if each.row is not None else each.values) for each in self._steps)
        return {
            id(each): np.asarray(cells, dtype=float).reshape(-1)
            for each, cells in held
            if cells is not None
        }

    @cached_property
    def _compiled(self) -> Callable[..., tuple[int, int]]:
        return compiled(self.source)

    def survivors(
        self, low: Sequence[int], high: Sequence[int], front: Array
    ) -> tuple[Array, Array, int]:
        """Return points of a box that meet all conditions and that no point of a front beats.

        low, high: bounds of the box on each axis, high not included. front: (F, k), sorted by the
        first objective. Returns their numbers in the grid (the last axis fastest), their outputs
        (M, k), and how many points met the conditions.
        """
        cells = math.prod(stop - start for start, stop in zip(low, high, strict=True))
        keys = np.empty(cells, dtype=np.int64)
        points = np.empty((cells, len(self.outputs)))
        least = np.ascontiguousarray(front, dtype=float)
        found, met = self._compiled(
            np.asarray(low, dtype=np.int64),
            np.asarray(high, dtype=np.int64),
            self.numbers,
            least,
            keys,
            points,
        )
        return keys[:found].copy(), points[:found].copy(), met


def _cheapest(steps: Sequence[Quantity], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Order the axes so that few steps are taken in the inner loops; by swaps of neighbours."""
    used = [frozenset(each.axes) for each in steps]
    weights: dict[frozenset[int], int] = {}
    for axes in used:
        weights[axes] = weights.get(axes, 0) + 1

    def work(order: Sequence[int]) -> float:
        total, points = 0.0, 1.0
        depth = {axis: level for level, axis in enumerate(order)}
        at = [0.0] * (len(order) + 1)
        for axes, weight in weights.items():
            at[max((depth[axis] for axis in axes), default=-1) + 1] += weight
        total += at[0]
        for level, axis in enumerate(order):
            points *= shape[axis]
            total += (at[level + 1] + 1.0) * points
        return total

    best = sorted(range(len(shape)), key=lambda axis: shape[axis] == 1)
    least = work(best)
    improved = True
    while improved:
        improved = False
        for i in range(len(best)):
            for j in range(len(best)):
                moved = best[:i] + best[i + 1 :]
                moved.insert(j, best[i])
                if (cost := work(moved)) < least * (1 - 1e-9):
                    best, least, improved = moved, cost, True
    return tuple(best)


def _write(kernel: Kernel) -> str:
    """Write the loops."""
    shape, order = kernel.shape, kernel.order
    depth = {axis: level for level, axis in enumerate(order)}
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    names: dict[int, str] = {}
    lines: list[list[str]] = [[] for _ in range(len(order) + 1)]
    places: dict[tuple[int, ...], str] = {}
    sizes = accumulate(map(len, kernel._tables.values()), initial=0)
    starts = dict(zip(kernel._tables, sizes, strict=False))

    def level(axes: Sequence[int]) -> int:
        return max((depth[axis] for axis in axes), default=-1) + 1

    def place(axes: tuple[int, ...]) -> str:
        """Where a point stands in the tables over some axes, built up loop by loop."""
        if axes not in places:
            name = "p_" + "_".join(map(str, axes))
            before = ""
            for axis in sorted(axes, key=depth.__getitem__):
                stride = math.prod(shape[other] for other in axes if other > axis)
                here = f"{name}_{depth[axis]}"
                lines[depth[axis] + 1].append(
                    f"{here} = " + (f"{before} + " if before else "") + f"i{axis} * {stride}"
                )
                before = here
            places[axes] = before
        return places[axes]

    for number, each in enumerate(kernel._steps):
        name = names[id(each)] = f"v{number}"
        if each.values is not None:
            where = f"{starts[id(each)]}" + (f" + {place(each.axes)}" if each.axes else "")
            truth = " != 0.0" if each.boolean else ""
            lines[level(each.axes)].append(f"{name} = numbers[{where}]{truth}")
            continue
        if each.row is not None:
            step = f"numbers[{starts[id(each)]} + int({names[id(each.inputs[0])]})]"
            lines[level(each.axes)].append(f"{name} = {step}")
            continue
        given = [
            _as_number(names[id(i)], i) if each.name not in _LOGICAL else names[id(i)]
            for i in (each.inputs[:1] if each.name == "rising" else each.inputs)
        ]
        if each.name == "where":
            given[0] = names[id(each.inputs[0])]
        lines[level(each.axes)].append(f"{name} = {_STEPS[each.name].format(*given)}")

    for condition in kernel.conditions:
        lines[level(condition.axes)].append(f"if not {names[id(condition)]}: continue")
    if any(line.endswith("continue") for line in lines[0]):
        lines[0] = [line.replace("continue", "return 0, 0") for line in lines[0]]

    k = len(kernel.outputs)
    last = lines[len(order)]
    last.append("met += 1")
    for column, output in enumerate(kernel.outputs):
        last.append(f"o{column} = {_as_number(names[id(output)], output)}")
    compared = ", ".join(f"o{column}" for column in range(k))
    if k == 2:
        last.append(f"if beaten_of_two(front, {compared}): continue")
    else:
        last.append(f"if beaten(front, ({compared},)): continue")
    last.append("keys[found] = " + " + ".join(f"i{axis} * {strides[axis]}" for axis in order))
    last += [f"points[found, {column}] = o{column}" for column in range(k)]
    last.append("found += 1")

    text = ["def loops(low, high, numbers, front, keys, points):"]
    text += ["    found = 0", "    met = 0"]
    text += [f"    {line}" for line in lines[0]]
    for number, axis in enumerate(order):
        pad = "    " * (number + 1)
        text.append(f"{pad}for i{axis} in range(low[{axis}], high[{axis}]):")
        text += [f"{pad}    {line}" for line in lines[number + 1]]
    text.append("    return found, met")
    return "\n".join(text)


def _as_number(name: str, quantity: Quantity) -> str:
    return f"(1.0 if {name} else 0.0)" if quantity.boolean else name
