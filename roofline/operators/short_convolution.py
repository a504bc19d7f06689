"""Gated short convolutions (LFM2): a few taps over the last tokens in place of attention."""

from arch_space.architectures import Architectures
from roofline.operators.cost import (
    Cost,
    Operator,
    Tensors,
    activation_bytes,
    in_and_out,
    reads_and_writes,
)
from roofline.workload import Pass


def convolution_projections(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Two gates and the input from one matrix, and the output projection."""
    into, out = tensors["convolution_in"], tensors["convolution_out"]
    return in_and_out(into, out, step.tokens, activation_bytes(arch))


def convolution(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """The taps, each channel for itself, between the two gates; the last inputs are its state."""
    taps = tensors["convolution_taps"]
    activation = activation_bytes(arch)
    state = (arch.kernel - 1.0) * arch.width * activation
    return Cost(
        flops=2.0 * step.tokens * taps.elements,
        weights=taps.bytes_each,
        cache=step.batch * reads_and_writes(step) * state,
        activations=step.tokens * 4.0 * arch.width * activation,  # three in, one out
    )


OPERATORS = (
    Operator(
        "convolution_projections",
        lambda a: a.convolution_layers,
        convolution_projections,
        "weights",
    ),
    Operator("convolution", lambda a: a.convolution_layers, convolution, "cache"),
)
