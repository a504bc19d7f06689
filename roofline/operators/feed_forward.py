"""The feed-forward network: dense, sparse in its neurons, or a mixture of experts."""

from dataclasses import replace

import numpy as np

from arch_space.architectures import Architectures
from arch_space.layers import moe_layers
from arch_space.tensors import expert_outer, ffn_matrices
from roofline.operators.cost import (
    NO_LAYERS,
    Array,
    Cost,
    Operator,
    Tensors,
    activation_bytes,
    in_and_out,
    linear,
)
from roofline.workload import Pass


def touched(share: Array, tokens: Array | float) -> Array:
    """Expected share of units that at least one of `tokens` uses, each using `share` at random.

    1 - (1 - K/E)^tokens for experts; the same law for the neurons of a sparse activation.
    Independence is an assumption: tokens of one text share experts, so it is an upper estimate.
    """
    if np.all(tokens == 1):
        return share
    return np.where(share < 1, 1.0 - np.power(1.0 - np.minimum(share, 1.0), tokens), 1.0)


def experts_read(arch: Architectures, tokens: Array | float) -> Array:
    """Expected number of distinct experts of a layer that the tokens of a step touch, (N,)."""
    return arch.experts * touched(arch.experts_per_token / arch.experts, tokens)


def _network(
    arch: Architectures,
    tensors: Tensors,
    name: str,
    networks_read: Array | float,
    uses: Array | float,
) -> Cost:
    """`uses` passes of a token through networks of which `networks_read` copies are read.

    name: of their tensors. With a sparse activation the first matrix is computed whole, since it
    decides; the others for the neurons that any of the tokens activates, as a dense kernel over
    gathered rows does.
    """
    up, down = tensors[f"{name}_up"], tensors[f"{name}_down"]
    outer, inner = up.inputs, up.outputs
    matrices = ffn_matrices(arch)
    neurons: Array | float = 1.0
    if arch.ffn_sparsity.any():
        tokens_each = np.maximum(1.0, uses / np.maximum(1.0, networks_read))
        neurons = touched(1.0 - arch.ffn_sparsity, tokens_each)
    upward = 1.0 + (matrices - 2.0) * neurons
    flops = 2.0 * uses * outer * inner * (upward + neurons)
    weights = networks_read * (up.bytes_each * upward + down.bytes_each * neurons)
    if f"{name}_bias" in tensors:
        weights = weights + networks_read * tensors[f"{name}_bias"].bytes_each
    # In and out at the outer width; at the inner width, each product of the first matrices
    # written and read, and so their activation, gate times up.
    moved = uses * (2.0 * outer + 2.0 * matrices * inner)
    return Cost(flops, weights, activations=moved * activation_bytes(arch), launches=3.0)


def feed_forward(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """The routed experts of a layer; of a dense model, its only network.

    Weights of the distinct experts that the step is expected to touch are read, all are stored.
    """
    read = experts_read(arch, step.tokens)
    return _network(arch, tensors, "expert", read, step.tokens * arch.experts_per_token)


def shared_experts(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """The experts that every token passes through, and the gate on what they say."""
    shared = arch.shared_experts
    cost = _network(arch, tensors, "shared", shared, step.tokens * shared)
    if "shared_gate" not in tensors:
        return cost
    gate = linear(tensors["shared_gate"], step.tokens, activation_bytes(arch))
    return replace(
        cost,
        flops=cost.flops + gate.flops,
        weights=cost.weights + gate.weights,
        activations=cost.activations + gate.activations * arch.shared_gate,
        launches=cost.launches + arch.shared_gate,
    )


def dense_feed_forward(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """The dense network of a MoE model's leading layers."""
    return _network(arch, tensors, "dense", 1.0, step.tokens)


def wide_feed_forward(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """The dense network of the layers that have a wider one than the others."""
    return _network(arch, tensors, "wide", 1.0, step.tokens)


def expert_latent(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Into the width that routed experts work in, and out of it, once a token and layer."""
    into, out = tensors["expert_latent_in"], tensors["expert_latent_out"]
    return in_and_out(into, out, step.tokens, activation_bytes(arch))


def router(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Scores of the experts, the choice, and the gathering and scattering of tokens around them."""
    tensor = tensors["router"]
    weights = tensor.bytes_each
    if "router_bias" in tensors:
        weights = weights + tensors["router_bias"].bytes_each
    moved = arch.width + expert_outer(arch) * (1.0 + 2.0 * arch.experts_per_token)
    return Cost(
        flops=2.0 * step.tokens * tensor.elements,
        weights=weights,
        activations=step.tokens * (moved + 2.0 * tensor.outputs) * activation_bytes(arch),
        launches=4.0,  # scores, top-k, gather, scatter
    )


def _routed_layers(arch: Architectures) -> Array:
    return moe_layers(arch) * (arch.experts > 1)


def _shared_layers(arch: Architectures) -> Array:
    return moe_layers(arch) * (arch.shared_experts > 0)


def _latent_layers(arch: Architectures) -> Array:
    return moe_layers(arch) * (arch.expert_latent > 0) if arch.expert_latent.any() else NO_LAYERS


OPERATORS = (
    Operator("dense_feed_forward", lambda a: a.dense_layers, dense_feed_forward, "weights"),
    Operator("wide_feed_forward", lambda a: a.wide_layers, wide_feed_forward, "weights"),
    Operator("router", _routed_layers, router, "weights"),
    Operator("expert_latent", _latent_layers, expert_latent, "weights"),
    Operator("feed_forward", moe_layers, feed_forward, "weights", routed=True),
    Operator("shared_experts", _shared_layers, shared_experts, "weights"),
)
