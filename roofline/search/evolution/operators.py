"""How rows of ranks are crossed, mutated and walked from; see `encoding` for what a rank is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from roofline.search.evolution.encoding import Encoding

if TYPE_CHECKING:
    from arch_space.spaces import Space

Array = np.ndarray

BLEND = 0.25
"""Share of the crossings that mix ordered values, where the others exchange them."""
_BEYOND = 0.25  # share of the parents' distance that a mixture may lie beyond either
_FAR = 0.5  # share of the mutations of ordered values that go anywhere


def cross(encoding: Encoding, parents: Array, rng: np.random.Generator) -> Array:
    """Return two children of each pair of rows, (2, N, dimensions) from (2, N, dimensions).

    Categories come from either parent, the other's going to the twin. So do ordered values in half
    of the crossings; in the rest they are drawn between the parents' and a little beyond, which
    finds the values that neither has (BLX of Eshelman and Schaffer 1993, rounded).
    """
    swap = rng.random(parents.shape[1:]) < 0.5
    children = np.where(swap, parents[::-1], parents)
    low, high = parents.min(axis=0), parents.max(axis=0)
    reach = (high - low) * (1 + 2 * _BEYOND)
    drawn = np.rint(low - _BEYOND * (high - low) + reach * rng.random(parents.shape))
    blended: Array = np.clip(drawn, 0, encoding.lengths - 1).astype(parents.dtype)
    mixed = np.less(rng.random(parents.shape[1]), BLEND)
    blend = mixed[:, np.newaxis] & encoding.ordered
    return np.asarray(np.where(blend, blended, children))


def mutate(encoding: Encoding, ranks: Array, rng: np.random.Generator) -> Array:
    """Change one to two values in each row on average: by a short step, or to any category."""
    lengths = encoding.lengths
    changed = rng.random(ranks.shape) < 1 / len(lengths)
    changed[np.arange(len(ranks)), rng.integers(len(lengths), size=len(ranks))] |= (
        rng.random(len(ranks)) < 0.5
    )
    step = rng.geometric(0.5, ranks.shape) * rng.choice((-1, 1), ranks.shape)
    near = np.clip(ranks + step, 0, lengths - 1)
    other = (ranks + rng.integers(1, np.maximum(lengths, 2), size=ranks.shape)) % lengths
    far = ~encoding.ordered | (rng.random(ranks.shape) < _FAR)
    return np.asarray(np.where(changed, np.where(far, other, near), ranks))


def around(encoding: Encoding, ranks: Array, steps: Sequence[int] = (-2, -1, 1, 2)) -> Array:
    """Return the rows that differ in one value, by so many steps or in category, repaired."""
    found = []
    for axis, length in enumerate(encoding.space.shape):
        for step in steps if encoding.ordered[axis] else range(1, length):
            moved = ranks.copy()
            moved[:, axis] += step
            if encoding.ordered[axis]:
                moved = moved[(moved[:, axis] >= 0) & (moved[:, axis] < length)]
            else:
                moved[:, axis] %= length
            found.append(moved)
    return encoding.repair(np.concatenate(found))


def neighbours(space: Space, indices: Array, steps: Sequence[int] = (-2, -1, 1, 2)) -> Array:
    """Return the points that differ by one choice, so many steps away in its list of values."""
    choices = space.choices(indices)
    found = []
    for axis, length in enumerate(space.shape):
        for step in steps:
            moved = choices.copy()
            moved[:, axis] += step
            found.append(space.indices(moved[(moved[:, axis] >= 0) & (moved[:, axis] < length)]))
    return np.unique(np.concatenate(found))
