"""How a candidate stands in a population: a row of ranks, one a dimension, and their repair.

A rank is the place of a value among the values of its dimension, in the order of their size where
they have one. Depth and width have an order: a step to the next rank is a small change. Number
formats have none, nor have coupled values of which one falls where another rises, as pairs of
experts and active experts do: any value is as near as any other.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from arch_space.spaces import Space

Array = np.ndarray

LARGEST_TABLE = 2**22
"""Cells of a rule's sub-grid up to which the nearest valid cell of each is worked out."""
_PASSES = 3  # of repair: rules that share a dimension may undo one another
_ANOTHER = 2.0  # distance of another category, where a whole ordered dimension is one


class Encoding:
    """Rows of ranks (N, dimensions) of a space, and the points that they stand for."""

    def __init__(self, space: Space):
        self.space = space
        self.lengths = np.array(space.shape)
        sorts = [_order(space.values(axis)) for axis in range(len(space.shape))]
        self.ordered = np.array([found is not None for found in sorts])
        """Which dimensions have an order, (dimensions,) booleans."""
        self.choice_of = [
            np.arange(length) if found is None else found
            for found, length in zip(sorts, space.shape, strict=True)
        ]
        self.rank_of = [np.argsort(order) for order in self.choice_of]

    def points(self, ranks: Array) -> Array:
        """Return the point of the space that each row stands for, (N,)."""
        columns = [order[column] for order, column in zip(self.choice_of, ranks.T, strict=True)]
        return self.space.indices(np.stack(columns, axis=-1))

    def ranks(self, points: Array) -> Array:
        """Return the row of each point; the inverse of `points`."""
        choices = self.space.choices(points).T
        columns = [place[column] for place, column in zip(self.rank_of, choices, strict=True)]
        return np.stack(columns, axis=-1)

    def repair(self, ranks: Array) -> Array:
        """Move each row that breaks a rule to the nearest that breaks none, where that is known.

        Near is by the rule's own dimensions: ordered ones count by the share of their length that
        a row moves, and a category changes only where nothing else helps. Rules over more than
        4 million cells are left to whoever rejects what is no candidate.
        """
        ranks = ranks.copy()
        for _ in range(_PASSES):
            moved = False
            for axes, lengths, nearest in self._nearest:
                cells = np.ravel_multi_index(tuple(ranks[:, axes].T), lengths)
                better = nearest[cells]
                if np.any(wrong := better != cells):
                    moved = True
                    found = np.unravel_index(better[wrong], lengths)
                    ranks[np.ix_(wrong, axes)] = np.stack(found, axis=-1)
            if not moved:
                break
        return ranks

    @cached_property
    def _nearest(self) -> list[tuple[list[int], tuple[int, ...], Array]]:
        """By rule: its dimensions, their lengths, and the nearest valid cell of each cell."""
        from scipy.ndimage import distance_transform_edt

        found = []
        for mask in self.space.masks():
            axes = [axis for axis, length in enumerate(mask.shape) if length > 1]
            if mask.size > LARGEST_TABLE or not mask.any():
                continue
            for axis in axes:
                mask = np.take(mask, self.choice_of[axis], axis)
            cells = mask.reshape([mask.shape[axis] for axis in axes])
            steps = [1 / (self.lengths[a] - 1) if self.ordered[a] else _ANOTHER for a in axes]
            places = distance_transform_edt(
                ~cells, sampling=steps, return_distances=False, return_indices=True
            )
            nearest = np.ravel_multi_index(tuple(places.reshape(len(axes), -1)), cells.shape)
            found.append((axes, cells.shape, nearest))
        return found

    def nearest(self, arch: Architectures) -> Array:
        """Return the rows nearest to some architectures, (N, dimensions), repaired.

        By the logarithm of each field, coupled fields together. An architecture whose number
        format is none of the space's takes one of them in turn.
        """
        rows = np.arange(len(arch))
        columns = []
        for axis in range(len(self.lengths)):
            fields = self.space.values(axis)
            apart = np.zeros((len(arch), int(self.lengths[axis])))
            for name, values in fields.items():
                wanted, given = _field(arch, name)[:, None], np.asarray(values, dtype=float)
                if name == "kv_heads":  # `all` is as many as there are query heads
                    given = np.where(given == 0, _field(arch, "query_heads")[:, None], given)
                if _named(name):
                    apart += given != wanted
                else:
                    apart += np.abs(np.log((given + 1e-3) / (wanted + 1e-3)))
            found = np.argmin(apart, axis=1)
            if any(_named(name) for name in fields):
                found = np.where(apart.min(axis=1) >= 1, rows % self.lengths[axis], found)
            columns.append(self.rank_of[axis][found])
        return self.repair(np.stack(columns, axis=-1))


def _order(values: dict[str, list[object]]) -> Array | None:
    """Return the choices of a dimension from small to large; None where they have no such order."""
    columns = {name: np.asarray(column) for name, column in values.items()}
    for name, column in columns.items():
        if _named(name) or column.dtype == bool:
            return None
    if "kv_heads" in columns:  # `all` is the most
        heads = columns["kv_heads"].astype(float)
        columns["kv_heads"] = np.where(heads == 0, np.inf, heads)
    table = np.stack(list(columns.values()))
    order = np.lexsort(table[::-1])
    rising = table[:, order]
    return order if bool(np.all(rising[:, 1:] >= rising[:, :-1])) else None


def _named(field: str) -> bool:
    """Whether the numbers of a field are codes of names."""
    return field.endswith("_format") or field == "qk_norm"


def _field(arch: Architectures, name: str) -> Array:
    """Return a field of a space for each architecture, `ffn_ratio` included, (N,) floats."""
    if name == "ffn_ratio":
        active = arch.expert_width * (arch.experts_per_token + arch.shared_experts)
        inner = np.where(arch.experts > 1, active, arch.ffn_width)
        column = inner / arch.width
    elif name == "ffn_multiple":
        column = np.ones(len(arch))
    else:
        column = getattr(arch, name)
    return np.broadcast_to(np.asarray(column, dtype=float), (len(arch),))
