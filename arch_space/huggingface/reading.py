"""A config.json as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arch_space.architectures import QK_NORMS, Architectures
from arch_space.huggingface.families import FAMILIES, OMITTED, WRAPPERS, Experts
from arch_space.huggingface.keys import Keys
from arch_space.huggingface.windows import NONE, Windows
from spec_files import SpecError, did_you_mean

_QUANTISED = "give the unquantised model's config and choose its number formats instead"

# Keys that must hold one of these values if they are there at all, and what the columns lack.
_EXPECTED: dict[str, tuple[tuple[object, ...], str]] = {
    "attention_bias": ((False, None), "a bias on the output projection has no column"),
    "mlp_bias": ((False, None), "biases in the feed-forward network have no column"),
    "decoder_sparse_step": ((1,), "experts in every n-th layer have no column"),
    "moe_layer_freq": ((1,), "experts in every n-th layer have no column"),
    "use_bidirectional_attention": ((False, None), "only causal decoders have columns"),
    "use_bias": ((False, None), "biases on the projections of a mixer have no column"),
    "mamba_proj_bias": ((False, None), "biases on the projections of a mixer have no column"),
    "use_conv_bias": ((True,), "a convolution before a state without a bias has no column"),
    "quantization_config": ((None,), _QUANTISED),
    "quantization": ((None,), _QUANTISED),
}


def from_huggingface(config: Mapping[str, Any], where: str) -> Architectures:
    """Return the one candidate that a config.json describes, named `where`, in 16-bit formats.

    config: the parsed file; where: its name, for errors.
    Raises SpecError for an unknown model type, a missing key, a value of the wrong kind, and for
    what the columns cannot say.
    """
    if not isinstance(config, Mapping):
        raise SpecError(f"{where}: read {type(config).__name__} where keys and values belong.")
    if config.get("model_type") in list(WRAPPERS):  # a list: what was read may not be hashable
        config, where = _text_tower(config, where)
    keys = Keys(config, where)
    model_type = keys.value("model_type")
    if model_type not in list(FAMILIES):
        hint = did_you_mean(str(model_type), [*FAMILIES, *WRAPPERS]).removeprefix("; ")
        keys.fail("model_type", f"not a known model type, {hint}")
    family = FAMILIES[model_type]
    keys.assume({**OMITTED, **family.omitted})
    keys.check_activation("hidden_act")
    if config.get("hidden_activation") is not None:  # Gemma's; null means hidden_act
        keys.check_activation("hidden_activation")
    for key, (values, why) in _EXPECTED.items():
        if key in config and config[key] not in values and key not in family.allows:
            keys.fail(key, why)

    columns: dict[str, Any] = {
        "layers": keys.count("num_hidden_layers"),
        "width": keys.count("hidden_size"),
        "query_heads": keys.count("num_attention_heads"),
        "vocabulary": keys.count("vocab_size"),
        "tied_embedding": keys.flag("tie_word_embeddings"),
        "qkv_bias": family.qkv_bias,
        "gated": family.gated,
        "norms": family.norms,
        "qk_norm": QK_NORMS.index(family.qk_norm),
        **family.fixed,
    }
    if family.heads_divide_width and columns["width"] % columns["query_heads"]:
        keys.fail("hidden_size", f"{model_type} wants a multiple of num_attention_heads")
    columns |= (_read_latent if family.latent else _read_heads)(keys, columns)
    filled = columns["query_heads"] * columns["head_size"]
    if family.heads_fill_width and columns["width"] != filled:
        keys.fail("hidden_size", f"{model_type} wants num_attention_heads times head_dim")
    if family.kinds is not None:
        columns |= family.kinds.read(keys, columns)
    if family.windows is not NONE or family.kinds is None:
        columns |= _read_windows(keys, family.windows, columns["layers"])
    if "ffn_width" in columns:
        pass  # the kinds of layers have said it
    elif family.experts is None:
        columns["ffn_width"] = keys.count("intermediate_size")
    else:
        columns |= _read_experts(keys, family.experts, columns["layers"])
    return Architectures.checked(**columns, names=(where,))


def _text_tower(config: Mapping[str, Any], where: str) -> tuple[Mapping[str, Any], str]:
    inner = config.get("text_config")
    if not isinstance(inner, Mapping):
        Keys(config, where).fail("text_config", "expected the keys of the text model")
    outer = {"model_type": WRAPPERS[config["model_type"]]}
    if "tie_word_embeddings" in config:
        outer["tie_word_embeddings"] = config["tie_word_embeddings"]
    return outer | dict(inner), f"{where}: text_config"


def _read_heads(keys: Keys, columns: Mapping[str, int]) -> dict[str, int]:
    width, heads = columns["width"], columns["query_heads"]
    kv_heads = keys.count_or_null("num_key_value_heads") or heads
    if heads % kv_heads:
        keys.fail("num_key_value_heads", f"it does not divide the {heads} query heads")
    if keys.value("head_dim") is not None:
        head_size = keys.rotary_size("head_dim")
    else:
        if width % heads:
            keys.fail("hidden_size", f"{heads} heads do not divide it, and there is no head_dim")
        head_size = width // heads
    return {"kv_heads": kv_heads, "head_size": head_size}


def _read_latent(keys: Keys, columns: Mapping[str, int]) -> dict[str, int]:
    heads = columns["query_heads"]
    if keys.value("num_key_value_heads") not in (None, heads):
        keys.fail("num_key_value_heads", f"latent attention has as many as query heads, {heads}")
    rope_size = keys.rotary_size("qk_rope_head_dim")
    return {
        "kv_heads": heads,
        "head_size": keys.count("qk_nope_head_dim") + rope_size,
        "rope_size": rope_size,
        "value_size": keys.count("v_head_dim"),
        "kv_rank": keys.count("kv_lora_rank"),
        "query_rank": keys.count_or_null("q_lora_rank") or 0,
    }


def _read_windows(keys: Keys, windows: Windows, layers: int) -> dict[str, float]:
    window, sliding = windows.read(keys, layers)
    kinds = keys.kinds_of_layers("layer_types", ("full_attention", "sliding_attention"), layers)
    listed = sliding if kinds is None else kinds.count("sliding_attention")
    if listed != sliding:
        if "layer_types" not in windows.keys:
            keys.fail("layer_types", f"without it, {sliding} layers slide in this model type")
        if not window:
            keys.fail("layer_types", "it lists sliding layers, but no sliding_window is in use")
        sliding = listed
    return {"window": window, "window_share": sliding / layers} if sliding else {}


def _read_experts(keys: Keys, names: Experts, layers: int) -> dict[str, int]:
    # transformers 5 writes num_experts under the name that other types use.
    alias = "num_local_experts"
    number = alias if names.number not in keys.config and alias in keys.config else names.number
    experts = keys.count(number, least=2)
    active = keys.count("num_experts_per_tok")
    if active > experts:
        keys.fail("num_experts_per_tok", f"there are {experts} experts")
    dense = _read_dense_layers(keys, names.dense, layers) if names.dense else 0
    return {
        "experts": experts,
        "experts_per_token": active,
        "expert_width": keys.count(names.width),
        "shared_experts": _read_shared(keys, names),
        "dense_layers": dense,
        "ffn_width": keys.count("intermediate_size") if dense else 0,
    }


def _read_shared(keys: Keys, names: Experts) -> int:
    if names.shared_width:
        return keys.multiple(names.shared_width, keys.count(names.width))
    return keys.count(names.shared, least=0) if names.shared else 0


def _read_dense_layers(keys: Keys, key: str, layers: int) -> int:
    """Count the leading dense layers, given as a number or as a list of layers."""
    value = keys.value(key)
    if key == "mlp_only_layers":
        if value is not None and value != list(range(len(value) if isinstance(value, list) else 0)):
            keys.fail(key, "only leading layers can be dense, [0, 1, ...]")
        dense = len(value or [])
    else:
        dense = keys.count(key, least=0)
    if dense > layers:
        keys.fail(key, f"there are {layers} layers")
    return dense
