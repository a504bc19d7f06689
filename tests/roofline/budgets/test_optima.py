"""Closed forms under several budgets and ranges, against a dense grid and an optimiser."""

import numpy as np
import pytest

from roofline.budgets.closed_forms import (
    Budget,
    cache_weight,
    optimum,
    rho_decode_memory,
    rho_memory,
    rho_prefill_memory,
)
from roofline.budgets.continuous import continuous
from roofline.budgets.prices import Ranges, at_widths, closed_form
from roofline.budgets.theory import Rates, Shape, Theory
from roofline.laws import load_law

LAW = load_law("codesign")
THEORY = Theory(Rates(peak=42.5e12, bandwidth=204.8e9), prompt=1024, generate=16)
RANGES = Ranges((4.0, 32.0), (768.0, 3072.0), (0.5, 8.0), (1 / 16, 1.0))
FREE = Ranges((1e-3, 1e6), (768.0, 3072.0), (1e-6, 1e6), (1 / 64, 1.0), least_keys=1e-3)
"""Ranges that hold nothing back but the activation rate."""


def loss(shape: Shape):
    return LAW.at(shape.layers, shape.width, shape.expansion, shape.activation, shape.cached_width)


def at(limits, d, ranges=FREE):
    return at_widths(LAW, THEORY, limits, ranges, np.array([d])).at(0)


HALF_GB = 0.5e9 / 204.8e9  # seconds in which the bandwidth moves .5 GB


def test_the_published_table():
    """Fp16, prompt 1024, 16 generated: every row that arXiv 2602.10377's forms reproduce."""
    found = at({"memory": 4e9}, 2048.0)
    shape = found.shape
    said = [shape.activation, shape.expansion, shape.gqa, shape.layers, found.loss]
    assert said == pytest.approx([0.1730, 0.843, 1.260, 26.2, 3.0911], rel=2e-3)
    assert found.loss == pytest.approx(3.0911, abs=5e-5)
    for d, row, best in (
        (1024.0, [2.863, 5.232, 21.0], 3.2588),
        (2048.0, [0.443, 17.44, 17.0], 3.1429),
    ):
        found = at({"tpot": HALF_GB}, d)
        shape = found.shape
        assert [shape.expansion, shape.gqa, shape.layers] == pytest.approx(row, rel=2e-3)
        assert found.loss == pytest.approx(best, abs=5e-5)
        assert shape.activation == 1 / 64
    both = at({"tpot": HALF_GB, "memory": 4e9}, 1024.0)
    assert both.shape.activation == pytest.approx(0.09526, abs=5e-6)
    d = np.array([768.0, 1024.0, 1536.0, 2048.0, 3072.0])
    wide = Ranges((1e-3, 1e9), (768.0, 3072.0), (1e-9, 1e9), (1e-4, 1.0), least_keys=1e-9)
    rates = at_widths(LAW, THEORY, {"memory": 40e9}, wide, d).shape.activation
    assert rho_memory(LAW, d) == pytest.approx([0.5574, 0.3955, 0.2438, 0.1730, 0.1067], abs=6e-5)
    assert rates == pytest.approx(rho_memory(LAW, d), rel=1e-6)  # whatever gqa is held at


@pytest.mark.parametrize("d", [1024.0, 1536.0, 3072.0])
def test_one_budget_gives_the_papers_forms(d):
    flops = 0.2 * THEORY.rates.peak / THEORY.prompt
    for limits, budget, rho in (
        ({"ttft": 0.02}, Budget.prefill(flops / 10), 1 / 64),
        ({"tpot": HALF_GB}, Budget.decode(0.5e9, d, THEORY.context), 1 / 64),
    ):
        printed = optimum(LAW, budget, d, rho)
        found = at(limits, d)
        shape = [found.shape.layers, found.shape.expansion, found.shape.gqa]
        assert shape == pytest.approx(printed[:3], rel=1e-8)
        assert found.loss == pytest.approx(printed.loss, rel=1e-12)


@pytest.mark.parametrize(
    ("limits", "rate"),
    [
        (
            {"ttft": 0.02, "memory": 4e9},
            lambda s: rho_prefill_memory(s.expansion, s.gqa, THEORY.eta("ttft", DUAL_PREFILL)),
        ),
        (
            {"tpot": HALF_GB, "memory": 4e9},
            lambda s: rho_decode_memory(
                s.expansion,
                s.gqa,
                THEORY.eta("tpot", DUAL_DECODE),
                cache_weight(s.width, s.gqa, THEORY.context),
            ),
        ),
    ],
)
def test_two_budgets_give_the_rate_of_their_theorem(limits, rate):
    shape = at(limits, 1024.0).shape
    assert 1 / 64 < shape.activation < 1
    assert shape.activation == pytest.approx(float(rate(shape)), rel=1e-7)
    for name, limit in limits.items():
        assert THEORY.share(name, shape, limit) == pytest.approx(1, rel=1e-8)


DUAL_PREFILL = {"ttft": 0.02, "memory": 4e9}
DUAL_DECODE = {"tpot": HALF_GB, "memory": 4e9}

BUDGETS = [
    {"ttft": 0.1, "tpot": 0.02, "memory": 4e9},
    {"tpot": 0.02},
    {"ttft": 0.01},
    {"latency": 0.1},
    {"latency": 0.5},
    {"memory": 1e9},
    {"ttft": 0.05, "tpot": 0.0100, "memory": 8e9},
    {"ttft": 0.1, "tpot": 0.0205, "memory": 16e9},
    {"tpot": 0.02, "latency": 0.2, "memory": 6e9},
    {"memory": 1e15},
    {"tpot": 1.2e-4},
]


@pytest.mark.parametrize("limits", BUDGETS, ids=str)
def test_closed_form_and_optimiser_agree(limits):
    closed = closed_form(LAW, THEORY, limits, RANGES)
    found = continuous(loss, THEORY, limits, RANGES)
    assert found is not None
    assert float(closed.loss) == pytest.approx(found.loss, abs=1e-7)
    assert tuple(closed.shape) == pytest.approx(tuple(found.shape), rel=2e-3)
    assert len(found.ended) == 8
    assert found.ended[-1] - found.ended[0] < 1e-6  # a geometric program: one optimum
    for name, limit in limits.items():
        share = float(THEORY.share(name, closed.shape, limit))
        assert share < 1 + 1e-7
        assert closed.prices[name] == 0 or share == pytest.approx(1, abs=1e-7)


def test_prices_are_what_a_budget_is_worth():
    limits = {"ttft": 0.05, "tpot": 0.01, "memory": 3e9}
    best = closed_form(LAW, THEORY, limits, RANGES)
    assert sum(price > 0 for price in best.prices.values()) >= 1
    for name, price in best.prices.items():
        more, less = (
            closed_form(LAW, THEORY, limits | {name: limits[name] * np.exp(step)}, RANGES).loss
            for step in (1e-3, -1e-3)
        )
        assert price == pytest.approx((less - more) / 2e-3, abs=2e-5), name


def brute(limits, ranges, points=25, rounds=8):
    """Least loss over a dense grid that closes in on its best point; knows costs and law alone."""
    ends = np.log([ranges.layers, ranges.width, ranges.expansion, (1.0, 48.0), ranges.activation])
    low, high = ends.T.copy()
    best = np.inf, None
    for _ in range(rounds):
        axes = [np.linspace(low[i], high[i], 13 if i == 1 else points) for i in range(1, len(ends))]
        d, r, gqa, rho = np.meshgrid(*map(np.exp, axes), indexing="ij", sparse=True)
        # Depth always takes what is left: the deepest that every budget allows.
        one = Shape(1.0, d, r, gqa, rho)
        deepest = np.minimum.reduce(
            np.broadcast_arrays(*(1 / THEORY.share(name, one, v) for name, v in limits.items()))
        )
        deepest = np.minimum(deepest, ranges.layers[1])
        ok = (deepest >= ranges.layers[0]) & (d / gqa >= ranges.least_keys)
        values = np.where(ok, loss(one._replace(layers=np.maximum(deepest, 1.0))), np.inf)
        index = np.unravel_index(np.argmin(values), values.shape)
        if values[index] < best[0]:
            best = values[index], [axis[i] for axis, i in zip(axes, index, strict=True)]
        for i, middle in enumerate(best[1], start=1):
            span = (high[i] - low[i]) / 4
            low[i], high[i] = max(ends[i, 0], middle - span), min(ends[i, 1], middle + span)
    return best[0]


def random_budgets(count):
    rng = np.random.default_rng(7)
    lean = RANGES.leanest()
    for _ in range(count):
        names = rng.permutation(["ttft", "tpot", "latency", "memory"])[: rng.integers(1, 4)]
        yield {
            str(name): float(THEORY.cost(str(name), lean) * np.exp(rng.uniform(0.7, 4.5)))
            for name in names
        }


@pytest.mark.parametrize("limits", list(random_budgets(8)), ids=str)
def test_random_budgets_against_a_dense_grid(limits):
    closed = float(closed_form(LAW, THEORY, limits, RANGES).loss)
    searched = brute(limits, RANGES)
    assert closed <= searched + 1e-9  # nothing on the grid is better
    assert searched - closed < 1e-3  # and it comes close


def test_no_shape_within_budgets_is_nan():
    found = closed_form(LAW, THEORY, {"ttft": 1e-5}, RANGES)
    assert np.isnan(found.loss)
    assert continuous(loss, THEORY, {"ttft": 1e-5}, RANGES) is None


def test_latency_is_a_prefill_and_all_steps():
    shape = Shape(12.0, 1536.0, 2.0, 4.0, 0.25)
    whole = THEORY.cost("ttft", shape) + 16 * THEORY.cost("tpot", shape)
    assert THEORY.cost("latency", shape) == pytest.approx(float(whole))
    fixed = Theory(Rates(42.5e12, 204.8e9, prompt=0.01, step=0.002), 1024, 16)
    assert fixed.cost("latency", shape) - whole == pytest.approx(0.01 + 16 * 0.002)
    assert fixed.share("tpot", shape, 0.022) == pytest.approx(THEORY.share("tpot", shape, 0.02))
