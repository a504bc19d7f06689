"""Columns as a config.json, in the words of a model type that can say them exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arch_space.architectures import FORMAT_COLUMNS, QK_NORMS, Architectures
from arch_space.huggingface.families import FAMILIES
from arch_space.huggingface.reading import from_huggingface
from arch_space.huggingface.windows import written_windows
from spec_files import SpecError, did_you_mean

_NOT_SAID = ("weight_sparsity", "two_four", "ffn_sparsity", "window_share")


def to_huggingface(arch: Architectures, family: str) -> dict[str, Any]:
    """Return a config.json of one candidate that transformers loads as it stands.

    family: a model type. What no architecture decides (rotary base, context length, token ids) is
    left at the type's defaults or null. Number formats and sparsity have no place in the file.
    Raises SpecError where the type cannot say the candidate exactly, naming those that can.
    """
    if family not in FAMILIES:
        raise SpecError(f"unknown model type {family!r}{did_you_mean(family, FAMILIES)}.")
    if len(arch) != 1:
        raise SpecError(f"a config.json describes one candidate, not {len(arch)}.")
    wanted = _decisive(arch)
    config = _written(wanted, family)
    if why := _difference(wanted, config, family):
        others = families_of(arch)
        hint = f"; {', '.join(others)} can" if others else "; no known type can"
        raise SpecError(f"{family} cannot say this candidate: {why}{hint}.")
    return config


def families_of(arch: Architectures) -> list[str]:
    """Return the model types that can say one candidate exactly."""
    wanted = _decisive(arch)
    return [name for name in FAMILIES if not _difference(wanted, _written(wanted, name), name)]


def _layer_vocabulary(row: Mapping[str, Any]) -> int:
    return (row["layer_vocabulary"] or row["vocabulary"]) if row["layer_embedding"] else 0


def _decisive(arch: Architectures) -> dict[str, Any]:
    """The columns that decide one candidate's shape, those that do not matter to it at zero."""
    row = arch.row()
    sliding = round(row["window_share"] * row["layers"])
    moe = row["experts"] > 1
    latent = row["kv_rank"] > 0
    said = {
        name: value
        for name, value in row.items()
        if name not in FORMAT_COLUMNS and name not in _NOT_SAID
    }
    return said | {
        "kv_heads": row["query_heads"] if latent else row["kv_heads"],
        "value_size": row["value_size"] or row["head_size"],
        "rope_size": row["rope_size"] if latent else 0,
        "ffn_width": row["ffn_width"] if not moe or row["dense_layers"] else 0,
        "experts_per_token": row["experts_per_token"] if moe else 1,
        "expert_width": row["expert_width"] if moe else 0,
        "full_head_size": row["full_head_size"] or row["head_size"],
        "full_kv_heads": row["full_kv_heads"] or row["kv_heads"],
        "layer_vocabulary": _layer_vocabulary(row),
        "wide_width": row["wide_width"] if row["wide_layers"] else 0,
        "window": row["window"] if sliding else 0,
        "sliding_layers": sliding,
        "qk_norm": QK_NORMS.index(row["qk_norm"]),
    }


def _difference(wanted: Mapping[str, Any], config: dict[str, Any], family: str) -> str:
    """What a written config fails to say, found by reading it back; empty where it says all."""
    try:
        said = _decisive(from_huggingface(config, family))
    except SpecError as refused:
        return str(refused).removeprefix(f"{family}: ").removesuffix(".")
    return next((f"{k} {v}, where it has {said[k]}" for k, v in wanted.items() if v != said[k]), "")


def _written(wanted: Mapping[str, Any], model_type: str) -> dict[str, Any]:
    """The config of a candidate in the words of a model type, which may lack some of them."""
    family = FAMILIES[model_type]
    one = {name: int(value) for name, value in wanted.items()}
    config: dict[str, Any] = {
        "architectures": [family.model_class],
        "model_type": model_type,
        "dtype": "bfloat16",
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
        "vocab_size": one["vocabulary"],
        "hidden_size": one["width"],
        "num_hidden_layers": one["layers"],
        "num_attention_heads": one["query_heads"],
        "num_key_value_heads": one["kv_heads"],
        "tie_word_embeddings": bool(one["tied_embedding"]),
    }
    if family.latent:
        config |= {
            "q_lora_rank": one["query_rank"] or None,
            "kv_lora_rank": one["kv_rank"],
            "qk_nope_head_dim": one["head_size"] - one["rope_size"],
            "qk_rope_head_dim": one["rope_size"],
            "v_head_dim": one["value_size"],
        }
    else:
        config["head_dim"] = one["head_size"]
    config["intermediate_size"] = one["ffn_width"] or one["expert_width"]
    if names := family.experts:
        config |= {
            names.number: one["experts"],
            names.width: one["expert_width"],
            "num_experts_per_tok": one["experts_per_token"],
        }
        if names.shared:
            config[names.shared] = one["shared_experts"]
        if names.shared_width:
            config[names.shared_width] = one["shared_experts"] * one["expert_width"]
        if names.dense == "mlp_only_layers":
            config[names.dense] = list(range(one["dense_layers"]))
        elif names.dense:
            config[names.dense] = one["dense_layers"]
    config |= written_windows(one, family.windows)
    return config | (family.kinds.write(one) if family.kinds else {})
