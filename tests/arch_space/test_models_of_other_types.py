"""Shipped models whose type config.json is not read in: as transformers builds them.

And the counts that were published of those that mix kinds of layers, typed from the source.
"""

import warnings

import pytest

from arch_space.library import load_model, reference_model
from arch_space.tensors import active_parameter_count, parameter_count

# Keys as transformers takes them; where its defaults are the model's, none.
CONFIGS = {
    "dots.llm1": (
        "dots1",
        {"hidden_size": 4096, "n_routed_experts": 128, "n_shared_experts": 2,
         "num_experts_per_tok": 6, "first_k_dense_replace": 1},
    ),
    "glm-4.5-air": (
        "glm4_moe",
        {"head_dim": 128, "attention_bias": True},
    ),
    "glm-4.7-flash": ("glm4_moe_lite", {}),
    "hunyuan-a13b": (
        "hunyuan_v1_moe",
        {"vocab_size": 128167, "intermediate_size": 3072, "num_key_value_heads": 8,
         "head_dim": 128, "num_experts": 64, "moe_topk": 8, "tie_word_embeddings": True},
    ),
    "llama-4-scout": ("llama4_text", {}),
    "minicpm3-4b": ("minicpm3", {}),
    "minimax-m2": ("minimax_m2", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_are_those_of_the_model_transformers_builds(name):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model_type, keys = CONFIGS[name]
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        config = transformers.AutoConfig.for_model(model_type, **keys)
        built = transformers.AutoModelForCausalLM.from_config(config)
    biases = [b for name, b in built.named_buffers() if "correction_bias" in name]
    stored = sum(p.numel() for p in [*built.parameters(), *biases])
    assert parameter_count(load_model(name))[0] == stored


# Hugging Face's own count of the checkpoint, or llama.cpp's of the file that it converts to.
PUBLISHED = {
    "deepseek-v3": 671_026_419_200,
    "gpt-oss-120b": 116_829_156_672,
    "gpt-oss-20b": 20_914_757_184,
    "hunyuan-a13b": 80_393_183_232,
    "lfm2-1.2b": 1_170_340_608,
    "lfm2-350m": 354_483_968,
    "lfm2.5-230m": 229_693_184,
    "nemotron-3-nano-30b-a3b": 31_577_940_288,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name):
    assert reference_model(name).parameters == PUBLISHED[name]


# Billions that are active, as the model cards say; some leave the embedding out, or the head too.
@pytest.mark.parametrize(
    ("name", "billions", "tables"),
    [
        ("deepseek-v3", 37, 1),
        ("gpt-oss-20b", 3.61, 1),
        ("gpt-oss-120b", 5.13, 1),
        ("llama-4-scout", 17, 0),
        ("minimax-m2", 10, 2),
        ("nemotron-3-nano-30b-a3b", 3.6, 0),
        ("nemotron-3-super-120b-a12b", 12.7, 0),
        ("gemma-4-26b-a4b", 3.8, 0),
    ],
)
def test_active_parameters_are_those_of_the_model_card(name, billions, tables):
    arch = load_model(name)
    active = active_parameter_count(arch) - tables * arch.vocabulary * arch.width
    assert active[0] / 1e9 == pytest.approx(billions, rel=0.025)
