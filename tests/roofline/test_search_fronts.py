"""Fronts and hypervolumes against definitions written out in loops, and against boxes on paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from roofline.search import hypervolume, hypervolume_ratio, merge, non_dominated, reference_point
from roofline.search.fronts import sieve

CELLS = st.one_of(st.integers(0, 4).map(float), st.sampled_from([np.nan, np.inf, -np.inf, -0.0]))


def tables(least_rows=0):
    shape = st.tuples(st.integers(least_rows, 24), st.integers(1, 4))
    return shape.flatmap(lambda shape: arrays(float, shape, elements=CELLS))


def dominates(a, b):
    return all(a <= b) and any(a < b)


def slow_front(points):
    """The definition: no other dominates it, no earlier one equals it, nothing unknown."""
    known = [not np.isnan(p).any() for p in points]
    return [
        known[i]
        and not any(known[j] and dominates(q, p) for j, q in enumerate(points))
        and not any((q == p).all() for q in points[:i])
        for i, p in enumerate(points)
    ]


@settings(max_examples=400)
@given(tables())
def test_front_is_what_the_definition_says(points):
    assert non_dominated(points).tolist() == slow_front(points)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_front_of_many_points_with_ties_is_what_the_definition_says(k):
    points = np.random.default_rng(k).integers(0, 30, (1500, k)).astype(float)
    points[::7, 0] = np.inf
    no_worse = (points[:, None] <= points).all(axis=2)
    better = (points[:, None] < points).any(axis=2)
    repeats = np.triu((points[:, None] == points).all(axis=2), 1).any(axis=0)
    expected = ~(no_worse & better).any(axis=0) & ~repeats
    np.testing.assert_array_equal(non_dominated(points), expected)


@settings(max_examples=300)
@given(tables(), st.randoms())
def test_sieve_takes_out_nothing_but_dominated_points(points, random):
    front = points[non_dominated(points)]
    front = front[sorted(random.sample(range(len(front)), random.randint(0, len(front))))]
    left = sieve(points, front)
    for point, stays in zip(points, left, strict=True):
        beaten = np.isnan(point).any() or any(dominates(f, point) for f in front)
        if points.shape[1] == 2:
            assert stays == (not beaten)
        else:
            assert stays or beaten


def test_sieve_of_a_large_front_keeps_all_that_is_not_dominated():
    rng = np.random.default_rng(0)
    for k in (2, 3, 4):
        points = rng.random((4000, k)).round(2)
        front = points[:2000][non_dominated(points[:2000])]
        kept = sieve(points, front)
        both = np.concatenate([front, points[kept]])
        np.testing.assert_array_equal(
            np.unique(both[non_dominated(both)], axis=0),
            np.unique(points[non_dominated(points)], axis=0),
        )
        assert kept.mean() < 0.9


@settings(max_examples=200)
@given(tables(least_rows=1), st.randoms())
def test_merging_parts_in_any_order_is_the_front_of_the_whole(points, random):
    keys = np.arange(len(points))
    parts = [(keys[i::3], points[i::3]) for i in range(3)]
    random.shuffle(parts)
    found, values = merge(parts)
    whole = np.flatnonzero(non_dominated(points))
    np.testing.assert_array_equal(found, whole)
    np.testing.assert_array_equal(values, points[whole])


def test_hypervolume_of_boxes_drawn_on_paper():
    # Steps (1,3) (2,2) (3,1) below (4,4): columns of width 1 and heights 1, 2, 3.
    steps = np.array([[1.0, 3], [2, 2], [3, 1]])
    assert hypervolume(steps, [4, 4]) == pytest.approx(1 + 2 + 3)
    assert hypervolume(np.array([[1.0, 1], [2, 2], [4, 0], [9, 9]]), [4, 4]) == pytest.approx(9)
    # Two boxes of 2 x 2 x 1 and 1 x 1 x 2 with a common 1 x 1 x 1.
    assert hypervolume(np.array([[0.0, 0, 1], [1, 1, 0]]), [2, 2, 2]) == pytest.approx(4 + 2 - 1)
    assert hypervolume(np.array([[3.0], [1.0]]), [4]) == 3
    assert hypervolume(np.empty((0, 2)), [1, 1]) == 0
    assert hypervolume(np.array([[5.0, 0]]), [4, 4]) == 0


def test_hypervolume_ratio_shares_one_reference_and_ignores_units():
    exact = np.array([[0.0, 2], [1, 1], [2, 0]])
    part = exact[[0, 2]]
    np.testing.assert_allclose(reference_point(exact), [2.2, 2.2])
    # Reference 2.2: strips 0.2 x 2.2 at either end, 1.2 x 1.2 from the knee; they overlap in 0.2s.
    whole = 2.2 * 0.2 + 1.2 * 1.2 - 1.2 * 0.2 + 0.2 * 2.2 - 0.2 * 1.2
    assert hypervolume(exact, [2.2, 2.2]) == pytest.approx(whole)
    without = 2 * 2.2 * 0.2 - 0.2 * 0.2
    assert hypervolume_ratio(part, exact) == pytest.approx(without / whole)
    scale, shift = np.array([1e9, 1e-3]), np.array([5.0, -7])
    moved = hypervolume_ratio(part * scale + shift, exact * scale + shift)
    assert moved == pytest.approx(without / whole)
    assert hypervolume_ratio(exact, exact) == 1


def test_a_table_must_have_rows_and_columns():
    with pytest.raises(ValueError, match=r"\(N, k\)"):
        non_dominated(np.zeros(3))
