"""FLOPs, bytes and kernels of each operator: pure functions of (architectures, tensors, pass).

To add one: a file with its cost function and an `OPERATORS` tuple, a line here, and a test.
"""

from roofline.operators import (
    attention,
    feed_forward,
    layer_embedding,
    normalisation,
    recurrence,
    residuals,
    short_convolution,
    vocabulary,
)
from roofline.operators.cost import Cost, Operator

OPERATORS: tuple[Operator, ...] = (
    vocabulary.OPERATORS[0],
    layer_embedding.LOOK_UP,
    *normalisation.OPERATORS,
    *residuals.OPERATORS,
    *attention.OPERATORS,
    *recurrence.OPERATORS,
    *short_convolution.OPERATORS,
    *feed_forward.OPERATORS,
    *layer_embedding.OPERATORS,
    vocabulary.OPERATORS[1],
)

__all__ = ["OPERATORS", "Cost", "Operator"]
