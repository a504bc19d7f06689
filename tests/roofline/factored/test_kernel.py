"""Compiled loops against numpy over the whole grid at once."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from roofline.factored import Grid, rising
from roofline.factored.beaten import beaten, beaten_of_two
from roofline.factored.kernel import Kernel
from roofline.search.fronts import beaten as beaten_by_arrays
from roofline.search.fronts import non_dominated

SHAPE = (3, 4, 2, 5)


def grid_of(cells: int) -> tuple[Grid, list]:
    """A grid with a column along each axis and one over two axes; small tables or large."""
    random = np.random.default_rng(7)
    columns = []
    for axis, length in enumerate(SHAPE):
        shape = [1] * len(SHAPE)
        shape[axis] = length
        columns.append(random.permutation(np.linspace(0.5, 3.0, length)).reshape(shape))
    both = random.uniform(-1.0, 1.0, (3, 1, 2, 1))
    return Grid(SHAPE, cells), [*columns, both]


def formula(a, b, c, d, e):
    """Every kind of step: sums, powers, choices, truth, look-ups, missing values."""
    slope = np.where(a > b, a * c - d, np.maximum(b, e) / (c + 1.0))
    power = np.power(a, 1.5) + b**2 + np.exp(-c) * np.log(d + 1.0) + np.sqrt(a)
    steps = np.floor(d * 3.0) + np.ceil(a) + np.rint(b)
    chosen = (a > 1.0) & ~(c < 1.0) | (e >= 0.6)
    least = np.minimum(power, 4.0) * (1.0 * chosen) + np.abs(e) - np.square(e)
    unknown = np.where((d > 1.5) & (a < 2.0) & (b > 1.0), np.nan, 0.0)
    row = np.array([10.0, 20.0, 30.0, 40.0])
    place = np.where(a > 1.0, 1, 0) + np.where(d * b > 2.0, 2, 0)
    return slope + least + steps, power + np.take_along_axis(row, place, axis=0) + unknown, chosen


def whole(columns):
    """The formula over the whole grid by numpy alone."""
    flat = [np.broadcast_to(c, SHAPE).reshape(-1) for c in columns]
    return [np.broadcast_to(x, flat[0].shape) for x in formula(*flat)]


@pytest.mark.parametrize("cells", [1, 6, 10_000])
def test_loops_say_what_numpy_says(cells: int) -> None:
    grid, columns = grid_of(cells)
    first, second, holds = formula(*(grid.table(column) for column in columns))
    kernel = Kernel(SHAPE, (first, second), (holds, ~np.isnan(second)))
    keys, points, met = kernel.survivors([0] * 4, SHAPE, np.empty((0, 2)))
    x, y, allowed = whole(columns)
    allowed = allowed & ~np.isnan(y)
    assert 10 < allowed.sum() < allowed.size  # or the conditions were not tried
    order = np.argsort(keys)
    assert keys[order].tolist() == np.flatnonzero(allowed).tolist()
    assert met == allowed.sum()
    np.testing.assert_allclose(points[order, 0], x[allowed], rtol=1e-14)
    np.testing.assert_allclose(points[order, 1], y[allowed], rtol=1e-14)


def test_a_box_and_a_front() -> None:
    grid, columns = grid_of(6)
    first, second, _ = formula(*(grid.table(column) for column in columns))
    kernel = Kernel(SHAPE, (first, second), ())
    low, high = [1, 0, 1, 2], [3, 4, 2, 5]
    x, y, _ = whole(columns)
    inside = [
        np.ravel_multi_index(point, SHAPE)
        for point in itertools.product(*(range(a, b) for a, b in zip(low, high, strict=True)))
    ]
    points = np.stack([x, y], axis=-1)[inside]
    known = points[~np.isnan(points).any(axis=1)]
    front = known[non_dominated(known)]
    front = front[np.argsort(front[:, 0])]
    keys, kept, _ = kernel.survivors(low, high, front)
    # What a front does not beat is the front itself, and what is not known.
    assert np.array_equal(
        np.unique(kept[~np.isnan(kept).any(axis=1)], axis=0), np.unique(front, axis=0)
    )
    assert set(keys) <= set(inside)


def test_missing_values_stay_missing() -> None:
    grid = Grid((4, 2), 1)
    a = grid.table(np.array([[np.nan], [1.0], [2.0], [np.nan]]))
    b = grid.table(np.array([[1.5, 1.0]]))
    kernel = Kernel((4, 2), (np.maximum(a, b), np.minimum(b, a)), ())
    keys, points, _ = kernel.survivors([0, 0], [4, 2], np.empty((0, 2)))
    left = np.array([[np.nan], [1.0], [2.0], [np.nan]])
    right = np.array([[1.5, 1.0]])
    order = np.argsort(keys)
    np.testing.assert_array_equal(points[order, 0], np.maximum(left, right).reshape(-1))
    np.testing.assert_array_equal(points[order, 1], np.minimum(right, left).reshape(-1))


def test_the_loops_are_ordered_so_that_little_is_done_inside() -> None:
    grid = Grid((50, 2, 60), 10)
    a, b, c = (
        grid.table(np.arange(float(n)).reshape([n if i == axis else 1 for i in range(3)]))
        for axis, n in enumerate((50, 2, 60))
    )
    heavy = np.exp(a + b)
    for _ in range(20):
        heavy = np.exp(-heavy + b)
    kernel = Kernel((50, 2, 60), (heavy + c, heavy * c), ())
    assert kernel.order[-1] == 2


def test_a_formula_that_rises_is_bounded_by_its_corners() -> None:
    grid = Grid((30, 30), 10)
    a = grid.table(np.linspace(1, 2, 30).reshape(30, 1))
    b = grid.table(np.linspace(1, 2, 30).reshape(1, 30))

    def ratio(x, y):
        return x * y / (x + y)  # rises in both, though a quotient of intervals does not show it

    loose, close = ratio(a, b), rising(ratio)(a, b)
    assert (close.low, close.high) == (0.5, 1.0)
    assert loose.low < close.low
    assert loose.high > close.high


small = st.integers(0, 4).map(float)


@settings(max_examples=200, deadline=None)
@given(arrays(float, (6, 2), elements=small), arrays(float, (12, 2), elements=small))
def test_two_objectives_against_arrays(front, points) -> None:
    front = front[non_dominated(front)]
    front = front[np.argsort(front[:, 0])]
    expected = beaten_by_arrays(points, front)
    assert [beaten_of_two(front, x, y) for x, y in points] == expected.tolist()


@settings(max_examples=200, deadline=None)
@given(arrays(float, (6, 3), elements=small), arrays(float, (12, 3), elements=small))
def test_three_objectives_against_arrays(front, points) -> None:
    expected = beaten_by_arrays(points, front)
    assert [beaten(front, tuple(point)) for point in points] == expected.tolist()


def test_what_is_nearly_as_good_is_not_beaten() -> None:
    front = np.array([[1.0, 1.0]])
    nearly = 1.0 - 1e-15
    assert not beaten_of_two(front, nearly, 2.0)
    assert not beaten_of_two(front, 1.0 + 1e-15, 2.0)  # by so little that rounding may have done it
    assert beaten_of_two(front, 1.0 + 1e-9, 2.0)
    assert not beaten(front, (1.0 + 1e-15, 2.0))
