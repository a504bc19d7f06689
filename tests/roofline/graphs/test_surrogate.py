"""The surrogate: the published scores and orders, its limits, and stars worked by hand."""

import itertools

import numpy as np
import pytest

from roofline.graphs.cost import FlopCost
from roofline.graphs.graph import layered, stack
from roofline.graphs.pool import load_pool, load_task, shipped_tasks
from roofline.graphs.surrogate import Coefficients, accuracy, fit, log_odds, published, score
from spec_files import SpecError

POOL = load_pool(["1b", "3b", "8b"])
STARS = {
    "9x1B": ["1b"] * 9, "7x1B": ["1b"] * 7, "2x3B+3x1B": ["3b"] * 2 + ["1b"] * 3,
    "1x3B+6x1B": ["3b"] + ["1b"] * 6, "1x3B+3x1B": ["3b"] + ["1b"] * 3, "3x3B": ["3b"] * 3,
    "8B": ["8b"],
}  # fmt: skip
PUBLISHED = {
    "math": {"9x1B": 39, "2x3B+3x1B": 45, "1x3B+6x1B": 44, "3x3B": 54, "8B": 49},
    "mmlu": {"9x1B": 30, "2x3B+3x1B": 45, "1x3B+6x1B": 39, "3x3B": 41, "8B": 64},
    "humaneval": {"7x1B": 38, "1x3B+3x1B": 48, "8B": 60},
}
"""Accuracy of equal-budget graphs in percent, arXiv 2511.00086."""


def predicted(task):
    table = stack([POOL.star(STARS[name]) for name in PUBLISHED[task]])
    found = published().predict(table, load_task(task), POOL).accuracy
    return dict(zip(PUBLISHED[task], 100 * found, strict=True))


@pytest.mark.parametrize(("task", "first"), [("math", "3x3B"), ("mmlu", "8B"), ("humaneval", "8B")])
def test_the_published_winner_comes_first(task, first):
    found = predicted(task)
    assert max(found, key=lambda name: found[name]) == first
    assert max(PUBLISHED[task], key=lambda name: PUBLISHED[task][name]) == first


@pytest.mark.parametrize("task", ["math", "humaneval"])
def test_the_whole_published_order_is_recovered(task):
    found = predicted(task)
    order = sorted(found, key=lambda name: -found[name])
    assert order == sorted(PUBLISHED[task], key=lambda name: -PUBLISHED[task][name])


@pytest.mark.parametrize("task", PUBLISHED)
def test_published_scores_are_within_four_points(task):
    found = predicted(task)
    assert max(abs(found[name] - PUBLISHED[task][name]) for name in found) < 4.0


def test_the_error_is_that_of_fits_without_each_graph():
    """Leave each graph of MATH out of its task's table, and fit anew."""
    whole = published()
    tasks = [load_task(name) for name in shipped_tasks()]
    assert [task.title for task in whole.tasks] == ["HumanEval", "MATH", "MMLU"]
    task = tasks[1]
    found = []
    for row, scored in enumerate(task.graphs[:4]):
        left = task.model_copy(
            update={"graphs": tuple(g for i, g in enumerate(task.graphs) if i != row)}
        )
        without = fit([tasks[0], left, tasks[2]])
        star = POOL.star([name for name, count in scored.models.items() for _ in range(count)])
        found.append(without.predict(star, task, POOL).accuracy[0])
    assert whole.held_out[2:6] == pytest.approx(found, abs=0.003)
    assert len(whole.held_out) == 10
    errors = whole.held_out - whole.published
    assert whole.error == pytest.approx(np.sqrt(np.mean(np.square(errors))))
    assert whole.error > np.sqrt(np.mean((whole.fitted - whole.published) ** 2))


def test_a_star_is_its_formula():
    """Q + g log(N) exp(-h (d - 1)) with softmax weights, by a loop."""
    using = Coefficients(3.0, 0.2, 0.6)
    single = log_odds(np.array([0.3, 0.4, 0.5, 0.4]))
    for names in STARS.values():
        odds = [single[POOL.code(name)] for name in names]
        weights = [np.exp(3.0 * each) for each in odds]
        shares = [w / sum(weights) for w in weights]
        quality = sum(s * z for s, z in zip(shares, odds, strict=True))
        answers = np.log(1 / sum(s * s for s in shares))
        expected = quality + 0.6 * answers * np.exp(-0.2 * (len(names) - 1))
        assert score(POOL.star(names), single, using)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("model", ["1b", "3b", "8b"])
@pytest.mark.parametrize("task", PUBLISHED)
def test_one_model_alone_is_its_published_accuracy(task, model):
    found = published().predict(POOL.star([model]), load_task(task), POOL)
    assert found.accuracy[0] == pytest.approx(load_task(task).accuracy[model], abs=1e-12)
    assert found.within.all()


def optimum(values):
    return int(np.argmax(values)) + 1


def test_width_and_depth_have_interior_optima_and_depth_falls_with_width():
    """Findings of arXiv 2511.00086, over layered graphs of one model on MATH."""
    task, most = load_task("math"), 9
    for model in range(3):
        best = []
        for width in range(1, most):
            table = stack([layered(width, depth, model, POOL.sink) for depth in range(1, most)])
            best.append(optimum(published().predict(table, task, POOL).accuracy))
        assert 1 < best[0] < most - 1
        assert all(later <= sooner for sooner, later in itertools.pairwise(best))
        assert best[-1] < best[0]
        stars = stack([layered(width, 1, model, POOL.sink) for width in range(1, most + 4)])
        assert 1 < optimum(published().predict(stars, task, POOL).accuracy) < most


def test_an_answer_that_comes_two_ways_counts_once():
    """a -> b -> sink and a -> sink: what the sink rests on sums to one, a not twice."""
    from roofline.graphs.files import from_sentence

    single = log_odds(np.array([0.4, 0.4, 0.4, 0.4]))
    using = Coefficients(0.0, 0.0, 1.0)
    two = accuracy(from_sentence("1 1b; 2 1b < 1; sink < 1 2", POOL), single, using)
    # Shares 3/4 and 1/4: N = 1.6; one revision on half of the way.
    by_hand = log_odds(0.4) + np.log(1 / (9 / 16 + 1 / 16)) + 0.2 * 0.5
    assert log_odds(two)[0] == pytest.approx(by_hand, rel=1e-12)


def test_what_was_not_fitted_is_said():
    found = published().predict(
        stack([layered(1, 2, 0, POOL.sink), POOL.star(["1b"] * 10), POOL.star(["1b"] * 9)]),
        load_task("math"), POOL,
    )  # fmt: skip
    assert found.within.tolist() == [False, False, True]


def test_a_task_without_graphs_has_the_error_of_unseen_tasks():
    task = load_task("math").model_copy(update={"title": "Mine", "graphs": ()})
    found = published().predict(POOL.star(["3b"] * 3), task, POOL)
    assert found.error == published().error_unseen > published().error


def test_the_best_graph_of_math_within_18_units_has_the_reported_accuracy():
    """56 %, arXiv 2511.00086: what the worth of a revision was chosen by."""
    from roofline.graphs.search.exhaustive import every_graph

    task = load_task("math")
    cost, best = FlopCost.of(POOL, task), 0.0
    for table in every_graph(4, 3, POOL.sink):
        within = table[cost.units(table) <= 18]
        if len(within):
            best = max(best, published().predict(within, task, POOL).accuracy.max())
    assert best == pytest.approx(0.56, abs=0.005)


def test_nothing_to_fit_is_refused():
    with pytest.raises(SpecError, match="no task has a published graph"):
        fit([load_task("math").model_copy(update={"graphs": ()})])


def test_a_model_without_an_accuracy_is_named():
    task = load_task("math").model_copy(update={"accuracy": {"1b": 0.3, "3b": 0.4}})
    with pytest.raises(SpecError, match="no accuracy of model '8b' alone"):
        published().predict(POOL.star(["1b"]), task, POOL)
