"""The feed-forward network: dense, sparse in its neurons, or a mixture of experts."""

import numpy as np

from arch_space.architectures import Architectures
from arch_space.tensors import ffn_matrices, moe_layers, routed_width
from roofline.operators.cost import Array, Cost, Operator, Tensors, activation_bytes
from roofline.workload import Pass


def touched(share: Array, tokens: Array | float) -> Array:
    """Expected share of units that at least one of `tokens` uses, each using `share` at random.

    1 - (1 - K/E)^tokens for experts; the same law for the neurons of a sparse activation.
    Independence is an assumption: tokens of one text share experts, so it is an upper estimate.
    """
    if np.all(tokens == 1):
        return share
    return np.where(share < 1, 1.0 - np.power(1.0 - np.minimum(share, 1.0), tokens), 1.0)


def _network(
    arch: Architectures,
    up: Array,
    down: Array,
    inner: Array,
    networks_read: Array | float,
    uses: Array | float,
) -> Cost:
    """`uses` passes of a token through a network of which `networks_read` copies are read.

    up, down: bytes of the matrices into and out of the inner width. With a sparse activation the
    first matrix is computed whole, since it decides; the others for the neurons that any of the
    tokens activates, as a dense kernel over gathered rows does.
    """
    matrices = ffn_matrices(arch)
    neurons: Array | float = 1.0
    if arch.ffn_sparsity.any():
        tokens_each = np.maximum(1.0, uses / np.maximum(1.0, networks_read))
        neurons = touched(1.0 - arch.ffn_sparsity, tokens_each)
    upward = 1.0 + (matrices - 2.0) * neurons
    flops = 2.0 * uses * arch.width * inner * (upward + neurons)
    weights = networks_read * (up * upward + down * neurons)
    # In and out at the model's width; at the inner width, each product of the first matrices
    # written and read, and so their activation, gate times up.
    moved = uses * (2.0 * arch.width + 2.0 * matrices * inner)
    return Cost(flops, weights, activations=moved * activation_bytes(arch), launches=3.0)


def feed_forward(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """The routed experts of a layer; of a dense model, its only network.

    Weights of the distinct experts that the step is expected to touch are read, all are stored.
    """
    share = arch.experts_per_token / arch.experts
    read = arch.experts * touched(share, step.tokens)
    return _network(
        arch,
        tensors["expert_up"].bytes_each,
        tensors["expert_down"].bytes_each,
        routed_width(arch),
        read,
        step.tokens * arch.experts_per_token,
    )


def shared_experts(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """The experts that every token passes through."""
    return _network(
        arch,
        tensors["shared_up"].bytes_each,
        tensors["shared_down"].bytes_each,
        routed_width(arch),
        arch.shared_experts,
        step.tokens * arch.shared_experts,
    )


def dense_feed_forward(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """The dense network of a MoE model's leading layers."""
    up, down = tensors["dense_up"].bytes_each, tensors["dense_down"].bytes_each
    return _network(arch, up, down, arch.ffn_width, 1.0, step.tokens)


def router(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Scores of the experts, the choice, and the gathering and scattering of tokens around them."""
    tensor = tensors["router"]
    moved = arch.width * (2.0 + 2.0 * arch.experts_per_token) + 2.0 * tensor.outputs
    return Cost(
        flops=2.0 * step.tokens * tensor.elements,
        weights=tensor.bytes_each,
        activations=step.tokens * moved * activation_bytes(arch),
        launches=4.0,  # scores, top-k, gather, scatter
    )


def _routed_layers(arch: Architectures) -> Array:
    return moe_layers(arch) * (arch.experts > 1)


def _shared_layers(arch: Architectures) -> Array:
    return moe_layers(arch) * (arch.shared_experts > 0)


OPERATORS = (
    Operator("dense_feed_forward", lambda a: a.dense_layers, dense_feed_forward, "weights"),
    Operator("router", _routed_layers, router, "weights"),
    Operator("feed_forward", moe_layers, feed_forward, "weights", routed=True),
    Operator("shared_experts", _shared_layers, shared_experts, "weights"),
)
