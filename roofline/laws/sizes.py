"""Parameters of candidates, counted once a table: a law, its limits and the penalties all ask."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from arch_space.architectures import Architectures
from arch_space.formats import format_code
from arch_space.tensors import parameter_count

Array = np.ndarray

_counted: WeakKeyDictionary[Architectures, Array] = WeakKeyDictionary()


def parameters(arch: Architectures) -> Array:
    """Return stored parameters, embeddings and zeros included, (N,)."""
    if (count := _counted.get(arch)) is None:
        plain = np.array(
            [format_code("fp16")]
        )  # a count needs no format, and bytes of GGUF blocks take time
        bare = replace(
            arch, weight_format=plain, embedding_format=plain, weight_sparsity=np.zeros(1)
        )
        count = _counted[arch] = parameter_count(bare)
    return count
