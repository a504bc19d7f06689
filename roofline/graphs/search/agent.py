"""The agent version of REINFORCE: a proposer rewrites the graph and the table of probabilities.

Each round evaluates three graphs: those that the proposer writes, and for the rest draws from the
table. It then sees the last two rounds' graphs and scores, and writes again (arXiv 2511.00086). An
edge's probability rises only where the edge was drawn in those rounds and was useful: graphs that
had it scored above the rounds' mean. The search starts from two sets of models chosen by their
accuracy alone on the task, and grows from the sink outwards: the places next to the sink are filled
first.

A proposer is a language model behind an endpoint, or the rules that need none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from roofline.graphs.graph import ABSENT, SINK, Graphs, stack, star, widened
from roofline.graphs.pool import alone
from roofline.graphs.search.policy import Policy, draw
from spec_files import SpecError

if TYPE_CHECKING:
    from roofline.graphs.ledger import Ledger
    from roofline.graphs.problem import Problem

Array = np.ndarray

BATCH = 3
MEMORY = 2
"""Rounds that a proposer sees."""

OnFailure = Literal["stop", "rules"]


@dataclass(frozen=True, eq=False)
class Round:
    """What one round evaluated: graphs in places from the sink outwards, and their scores, (G,).

    A benchmark that failed scores 0.
    """

    graphs: Graphs
    scores: Array


@dataclass(frozen=True, eq=False)
class State:
    """What a proposer is given: the problem, the table, the rounds so far, and how many to write.

    best: the best graph yet and its score. seen: lines of the graphs that were evaluated.
    """

    problem: Problem
    policy: Policy
    rounds: tuple[Round, ...]
    best: tuple[Graphs, float]
    seen: frozenset[str]
    batch: int

    @property
    def last(self) -> Round:
        """The last two rounds as one."""
        rounds = self.rounds[-MEMORY:]
        return Round(
            stack([each.graphs for each in rounds]),
            np.concatenate([each.scores for each in rounds]),
        )


@dataclass(frozen=True, eq=False)
class Proposal:
    """Graphs to evaluate next, none or some, and the policy to draw the others from."""

    graphs: Graphs
    policy: Policy


class Proposer(Protocol):
    """Writes the next graphs."""

    name: str

    def propose(self, state: State, rng: np.random.Generator) -> Proposal:
        """Return what to do next; raise NoProposal, a sentence, where nothing usable came."""


class NoProposal(Exception):
    """A proposer that gave nothing usable; its text is a sentence."""


@dataclass(eq=False)
class Agent:
    """Runs a proposer; where it fails, stops, or goes on with `fallback`, as `on_failure` says.

    tell: is called with a sentence where a proposer is given up. failures: what was told.
    """

    proposer: Proposer
    fallback: Proposer
    on_failure: OnFailure = "stop"
    tell: Callable[[str], None] = lambda _: None
    failures: list[str] = field(default_factory=list)

    def search(self, ledger: Ledger, seed: int) -> Policy:
        """Search until the ledger's evaluations are used up; return the last table.

        Raises SpecError where the proposer fails and the search is to stop.
        """
        rng = np.random.default_rng(seed)
        problem, rounds = ledger.problem, []
        policy = Policy.flat(problem)
        graphs, note = first_graphs(problem)[: ledger.left], "start"
        while ledger.left:
            missing = min(BATCH, ledger.left) - len(graphs)
            if missing > 0:
                graphs = stack([graphs, outwards(draw(policy, problem, missing, rng).graphs)])
            scores = np.nan_to_num(ledger.ask(graphs, note), nan=0.0)
            rounds.append(Round(graphs[: len(scores)], scores))
            if not ledger.left:
                break
            (best,) = ledger.best() or ledger.entries[:1]
            state = State(
                problem, policy, tuple(rounds), (outwards(widened(best.graph, problem.places)),
                float(np.nan_to_num(best.utility))),
                frozenset(entry.said for entry in ledger.entries), min(BATCH, ledger.left),
            )  # fmt: skip
            proposal, note = self._propose(state, rng)
            policy = lawful(state, proposal.policy)
            graphs = proposal.graphs[: state.batch]
        return policy

    def _propose(self, state: State, rng: np.random.Generator) -> tuple[Proposal, str]:
        try:
            return self.proposer.propose(state, rng), self.proposer.name
        except NoProposal as failed:
            if self.on_failure == "stop" or self.proposer is self.fallback:
                raise SpecError(str(failed)) from None
            self.failures.append(str(failed))
            self.tell(f"{failed} The search goes on by rules.")
            self.proposer = self.fallback
            return self.proposer.propose(state, rng), self.proposer.name


def outwards(graphs: Graphs) -> Graphs:
    """Return the graphs with empty places first, so that nodes stand next to the sink."""
    last = np.arange(graphs.places) == graphs.places - 1
    order = np.argsort(graphs.present | last, axis=1, kind="stable")
    rows = np.arange(len(graphs))[:, None]
    edges = graphs.edges[rows[:, :, None], order[:, :, None], order[:, None, :]]
    return Graphs(edges, graphs.roles[rows, order], graphs.models[rows, order])


def first_graphs(problem: Problem) -> Graphs:
    """Return the graphs that the search starts from, in places from the sink outwards.

    Two sets of models, each side by side: as many as fit of the model that is best alone on the
    task, among those that fit, and of the next best; then one of the best with as many as fit of
    the next.
    """
    pool = problem.pool
    single = alone(problem.task, pool)[: pool.choices]
    ranked = [int(model) for model in np.argsort(-single, kind="stable")]
    ranked = [model for model in ranked if problem.fits(star([model], pool.sink))[0]]
    found = [_most(problem, [], model) for model in ranked[:2]]
    if len(ranked) > 1:
        mixed = _most(problem, ranked[:1], ranked[1])
        found += [mixed] if len(mixed) > 1 else []
    stars = [widened(star(models, pool.sink), problem.places) for models in found]
    return outwards(stack(stars))


def _most(problem: Problem, some: list[int], model: int) -> list[int]:
    """Some models and as many of another as the budget and the places hold, side by side."""
    models = list(some)
    while len(models) < problem.nodes:
        if not problem.fits(star([*models, model], problem.pool.sink))[0]:
            break
        models.append(model)
    return models


def usefulness(last: Round) -> Array:
    """Mean score of the graphs with an edge, less that of all, by edge, (k + 1, k + 1).

    NaN where no graph had the edge.
    """
    counts = last.graphs.edges.sum(axis=0)
    sums = np.einsum("g,gij->ij", last.scores, last.graphs.edges)
    mean = sums / np.where(counts > 0, counts, 1)
    return np.where(counts > 0, mean - last.scores.mean(), np.nan)


def lawful(state: State, policy: Policy) -> Policy:
    """Return a proposed table without the rises of edges that were not drawn or not useful."""
    useful = usefulness(state.last)
    may_rise = np.nan_to_num(useful, nan=-1.0) > 0
    old, new = state.policy.edge_probabilities(), policy.edge_probabilities()
    return policy.with_edge_probabilities(np.where(may_rise, new, np.minimum(new, old)))


def is_allowed(graphs: Graphs, problem: Problem) -> bool:
    """Whether one graph keeps the rules and the budget."""
    return bool(graphs.broken_rule()[0] < 0 and problem.fits(graphs)[0])


def has_node(graphs: Graphs, place: int) -> bool:
    """Whether a place of one graph holds a node that is not the sink."""
    return bool(graphs.models[0, place] != ABSENT and graphs.roles[0, place] != SINK)
