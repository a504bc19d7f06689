"""FLOPs, bytes and kernels of each operator: pure functions of (architectures, tensors, pass).

To add one: a file with its cost function and an `OPERATORS` tuple, a line here, and a test.
"""

from roofline.operators import attention, feed_forward, normalisation, vocabulary
from roofline.operators.cost import Cost, Operator

OPERATORS: tuple[Operator, ...] = (
    vocabulary.OPERATORS[0],
    *normalisation.OPERATORS,
    *attention.OPERATORS,
    *feed_forward.OPERATORS,
    vocabulary.OPERATORS[1],
)

__all__ = ["OPERATORS", "Cost", "Operator"]
