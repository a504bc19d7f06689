"""Attention: its projections, its scores and mixed values, its cache."""

from dataclasses import replace

import numpy as np

from arch_space.architectures import Architectures
from arch_space.layers import (
    attention_layers,
    full_attention,
    full_layers,
    sliding_layers,
    unlike,
)
from arch_space.tensors import Tensor, cache_bytes_per_token, value_size
from roofline.operators.cost import (
    NO_LAYERS,
    Array,
    Cost,
    Operator,
    Tensors,
    activation_bytes,
    linear,
)
from roofline.workload import Pass

_MATRICES = ("query_down", "query", "key", "value", "latent_down", "latent_up")
_SMALL = ("query_bias", "key_bias", "value_bias", "query_norm", "key_norm", "latent_norm", "sinks")


def _mean(tensor: Tensor, layers: Array) -> Tensor:
    """What one of `layers` layers has of a tensor that only some of them have."""
    share = tensor.copies / layers
    return replace(tensor, outputs=tensor.outputs * share, bytes_each=tensor.bytes_each * share)


def _projections(arch: Architectures, tensors: Tensors, step: Pass, prefix: str) -> Cost:
    names = [n for n in _MATRICES if prefix + n in tensors]
    extras = [n for n in _SMALL if prefix + n in tensors]
    matrices = [tensors[prefix + n] for n in names]
    small = [tensors[prefix + n] for n in extras]
    if arch.shared_kv_layers.any() or arch.value_is_key.any():
        # Some layers have no keys or values of their own: an instance costs their mean.
        layers = np.maximum(tensors[prefix + "query"].copies, 1.0)
        matrices = [_mean(tensor, layers) for tensor in matrices]
        small = [_mean(tensor, layers) for tensor in small]
    flops = sum(tensor.elements for tensor in matrices)
    weights = sum(tensor.bytes_each for tensor in (*matrices, *small))
    outputs = sum(tensor.outputs for tensor in matrices)
    # The rotary embedding reads and writes queries and keys once more.
    moved = arch.width + 3.0 * outputs
    latent = 2.0 * (arch.kv_rank > 0) if arch.kv_rank.any() else 0.0
    normed = 1.0 * (arch.qk_norm > 0) if arch.qk_norm.any() else 0.0
    return Cost(
        flops=2.0 * step.tokens * flops,
        weights=weights,
        activations=step.tokens * moved * activation_bytes(arch),
        launches=2.0 + latent + normed,
    )


def projections(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Query, key and value projections, their biases, and the rotary embedding.

    Low-rank forms (MLA) run their factors one after the other. The biases are read with the
    weights. A layer that shares an earlier one's cache projects queries alone.
    """
    return _projections(arch, tensors, step, "")


def full_projections(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """The same in the layers of full attention, where their heads differ."""
    return _projections(full_attention(arch), tensors, step, "full_")


def _output(arch: Architectures, tensors: Tensors, step: Pass, prefix: str) -> Cost:
    tensor = tensors[prefix + "output"]
    cost = linear(tensor, step.tokens, activation_bytes(arch))
    if prefix + "output_bias" in tensors:
        cost = replace(cost, weights=cost.weights + tensors[prefix + "output_bias"].bytes_each)
    if arch.output_gate.any():  # the gate and the mixed values in, their product out
        gate = 3.0 * tensor.inputs * arch.output_gate * step.tokens * activation_bytes(arch)
        launches = cost.launches + arch.output_gate
        cost = replace(cost, activations=cost.activations + gate, launches=launches)
    return cost


def output(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Projection of the mixed values, gated where there is a gate, to the model's width."""
    return _output(arch, tensors, step, "")


def full_output(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """The same in the layers of full attention, where their heads differ."""
    return _output(full_attention(arch), tensors, step, "full_")


def score_pairs(
    queries: Array | float, keys: Array | float, window: Array | float = np.inf
) -> Array:
    """Query-key pairs of one causal sequence: each of the last `queries` positions sees its past.

    Position p sees min(p, window) keys, itself included; the sum over positions is closed form.
    """

    def up_to(position: Array | float) -> Array:
        inside = np.minimum(position, window)
        return inside * (position - (inside - 1.0) / 2.0)

    return up_to(keys) - up_to(keys - queries)


def _scores(arch: Architectures, step: Pass, window: Array | float) -> Cost:
    keys = np.multiply(step.keys, 1.0)
    queries, batch = step.queries, step.batch
    # Past keys and values are read and the new ones written: together every key in sight, once.
    in_sight = np.minimum(keys, window + (queries - 1.0))
    square = queries * in_sight
    pairs = square if step.mask == "full" else score_pairs(queries, keys, window)
    values = value_size(arch)
    heads = arch.query_heads
    per_pair = 2.0 * heads * (arch.head_size + values)
    flops = pairs * per_pair
    if arch.kv_rank.any():
        # MLA: either expand the cached latents to heads, or attend to the latents themselves.
        expand = (in_sight - queries) * 2.0 * arch.kv_rank * heads
        expanded = flops + expand * (arch.head_size - arch.rope_size + values)
        absorbed = pairs * 2.0 * heads * (2.0 * arch.kv_rank + arch.rope_size)
        flops = np.where(arch.kv_rank > 0, np.minimum(expanded, absorbed), flops)
    activation = activation_bytes(arch)
    moved = queries * (heads * (arch.head_size + values)) * activation
    several = np.greater(queries, 1)
    if several.any():  # keys and values of new tokens come from their projections, not the cache
        new = queries * arch.kv_heads * (arch.head_size + values) * activation
        moved = moved + (new if several.all() else np.where(several, new, 0.0))
    unfused = step.attention == "unfused"  # scores out, softmax in and out, probabilities in
    read = batch * in_sight
    if step.shared_reads == "once":
        common = np.clip(step.shared - (keys - in_sight), 0.0, in_sight - queries)
        read = read - (batch - 1.0) * common
    return Cost(
        flops=batch * flops,
        cache=read * cache_bytes_per_token(arch),
        activations=batch * moved,
        scores=batch * 4.0 * heads * square * activation if unfused else 0.0,
        launches=3.0 if unfused else 1.0,
    )


def bends(arch: Architectures, step: Pass) -> list[Array]:
    """Numbers of keys up to and after which the costs of attention are linear in them, (N,) each.

    A window fills (while it does, the pairs of several queries curve: two bends stand around those
    keys); what is shared has gone out of a window; the products of MLA change their order.
    """
    queries = np.multiply(step.queries, 1.0)
    found: list[Array] = []
    if arch.window_share.any():
        window = np.where(arch.window > 0, arch.window, np.inf)
        found.append(window)
        if np.any(queries > 1):
            found += [window + queries - 1.0, window + queries]
        if step.shared_reads == "once" and np.any(step.shared):
            found.append(window + queries - 1.0 + step.shared)
    if arch.kv_rank.any() and np.any(queries > 1):
        values = value_size(arch)
        expanding = (
            2.0 * arch.kv_rank * arch.query_heads * (arch.head_size - arch.rope_size + values)
        )
        # What a pair saves where the cached latents are expanded to heads.
        heads = 2.0 * arch.query_heads
        absorbing = 2.0 * arch.kv_rank + arch.rope_size
        saved = heads * (absorbing - arch.head_size - values)
        before = 0.0 if step.mask == "full" else queries * (queries - 1.0) / 2.0
        with np.errstate(divide="ignore", invalid="ignore"):
            at = (expanding * queries - saved * before) / (expanding - saved * queries)
        found.append(np.where((arch.kv_rank > 0) & (at > 0), at, np.inf))
    return found


def attention(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Query-key products and mixing of values, over all the keys."""
    return _scores(full_attention(arch), step, np.inf)


def sliding_attention(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Query-key products and mixing of values, over the window."""
    return _scores(arch, step, np.where(arch.window > 0, arch.window, np.inf))


def _layers_apart(arch: Architectures) -> Array:
    """Count the layers of full attention whose heads differ from the others'."""
    different = unlike(arch)
    return np.where(different, full_layers(arch), 0.0) if different.any() else NO_LAYERS


def _layers_alike(arch: Architectures) -> Array:
    apart = _layers_apart(arch)
    return attention_layers(arch) - apart if apart.any() else attention_layers(arch)


OPERATORS = (
    Operator("attention_projections", _layers_alike, projections, "weights"),
    Operator("full_attention_projections", _layers_apart, full_projections, "weights"),
    Operator("attention", full_layers, attention, "cache", grows=True),
    Operator("sliding_attention", sliding_layers, sliding_attention, "cache", grows=True),
    Operator("attention_output", _layers_alike, output, "weights"),
    Operator("full_attention_output", _layers_apart, full_output, "weights"),
)
