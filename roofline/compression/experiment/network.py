"""A language model of characters in numpy: an embedding, residual layers, a head.

h = relu(W_0 x), x the embeddings of the context side by side
h = h + relu(W_i norm(h))
logits = U norm(h), norm(h) = h / rms(h)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray
Weights = dict[str, Array]

_TINY = 1e-6


@dataclass(frozen=True)
class Shape:
    """Sizes of a network."""

    vocabulary: int
    context: int = 16
    embedding: int = 16
    width: int = 128
    layers: int = 3

    @property
    def hidden(self) -> tuple[str, ...]:
        """Names of the 2-D weights of the hidden layers, which Muon moves and rounding rounds."""
        return tuple(f"layer_{i}" for i in range(self.layers))


def initial(shape: Shape, seed: int) -> Weights:
    """Return weights to start from: normal, of variance 2 / inputs in front of a relu."""
    random = np.random.default_rng(seed)
    into = [shape.context * shape.embedding] + [shape.width] * (shape.layers - 1)
    found = {"embedding": random.normal(0, 1, (shape.vocabulary, shape.embedding))}
    for name, inputs in zip(shape.hidden, into, strict=True):
        found[name] = random.normal(0, np.sqrt(2 / inputs), (shape.width, inputs))
    found["head"] = random.normal(0, shape.width**-0.5, (shape.vocabulary, shape.width))
    return {name: weight.astype(np.float32) for name, weight in found.items()}


def _norm(h: Array) -> tuple[Array, Array]:
    root = np.sqrt(np.mean(h * h, axis=1, keepdims=True) + _TINY)
    return h / root, root


def _norm_back(back: Array, normed: Array, root: Array) -> Array:
    return (back - normed * np.mean(back * normed, axis=1, keepdims=True)) / root


def _logits(
    weights: Weights, shape: Shape, contexts: Array
) -> tuple[Array, list[tuple[Array, ...]]]:
    x = weights["embedding"][contexts].reshape(len(contexts), -1)
    first, *others = shape.hidden
    h = np.maximum(x @ weights[first].T, 0)
    kept: list[tuple[Array, ...]] = [(x, h)]
    for name in others:
        normed, root = _norm(h)
        active = np.maximum(normed @ weights[name].T, 0)
        kept.append((normed, root, active))
        h = h + active
    normed, root = _norm(h)
    kept.append((normed, root))
    return normed @ weights["head"].T, kept


def _cross_entropy(logits: Array, targets: Array) -> tuple[float, Array]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    sums = np.exp(shifted).sum(axis=1, keepdims=True)
    log_p = shifted - np.log(sums)
    rows = np.arange(len(targets))
    back = np.exp(log_p)
    back[rows, targets] -= 1
    return float(-log_p[rows, targets].mean()), back / len(targets)


def loss(weights: Weights, shape: Shape, contexts: Array, targets: Array) -> float:
    """Return nats per character; contexts (n, context), targets (n,)."""
    return _cross_entropy(_logits(weights, shape, contexts)[0], targets)[0]


def loss_and_gradients(
    weights: Weights, shape: Shape, contexts: Array, targets: Array
) -> tuple[float, Weights]:
    """Return nats per character and their gradients by every weight."""
    logits, kept = _logits(weights, shape, contexts)
    value, back = _cross_entropy(logits, targets)
    normed, root = kept[-1]
    found = {"head": back.T @ normed}
    back = _norm_back(back @ weights["head"], normed, root)
    first, *others = shape.hidden
    for name, (normed, root, active) in zip(reversed(others), reversed(kept[1:-1]), strict=True):
        inner = back * (active > 0)
        found[name] = inner.T @ normed
        back = back + _norm_back(inner @ weights[name], normed, root)
    x, h = kept[0]
    back = back * (h > 0)
    found[first] = back.T @ x
    spread = (back @ weights[first]).reshape(*contexts.shape, shape.embedding)
    table = np.zeros_like(weights["embedding"])
    np.add.at(table, contexts, spread)
    return value, found | {"embedding": table}
