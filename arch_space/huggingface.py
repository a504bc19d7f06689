"""Hugging Face `config.json` in and out, for the model types that the columns can say exactly.

Files of transformers 4 and 5 are read without importing it. One table, `FAMILIES`, holds what a
model type fixes (biases, norms, which layers slide) and what its config class assumes for keys that
a file omits. A type that is not in the table is an error, and so is a key that no column can say.

Read from transformers' `configuration_*.py` and `modeling_*.py`, version 5.23.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from arch_space.architectures import FORMAT_COLUMNS, LARGEST, QK_NORMS, Architectures
from arch_space.huggingface_layers import (
    DELTA_NET,
    GEMMA_3N,
    GEMMA_4,
    NEMOTRON_H,
    SHORT_CONVOLUTIONS,
    Kinds,
)
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
    "use_bias": ((False, None), "biases on the projections of a mixer have no column"),
    "mamba_proj_bias": ((False, None), "biases on the projections of a mixer have no column"),
    "use_conv_bias": ((True,), "a convolution before a state without a bias has no column"),
    "quantization_config": ((None,), _QUANTISED),
    "quantization": ((None,), _QUANTISED),
}


class Keys:
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

    def multiple(self, key: str, of: int) -> int:
        """How many times `of` a width is: that many networks side by side are as wide."""
        width = self.count(key, least=0)
        if width % of:
            self.fail(key, f"expected a multiple of the {of} of one expert")
        return width // of

    def check_activation(self, key: str) -> None:
        name = self.config.get(key, _ACTIVATIONS[0])
        if not isinstance(name, str):
            self.fail(key, "expected the name of an activation")
        if name not in _ACTIVATIONS:
            self.fail(key, f"not a known activation{did_you_mean(name, _ACTIVATIONS)}")

    def kinds_of_layers(
        self, key: str, known: Sequence[str], layers: int | None
    ) -> list[str] | None:
        """Return the list of what kind each layer is; None where there is no list."""
        listed = self.config.get(key)
        if listed is None:
            return None
        if not isinstance(listed, list) or len(listed) != (layers or len(listed) or 1):
            self.fail(key, f"expected a list of {layers or 'the'} layer types")
        for kind in listed:
            if kind not in known:
                self.fail(key, f"unknown type {kind!r}{did_you_mean(str(kind), known)}")
        return listed


@dataclass(frozen=True)
class _Windows:
    """Which layers slide. read: (window, layers that do) by rule; keys: those that say it.

    `layer_types`, where it is among the keys, overrules the rule. idle: window where none slides.
    """

    read: Callable[[Keys, int], tuple[int, int]]
    keys: tuple[str, ...]
    idle: int | None = None


def _no_layer(keys: Keys, layers: int) -> tuple[int, int]:
    return 0, 0


def _every_layer(keys: Keys, layers: int) -> tuple[int, int]:
    window = keys.count_or_null("sliding_window") or 0
    return window, layers if window else 0


def _every_layer_if_switched_on(keys: Keys, layers: int) -> tuple[int, int]:
    return _every_layer(keys, layers) if keys.flag("use_sliding_window") else (0, 0)


def _last_layers(keys: Keys, layers: int) -> tuple[int, int]:
    window, sliding = _every_layer_if_switched_on(keys, layers)
    return window, max(sliding - keys.count("max_window_layers", least=0), 0) if window else 0


def _all_but_every_nth(keys: Keys, layers: int) -> tuple[int, int]:
    period = keys.count("sliding_window_pattern")
    return keys.count("sliding_window"), layers - layers // period


def _all_but_every_nth_and_the_last(keys: Keys, layers: int) -> tuple[int, int]:
    window, sliding = _all_but_every_nth(keys, layers)
    return window, sliding - (layers % keys.count("sliding_window_pattern") > 0)


_SWITCHED = ("sliding_window", "use_sliding_window")
_NONE = _Windows(_no_layer, ())
_UNIFORM = _Windows(_every_layer, ("sliding_window",))
_UNIFORM_SWITCHED = _Windows(_every_layer_if_switched_on, _SWITCHED)
_LAST = _Windows(_last_layers, (*_SWITCHED, "max_window_layers", "layer_types"))
_IN_TURN = _Windows(_all_but_every_nth, ("sliding_window", "layer_types"), idle=4096)
_IN_TURN_THEN_FULL = _Windows(
    _all_but_every_nth_and_the_last, ("sliding_window", "layer_types"), idle=4096
)


@dataclass(frozen=True)
class _Experts:
    """Keys of a mixture of experts; where `dense` is none, every layer has one.

    shared: how many are shared; shared_width: or how wide they are together.
    """

    number: str
    width: str
    shared: str | None = None
    shared_width: str | None = None
    dense: str | None = None


@dataclass(frozen=True)
class Family:
    """A Hugging Face model type: what it fixes, and what its config class assumes when omitted.

    kinds: how it says layers of several kinds. fixed: further columns that it fixes. allows: keys
    that may hold what they may not elsewhere.
    """

    model_class: str
    omitted: Mapping[str, Any] = field(default_factory=dict)
    windows: _Windows = _NONE
    experts: _Experts | None = None
    kinds: Kinds | None = None
    fixed: Mapping[str, bool] = field(default_factory=dict)
    allows: tuple[str, ...] = ()
    latent: bool = False
    qkv_bias: bool = False
    gated: bool = True
    norms: int = 2
    qk_norm: str = "none"
    heads_divide_width: bool = False
    heads_fill_width: bool = False


_GEMMA = {"num_key_value_heads": 4, "head_dim": 256, "tie_word_embeddings": True}
_QWEN = {"num_key_value_heads": 32, "use_sliding_window": False, "sliding_window": 4096}

_DELTA = {
    "hidden_size": 2048, "num_attention_heads": 16, "head_dim": 256,
    "full_attention_interval": 4, "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128, "linear_value_head_dim": 128,
    "linear_num_key_heads": 16, "linear_num_value_heads": 32,
}  # fmt: skip

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
    "deepseek_v3": Family(
        "DeepseekV3ForCausalLM",
        {
            "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432,
            "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128,
            "kv_lora_rank": 512, "q_lora_rank": 1536, "v_head_dim": 128,
            "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "first_k_dense_replace": 3,
            "moe_intermediate_size": 2048, "n_shared_experts": 1, "n_routed_experts": 256,
            "num_experts_per_tok": 8,
        },
        latent=True,
        experts=_Experts(
            "n_routed_experts", "moe_intermediate_size",
            shared="n_shared_experts", dense="first_k_dense_replace",
        ),
        fixed={"router_bias": True},
    ),
    "qwen2_moe": Family(
        "Qwen2MoeForCausalLM",
        _QWEN | {
            "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 5632,
            "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 16,
            "max_window_layers": 28, "mlp_only_layers": [], "num_experts": 60,
            "num_experts_per_tok": 4, "moe_intermediate_size": 1408,
            "shared_expert_intermediate_size": 5632,
        },
        _LAST, qkv_bias=True, fixed={"shared_gate": True},
        experts=_Experts(
            "num_experts", "moe_intermediate_size",
            shared_width="shared_expert_intermediate_size", dense="mlp_only_layers",
        ),
    ),
    "gpt_oss": Family(
        "GptOssForCausalLM",
        {
            "vocab_size": 201088, "hidden_size": 2880, "intermediate_size": 2880,
            "num_hidden_layers": 36, "num_attention_heads": 64, "num_key_value_heads": 8,
            "head_dim": 64, "sliding_window": 128, "sliding_window_pattern": 2,
            "num_local_experts": 128, "num_experts_per_tok": 4,
        },
        _IN_TURN, qkv_bias=True,
        fixed={"output_bias": True, "ffn_bias": True, "router_bias": True, "sinks": True},
        experts=_Experts("num_local_experts", "intermediate_size"),
        allows=("attention_bias", "quantization_config"),
    ),
    "qwen3_next": Family(
        "Qwen3NextForCausalLM",
        _DELTA | {
            "vocab_size": 151936, "intermediate_size": 5632, "num_hidden_layers": 48,
            "num_key_value_heads": 2, "mlp_only_layers": [], "num_experts": 512,
            "num_experts_per_tok": 10, "moe_intermediate_size": 512,
            "shared_expert_intermediate_size": 512,
        },
        qk_norm="head", kinds=DELTA_NET, fixed={"output_gate": True, "shared_gate": True},
        experts=_Experts(
            "num_experts", "moe_intermediate_size",
            shared_width="shared_expert_intermediate_size", dense="mlp_only_layers",
        ),
    ),
    "qwen3_5_text": Family(
        "Qwen3_5ForCausalLM",
        _DELTA | {
            "vocab_size": 248320, "hidden_size": 4096, "intermediate_size": 12288,
            "num_hidden_layers": 32, "num_key_value_heads": 4,
        },
        qk_norm="head", kinds=DELTA_NET, fixed={"output_gate": True},
    ),
    "qwen3_5_moe_text": Family(
        "Qwen3_5MoeForCausalLM",
        _DELTA | {
            "vocab_size": 248320, "num_hidden_layers": 40, "num_key_value_heads": 2,
            "num_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 512,
            "shared_expert_intermediate_size": 512,
        },
        qk_norm="head", kinds=DELTA_NET, fixed={"output_gate": True, "shared_gate": True},
        experts=_Experts(
            "num_experts", "moe_intermediate_size",
            shared_width="shared_expert_intermediate_size",
        ),
    ),
    "lfm2": Family(
        "Lfm2ForCausalLM",
        {
            "vocab_size": 65536, "hidden_size": 2560, "intermediate_size": 12288,
            "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "conv_L_cache": 3, "block_auto_adjust_ff_dim": True,
            "block_multiple_of": 256, "block_ffn_dim_multiplier": 1.0,
            "tie_word_embeddings": True,
        },
        qk_norm="head", kinds=SHORT_CONVOLUTIONS,
    ),
    "nemotron_h": Family(
        "NemotronHForCausalLM",
        {
            "vocab_size": 131072, "hidden_size": 4096, "intermediate_size": 21504,
            "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
            "mamba_num_heads": 128, "mamba_head_dim": 64, "n_groups": 8, "conv_kernel": 4,
            "ssm_state_size": 128, "n_routed_experts": 8, "num_experts_per_tok": 2,
            "moe_intermediate_size": 7688, "moe_shared_expert_intermediate_size": 7688,
            "moe_latent_size": None,
            "num_hidden_layers": 1,  # that many are in the list, whatever this says
        },
        norms=1, kinds=NEMOTRON_H, gated=False,
    ),
    "gemma3n_text": Family(
        "Gemma3nForCausalLM",
        {
            "hidden_size": 2048, "intermediate_size": 16384, "num_hidden_layers": 35,
            "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 256,
            "tie_word_embeddings": True, "sliding_window": 512, "sliding_window_pattern": 5,
            "vocab_size": 262400, "vocab_size_per_layer_input": 262144,
            "hidden_size_per_layer_input": 256, "altup_num_inputs": 4, "laurel_rank": 64,
            "num_kv_shared_layers": 15,
        },
        _IN_TURN, qk_norm="head", kinds=GEMMA_3N, heads_divide_width=True,
    ),
    "gemma4_text": Family(
        "Gemma4ForCausalLM",
        {
            "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 30,
            "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
            "tie_word_embeddings": True, "sliding_window": 512, "sliding_window_pattern": 6,
            "vocab_size": 262144, "vocab_size_per_layer_input": 262144,
            "hidden_size_per_layer_input": 256, "num_kv_shared_layers": 0,
            "attention_k_eq_v": False, "use_double_wide_mlp": False, "enable_moe_block": False,
            "global_head_dim": 512, "num_global_key_value_heads": None,
        },
        _IN_TURN_THEN_FULL, qk_norm="head", kinds=GEMMA_4,
    ),
}  # fmt: skip

_OMITTED = {"num_key_value_heads": None, "head_dim": None, "tie_word_embeddings": False}
_WRAPPERS = {  # a vision-language model, and the type of its text tower
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
}


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
    keys = Keys(config, where)
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
    if family.windows is not _NONE or family.kinds is None:
        columns |= _read_windows(keys, family.windows, columns["layers"])
    if "ffn_width" in columns:
        pass  # the kinds of layers have said it
    elif family.experts is None:
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
        Keys(config, where).fail("text_config", "expected the keys of the text model")
    outer = {"model_type": _WRAPPERS[config["model_type"]]}
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


def _read_windows(keys: Keys, windows: _Windows, layers: int) -> dict[str, float]:
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


def _read_experts(keys: Keys, names: _Experts, layers: int) -> dict[str, int]:
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


def _read_shared(keys: Keys, names: _Experts) -> int:
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


_NOT_SAID = ("weight_sparsity", "two_four", "ffn_sparsity", "window_share")


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
        "full_head_size": row["full_head_size"] or row["head_size"],
        "full_kv_heads": row["full_kv_heads"] or row["kv_heads"],
        "layer_vocabulary": _layer_vocabulary(row),
        "wide_width": row["wide_width"] if row["wide_layers"] else 0,
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
        if names.shared_width:
            config[names.shared_width] = one["shared_experts"] * one["expert_width"]
        if names.dense == "mlp_only_layers":
            config[names.dense] = list(range(one["dense_layers"]))
        elif names.dense:
            config[names.dense] = one["dense_layers"]
    config |= _written_windows(one, family.windows)
    return config | (family.kinds.write(one) if family.kinds else {})


def _written_windows(one: Mapping[str, int], windows: _Windows) -> dict[str, Any]:
    layers, sliding = one["layers"], one["sliding_layers"]
    full = layers - sliding
    if windows in (_IN_TURN, _IN_TURN_THEN_FULL):
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
