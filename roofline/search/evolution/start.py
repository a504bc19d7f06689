"""Where a population starts: corners of the space, models that exist, and random candidates."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from roofline.search.evolution.encoding import Encoding
from roofline.search.evolution.state import Archive
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.architectures import Architectures

Array = np.ndarray

CORNERS, REFERENCES = 0.15, 0.15
"""Shares of the first generation, at most."""


@lru_cache(maxsize=1)
def shipped_references() -> Architectures:
    """Return every reference model of the library."""
    from arch_space.library import load_models, shipped_models

    return load_models(shipped_models())


def first(
    encoding: Encoding,
    archive: Archive,
    references: Architectures | None,
    count: int,
    rng: np.random.Generator,
) -> Array:
    """Return the rows of a first generation, (count or fewer, dimensions), each a new candidate."""
    rows = [corners(encoding, int(count * CORNERS), rng)]
    if references is not None and len(references):
        near = encoding.nearest(references)
        chosen = np.linspace(0, len(near) - 1, min(len(near), int(count * REFERENCES)))
        rows.append(near[np.unique(chosen.astype(int))])
    planned = encoding.points(np.concatenate(rows))
    found = planned[archive.new(planned)]
    space = encoding.space
    for _ in range(256):
        drawn = rng.integers(encoding.lengths, size=(2 * count, len(encoding.lengths)))
        found = np.concatenate([found, encoding.points(encoding.repair(drawn))])
        found = found[archive.new(found)][:count]
        if len(found) == count:
            break
    if not len(found):  # rules too large to repair by, that leave next to nothing
        found = space.candidates()[1][:count]
    if not len(found):
        raise SpecError(f"{space.name}: no candidate is left: its rules exclude every point")
    return encoding.ranks(found)


def corners(encoding: Encoding, count: int, rng: np.random.Generator) -> Array:
    """Return rows with every ordered value at an end of its dimension, repaired.

    First all lowest and all highest, in each category of each dimension that has categories; then
    any others.
    """
    last = encoding.lengths - 1
    ends = [rng.integers(encoding.lengths, size=(2, len(last)))]
    for axis in np.flatnonzero(~encoding.ordered):
        turns = rng.integers(encoding.lengths, size=(2 * encoding.lengths[axis], len(last)))
        turns[:, axis] = np.repeat(np.arange(encoding.lengths[axis]), 2)
        ends.append(turns)
    rows = np.concatenate(ends)
    rows[:, encoding.ordered] = np.where(
        np.arange(len(rows))[:, None] % 2, last[encoding.ordered], 0
    )
    more = rng.integers(encoding.lengths, size=(max(0, count - len(rows)), len(last)))
    high = rng.random(more.shape) < 0.5
    more = np.where(encoding.ordered, np.where(high, last, 0), more)
    return encoding.repair(np.concatenate([rows, more])[:count])
