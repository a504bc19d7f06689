"""A grid worked out: every quantity of a space on the smallest sub-grid that it depends on.

A point of the grid is a whole number, mixed radix over the axes, the last one fastest. Every
quantity is an array with one axis a dimension, of length one along each that it does not depend on;
broadcasting then evaluates a rule on the smallest sub-grid that it touches, once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arch_space.architectures import columns, defaults
from arch_space.formats import default_embedding_format, format_code, format_name
from arch_space.rules import HELPERS, Rule

Array = np.ndarray
Indices = Array

ALL = 0  # kv_heads in code: as many as there are query heads
_MERGE = 2**22  # grid points of a mask up to which rules are folded into one


@dataclass(frozen=True)
class Table:
    """The values of one quantity on the sub-grid of the axes it depends on, flat."""

    values: Array
    axes: tuple[int, ...]

    @classmethod
    def of(cls, quantity: Array) -> "Table":
        """Flatten a quantity that has one axis a dimension."""
        return cls(np.ascontiguousarray(quantity).reshape(-1), axes_of(quantity))


class Point:
    """Some points of a grid: choices are worked out once an axis, places once a set of axes."""

    def __init__(self, indices: Indices, strides: tuple[int, ...], shape: tuple[int, ...]):
        self.indices, self.strides, self.shape = indices, strides, shape
        self.choices: dict[int, Array] = {}
        self.places: dict[tuple[int, ...], Array] = {(): np.zeros(len(indices), dtype=np.intp)}

    def choice(self, axis: int) -> Array:
        """Return which value of an axis each point takes."""
        if axis not in self.choices:
            number = self.indices.dtype.type
            above = self.indices // number(self.strides[axis])
            if axis:
                above = above - above // number(self.shape[axis]) * number(self.shape[axis])
            self.choices[axis] = above
        return self.choices[axis]

    def place(self, axes: tuple[int, ...]) -> Array:
        """Return where each point lies in the flat sub-grid of some axes."""
        if axes not in self.places:
            place = self.choice(axes[0])
            for axis in axes[1:]:
                place = place * self.indices.dtype.type(self.shape[axis]) + self.choice(axis)
            self.places[axes] = place.astype(np.intp)
        return self.places[axes]

    def take(self, table: Table, out: Array | None = None) -> Array:
        """Return the value of a quantity at each point."""
        return np.take(table.values, self.place(table.axes), out=out, mode="clip")


@dataclass(frozen=True)
class Grid:
    """A space worked out: the columns of its architectures and the masks of what is left out."""

    tables: Mapping[str, Table]
    masks: tuple[Array, ...]
    rules: tuple[Table, ...]

    @classmethod
    def of(
        cls, values: Mapping[str, list[Any]], axes: Sequence[tuple[str, ...]], rules: Sequence[Rule]
    ) -> "Grid":
        """Work out a space: its fields' values, the fields that each axis sets, and its rules."""
        given = _along_axes(values, axes)
        quantity = dict(given)
        impossible = _complete(quantity)
        # A helper is not part of an architecture, so a rule on it tells repeated points apart.
        on_helpers = [rule for rule in rules if set(HELPERS) & rule.names]
        kept = [rule.holds(quantity) for rule in on_helpers]
        masks = [~wrong for wrong in impossible]
        masks += kept + [rule.holds(quantity) for rule in rules if rule not in on_helpers]
        alive = np.ones((1,) * len(axes), dtype=bool)
        for mask in kept:
            alive = alive & mask
        for axis, names in enumerate(axes):
            owned = [column for name in names for column in _SETS.get(name, (name,))]
            if any(quantity[name] is not given.get(name) for name in owned):
                masks.append(~_repeats(axis, [quantity[name] for name in owned], alive))
        folded = tuple(_fold([mask for mask in masks if not mask.all()]))
        return cls(
            tables={name: Table.of(quantity[name]) for name in columns()},
            masks=folded,
            rules=tuple(Table.of(mask) for mask in folded),
        )


_SETS = {"ffn_ratio": ("ffn_width", "expert_width")}


def _along_axes(
    values: Mapping[str, list[Any]], axes: Sequence[tuple[str, ...]]
) -> dict[str, Array]:
    """The fields as given, each along the axis of its dimension."""
    axis_of = {name: axis for axis, names in enumerate(axes) for name in names}

    def array(name: str, cells: list[Any]) -> Array:
        shape = [1] * len(axes)
        if name in axis_of:
            shape[axis_of[name]] = len(cells)
        return np.asarray(cells).reshape(shape)

    return {name: array(name, cells) for name, cells in values.items()}


def _complete(q: dict[str, Array]) -> list[Array]:
    """Add the fields that follow from others; return where no model can be, as masks."""
    scalar = (1,) * next(iter(q.values())).ndim
    for name, value in defaults().items():
        if name not in q and name not in ("expert_width", "embedding_format"):
            q[name] = np.full(scalar, value)
    wrong = []
    if "head_size" not in q:
        q["head_size"] = q["width"] // q["query_heads"]
        wrong.append(q["width"] % q["query_heads"] != 0)
    elif "query_heads" not in q:
        q["query_heads"] = q["width"] // q["head_size"]
        wrong.append(q["width"] % q["head_size"] != 0)
    if (q["kv_heads"] == ALL).any():
        q["kv_heads"] = np.where(q["kv_heads"] == ALL, q["query_heads"], q["kv_heads"])
    if "embedding_format" not in q:
        recipe = [default_embedding_format(format_name(c)) for c in q["weight_format"].flat]
        codes = np.array([format_code(name) for name in recipe])
        q["embedding_format"] = codes.reshape(q["weight_format"].shape)

    moe = q["experts"] > 1
    dense = ~moe | (q["dense_layers"] > 0)
    if "ffn_ratio" in q:
        multiple = q.get("ffn_multiple", np.ones(scalar, dtype=int))
        active = np.where(moe, q["experts_per_token"] + q["shared_experts"], 1)
        inner = q["ffn_ratio"] * q["width"] / multiple
        q["ffn_width"] = np.ceil(inner - 1e-9).astype(int) * multiple
        q["expert_width"] = np.ceil(inner / active - 1e-9).astype(int) * multiple
    zero = np.zeros(scalar, dtype=int)
    for name, has_it in (("ffn_width", dense), ("expert_width", moe)):
        width = q.get(name, zero)
        wrong.append(has_it & (width < 1))
        q[name] = width if has_it.all() else np.where(has_it, width, 0)
    slides = q["window_share"] > 0
    q["window"] = q["window"] if slides.all() else np.where(slides, q["window"], 0)

    wrong += [q[name] < 1 for name in ("layers", "width", "query_heads", "kv_heads", "head_size")]
    wrong += [
        q["query_heads"] % np.maximum(q["kv_heads"], 1) != 0,
        q["experts_per_token"] > q["experts"],
        (q["experts"] < 1) | (q["experts_per_token"] < 1),
        q["dense_layers"] > q["layers"],
        ~moe & (q["dense_layers"] > 0),
        ~moe & (q["shared_experts"] > 0),
        slides & (q["window"] < 1),
        q["rope_size"] > q["head_size"],
        q["two_four"] & (q["weight_sparsity"] != 0.5),
    ]
    return wrong


def _repeats(axis: int, owned: list[Array], alive: Array) -> Array:
    """Where a dimension's choice gives what an earlier, living choice of it gives already."""
    shape = np.broadcast_shapes(*(column.shape for column in owned), alive.shape)
    full = [np.moveaxis(np.broadcast_to(column, shape), axis, 0) for column in owned]
    living = np.moveaxis(np.broadcast_to(alive, shape), axis, 0)
    repeats = np.zeros(living.shape, dtype=bool)
    for i in range(1, len(repeats)):
        same = living[:i].copy()
        for column in full:
            same &= column[:i] == column[i]
        repeats[i] = same.any(axis=0)
    return np.moveaxis(repeats, 0, axis)


def _fold(masks: list[Array]) -> Iterator[Array]:
    """Join masks that share an axis into one, as long as the sub-grid that they span is small."""
    masks = sorted(masks, key=lambda mask: mask.size)
    while masks:
        first = masks.pop(0)
        for i, other in enumerate(masks):
            shares = set(axes_of(first)) & set(axes_of(other))
            if shares and math.prod(np.broadcast_shapes(first.shape, other.shape)) <= _MERGE:
                masks[i] = first & other
                break
        else:
            yield first


def axes_of(quantity: Array) -> tuple[int, ...]:
    """Return the axes that a quantity depends on."""
    return tuple(axis for axis, length in enumerate(quantity.shape) if length > 1)


def blocks(start: int, stop: int, length: int) -> Iterator[tuple[int, int]]:
    """Cut [start, stop) into stretches of at most a length."""
    return ((low, min(low + length, stop)) for low in range(start, stop, length))
