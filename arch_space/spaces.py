"""A space to search: a grid over the fields of an architecture, less what cannot or may not exist.

A point of the grid is a whole number, mixed radix over the dimensions, the last one fastest.
"""

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from arch_space.architectures import (
    FORMAT_COLUMNS,
    LARGEST,
    QK_NORMS,
    Architectures,
    columns,
    defaults,
)
from arch_space.formats import format_code, format_name
from arch_space.grid import ALL, Grid, Point, blocks, count
from arch_space.rules import HELPERS, Rule
from spec_files import (
    Spec,
    SpecError,
    did_you_mean,
    find_spec,
    read_spec,
    short,
    validate_spec,
    yaml_text,
)

Array = np.ndarray
Indices = Array

SPACES = Path(__file__).parent / "spaces"
MOST_VALUES = 10_000  # of a dimension
_ROUNDING = 1e-6  # of a step
ALL_HEADS = "all"  # kv_heads: as many as there are query heads


class Steps(Spec):
    """Evenly spaced values (step) or a geometric series (factor), both ends included."""

    start: int | float = Field(alias="from")
    """First value."""
    to: int | float
    """Last value, where steps from the first meet it."""
    step: int | float | None = None
    """From one value to the next; either this or a factor."""
    factor: int | float | None = None
    """Each value over the one before."""

    @model_validator(mode="after")
    def _check(self) -> "Steps":
        if (self.step is None) == (self.factor is None):
            raise SpecError("needs either a step or a factor")
        for name, number in self.model_dump(by_alias=True, exclude_none=True).items():
            if abs(number) > LARGEST:
                what = f"a number of at most {LARGEST}"
                raise SpecError(f"read {short(number)} where {what} belongs", at=(name,))
        if self.to < self.start:
            raise SpecError(f"runs from {self.start:g} down to {self.to:g}")
        if self.step is not None and self.step <= 0:
            raise SpecError(f"step must be positive, not {self.step:g}")
        if self.factor is not None and (self.factor <= 1 or self.start <= 0):
            raise SpecError("a geometric series needs a positive start and a factor above one")
        if (many := self._many()) > MOST_VALUES:
            raise SpecError(f"has {many:.3g} values, where a dimension has at most {MOST_VALUES:,}")
        return self

    def _many(self) -> float:
        """How many values there are; a whole number of them, and what is left of a step."""
        if self.step is not None:
            return (self.to - self.start) / self.step + 1 + _ROUNDING
        return math.log(self.to / self.start) / math.log(self.factor or 1) + 1 + _ROUNDING

    def values(self) -> list[int | float]:
        """Return the values, whole ones as integers."""
        found: list[int | float] = []
        for done in range(int(self._many())):
            value = (
                self.start + done * self.step
                if self.step is not None
                else self.start * float(self.factor or 1) ** done
            )
            value = round(value, 9)
            found.append(int(value) if value == int(value) else value)
        return found


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
    """Lower case; the file's name without `.yaml`."""
    title: str = ""
    """What it holds, in words."""
    source: str = ""
    """Where its bounds and values come from, and when."""
    fixed: dict[str, Any] = Field(default_factory=dict)
    """Fields that all candidates share; one without a default must stand here or in dimensions."""
    dimensions: dict[str, Dimension] = Field(min_length=1)
    """Fields that vary: a name, or comma-separated names of coupled fields, to its values: a list,
    even steps (from, to, step) or a series (from, to, factor); of coupled fields a list of lists.
    The grid's size is the product."""
    rules: list[str] = Field(default_factory=list)
    """Comparisons that a candidate must pass: `a divides b`, `a <= 4 * b`, either with `if
    <comparison>` behind it."""

    @model_validator(mode="after")
    def _check(self) -> "Space":
        given: dict[str, tuple[str, str]] = {}
        for part, keys in (("fixed", self.fixed), ("dimensions", self.dimensions)):
            for key in keys:
                for name in _split(key) if part == "dimensions" else (key,):
                    if name not in KNOBS:
                        hint = did_you_mean(name, KNOBS)
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
        assert self._grid  # worked out here, so that what is wrong with it is told of the file
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
        return count(self._grid.masks, self.shape)

    def tables(self) -> dict[str, Array]:
        """Return every column of `Architectures` over the grid, valid points or not.

        Each is shaped one axis a dimension, of length one where the column does not depend on it.
        """
        return {
            name: table.values.reshape(
                [n if a in table.axes else 1 for a, n in enumerate(self.shape)]
            )
            for name, table in self._grid.tables.items()
        }

    def masks(self) -> tuple[Array, ...]:
        """Return what must hold of a point to be a candidate: all of these, shaped as `tables`."""
        return self._grid.masks

    def values(self, axis: int) -> dict[str, list[Any]]:
        """Return the fields that a dimension sets, each with its value at every choice, in code:
        formats and `qk_norm` by number, `all` KV heads as 0."""
        return {name: list(self._values[name]) for name in self.axes[axis]}

    def labels(self, axis: int) -> list[str]:
        """Return the values of a dimension as a person would write them."""
        names = self.axes[axis]
        cells = zip(*(self._values[name] for name in names), strict=True)
        return [
            " / ".join(_written(n, v) for n, v in zip(names, row, strict=True)) for row in cells
        ]

    def candidates(self, start: int = 0, stop: int | None = None) -> tuple[Architectures, Indices]:
        """Return the N candidates among the points [start, stop), and their indices, (N,), rising.

        start, stop: positions in the raw grid of `size` points, rules or not.
        """
        indices = self._valid_indices(start, self.size if stop is None else min(stop, self.size))
        return self.at(indices), indices

    def at(self, indices: Indices) -> Architectures:
        """Return the architectures at some points, (N,) indices of valid ones or not; see `valid`.

        Raises SpecError for an index outside the grid.
        """
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
        for start, stop in blocks(0, whole, _BLOCK):
            point = Point(self._narrow(indices[start:stop]), self._strides, self.shape)
            for name, table in varying.items():
                point.take(table, out=values[name][start:stop])
        return Architectures(**values)

    def valid(self, indices: Indices) -> Array:
        """Return whether each point is a candidate, (N,) booleans."""
        point = Point(self._narrow(np.asarray(indices)), self._strides, self.shape)
        valid = np.ones(len(indices), dtype=bool)
        for table in self._grid.rules:
            valid &= point.take(table)
        return valid

    def choices(self, indices: Indices) -> Array:
        """Return which value each dimension takes at some points, (N, dimensions)."""
        return np.stack(np.unravel_index(indices, self.shape), axis=-1)

    def indices(self, choices: Array) -> Indices:
        """Return the points, (N,), with these choices, (N, dimensions); inverse of `choices`."""
        return np.asarray(np.asarray(choices, dtype=np.int64) @ np.array(self._strides))

    def holding(self, fields: Mapping[str, Any]) -> "Space":
        """Return the space with some fields the same for all, whatever it varied them over.

        Raises SpecError for a field that the space couples with others, and for an unknown one.
        """
        coupled = [k for k in self.dimensions if len(_split(k)) > 1 and {*_split(k)} & {*fields}]
        if coupled:
            raise SpecError(f"{self.name}: {coupled[0]!r} are coupled: none can be held alone")
        dimensions = {k: v for k, v in self.dimensions.items() if k not in fields}
        data = self.model_dump(by_alias=True) | {"fixed": self.fixed | dict(fields)}
        data["dimensions"] = {k: data["dimensions"][k] for k in dimensions}
        return validate_spec(data, Space, self.name)

    def to_yaml(self) -> str:
        """Return the space as the text of a file that reads back equal."""
        data = self.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True)
        return yaml_text(data, default_flow_style=None, allow_unicode=True)

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
            if len(rows) > MOST_VALUES:
                raise SpecError(
                    f"has {len(rows):,} values, where a dimension has at most {MOST_VALUES:,}",
                    at=("dimensions", key),
                )
            for i, row in enumerate(rows):
                at = ("dimensions", key) if isinstance(given, Steps) else ("dimensions", key, i)
                cells = row if len(names) > 1 else [row]
                if not isinstance(cells, list) or len(cells) != len(names):
                    raise SpecError(f"read {short(row)} where {len(names)} values belong", at=at)
                for name, cell in zip(names, cells, strict=True):
                    found.setdefault(name, []).append(_coded(name, cell, at))
            seen = set()
            for row, cells in zip(
                rows, zip(*(found[name] for name in names), strict=True), strict=True
            ):
                if cells in seen:
                    raise SpecError(f"gives {row!r} twice", at=("dimensions", key))
                seen.add(cells)
        for key, cell in self.fixed.items():
            found[key] = [_coded(key, cell, ("fixed", key))]
        return found

    @cached_property
    def _grid(self) -> "Grid":
        rules = [Rule.parse(text, at=("rules", i)) for i, text in enumerate(self.rules)]
        return Grid.of(self.name, self._values, self.axes, rules)

    def _narrow(self, indices: Indices) -> Indices:
        """Indices in the narrowest type that holds them: 32-bit division is four times as fast."""
        return indices.astype(np.uint32 if self.size <= 2**32 else np.int64, copy=False)

    def _valid_indices(self, start: int, stop: int) -> Indices:
        found = [np.empty(0, dtype=np.int64)]
        for low, high in blocks(start, stop, _BLOCK):
            block = np.arange(low, high)
            found.append(block[self.valid(block)] if self._grid.rules else block)
        return np.concatenate(found)


def load_space(name_or_path: str | Path) -> Space:
    """Return a space by the name of a shipped one or by the path of a file.

    Raises SpecError for an unknown name (with the nearest), and for a file that says no space.
    """
    return read_spec(find_spec(name_or_path, SPACES, "space"), Space)


def shipped_spaces() -> list[str]:
    """Return the names of the spaces that come with the package."""
    return sorted(file.stem for file in SPACES.glob("*.yaml"))


_AT_LEAST_ONE = {"experts", "experts_per_token"}
KNOBS = (*columns(), *HELPERS)
"""Names that a space may set."""
_BLOCK = 2**14  # points decoded at a time, so that the work stays in cache


def _split(key: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in key.split(","))


def _coded(name: str, cell: Any, at: tuple[str | int, ...]) -> int | float | bool:
    """Return a value of a field as it stands in a column; SpecError if it cannot be one."""
    if name in FORMAT_COLUMNS:
        if not isinstance(cell, str):
            raise SpecError(f"read {short(cell)} where the name of a number format belongs", at=at)
        try:
            return format_code(cell)
        except SpecError as unknown:
            raise SpecError(str(unknown), at=at) from None
    if name == "kv_heads" and cell == ALL_HEADS:
        return ALL
    if name == "qk_norm" and isinstance(cell, str):
        if cell in QK_NORMS:
            return QK_NORMS.index(cell)
        raise SpecError(f"unknown qk_norm {short(cell)}{did_you_mean(cell, QK_NORMS)}", at=at)
    default = {**defaults(), "ffn_ratio": 1.0}.get(name, 1)
    if isinstance(default, bool):
        if isinstance(cell, bool):
            return cell
        raise SpecError(f"read {short(cell)} where true or false belongs", at=at)
    if isinstance(cell, bool) or not isinstance(cell, int | float) or cell != cell:
        what = f"a number or {ALL_HEADS!r}" if name == "kv_heads" else "a number"
        raise SpecError(f"read {short(cell)} where {what} belongs", at=at)
    if abs(cell) > LARGEST:
        raise SpecError(f"read {short(cell)} where a number of at most {LARGEST} belongs", at=at)
    if isinstance(default, int) and cell != int(cell):
        raise SpecError(f"read {short(cell)} where a whole number belongs", at=at)
    if name == "ffn_ratio" and cell <= 0:
        raise SpecError(f"read {short(cell)} where a positive number belongs", at=at)
    least = 0 if name in (defaults().keys() | {"ffn_ratio"}) - _AT_LEAST_ONE else 1
    if cell < least:
        raise SpecError(f"read {short(cell)} where a number of at least {least} belongs", at=at)
    if (name.endswith("_sparsity") and cell >= 1) or (name == "window_share" and cell > 1):
        raise SpecError(f"read {short(cell)} where a share of one belongs", at=at)
    return float(cell) if isinstance(default, float) else int(cell)


def _written(name: str, value: Any) -> str:
    if name in FORMAT_COLUMNS:
        return format_name(value)
    if name == "kv_heads" and value == ALL:
        return ALL_HEADS
    return f"{value:g}" if not isinstance(value, bool) else str(value).lower()
