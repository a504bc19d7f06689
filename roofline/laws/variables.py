"""What laws see of a candidate: variables by their standard names, and in tables of runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from arch_space.architectures import Architectures, once
from arch_space.tensors import active_parameter_count
from roofline.laws.sizes import parameters

Array = np.ndarray


@once
def active_parameters(arch: Architectures) -> Array:
    """Return parameters that a token meets, embeddings included, (N,)."""
    return active_parameter_count(arch.as_float())


def embedding_parameters(arch: Architectures) -> Array:
    """Return parameters of the embedding, and of the head where it is its own, (N,) or (1,)."""
    tables = np.where(arch.tied_embedding, 1.0, 2.0)
    return tables * arch.vocabulary * arch.width


def activation(arch: Architectures) -> Array:
    """Return rho: share of the stored FFN that a token meets; 1 where dense. (N,) or (1,).

    Shared experts count as active and as stored; leading dense layers enter by the mean of layers.
    """
    moe = arch.experts > 1
    if not moe.any():
        return np.ones(1)
    met, stored = _met_and_stored(arch)
    share = np.where(moe, met / stored, 1.0)
    if arch.dense_layers.any():
        dense = arch.dense_layers / arch.layers
        held = stored * arch.expert_width
        held = np.where(moe, held + dense * (arch.ffn_width - held), 1.0)
        share = np.where(moe, _routed(arch) / held, 1.0)
    return np.asarray(share)


def expansion(arch: Architectures) -> Array:
    """Return r: width of the FFN that a token meets, all its experts together, over the model's.

    Shared experts and leading dense layers count as in `activation`. An FFN of two matrices counts
    for 2/3 of its width, which equates parameters. (N,) or (1,).
    """
    active = arch.ffn_width.astype(float)
    moe = arch.experts > 1
    if moe.any():
        active = np.where(moe, _routed(arch), active)
    found = active / arch.width
    if not arch.gated.all():
        found = found * np.where(arch.gated, 1.0, 2 / 3)
    return np.asarray(found)


def cached_width(arch: Architectures) -> Array:
    """Return d_m: width of the cached keys, and of the values; of MLA its latent and rotary part.

    (N,) or (1,).
    """
    cached = np.multiply(arch.kv_heads, arch.head_size, dtype=float)
    if (latent := arch.kv_rank > 0).any():
        cached = np.where(latent, arch.kv_rank + arch.rope_size, cached)
    return np.asarray(cached)


def _met_and_stored(arch: Architectures) -> tuple[Array, Array]:
    met = np.add(arch.experts_per_token, arch.shared_experts, dtype=float)
    return met, np.add(arch.experts, arch.shared_experts, dtype=float)


def _routed(arch: Architectures) -> Array:
    """Width of the FFN that a token meets, the mean over layers of a mixture of experts."""
    routed = _met_and_stored(arch)[0] * arch.expert_width
    if arch.dense_layers.any():
        routed = routed + arch.dense_layers / arch.layers * (arch.ffn_width - routed)
    return np.asarray(routed)


@dataclass(frozen=True)
class Variable:
    """One variable of laws.

    of: from candidates and training tokens to (N,) or (1,). aliases: columns of run tables that
    hold it, in lower case.
    """

    title: str
    of: Callable[[Architectures, float], Array]
    aliases: tuple[str, ...] = ()


VARIABLES: dict[str, Variable] = {
    "parameters": Variable(
        "stored parameters, embeddings included", lambda a, t: parameters(a),
        ("n", "params", "n_params", "total_params"),
    ),
    "active_parameters": Variable(
        "parameters that a token meets", lambda a, t: active_parameters(a),
        ("n_active", "active_params", "params_active"),
    ),
    "matrix_parameters": Variable(
        "parameters without embedding and head",
        lambda a, t: parameters(a) - embedding_parameters(a),
        ("n_ne", "non_embedding_params", "n_nonembedding"),
    ),
    "tokens": Variable(
        "training tokens", lambda a, t: np.array([t]), ("d", "n_tokens", "train_tokens"),
    ),
    "layers": Variable("depth", lambda a, t: a.layers, ("l", "depth", "n_layers", "num_layers")),
    "width": Variable(
        "hidden size", lambda a, t: a.width, ("w", "d_model", "hidden_size", "model_width"),
    ),
    "expansion": Variable(
        "FFN width that a token meets, over the width", lambda a, t: expansion(a),
        ("r", "ffn_ratio", "mlp_ratio"),
    ),
    "activation": Variable(
        "share of the stored FFN that a token meets", lambda a, t: activation(a),
        ("rho", "activation_rate"),
    ),
    "cached_width": Variable(
        "width of the cached keys", lambda a, t: cached_width(a), ("d_m", "kv_width", "kv_dim"),
    ),
}  # fmt: skip
"""Every variable that a law may see, by name."""


def variable(name: str, arch: Architectures, tokens: float) -> Array:
    """Return a variable of N candidates after training on so many tokens, (N,) or (1,)."""
    return VARIABLES[name].of(arch, tokens)
