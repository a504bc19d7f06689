"""Attention: its projections, its scores and mixed values, its cache."""

import numpy as np

from arch_space.architectures import Architectures, once
from arch_space.tensors import cache_bytes_per_token, value_size
from roofline.operators.cost import Array, Cost, Operator, Tensors, activation_bytes, linear
from roofline.workload import Pass


@once
def sliding_layers(arch: Architectures) -> Array:
    """Count the layers that attend to a window."""
    return np.rint(arch.window_share * arch.layers)


def projections(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Query, key and value projections, their biases, and the rotary embedding.

    Low-rank forms (MLA) run their factors one after the other. The biases are read with the
    weights.
    """
    names = [n for n in ("query_down", "query", "key", "value", "latent_down", "latent_up")
             if n in tensors]  # fmt: skip
    flops = 2.0 * step.tokens * sum(tensors[n].elements for n in names)
    extras = [n for n in ("qkv_bias", "qk_norm", "latent_norm") if n in tensors]
    weights = sum(tensors[n].bytes_each for n in (*names, *extras))
    outputs = sum(tensors[n].outputs for n in names)
    # The rotary embedding reads and writes queries and keys once more.
    moved = arch.width + 3.0 * outputs
    latent = 2.0 * (arch.kv_rank > 0) if arch.kv_rank.any() else 0.0
    normed = 1.0 * (arch.qk_norm > 0) if arch.qk_norm.any() else 0.0
    return Cost(
        flops=flops,
        weights=weights,
        activations=step.tokens * moved * activation_bytes(arch),
        launches=2.0 + latent + normed,
    )


def output(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Projection of the mixed values back to the model's width."""
    return linear(tensors["output"], step.tokens, activation_bytes(arch))


def score_pairs(queries: int, keys: Array | float, window: Array | float = np.inf) -> Array:
    """Query-key pairs of one causal sequence: each of the last `queries` positions sees its past.

    Position p sees min(p, window) keys, itself included; the sum over positions is closed form.
    """

    def up_to(position: Array | float) -> Array:
        inside = np.minimum(position, window)
        return np.asarray(inside * (position - (inside - 1.0) / 2.0))

    return up_to(keys) - up_to(keys - queries)


def _scores(arch: Architectures, step: Pass, window: Array | float) -> Cost:
    keys = np.asarray(step.keys, dtype=float)
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
    if queries > 1:  # keys and values of the new tokens come from their projections, not the cache
        moved = moved + queries * arch.kv_heads * (arch.head_size + values) * activation
    unfused = step.attention == "unfused"  # scores out, softmax in and out, probabilities in
    return Cost(
        flops=batch * flops,
        cache=batch * in_sight * cache_bytes_per_token(arch),
        activations=batch * moved,
        scores=batch * 4.0 * heads * square * activation if unfused else 0.0,
        launches=3.0 if unfused else 1.0,
    )


def attention(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Query-key products and mixing of values, over all the keys."""
    return _scores(arch, step, np.inf)


def sliding_attention(arch: Architectures, tensors: Tensors, step: Pass) -> Cost:
    """Query-key products and mixing of values, over the window."""
    return _scores(arch, step, np.where(arch.window > 0, arch.window, np.inf))


def _plain_layers(arch: Architectures) -> Array:
    return arch.layers - sliding_layers(arch) if arch.window_share.any() else arch.layers


OPERATORS = (
    Operator("attention_projections", lambda a: a.layers, projections, "weights"),
    Operator("attention", _plain_layers, attention, "cache", grows=True),
    Operator("sliding_attention", sliding_layers, sliding_attention, "cache", grows=True),
    Operator("attention_output", lambda a: a.layers, output, "weights"),
)
