"""A grid worked out: every quantity of a space on the smallest sub-grid that it depends on.

A point of the grid is a whole number, mixed radix over the axes, the last one fastest. Every
quantity is an array with one axis a dimension, of length one along each that it does not depend on;
broadcasting then evaluates a rule on the smallest sub-grid that it touches, once.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arch_space.architectures import columns, defaults
from arch_space.formats import default_embedding_format, format_code, format_name
from arch_space.rules import HELPERS, Rule
from spec_files import SpecError

Array = np.ndarray
Indices = Array

ALL = 0  # kv_heads in code: as many as there are query heads
_MERGE = 2**22  # grid points of a mask up to which rules are folded into one
_MOST_CELLS = 10**7  # of the sub-grid that one quantity or rule depends on


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False)
class Condition:
    """What must hold of a candidate, in words, and where it does; `at`: key path of a rule."""

    words: str
    mask: Array
    at: tuple[str | int, ...] = ()


@dataclass(frozen=True, eq=False)
class Grid:
    """A space worked out: the columns of its architectures and the masks of what is left out."""

    tables: Mapping[str, Table]
    masks: tuple[Array, ...]
    rules: tuple[Table, ...]

    @classmethod
    def of(
        cls,
        name: str,
        values: Mapping[str, list[Any]],
        axes: Sequence[tuple[str, ...]],
        rules: Sequence[Rule],
    ) -> "Grid":
        """Work out a space: its fields' values, the fields that each axis sets, and its rules.

        name: of the space, for errors.
        Raises SpecError where it is too large to work out, and where no candidate is left of it.
        """
        given = _along_axes(values, axes)
        for together in _TOGETHER:
            _check_cells((given[name] for name in together if name in given), axes)
        quantity = dict(given)
        conditions = _complete(quantity)
        for rule in rules:
            _check_cells((quantity[name] for name in rule.names), axes, rule.at)
            conditions.append(Condition(rule.text, rule.holds(quantity), rule.at))
        # A helper is not part of an architecture, so a rule on it tells repeated points apart.
        paths = {rule.at for rule in rules if set(HELPERS) & rule.names}
        kept = [condition.mask for condition in conditions if condition.at in paths]
        masks = [condition.mask for condition in conditions]
        for axis, names in enumerate(axes):
            sets = [column for name in names for column in _SETS.get(name, (name,))]
            if any(quantity[column] is not given.get(column) for column in sets):
                owned = [quantity[column] for column in sets]
                telling = [mask for mask in kept if axis in axes_of(mask)]
                _check_cells([*owned, *telling], axes)
                masks.append(~_repeats(axis, owned, telling))
        folded = tuple(_fold([mask for mask in masks if not mask.all()]))
        _check_something_is_left(name, conditions, folded)
        return cls(
            tables={name: Table.of(quantity[name]) for name in columns()},
            masks=folded,
            rules=tuple(Table.of(mask) for mask in folded),
        )


# Fields that meet in one quantity or condition.
_TOGETHER = (
    ("width", "query_heads", "head_size", "kv_heads"),
    ("width", "query_heads", "head_size", "rope_size"),
    (
        "width", "ffn_ratio", "ffn_width", "expert_width",
        "experts", "experts_per_token", "shared_experts", "dense_layers",
    ),
    ("layers", "dense_layers"),
    ("window", "window_share"),
    ("two_four", "weight_sparsity"),
)  # fmt: skip
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


def _check_cells(
    quantities: Iterable[Array], axes: Sequence[tuple[str, ...]], at: tuple[str | int, ...] = ()
) -> None:
    """Refuse quantities that together span a sub-grid too large to hold, before it is made."""
    shape = np.broadcast_shapes(*(quantity.shape for quantity in quantities))
    cells = math.prod(shape)
    if cells > _MOST_CELLS:
        coupled = [", ".join(axes[axis]) for axis, length in enumerate(shape) if length > 1]
        raise SpecError(
            f"{' x '.join(coupled)} depend on each other and have {cells:,} combinations; "
            f"at most {_MOST_CELLS:,} can be worked out",
            at=at or ("dimensions",),
        )


def _check_something_is_left(
    name: str, conditions: Sequence[Condition], folded: Iterable[Array]
) -> None:
    """Raise SpecError for a condition that leaves no candidate, by itself or after those before.

    Masks too large to fold may exclude each other unnoticed: only a search finds that out.
    """

    def refuse(last: Condition, where: str) -> None:
        why = f"{last.words!r} holds nowhere{where}"
        raise SpecError(f"no candidate of {name} is left: {why}", at=last.at)

    for condition in conditions:
        if not condition.mask.any():
            refuse(condition, "")
    for mask in folded:
        alive = np.ones((1,) * mask.ndim, dtype=bool)
        inside = (c for c in conditions if set(axes_of(c.mask)) <= set(axes_of(mask)))
        for condition in inside if not mask.any() else ():
            alive = alive & condition.mask
            if not alive.any():
                refuse(condition, " that the rest of the space allows")


def count(masks: Sequence[Array], shape: Sequence[int]) -> int:
    """Count the points of a grid that all masks allow, without going through the points."""
    touched = [axis for mask in masks for axis in axes_of(mask)]
    free = math.prod(length for axis, length in enumerate(shape) if axis not in touched)
    operands: list[Any] = []
    for mask in masks:
        shared = [axis for axis in axes_of(mask) if touched.count(axis) > 1]
        rest = tuple(axis for axis in range(mask.ndim) if axis not in shared)
        operands += [mask.sum(axis=rest, dtype=np.int64), shared]
    return free * int(np.einsum(*operands, [], optimize="greedy")) if operands else free


def _complete(q: dict[str, Array]) -> list[Condition]:
    """Add the fields that follow from others; return what makes a model possible."""
    scalar = (1,) * next(iter(q.values())).ndim
    for name, value in defaults().items():
        if name not in q and name not in ("expert_width", "embedding_format"):
            q[name] = np.full(scalar, value)
    met = []

    def must(words: str, holds: Array) -> None:
        met.append(Condition(words, holds))

    if "head_size" not in q:
        q["head_size"] = q["width"] // q["query_heads"]
        must("query_heads divides width", q["width"] % q["query_heads"] == 0)
    elif "query_heads" not in q:
        q["query_heads"] = q["width"] // q["head_size"]
        must("head_size divides width", q["width"] % q["head_size"] == 0)
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
        must(f"{name} is at least 1", ~has_it | (width >= 1))
        q[name] = width if has_it.all() else np.where(has_it, width, 0)
    slides = q["window_share"] > 0
    q["window"] = q["window"] if slides.all() else np.where(slides, q["window"], 0)

    for name in ("layers", "width", "query_heads", "kv_heads", "head_size"):
        must(f"{name} is at least 1", q[name] >= 1)
    divided = q["query_heads"] % np.maximum(q["kv_heads"], 1) == 0
    must("kv_heads divides query_heads", divided)
    must("experts_per_token is at most experts", q["experts_per_token"] <= q["experts"])
    must(
        "experts and experts_per_token are at least 1",
        (q["experts"] >= 1) & (q["experts_per_token"] >= 1),
    )
    must("dense_layers is at most layers", q["dense_layers"] <= q["layers"])
    must("dense_layers are of a MoE model", moe | (q["dense_layers"] == 0))
    must("shared_experts are of a MoE model", moe | (q["shared_experts"] == 0))
    must("window_share has a window", ~slides | (q["window"] >= 1))
    must("rope_size is at most head_size", q["rope_size"] <= q["head_size"])
    must("two_four has weight_sparsity 0.5", ~q["two_four"] | (q["weight_sparsity"] == 0.5))
    return met


def _repeats(axis: int, owned: list[Array], alive: list[Array]) -> Array:
    """Where a dimension's choice gives what an earlier, living choice of it gives already."""
    shape = np.broadcast_shapes(*(array.shape for array in (*owned, *alive)))
    codes = np.zeros((1,) * len(shape), dtype=np.int64)
    for column in owned:
        numbers, code = np.unique(column, return_inverse=True)
        pairs = codes * len(numbers) + code.reshape(column.shape)
        codes = np.unique(pairs, return_inverse=True)[1].reshape(pairs.shape)
    places = np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    codes = np.broadcast_to(codes, shape)
    for mask in alive:
        codes = np.where(mask, codes, -1 - places)  # the dead are like nothing else
    order = np.argsort(codes, axis=axis, kind="stable")
    ordered = np.take_along_axis(codes, order, axis)
    same = np.diff(ordered, axis=axis, prepend=codes.min() - 1) == 0
    repeats = np.empty(shape, dtype=bool)
    np.put_along_axis(repeats, order, same, axis)
    return repeats


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
