"""Eight answers as eight calls, or as one batch of eight: what order of execution costs.

Published (GSM8K on an A100, Phi-3-mini and Qwen2.5-1.5B): eight serial calls take 4.64 to 4.86
times the energy and 5.77 to 6.12 times the P95 latency of one batch. The engine prices both, with
every prompt read in full, as plain `generate` calls do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.strategies.schedule import cost, read, write

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device

Array = np.ndarray

PUBLISHED = {"energy": (4.64, 4.86), "latency": (5.77, 6.12)}
"""Serial over batched, N = 8, A100."""
LONGEST_OF_8 = 1.4236
"""Expected largest of eight standard normal numbers."""


def serial_over_batched(
    models: Architectures,
    device: Device,
    answers: int = 8,
    prompt: int = 100,
    output: int = 200,
    spread: float = 0.0,
    **how: Any,
) -> dict[str, Array]:
    """Ratios of latency and energy of serial calls over one batch, (N,) each.

    spread: standard deviation of the answers' lengths over their mean, normal and for eight answers
    alone: a batch runs until its longest answer ends, while calls take the mean of them.
    """
    longest = output * (1 + LONGEST_OF_8 * spread)
    call = (read("policy", 1, prompt), write("policy", 1, prompt, output))
    batch = (read("policy", answers, prompt), write("policy", answers, prompt, longest))
    one, all_at_once = (cost(models, device, stages, 1, **how) for stages in (call, batch))

    def ratio(name: str) -> Array:
        return answers * getattr(one, name)[:, 0] / getattr(all_at_once, name)[:, 0]

    return {"latency": ratio("seconds"), "energy": ratio("joules")}


def spread_that_explains(ratio: Array, published: float) -> Array:
    """Spread of lengths at which a ratio of equal answers becomes the published one, (N,)."""
    return (np.asarray(ratio) / published - 1.0) / LONGEST_OF_8
