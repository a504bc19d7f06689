"""Quantities over a grid, which formulas written for arrays take as if they were arrays.

A `Quantity` stands where a column of candidates would. Whatever depends on few axes of the grid is
a table with one cell for each distinct value, worked out at once; whatever depends on more is
recorded as a function of such tables. So one walk through a formula yields, for the whole grid,
the tables, and the little that is left to do for each point: a kernel runs it
(`roofline.factored.kernel`), and interval arithmetic bounds it over boxes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from roofline.factored.intervals import RULES, Bounds, looked_up

Array = np.ndarray

CELLS = 2**16
"""Largest table: half a megabyte of floats, which stays in a core's cache."""
_BOOLEAN = {
    "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and",
    "logical_or", "logical_not", "invert", "bitwise_and", "bitwise_or", "isnan", "isfinite",
}  # fmt: skip


_BY_CANDIDATE = (np.atleast_1d, np.nan_to_num, np.round, np.isclose)
"""Functions that take a table cell by cell; any other that gives a table may mix candidates."""
_OF_ALL = (np.ravel, np.unique)
"""Functions of all cells together, whose result looks like a table over a grid of one axis."""


class Grid:
    """Axes by length, and every function of them that was recorded."""

    def __init__(self, shape: tuple[int, ...], cells: int = CELLS):
        self.shape = shape
        self.cells = cells
        self._recorded: dict[tuple[Any, ...], Quantity] = {}

    def table(self, values: Array) -> Quantity:
        """Return a quantity by its values: one axis a dimension, of length one where constant."""
        values = np.asarray(values)
        if values.ndim <= 1 and values.size == 1:
            values = values.reshape((1,) * len(self.shape))
        if values.ndim != len(self.shape):
            raise TypeError(f"an array of shape {values.shape} over a grid of {self.shape}")
        return Quantity(self, table=values)

    def wrap(self, given: Any) -> Quantity:
        """Return what is given as a quantity."""
        return given if isinstance(given, Quantity) else self.table(given)

    def record(self, name: str, inputs: tuple[Any, ...], function: Any) -> Quantity:
        """Return a function of quantities: a table where it is small enough, else its name."""
        wrapped = [self.wrap(each) for each in inputs]
        axes = sorted({axis for each in wrapped for axis in each.axes})
        small = math.prod(self.shape[axis] for axis in axes) <= self.cells
        if small and all(each.values is not None for each in wrapped):
            with np.errstate(all="ignore"):
                return self.table(function(*(each.values for each in wrapped)))
        if name not in RULES:
            raise TypeError(f"numpy's {name} cannot be followed over a grid")
        key = (name, *(each.key for each in wrapped))
        if key not in self._recorded:
            self._recorded[key] = Quantity(self, name=name, inputs=tuple(wrapped), axes=tuple(axes))
        return self._recorded[key]

    def look_up(self, row: Array, place: Quantity) -> Quantity:
        """Return the cell of a row that stands at a place, which a function tells."""
        key = ("look_up", id(row), place.key)
        if key not in self._recorded:
            self._recorded[key] = Quantity(
                self, name="look_up", inputs=(place,), axes=place.axes, row=row
            )
        return self._recorded[key]


class Quantity(NDArrayOperatorsMixin):
    """A table over some axes of a grid, or a function of such quantities.

    values: the table, one axis a dimension of the grid, or None of a function. axes: those that it
    depends on. name, inputs: of a function; `rising` has what it is made of first, then what it
    rises with; `look_up` the place in its row. low, high: bounds over the whole grid.
    """

    __slots__ = ("axes", "function", "grid", "high", "inputs", "low", "name", "row", "values")

    def __init__(
        self,
        grid: Grid,
        *,
        table: Array | None = None,
        name: str = "table",
        inputs: tuple[Quantity, ...] = (),
        axes: tuple[int, ...] = (),
        function: Callable[..., Any] | None = None,
        row: Array | None = None,
    ):
        self.function, self.row = function, row
        self.grid, self.values, self.name, self.inputs = grid, table, name, inputs
        if table is not None:
            self.axes = tuple(axis for axis, length in enumerate(table.shape) if length > 1)
            self.low, self.high = float(table.min()), float(table.max())
            if math.isnan(self.low) and not np.isnan(table).all():
                self.low, self.high = -math.inf, math.inf
        else:
            self.axes = axes
            low, high = self.bounds([(each.low, each.high) for each in inputs])
            self.low, self.high = float(low), float(high)

    def bounds(self, inputs: list[Bounds]) -> Bounds:
        """Return bounds of a function from those of its inputs; they broadcast."""
        with np.errstate(all="ignore"):
            if self.row is not None:
                return looked_up(self.row, *inputs)
            if self.function is None:
                return RULES[self.name](*inputs)
            _, *rest = inputs
            return self.function(*(low for low, _ in rest)), self.function(*(h for _, h in rest))

    @property
    def key(self) -> Any:
        """What tells equal quantities: of a constant its value, else itself."""
        if self.values is not None and self.values.size == 1:
            return ("constant", self.values.dtype.kind, self.values.item())
        return id(self)

    @property
    def boolean(self) -> bool:
        """Whether it is true or false."""
        return self.values.dtype == bool if self.values is not None else self.name in _BOOLEAN

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its values."""
        if self.values is not None:
            return self.values.dtype
        return np.dtype(bool if self.boolean else float)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of one candidate: a grid is not a list of them."""
        return (1,)

    ndim = 1

    def __len__(self) -> int:
        return 1

    def __bool__(self) -> bool:
        if self.values is not None and self.values.size == 1:
            return bool(self.values.item())
        raise TypeError("a quantity over a grid is neither true nor false; ask any() or all()")

    def any(self) -> bool:
        """Whether it holds somewhere; what is not ruled out may."""
        return bool(self.values.any()) if self.values is not None else self.high != 0

    def all(self) -> bool:
        """Whether it holds everywhere; what is not certain does not."""
        return bool(self.values.all()) if self.values is not None else self.low > 0

    def astype(self, kind: Any) -> Quantity:
        """Return it in another type; what is recorded is floats and booleans."""
        if self.values is not None:
            return self.grid.table(self.values.astype(kind))
        return self.grid.wrap(np.multiply(self, 1.0)) if kind is float and self.boolean else self

    def __array__(self, *_: Any, **__: Any) -> Array:
        if self.values is None:
            raise TypeError("a function over a grid has no array of values")
        return self.values

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any, **how: Any) -> Any:
        if method != "__call__" or (set(how) - {"dtype"}):
            return NotImplemented
        if "dtype" in how:
            inputs = tuple(np.asarray(i, how["dtype"]) if np.isscalar(i) else i for i in inputs)
            inputs = tuple(i.astype(float) if isinstance(i, Quantity) else i for i in inputs)
        name = function.__name__
        if name == "clip":
            return np.minimum(np.maximum(inputs[0], inputs[1]), inputs[2])
        return self.grid.record(name, inputs, function)

    def __array_function__(self, function: Any, types: Any, inputs: Any, how: Any) -> Any:
        if function is np.where and len(inputs) == 3:
            condition = inputs[0]
            if isinstance(condition, Quantity) and condition.values is None:
                if not condition.any():
                    return self.grid.wrap(inputs[2])
                if condition.all():
                    return self.grid.wrap(inputs[1])
            return self.grid.record("where", inputs, np.where)
        if function is np.select:
            conditions, choices, *rest = inputs
            chosen = rest[0] if rest else how.get("default", 0.0)
            for condition, choice in zip(conditions[::-1], choices[::-1], strict=True):
                chosen = np.where(condition, choice, chosen)
            return chosen
        if function is np.clip:
            return np.minimum(np.maximum(inputs[0], inputs[1]), inputs[2])
        if function is np.broadcast_to:
            return inputs[0]
        if function is np.shape:
            return self.shape
        if function in (np.any, np.all):
            return getattr(inputs[0], function.__name__)()
        if function is np.take_along_axis:
            row, place = np.asarray(inputs[0]), inputs[1]
            if place.values is not None:
                return self.grid.table(row[place.values])
            return self.grid.look_up(row, place)
        values = _values(inputs)
        found = function(*values, **_values(how))
        table = isinstance(found, np.ndarray) and found.ndim == len(self.grid.shape)
        if function in _OF_ALL or not table:
            return found  # of all candidates together, such as which formats there are
        if function not in _BY_CANDIDATE:
            raise TypeError(f"numpy's {function.__name__} is not followed over a grid")
        return self.grid.table(found)


def rising(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function of arrays that falls with none of its inputs.

    Over a grid its bounds are then its values at the bounds of its inputs, which is closer than
    what the steps within it would give one by one.
    """

    @wraps(function)
    def followed(*inputs: Any) -> Any:
        found = function(*inputs)
        if not isinstance(found, Quantity) or found.values is not None:
            return found
        grid = found.grid
        known = (found, *(grid.wrap(each) for each in inputs))
        return Quantity(grid, name="rising", inputs=known, axes=found.axes, function=function)

    return followed


def _values(given: Any) -> Any:
    """What is given, tables in place of quantities."""
    if isinstance(given, Quantity):
        return np.asarray(given)
    if isinstance(given, (list, tuple)):
        return type(given)(_values(each) for each in given)
    if isinstance(given, dict):
        return {name: _values(each) for name, each in given.items()}
    return given


def recorded(outputs: Iterable[Quantity], *, computed: bool = False) -> list[Quantity]:
    """Return every quantity that the outputs rest on, inputs before what is made of them.

    computed: leave out what only bounds a function that rises.
    """
    order: list[Quantity] = []
    seen: set[int] = set()
    stack = [(each, False) for each in list(outputs)[::-1]]
    while stack:
        each, ready = stack.pop()
        if ready:
            order.append(each)
        elif id(each) not in seen:
            seen.add(id(each))
            stack.append((each, True))
            inputs = each.inputs[:1] if computed and each.name == "rising" else each.inputs
            stack.extend((i, False) for i in inputs[::-1] if id(i) not in seen)
    return order
