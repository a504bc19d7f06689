"""What the training of a recipe costs: FLOPs with the teacher's, memory of the optimiser's state.

    FLOPs = 3 F(N_S) D_S + F(N_T) (delta_logits D_S + delta_pretrain 3 D_T)    arXiv 2502.08606

F: of a token's forward pass, by the engine's operators. Adapters leave out the products that would
give the gradients of frozen weights: 2 F(N_S) a token, and 3 passes through themselves. The
optimiser adds its own products, Muon's Newton-Schulz steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from roofline.compression.muon import newton_schulz_flops
from roofline.compression.steps import Distil, Lora
from roofline.compression.subject import Subject

if TYPE_CHECKING:
    from hardware_specs import Device
    from roofline.compression.recipe import Recipe

STATE_BYTES = 4.0
"""Of one number of an optimiser's state, single precision."""


@dataclass(frozen=True)
class Training:
    """Cost of the steps that train.

    student_flops, teacher_flops, optimiser_flops: by who computes. state_bytes: of the optimiser.
    trained: parameters that change.
    """

    student_flops: float = 0.0
    teacher_flops: float = 0.0
    optimiser_flops: float = 0.0
    state_bytes: float = 0.0
    trained: float = 0.0

    @property
    def flops(self) -> float:
        """All together."""
        return self.student_flops + self.teacher_flops + self.optimiser_flops


def training(recipe: Recipe, subject: Subject) -> Training:
    """Return what the steps of a recipe that train cost; nothing where none does."""
    distil: Distil | None = recipe.step(Distil)
    lora: Lora | None = recipe.step(Lora)
    if distil is None and lora is None:
        return Training()
    tokens = distil.tokens if distil is not None else lora.tokens  # type: ignore[union-attr]
    shapes = _shapes(subject, lora.rank if lora is not None else None)
    in_matrices = float(sum(rows * columns * copies for rows, columns, copies in shapes))
    if lora is not None:
        trained = in_matrices
        student = tokens * (2 * subject.forward_flops + 6 * trained)
    else:
        trained = 1e9 * subject.parameters
        student = 3 * tokens * subject.forward_flops
    muon = recipe.optimiser is not None and recipe.optimiser.name == "muon"
    own = 0.0
    if muon:
        assert recipe.optimiser is not None
        each = sum(newton_schulz_flops(r, c) * copies for r, c, copies in shapes)
        own = ceil(tokens / recipe.optimiser.batch) * each
    buffers = in_matrices * (1 if muon else 2) + 2 * (trained - in_matrices)
    return Training(
        student_flops=student,
        teacher_flops=0.0 if distil is None else distil.teacher_flops(),
        optimiser_flops=own,
        state_bytes=STATE_BYTES * buffers,
        trained=trained,
    )


def _shapes(subject: Subject, rank: int | None) -> list[tuple[float, float, float]]:
    """Rows, columns and copies of the 2-D weights that are trained: whole, or as adapters."""
    whole = [
        (float(t.outputs[0]), float(t.inputs[0]), float(t.copies[0]))
        for t in subject.matrices.values()
    ]
    if rank is None:
        return whole
    pairs = [((rank, inner, n), (outer, rank, n)) for outer, inner, n in whole]
    return [each for pair in pairs for each in pair]


def hours(flops: float | np.ndarray, device: Device, utilisation: float) -> float | np.ndarray:
    """Return hours of one device, at a share of its bf16 (or fp16) peak.

    Raises SpecError where the device has no such peak.
    """
    from spec_files import SpecError

    peaks = device.processor(None).peaks
    found = peaks.get("bf16") or peaks.get("fp16")
    if found is None:
        raise SpecError(f"device {device.name} has no bf16 or fp16 peak to train at")
    return flops / (found.value * utilisation) / 3600
