"""What a stack of training code must be able to say of a candidate."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from arch_space.architectures import FORMAT_COLUMNS, QK_NORMS, Architectures, columns, defaults
from spec_files import SpecError

# Every stack says these; number formats and sparsity are of the model as it runs, not as it trains.
_SIZES = ("layers", "width", "query_heads", "kv_heads", "head_size", "ffn_width", "vocabulary")
_NOT_TRAINED = (*FORMAT_COLUMNS, "weight_sparsity", "two_four", "ffn_sparsity")
_SPOKEN = {
    "experts": "a mixture of experts", "kv_rank": "latent attention", "window_share": "windows",
    "qkv_bias": "biases on queries, keys and values", "qk_norm": "norms on queries and keys",
    "shared_experts": "shared experts", "dense_layers": "leading dense layers",
    "gated": "a network of two matrices", "mamba_layers": "Mamba-2 layers",
    "delta_layers": "gated delta nets", "convolution_layers": "convolution layers",
    "tied_embedding": "a head of its own",
}  # fmt: skip
_OF_EXPERTS = ("experts_per_token", "expert_width", "shared_experts", "dense_layers")


def decisive(arch: Architectures) -> dict[str, Any]:
    """Return one candidate's columns, those at their default that do not matter to it."""
    if len(arch) != 1:
        raise SpecError(f"a configuration describes one candidate, not {len(arch)}")
    row, usual = arch.row(), defaults()
    if row["experts"] <= 1:
        row |= {name: usual[name] for name in _OF_EXPERTS}
    if round(row["window_share"] * row["layers"]) == 0:
        row |= {"window": 0, "window_share": 0.0}
    if row["value_size"] == row["head_size"]:
        row["value_size"] = 0
    return row


def beyond(row: Mapping[str, Any], said: Collection[str]) -> str:
    """Say what a candidate has that a stack does not say; '' where it says all.

    said: columns whose every value the stack can say, beside the sizes that all can.
    """
    usual = {**defaults(), "qk_norm": QK_NORMS[0]}
    for name in columns():
        if name in (*_SIZES, *_NOT_TRAINED, *said) or row[name] == usual[name]:
            continue
        return _SPOKEN.get(name, f"{name} {row[name]}")
    return ""


def ratio(row: Mapping[str, Any]) -> bool:
    """Return whether heads fill the width, which a stack without a head size assumes."""
    return bool(row["query_heads"] * row["head_size"] == row["width"])
