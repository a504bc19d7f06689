"""The published cost model, against its numbers and a loop over nodes."""

import numpy as np
import pytest

from roofline.graphs.cost import FlopCost, node_flops
from roofline.graphs.graph import ASSISTANT, SINK, Graphs, star
from roofline.graphs.pool import Pool, load_pool, load_task
from roofline.graphs.search.exhaustive import every_graph
from spec_files import SpecError

TOY = Pool(
    ("toy", "toy"), 1, np.array([100.0, 100.0]), np.array([2.0, 2.0]), np.array([10.0, 10.0]),
    (None, None), (100.0, 2.0, 10.0),
)  # fmt: skip
POOL = load_pool(["1b", "3b", "8b"])


def test_node_costs_worked_by_hand():
    """M 100, D 10, L 2, A 4, B 3: in-degree 0 takes 3640, in-degree 2 takes 9880."""
    found = node_flops(*(np.array(x) for x in (100.0, 2.0, 10.0)), 4, 3, np.array([0, 2]))
    assert found.tolist() == [3640, 9880]


def test_the_graph_of_three_nodes():
    cost = FlopCost(TOY, 4, 3)
    graph = star([0, 0], 1)
    assert cost.nodes(graph).tolist() == [[3640, 3640, 9880]]
    assert cost.flops(graph).tolist() == [17160]


def test_fan_in_bounds_what_is_read():
    cost = FlopCost(TOY, 4, 3, fan_in=1)
    one = FlopCost(TOY, 4, 3).nodes(star([0], 1))[0, 1]
    assert cost.nodes(star([0] * 5, 1))[0, 5] == one


@pytest.mark.parametrize(("task", "unit"), [("mmlu", 8.680e11), ("humaneval", 5.957e11)])
def test_published_units(task, unit):
    assert FlopCost.of(POOL, load_task(task)).unit == pytest.approx(unit, rel=1e-4)


def test_the_complete_graph_of_four_is_the_budget_of_18():
    """17.75 units are published; the formula with the published lengths gives 17.79."""
    edges = np.triu(np.ones((1, 5, 5), dtype=bool), 1)
    roles = np.array([[ASSISTANT] * 4 + [SINK]])
    graph = Graphs(edges, roles, np.array([[0, 0, 0, 0, 3]]))
    units = float(FlopCost.of(POOL, load_task("math")).units(graph)[0])
    assert units == pytest.approx(17.75, rel=0.0025)
    assert round(units) == 18


def test_cost_is_the_published_polynomial_of_the_in_degree():
    """alpha d^2 + beta d + gamma with the coefficients as printed, over all graphs of 3 nodes."""
    task = load_task("math")
    a, b = task.prompt, task.answer
    cost = FlopCost.of(POOL, task)
    for table in every_graph(3, 3, POOL.sink):
        expected = np.zeros(len(table))
        for row in range(len(table)):
            for node in np.flatnonzero(table.models[row] >= 0):
                m, l_, w = (
                    float(x[table.models[row, node]])
                    for x in (POOL.parameters, POOL.layers, POOL.width)
                )
                d = int(table.edges[row, :, node].sum())
                alpha = 2 * l_ * w * b * b
                beta = 2 * m * b + 2 * l_ * w * b * (2 * a + 2 * b + 1)
                gamma = 2 * (m + l_ * w) * (a + b) + 2 * l_ * w * (a + b) ** 2
                expected[row] += alpha * d * d + beta * d + gamma
        assert np.allclose(cost.flops(table), expected, rtol=1e-12)


def test_the_unit_does_not_depend_on_the_pool():
    task = load_task("math")
    assert FlopCost.of(load_pool(["8b"]), task).unit == FlopCost.of(POOL, task).unit


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["1b", "9b"], "no model '9b'"), (["1b", "1b"], "named twice"), ([], "no model was named")],
)
def test_a_pool_of_unknown_models_is_refused(names, expected):
    with pytest.raises(SpecError, match=expected):
        load_pool(names)


@pytest.mark.parametrize("name", ["maths", "models", "", "nosuch.yaml"])
def test_an_unknown_task_is_refused(name):
    with pytest.raises(SpecError, match="task"):
        load_task(name)
