"""A graph as JSON, as one line, and as a key: what is written down and what is read back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from roofline.graphs.graph import ABSENT, ASSISTANT, ROLES, SINK, Graphs
from spec_files import SpecError, did_you_mean, read_json, validate_spec
from spec_files.model import Spec

if TYPE_CHECKING:
    from roofline.graphs.pool import Pool

Name = Annotated[str, Field(min_length=1, max_length=100)]
SINK_NAME = "sink"
MOST_NODES = 64


class Node(Spec):
    """One node: its name, its role, its model."""

    name: Name
    """What edges call it."""
    role: Literal["assistant", "fuser", "sink"] = "assistant"
    """An assistant answers, a fuser revises what it reads, the sink decides."""
    model: str
    """Of the pool, by name."""


class GraphFile(Spec):
    """A graph. Exactly one node is the sink; an edge names who writes and who reads."""

    nodes: tuple[Node, ...] = Field(min_length=2, max_length=MOST_NODES)
    """Exactly one is the sink."""
    edges: tuple[tuple[Name, Name], ...] = Field(min_length=1)
    """Pairs of names: who writes, who reads."""
    about: dict[str, Any] | None = None
    """What was found out about it; not read."""


def read_graph(path: str | Path, pool: Pool) -> Graphs:
    """Read one graph; SpecError says which rule it breaks."""
    return parse_graph(read_json(path), pool, str(path))


def parse_graph(data: object, pool: Pool, name: str) -> Graphs:
    """Do as `read_graph` does, on what JSON said; name stands for the file in errors."""
    said = validate_spec(data, GraphFile, name)
    try:
        return _graph(said, pool)
    except SpecError as error:
        raise SpecError(f"{name}: {error}") from None


def _graph(said: GraphFile, pool: Pool) -> Graphs:
    names = [node.name for node in said.nodes]
    for name in names:
        if names.count(name) > 1:
            raise SpecError(f"graph: two nodes are named {name!r}.")
    sinks = [node for node in said.nodes if node.role == "sink"]
    if len(sinks) != 1:
        raise SpecError(f"graph: it has {len(sinks)} sinks; exactly one node must be the sink.")
    if sinks[0].model != pool.names[pool.sink]:
        raise SpecError(
            f"graph: the sink is {sinks[0].model!r}; in every graph it is {pool.names[-1]!r}."
        )
    readers: dict[str, set[str]] = {name: set() for name in names}
    for source, target in said.edges:
        for end in (source, target):
            if end not in readers:
                raise SpecError(f"graph: an edge of no node {end!r}{did_you_mean(end, names)}.")
        if target in readers[source]:
            raise SpecError(f"graph: the edge from {source!r} to {target!r} is named twice.")
        readers[source].add(target)
    if readers[sinks[0].name]:
        raise SpecError("graph: the sink decides last, so that nobody reads it.")
    order = _sorted(readers, sinks[0].name)
    at = {name: place for place, name in enumerate(order)}
    by_name = {node.name: node for node in said.nodes}
    places = len(order)
    edges = np.zeros((1, places, places), dtype=bool)
    for source, targets in readers.items():
        for target in targets:
            edges[0, at[source], at[target]] = True
    roles = np.array([[ROLES.index(by_name[name].role) for name in order]])
    models = [pool.code(by_name[name].model) for name in order[:-1]]
    graphs = Graphs(edges, roles, np.array([[*models, pool.sink]]))
    graphs.check(order)
    return graphs


def _sorted(readers: dict[str, set[str]], sink: str) -> list[str]:
    """Names in an order of execution, the sink last; SpecError names a cycle."""
    waits = dict.fromkeys(readers, 0)
    for targets in readers.values():
        for target in targets:
            waits[target] += 1
    order, ready = [], [name for name, count in waits.items() if count == 0]
    while ready:
        name = ready.pop(0)
        order.append(name)
        for target in sorted(readers[name]):
            waits[target] -= 1
            if waits[target] == 0:
                ready.append(target)
    stuck = {name for name in readers if name not in order}
    if stuck:
        raise SpecError(f"graph: it has a cycle, {' -> '.join(_cycle(readers, stuck))}.")
    return [name for name in order if name != sink] + [sink]


def _cycle(readers: dict[str, set[str]], stuck: set[str]) -> list[str]:
    """One cycle among nodes each of which waits for another of them."""
    writers = {name: [w for w in sorted(stuck) if name in readers[w]] for name in stuck}
    path = [min(stuck)]
    while path.count(path[-1]) == 1:
        path.append(writers[path[-1]][0])
    return path[path.index(path[-1]) :][::-1]


def nodes_of(graphs: Graphs, row: int = 0) -> list[int]:
    """Places of a graph's nodes in an order that hardly depends on which place each has.

    By level, role and model, then by all that each reads and all that reads it, which digests stand
    for: written out they would grow as 2^n. The sink is last.
    """
    levels, edges = graphs.levels()[row], graphs.edges[row]
    places = [int(node) for node in np.flatnonzero(graphs.models[row] != ABSENT)]
    kind = {n: (int(graphs.roles[row, n]), int(graphs.models[row, n])) for n in places}
    reads: dict[int, str] = {}
    for node in places:
        reads[node] = _digest(kind[node], [reads[int(i)] for i in np.flatnonzero(edges[:, node])])
    read_by: dict[int, str] = {}
    for node in reversed(places):
        readers = [reads[int(i)] + read_by[int(i)] for i in np.flatnonzero(edges[node])]
        read_by[node] = _digest(kind[node], readers)
    last = graphs.places - 1
    told = {n: (int(levels[n]), kind[n], edges[:, n].sum(), reads[n], read_by[n]) for n in places}
    return [*sorted((n for n in places if n != last), key=lambda n: told[n]), last]


def _digest(kind: tuple[int, int], around: list[str]) -> str:
    """A few letters that stand for a node's kind and for what is around it, in any order."""
    from hashlib import blake2b

    return blake2b(repr((kind, sorted(around))).encode(), digest_size=8).hexdigest()


def sentence(graphs: Graphs, pool: Pool, row: int = 0) -> str:
    """One graph as one line, the same however its nodes are ordered: '1 3b; 2 3b < 1; sink < 2'."""
    order = nodes_of(graphs, row)
    number = {node: position + 1 for position, node in enumerate(order)}
    parts = []
    for node in order:
        role, model = graphs.roles[row, node], pool.names[graphs.models[row, node]]
        reads = sorted(number[int(i)] for i in np.flatnonzero(graphs.edges[row, :, node]))
        kind = "" if role == ASSISTANT else f"{ROLES[role]} "
        called = SINK_NAME if role == SINK else f"{number[node]} {kind}{model}"
        parts.append(f"{called} < {' '.join(map(str, reads))}" if reads else called)
    return "; ".join(parts)


def from_sentence(line: str, pool: Pool) -> Graphs:
    """Read what `sentence` wrote; SpecError where it is no graph of the pool."""
    nodes, edges = [], []
    for part in line.split(";"):
        called, _, reads = part.partition("<")
        words = called.split()
        if words == [SINK_NAME]:
            nodes.append({"name": SINK_NAME, "role": SINK_NAME, "model": pool.names[-1]})
        elif len(words) in (2, 3):
            role = words[1] if len(words) == 3 else ROLES[ASSISTANT]
            nodes.append({"name": words[0], "role": role, "model": words[-1]})
        else:
            raise SpecError(f"graph: read {part.strip()!r} where a node belongs.")
        edges += [[source, words[0]] for source in reads.split()]
    return parse_graph({"nodes": nodes, "edges": edges}, pool, "graph")


def as_json(graphs: Graphs, pool: Pool, row: int = 0) -> dict[str, Any]:
    """One graph as `read_graph` reads it; nodes are numbered."""
    order = nodes_of(graphs, row)
    name = {node: str(position + 1) for position, node in enumerate(order)}
    name[order[-1]] = SINK_NAME
    return {
        "nodes": [
            {
                "name": name[node],
                "role": ROLES[graphs.roles[row, node]],
                "model": pool.names[graphs.models[row, node]],
            }
            for node in order
        ],
        "edges": [
            [name[source], name[target]]
            for target in order
            for source in order
            if graphs.edges[row, source, target]
        ],
    }
