"""Every rule of interval arithmetic against the function itself, at points within the bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofline.engine.timing import sum_of_max
from roofline.factored.intervals import RULES, looked_up

ONE = {
    "negative", "positive", "absolute", "square", "sqrt", "exp", "exp2", "expm1", "log", "log2",
    "log10", "log1p", "tanh", "floor", "ceil", "rint", "reciprocal", "logical_not", "invert",
    "isnan", "isfinite",
}  # fmt: skip
OF_BOOLEANS = {
    "logical_and", "logical_or", "logical_not", "bitwise_and", "bitwise_or", "invert",
}  # fmt: skip

numbers = st.one_of(
    st.floats(-4, 4, allow_subnormal=False),
    st.integers(-3, 3).map(float),
    st.sampled_from([0.0, 1.0, -1.0, 2.0, 0.5, np.inf]),
)


@st.composite
def intervals(draw, booleans=False):
    """Bounds (low, high), and a few values between them, now and then NaN as bounds may be."""
    if booleans:
        values = draw(st.lists(st.booleans(), min_size=2, max_size=6))
        return (float(min(values)), float(max(values))), np.array(values)
    ends = sorted([draw(numbers), draw(numbers)])
    shares = np.array(draw(st.lists(st.floats(0, 1), min_size=2, max_size=6)))
    if np.isinf(ends[1]):
        values = np.where(shares < 0.5, ends[0], ends[1])
    else:
        values = np.clip(ends[0] + shares * (ends[1] - ends[0]), *ends)
    if draw(st.integers(0, 9)) == 0:
        return (np.nan, np.nan), np.append(values, np.nan)
    return tuple(ends), np.append(values, ends)


@pytest.mark.parametrize("name", sorted(RULES))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_what_is_within_the_bounds_of_the_inputs_comes_out_within_the_bounds(name, data):
    kinds = [name in OF_BOOLEANS] * (1 if name in ONE else 2)
    if name == "where":
        kinds = [True, False, False]
    drawn = [data.draw(intervals(booleans)) for booleans in kinds]
    grids = np.meshgrid(*(values for _, values in drawn), indexing="ij")
    with np.errstate(all="ignore"):
        low, high = RULES[name](*(bounds for bounds, _ in drawn))
        found = getattr(np, name)(*grids).astype(float)
    low, high = np.asarray(low, float), np.asarray(high, float)
    room = 1e-12 * np.abs(np.nan_to_num(found, posinf=0.0, neginf=0.0))
    inside = (np.isnan(low) | (found >= low - room)) & (np.isnan(high) | (found <= high + room))
    missing = np.isnan(found)
    assert inside[~missing].all(), (drawn, low, high, found)
    # Where a value may be missing, a bound says so.
    assert not missing.any() or not np.isfinite([low, high]).all(), (drawn, low, high)


@pytest.mark.parametrize("name", ["add", "multiply", "divide", "power", "subtract", "maximum"])
def test_bounds_are_reached_where_no_input_occurs_twice(name):
    """Containing everything would be easy: the bounds are the extremes themselves."""
    a, b = (0.5, 3.0), (1.0, 2.0)
    low, high = RULES[name](a, b)
    values = getattr(np, name)(*np.meshgrid(np.linspace(*a, 201), np.linspace(*b, 201)))
    assert (low, high) == pytest.approx((values.min(), values.max()), rel=1e-9)


@given(
    row=st.lists(st.floats(-5, 5), min_size=1, max_size=8),
    ends=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    unknown=st.booleans(),
)
def test_a_look_up_between_two_places(row, ends, unknown):
    row = np.array(row)
    first, last = (min(end, len(row) - 1) for end in sorted(ends))
    place = (np.nan, np.nan) if unknown else (np.array([float(first)]), np.array([float(last)]))
    low, high = looked_up(row, place)
    expected = row if unknown else row[first : last + 1]
    assert np.ravel(low)[0] == expected.min()
    assert np.ravel(high)[0] == expected.max()


sizes = st.floats(0, 100, allow_subnormal=False)


@settings(max_examples=500, deadline=None)
@given(
    low=st.tuples(sizes, sizes, sizes, sizes, st.integers(0, 50)),
    more=st.tuples(sizes, sizes, sizes, sizes, st.integers(0, 50)),
)
def test_the_sum_of_larger_sides_rises_with_all_that_it_is_marked_to_rise_with(low, more):
    """`rising` says so of `sum_of_max`; against its loop over steps too."""
    high = [a + b for a, b in zip(low, more, strict=True)]
    found = [float(sum_of_max(*(np.array([float(x)]) for x in ends))[0]) for ends in (low, high)]
    assert found[0] <= found[1] * (1 + 1e-12) + 1e-12
    for ends, value in zip((low, high), found, strict=True):
        a0, b0, a1, b1, steps = ends
        if steps == 1:
            continue  # the first step is the last then, and both are given the same
        lines = zip(np.linspace(a0, a1, steps), np.linspace(b0, b1, steps), strict=True)
        assert value == pytest.approx(sum(max(a, b) for a, b in lines), rel=1e-9, abs=1e-9)
