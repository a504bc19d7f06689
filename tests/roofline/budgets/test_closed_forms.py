"""The paper's theory: numerical optima, sensitivities, and the theorem that it prints wrong."""

import numpy as np
import pytest
from scipy.optimize import minimize

from roofline.budgets.closed_forms import (
    XI_ACTIVE,
    XI_PREFILL,
    Budget,
    cache_weight,
    decode_budget,
    decode_time,
    mean_context,
    optimum,
    prefill_budget,
    prefill_time,
    rho_decode_memory,
    rho_memory,
    rho_optimum,
    rho_prefill_memory,
    sensitivities,
    stored_bytes,
    xi_decode,
    xi_stored,
)
from roofline.laws import load_law

LAW = load_law("codesign")
CONTEXT = mean_context(1024, 16)


def test_optima_under_memory():
    """4 GB, d 2048."""
    rho = rho_memory(LAW, 2048.0)
    best = optimum(LAW, Budget.memory(4e9, rho), 2048.0, rho)
    assert rho == pytest.approx(0.1730, abs=5e-5)
    assert best.r == pytest.approx(0.843, abs=5e-4)
    assert best.gqa == pytest.approx(1.260, abs=5e-4)
    assert best.layers == pytest.approx(26.2, abs=0.05)
    assert best.loss == pytest.approx(3.0911, abs=5e-5)


def test_optima_under_decode_latency():
    """.5 GB a token, rho 1/64, d 1024 and 2048 at once."""
    assert CONTEXT == 1032.5
    d = np.array([1024.0, 2048.0])
    best = optimum(LAW, Budget.decode(0.5e9, d, CONTEXT), d, 1 / 64)
    assert best.r == pytest.approx([2.863, 0.443], abs=5e-4)
    assert best.gqa == pytest.approx([5.232, 17.44], rel=5e-4)
    assert best.layers == pytest.approx([21.0, 17.0], abs=0.05)
    assert best.loss == pytest.approx([3.2588, 3.1429], abs=5e-5)


def test_activation_rate_by_width():
    d = np.array([768, 1024, 1536, 2048, 3072.0])
    assert rho_memory(LAW, d) == pytest.approx([0.5574, 0.3955, 0.2438, 0.1730, 0.1067], abs=6e-5)
    slope = np.diff(np.log(rho_memory(LAW, d))) / np.diff(np.log(d))
    assert slope == pytest.approx(-1.19, abs=5e-3)


def numerical(*budgets, d, rho=None):
    """Least loss by SLSQP over logarithms of (layers, r, gqa, rho); budgets take those."""

    def point(x):
        layers, r, gqa, free = np.exp(x)
        return layers, r, gqa, free if rho is None else rho

    def loss(x):
        layers, r, gqa, rate = point(x)
        return float(LAW.at(layers, d, r, rate, d / gqa))

    within = [{"type": "ineq", "fun": lambda x, b=b: -np.log(b(*point(x)))} for b in budgets]
    start = np.log([15, 2, 2, 0.1])
    options = {"ftol": 1e-15, "maxiter": 1000}
    found = minimize(
        loss,
        start,
        method="SLSQP",
        constraints=within,
        options=options,
        bounds=[(None, None)] * 3 + [(np.log(1e-3), 0)],
    )
    return point(found.x)


@pytest.mark.parametrize("d", [1024.0, 2048.0])
@pytest.mark.parametrize("kind", ["prefill", "decode", "memory"])
def test_each_closed_form_is_the_numerical_optimum(kind, d):
    rho = 1 / 8
    budget, share = {
        "prefill": (
            Budget.prefill(1.5e9),
            lambda layers, r, gqa, _: layers * d**2 * (4 + 4 / gqa + 6 * r) / 1.5e9,
        ),
        "decode": (
            Budget.decode(1e9, d, CONTEXT, b_w=1.0, b_kv=2.0),
            lambda layers, r, gqa, _: (
                layers * ((2 + 2 / gqa + 3 * r) * d**2 + 4 * CONTEXT * d / gqa) / 1e9
            ),
        ),
        "memory": (
            Budget.memory(4e9, rho),
            lambda layers, r, gqa, rate: layers * (2 + 2 / gqa + 3 * r / rate) * d**2 * 2 / 4e9,
        ),
    }[kind]
    best = optimum(LAW, budget, d, rho)
    layers, r, gqa, _ = numerical(share, d=d, rho=rho)
    assert (best.layers, best.r, best.gqa) == pytest.approx((layers, r, gqa), rel=1e-3)
    assert share(best.layers, best.r, best.gqa, rho) == pytest.approx(1)


def test_the_optimum_solves_the_papers_implicit_equations():
    d, flops = np.array([768.0, 1536.0, 3072.0]), 2e9
    r, gqa = optimum(LAW, Budget.prefill(flops), d, 0.25)[1:3]
    dt = 0.031 * 0.25**1.09 * d**1.30 + 500
    xi = XI_PREFILL.at(r, gqa)
    r_star = 0.17 * dt / (6 * 1.63 * 9.96) * flops**1.63 / (xi**0.63 * d ** (3.26 + 0.97))
    gqa_star = 4 * 1.63 * 9.96 / (0.05 * 0.20) * xi**0.63 * d ** (3.26 + 0.05) / flops**1.63
    assert r == pytest.approx(r_star ** (1 / 1.17))
    assert gqa == pytest.approx(gqa_star ** (1 / 1.05))


def ratio(rho, r, gqa, d):
    """Bytes of a decode step over stored bytes."""
    return xi_decode(d, CONTEXT).at(r, gqa) / xi_stored(rho).at(r, gqa)


def printed_rho(r, gqa, eta, delta):
    """As printed: xi_Wdec / xi_Wall + delta / xi_Wall^2 = eta, a quadratic in xi_Wall."""
    active = XI_ACTIVE.at(r, gqa)
    stored = (active + np.sqrt(active**2 + 4 * eta * delta)) / (2 * eta)
    return 3 * r / (stored - XI_ACTIVE.at(0, gqa))


def test_corrected_theorem_meets_the_constraint_and_the_printed_one_does_not():
    r, gqa, eta, d = 2.0, 1.0, 0.125, 1024.0
    delta = cache_weight(d, gqa, CONTEXT)
    corrected, printed = rho_decode_memory(r, gqa, eta, delta), printed_rho(r, gqa, eta, delta)
    assert corrected == pytest.approx(0.0651, abs=5e-5)
    assert ratio(corrected, r, gqa, d) == pytest.approx(0.125, rel=1e-12)
    assert printed == pytest.approx(0.0787, abs=5e-5)
    assert ratio(printed, r, gqa, d) == pytest.approx(0.1498, abs=5e-5)


def test_corrected_theorem_at_the_numerical_optimum_under_both_budgets():
    d, traffic, memory = 1024.0, 0.5e9, 4e9
    _, r, gqa, rho = numerical(
        lambda layers, r, gqa, _: layers * d**2 * 2 * xi_decode(d, CONTEXT).at(r, gqa) / traffic,
        lambda layers, r, gqa, rate: stored_bytes(layers, d, r, gqa, rate) / memory,
        d=d,
    )
    assert rho == pytest.approx(0.09526, abs=5e-5)
    delta = cache_weight(d, gqa, CONTEXT)
    assert rho_decode_memory(r, gqa, traffic / memory, delta) == pytest.approx(rho, rel=1e-4)


def test_prefill_and_memory_both_bind():
    r, gqa, eta, b_w = 2.0, 4.0, 0.3, 2.0
    rho = rho_prefill_memory(r, gqa, eta, b_w)
    assert XI_PREFILL.at(r, gqa) / (b_w * xi_stored(rho).at(r, gqa)) == pytest.approx(eta)


@pytest.mark.parametrize(
    ("traffic", "regime"), [(0.02e9, "latency"), (0.5e9, "dual"), (8e9, "memory")]
)
def test_regime_by_eta(traffic, regime):
    """A small eta leaves memory over, a large one leaves latency over: held against the optimum."""
    d, memory, rho_min = 1024.0, 4e9, 1 / 64
    shares = (
        lambda layers, r, gqa, _: layers * d**2 * 2 * xi_decode(d, CONTEXT).at(r, gqa) / traffic,
        lambda layers, r, gqa, rate: stored_bytes(layers, d, r, gqa, rate) / memory,
    )
    latency_only = optimum(LAW, Budget.decode(traffic, d, CONTEXT), d, rho_min)
    r, gqa = latency_only.r, latency_only.gqa
    dual = rho_decode_memory(r, gqa, traffic / memory, cache_weight(d, gqa, CONTEXT))
    rho, found = rho_optimum(dual, rho_memory(LAW, d), rho_min)
    assert found == regime
    if regime == "latency":
        assert rho == rho_min
        assert shares[1](latency_only.layers, r, gqa, rho_min) < 1
    elif regime == "memory":
        best = numerical(*shares, d=d)
        assert best[3] == pytest.approx(float(rho), rel=1e-3)
        assert shares[0](*best) < 0.9
        assert shares[1](*best) == pytest.approx(1)
    else:
        best = numerical(*shares, d=d)
        assert [share(*best) for share in shares] == pytest.approx([1, 1])


def test_a_latency_budget_past_all_use_leaves_memory_to_bind():
    """Past eta = 1 + (3 r + delta) / a no activation rate, however large, uses up the latency."""
    eta = np.array([0.01, 0.5, 1.0, 2.0, 4.0, 100.0])
    for dual in (rho_decode_memory(0.5, 4.0, eta, 0.1), rho_prefill_memory(0.5, 4.0, eta)):
        assert (dual[:-1] <= dual[1:]).all()
        assert rho_optimum(dual, 0.2, 1 / 64)[1][[0, -1]].tolist() == ["latency", "memory"]
    assert np.isinf(rho_decode_memory(0.5, 4.0, 2.0, 0.1))


def central(function, at):
    step = 1e-5 * at
    return (function(at + step) - function(at - step)) / (2 * step)


@pytest.mark.parametrize(
    "xi", [XI_PREFILL, XI_ACTIVE, xi_stored(1 / 8), xi_decode(1024.0, CONTEXT, 0.5, 2.0)]
)
def test_sensitivities_against_finite_differences(xi):
    assert xi.slope_r() == pytest.approx(central(lambda r: xi.at(r, 4.0), 2.0))
    assert xi.slope_gqa(4.0) == pytest.approx(central(lambda gqa: xi.at(2.0, gqa), 4.0))


@pytest.mark.parametrize(("b_w", "b_kv"), [(2.0, 2.0), (0.5, 1.0)])
def test_every_listed_sensitivity_is_the_slope_of_its_cost(b_w, b_kv):
    d, r, gqa, rho = 1024.0, 2.0, 4.0, 0.125

    def cost(name, **moved):
        at = {"r": r, "gqa": gqa, "rho": rho, "d": d} | moved
        xi = {
            "prefill": XI_PREFILL,
            "active": XI_ACTIVE,
            "stored": xi_stored(at["rho"]),
            "decode": xi_decode(at["d"], CONTEXT, b_w, b_kv),
        }[name]
        return xi.at(at["r"], at["gqa"])

    here = {"r": r, "gqa": gqa, "rho": rho, "d": d}
    found = sensitivities(d, r, gqa, rho, CONTEXT, b_w, b_kv)
    assert len(found) == 10
    for name, slope in found.items():
        what, by = name.split(" by ")
        expected = central(lambda x, w=what, b=by: cost(w, **{b: x}), here[by])
        assert slope == pytest.approx(expected, rel=1e-6), name
    assert found["prefill by gqa"] == -4 / 16
    assert found["stored by rho"] == -3 * 2.0 / 0.125**2
    assert found["decode by d"] == -2 * CONTEXT * b_kv / (4 * 1024.0**2 * b_w)


def test_budgets_undo_times():
    """A model that takes a time fills the budget that the time allows."""
    shape = {"layers": 12.0, "d": 1536.0, "r": 2.0, "gqa": 4.0}
    seconds = prefill_time(**shape, batch=2, prompt=512, peak=40e12)
    budget = Budget.prefill(prefill_budget(seconds, 40e12, batch=2, prompt=512))
    assert budget.layers(1536.0, 2.0, 4.0) == pytest.approx(12)
    seconds = decode_time(**shape, prompt=1024, generate=16, bandwidth=100e9, b_w=1.0)
    budget = Budget.decode(decode_budget(seconds, 100e9, 16), 1536.0, CONTEXT, b_w=1.0)
    assert budget.layers(1536.0, 2.0, 4.0) == pytest.approx(12)
    budget = Budget.memory(stored_bytes(**shape, rho=1 / 8, b_w=0.5), 1 / 8, b_w=0.5)
    assert budget.layers(1536.0, 2.0, 4.0) == pytest.approx(12)


def test_decode_time_is_the_sum_over_its_steps():
    shape = {"layers": 12.0, "d": 1536.0, "r": 2.0, "gqa": 4.0}
    steps = [
        12 * (XI_ACTIVE.at(2.0, 4.0) * 1536**2 * 2 + 2 * (1024 + i) * 1536 * 2 / 4.0) / 100e9
        for i in range(1, 17)
    ]
    seconds = decode_time(**shape, prompt=1024, generate=16, bandwidth=100e9)
    assert seconds == pytest.approx(sum(steps))
