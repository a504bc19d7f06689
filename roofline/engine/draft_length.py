"""The draft length that suits a device best: an exact search with a proven end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.engine.estimate import Estimate, estimate

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.workload import Workload

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class DraftLengths:
    """Draft lengths that were tried on N candidates, and what is best.

    best: (N,) the length with the least time per token, 0 where decoding without a draft is no
    slower. plain: the estimate without a draft. tried: those of lengths 1, 2, ... in turn.
    """

    best: Array
    plain: Estimate
    tried: tuple[Estimate, ...]


def best_draft_length(
    arch: Architectures, device: Device, workload: Workload, **options: Any
) -> DraftLengths:
    """Return the draft length with the least time per token, by trying them all.

    A round of length k adds fewer than 1 / (1 - a) tokens and costs more than one of a shorter
    length: so where (1 - a) times the first round of length k takes as long as the best token so
    far, no longer draft can win, and the search ends. workload: with a draft; its draft_length does
    not matter. options: of `estimate`.
    """
    acceptance = workload.acceptance or 0.0
    plain = estimate(arch, device, replace(workload, draft=None, acceptance=None), **options)
    least, best = plain.tpot, np.zeros(len(arch), dtype=int)
    tried: list[Estimate] = []
    for length in range(1, workload.generate + 1):
        work = replace(workload, draft_length=length)
        found = estimate(arch, device, work, **options)
        tried.append(found)
        best = np.where(found.tpot < least, length, best)
        least = np.fmin(least, found.tpot)
        round_time = found.tpot_first * work.expected_tokens
        if not ((1.0 - acceptance) * round_time < least).any():
            break
    return DraftLengths(best, plain, tuple(tried))
