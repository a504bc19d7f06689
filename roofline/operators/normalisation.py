"""Norms and the residual stream: no products, only traffic and kernels."""

from arch_space.architectures import Architectures
from roofline.operators.cost import Array, Cost, Operator, Tensors, activation_bytes
from roofline.workload import Pass


def normalisation(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """One norm, fused with the addition to the residual stream before it.

    Such a kernel reads the stream and the addend and writes the stream and its norm.
    """
    return Cost(
        weights=tensors["norm"].bytes_each,
        activations=4.0 * arch.width * step.tokens * activation_bytes(arch),
    )


def _all_norms(arch: Architectures) -> Array:
    return arch.layers * arch.norms + 1.0  # and the one before the head


OPERATORS = (Operator("normalisation", _all_norms, normalisation, "none"),)
