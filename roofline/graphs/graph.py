"""Collaboration graphs: which model answers, who reads whose answer, and who decides.

A graph is acyclic. A node is a model in a role: an assistant answers, a fuser revises the answers
that it reads. An edge appends its source's output to its target's prompt. One sink, the same in
every graph, makes the final decision (arXiv 2511.00086).

`Graphs` holds many at once, so that thousands are checked and priced by array arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from spec_files import SpecError

Array = np.ndarray

ROLES = ("assistant", "fuser", "sink")
ASSISTANT, FUSER, SINK = range(3)
ABSENT = -1

_RULES = (
    "no assistant: a graph needs at least one node that answers",
    "{node} is a fuser without an assistant to read: a fuser revises an assistant's answer",
    "{node} is a fuser that reads a fuser: what reads a fuser must be an assistant",
    "{node} does not reach the sink, so its answer is never used",
    "{node} has an edge to itself or to one before it",
    "the sink reads nobody",
)


@dataclass(frozen=True, eq=False)
class Graphs:
    """G graphs of up to n nodes, the last of them the sink; nodes stand in an order of execution.

    edges: (G, n, n) bool, true where the column's node reads the row's; only above the diagonal.
    roles: (G, n), codes of `ROLES`. models: (G, n), positions in a pool, `ABSENT` for a place that
    a graph leaves empty, which has no edges.
    """

    edges: Array
    roles: Array
    models: Array

    def __len__(self) -> int:
        return len(self.models)

    def __getitem__(self, rows: int | slice | Array) -> Self:
        """Return some of the graphs; one row is a table of one."""
        if isinstance(rows, int | np.integer):
            rows = slice(int(rows), int(rows) + 1 or None)
        return type(self)(self.edges[rows], self.roles[rows], self.models[rows])

    @property
    def places(self) -> int:
        """Places for nodes, that of the sink included."""
        return int(self.models.shape[1])

    @property
    def present(self) -> Array:
        """Which places hold a node, (G, n) bool."""
        return np.not_equal(self.models, ABSENT)

    def in_degree(self) -> Array:
        """How many answers each node reads, (G, n)."""
        return self.edges.sum(axis=1)

    def levels(self) -> Array:
        """Longest way from a node that reads nobody, (G, n); 0 for such a node."""
        level = np.zeros(self.models.shape, dtype=int)
        for node in range(1, self.places):
            above = np.where(self.edges[:, :, node], level + 1, 0)
            level[:, node] = above.max(axis=1)
        return level

    def reaches_sink(self) -> Array:
        """Which nodes' answers arrive at the sink, directly or not, (G, n) bool."""
        reaches = np.zeros(self.models.shape, dtype=bool)
        reaches[:, -1] = True
        for node in range(self.places - 2, -1, -1):
            reaches[:, node] = (self.edges[:, node, :] & reaches).any(axis=1)
        return reaches

    def depth(self) -> Array:
        """Levels of nodes before the sink, (G,)."""
        return self.levels()[:, -1]

    def width(self) -> Array:
        """Most nodes of one level before the sink, (G,)."""
        levels = np.where(self.present, self.levels(), -1)[:, :-1]
        counts = [(levels == level).sum(axis=1) for level in range(self.places)]
        return np.max(counts, axis=0)

    def pruned(self) -> Self:
        """Return the graphs without the nodes whose answers nobody uses; those are never run."""
        keep = self.reaches_sink()
        edges = self.edges & keep[:, :, None] & keep[:, None, :]
        roles = np.where(keep, self.roles, ASSISTANT)
        models = np.where(keep, self.models, ABSENT)
        return type(self)(edges, roles, models)

    def broken_rule(self) -> Array:
        """Position in the list of rules of the first that a graph breaks, (G,); -1 where none."""
        return self._broken()[0]

    def _broken(self) -> tuple[Array, Array]:
        """The first rule that each graph breaks, and the first node that breaks it."""
        nodes = self.present & (self.roles != SINK)
        reads = self.edges
        assistants = nodes & (self.roles == ASSISTANT)
        fusers = nodes & (self.roles == FUSER)
        from_assistant = (reads & assistants[:, :, None]).any(axis=1)
        from_fuser = (reads & fusers[:, :, None]).any(axis=1)
        backward = np.tril(np.ones((self.places, self.places), dtype=bool))
        last = np.arange(self.places) == self.places - 1
        broken = [
            np.broadcast_to(~assistants.any(axis=1)[:, None], nodes.shape),
            fusers & ~from_assistant,
            fusers & from_fuser,
            nodes & ~self.reaches_sink(),
            (reads & backward).any(axis=2),
            last & ~reads.any(axis=1),
        ]
        rule = np.full(len(self), -1)
        node = np.zeros(len(self), dtype=int)
        for position in reversed(range(len(broken))):
            found = broken[position].any(axis=1)
            rule[found] = position
            node[found] = broken[position].argmax(axis=1)[found]
        return rule, node

    def check(self, names: Sequence[str] | None = None) -> None:
        """Raise SpecError with the first rule that any graph breaks.

        names: what the error calls the nodes; by default by number, from 1.
        """
        rules, nodes = self._broken()
        for rule, node in zip(rules, nodes, strict=True):
            if rule >= 0:
                called = f"node {names[node] if names else int(node) + 1}"
                raise SpecError(f"graph: {_RULES[rule].format(node=called)}.")


def stack(tables: Sequence[Graphs]) -> Graphs:
    """Join tables of graphs into one, as wide as the widest."""
    if not tables:
        return Graphs(np.zeros((0, 1, 1), bool), np.zeros((0, 1), int), np.zeros((0, 1), int))
    places = max(table.places for table in tables)
    wide = [widened(table, places) for table in tables]
    return Graphs(
        np.concatenate([t.edges for t in wide]),
        np.concatenate([t.roles for t in wide]),
        np.concatenate([t.models for t in wide]),
    )


def widened(graphs: Graphs, places: int) -> Graphs:
    """Return the graphs with empty places before the sink, up to a number of places."""
    more = places - graphs.places
    if more == 0:
        return graphs
    at = np.full(more, graphs.places - 1)
    edges = np.insert(np.insert(graphs.edges, at, False, axis=1), at, False, axis=2)
    roles = np.insert(graphs.roles, at, ASSISTANT, axis=1)
    models = np.insert(graphs.models, at, ABSENT, axis=1)
    return Graphs(edges, roles, models)


def star(models: Sequence[int], sink: int) -> Graphs:
    """Return one graph of assistants side by side, all read by the sink."""
    places = len(models) + 1
    edges = np.zeros((1, places, places), dtype=bool)
    edges[0, :-1, -1] = True
    roles = np.full((1, places), ASSISTANT)
    roles[0, -1] = SINK
    return Graphs(edges, roles, np.array([[*models, sink]]))


def layered(width: int, depth: int, model: int, sink: int) -> Graphs:
    """Return one graph of `depth` levels of `width` assistants, each reading the whole level above.

    The sink reads the last level.
    """
    level = np.append(np.repeat(np.arange(depth), width), depth)
    edges = level[None, :, None] + 1 == level[None, None, :]
    roles = np.where(level == depth, SINK, ASSISTANT)[None]
    return Graphs(edges, roles, np.where(level == depth, sink, model)[None])
