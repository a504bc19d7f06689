"""The two ends of a model: the embedding that is looked up and the head that is multiplied."""

import numpy as np

from arch_space.architectures import Architectures
from roofline.operators.cost import Array, Cost, Operator, Tensors, activation_bytes, linear
from roofline.workload import Pass


def embedding(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Look up one row a token: no product, and never the whole table."""
    tensor = tensors["embedding"]
    rows = np.minimum(step.tokens, tensor.inputs)
    return Cost(
        weights=rows * tensor.bytes_each / tensor.inputs,
        activations=step.tokens * arch.width * activation_bytes(arch),
    )


def head(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Logits of the tokens that need them; tied or not, the whole matrix is read."""
    return linear(tensors["head"], step.logit_tokens, activation_bytes(arch))


def _once(arch: Architectures) -> Array:
    return np.ones(1)


OPERATORS = (
    Operator("embedding", _once, embedding, "none"),
    Operator("head", _once, head, "head"),
)
