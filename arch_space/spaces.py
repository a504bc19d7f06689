"""A space to search: a grid over the fields of an architecture, less what cannot or may not exist.

A point of the grid is a whole number, mixed radix over the dimensions, the last one fastest. Every
quantity of a space is an array with one axis a dimension, of length one along each that it does not
depend on; broadcasting then evaluates a rule on the smallest sub-grid that it touches, once.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from arch_space.architectures import (
    FORMAT_COLUMNS,
    QK_NORMS,
    Architectures,
    columns,
    defaults,
)
from arch_space.formats import default_embedding_format, format_code, format_name
from spec_files import Spec, SpecError, did_you_mean, find_spec, read_spec

Array = np.ndarray
Indices = Array

SPACES = Path(__file__).parent / "spaces"
HELPERS = ("ffn_ratio", "ffn_multiple")
ALL_HEADS = "all"  # kv_heads: as many as there are query heads
_ALL = 0
_MERGE = 2**22  # grid points of a mask up to which rules are folded into one


class Steps(Spec):
    """Evenly spaced values (step) or a geometric series (factor), both ends included."""

    start: int | float = Field(alias="from")
    to: int | float
    step: int | float | None = None
    factor: int | float | None = None

    @model_validator(mode="after")
    def _check(self) -> "Steps":
        if (self.step is None) == (self.factor is None):
            raise SpecError("needs either a step or a factor")
        if self.to < self.start:
            raise SpecError(f"runs from {self.start:g} down to {self.to:g}")
        if self.step is not None and self.step <= 0:
            raise SpecError(f"step must be positive, not {self.step:g}")
        if self.factor is not None and (self.factor <= 1 or self.start <= 0):
            raise SpecError("a geometric series needs a positive start and a factor above one")
        return self

    def values(self) -> list[int | float]:
        """Return the values, whole ones as integers."""
        found: list[int | float] = []
        while True:
            done = len(found)
            value = (
                self.start + done * self.step
                if self.step is not None
                else self.start * float(self.factor or 1) ** done
            )
            if value > self.to * (1 + 1e-9) + 1e-12:
                return found
            value = round(value, 9)
            found.append(int(value) if value == int(value) else value)


def _kind(given: object) -> str:
    return "steps" if isinstance(given, Mapping | Steps) else "list"


Dimension = Annotated[
    Annotated[list[Any], Tag("list")] | Annotated[Steps, Tag("steps")], Discriminator(_kind)
]


class Space(Spec):
    """Architectures to choose from: fixed fields, dimensions, and rules between them.

    Names are the fields of `Architectures`, and two helpers: `ffn_ratio`, the inner width of all
    networks that a token activates over the model's width, and `ffn_multiple`, to which the widths
    that follow are rounded up, as Llama does. Of `query_heads` and `head_size` either may be left
    out: heads then fill the width. `kv_heads` may be `all`. `embedding_format` follows the recipe
    of the weights.

    Left out of every space: what no model can be (heads that KV heads do not divide, more experts
    active than there are, a network of no width), and a point that repeats an earlier one (8 KV
    heads and `all` of 8). Fields without effect are 0: `ffn_width` where all networks are experts.
    """

    name: str
    title: str = ""
    source: str = ""
    fixed: dict[str, Any] = Field(default_factory=dict)
    dimensions: dict[str, Dimension] = Field(min_length=1)
    """Name, or comma-separated names of coupled fields, to its values, or lists of values."""
    rules: list[str] = Field(default_factory=list)
    """`a divides b`, `a <= 4 * b`, either with `if <comparison>` behind it."""

    @model_validator(mode="after")
    def _check(self) -> "Space":
        given: dict[str, tuple[str, str]] = {}
        for part, keys in (("fixed", self.fixed), ("dimensions", self.dimensions)):
            for key in keys:
                for name in _split(key) if part == "dimensions" else (key,):
                    if name not in _KNOBS:
                        hint = did_you_mean(name, _KNOBS)
                        raise SpecError(f"unknown field {name!r}{hint}", at=(part, key))
                    if name in given:
                        raise SpecError(f"{name} is given in {given[name][0]} too", at=(part, key))
                    given[name] = (part, key)
        for name in ("layers", "width", "kv_heads", "vocabulary"):
            if name not in given:
                raise SpecError(f"{name} is missing: give it in fixed or in dimensions")
        if not {"query_heads", "head_size"} & set(given):
            raise SpecError("query_heads or head_size is missing")
        for name in {"ffn_width", "expert_width"} & set(given) if "ffn_ratio" in given else ():
            raise SpecError(f"{name} follows from ffn_ratio: give one of them", at=given[name])
        if given.get("ffn_multiple", ("fixed",))[0] != "fixed":
            raise SpecError("ffn_multiple belongs in fixed", at=given["ffn_multiple"])
        values = self._values
        if not {"ffn_ratio", "ffn_width"} & set(given) and min(values.get("experts", [1])) < 2:
            raise SpecError("ffn_ratio or ffn_width is missing")
        if not {"ffn_ratio", "expert_width"} & set(given) and max(values.get("experts", [1])) > 1:
            raise SpecError("ffn_ratio or expert_width is missing, and there are experts")
        if self.size >= 2**62:
            raise SpecError(f"a grid of {self.size:.2g} points is beyond 2^62", at=("dimensions",))
        for i, text in enumerate(self.rules):
            _Rule.parse(text, at=("rules", i))
        return self

    @cached_property
    def axes(self) -> tuple[tuple[str, ...], ...]:
        """The fields that each dimension sets, in order."""
        return tuple(_split(key) for key in self.dimensions)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """How many values each dimension has."""
        return tuple(len(self._values[names[0]]) for names in self.axes)

    @cached_property
    def size(self) -> int:
        """Points of the raw grid, those that the rules leave out included."""
        return math.prod(self.shape)

    @cached_property
    def valid_count(self) -> int:
        """Candidates: points of the grid that can exist, break no rule and repeat no other."""
        masks = self._grid.masks
        touched = [axis for mask in masks for axis in _axes_of(mask)]
        if len(touched) == len(set(touched)):  # independent of each other: counts multiply
            free = self.size // math.prod(self.shape[axis] for axis in touched)
            return free * math.prod(int(np.count_nonzero(mask)) for mask in masks)
        return sum(len(self._valid_indices(*block)) for block in _blocks(0, self.size, 2**18))

    def labels(self, axis: int) -> list[str]:
        """Return the values of a dimension as a person would write them."""
        names = self.axes[axis]
        cells = zip(*(self._values[name] for name in names), strict=True)
        return [
            " / ".join(_written(n, v) for n, v in zip(names, row, strict=True)) for row in cells
        ]

    def candidates(self, start: int = 0, stop: int | None = None) -> tuple[Architectures, Indices]:
        """Return the candidates among the points [start, stop), and their indices, ascending."""
        indices = self._valid_indices(start, self.size if stop is None else min(stop, self.size))
        return self.at(indices), indices

    def at(self, indices: Indices) -> Architectures:
        """Return the architectures at some points, valid ones or not; see `valid`."""
        indices = np.atleast_1d(np.asarray(indices))
        if indices.size and not 0 <= indices.min() <= indices.max() < self.size:
            raise SpecError(f"{self.name}: an index outside its {self.size} points")
        whole = len(indices)
        values: dict[str, Any] = {}
        varying = {}
        for name, table in self._grid.tables.items():
            if table.axes or name == "layers":
                values[name] = np.empty(whole, table.values.dtype)
                varying[name] = table
            else:
                values[name] = table.values
        for start, stop in _blocks(0, whole, _BLOCK):
            point = _Point(self._narrow(indices[start:stop]), self._strides, self.shape)
            for name, table in varying.items():
                point.take(table, out=values[name][start:stop])
        return Architectures(**values)

    def valid(self, indices: Indices) -> Array:
        """Return whether each point is a candidate, (N,) booleans."""
        point = _Point(self._narrow(np.asarray(indices)), self._strides, self.shape)
        valid = np.ones(len(indices), dtype=bool)
        for table in self._grid.rules:
            valid &= point.take(table)
        return valid

    def choices(self, indices: Indices) -> Array:
        """Return which value each dimension takes at some points, (N, dimensions)."""
        return np.stack(np.unravel_index(indices, self.shape), axis=-1)

    def indices(self, choices: Array) -> Indices:
        """Return the points with these choices; the inverse of `choices`."""
        return np.asarray(np.asarray(choices, dtype=np.int64) @ np.array(self._strides))

    def to_yaml(self) -> str:
        """Return the space as the text of a file that reads back equal."""
        import yaml

        data = self.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
        return str(
            yaml.safe_dump(data, sort_keys=False, default_flow_style=None, allow_unicode=True)
        )

    @cached_property
    def _strides(self) -> tuple[int, ...]:
        return tuple(math.prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))

    @cached_property
    def _values(self) -> dict[str, list[Any]]:
        """Every field that a dimension sets, with its value at each choice, in code."""
        found: dict[str, list[Any]] = {}
        for key, given in self.dimensions.items():
            names = _split(key)
            rows = given.values() if isinstance(given, Steps) else given
            if not rows:
                raise SpecError("has no values", at=("dimensions", key))
            for i, row in enumerate(rows):
                at = ("dimensions", key) if isinstance(given, Steps) else ("dimensions", key, i)
                cells = row if len(names) > 1 else [row]
                if not isinstance(cells, list) or len(cells) != len(names):
                    raise SpecError(f"read {row!r} where {len(names)} values belong", at=at)
                for name, cell in zip(names, cells, strict=True):
                    found.setdefault(name, []).append(_coded(name, cell, at))
            seen = list(zip(*(found[name] for name in names), strict=True))
            twice = [i for i, cells in enumerate(seen) if cells in seen[:i]]
            if twice:
                raise SpecError(f"gives {rows[twice[0]]!r} twice", at=("dimensions", key))
        for key, cell in self.fixed.items():
            found[key] = [_coded(key, cell, ("fixed", key))]
        return found

    @cached_property
    def _grid(self) -> "_Grid":
        return _Grid.of(self)

    def _narrow(self, indices: Indices) -> Indices:
        """Indices in the narrowest type that holds them: 32-bit division is four times as fast."""
        return indices.astype(np.uint32 if self.size <= 2**32 else np.int64, copy=False)

    def _valid_indices(self, start: int, stop: int) -> Indices:
        found = [np.empty(0, dtype=np.int64)]
        for low, high in _blocks(start, stop, _BLOCK):
            block = np.arange(low, high)
            found.append(block[self.valid(block)] if self._grid.rules else block)
        return np.concatenate(found)


def load_space(name_or_path: str | Path) -> Space:
    """Return a space by the name of a shipped one or by the path of a file."""
    return read_spec(find_spec(name_or_path, SPACES, "space"), Space)


def shipped_spaces() -> list[str]:
    """Return the names of the spaces that come with the package."""
    return sorted(file.stem for file in SPACES.glob("*.yaml"))


_KNOBS = (*columns(), *HELPERS)
_BLOCK = 2**14  # points decoded at a time, so that the work stays in cache


@dataclass(frozen=True)
class _Table:
    """The values of one quantity on the sub-grid of the axes it depends on, flat."""

    values: Array
    axes: tuple[int, ...]

    @classmethod
    def of(cls, quantity: Array) -> "_Table":
        return cls(np.ascontiguousarray(quantity).reshape(-1), _axes_of(quantity))


class _Point:
    """Some points of a grid: choices are worked out once an axis, places once a set of axes."""

    def __init__(self, indices: Indices, strides: tuple[int, ...], shape: tuple[int, ...]):
        self.indices, self.strides, self.shape = indices, strides, shape
        self.choices: dict[int, Array] = {}
        self.places: dict[tuple[int, ...], Array] = {(): np.zeros(len(indices), dtype=np.intp)}

    def choice(self, axis: int) -> Array:
        if axis not in self.choices:
            number = self.indices.dtype.type
            above = self.indices // number(self.strides[axis])
            if axis:
                above = above - above // number(self.shape[axis]) * number(self.shape[axis])
            self.choices[axis] = above
        return self.choices[axis]

    def place(self, axes: tuple[int, ...]) -> Array:
        if axes not in self.places:
            place = self.choice(axes[0])
            for axis in axes[1:]:
                place = place * self.indices.dtype.type(self.shape[axis]) + self.choice(axis)
            self.places[axes] = place.astype(np.intp)
        return self.places[axes]

    def take(self, table: _Table, out: Array | None = None) -> Array:
        return np.take(table.values, self.place(table.axes), out=out, mode="clip")


@dataclass(frozen=True)
class _Grid:
    """A space worked out: the columns of its architectures and the masks of what is left out."""

    tables: Mapping[str, _Table]
    masks: tuple[Array, ...]
    rules: tuple[_Table, ...]

    @classmethod
    def of(cls, space: Space) -> "_Grid":
        given = _along_axes(space)
        quantity = dict(given)
        impossible = _complete(quantity)
        rules = [_Rule.parse(text, at=("rules", i)) for i, text in enumerate(space.rules)]
        # A helper is not part of an architecture, so a rule on it tells repeated points apart.
        on_helpers = [rule for rule in rules if set(HELPERS) & rule.names]
        kept = [rule.holds(quantity) for rule in on_helpers]
        masks = [~wrong for wrong in impossible]
        masks += kept + [rule.holds(quantity) for rule in rules if rule not in on_helpers]
        alive = np.ones((1,) * len(space.shape), dtype=bool)
        for mask in kept:
            alive = alive & mask
        for axis, names in enumerate(space.axes):
            owned = [column for name in names for column in _SETS.get(name, (name,))]
            if any(quantity[name] is not given.get(name) for name in owned):
                masks.append(~_repeats(axis, [quantity[name] for name in owned], alive))
        folded = tuple(_fold([mask for mask in masks if not mask.all()]))
        return cls(
            tables={name: _Table.of(quantity[name]) for name in columns()},
            masks=folded,
            rules=tuple(_Table.of(mask) for mask in folded),
        )


_SETS = {"ffn_ratio": ("ffn_width", "expert_width")}
_AT_LEAST_ONE = {"experts", "experts_per_token"}


def _along_axes(space: Space) -> dict[str, Array]:
    """The fields as given, each along the axis of its dimension."""
    dimensions = len(space.shape)
    axis_of = {name: axis for axis, names in enumerate(space.axes) for name in names}

    def array(name: str, values: Any) -> Array:
        shape = [1] * dimensions
        if name in axis_of:
            shape[axis_of[name]] = len(values)
        return np.asarray(values).reshape(shape)

    return {name: array(name, values) for name, values in space._values.items()}


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
    if (q["kv_heads"] == _ALL).any():
        q["kv_heads"] = np.where(q["kv_heads"] == _ALL, q["query_heads"], q["kv_heads"])
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
            shares = set(_axes_of(first)) & set(_axes_of(other))
            if shares and math.prod(np.broadcast_shapes(first.shape, other.shape)) <= _MERGE:
                masks[i] = first & other
                break
        else:
            yield first


def _axes_of(quantity: Array) -> tuple[int, ...]:
    return tuple(axis for axis, length in enumerate(quantity.shape) if length > 1)


def _blocks(start: int, stop: int, length: int) -> Iterator[tuple[int, int]]:
    return ((low, min(low + length, stop)) for low in range(start, stop, length))


_COMPARE: dict[str, Callable[[Array, Array], Array]] = {
    "divides": lambda a, b: np.equal(np.mod(b, np.where(a == 0, np.nan, a)), 0),
    "<=": np.less_equal,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    ">": np.greater,
}
_OPERATOR = re.compile(r"\s(divides)\s|(<=|>=|==|!=|<|>)")


@dataclass(frozen=True)
class _Comparison:
    left: tuple[str | float, ...]
    how: str
    right: tuple[str | float, ...]

    def holds(self, quantity: Mapping[str, Array]) -> Array:
        def product(factors: tuple[str | float, ...]) -> Array:
            values = [quantity[f] if isinstance(f, str) else np.asarray(f) for f in factors]
            return math.prod(values[1:], start=values[0])

        return _COMPARE[self.how](product(self.left), product(self.right))


@dataclass(frozen=True)
class _Rule:
    """A comparison that must hold, where its condition does."""

    must: _Comparison
    where: _Comparison | None = None

    @classmethod
    def parse(cls, text: str, at: tuple[str | int, ...]) -> "_Rule":
        must, *where = re.split(r"\sif\s", text)
        if len(where) > 1:
            raise SpecError(f"{text!r} has more than one 'if'", at=at)
        return cls(_comparison(must, at), _comparison(where[0], at) if where else None)

    @property
    def names(self) -> set[str]:
        parts = [self.must] if self.where is None else [self.must, self.where]
        return {f for part in parts for f in (*part.left, *part.right) if isinstance(f, str)}

    def holds(self, quantity: Mapping[str, Array]) -> Array:
        held = self.must.holds(quantity)
        return held if self.where is None else held | ~self.where.holds(quantity)


def _comparison(text: str, at: tuple[str | int, ...]) -> _Comparison:
    found = _OPERATOR.findall(text)
    if len(found) != 1:
        raise SpecError(
            f"{text.strip()!r} is not a rule: write e.g. 'kv_heads divides query_heads' "
            "or 'experts_per_token <= experts'",
            at=at,
        )
    left, right = _OPERATOR.sub("\0", text).split("\0")

    def factors(side: str) -> tuple[str | float, ...]:
        return tuple(_factor(word.strip(), text.strip(), at) for word in side.split("*"))

    return _Comparison(factors(left), "".join(found[0]), factors(right))


def _factor(word: str, text: str, at: tuple[str | int, ...]) -> str | float:
    if re.fullmatch(r"\d+(\.\d+)?", word):
        return float(word)
    names = (*columns(), "ffn_ratio")
    if word in FORMAT_COLUMNS:
        raise SpecError(f"{text!r}: {word} is not a number to compare", at=at)
    if word not in names:
        raise SpecError(f"{text!r}: unknown field {word!r}{did_you_mean(word, names)}", at=at)
    return word


def _split(key: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in key.split(","))


def _coded(name: str, cell: Any, at: tuple[str | int, ...]) -> int | float | bool:
    """Return a value of a field as it stands in a column; SpecError if it cannot be one."""
    if name in FORMAT_COLUMNS:
        if not isinstance(cell, str):
            raise SpecError(f"read {cell!r} where the name of a number format belongs", at=at)
        try:
            return format_code(cell)
        except SpecError as unknown:
            raise SpecError(str(unknown), at=at) from None
    if name == "kv_heads" and cell == ALL_HEADS:
        return _ALL
    if name == "qk_norm" and isinstance(cell, str):
        if cell in QK_NORMS:
            return QK_NORMS.index(cell)
        raise SpecError(f"unknown qk_norm {cell!r}{did_you_mean(cell, QK_NORMS)}", at=at)
    default = {**defaults(), "ffn_ratio": 1.0}.get(name, 1)
    if isinstance(default, bool):
        if isinstance(cell, bool):
            return cell
        raise SpecError(f"read {cell!r} where true or false belongs", at=at)
    if isinstance(cell, bool) or not isinstance(cell, int | float) or not math.isfinite(cell):
        what = f"a number or {ALL_HEADS!r}" if name == "kv_heads" else "a number"
        raise SpecError(f"read {cell!r} where {what} belongs", at=at)
    if isinstance(default, int) and cell != int(cell):
        raise SpecError(f"read {cell!r} where a whole number belongs", at=at)
    if name == "ffn_ratio" and cell <= 0:
        raise SpecError(f"read {cell!r} where a positive number belongs", at=at)
    least = 0 if name in (defaults().keys() | {"ffn_ratio"}) - _AT_LEAST_ONE else 1
    if cell < least:
        raise SpecError(f"read {cell!r} where a number of at least {least} belongs", at=at)
    if (name.endswith("_sparsity") and cell >= 1) or (name == "window_share" and cell > 1):
        raise SpecError(f"read {cell!r} where a share of one belongs", at=at)
    return float(cell) if isinstance(default, float) else int(cell)


def _written(name: str, value: Any) -> str:
    if name in FORMAT_COLUMNS:
        return format_name(value)
    if name == "kv_heads" and value == _ALL:
        return ALL_HEADS
    return f"{value:g}" if not isinstance(value, bool) else str(value).lower()
