"""What one operator costs, whatever runs it: operations, bytes by kind, kernels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from arch_space.architectures import Architectures, once
from arch_space.formats import FORMATS
from arch_space.layers import cache_filling
from arch_space.tensors import Inventory, Tensor
from roofline.workload import Pass

Array = np.ndarray
Tensors = Inventory
NO_LAYERS = np.zeros(1)
Operands = Literal["weights", "head", "cache", "none"]


_ACTIVATION_BYTES = np.array([f.value_bits / 8 for f in FORMATS])


@dataclass(frozen=True)
class Cost:
    """The cost of one instance of an operator, for N candidates.

    flops: of matrix products, a multiply-add counting two, (N,); element-wise work moves bytes and
    launches kernels but counts no FLOPs, the convention of PyTorch's flop counter.
    weights, cache, activations: bytes moved, (N,). scores: bytes of activations that are written to
    memory whatever the chip could hold. launches: kernels started.
    """

    flops: Array | float = 0.0
    weights: Array | float = 0.0
    cache: Array | float = 0.0
    activations: Array | float = 0.0
    scores: Array | float = 0.0
    launches: Array | float = 1.0


NOTHING = Cost(launches=0.0)
"""Of an operator that a pass does not run."""


@dataclass(frozen=True)
class Operator:
    """A kind of operator of a decoder, and where it stands in one.

    copies: how many instances a forward pass runs, (N,). operands: which formats meet in its
    product and so which peak it can reach. grows: whether its cost depends on how many keys there
    are. routed: whether its weights are those of experts that tokens pick. recurrent: whether its
    kernels carry a state from token to token.
    """

    name: str
    copies: Callable[[Architectures], Array]
    cost: Callable[[Architectures, Tensors, Pass], Cost]
    operands: Operands
    grows: bool = False
    routed: bool = False
    recurrent: bool = False

    def may_skip(self, arch: Architectures) -> bool:
        """Whether some instances are in layers that share a cache, which a prompt may skip."""
        return not np.array_equal(self.copies(arch), self.copies(cache_filling(arch)))


@once
def activation_bytes(arch: Architectures) -> Array:
    """Bytes of one activation, (N,)."""
    return _ACTIVATION_BYTES[arch.activation_format]


def linear(tensor: Tensor, tokens: Array | float, activation: Array, launches: float = 1.0) -> Cost:
    """Product of `tokens` vectors with one matrix, read once.

    Each vector goes in at the matrix's input width and comes out at its output width.
    """
    return Cost(
        flops=2.0 * tokens * tensor.elements,
        weights=tensor.bytes_each,
        activations=tokens * (tensor.inputs + tensor.outputs) * activation,
        launches=launches,
    )


def reads_and_writes(step: Pass) -> Array:
    """How often a pass moves the state of a sequence: out, and in where there is a past."""
    return 1.0 + np.greater(step.keys, step.queries)


def in_and_out(into: Tensor, out: Tensor, tokens: Array | float, activation: Array) -> Cost:
    """The two projections around a mixer, each read once."""
    first, last = linear(into, tokens, activation), linear(out, tokens, activation)
    return Cost(
        flops=first.flops + last.flops,
        weights=first.weights + last.weights,
        activations=first.activations + last.activations,
        launches=2.0,
    )
