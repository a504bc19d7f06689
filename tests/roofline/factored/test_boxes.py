"""Bounds over boxes against every point of the boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arch_space.spaces import Space
from hardware_specs import load_device
from roofline.efficiency.calibrated import calibrated
from roofline.factored import Grid, boxes, rising
from roofline.factored.boxes import HIGH, LOW, Boxes, Tree
from roofline.laws import load_law
from roofline.search import Constraint, Problem, RooflineEvaluator
from roofline.search.followed import Followed
from roofline.workload import Workload
from spec_files import parse_spec

SHAPE = (3, 4, 2, 5)


@given(st.integers(1, 40))
def test_each_stretch_is_its_two_halves_and_ends_in_single_choices(length):
    tree = Tree.of(length)
    assert (tree.low[0], tree.high[0], len(tree.low)) == (0, length, 2 * length - 1)
    inner = np.flatnonzero(tree.left >= 0)
    assert (tree.low[tree.left[inner]] == tree.low[inner]).all()
    assert (tree.high[tree.left[inner]] == tree.low[tree.right[inner]]).all()
    assert (tree.high[tree.right[inner]] == tree.high[inner]).all()
    assert (tree.length[tree.left < 0] == 1).all()
    assert tree.low[tree.leaf].tolist() == list(range(length))
    values = np.random.default_rng(length).normal(size=(2, length))
    least = tree.over(values, 1, np.minimum)
    for number, (low, high) in enumerate(zip(tree.low, tree.high, strict=True)):
        assert (least[:, number] == values[:, low:high].min(axis=1)).all()


@rising
def grown(a, b):
    """A function that rises though its steps do not say so."""
    return (a + 2.0) * b - b


def formula(a, b, c, d, e):
    """Every way that a bound comes about: falling, rising, choices, truths, look-ups, NaN."""
    slope = np.where(a > b, a * c - d, np.maximum(b, e) / (c + 1.0))
    power = np.power(a, 1.5) + b**2 + np.exp(-c) * np.log(d + 1.0) + np.power(c, -0.5)
    steps = np.floor(d * 3.0) - np.ceil(a * e) + grown(a * b, c + d)
    chosen = (a > 1.0) & ~(c * d < 1.0) | (e * b >= 0.6)
    least = np.minimum(power, 4.0) * (1.0 * chosen) + np.abs(e - b) - np.square(e)
    unknown = np.where((d > 1.5) & (a < 2.0) & (b > 1.0), np.nan, 0.0)
    row = np.array([10.0, 20.0, 30.0, 5.0])
    place = np.where(a > 1.0, 1, 0) + np.where(d * b > 2.0, 2, 0)
    return slope + least + steps, power + np.take_along_axis(row, place, axis=0) + unknown, chosen


def columns():
    random = np.random.default_rng(7)
    found = []
    for axis, length in enumerate(SHAPE):
        shape = [1] * len(SHAPE)
        shape[axis] = length
        found.append(random.permutation(np.linspace(0.5, 3.0, length)).reshape(shape))
    return [*found, random.uniform(-1.0, 1.0, (3, 1, 2, 1))]


def some_boxes(trees, many, seed=0):
    random = np.random.default_rng(seed)
    return np.stack([random.integers(len(t.low), size=many) for t in trees], 1).astype(np.int16)


@pytest.mark.parametrize("cells", [1, 6, 30, 10_000])
def test_bounds_hold_at_every_point_of_every_box(cells):
    grid = Grid(SHAPE, cells)
    outputs = formula(*(grid.table(column) for column in columns()))
    space = Boxes(SHAPE, [(each, side) for each in outputs for side in (LOW, HIGH)])
    ranges = (range(len(tree.low)) for tree in space.trees)
    every = np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, 4).astype(np.int16)
    bounds = space.bounds(every)
    flat = [np.broadcast_to(c, SHAPE).reshape(-1) for c in columns()]
    closeness = []
    for output, value in enumerate(formula(*flat)):
        low, high = bounds[2 * output : 2 * output + 2]
        value = np.broadcast_to(value, flat[0].shape).reshape(SHAPE).astype(float)
        for row, box in enumerate(every):
            ends = zip(space.trees, box, strict=True)
            part = value[tuple(slice(t.low[n], t.high[n]) for t, n in ends)]
            if np.isnan(part).any():
                assert np.isnan(low[row]) or np.isinf(low[row])
                continue
            if np.isnan(low[row]):
                continue
            assert low[row] <= part.min()
            assert part.max() <= high[row]
            if part.size == 1 and output < 2:
                closeness.append(high[row] - low[row])
    # Bounds of one point are its value, but for what rounding widens them by.
    assert len(closeness) > 100
    assert np.max(closeness) < 1e-9


def test_points_of_boxes_are_all_that_the_rules_allow():
    grid, random = Grid(SHAPE, 100), np.random.default_rng(1)
    rule = random.random((3, 1, 2, 5)) < 0.4
    output = grid.table(columns()[0])
    space = Boxes(SHAPE, [(output, LOW)], [rule])
    some = some_boxes(space.trees, 60)
    allowed = np.broadcast_to(rule, SHAPE)
    for box in some:
        ends = [(t.low[n], t.high[n]) for t, n in zip(space.trees, box, strict=True)]
        part = allowed[tuple(slice(*end) for end in ends)]
        expected = np.argwhere(part) + [low for low, _ in ends]
        assert sorted(map(tuple, space.inside(box[None]))) == sorted(map(tuple, expected))
        assert space.inhabited(box[None])[0] == part.any()
        assert space.points(box[None])[0] == part.size
    every = space.inside(some)
    assert len(every) == sum(len(space.inside(box[None])) for box in some)


def test_halves_of_a_box_have_its_points():
    grid = Grid(SHAPE, 100)
    space = Boxes(SHAPE, [(grid.table(columns()[1]), LOW)])
    box = space.whole()
    for axis in (1, 3, 1, 0, 3):
        halves = space.halve(box, np.array([axis]))
        together = np.concatenate([space.inside(half[None]) for half in halves])
        assert sorted(map(tuple, together)) == sorted(map(tuple, space.inside(box)))
        box = halves[:1]


def test_a_table_too_large_for_its_boxes_is_bounded_more_loosely(monkeypatch):
    monkeypatch.setattr(boxes, "CELLS", 40)
    table = np.random.default_rng(3).normal(size=SHAPE)
    quantity = Grid(SHAPE, 1000).table(table)
    space = Boxes(SHAPE, [(quantity, LOW), (quantity, HIGH)])
    assert space.cells <= 80
    some = some_boxes(space.trees, 200)
    low, high = space.bounds(some)
    for row, box in enumerate(some):
        found = space.values(space.inside(box[None]))[0]
        assert low[row] <= found.min()
        assert found.max() <= high[row]
    assert (low[1:] != low[0]).any()


WINDOWS = """
name: windows
fixed: {vocabulary: 32000, ffn_multiple: 32}
dimensions:
  layers: {from: 4, to: 24, step: 4}
  width: [256, 512, 768, 1024]
  head_size: [64, 128]
  kv_heads: [1, 2, 4, all]
  ffn_ratio: [1, 2.5, 4]
  window, window_share: [[0, 0], [64, 0.5], [512, 0.75]]
  experts, experts_per_token: [[1, 1], [8, 2], [16, 2]]
  weight_format: [fp16, q4_k_m, int4-g128]
  kv_format: [fp16, int8]
rules: [kv_heads <= 4 if width <= 256]
"""


@pytest.mark.parametrize("cells", [512, 2**16])
@pytest.mark.parametrize(
    ("device", "law", "ideal", "workload"),
    [
        ("phone", "codesign", False, Workload(prompt=300, generate=400)),
        ("phone", "chinchilla", True, Workload(batch=4, prompt=300, generate=400)),
        ("jetson-agx-orin-64gb", "conditional", False, Workload(prompt=2000, generate=64)),
    ],
)
def test_bounds_of_real_problems_hold_at_every_candidate(device, law, ideal, workload, cells):
    space = parse_spec(WINDOWS, Space, "windows")
    known = calibrated(load_device(device), None, None)
    evaluator = RooflineEvaluator(known, workload, load_law(law), ideal=ideal)
    names = ("loss", "ttft", "tpot", "latency", "energy", "memory")
    limits = (Constraint("tpot", 0.01), Constraint("memory", 1e9))
    problem = Problem(space, evaluator, names, limits)
    followed = Followed.of(problem, cells)
    masks = followed.conditions[: followed.rules]
    asked = [*followed.objectives, *followed.conditions[followed.rules :]]
    sides = [(each, side) for each in asked for side in (LOW, HIGH)]
    grid = Boxes(space.shape, sides, [np.asarray(mask) for mask in masks])
    some = some_boxes(grid.trees, 4000)
    some = some[grid.inhabited(some) & (grid.points(some) < 2000)][:150]
    bounds = np.stack(grid.bounds(some)).reshape(len(asked), 2, -1)
    assert len(some) > 50
    tightness = []
    for row, box in enumerate(some):
        choices = grid.inside(box[None])
        if not len(choices):
            continue
        judged = problem.evaluate(space.at(space.indices(choices)))
        for (low, high), value in zip(bounds[:, :, row], judged.points.T, strict=False):
            assert not low > value.min()
            assert not high < value.max()
        ends = bounds[len(names) :, :, row]
        assert (ends[:, HIGH] > 0).all() or not judged.feasible.any()
        assert (ends[:, LOW] == 0).any() or judged.feasible.all()
        tightness.append(bounds[2, LOW, row] / judged.points[:, 2].min())
    # Bounds that say nothing would hold as well.
    assert np.isnan(bounds[: len(names)]).mean() < 0.2
    assert np.nanmedian(tightness) > 0.5
