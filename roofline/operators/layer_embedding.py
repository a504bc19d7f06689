"""Embeddings that each layer has of its own (Gemma 3n): looked up once, mixed in at every layer."""

import numpy as np

from arch_space.architectures import Architectures
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


def layer_embedding(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """One row a token, for all layers, and the projection of the plain embedding that is added.

    The table is stored, and never read whole.
    """
    table = tensors["layer_embedding"]
    cost = linear(tensors["layer_projection"], step.tokens, activation_bytes(arch))
    rows = np.minimum(step.tokens, table.inputs)
    return Cost(
        flops=cost.flops,
        weights=rows * table.bytes_each / table.inputs
        + cost.weights
        + tensors["layer_norm"].bytes_each,
        activations=cost.activations + 3.0 * step.tokens * table.outputs * activation_bytes(arch),
        launches=3.0,
    )


def layer_embedding_mixing(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """A layer's share of it, gated by the residual stream and projected back to it."""
    gate, up = tensors["layer_gate"], tensors["layer_up"]
    return in_and_out(gate, up, step.tokens, activation_bytes(arch))


def _once(arch: Architectures) -> Array:
    return 1.0 * (arch.layer_embedding > 0)


def _layers(arch: Architectures) -> Array:
    return arch.layers * _once(arch) if arch.layer_embedding.any() else NO_LAYERS


LOOK_UP = Operator("layer_embedding", _once, layer_embedding, "weights")
OPERATORS = (Operator("layer_embedding_mixing", _layers, layer_embedding_mixing, "weights"),)
