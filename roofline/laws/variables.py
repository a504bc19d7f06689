"""What laws see of a candidate: variables by their standard names, and in tables of runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from arch_space.architectures import Architectures, once
from arch_space.formats import FORMATS, bits_per_element
from arch_space.tensors import active_parameter_count, tensors
from roofline.laws.sizes import parameters
from spec_files import SpecError

Array = np.ndarray


@once
def active_parameters(arch: Architectures) -> Array:
    """Return parameters that a token meets, embeddings included, (N,)."""
    return active_parameter_count(arch.as_float())


def embedding_parameters(arch: Architectures) -> Array:
    """Return parameters of the embedding, and of the head where it is its own, (N,) or (1,)."""
    tables = np.where(arch.tied_embedding, 1.0, 2.0)
    return tables * arch.vocabulary * arch.width


@once
def matrix_parameters(arch: Architectures) -> Array:
    """Return stored parameters without tables that are looked up, (N,).

    Those are the embedding, the head, learned positions, and the embeddings that layers have of
    their own.
    """
    # A sum, not a difference: bounds of what is taken off twice would be wide.
    inventory = tensors(arch.as_float())
    return np.broadcast_to(
        sum(each.parameters for name, each in inventory.items() if name not in _LOOKED_UP),
        (len(arch),),
    )


_LOOKED_UP = ("embedding", "head", "positions", "layer_embedding")


@once
def active_matrix_parameters(arch: Architectures) -> Array:
    """Return parameters that a token meets, without tables that are looked up, (N,)."""
    return active_parameters(arch) - _looked_up(arch)


def _looked_up(arch: Architectures) -> Array:
    found = embedding_parameters(arch)
    if arch.learned_positions.any() or arch.layer_embedding.any():
        inventory = tensors(arch.as_float())
        for name in ("positions", "layer_embedding"):
            if name in inventory:
                found = found + inventory[name].parameters
    return found


@once
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
    return share


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
    return found


def cached_width(arch: Architectures) -> Array:
    """Return d_m: width of the cached keys, and of the values; of MLA its latent and rotary part.

    (N,) or (1,).
    """
    cached = np.multiply(arch.kv_heads, arch.head_size, dtype=float)
    if (latent := arch.kv_rank > 0).any():
        cached = np.where(latent, arch.kv_rank + arch.rope_size, cached)
    return cached


@once
def granularity(arch: Architectures) -> Array:
    """Return G: four times the width over the width of one expert, (N,) or (1,).

    As arXiv 2402.07871 has it for experts of two matrices; one of three counts for 3/2 of its
    width, which equates parameters. A dense model is one expert.
    """
    inner = _expert_width(arch)
    if arch.gated.any():
        inner = inner * np.where(arch.gated, 1.5, 1.0)
    return 4.0 * arch.width / inner


@once
def double_width(arch: Architectures) -> Array:
    """Return twice the width over the width of one expert, the only one where dense; (N,), (1,)."""
    return 2.0 * arch.width / _expert_width(arch)


def _expert_width(arch: Architectures) -> Array:
    moe = arch.experts > 1
    if not moe.any():
        return arch.ffn_width
    return arch.expert_width if moe.all() else np.where(moe, arch.expert_width, arch.ffn_width)


@once
def mlp_attention_ratio(arch: Architectures) -> Array:
    """Return parameters of the FFNs that a token meets over those of attention, (N,).

    Matrices only. A recurrent mixer or a convolution counts as attention. SpecError for a model
    that mixes tokens nowhere.
    """
    inventory = tensors(arch.as_float())
    networks, mixers = np.zeros(1), np.zeros(1)
    met = arch.experts_per_token / arch.experts if (arch.experts > 1).any() else 1.0
    for name, tensor in inventory.items():
        kind, _, part = name.removeprefix("full_").partition("_")
        if part in ("bias", "norm", "gate"):
            continue
        if kind in ("dense", "wide", "expert", "shared"):
            routed = part in ("up", "down") and kind == "expert"
            networks = networks + tensor.parameters * (met if routed else 1.0)
        elif kind in _MIXERS:
            mixers = mixers + tensor.parameters
    if not np.all(mixers > 0):
        raise SpecError("mlp_attention_ratio: a model without attention has none")
    return networks / mixers


_MIXERS = (
    "query", "key", "value", "latent", "output", "mamba", "delta", "convolution",
)  # fmt: skip
_ROW = np.full(len(FORMATS), 4096.0)
_STORED = bits_per_element(np.arange(len(FORMATS)), _ROW)
_BITS = np.minimum([float(f.value_bits) for f in FORMATS], _STORED)


def value_bits(codes: Array) -> Array:
    """Return the bits that one value is told by in each format, (N,) or (1,).

    Scales are not counted. Of a palette it is what picks from it, not what stands in it.
    """
    alike = len(codes) > 1 and (codes == codes[0]).all()
    return _BITS[codes[:1] if alike else codes]


def _met_and_stored(arch: Architectures) -> tuple[Array, Array]:
    met = np.add(arch.experts_per_token, arch.shared_experts, dtype=float)
    return met, np.add(arch.experts, arch.shared_experts, dtype=float)


def _routed(arch: Architectures) -> Array:
    """Width of the FFN that a token meets, the mean over layers of a mixture of experts."""
    routed = _met_and_stored(arch)[0] * arch.expert_width
    if arch.dense_layers.any():
        routed = routed + arch.dense_layers / arch.layers * (arch.ffn_width - routed)
    return routed


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
        lambda a, t: matrix_parameters(a),
        ("n_ne", "non_embedding_params", "n_nonembedding"),
    ),
    "nonzero_parameters": Variable(
        "parameters that are not zero, without embedding and head",
        lambda a, t: matrix_parameters(a) * (1.0 - a.weight_sparsity), ("n_nonzero", "nnz"),
    ),
    "vocabulary_parameters": Variable(
        "parameters of one embedding", lambda a, t: np.multiply(a.vocabulary, a.width, dtype=float),
        ("n_v", "vocab_params"),
    ),
    "compute": Variable(
        "training FLOPs: 6 for each parameter outside embedding and head that a token meets",
        lambda a, t: 6.0 * active_matrix_parameters(a) * t, ("c", "flops", "training_flops"),
    ),
    "tokens_per_parameter": Variable(
        "training tokens over stored parameters", lambda a, t: t / parameters(a),
        ("token_param_ratio",),
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
    "experts": Variable(
        "routed experts, 1 where dense", lambda a, t: a.experts, ("n_experts", "num_experts"),
    ),
    "expansion_rate": Variable(
        "stored FFN over the FFN that a token meets", lambda a, t: 1.0 / activation(a),
    ),
    "sparsity": Variable(
        "share of the stored FFN that a token does not meet", lambda a, t: 1.0 - activation(a),
        ("moe_sparsity", "expert_sparsity"),
    ),
    "granularity": Variable(
        "4 widths over the width of one expert, 8/3 of one with three matrices",
        lambda a, t: granularity(a), ("g",),
    ),
    "double_width": Variable(
        "2 widths over the width of one expert", lambda a, t: double_width(a),
    ),
    "mlp_attention_ratio": Variable(
        "parameters of the FFNs that a token meets, over those of attention",
        lambda a, t: mlp_attention_ratio(a), ("mlp_attn_ratio",),
    ),
    "vocabulary": Variable("rows of the embedding", lambda a, t: a.vocabulary, ("v", "vocab_size")),
    "weight_sparsity": Variable(
        "share of zero weights", lambda a, t: a.weight_sparsity, ("pruned_share",),
    ),
    "weight_bits": Variable(
        "bits of a weight", lambda a, t: value_bits(a.weight_format), ("p_w", "wbits"),
    ),
    "activation_bits": Variable(
        "bits of an activation", lambda a, t: value_bits(a.activation_format), ("p_a", "abits"),
    ),
    "kv_bits": Variable(
        "bits of a number in the KV cache", lambda a, t: value_bits(a.kv_format), ("p_kv",),
    ),
}  # fmt: skip
"""Every variable that a law may see, by name."""


def spoken(name: str) -> str:
    """Return a variable as a sentence calls it."""
    return "training tokens" if name == "tokens" else name.replace("_", " ")


def variable(name: str, arch: Architectures, tokens: float) -> Array:
    """Return a variable of N candidates after training on so many tokens, (N,) or (1,)."""
    return VARIABLES[name].of(arch, tokens)
