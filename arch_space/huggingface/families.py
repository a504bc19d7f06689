"""The model types: what each fixes, and what its config class assumes for keys that are omitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from arch_space.huggingface.layers import (
    DELTA_NET,
    GEMMA_3N,
    GEMMA_4,
    NEMOTRON_H,
    SHORT_CONVOLUTIONS,
    Kinds,
)
from arch_space.huggingface.windows import (
    IN_TURN,
    IN_TURN_THEN_FULL,
    LAST,
    NONE,
    UNIFORM,
    UNIFORM_SWITCHED,
    Windows,
)


@dataclass(frozen=True)
class Experts:
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
    windows: Windows = NONE
    experts: Experts | None = None
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
        "MistralForCausalLM", {"num_key_value_heads": 8, "sliding_window": 4096}, UNIFORM
    ),
    "qwen2": Family(
        "Qwen2ForCausalLM", _QWEN | {"max_window_layers": 28}, LAST, qkv_bias=True
    ),
    "qwen3": Family(
        "Qwen3ForCausalLM", _QWEN | {"max_window_layers": 28, "head_dim": 128}, LAST,
        qk_norm="head",
    ),
    "gemma": Family("GemmaForCausalLM", _GEMMA | {"num_key_value_heads": 16}),
    "gemma2": Family(
        "Gemma2ForCausalLM", _GEMMA | {"sliding_window": 4096, "sliding_window_pattern": 2},
        IN_TURN, norms=4, heads_divide_width=True,
    ),
    "gemma3_text": Family(
        "Gemma3ForCausalLM",
        _GEMMA | {
            "sliding_window": 4096, "sliding_window_pattern": 6,
            "num_attention_heads": 8, "vocab_size": 262208,
        },
        IN_TURN, norms=4, qk_norm="head", heads_divide_width=True,
    ),
    "phi3": Family("Phi3ForCausalLM", {"sliding_window": None}, UNIFORM),
    "olmo2": Family("Olmo2ForCausalLM", qk_norm="projection"),
    "mixtral": Family(
        "MixtralForCausalLM", {"num_key_value_heads": 8, "sliding_window": None}, UNIFORM,
        experts=Experts("num_local_experts", "intermediate_size"),
    ),
    "olmoe": Family(
        "OlmoeForCausalLM", qk_norm="projection",
        experts=Experts("num_experts", "intermediate_size"),
        heads_fill_width=True,
    ),
    "qwen3_moe": Family(
        "Qwen3MoeForCausalLM",
        _QWEN | {"num_key_value_heads": 4, "mlp_only_layers": []},
        UNIFORM_SWITCHED, qk_norm="head",
        experts=Experts("num_experts", "moe_intermediate_size", dense="mlp_only_layers"),
    ),
    "deepseek_v2": Family(
        "DeepseekV2ForCausalLM", {"first_k_dense_replace": 0}, latent=True,
        experts=Experts(
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
        experts=Experts(
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
        LAST, qkv_bias=True, fixed={"shared_gate": True},
        experts=Experts(
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
        IN_TURN, qkv_bias=True,
        fixed={"output_bias": True, "ffn_bias": True, "router_bias": True, "sinks": True},
        experts=Experts("num_local_experts", "intermediate_size"),
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
        experts=Experts(
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
        experts=Experts(
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
        IN_TURN, qk_norm="head", kinds=GEMMA_3N, heads_divide_width=True,
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
        IN_TURN_THEN_FULL, qk_norm="head", kinds=GEMMA_4,
    ),
}  # fmt: skip

OMITTED = {"num_key_value_heads": None, "head_dim": None, "tie_word_embeddings": False}
WRAPPERS = {  # a vision-language model, and the type of its text tower
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "qwen3_5": "qwen3_5_text",
    "qwen3_5_moe": "qwen3_5_moe_text",
}
