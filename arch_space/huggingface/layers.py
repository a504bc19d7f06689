"""What a config.json says of layers that differ: their kinds, their states, their own embeddings.

A reader turns the keys of a model type into columns, beside those that every type has; a writer
says them again. `families.py` knows which type has which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arch_space.huggingface.keys import Keys

__all__ = ["DELTA_NET", "GEMMA_3N", "GEMMA_4", "NEMOTRON_H", "SHORT_CONVOLUTIONS", "Kinds"]

Columns = dict[str, Any]


@dataclass(frozen=True)
class Kinds:
    """read: columns from the keys and the columns known so far; write: keys from the columns."""

    read: Callable[[Keys, Mapping[str, Any]], Columns]
    write: Callable[[Mapping[str, int]], dict[str, Any]]


def _spread(layers: int, few: int, name: str, others: str) -> list[str]:
    """A list of layers with the `few` of one kind in turn, the last of each turn."""
    period = layers // few if few else layers + 1
    taken = [(i + 1) % period == 0 and (i + 1) // period <= few for i in range(layers)]
    return [name if is_taken else others for is_taken in taken]


# Gated delta nets with full attention in turn: Qwen3-Next, Qwen3.5.


def _read_delta(keys: Keys, columns: Mapping[str, Any]) -> Columns:
    layers = columns["layers"]
    kinds = keys.kinds_of_layers("layer_types", ("full_attention", "linear_attention"), layers)
    full = (
        layers // keys.count("full_attention_interval")
        if kinds is None
        else kinds.count("full_attention")
    )
    if full == layers:
        keys.fail("layer_types", "none of them is a linear_attention layer")
    if keys.config.get("attn_output_gate", True) is not True:
        keys.fail("attn_output_gate", "this model type gates its attention")
    heads, groups = keys.count("linear_num_value_heads"), keys.count("linear_num_key_heads")
    if heads % groups:
        keys.fail("linear_num_key_heads", f"it does not divide the {heads} value heads")
    return {
        "delta_layers": layers - full,
        "state_heads": heads,
        "state_groups": groups,
        "state_head_size": keys.count("linear_value_head_dim"),
        "state_size": keys.count("linear_key_head_dim"),
        "kernel": keys.count("linear_conv_kernel_dim"),
    }


def _write_delta(one: Mapping[str, int]) -> dict[str, Any]:
    layers = one["layers"]
    full = layers - one["delta_layers"]
    return {
        "layer_types": _spread(layers, full, "full_attention", "linear_attention"),
        "linear_num_value_heads": one["state_heads"],
        "linear_num_key_heads": one["state_groups"],
        "linear_value_head_dim": one["state_head_size"],
        "linear_key_head_dim": one["state_size"],
        "linear_conv_kernel_dim": one["kernel"],
    }


DELTA_NET = Kinds(_read_delta, _write_delta)


# Short convolutions: LFM2.


def _read_convolutions(keys: Keys, columns: Mapping[str, Any]) -> Columns:
    layers = columns["layers"]
    kinds = keys.kinds_of_layers("layer_types", ("full_attention", "conv"), layers)
    if kinds is None:
        indices = keys.value("full_attn_idxs")
        if not isinstance(indices, list) or not set(indices) <= set(range(layers)):
            keys.fail("full_attn_idxs", f"expected a list of some of the {layers} layers")
        full = len(set(indices))
    else:
        full = kinds.count("full_attention")
    if full == layers:
        keys.fail("layer_types", "none of them is a conv layer")
    if keys.config.get("conv_bias", False) is not False:
        keys.fail("conv_bias", "biases of a convolution layer have no column")
    width = keys.count("block_ff_dim" if "block_ff_dim" in keys.config else "intermediate_size")
    if keys.flag("block_auto_adjust_ff_dim"):
        multiple = keys.count("block_multiple_of")
        factor = keys.value("block_ffn_dim_multiplier")
        width = int(2 * width / 3)
        if factor is not None:
            width = int(factor * width)
        width = multiple * ((width + multiple - 1) // multiple)
    return {
        "convolution_layers": layers - full,
        "kernel": keys.count("conv_L_cache"),
        "ffn_width": width,
    }


def _write_convolutions(one: Mapping[str, int]) -> dict[str, Any]:
    layers = one["layers"]
    full = layers - one["convolution_layers"]
    return {
        "layer_types": _spread(layers, full, "full_attention", "conv"),
        "conv_L_cache": one["kernel"],
        "block_auto_adjust_ff_dim": False,
        "conv_bias": False,
    }


SHORT_CONVOLUTIONS = Kinds(_read_convolutions, _write_convolutions)


# Layers that are one mixer or one network: Nemotron-H.

_LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
_NAMES = {"mamba": "linear_attention", "attention": "full_attention"}  # old names and new


def _read_nemotron(keys: Keys, columns: Mapping[str, Any]) -> Columns:
    if columns["tied_embedding"]:
        keys.fail("tie_word_embeddings", "this model type has a head of its own")
    kinds = _nemotron_layers(keys)
    counted = {kind: kinds.count(kind) for kind in _LETTERS.values()}
    layers, networks = len(kinds), counted["mlp"] + counted["moe"]
    if not networks:
        keys.fail("layers_block_type", "none of them is a feed-forward network")
    heads, groups = keys.count("mamba_num_heads"), keys.count("n_groups")
    if heads % groups:
        keys.fail("n_groups", f"it does not divide the {heads} heads of the state")
    found: Columns = {
        "layers": layers,
        "mamba_layers": counted["mamba"],
        "ffn_layers": networks,
        "state_heads": heads,
        "state_groups": groups,
        "state_head_size": keys.count("mamba_head_dim"),
        "state_size": keys.count("ssm_state_size"),
        "kernel": keys.count("conv_kernel"),
        "ffn_width": keys.count("intermediate_size") if counted["mlp"] else 0,
    }
    if not counted["moe"]:
        return found
    width = keys.count("moe_intermediate_size")
    experts, active = keys.count("n_routed_experts", least=2), keys.count("num_experts_per_tok")
    if active > experts:
        keys.fail("num_experts_per_tok", f"there are {experts} experts")
    return found | {
        "experts": experts,
        "experts_per_token": active,
        "expert_width": width,
        "shared_experts": keys.multiple("moe_shared_expert_intermediate_size", width),
        "expert_latent": keys.count_or_null("moe_latent_size") or 0,
        "router_bias": True,
        "dense_layers": counted["mlp"],
    }


def _nemotron_layers(keys: Keys) -> list[str]:
    known = (*_LETTERS.values(), *_NAMES.values())
    listed = keys.kinds_of_layers("layers_block_type", known, None)
    if listed is not None:
        old = {new: name for name, new in _NAMES.items()}
        return [old.get(kind, kind) for kind in listed]
    pattern = keys.value("hybrid_override_pattern")
    if not isinstance(pattern, str) or not pattern or not set(pattern) <= set(_LETTERS):
        keys.fail("hybrid_override_pattern", f"expected letters of {''.join(_LETTERS)}")
    return [_LETTERS[letter] for letter in pattern]


def _write_nemotron(one: Mapping[str, int]) -> dict[str, Any]:
    moe = one["ffn_layers"] - one["dense_layers"] if one["experts"] > 1 else 0
    mlp = one["ffn_layers"] - moe
    attending = one["layers"] - one["mamba_layers"] - one["ffn_layers"]
    blocks = {
        "linear_attention": one["mamba_layers"],
        "full_attention": attending,
        "mlp": mlp,
        "moe": moe,
    }
    said = {
        "layers_block_type": [kind for kind, count in blocks.items() for _ in range(count)],
        "mamba_num_heads": one["state_heads"],
        "n_groups": one["state_groups"],
        "mamba_head_dim": one["state_head_size"],
        "ssm_state_size": one["state_size"],
        "conv_kernel": one["kernel"],
    }
    if not moe:
        return said
    return said | {
        "n_routed_experts": one["experts"],
        "num_experts_per_tok": one["experts_per_token"],
        "moe_intermediate_size": one["expert_width"],
        "moe_shared_expert_intermediate_size": one["shared_experts"] * one["expert_width"],
        "moe_latent_size": one["expert_latent"] or None,
    }


NEMOTRON_H = Kinds(_read_nemotron, _write_nemotron)


# Gemma 3n and Gemma 4: embeddings of each layer's own, layers that share a cache.


def _read_shared_caches(keys: Keys, columns: Mapping[str, Any]) -> Columns:
    layers, shared = columns["layers"], keys.count("num_kv_shared_layers", least=0)
    if shared >= layers:
        keys.fail("num_kv_shared_layers", f"there are {layers} layers")
    listed = keys.config.get("layer_types")
    if shared and isinstance(listed, list):
        sliding = listed[layers - shared :].count("sliding_attention")
        if sliding != round(listed.count("sliding_attention") / layers * shared):
            keys.fail("num_kv_shared_layers", "they must slide in the same share as all layers")
    return {"shared_kv_layers": shared}


def _read_own_embeddings(keys: Keys) -> Columns:
    size = keys.value("hidden_size_per_layer_input")
    if not size:
        return {}
    rows = keys.count("vocab_size_per_layer_input")
    return {
        "layer_embedding": keys.count("hidden_size_per_layer_input"),
        "layer_vocabulary": 0 if rows == keys.count("vocab_size") else rows,
    }


def _write_own_embeddings(one: Mapping[str, int]) -> dict[str, Any]:
    return {
        "num_kv_shared_layers": one["shared_kv_layers"],
        "hidden_size_per_layer_input": one["layer_embedding"],
        "vocab_size_per_layer_input": one["layer_vocabulary"] or one["vocabulary"],
    }


def _read_gemma_3n(keys: Keys, columns: Mapping[str, Any]) -> Columns:
    width = keys.value("intermediate_size")
    if isinstance(width, list):
        if len(set(map(str, width))) != 1 or len(width) != columns["layers"]:
            keys.fail("intermediate_size", "networks of several widths have no column")
        width = width[0]
    elif not isinstance(width, int):
        keys.count("intermediate_size")
    return {
        "ffn_width": width,
        "streams": keys.count("altup_num_inputs"),
        "laurel_rank": keys.count("laurel_rank"),
        # AltUp has a norm and a scale of the width, LAuReL and the own embedding a norm each.
        "norms": 8,
        **_read_shared_caches(keys, columns),
        **_read_own_embeddings(keys),
    }


def _write_gemma_3n(one: Mapping[str, int]) -> dict[str, Any]:
    return _write_own_embeddings(one) | {
        "altup_num_inputs": one["streams"],
        "laurel_rank": one["laurel_rank"],
    }


GEMMA_3N = Kinds(_read_gemma_3n, _write_gemma_3n)


def _read_gemma_4(keys: Keys, columns: Mapping[str, Any]) -> Columns:
    width = keys.count("intermediate_size")
    found: Columns = _read_shared_caches(keys, columns) | _read_own_embeddings(keys)
    found["norms"] = 4 + (1 if "layer_embedding" in found else 0)
    found["ffn_width"] = width
    found |= _read_heads_of_full_attention(keys)
    if keys.flag("use_double_wide_mlp") and found["shared_kv_layers"]:
        found |= {"wide_layers": found["shared_kv_layers"], "wide_width": 2 * width}
    if keys.flag("enable_moe_block"):
        experts, active = keys.count("num_experts", least=2), keys.count("top_k_experts")
        if active > experts:
            keys.fail("top_k_experts", f"there are {experts} experts")
        each = keys.count("moe_intermediate_size")
        # The dense network runs beside the experts, as shared ones do; the router scales what it
        # reads and each expert.
        found |= {
            "experts": experts,
            "experts_per_token": active,
            "expert_width": each,
            "shared_experts": keys.multiple("intermediate_size", each),
            "router_bias": True,
            "ffn_width": 0,
            "norms": found["norms"] + 4,
        }
    return found


def _read_heads_of_full_attention(keys: Keys) -> Columns:
    same_key = keys.flag("attention_k_eq_v")
    size, kv_heads = keys.count("global_head_dim"), 0
    if same_key:
        kv_heads = keys.count_or_null("num_global_key_value_heads") or 0
    per_layer = keys.config.get("per_layer_config")
    if isinstance(per_layer, Mapping):  # transformers 5 says it of each layer
        for said in per_layer.values():
            if not isinstance(said, Mapping) or said != next(iter(per_layer.values())):
                keys.fail("per_layer_config", "expected the same of all layers in it")
            size = said.get("head_dim", size)
            kv_heads = said.get("num_key_value_heads", kv_heads)
    return {"full_head_size": size, "full_kv_heads": kv_heads, "value_is_key": same_key}


def _write_gemma_4(one: Mapping[str, int]) -> dict[str, Any]:
    said = _write_own_embeddings(one) | {
        "global_head_dim": one["full_head_size"] or one["head_size"],
        "num_global_key_value_heads": one["full_kv_heads"] or None,
        "attention_k_eq_v": bool(one["value_is_key"]),
        "use_double_wide_mlp": one["wide_layers"] > 0,
        "enable_moe_block": one["experts"] > 1,
    }
    if one["experts"] == 1:
        return said
    return said | {
        "num_experts": one["experts"],
        "top_k_experts": one["experts_per_token"],
        "moe_intermediate_size": one["expert_width"],
        "intermediate_size": one["shared_experts"] * one["expert_width"],
    }


GEMMA_4 = Kinds(_read_gemma_4, _write_gemma_4)
