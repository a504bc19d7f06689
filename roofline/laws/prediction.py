"""The loss of candidates as they would run: a law's value and what compression adds to it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from arch_space.architectures import Architectures
from roofline.laws.law import Array, Law, inside, reasons
from roofline.laws.penalties import limits, penalty

CHUNK = 32_768
"""Candidates predicted at once: the columns of a chunk stay in a core's cache."""


@dataclass(frozen=True, eq=False)
class Loss:
    """Predicted losses of N candidates; arrays are (N,).

    loss: nats per token, `penalty` included. penalty: what number formats and sparsity add to it.
    sd: of the difference between two candidates of the same law; NaN where unpublished.
    in_range: every part of the prediction rests on data that reaches the candidate.
    """

    law: Law
    loss: Array
    in_range: Array
    penalty: Array
    sd: Array

    def __len__(self) -> int:
        return len(self.loss)


ARRAYS = tuple(f.name for f in fields(Loss) if f.name != "law")


def predict(law: Law, arch: Architectures) -> Loss:
    """Predict the loss of N candidates.

    Raises SpecError for a weight format or a kind of sparsity whose effect nobody has published,
    and for activations of 4 bits.
    """
    if len(arch) <= CHUNK:
        return _chunk(law, arch)
    parts = [_chunk(law, arch[i : i + CHUNK]) for i in range(0, len(arch), CHUNK)]
    return Loss(law, *(np.concatenate([getattr(p, name) for p in parts]) for name in ARRAYS))


def out_of_range_reasons(law: Law, arch: Architectures) -> list[str]:
    """Say for each candidate why `predict` puts it outside the data; '' where it does not."""
    return reasons([*law.limits(arch), *limits(arch)], len(arch))


def _chunk(law: Law, arch: Architectures) -> Loss:
    added = penalty(arch)
    error = np.nan if law.sd is None else law.sd
    arrays = (
        law.loss(arch) + added.nats,
        inside([*law.limits(arch), *limits(arch)], len(arch)),
        added.nats,
        np.hypot(error, added.sd),
    )
    return Loss(law, *(np.broadcast_to(array, (len(arch),)) for array in arrays))
