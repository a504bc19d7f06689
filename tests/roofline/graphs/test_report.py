"""The comparison of searches and its report."""

import numpy as np
import pytest

from roofline.graphs.__main__ import main
from roofline.graphs.benchmark import COMPARED, compare, drawn_utilities
from roofline.graphs.drawing import picture, text_drawing
from roofline.graphs.files import from_sentence
from roofline.graphs.pool import load_pool
from roofline.graphs.report import figure, orders, searches, verdict

POOL = load_pool(["1b", "3b", "8b"])


@pytest.fixture(scope="module")
def found():
    return compare("math", 18.0, seeds=3, evaluations=9, nodes=3)


def test_all_methods_are_compared_at_equal_evaluations(found):
    assert set(found.traces) == set(COMPARED)
    for trace in found.traces.values():
        assert trace.shape == (3, 9)
        assert (np.diff(trace, axis=1) >= 0).all()
        assert (trace <= found.optimum.utility + 1e-12).all()
    # Three nodes hold the optimum that four and five do.
    assert found.optimum.said == "1 3b; 2 3b; 3 3b < 1 2; sink < 3"


def test_tables_say_what_was_found(found):
    text = searches([found])
    for method in COMPARED:
        assert f"| {method} | {100 * found.final(method).mean():.2f} |" in text
    assert f"{found.hits('agent')} of 3" in text
    assert "plain REINFORCE is" in verdict([found])
    assert "| MATH | 9x1b | 39 |" in orders(POOL)


def test_other_utilities_are_no_better_than_their_optimum():
    below = drawn_utilities("math", 14.0, count=2, evaluations=6, nodes=3)
    assert all((values >= 0).all() and len(values) == 2 for values in below.values())
    assert any((values > 0).any() for values in below.values())


def test_the_figure_has_every_method(found):
    drawn = figure([found], 3)
    drawn_names = {str(line.get_label()).lower() for line in drawn.axes[0].lines}
    assert drawn_names >= set(COMPARED)


def test_bad_options_of_the_report(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--seeds", "1"])
    assert "at least 2" in capsys.readouterr().err


def test_a_graph_is_drawn_level_by_level():
    graph = from_sentence("1 8b; 2 1b; 3 fuser 3b < 1 2; sink < 1 3", POOL)
    assert text_drawing(graph, POOL).split("\n  |\n") == [
        "[1] assistant 1b   [2] assistant 8b",
        "[3] fuser 3b <- 1 2",
        "sink 3b <- 2 3",
    ]
    words = [each.get_text() for each in picture(graph, POOL, "x").axes[0].texts]
    assert {"1b", "8b", "3b", "sink", "3 fuser"} <= set(words)
