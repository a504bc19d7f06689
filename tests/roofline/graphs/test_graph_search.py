"""The searches: what they find, what they count, what survives an interruption."""

import numpy as np
import pytest

from roofline.graphs.cost import FlopCost
from roofline.graphs.files import from_sentence, sentence
from roofline.graphs.graph import stack, widened
from roofline.graphs.ledger import Ledger
from roofline.graphs.pool import load_pool, load_task
from roofline.graphs.problem import make_problem, read_budget
from roofline.graphs.run import METHODS, search
from roofline.graphs.search.agent import (
    Round,
    State,
    first_graphs,
    lawful,
    outwards,
    usefulness,
)  # fmt: skip
from roofline.graphs.search.policy import Policy
from roofline.graphs.search.proposers.rules import improved, moves
from roofline.graphs.surrogate import published
from roofline.graphs.utility import SurrogateUtility, UtilityFailed
from spec_files import SpecError

POOL = load_pool(["1b", "3b", "8b"])
SEARCHES = ("agent", "reinforce", "random", "bayesian")


def problem(task="math", budget=18.0, nodes=5, pool=POOL):
    said = load_task(task)
    return make_problem(pool, said, FlopCost.of(pool, said), None, "flops", budget, nodes)


def ledger(of, limit=30, **options):
    return Ledger(of, SurrogateUtility(published(), of.task, of.pool), limit, **options)


@pytest.mark.parametrize("task", ["math", "humaneval"])
def test_exhaustive_finds_the_best_of_all(task):
    """Against the best of three thousand draws, of 3127 graphs and fewer within the budget."""
    of = problem(task, nodes=3)
    found = ledger(of)
    search(found, "exhaustive", 0)
    drawn = ledger(of, limit=3000)
    search(drawn, "random", 1)
    best, second = found.best(2)
    assert best.utility == pytest.approx(drawn.best()[0].utility, abs=1e-12)
    assert best.said != second.said
    assert best.utility >= second.utility


@pytest.mark.parametrize("method", SEARCHES)
def test_a_search_counts_its_evaluations_and_repeats_by_seed(method):
    of = problem()
    runs = [ledger(of, 20) for _ in range(3)]
    for run, seed in zip(runs, (5, 5, 6), strict=True):
        search(run, method, seed)
    lines = [[entry.said for entry in run.entries] for run in runs]
    assert [run.asked for run in runs] == [20, 20, 20]
    assert lines[0] == lines[1] != lines[2]
    for entry in runs[0].entries:
        assert of.fits(entry.graph)[0]
        assert entry.graph.broken_rule()[0] < 0


@pytest.mark.parametrize("method", SEARCHES)
@pytest.mark.parametrize("limit", [1, 2, 7])
def test_no_search_asks_for_more_than_it_may(method, limit):
    run = ledger(problem(), limit)
    search(run, method, 0)
    assert run.asked == limit


def test_learning_pays():
    """With many evaluations REINFORCE draws better graphs in the end than at first."""
    run = ledger(problem(nodes=4), 1500)
    search(run, "reinforce", 0)
    values = np.array([entry.utility for entry in run.entries])
    assert values[-150:].mean() > values[:150].mean() + 0.02


def test_the_agent_starts_from_two_sets_of_models():
    of = problem(nodes=8)
    lines = [sentence(first_graphs(of), POOL, row) for row in range(3)]
    assert lines[:2] == ["1 8b; sink < 1", "1 3b; 2 3b; 3 3b; sink < 1 2 3"]


def test_only_edges_that_were_drawn_and_useful_rise():
    of = problem(nodes=3)
    graphs = outwards(
        stack([
            widened(from_sentence("1 3b; 2 3b < 1; sink < 2", POOL), 4),
            widened(from_sentence("1 1b; 2 1b; sink < 1 2", POOL), 4),
        ])
    )  # fmt: skip
    state = State(
        of, Policy.flat(of), (Round(graphs, np.array([0.6, 0.3])),), (graphs[0], 0.6),
        frozenset(), 3,
    )  # fmt: skip
    useful = usefulness(state.last)
    assert useful[1, 2] == pytest.approx(0.15)  # only in the better graph
    assert useful[2, 3] == pytest.approx(0.0)  # in both
    assert useful[1, 3] == pytest.approx(-0.15)  # only in the worse
    assert np.isnan(useful[0, 1])
    wish = state.policy.with_edge_probabilities(np.full((4, 4), 0.9))
    old, new = state.policy.edge_probabilities(), lawful(state, wish).edge_probabilities()
    assert new[1, 2] == pytest.approx(0.9)
    rest = np.triu(np.ones((4, 4), dtype=bool), 1)
    rest[1, 2] = False
    assert np.allclose(new[rest], old[rest])
    by_rules = improved(state).edge_probabilities()
    assert by_rules[1, 2] > old[1, 2]
    assert np.allclose(by_rules[rest], old[rest])


def test_moves_are_other_graphs_of_as_many_places():
    of = problem(nodes=5)
    start = outwards(widened(from_sentence("1 3b; 2 1b; 3 3b; sink < 1 2 3", POOL), 6))
    lines, kinds = set(), set()
    for kind, graph in moves(start, of):
        assert graph.places == start.places
        kinds.add(kind)
        lines.add(sentence(graph, POOL))
    assert kinds == {"deepen", "gather", "swap", "grow", "fuse", "drop"}
    assert sentence(start, POOL) not in lines
    assert "1 1b; 2 3b; 3 3b < 1 2; sink < 3" in lines  # gathered
    assert "1 1b; 2 3b; 3 3b; 4 8b < 1 2 3; sink < 4" in lines  # one more between


def test_an_interrupted_search_goes_on_and_ends_the_same(tmp_path):
    class Stops(SurrogateUtility):
        swift = False
        calls = 0

        def __call__(self, graphs):
            Stops.calls += 1
            if Stops.calls == 8:
                raise KeyboardInterrupt
            return super().__call__(graphs)

    of = problem()
    whole = ledger(of, 20, file=tmp_path / "whole.csv")
    search(whole, "random", 3)
    file = tmp_path / "history.csv"
    broken = Ledger(of, Stops(published(), of.task, POOL), 20, file=file)
    with pytest.raises(KeyboardInterrupt):
        search(broken, "random", 3)
    kept = file.read_text()
    assert 4 <= len(kept.splitlines()) - 1 < 20
    file.write_text(kept + "9,0.4")  # and a line cut short
    again = Ledger(of, Stops(published(), of.task, POOL), 20, file=file)
    again.resume()
    before = Stops.calls
    search(again, "random", 3)
    assert file.read_text() == (tmp_path / "whole.csv").read_text()
    distinct = {entry.said for entry in whole.entries}
    assert Stops.calls - before == len(distinct) - len({e.said for e in again.earlier})


def test_a_history_of_something_else_is_refused(tmp_path):
    file = tmp_path / "history.csv"
    file.write_text("evaluation,utility,cost,graph,note\n1,0.5,3,1 9b; sink < 1,\n")
    run = ledger(problem(), file=file)
    with pytest.raises(SpecError, match=r"history.csv:2: no evaluation of this search"):
        run.resume()


class Fails:
    swift = False

    def __call__(self, graphs):
        raise UtilityFailed("the benchmark broke")


@pytest.mark.parametrize("method", SEARCHES)
def test_a_benchmark_that_fails_stops_or_is_skipped(method):
    of = problem()
    with pytest.raises(SpecError, match="the benchmark broke"):
        search(Ledger(of, Fails(), 5), method, 0)
    skipping = Ledger(of, Fails(), 5, on_failure="skip")
    search(skipping, method, 0)
    assert skipping.asked == 5
    assert skipping.best() == []
    assert all("the benchmark broke" in entry.note for entry in skipping.entries[:1])


def test_exhaustive_refuses_what_it_cannot_enumerate():
    with pytest.raises(SpecError, match="nodes 5 or fewer"):
        search(ledger(problem(nodes=6)), "exhaustive", 0)


def test_exhaustive_asks_a_users_benchmark_for_each_graph():
    class Slow(SurrogateUtility):
        swift = False

    of = problem(nodes=2, pool=load_pool(["1b", "3b"]))
    run = Ledger(of, Slow(published(), of.task, of.pool), 1)
    search(run, "exhaustive", 0)
    swift = ledger(of)
    search(swift, "exhaustive", 0)
    assert run.asked == swift.asked == len(run.entries)
    assert run.best()[0].said == swift.best()[0].said


@pytest.mark.parametrize(
    ("text", "objective", "expected"),
    [("18", "flops", 18.0), ("2 s", "latency", 2.0), ("1kJ", "energy", 1000.0)],
)
def test_budgets_are_read_in_their_units(text, objective, expected):
    assert read_budget(text, objective) == expected


@pytest.mark.parametrize(
    ("text", "objective"),
    [("18s", "flops"), ("-1", "flops"), ("nan", "flops"), ("inf", "flops"), ("18", "latency"),
     ("18 J", "latency"), ("0 s", "latency"), ("18", "speed")],
)  # fmt: skip
def test_other_budgets_are_refused(text, objective):
    with pytest.raises(SpecError, match=r"--budget|--objective"):
        read_budget(text, objective)


def test_a_budget_below_the_least_graph_says_what_that_takes():
    with pytest.raises(SpecError, match=r"one 1b read by the sink, takes 5\.757 units"):
        problem(budget=5.0)


def test_every_method_is_one():
    assert set(METHODS) == {*SEARCHES, "exhaustive"}
