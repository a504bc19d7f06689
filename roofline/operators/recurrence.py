"""Mixers with a state that the context does not grow: Mamba-2 and the gated delta net.

Each has its projections, whose products run like any other, and a scan over the tokens. The scan is
counted in its recurrent form, the fewest operations that its definition allows: a kernel that works
in chunks adds the triangular products within a chunk. State and taps are read and written at every
pass; the state is kept in single precision, as engines do.
"""

from arch_space.architectures import Architectures
from arch_space.tensors import (
    STATE_BYTES,
    Tensor,
    convolution_state,
    recurrent_state,
    state_channels,
    state_width,
)
from roofline.operators.cost import (
    Cost,
    Operator,
    Tensors,
    activation_bytes,
    in_and_out,
    reads_and_writes,
)
from roofline.workload import Pass

_MAMBA_PRODUCTS = 2.0  # x times B into the state; the state times C
_DELTA_PRODUCTS = 3.0  # the state times k; the correction times k into it; the state times q


def _scan(arch: Architectures, small: Tensor, step: Pass, products: float) -> Cost:
    tokens, activation = step.tokens, activation_bytes(arch)
    channels = state_channels(arch)
    flops = 2.0 * tokens * (products * recurrent_state(arch) + arch.kernel * channels)
    state = STATE_BYTES * recurrent_state(arch) + activation * convolution_state(arch)
    # The convolution reads and writes its channels; the scan reads them and two numbers a head and
    # writes its output; the gated norm reads that and the gate and writes once more.
    moved = 3.0 * channels + 2.0 * arch.state_heads + 4.0 * state_width(arch)
    return Cost(
        flops=flops,
        weights=small.bytes_each,
        cache=step.batch * reads_and_writes(step) * state,
        activations=tokens * moved * activation,
        launches=3.0,
    )


def mamba_projections(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Gate, x, B, C and dt of Mamba-2 from one matrix, and its output projection."""
    into, out = tensors["mamba_in"], tensors["mamba_out"]
    return in_and_out(into, out, step.tokens, activation_bytes(arch))


def mamba_scan(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Mamba-2's convolution, its state-space recurrence and its gated norm.

    FLOPs of a token and head: the outer product of x and B into the state, and the state times C.
    """
    return _scan(arch, tensors["mamba_small"], step, _MAMBA_PRODUCTS)


def delta_projections(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Queries, keys, values, gate, beta and decay of a delta net, and its output projection."""
    into, out = tensors["delta_in"], tensors["delta_out"]
    return in_and_out(into, out, step.tokens, activation_bytes(arch))


def delta_rule(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """A delta net's convolution, its gated delta rule and its gated norm.

    FLOPs of a token and value head: the state times k (what it holds for the key), the outer
    product that corrects it, and the state times q.
    """
    return _scan(arch, tensors["delta_small"], step, _DELTA_PRODUCTS)


OPERATORS = (
    Operator("mamba_projections", lambda a: a.mamba_layers, mamba_projections, "weights"),
    Operator("mamba_scan", lambda a: a.mamba_layers, mamba_scan, "cache", recurrent=True),
    Operator("delta_projections", lambda a: a.delta_layers, delta_projections, "weights"),
    Operator("delta_rule", lambda a: a.delta_layers, delta_rule, "cache", recurrent=True),
)
