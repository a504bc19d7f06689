"""The model that a recipe is for, and what a step does to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.tensors import parameter_count, tensors
from roofline.operators import OPERATORS
from roofline.workload import Pass

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from arch_space.tensors import Tensor
    from roofline.laws import Law

LENGTH = 2048
"""Tokens of a training sequence, over which attention is averaged."""
_TABLES = ("embedding", "head", "positions", "layer_embedding")


@dataclass(frozen=True, eq=False)
class Subject:
    """One model, at 16 bits, before anything is done to it.

    arch: a table of one. tokens: 10^12 that it was trained on; None where unknown. law: a loss law
    of matrix parameters and tokens, the supervised one of arXiv 2502.08606 by default.
    """

    arch: Architectures
    tokens: float | None
    law: Law

    @cached_property
    def parameters(self) -> float:
        """Stored parameters, 10^9."""
        return float(parameter_count(self.arch.as_float())[0]) / 1e9

    @cached_property
    def matrices(self) -> dict[str, Tensor]:
        """The weight matrices of the layers: no tables, norms, biases or routers."""
        found = {}
        for name, tensor in tensors(self.arch.as_float()).items():
            sizes = (tensor.inputs[0], tensor.outputs[0], tensor.copies[0])
            if min(sizes) > 1 and name not in (*_TABLES, "router", "shared_gate"):
                found[name] = tensor
        return found

    @cached_property
    def matrix_parameters(self) -> float:
        """Weights of those matrices."""
        return float(sum(tensor.parameters[0] for tensor in self.matrices.values()))

    @cached_property
    def forward_flops(self) -> float:
        """FLOPs of a token's forward pass, logits included, averaged over a training sequence."""
        return forward_flops(self.arch)


def forward_flops(arch: Architectures, length: int = LENGTH) -> float:
    """Return FLOPs that one token takes forward, the mean over a sequence with all logits."""
    floats = arch.as_float()
    inventory, step = tensors(floats), Pass(1, length, length, logits="all")
    total = sum(
        np.asarray(op.cost(floats, inventory, step).flops * op.copies(floats)).ravel()[0]
        for op in OPERATORS
        if op.copies(floats).any()
    )
    return float(total) / length


@dataclass(frozen=True)
class Effect:
    """What one step does to a model.

    columns: of the table of architectures, with their new values. nats: added to the loss, with
    the ends of a 90 % interval. flops: to carry it out. notes: what is not vouched for.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    nats: float = 0.0
    low: float = 0.0
    high: float = 0.0
    flops: float = 0.0
    notes: tuple[str, ...] = ()
