"""Hugging Face `config.json` in and out, for the model types that the columns can say exactly.

Files of transformers 4 and 5 are read without importing it. One table, `FAMILIES`, holds what a
model type fixes (biases, norms, which layers slide) and what its config class assumes for keys that
a file omits. A type that is not in the table is an error, and so is a key that no column can say.

Read from transformers' `configuration_*.py` and `modeling_*.py`, version 5.23.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from arch_space.architectures import LARGEST, QK_NORMS, Architectures
from spec_files import SpecError, did_you_mean, nearest, short

__all__ = ["FAMILIES", "Family", "families_of", "from_huggingface", "to_huggingface"]

_QUANTISED = "give the unquantised model's config and choose its number formats instead"

# What transformers calls the functions of one number, without parameters of their own, that it
# knows. They cost the same here; a name that is none of them is a slip of the pen.
_ACTIVATIONS = (
    "silu", "swish", "gelu", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_new", "gelu_fast",
    "gelu_accurate", "gelu_python", "gelu_10", "quick_gelu", "relu", "relu2", "relu6", "leaky_relu",
    "hardswish", "mish", "sigmoid", "tanh", "laplace", "sqrtsoftplus", "linear",
)  # fmt: skip

# Keys that must hold one of these values if they are there at all, and what the columns lack.
_EXPECTED: dict[str, tuple[tuple[object, ...], str]] = {
    "attention_bias": ((False, None), "a bias on the output projection has no column"),
    "mlp_bias": ((False, None), "biases in the feed-forward network have no column"),
    "decoder_sparse_step": ((1,), "experts in every n-th layer have no column"),
    "moe_layer_freq": ((1,), "experts in every n-th layer have no column"),
    "use_bidirectional_attention": ((False, None), "only causal decoders have columns"),
    "quantization_config": ((None,), _QUANTISED),
    "quantization": ((None,), _QUANTISED),
}


class _Keys:
    """The keys of one config.json, checked as they are read; errors name file, key and value."""

    def __init__(self, config: Mapping[str, Any], where: str):
        self.config = config
        self.where = where
        self.assumed: Mapping[str, Any] = {}

    def assume(self, omitted: Mapping[str, Any]) -> None:
        """Take the values that a model type gives to keys that the file omits."""
        self.assumed = {key: value for key, value in omitted.items() if key not in self.config}
        self.config = {**self.config, **self.assumed}

    def fail(self, key: str, why: str) -> NoReturn:
        found = f"read {short(self.config.get(key))}" if key in self.config else "missing"
        if key in self.assumed:
            default, family = short(self.assumed[key]), self.config["model_type"]
            found = f"missing, which to {family} means {default}"
        raise SpecError(f"{self.where}: {key}: {found}; {why}.")

    def value(self, key: str) -> Any:
        if key not in self.config:
            close = nearest(key, (str(other) for other in self.config))
            hint = f"; nearest is {close!r}" if close else ""
            raise SpecError(f"{self.where}: {key}: missing{hint}.")
        return self.config[key]

    def count(self, key: str, least: int = 1) -> int:
        value = self.value(key)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not least <= value <= LARGEST:
            self.fail(key, f"expected a whole number of at least {least} and at most {LARGEST}")
        return value

    def count_or_null(self, key: str) -> int | None:
        return None if self.value(key) is None else self.count(key)

    def rotary_size(self, key: str) -> int:
        size = self.count(key)
        if size % 2:
            self.fail(key, "a rotary embedding turns pairs, so it must be even")
        return size

    def flag(self, key: str) -> bool:
        value = self.value(key)
        if not isinstance(value, bool):
            self.fail(key, "expected true or false")
        return value

    def check_activation(self, key: str) -> None:
        name = self.config.get(key, _ACTIVATIONS[0])
        if not isinstance(name, str):
            self.fail(key, "expected the name of an activation")
        if name not in _ACTIVATIONS:
            self.fail(key, f"not a known activation{did_you_mean(name, _ACTIVATIONS)}")

    def sliding_layers_listed(self, layers: int) -> int | None:
        """Count the sliding layers that `layer_types` lists; None where there is no list."""
        listed = self.config.get("layer_types")
        if listed is None:
            return None
        if not isinstance(listed, list) or len(listed) != layers:
            self.fail("layer_types", f"expected a list of {layers} layer types")
        known = ("full_attention", "sliding_attention")
        for kind in listed:
            if kind not in known:
                self.fail("layer_types", f"unknown type {kind!r}{did_you_mean(str(kind), known)}")
        return listed.count("sliding_attention")


@dataclass(frozen=True)
class _Windows:
    """Which layers slide. read: (window, layers that do) by rule; keys: those that say it.

    `layer_types`, where it is among the keys, overrules the rule. idle: window where none slides.
    """

    read: Callable[[_Keys, int], tuple[int, int]]
    keys: tuple[str, ...]
    idle: int | None = None


def _no_layer(keys: _Keys, layers: int) -> tuple[int, int]:
    return 0, 0


def _every_layer(keys: _Keys, layers: int) -> tuple[int, int]:
    window = keys.count_or_null("sliding_window") or 0
    return window, layers if window else 0


def _every_layer_if_switched_on(keys: _Keys, layers: int) -> tuple[int, int]:
    return _every_layer(keys, layers) if keys.flag("use_sliding_window") else (0, 0)


def _last_layers(keys: _Keys, layers: int) -> tuple[int, int]:
    window, sliding = _every_layer_if_switched_on(keys, layers)
    return window, max(sliding - keys.count("max_window_layers", least=0), 0) if window else 0


def _all_but_every_nth(keys: _Keys, layers: int) -> tuple[int, int]:
    period = keys.count("sliding_window_pattern")
    return keys.count("sliding_window"), layers - layers // period


_SWITCHED = ("sliding_window", "use_sliding_window")
_NONE = _Windows(_no_layer, ())
_UNIFORM = _Windows(_every_layer, ("sliding_window",))
_UNIFORM_SWITCHED = _Windows(_every_layer_if_switched_on, _SWITCHED)
_LAST = _Windows(_last_layers, (*_SWITCHED, "max_window_layers", "layer_types"))
_IN_TURN = _Windows(_all_but_every_nth, ("sliding_window", "layer_types"), idle=4096)


@dataclass(frozen=True)
class _Experts:
    """Keys of a mixture of experts; where `dense` is none, every layer has one."""

    number: str
    width: str
    shared: str | None = None
    dense: str | None = None


@dataclass(frozen=True)
class Family:
    """A Hugging Face model type: what it fixes, and what its config class assumes when omitted."""

    model_class: str
    omitted: Mapping[str, Any] = field(default_factory=dict)
    windows: _Windows = _NONE
    experts: _Experts | None = None
    latent: bool = False
    qkv_bias: bool = False
    norms: int = 2
    qk_norm: str = "none"
    heads_divide_width: bool = False
    heads_fill_width: bool = False


_GEMMA = {"num_key_value_heads": 4, "head_dim": 256, "tie_word_embeddings": True}
_QWEN = {"num_key_value_heads": 32, "use_sliding_window": False, "sliding_window": 4096}

FAMILIES: dict[str, Family] = {
    "llama": Family("LlamaForCausalLM", heads_divide_width=True),
    "mistral": Family(
        "MistralForCausalLM", {"num_key_value_heads": 8, "sliding_window": 4096}, _UNIFORM
    ),
    "qwen2": Family(
        "Qwen2ForCausalLM", _QWEN | {"max_window_layers": 28}, _LAST, qkv_bias=True
    ),
    "qwen3": Family(
        "Qwen3ForCausalLM", _QWEN | {"max_window_layers": 28, "head_dim": 128}, _LAST,
        qk_norm="head",
    ),
    "gemma": Family("GemmaForCausalLM", _GEMMA | {"num_key_value_heads": 16}),
    "gemma2": Family(
        "Gemma2ForCausalLM", _GEMMA | {"sliding_window": 4096, "sliding_window_pattern": 2},
        _IN_TURN, norms=4, heads_divide_width=True,
    ),
    "gemma3_text": Family(
        "Gemma3ForCausalLM",
        _GEMMA | {
            "sliding_window": 4096, "sliding_window_pattern": 6,
            "num_attention_heads": 8, "vocab_size": 262208,
        },
        _IN_TURN, norms=4, qk_norm="head", heads_divide_width=True,
    ),
    "phi3": Family("Phi3ForCausalLM", {"sliding_window": None}, _UNIFORM),
    "olmo2": Family("Olmo2ForCausalLM", qk_norm="projection"),
    "mixtral": Family(
        "MixtralForCausalLM", {"num_key_value_heads": 8, "sliding_window": None}, _UNIFORM,
        experts=_Experts("num_local_experts", "intermediate_size"),
    ),
    "olmoe": Family(
        "OlmoeForCausalLM", qk_norm="projection",
        experts=_Experts("num_experts", "intermediate_size"),
        heads_fill_width=True,
    ),
    "qwen3_moe": Family(
        "Qwen3MoeForCausalLM",
        _QWEN | {"num_key_value_heads": 4, "mlp_only_layers": []},
        _UNIFORM_SWITCHED, qk_norm="head",
        experts=_Experts("num_experts", "moe_intermediate_size", dense="mlp_only_layers"),
    ),
    "deepseek_v2": Family(
        "DeepseekV2ForCausalLM", {"first_k_dense_replace": 0}, latent=True,
        experts=_Experts(
            "n_routed_experts", "moe_intermediate_size",
            shared="n_shared_experts", dense="first_k_dense_replace",
        ),
        heads_divide_width=True,
    ),
}  # fmt: skip

_OMITTED = {"num_key_value_heads": None, "head_dim": None, "tie_word_embeddings": False}
_WRAPPERS = {"gemma3": "gemma3_text"}  # a vision-language model whose text tower is this type


def from_huggingface(config: Mapping[str, Any], where: str) -> Architectures:
    """Return the one candidate that a config.json describes, named `where`, in 16-bit formats.

    config: the parsed file; where: its name, for errors.
    Raises SpecError for an unknown model type, a missing key, a value of the wrong kind, and for
    what the columns cannot say.
    """
    if not isinstance(config, Mapping):
        raise SpecError(f"{where}: read {type(config).__name__} where keys and values belong.")
    if config.get("model_type") in list(_WRAPPERS):  # a list: what was read may not be hashable
        config, where = _text_tower(config, where)
    keys = _Keys(config, where)
    model_type = keys.value("model_type")
    if model_type not in list(FAMILIES):
        hint = did_you_mean(str(model_type), [*FAMILIES, *_WRAPPERS]).removeprefix("; ")
        keys.fail("model_type", f"not a known model type, {hint}")
    family = FAMILIES[model_type]
    keys.assume({**_OMITTED, **family.omitted})
    keys.check_activation("hidden_act")
    if config.get("hidden_activation") is not None:  # Gemma's; null means hidden_act
        keys.check_activation("hidden_activation")
    for key, (values, why) in _EXPECTED.items():
        if key in config and config[key] not in values:
            keys.fail(key, why)

    columns: dict[str, Any] = {
        "layers": keys.count("num_hidden_layers"),
        "width": keys.count("hidden_size"),
        "query_heads": keys.count("num_attention_heads"),
        "vocabulary": keys.count("vocab_size"),
        "tied_embedding": keys.flag("tie_word_embeddings"),
        "qkv_bias": family.qkv_bias,
        "norms": family.norms,
        "qk_norm": QK_NORMS.index(family.qk_norm),
    }
    if family.heads_divide_width and columns["width"] % columns["query_heads"]:
        keys.fail("hidden_size", f"{model_type} wants a multiple of num_attention_heads")
    columns |= (_read_latent if family.latent else _read_heads)(keys, columns)
    filled = columns["query_heads"] * columns["head_size"]
    if family.heads_fill_width and columns["width"] != filled:
        keys.fail("hidden_size", f"{model_type} wants num_attention_heads times head_dim")
    columns |= _read_windows(keys, family.windows, columns["layers"])
    if family.experts is None:
        columns["ffn_width"] = keys.count("intermediate_size")
    else:
        columns |= _read_experts(keys, family.experts, columns["layers"])
    return Architectures.checked(**columns, names=(where,))


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


def _text_tower(config: Mapping[str, Any], where: str) -> tuple[Mapping[str, Any], str]:
    inner = config.get("text_config")
    if not isinstance(inner, Mapping):
        _Keys(config, where).fail("text_config", "expected the keys of the text model")
    outer = {"model_type": _WRAPPERS[config["model_type"]]}
    if "tie_word_embeddings" in config:
        outer["tie_word_embeddings"] = config["tie_word_embeddings"]
    return outer | dict(inner), f"{where}: text_config"


def _read_heads(keys: _Keys, columns: Mapping[str, int]) -> dict[str, int]:
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


def _read_latent(keys: _Keys, columns: Mapping[str, int]) -> dict[str, int]:
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


def _read_windows(keys: _Keys, windows: _Windows, layers: int) -> dict[str, float]:
    window, sliding = windows.read(keys, layers)
    listed = keys.sliding_layers_listed(layers)
    if listed is not None and listed != sliding:
        if "layer_types" not in windows.keys:
            keys.fail("layer_types", f"without it, {sliding} layers slide in this model type")
        if not window:
            keys.fail("layer_types", "it lists sliding layers, but no sliding_window is in use")
        sliding = listed
    return {"window": window, "window_share": sliding / layers} if sliding else {}


def _read_experts(keys: _Keys, names: _Experts, layers: int) -> dict[str, int]:
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
        "shared_experts": keys.count(names.shared, least=0) if names.shared else 0,
        "dense_layers": dense,
        "ffn_width": keys.count("intermediate_size") if dense else 0,
    }


def _read_dense_layers(keys: _Keys, key: str, layers: int) -> int:
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


def _decisive(arch: Architectures) -> dict[str, Any]:
    """The columns that decide one candidate's shape, those that do not matter to it at zero."""
    row = arch.row()
    sliding = round(row["window_share"] * row["layers"])
    moe = row["experts"] > 1
    latent = row["kv_rank"] > 0
    return {
        "layers": row["layers"],
        "width": row["width"],
        "query_heads": row["query_heads"],
        "kv_heads": row["query_heads"] if latent else row["kv_heads"],
        "head_size": row["head_size"],
        "value_size": row["value_size"] or row["head_size"],
        "kv_rank": row["kv_rank"],
        "query_rank": row["query_rank"],
        "rope_size": row["rope_size"] if latent else 0,
        "ffn_width": row["ffn_width"] if not moe or row["dense_layers"] else 0,
        "vocabulary": row["vocabulary"],
        "gated": row["gated"],
        "tied_embedding": row["tied_embedding"],
        "qkv_bias": row["qkv_bias"],
        "experts": row["experts"],
        "experts_per_token": row["experts_per_token"] if moe else 1,
        "expert_width": row["expert_width"] if moe else 0,
        "shared_experts": row["shared_experts"],
        "dense_layers": row["dense_layers"],
        "window": row["window"] if sliding else 0,
        "sliding_layers": sliding,
        "norms": row["norms"],
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
        if names.dense == "mlp_only_layers":
            config[names.dense] = list(range(one["dense_layers"]))
        elif names.dense:
            config[names.dense] = one["dense_layers"]
    return config | _written_windows(one, family.windows)


def _written_windows(one: Mapping[str, int], windows: _Windows) -> dict[str, Any]:
    layers, sliding = one["layers"], one["sliding_layers"]
    full = layers - sliding
    if windows is _IN_TURN:
        period = layers // full if full else layers + 1
        stays = [(i + 1) % period == 0 and (i + 1) // period <= full for i in range(layers)]
    else:
        stays = [i < full for i in range(layers)]
    every = {
        "sliding_window": one["window"] or windows.idle,
        "use_sliding_window": sliding > 0,
        "max_window_layers": full,
        "layer_types": ["full_attention" if s else "sliding_attention" for s in stays],
    }
    return {key: every[key] for key in windows.keys}
