"""How many layers of each kind a candidate has; layers that differ are counts, never a list."""

from dataclasses import replace

import numpy as np

from arch_space.architectures import Architectures, once

Array = np.ndarray


@once
def attention_layers(arch: Architectures) -> Array:
    """Count the layers that attend: all that are of no other kind."""
    layers = arch.layers
    for other in (arch.mamba_layers, arch.delta_layers, arch.convolution_layers, arch.ffn_layers):
        if other.any():
            layers = layers - other
    return layers


@once
def sliding_layers(arch: Architectures) -> Array:
    """Count the layers that attend to a window."""
    return np.rint(arch.window_share * arch.layers)


@once
def full_layers(arch: Architectures) -> Array:
    """Count the layers that attend to every token before."""
    layers = attention_layers(arch)
    return layers - sliding_layers(arch) if arch.window_share.any() else layers


@once
def shared_sliding_layers(arch: Architectures) -> Array:
    """Of the layers that share an earlier layer's cache, count those that slide: their share."""
    return np.rint(arch.window_share * arch.shared_kv_layers)


@once
def caching_sliding_layers(arch: Architectures) -> Array:
    """Count the sliding layers that keep a cache of their own."""
    sliding = sliding_layers(arch)
    return sliding - shared_sliding_layers(arch) if arch.shared_kv_layers.any() else sliding


@once
def caching_full_layers(arch: Architectures) -> Array:
    """Count the layers of full attention that keep a cache of their own."""
    if not arch.shared_kv_layers.any():
        return full_layers(arch)
    return full_layers(arch) - (arch.shared_kv_layers - shared_sliding_layers(arch))


def cache_filling(arch: Architectures) -> Architectures:
    """Return the candidates without the last layers, which share the cache of earlier ones.

    What a prompt leaves behind, keys and values, comes from the others alone. The layers with a
    wider network are taken to be the last ones, as in Gemma 4.
    """
    return _cache_filling(arch) if arch.shared_kv_layers.any() else arch


@once
def _cache_filling(arch: Architectures) -> Architectures:
    filling = arch.layers - arch.shared_kv_layers
    return replace(
        arch,
        layers=filling,
        wide_layers=np.maximum(arch.wide_layers - arch.shared_kv_layers, 0),
        window_share=caching_sliding_layers(arch) / filling,
        shared_kv_layers=np.zeros_like(arch.shared_kv_layers),
    )


@once
def unlike(arch: Architectures) -> Array:
    """Whether the heads of full attention differ from those of the sliding layers."""
    return (arch.full_head_size > 0) | (arch.full_kv_heads > 0) | (arch.value_is_key > 0)


def full_attention(arch: Architectures) -> Architectures:
    """Return the candidates with the heads that they have where attention is full."""
    return _with_full_heads(arch) if unlike(arch).any() else arch


@once  # of another table: one that kept itself would outlive its use
def _with_full_heads(arch: Architectures) -> Architectures:
    return replace(
        arch,
        head_size=np.where(arch.full_head_size > 0, arch.full_head_size, arch.head_size),
        kv_heads=np.where(arch.full_kv_heads > 0, arch.full_kv_heads, arch.kv_heads),
    )


@once
def network_layers(arch: Architectures) -> Array:
    """Count the layers with a feed-forward network."""
    if not arch.ffn_layers.any():
        return arch.layers
    return np.where(arch.ffn_layers > 0, arch.ffn_layers, arch.layers)


@once
def moe_layers(arch: Architectures) -> Array:
    """Count the layers whose feed-forward network follows `experts` (one expert is a dense one)."""
    layers = network_layers(arch) - arch.dense_layers
    return layers - arch.wide_layers if arch.wide_layers.any() else layers
