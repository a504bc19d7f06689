"""The two ends of a model: the embedding that is looked up and the head that is multiplied."""

from dataclasses import replace

import numpy as np

from arch_space.architectures import Architectures
from roofline.operators.cost import (
    NOTHING,
    Array,
    Cost,
    Operator,
    Tensors,
    activation_bytes,
    linear,
)
from roofline.workload import Pass


def embedding(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Look up one row a token, and one a learned position: no product, never the whole table."""
    tensor = tensors["embedding"]
    weights = np.minimum(step.tokens, tensor.inputs) * tensor.bytes_each / tensor.inputs
    if "positions" in tensors:  # the sequences of a batch stand at the same ones
        table = tensors["positions"]
        rows = np.maximum(table.inputs, 1.0)
        weights = weights + np.minimum(step.queries, rows) * table.bytes_each / rows
    return Cost(
        weights=weights,
        activations=step.tokens * arch.width * activation_bytes(arch),
    )


def head(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Logits of the tokens that need them; tied or not, the whole matrix is read, if any do."""
    if step.logits == "none":
        return NOTHING
    cost = linear(tensors["head"], step.logit_tokens, activation_bytes(arch))
    if "head_bias" in tensors:
        return replace(cost, weights=cost.weights + tensors["head_bias"].bytes_each)
    return cost


def _once(arch: Architectures) -> Array:
    return np.ones(1)


OPERATORS = (
    Operator("embedding", _once, embedding, "none"),
    Operator("head", _once, head, "head"),
)
