"""REINFORCE's gradient against enumeration, and what a policy can draw."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofline.graphs.cost import FlopCost
from roofline.graphs.files import sentence
from roofline.graphs.pool import load_pool, load_task
from roofline.graphs.problem import make_problem
from roofline.graphs.search.exhaustive import every_graph
from roofline.graphs.search.policy import Choices, Gradient, Policy, draw, follow, mended
from roofline.graphs.search.reinforce import Adam, loss_gradient
from roofline.graphs.surrogate import published

TASK = load_task("math")


def problem(models, nodes, budget=18.0):
    pool = load_pool(models)
    return make_problem(pool, TASK, FlopCost.of(pool, TASK), None, "flops", budget, nodes)


def random_policy(of, seed):
    rng = np.random.default_rng(seed)
    flat = Policy.flat(of)
    return Policy(
        rng.normal(2, 1, flat.edges.shape),
        rng.normal(0, 1, flat.roles.shape),
        rng.normal(0, 1, flat.models.shape),
    )


def every_choice(of):
    """Every way that the draws may come out, those that cannot be included."""
    k, m = of.nodes, of.pool.choices
    pairs = [(i, j) for i in range(k) for j in range(i + 1, k + 1)]
    codes = np.arange(2 ** len(pairs) * 2**k * (m + 1) ** k)
    bits, rest = codes % 2 ** len(pairs), codes // 2 ** len(pairs)
    edges = np.zeros((len(codes), k + 1, k + 1), dtype=bool)
    edges[:, [i for i, _ in pairs], [j for _, j in pairs]] = (
        bits[:, None] >> np.arange(len(pairs)) & 1
    )
    roles = np.array(list(product(range(2), repeat=k)))[rest % 2**k]
    models = np.array(list(product(range(m + 1), repeat=k)))[rest // 2**k]
    return Choices(edges, roles, models)


def code(graphs):
    """One number for each graph of few nodes and models."""
    bits = graphs.edges.reshape(len(graphs), -1) @ (2 ** np.arange(graphs.places**2))
    digits = (graphs.roles * 8 + graphs.models + 1) @ (64 ** np.arange(graphs.places))
    return bits + digits * 2 ** (graphs.places**2)


def expectation(of, policy, choices):
    """P and utility of every outcome, utility the surrogate's accuracy."""
    drawn = follow(policy, of, choices)
    p = np.exp(drawn.log_probability)
    utility = np.where(p > 0, published().predict(drawn.graphs, TASK, of.pool).accuracy, 0.0)
    return drawn, p, utility


@pytest.mark.parametrize(
    ("models", "nodes", "budget"),
    [(["1b"], 3, 18.0), (["1b", "3b"], 3, 12.0), (["1b", "3b", "8b"], 2, 16.0)],
)
def test_the_gradient_is_that_of_the_enumerated_expectation(models, nodes, budget):
    """Graphs of three nodes and the sink: E[utility x grad log P] = grad E[utility]."""
    of = problem(models, nodes, budget)
    policy, choices = random_policy(of, 1), every_choice(of)
    drawn, p, utility = expectation(of, policy, choices)
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert 0 < (p > 0).sum() < len(p)  # the budget and the rules forbid some
    choices = Choices(choices.edges[p > 0], choices.roles[p > 0], choices.models[p > 0])
    drawn, p, utility = expectation(of, policy, choices)
    scored = drawn.gradient.weighted(p * utility * len(p))
    for name in ("edges", "roles", "models"):
        logits = getattr(policy, name)
        for at in np.ndindex(logits.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = {n: getattr(policy, n).copy() for n in ("edges", "roles", "models")}
                moved[name][at] += step
                _, q, u = expectation(of, Policy(**moved), choices)
                ends.append((q * u).sum())
            slope = (ends[0] - ends[1]) / 2e-5
            assert getattr(scored, name)[at] == pytest.approx(slope, abs=1e-8)


def test_samples_have_the_enumerated_probabilities():
    of = problem(["1b", "3b"], 2, 12.0)
    policy, choices = random_policy(of, 2), every_choice(of)
    drawn = follow(policy, of, choices)
    count = 20_000
    sample = draw(policy, of, count, np.random.default_rng(0))
    codes = [code(each.graphs) for each in (drawn, sample)]
    known = np.unique(codes[0])
    expected = np.zeros(len(known))
    np.add.at(expected, np.searchsorted(known, codes[0]), np.exp(drawn.log_probability))
    assert np.isin(codes[1], known).all()
    heard = np.bincount(np.searchsorted(known, codes[1]), minlength=len(known)) / count
    spread = 4.5 * np.sqrt(expected * (1 - expected) / count) + 1e-4
    assert (np.abs(heard - expected) <= spread).all()
    assert (expected > 0.01).sum() > 5


def test_a_draw_followed_says_the_same():
    of = problem(["1b", "3b", "8b"], 5)
    policy = random_policy(of, 3)
    drawn = draw(policy, of, 200, np.random.default_rng(1))
    again = follow(policy, of, drawn.choices)
    assert np.allclose(again.log_probability, drawn.log_probability)
    assert np.array_equal(again.graphs.edges, drawn.graphs.edges)
    assert np.array_equal(again.graphs.models, drawn.graphs.models)
    assert np.allclose(again.gradient.models, drawn.gradient.models)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(6.0, 30.0), st.integers(1, 8))
def test_whatever_is_drawn_keeps_the_rules_and_the_budget(seed, budget, nodes):
    of = problem(["1b", "3b", "8b"], nodes, budget)
    graphs = draw(random_policy(of, seed), of, 50, np.random.default_rng(seed)).graphs
    assert (graphs.broken_rule() < 0).all()
    assert of.fits(graphs).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(6.0, 30.0))
def test_whatever_is_mended_keeps_the_rules_and_the_budget(seed, budget):
    of = problem(["1b", "3b", "8b"], 5, budget)
    rng = np.random.default_rng(seed)
    edges = np.triu(rng.random((40, 6, 6)) < 0.5, 1)
    choices = Choices(edges, rng.integers(0, 2, (40, 5)), rng.integers(0, 4, (40, 5)))
    graphs = mended(of, choices)
    assert (graphs.broken_rule() < 0).all()
    assert of.fits(graphs).all()


def test_no_graph_within_the_budget_is_out_of_reach():
    """Every valid graph of three nodes within the budget has a probability above zero."""
    of = problem(["1b", "3b"], 3, 13.0)
    choices = every_choice(of)
    drawn = follow(Policy.flat(of), of, choices)
    possible = np.flatnonzero(drawn.log_probability > -np.inf)
    _, first = np.unique(code(drawn.graphs[possible]), return_index=True)
    reached = {sentence(drawn.graphs, of.pool, int(row)) for row in possible[first]}
    wanted = set()
    for table in every_graph(3, 2, of.pool.sink):
        within = table[of.fits(table)]
        wanted |= {sentence(within, of.pool, row) for row in range(len(within))}
    assert reached == wanted


def test_edges_begin_at_the_published_probability():
    of = problem(["1b"], 3)
    p = Policy.flat(of).edge_probabilities()
    assert p[0, 1] == pytest.approx(1 / (1 + np.exp(2.0)))
    assert np.array_equal(p, np.triu(p, 1))


def test_adam_is_that_of_the_paper():
    """Against a scalar loop of arXiv 1412.6980, algorithm 1."""
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(7, 3))
    adam, at = Adam(), np.zeros(3)
    for g in gradients:
        at = at + adam.step(Gradient(g, np.zeros(1), np.zeros(1))).edges
    for i in range(3):
        m = v = x = 0.0
        for t, g in enumerate(gradients[:, i], start=1):
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            x -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        assert at[i] == pytest.approx(x, rel=1e-12)


def test_the_loss_is_minus_the_mean_of_log_p_times_utility():
    of = problem(["1b", "3b"], 3)
    drawn = draw(random_policy(of, 4), of, 3, np.random.default_rng(2))
    utility = np.array([0.2, 0.5, 0.9])
    found = loss_gradient(drawn.gradient, utility)
    by_hand = -sum(utility[g] * drawn.gradient.models[g] for g in range(3)) / 3
    assert np.allclose(found.models, by_hand)
