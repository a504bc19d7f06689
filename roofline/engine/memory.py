"""What must be resident at once: weights, cache, activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arch_space.tensors import cache_bytes_per_token, value_size
from roofline.operators.attention import sliding_layers
from roofline.operators.cost import activation_bytes

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from roofline.workload import Workload

Array = np.ndarray

_LOGIT_BYTES = 4.0  # logits are sampled from in single precision


def cache_bytes(arch: Architectures, workload: Workload) -> Array:
    """KV-cache bytes of all layers and sequences at the end of the workload, (N,).

    A sliding-window layer keeps its window.
    """
    tokens = float(workload.prompt + workload.generate)
    layers_tokens = arch.layers * tokens
    if arch.window_share.any():
        sliding = sliding_layers(arch)
        kept = np.minimum(tokens, np.where(arch.window > 0, arch.window, np.inf))
        layers_tokens = (arch.layers - sliding) * tokens + sliding * kept
    return workload.batch * layers_tokens * cache_bytes_per_token(arch)


def activation_peak(arch: Architectures, workload: Workload) -> Array:
    """Bytes of the largest set of activations alive at once, in the prefill, (N,).

    The residual stream and its norm, with the wider of the attention's and the network's insides;
    then the logits. Unfused attention also holds one layer's scores.
    """
    tokens = workload.batch * workload.prompt
    attention = arch.query_heads * (arch.head_size + value_size(arch)) + arch.kv_heads * (
        arch.head_size + value_size(arch)
    )
    network = np.where(
        arch.experts > 1,
        (arch.experts_per_token + arch.shared_experts) * arch.expert_width,
        arch.ffn_width,
    ) * np.where(arch.gated, 2.0, 1.0)
    if arch.dense_layers.any():
        dense = np.where(arch.dense_layers > 0, arch.ffn_width, 0.0)
        network = np.maximum(network, dense * np.where(arch.gated, 2.0, 1.0))
    inside = np.maximum(attention, network)
    each = activation_bytes(arch)
    peak = tokens * (2.0 * arch.width + inside) * each
    if workload.attention == "unfused":
        peak = peak + workload.batch * arch.query_heads * float(workload.prompt) ** 2 * each
    logits = workload.prefill().logit_tokens * arch.vocabulary * _LOGIT_BYTES
    return np.maximum(peak, logits)
