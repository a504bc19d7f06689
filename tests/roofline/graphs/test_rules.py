"""Rules of graphs, against brute force and graphs worked by hand."""

import json
from itertools import permutations, product

import numpy as np
import pytest

from roofline.graphs.files import as_json, from_sentence, parse_graph, read_graph, sentence
from roofline.graphs.graph import ABSENT, FUSER, SINK, Graphs, layered, stack, star, widened
from roofline.graphs.pool import load_pool
from roofline.graphs.search.exhaustive import every_graph, roled, shapes
from spec_files import SpecError

POOL = load_pool(["1b", "3b", "8b"])


def graph(nodes, edges):
    """A graph as a file says it: nodes 'a1b' or 'f3b' by name."""
    roles = {"a": "assistant", "f": "fuser", "s": "sink"}
    return {
        "nodes": [
            {"name": name, "role": roles[kind[0]], "model": kind[1:]}
            for name, kind in nodes.items()
        ],
        "edges": [list(edge) for edge in edges],
    }


SINK_NODE = {"s": "s3b"}
BROKEN = {
    "a cycle": (
        {"a": "a1b", "b": "a1b", "c": "a1b"} | SINK_NODE,
        ["ab", "bc", "ca", "cs"],
        r"a cycle, (a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c)",
    ),
    "itself": ({"a": "a1b"} | SINK_NODE, ["aa", "as"], "a cycle, a -> a"),
    "fuser without assistant": (
        {"a": "a1b", "f": "f1b"} | SINK_NODE, ["as", "fs"], "node f is a fuser without an assistant"
    ),
    "fuser after fuser": (
        {"a": "a1b", "f": "f1b", "g": "f3b"} | SINK_NODE, ["af", "ag", "fg", "gs"],
        "node g is a fuser that reads a fuser",
    ),
    "no assistant": ({"f": "f1b"} | SINK_NODE, ["fs"], "no assistant"),
    "unused": ({"a": "a1b", "b": "a1b"} | SINK_NODE, ["as"], "node b does not reach the sink"),
    "two sinks": ({"a": "a1b", "t": "s3b"} | SINK_NODE, ["as", "at"], "2 sinks"),
    "sink is read": ({"a": "a1b"} | SINK_NODE, ["as", "sa"], "nobody reads it"),
    "other sink": ({"a": "a1b", "s": "s8b"}, ["as"], "the sink is '8b'"),
    "unknown model": ({"a": "a9b"} | SINK_NODE, ["as"], "no model '9b' in the pool"),
    "unknown node": ({"a": "a1b"} | SINK_NODE, ["as", "xs"], "an edge of no node 'x'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_one_sentence(name, tmp_path):
    nodes, edges, expected = BROKEN[name]
    file = tmp_path / "graph.json"
    file.write_text(json.dumps(graph(nodes, edges)))
    with pytest.raises(SpecError, match=expected) as raised:
        read_graph(file, POOL)
    assert str(raised.value).startswith(str(file))
    assert "\n" not in str(raised.value)


def test_an_assistant_may_read_a_fuser():
    nodes = {"a": "a1b", "f": "f1b", "b": "a3b"} | SINK_NODE
    found = parse_graph(graph(nodes, ["af", "fb", "bs"]), POOL, "x")
    assert sentence(found, POOL) == "1 1b; 2 fuser 1b < 1; 3 3b < 2; sink < 3"


def brute_force_valid(adjacency, roles):
    """The rules, node by node, over any set of edges; the last node is the sink."""
    count = len(adjacency)
    if "assistant" not in roles:
        return False
    for node, role in enumerate(roles):
        readers = [i for i in range(count - 1) if adjacency[i][node]]
        kinds = [roles[i] for i in readers]
        if role == "fuser" and ("assistant" not in kinds or "fuser" in kinds):
            return False
    for node in range(count - 1):
        reached, ahead = set(), [node]
        while ahead:
            at = ahead.pop()
            ahead += [j for j in range(count) if adjacency[at][j] and j not in reached]
            reached |= {j for j in range(count) if adjacency[at][j]}
        if count - 1 not in reached:
            return False
    return True


def test_the_rules_are_those_of_brute_force():
    """All 2^6 sets of edges x 2^3 roles of three nodes and the sink, in one table."""
    above = np.triu_indices(4, 1)
    edges, roles, expected = [], [], []
    for bits in product([False, True], repeat=6):
        adjacency = np.zeros((4, 4), dtype=bool)
        adjacency[above] = bits
        for kinds in product([0, 1], repeat=3):
            edges.append(adjacency)
            roles.append([*kinds, SINK])
            names = [("assistant", "fuser")[kind] for kind in kinds] + ["sink"]
            expected.append(brute_force_valid(adjacency, names))
    table = Graphs(np.array(edges), np.array(roles), np.zeros((len(edges), 4), dtype=int))
    assert np.array_equal(table.broken_rule() < 0, expected)
    assert 0 < sum(expected) < len(expected)


def test_enumeration_has_each_graph_once_and_all():
    """Against all labelled graphs of three nodes, grouped by renaming."""
    forms = set()
    for bits in product([False, True], repeat=6):
        adjacency = np.zeros((4, 4), dtype=bool)
        adjacency[np.triu_indices(4, 1)] = bits
        for kinds in product([0, 1], repeat=3):
            names = [("assistant", "fuser")[kind] for kind in kinds] + ["sink"]
            if brute_force_valid(adjacency, names):
                table = Graphs(
                    adjacency[None], np.array([[*kinds, SINK]]), np.array([[0, 0, 0, 3]])
                )
                forms.add(sentence(table, POOL))
    edges, roles = roled(3)
    found = Graphs(edges, roles, np.tile([0, 0, 0, 3], (len(edges), 1)))
    lines = {sentence(found, POOL, row) for row in range(len(found))}
    assert lines == forms


@pytest.mark.parametrize("nodes", [1, 2, 3, 4])
def test_renamings_of_the_shapes_are_all_labelled_graphs(nodes):
    """Against every set of edges between named nodes and the sink, cycles and all."""
    places = nodes + 1
    off = [(i, j) for i in range(nodes) for j in range(places) if i != j]
    codes = np.arange(2 ** len(off))
    every = np.zeros((len(codes), places, places), dtype=bool)
    every[:, [i for i, _ in off], [j for _, j in off]] = codes[:, None] >> np.arange(len(off)) & 1
    walks = every.astype(np.int64)
    power, reached = walks.copy(), walks.copy()
    for _ in range(nodes):
        power = np.minimum(power @ walks, 1)
        reached |= power
    acyclic = ~np.diagonal(reached, axis1=1, axis2=2).any(axis=1)
    labelled = acyclic & reached[:, :nodes, -1].all(axis=1)
    named = set()
    for edges in shapes(nodes):
        for order in permutations(range(nodes)):
            at = np.array([*order, nodes])
            named.add(edges[np.ix_(at, at)].tobytes())
    orbits = [
        len({e[np.ix_([*o, nodes], [*o, nodes])].tobytes() for o in permutations(range(nodes))})
        for e in shapes(nodes)
    ]
    assert len(named) == labelled.sum()
    assert sum(orbits) == len(named)  # no shape is a renaming of another


def test_pruning_leaves_what_the_sink_hears():
    edges = np.zeros((1, 4, 4), dtype=bool)
    edges[0, 0, 1] = edges[0, 2, 3] = True
    cut = Graphs(edges, np.array([[0, FUSER, 0, SINK]]), np.array([[0, 1, 2, 3]])).pruned()
    assert cut.models.tolist() == [[ABSENT, ABSENT, 2, 3]]
    assert sentence(cut, POOL) == "1 8b; sink < 1"


def test_width_and_depth_of_layers():
    table = stack([layered(3, 2, 0, 3), layered(1, 4, 0, 3), star([0, 1], 3)])
    assert table.width().tolist() == [3, 1, 2]
    assert table.depth().tolist() == [2, 4, 1]
    assert table.in_degree()[0].tolist() == [0, 0, 0, 3, 3, 3, 3]


def test_a_line_is_the_same_however_nodes_stand():
    one = parse_graph(
        graph({"a": "a8b", "b": "a1b", "c": "a3b"} | SINK_NODE, ["ac", "bc", "cs", "as"]), POOL, "x"
    )
    other = parse_graph(
        graph({"x": "a3b", "p": "a1b", "q": "a8b"} | SINK_NODE, ["qs", "px", "qx", "xs"]), POOL, "x"
    )
    assert sentence(one, POOL) == sentence(other, POOL)
    assert sentence(widened(one, 9), POOL) == sentence(one, POOL)


def test_every_graph_is_read_back_as_it_was_written():
    for table in every_graph(3, 2, 3):
        for row in range(len(table)):
            line = sentence(table, POOL, row)
            assert sentence(from_sentence(line, POOL), POOL) == line
            assert sentence(parse_graph(as_json(table, POOL, row), POOL, "x"), POOL) == line


@pytest.mark.parametrize(
    "text", ["", "1 1b", "sink < 1", "1 1b; sink < 2", "hello world again and again"]
)
def test_a_line_that_is_no_graph_is_refused(text):
    with pytest.raises(SpecError):
        from_sentence(text, POOL)
