"""What must be resident at once: weights, cache, activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arch_space.layers import caching_full_layers, caching_sliding_layers, full_attention
from arch_space.tensors import (
    STATE_BYTES,
    cache_bytes_per_token,
    convolution_state,
    recurrent_state,
    state_channels,
    state_width,
    value_size,
)
from roofline.operators.cost import activation_bytes

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from roofline.workload import Pass, Workload

Array = np.ndarray
Number = Array | float

_LOGIT_BYTES = 4.0  # logits are sampled from in single precision


def cache_bytes(arch: Architectures, workload: Workload) -> Array:
    """Bytes of KV cache and of recurrent states, all layers and sequences, at the end, (N,).

    A sliding-window layer keeps its window; a layer that shares an earlier one's cache keeps none;
    a state is as large as ever. What is drafted takes its place before it is verified.
    """
    tokens = workload.prompt + workload.generate
    if workload.draft is not None:
        tokens += workload.draft_length
    return kept_cache(arch, workload.batch, float(tokens))


def kept_cache(arch: Architectures, sequences: Number, each: Number, shared: Number = 0.0) -> Array:
    """Bytes of cache of `sequences` that have `shared` leading tokens in common, (N,).

    each: further tokens of every sequence; all three a number or (N,). What is shared is stored
    once (pages that several sequences point to), in a sliding-window layer as much of it as is in
    sight of a sequence's end. A recurrent state sums up all that was read: every sequence has its
    own.
    """
    own, common = each, shared
    total = caching_full_layers(arch) * own * cache_bytes_per_token(full_attention(arch))
    in_common: Number = 0.0
    if np.any(common):
        in_common = caching_full_layers(arch) * common * cache_bytes_per_token(full_attention(arch))
    if arch.window_share.any():
        window = np.where(arch.window > 0, arch.window, np.inf)
        kept = np.minimum(own, window)
        total = total + caching_sliding_layers(arch) * kept * cache_bytes_per_token(arch)
        if np.any(common):
            seen = np.minimum(common, window - kept)
            in_common = in_common + caching_sliding_layers(arch) * seen * cache_bytes_per_token(
                arch
            )
    return sequences * (total + state_bytes(arch)) + in_common


def state_bytes(arch: Architectures) -> Array:
    """Bytes of the states that one sequence keeps whatever its length, (N,)."""
    total: Array = np.zeros(1)
    recurrent = arch.mamba_layers + arch.delta_layers
    if recurrent.any():
        taps = convolution_state(arch) * activation_bytes(arch)
        total = total + recurrent * (STATE_BYTES * recurrent_state(arch) + taps)
    if arch.convolution_layers.any():
        taps = (arch.kernel - 1.0) * arch.width * activation_bytes(arch)
        total = total + arch.convolution_layers * taps
    return total


def activation_peak(arch: Architectures, step: Pass) -> Array:
    """Bytes of the largest set of activations alive at once in a forward pass, (N,).

    The residual stream and its norm, with the wider of the attention's and the network's insides;
    then the logits. Unfused attention also holds one layer's scores.
    """
    tokens = step.tokens
    attention = _attention_insides(arch)
    full = full_attention(arch)
    if full is not arch:
        attention = np.maximum(attention, _attention_insides(full))
    network = np.where(
        arch.experts > 1,
        (arch.experts_per_token + arch.shared_experts) * arch.expert_width,
        arch.ffn_width,
    ) * np.where(arch.gated, 2.0, 1.0)
    if arch.dense_layers.any():
        dense = np.where(arch.dense_layers > 0, arch.ffn_width, 0.0)
        network = np.maximum(network, dense * np.where(arch.gated, 2.0, 1.0))
    if arch.wide_layers.any():
        wide = np.where(arch.wide_layers > 0, arch.wide_width, 0.0)
        network = np.maximum(network, wide * np.where(arch.gated, 2.0, 1.0))
    inside = np.maximum(attention, network)
    if (arch.mamba_layers + arch.delta_layers).any():
        mixer = state_channels(arch) + 2.0 * (state_width(arch) + arch.state_heads)
        inside = np.maximum(inside, mixer)
    if arch.convolution_layers.any():
        inside = np.maximum(inside, np.where(arch.convolution_layers > 0, 3.0 * arch.width, 0.0))
    each = activation_bytes(arch)
    streams = 2.0 * arch.width
    if arch.streams.any():
        streams = streams + np.maximum(arch.streams - 1.0, 0.0) * arch.width
    if arch.layer_embedding.any():
        streams = streams + arch.layers * arch.layer_embedding
    peak = tokens * (streams + inside) * each
    if step.attention == "unfused":
        square = np.multiply(step.queries, step.keys, dtype=float)
        peak = peak + step.batch * arch.query_heads * square * each
    logits = step.logit_tokens * arch.vocabulary * _LOGIT_BYTES
    return np.maximum(peak, logits)


def _attention_insides(arch: Architectures) -> Array:
    """Numbers of a token inside attention: queries, keys, values and what was mixed of them."""
    heads = arch.query_heads + arch.kv_heads
    gates = arch.query_heads * arch.head_size * arch.output_gate if arch.output_gate.any() else 0.0
    return heads * (arch.head_size + value_size(arch)) + gates
