"""Parameters of candidates, counted once a table: a law, its limits and the penalties all ask."""

import numpy as np

from arch_space.architectures import Architectures, once
from arch_space.tensors import parameter_count

Array = np.ndarray


@once
def parameters(arch: Architectures) -> Array:
    """Return stored parameters, embeddings and zeros included, (N,).

    From the inventory that the engine works out for the same table, where it has.
    """
    return parameter_count(arch.as_float())
