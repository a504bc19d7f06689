"""A proposer that needs no network: small rewritings of the best graph, by what helped so far.

The moves are those of the published findings: another model (which family and size a task prefers),
a node that reads others or is read (width and depth, from the sink outwards), one edge or all moved
from the sink to a node (depth for width), a role, one node less. The kinds of move that raised the
score most often are tried first, and the table draws the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from roofline.graphs.files import sentence
from roofline.graphs.graph import ABSENT, ASSISTANT, FUSER, Graphs, stack
from roofline.graphs.search.agent import Proposal, has_node, is_allowed, outwards, usefulness

if TYPE_CHECKING:
    from roofline.graphs.problem import Problem
    from roofline.graphs.search.agent import State
    from roofline.graphs.search.policy import Policy

Array = np.ndarray

KINDS = ("deepen", "gather", "swap", "grow", "fuse", "drop")
RISE = 1.5
"""What an edge's or a model's logit gains where it was useful."""

WRITTEN = 2
"""Graphs of a round that are written; the others are drawn from the table."""

Move = tuple[str, Graphs]


@dataclass(eq=False)
class Rules:
    """The rule-based proposer.

    kinds: of moves that it makes. tried: moves in the order made, by a graph's line, with the score
    that was to beat. heard: scores, by a graph's line.
    """

    name: str = "rules"
    kinds: tuple[str, ...] = KINDS
    tried: dict[str, tuple[str, float]] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)

    def propose(self, state: State, rng: np.random.Generator) -> Proposal:
        """Return rewritings of the best graph, the likeliest kinds of move first."""
        graphs, score = state.best
        by_kind: dict[str, list[Graphs]] = {kind: [] for kind in self.kinds}
        found: set[str] = set()
        for kind, graph in moves(graphs, state.problem):
            if kind not in by_kind:
                continue
            said = sentence(graph, state.problem.pool)
            if said not in state.seen and said not in found and is_allowed(graph, state.problem):
                by_kind[kind].append(graph)
                found.add(said)
        order = self._ranked(state)
        chosen: list[Graphs] = []
        while len(chosen) < min(WRITTEN, state.batch) and any(by_kind.values()):
            kind = next(each for each in order if by_kind[each])
            among = by_kind[kind]
            graph = among.pop(int(rng.integers(len(among))))
            self.tried[sentence(graph, state.problem.pool)] = (kind, score)
            chosen.append(graph)
            order = [each for each in order if each != kind] + [kind]
        return Proposal(stack(chosen) if chosen else graphs[:0], improved(state))

    def _ranked(self, state: State) -> list[str]:
        """Kinds of moves, those that raised the score most often first."""
        wins, tries = Counter[str](), Counter[str]()
        last = state.rounds[-1]
        for row, score in enumerate(last.scores):
            self.heard.setdefault(sentence(last.graphs, state.problem.pool, row), float(score))
        for said, (kind, bar) in self.tried.items():
            tries[kind] += 1
            wins[kind] += self.heard.get(said, -np.inf) > bar
        odds = {kind: (wins[kind] + 1) / (tries[kind] + 2) for kind in self.kinds}
        return sorted(self.kinds, key=lambda kind: (-odds[kind], self.kinds.index(kind)))


def improved(state: State) -> Policy:
    """Return the table with useful edges and models raised, and useless models lowered."""
    last, policy = state.last, state.policy
    useful = usefulness(last)
    edges = policy.edges + RISE * (np.nan_to_num(useful, nan=-1.0) > 0)
    k, m = policy.models.shape[0], policy.models.shape[1] - 1
    codes = np.where(last.graphs.models[:, :k] == ABSENT, m, last.graphs.models[:, :k])
    held = codes[:, :, None] == np.arange(m + 1)
    gains = np.einsum("g,gkm->km", last.scores - last.scores.mean(), held.astype(float))
    models = np.clip(policy.models + RISE / 2 * np.sign(gains), -4.0, 4.0)
    return replace(policy, edges=np.minimum(edges, 5.0), models=models)


def moves(graphs: Graphs, problem: Problem) -> Iterator[Move]:
    """Yield every rewriting of one graph by one move, whether it keeps the rules or not."""
    k, sink = graphs.places - 1, graphs.places - 1
    nodes = [place for place in range(k) if has_node(graphs, place)]
    empty = [place for place in range(k) if not has_node(graphs, place)]
    for node in nodes:
        for model in range(problem.pool.choices):
            if model != graphs.models[0, node]:
                yield "swap", _changed(graphs, models={node: model})
        for reader in (other for other in nodes if other > node):
            joined = {(node, reader): not graphs.edges[0, node, reader]}
            yield "deepen", _changed(graphs, edges=joined)
            yield "deepen", _changed(graphs, edges=joined | {(node, sink): False})
        others = [place for place in nodes if place < node and graphs.edges[0, place, sink]]
        if len(others) > 1:
            to_node = {(place, node): True for place in others} | {(node, sink): True}
            yield "gather", _changed(graphs, edges=to_node | {(at, sink): False for at in others})
        other_role = FUSER if graphs.roles[0, node] == ASSISTANT else ASSISTANT
        yield "fuse", _changed(graphs, roles={node: other_role})
        if len(nodes) > 1:
            yield "drop", outwards(_changed(graphs, models={node: ABSENT}).pruned())
    # Places are filled from the sink outwards, so the empty ones are before all nodes.
    for place in empty[-1:]:
        for model in range(problem.pool.choices):
            for reader in (*nodes, sink):
                yield "grow", _changed(graphs, models={place: model}, edges={(place, reader): True})
            yield "grow", _last(graphs, place, model)


def _changed(
    graphs: Graphs,
    models: dict[int, int] | None = None,
    roles: dict[int, int] | None = None,
    edges: dict[tuple[int, int], bool] | None = None,
) -> Graphs:
    found = Graphs(graphs.edges.copy(), graphs.roles.copy(), graphs.models.copy())
    for place, model in (models or {}).items():
        found.models[0, place] = model
        if model == ABSENT:
            found.edges[0, place] = found.edges[0, :, place] = False
            found.roles[0, place] = ASSISTANT
    for place, role in (roles or {}).items():
        found.roles[0, place] = role
    for (source, target), there in (edges or {}).items():
        found.edges[0, source, target] = there
    return found


def _last(graphs: Graphs, empty: int, model: int) -> Graphs:
    """A new node between what the sink reads and the sink; the empty place before makes room."""
    order = [*range(empty), *range(empty + 1, graphs.places - 1), empty, graphs.places - 1]
    edges = graphs.edges[:, order][:, :, order].copy()
    new, sink = graphs.places - 2, graphs.places - 1
    edges[0, :, new] = edges[0, :, sink]
    edges[0, new, new] = False
    edges[0, :, sink] = False
    edges[0, new, sink] = True
    roles, models = graphs.roles[:, order].copy(), graphs.models[:, order].copy()
    roles[0, new], models[0, new] = ASSISTANT, model
    return Graphs(edges, roles, models)
