"""Every graph of a small pool and few nodes, each up to renaming its nodes once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import permutations, product
from typing import TYPE_CHECKING

import numpy as np

from roofline.graphs.graph import ASSISTANT, FUSER, SINK, Graphs
from spec_files import SpecError

if TYPE_CHECKING:
    from roofline.graphs.ledger import Ledger

Array = np.ndarray

MOST_NODES = 5
"""Nodes before the sink; the graphs of six would be too many."""

CHUNK = 20_000


@cache
def shapes(nodes: int) -> Array:
    """Every set of edges over a number of nodes and the sink, (S, nodes + 1, nodes + 1) bool.

    All nodes reach the sink. Two sets that differ only in the nodes' order count once.
    """
    places = nodes + 1
    above = np.triu_indices(places, 1)
    codes = np.arange(2 ** len(above[0]))
    edges = np.zeros((len(codes), places, places), dtype=bool)
    edges[:, above[0], above[1]] = codes[:, None] >> np.arange(len(above[0])) & 1
    blank = np.zeros((len(codes), places), dtype=int)
    edges = edges[Graphs(edges, blank, blank).reaches_sink().all(axis=1)]
    weights = 2 ** np.arange(places * places).reshape(places, places)
    least = np.full(len(edges), np.iinfo(np.int64).max)
    for order in permutations(range(nodes)):
        at = np.array([*order, nodes])
        code = (edges[:, at[:, None], at[None, :]] * weights).sum(axis=(1, 2))
        least = np.minimum(least, code)
    _, first = np.unique(least, return_index=True)
    return edges[np.sort(first)]


@cache
def roled(nodes: int) -> tuple[Array, Array]:
    """The same with every valid choice of roles: edges (R, n, n) and roles (R, n)."""
    edges = shapes(nodes)
    roles = np.array([(*row, SINK) for row in product((ASSISTANT, FUSER), repeat=nodes)])
    every = np.repeat(edges, len(roles), axis=0)
    each = np.tile(roles, (len(edges), 1))
    valid = Graphs(every, each, np.zeros_like(each)).broken_rule() < 0
    return every[valid], each[valid]


def count(nodes: int, models: int) -> int:
    """How many graphs of 1 to `nodes` nodes there are over a pool of some models."""
    return sum(len(roled(k)[1]) * models**k for k in range(1, nodes + 1))


def every_graph(nodes: int, models: int, sink: int) -> Iterator[Graphs]:
    """Yield all graphs of 1 to `nodes` nodes in tables of at most `CHUNK`, small graphs first."""
    for k in range(1, nodes + 1):
        edges, roles = roled(k)
        choices = np.array([(*row, sink) for row in product(range(models), repeat=k)])
        at_once = max(1, CHUNK // len(choices))
        for start in range(0, len(edges), at_once):
            part = slice(start, start + at_once)
            rows = len(edges[part])
            yield Graphs(
                np.repeat(edges[part], len(choices), axis=0),
                np.repeat(roles[part], len(choices), axis=0),
                np.tile(choices, (rows, 1)),
            )


def search(ledger: Ledger) -> None:
    """Evaluate every graph within the budget; a utility that takes time is asked for each in turn.

    Raises SpecError where there are more nodes than can be enumerated.
    """
    problem = ledger.problem
    if problem.nodes > MOST_NODES:
        raise SpecError(
            f"--method exhaustive: the graphs of {problem.nodes} nodes are too many to try; say "
            f"--nodes {MOST_NODES} or fewer, or take another method"
        )
    for graphs in every_graph(problem.nodes, problem.pool.choices, problem.pool.sink):
        within = graphs[problem.fits(graphs)]
        if not len(within):
            continue
        if ledger.utility.swift:
            ledger.sweep(within)
        else:
            ledger.limit = ledger.asked + len(within)
            ledger.ask(within)
