"""A probability over graphs, and the gradient of its logarithm.

Places are filled one after the other. At each, an edge from every node placed before is drawn, then
one to the sink, then a role among those that the rules allow, then a model among those that the
budget still allows, or none. P(edge) = sigmoid(theta - 2 / T); roles and models are softmaxes of
their logits, restricted to what is allowed (arXiv 2511.00086). What is drawn always keeps the rules
and the budget. Where no node has an edge to the sink, the last one gets it; nodes that do not reach
the sink are left out of the graph, since their answers are never used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from roofline.graphs.graph import ABSENT, ASSISTANT, FUSER, SINK, Graphs

if TYPE_CHECKING:
    from roofline.graphs.problem import Problem

Array = np.ndarray

EDGE_SHIFT = 2.0
"""By how much an edge's logit is lowered, over the temperature."""


@dataclass(frozen=True, eq=False)
class Policy:
    """Logits of k places before the sink, over a pool of m models.

    edges: (k + 1, k + 1), above the diagonal, the last column to the sink. roles: (k, 2), assistant
    and fuser. models: (k, m + 1), the last of none.
    """

    edges: Array
    roles: Array
    models: Array
    temperature: float = 1.0

    @classmethod
    def flat(cls, problem: Problem) -> Self:
        """Return the policy whose logits all are zero."""
        k, m = problem.nodes, problem.pool.choices
        return cls(np.zeros((k + 1, k + 1)), np.zeros((k, 2)), np.zeros((k, m + 1)))

    def edge_probabilities(self) -> Array:
        """P(edge), (k + 1, k + 1); zero on and below the diagonal."""
        odds = sigmoid(self.edges - EDGE_SHIFT / self.temperature)
        return np.triu(odds, 1)

    def with_edge_probabilities(self, wanted: Array) -> Self:
        """Return the policy with other edge probabilities, each at least 0.1 % from certain."""
        p = np.clip(wanted, 1e-3, 1.0 - 1e-3)
        return replace(self, edges=np.log(p / (1.0 - p)) + EDGE_SHIFT / self.temperature)

    def moved(self, step: Gradient) -> Self:
        """Return the policy with a step added to its logits."""
        return replace(
            self,
            edges=self.edges + step.edges,
            roles=self.roles + step.roles,
            models=self.models + step.models,
        )


@dataclass(frozen=True, eq=False)
class Gradient:
    """Something of the shape of a policy's logits, or G of them along a first axis."""

    edges: Array
    roles: Array
    models: Array

    def weighted(self, weights: Array) -> Gradient:
        """Mean over the first axis of each times its weight, (G,)."""
        return Gradient(
            *(
                np.einsum("g,g...->...", weights, part) / len(weights)
                for part in (self.edges, self.roles, self.models)
            )
        )


@dataclass(frozen=True, eq=False)
class Choices:
    """What was drawn for G graphs: edges (G, k + 1, k + 1) bool, roles and models (G, k).

    A model of m is none. An edge of an empty place was drawn too, where it came before the model.
    """

    edges: Array
    roles: Array
    models: Array


@dataclass(frozen=True, eq=False)
class Draw:
    """G graphs that a policy drew, the logarithm of their probability, (G,), and its gradient."""

    graphs: Graphs
    choices: Choices
    log_probability: Array
    gradient: Gradient


def sigmoid(x: Array) -> Array:
    """The logistic function."""
    return 1.0 / (1.0 + np.exp(-x))


def draw(policy: Policy, problem: Problem, count: int, rng: np.random.Generator) -> Draw:
    """Draw graphs."""
    return _walk(policy, problem, count, rng, None)


def follow(policy: Policy, problem: Problem, choices: Choices) -> Draw:
    """Return what a draw would have been that made these choices; log 0 where none could."""
    return _walk(policy, problem, len(choices.models), None, choices)


def mended(problem: Problem, choices: Choices) -> Graphs:
    """Return the graphs nearest to choices that may break the rules or the budget.

    A fuser that the rules forbid answers instead; of models beyond the budget, the next smaller one
    that fits takes the place, or none.
    """
    return _walk(Policy.flat(problem), problem, len(choices.models), None, choices, True).graphs


def _walk(
    policy: Policy,
    problem: Problem,
    count: int,
    rng: np.random.Generator | None,
    given: Choices | None,
    mend: bool = False,
) -> Draw:
    k, m = problem.nodes, problem.pool.choices
    chance = policy.edge_probabilities()
    edges = np.zeros((count, k + 1, k + 1), dtype=bool)
    roles = np.full((count, k + 1), ASSISTANT)
    models = np.full((count, k + 1), ABSENT)
    roles[:, -1], models[:, -1] = SINK, problem.pool.sink
    drawn = Choices(edges.copy(), np.zeros((count, k), int), np.full((count, k), m))
    logp = np.zeros(count)
    slope = Gradient(
        np.zeros((count, k + 1, k + 1)), np.zeros((count, k, 2)), np.zeros((count, k, m + 1))
    )
    for node in range(k):
        before = models[:, :node] != ABSENT
        for other, there in (*((i, before[:, i]) for i in range(node)), (k, np.ones(count, bool))):
            source, target = (other, node) if other < k else (node, k)
            p = chance[source, target]
            bit = (
                given.edges[:, source, target] if given is not None
                else rng.random(count) < p  # type: ignore[union-attr]
            )  # fmt: skip
            if given is not None:
                logp = np.where(bit & ~there, -np.inf, logp)
            bit = bit & there
            edges[:, source, target] = drawn.edges[:, source, target] = bit
            logp = logp + np.where(there, np.log(np.where(bit, p, 1.0 - p)), 0.0)
            slope.edges[:, source, target] = np.where(there, bit - p, 0.0)

        reads = edges[:, :node, node]
        earlier = roles[:, :node]
        may_fuse = (reads & (earlier == ASSISTANT)).any(axis=1)
        may_fuse &= ~(reads & (earlier == FUSER)).any(axis=1)
        allowed = np.stack([np.ones(count, bool), may_fuse], axis=1)
        wish = None if given is None else given.roles[:, node]
        if wish is not None and mend:
            wish = np.where(may_fuse, wish, ASSISTANT)
        pick, said, part = _pick(policy.roles[node], allowed, rng, wish)
        logp, slope.roles[:, node], drawn.roles[:, node] = logp + said, part, pick
        roles[:, node] = pick

        allowed = _affordable(problem, edges, roles, models, node)
        none_yet = ~(models[:, :node] != ABSENT).any(axis=1) & (node == k - 1)
        allowed = np.concatenate([allowed, ~none_yet[:, None]], axis=1)
        wish = None if given is None else given.models[:, node]
        if wish is not None and mend:
            wish = _smaller(problem, allowed, wish)
        pick, said, part = _pick(policy.models[node], allowed, rng, wish)
        logp, slope.models[:, node], drawn.models[:, node] = logp + said, part, pick
        gone = pick == m
        models[:, node] = np.where(gone, ABSENT, pick)
        roles[:, node] = np.where(gone, ASSISTANT, roles[:, node])
        edges[gone, :, node] = False
        edges[gone, node, :] = False

    graphs = Graphs(_linked(edges, models), roles, models).pruned()
    return Draw(graphs, drawn, logp, slope)


def _smaller(problem: Problem, allowed: Array, wish: Array) -> Array:
    """The largest allowed model no larger than the wished one, (G,); else none, or the smallest."""
    size = np.append(problem.pool.parameters[: problem.pool.choices], 0.0)
    rank = np.where(allowed & (size <= size[wish][:, None]), size, -1.0)
    found = rank.argmax(axis=1)
    least = np.where(allowed, size, np.inf).argmin(axis=1)
    return np.where(rank.max(axis=1) >= 0, found, least)


def _pick(
    logits: Array, allowed: Array, rng: np.random.Generator | None, given: Array | None
) -> tuple[Array, Array, Array]:
    """Draw from a softmax restricted to what is allowed, (G, c): which, log P, and its gradient."""
    shifted = np.where(allowed, logits - logits.max(), -np.inf)
    weights = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    p = weights / weights.sum(axis=1, keepdims=True)
    if given is not None:
        pick = given
    else:
        assert rng is not None
        below = np.cumsum(p, axis=1)
        pick = (rng.random(len(p))[:, None] * below[:, -1:] >= below).sum(axis=1)
    chosen = np.eye(len(logits))[pick]
    with np.errstate(divide="ignore"):
        said = np.log((p * chosen).sum(axis=1))
    return pick, said, chosen - p


def _affordable(problem: Problem, edges: Array, roles: Array, models: Array, node: int) -> Array:
    """Which models of the pool a place can have within the budget, with all before it, (G, m).

    Each more edge, node or larger model costs more, so what does not fit now never will.
    """
    count, m = len(models), problem.pool.choices
    each = np.repeat(models, m, axis=0)
    each[:, node] = np.tile(np.arange(m), count)
    every_edge = np.repeat(edges, m, axis=0)
    so_far = Graphs(_linked(every_edge, each), np.repeat(roles, m, axis=0), each)
    return problem.fits(so_far).reshape(count, m)


def _linked(edges: Array, models: Array) -> Array:
    """Edges with one from the last node to the sink where the sink reads nobody."""
    present = models[:, :-1] != ABSENT
    lonely = ~edges[:, :, -1].any(axis=1) & present.any(axis=1)
    last = present.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
    found = edges.copy()
    found[lonely, last[lonely], -1] = True
    return found
