"""Names as people write them resolve to the one model that they mean, or to an error."""

import pytest

from arch_space.library import load_model, reference_model, shipped_models
from arch_space.names import _LABELS, _catalogue, _resolved, _words, resolve_model
from spec_files import SpecError

# Model names of published benchmark tables, and the model that each means.
MEANT = {
    "Baichuan2-7B": "baichuan2-7b",
    "ChatGLM3-6B": "chatglm3-6b",
    "Cosmos-Reason2-2B": "qwen3-1.7b",
    "DeepSeek-R1-Distill-Llama-8B": "llama-3.1-8b",
    "DeepSeek-R1-Distill-Qwen-1.5B": "deepseek-r1-distill-qwen-1.5b",
    "DeepSeek-R1-Distill-Qwen-14B": "qwen2.5-14b",
    "DeepSeekOCR-3B(A570M)": "deepseek-ocr-3b",
    "Falcon-7B": "falcon-7b",
    "Falcon3-7B-Instruct": "falcon3-7b",
    "Gemma 2 2B": "gemma-2-2b",
    "Gemma 2 9B": "gemma-2-9b",
    "Gemma-2B": "gemma-2b",
    "Gemma-3-1B": "gemma-3-1b",
    "Gemma-3-270M": "gemma-3-270m",
    "Gemma2-2B": "gemma-2-2b",
    "Gemma3-1B": "gemma-3-1b",
    "IBM-Granite-v3.1-8B-Instruct": "granite-3.1-8b",
    "InternLM2-1.8B": "internlm2-1.8b",
    "LLaMA-33B": "llama-33b",
    "LLaMA-7B": "llama-2-7b",
    "Llama 3.1 8B": "llama-3.1-8b",
    "Llama 3.2 3B": "llama-3.2-3b",
    "Llama 3.3 70B": "llama-3.1-70b",
    "Llama-2-13B": "llama-2-13b",
    "Llama-2-70B": "llama-2-70b",
    "Llama-2-7B": "llama-2-7b",
    "Llama-3-70B": "llama-3.1-70b",
    "Llama-3-70B-class": "llama-3.1-70b",
    "Llama-3-8B": "llama-3-8b",
    "Llama-3.1-405B": "llama-3.1-405b",
    "Llama-3.1-70B": "llama-3.1-70b",
    "Llama-3.1-8B": "llama-3.1-8b",
    "Llama-3.1-8B-Instruct": "llama-3.1-8b",
    "Llama-3.2-1B": "llama-3.2-1b",
    "Llama-3.2-3B": "llama-3.2-3b",
    "Llama-3.3-70B": "llama-3.1-70b",
    "Llama-SEA-LION-v3.5-8B-R": "llama-3.1-8b",
    "Llama-v3-ELYZA-JP-8B": "llama-3-8b",
    "Llama3-TAIDE-LX-8B-Chat-Alpha1": "llama-3-8b",
    "MPT-30B": "mpt-30b",
    "MPT-7B": "mpt-7b",
    "MiniCPM4-0.5B": "minicpm4-0.5b",
    "Ministral-3-14B-Instruct-2512-BF16": "ministral-3-14b",
    "Ministral-3-3B": "ministral-3-3b",
    "Mistral-7B": "mistral-7b",
    "Mistral-7B-v0.3": "mistral-7b-v0.3",
    "Mistral-Nemo-12B-class": "mistral-nemo-12b",
    "Mistral-Small-3.1-24B-Instruct-2503-UD-Q4_K_XL": "mistral-small-3.1-24b",
    "OLMo-2-1B": "olmo-2-1b",
    "OPT-1.3B-class": "opt-1.3b",
    "OpenLlama-3B": "openllama-3b",
    "Phi 3.5 3B": "phi-3.5-mini",
    "Phi-2": "phi-2",
    "Phi-3-mini-128k": "phi-3.5-mini",
    "Phi-3.5-mini": "phi-3.5-mini",
    "Phi-4-mini": "phi-4-mini",
    "Phi3-3.8B": "phi-3-mini",
    "Qwen 3 30B-A3B": "qwen3-30b-a3b",
    "Qwen 3 32B": "qwen3-32b",
    "Qwen 3 4B": "qwen3-4b",
    "Qwen 3 8B": "qwen3-8b",
    "Qwen-1.8B": "qwen1.5-1.8b",
    "Qwen/Qwen3-14B": "qwen3-14b",
    "Qwen/Qwen3-30B-A3B-Instruct-2507": "qwen3-30b-a3b",
    "Qwen/Qwen3-32B": "qwen3-32b",
    "Qwen/Qwen3-8B": "qwen3-8b",
    "Qwen1.5-0.5B": "qwen1.5-0.5b",
    "Qwen1.5-1.8B": "qwen1.5-1.8b",
    "Qwen2-0.5B": "qwen2.5-0.5b",
    "Qwen2-1.5B": "qwen2.5-1.5b",
    "Qwen2-7B": "qwen2.5-7b",
    "Qwen2.5 7B": "qwen2.5-7b",
    "Qwen2.5-0.5B": "qwen2.5-0.5b",
    "Qwen2.5-0.5B-Instruct": "qwen2.5-0.5b",
    "Qwen2.5-1.5B": "qwen2.5-1.5b",
    "Qwen2.5-1.5B-Instruct": "qwen2.5-1.5b",
    "Qwen2.5-14B-Instruct": "qwen2.5-14b",
    "Qwen2.5-32B-Instruct": "qwen2.5-32b",
    "Qwen2.5-3B-Instruct": "qwen2.5-3b",
    "Qwen2.5-72B-Instruct": "qwen2.5-72b",
    "Qwen2.5-7B": "qwen2.5-7b",
    "Qwen2.5-7B-Instruct": "qwen2.5-7b",
    "Qwen2.5-Coder-32B": "qwen2.5-32b",
    "Qwen2.5-Coder-7B": "qwen2.5-7b",
    "Qwen2.5-VL-3B": "qwen2.5-3b",
    "Qwen3-0.6B": "qwen3-0.6b",
    "Qwen3-1.7B": "qwen3-1.7b",
    "Qwen3-14B": "qwen3-14b",
    "Qwen3-235B-A22B-Instruct-2507-UD-Q3_K_XL": "qwen3-235b-a22b",
    "Qwen3-30B-A3B": "qwen3-30b-a3b",
    "Qwen3-30B-A3B-UD-Q4_K_XL": "qwen3-30b-a3b",
    "Qwen3-32B": "qwen3-32b",
    "Qwen3-4B": "qwen3-4b",
    "Qwen3-4B-Instruct-2507": "qwen3-4b",
    "Qwen3-8B": "qwen3-8b",
    "Qwen3-Coder-30B-A3B": "qwen3-30b-a3b",
    "Qwen3-VL-2B": "qwen3-1.7b",
    "Qwen3-VL-2B-Instruct": "qwen3-1.7b",
    "Qwen3-VL-4B": "qwen3-4b",
    "Qwen3-VL-4B-Instruct": "qwen3-4b",
    "Qwen3-VL-8B-Instruct": "qwen3-8b",
    "ShearedLlama-1.3B": "sheared-llama-1.3b",
    "ShearedLlama-2.7B": "sheared-llama-2.7b",
    "SmolLM2-135M": "smollm2-135m",
    "SmolLM3-3B": "smollm3-3b",
    "StableLM-1.6B": "stablelm-2-1.6b",
    "StableLM-3B": "stablelm-3b",
    "TinyLLAMA-1.1B": "tinyllama-1.1b",
    "TinyLlama-1.1B": "tinyllama-1.1b",
    "TinySwallow-1.5B": "qwen2.5-1.5b",
    "VibeThinker-1.5B": "qwen2.5-1.5b",
    "Vicuna-13B": "llama-2-13b",
    "Vicuna-7B": "llama-2-7b",
    "Yi-6B": "yi-6b",
    "Zephyr-7B": "mistral-7b",
    "bartowski/Llama-3.2-1B-Instruct-GGUF/Q4_K_M": "llama-3.2-1b",
    "bartowski/Qwen2.5-0.5B-Instruct-GGUF/Q4_K_M": "qwen2.5-0.5b",
    "core-ai/qwen3-0.6b-ane": "qwen3-0.6b",
    "core-ai/qwen3-0.6b-gpu": "qwen3-0.6b",
    "core-ai/qwen3-1.7b-gpu": "qwen3-1.7b",
    "core-ai/qwen3-4b-gpu": "qwen3-4b",
    "coreml-llm/qwen2.5-0.5b": "qwen2.5-0.5b",
    "coreml-llm/qwen3-0.6b": "qwen3-0.6b",
    "deepseek-r1-distill-qwen-1.5b": "deepseek-r1-distill-qwen-1.5b",
    "gemma-3-12b": "gemma-3-12b",
    "gemma-3-1b": "gemma-3-1b",
    "gemma-3-4b": "gemma-3-4b",
    "google/gemma-3-12b-it": "gemma-3-12b",
    "google/gemma-3-27b-it": "gemma-3-27b",
    "litert-community/Qwen3-0.6B": "qwen3-0.6b",
    "litert-community/Qwen3-4B": "qwen3-4b",
    "litert-community/Qwen3-8B": "qwen3-8b",
    "litert-local/minicpm5-1b": "minicpm5-1b",
    "litert-local/qwen3-1.7b": "qwen3-1.7b",
    "litert-local/qwen3-1.7b-int4": "qwen3-1.7b",
    "llama-2-7b.Q4_0": "llama-2-7b",
    "llama-2-7b.Q4_K_M": "llama-2-7b",
    "meta-llama/Llama-3.1-8B-Instruct": "llama-3.1-8b",
    "mlx-community/MiniCPM5-1B-4bit": "minicpm5-1b",
    "mlx-community/Qwen2.5-0.5B-Instruct-4bit": "qwen2.5-0.5b",
    "mlx-community/Qwen3-0.6B-4bit": "qwen3-0.6b",
    "mlx-community/Qwen3-1.7B-4bit": "qwen3-1.7b",
    "mlx-community/Qwen3-4B-4bit": "qwen3-4b",
    "mlx-community/Qwen3-8B-4bit": "qwen3-8b",
    "phi-3.5-mini": "phi-3.5-mini",
    "phi-4-mini": "phi-4-mini",
    "qwen2.5-1.5b": "qwen2.5-1.5b",
    "qwen3-1.7b": "qwen3-1.7b",
    "smollm2-1.7b": "smollm2-1.7b",
}

# The same, of models with other layers than attention, by their plain names: packing is dropped.
PLAIN = {
    "DeepSeek-R1-671B": "deepseek-r1-671b",
    "GLM-4.5-Air-UD-Q4_K_XL": "glm-4.5-air",
    "GLM-4.7-Flash": "glm-4.7-flash",
    "GLM-4.7-Flash-BF16-00001-of-00002": "glm-4.7-flash",
    "GLM-4.7-Flash-UD-Q8_K_XL": "glm-4.7-flash",
    "Gemma-3n-2B": "gemma-3n-2b",
    "Gemma-3n-E2B": "gemma-3n-e2b",
    "Gemma-3n-E4B": "gemma-3n-e4b",
    "Gemma3n-2B": "gemma-3n-2b",
    "Gemma4-E2B": "gemma-4-e2b",
    "Hunyuan-A13B-Instruct-UD-Q6_K_XL": "hunyuan-a13b",
    "LFM2.5-1.2B": "lfm2.5-1.2b",
    "LFM2.5-230M": "lfm2.5-230m",
    "Llama-4-Scout-17B-16E-Instruct-UD-Q4_K_XL": "llama-4-scout-17b-16e",
    "MiniCPM3-4B": "minicpm3-4b",
    "MiniMax-M2.7-UD-Q3_K_S-00001-of-00003": "minimax-m2.7",
    "NVIDIA-Nemotron-3-Nano-30B-A3B": "nemotron-3-nano-30b-a3b",
    "NVIDIA-Nemotron-3-Nano-4B": "nemotron-3-nano-4b",
    "NVIDIA-Nemotron-3-Super-120B-A12B-UD-Q4_K_XL-00001-of-00003": "nemotron-3-super-120b-a12b",
    "Qwen3.5-0.8B": "qwen3.5-0.8b",
    "Qwen3.5-0.8B-LLM": "qwen3.5-0.8b",
    "Qwen3.5-122B-A10B-UD-Q5_K_XL-00001-of-00003": "qwen3.5-122b-a10b",
    "Qwen3.5-27B": "qwen3.5-27b",
    "Qwen3.5-27B-LLM": "qwen3.5-27b",
    "Qwen3.5-2B": "qwen3.5-2b",
    "Qwen3.5-2B-LLM": "qwen3.5-2b",
    "Qwen3.5-35B-A3B": "qwen3.5-35b-a3b",
    "Qwen3.5-35B-A3B-LLM": "qwen3.5-35b-a3b",
    "Qwen3.5-4B": "qwen3.5-4b",
    "Qwen3.5-4B-LLM": "qwen3.5-4b",
    "Qwen3.5-9B": "qwen3.5-9b",
    "Qwen3.5-9B-LLM": "qwen3.5-9b",
    "Qwen3.6-27B-UD-Q8_K_XL": "qwen3.6-27b",
    "Qwen3.6-35B-A3B": "qwen3.6-35b-a3b",
    "Qwen3.6-35B-A3B-BF16-00001-of-00002": "qwen3.6-35b-a3b",
    "Qwen3.6-35B-A3B-UD-Q4_K_XL": "qwen3.6-35b-a3b",
    "Qwen3.6-35B-A3B-UD-Q8_K_XL": "qwen3.6-35b-a3b",
    "Qwen3.8-27B": "qwen3.8-27b",
    "bartowski/Qwen_Qwen3.5-0.8B-GGUF/Q4_K_M": "qwen3.5-0.8b",
    "coreml-llm/gemma4-e2b": "gemma-4-e2b",
    "coreml-llm/lfm2.5-350m": "lfm2.5-350m",
    "coreml-llm/qwen3.5-0.8b": "qwen3.5-0.8b",
    "coreml-llm/qwen3.5-2b": "qwen3.5-2b",
    "dots.llm1.inst-UD-Q4_K_XL": "dots.llm1",
    "gemma-4-26B-A4B-it-BF16-00001-of-00002": "gemma-4-26b-a4b",
    "gemma-4-26B-A4B-it-UD-Q4_K_XL": "gemma-4-26b-a4b",
    "gemma-4-26B-A4B-it-UD-Q8_K_XL": "gemma-4-26b-a4b",
    "gemma-4-31B-it-BF16-00001-of-00002": "gemma-4-31b",
    "gemma-4-31B-it-UD-Q4_K_XL": "gemma-4-31b",
    "gemma-4-31B-it-UD-Q8_K_XL": "gemma-4-31b",
    "gemma-4-e2b": "gemma-4-e2b",
    "gemma4-E2B": "gemma-4-e2b",
    "gpt-oss-120b": "gpt-oss-120b",
    "gpt-oss-120b-F16": "gpt-oss-120b",
    "gpt-oss-120b-mxfp4-00001-of-00003": "gpt-oss-120b",
    "gpt-oss-20b": "gpt-oss-20b",
    "gpt-oss-20b-F16": "gpt-oss-20b",
    "gpt-oss-20b-mxfp4": "gpt-oss-20b",
    "lfm2.5-1.2b-instruct": "lfm2.5-1.2b",
    "litert-community/gemma-4-E2B-it-litert-lm": "gemma-4-e2b",
    "mlx-community/LFM2-350M-4bit": "lfm2-350m",
    "mlx-community/Qwen3.5-0.8B-MLX-4bit": "qwen3.5-0.8b",
    "mlx-community/Qwen3.5-2B-MLX-4bit": "qwen3.5-2b",
    "mlx-community/Qwen3.5-9B-MLX-4bit": "qwen3.5-9b",
    "mlx-community/gemma-4-e2b-it-4bit": "gemma-4-e2b",
    "mlx-community/gemma-4-e4b-it-4bit": "gemma-4-e4b",
    "nvidia/NVIDIA-Nemotron-Nano-12B-v2": "nemotron-nano-12b-v2",
    "nvidia/NVIDIA-Nemotron-Nano-9B-v2": "nemotron-nano-9b-v2",
    "nvidia/Nemotron-3-Nano-Omni-30B-A3B-Reasoning-NVFP4": "nemotron-3-nano-omni-30b-a3b",
    "qwen3.5-0.8b": "qwen3.5-0.8b",
    "qwen3.5-2b": "qwen3.5-2b",
    "unsloth/Qwen3.5-2B-GGUF/Q4_K_M": "qwen3.5-2b",
    "unsloth/Qwen3.5-9B-GGUF/Q4_K_M": "qwen3.5-9b",
    "unsloth/gemma-4-E2B-it-GGUF/Q4_K_M": "gemma-4-e2b",
    "unsloth/gemma-4-E4B-it-GGUF/Q4_K_M": "gemma-4-e4b",
}

LEFT_OUT = {
    "Apple FM": "not published",
    "Apple on-device ~3B (AFM)": "not published",
    "BitNet-3B": "norms as wide as the feed-forward network have no column",
    "DeepSeek-V4-Flash": "its attention has no column",
    "IndusQ-1.1B": "its config was not at hand",
    "JAIS-6p7b-Chat": "its config was not at hand",
    "PLaMo-1B": "not published",
    "Qwen1.5B-class": "says no family: Qwen2 or Qwen2.5",
    "RWKV7-1.5B": "no transformer",
    "SmolLM2": "says no size",
    "TeleChat2-3B": "its config was not at hand",
    "TurboSparse-Mistral-7B": "its activity predictors have no column",
    "apple-fm/default": "not published",
}


@pytest.mark.parametrize("name", MEANT)
def test_a_name_of_a_benchmark_table_means_its_model(name):
    assert resolve_model(name) == MEANT[name]


@pytest.mark.parametrize("name", PLAIN)
def test_packing_is_dropped_from_a_name_and_no_more(name):
    assert _resolved(name)[1] == _words(PLAIN[name])
    if _words(PLAIN[name]) in _catalogue()[0]:
        assert resolve_model(name) == resolve_model(PLAIN[name])


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_model_that_is_left_out_is_an_error(name):
    with pytest.raises(SpecError, match="no reference model is called"):
        resolve_model(name)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("Qwen2.5-3B-Instruct-Q4_K_M.gguf", "qwen2.5-3b"),
        ("Meta-Llama-3.1-8B-Instruct-Q4_0", "llama-3.1-8b"),
        ("bartowski/Meta-Llama-3-8B-Instruct-GGUF", "llama-3-8b"),
        ("meta-llama_Llama-3.2-1B-Instruct-IQ4_XS", "llama-3.2-1b"),
        ("Qwen_Qwen3-8B-GGUF:Q4_K_M", "qwen3-8b"),
        ("qwen3:8b-q4_K_M", "qwen3-8b"),
        ("llama3.2:1b-instruct-q8_0", "llama-3.2-1b"),
        ("Llama-3.2-1B-Instruct-q4f16_1-MLC", "llama-3.2-1b"),
        ("google_gemma-3-12b-it-qat-q4_0-gguf", "gemma-3-12b"),
        ("gemma-3-27b-it-UD-IQ2_XXS", "gemma-3-27b"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "llama-3.1-8b"),
        ("Qwen2.5-7B-Instruct-GPTQ-Int4", "qwen2.5-7b"),
        ("unsloth/Llama-3.2-3B-Instruct-bnb-4bit", "llama-3.2-3b"),
        ("mlx-community/Qwen3-4B-4bit-DWQ", "qwen3-4b"),
        ("Qwen3-1.7B_q8_ekv4096.litertlm", None),
        ("Mistral-7B-Instruct-v0.3.Q4_K_M", "mistral-7b-v0.3"),
        ("Mistral-7B-Instruct-v0.1", "mistral-7b"),
        ("OLMo-2-0425-1B-Instruct", "olmo-2-1b"),
        ("  QWEN3_0.6B ", "qwen3-0.6b"),
        ("TinyLlama", "tinyllama-1.1b"),
        # Other sizes, other models, two models, no model.
        ("Qwen3-17B", None),
        ("Gemma-27B", None),
        ("Gemma-22B", None),
        ("Llama-31-8B", None),
        ("Qwen2.5", None),
        ("Llama-3.2", None),
        ("Phi-3", None),
        ("Hermes-3-Llama-3.1-8B", None),
        ("Qwen3-8B + Qwen3-0.6B", None),
        ("Qwen3-8B/adapter", None),
        ("8B", None),
        ("Q4_K_M", None),
        ("", None),
        ("/", None),
    ],
)
def test_other_spellings(name, model):
    if model is None:
        with pytest.raises(SpecError, match=r"^no reference model is called"):
            resolve_model(name)
    else:
        assert resolve_model(name) == model


def test_sizes_are_never_confused():
    assert resolve_model("Qwen3-1.7B") == "qwen3-1.7b"
    assert resolve_model("Qwen3-0.6B") == "qwen3-0.6b"
    assert resolve_model("Gemma-2-2B") == resolve_model("Gemma 2 2B") == "gemma-2-2b"
    assert resolve_model("Gemma-2B") == "gemma-2b"
    with pytest.raises(SpecError, match=r"called 'Qwen3-1\.6B'; nearest is 'qwen3-[^']*'\.$"):
        resolve_model("Qwen3-1.6B")


# llama-bench prints a label and a count; the counts are those that it prints for these models.
@pytest.mark.parametrize(
    ("label", "billions", "model"),
    [
        ("llama 8B Q4_0", 8.03, "llama-3.1-8b"),
        ("llama 8B all F32", 6.06, "yi-6b"),
        ("llama 7B mostly Q4_0", 6.74, "llama-2-7b"),
        ("llama 7B Q4_K - Medium", 7.24, "mistral-7b"),
        ("llama 7B Q4_K - Medium", 7.25, "mistral-7b-v0.3"),
        ("llama 1B Q8_0", 1.24, "llama-3.2-1b"),
        ("llama 1B Q8_0", 1.10, "tinyllama-1.1b"),
        ("llama 3B F16", 3.21, "llama-3.2-3b"),
        ("llama 3B F16", 3.43, "openllama-3b"),
        ("llama 13B Q4_0", 13.02, "llama-2-13b"),
        ("llama 13B IQ4_XS - 4.25 bpw", 12.25, "mistral-nemo-12b"),
        ("llama 70B Q2_K - Small", 68.98, "llama-2-70b"),
        ("llama 70B Q2_K - Small", 70.55, "llama-3.1-70b"),
        ("qwen2 1B Q4_K - Medium", 0.49403, "qwen2.5-0.5b"),
        ("qwen2 1.5B Q4_K - Medium", 1.54, "qwen2.5-1.5b"),
        ("qwen2 1.5B Q4_K - Medium", 1.78, "deepseek-r1-distill-qwen-1.5b"),
        ("qwen3 8B Q4_K - Medium", 8.19, "qwen3-8b"),
        ("qwen3moe 30B.A3B Q4_K - Medium", 30.53, "qwen3-30b-a3b"),
        ("gemma3 4B Q8_0", 3.88, "gemma-3-4b"),
        ("gemma2 2B BF16", 2.61, "gemma-2-2b"),
        ("phi3 3B Q4_K - Medium", 3.84, "phi-4-mini"),
    ],
)
def test_a_label_of_llama_bench_with_its_count(label, billions, model):
    assert resolve_model(label, billions * 1e9) == model


@pytest.mark.parametrize(
    ("name", "billions", "says"),
    [
        (
            "llama 8B Q4_0",
            None,
            "needs its parameter count: llama.cpp calls llama-3.1-8b, yi-6b so",
        ),
        ("llama 8B Q4_0", 12, "read 12 B parameters, but llama-3.1-8b has 8.03 B, yi-6b has 6.061"),
        ("phi3 3B Q4_K - Medium", 3.82, "of 3.82 B parameters may be phi-3-mini or phi-3.5-mini"),
        ("llama 7B Q4_0", 7.245, "parameters may be mistral-7b-v0.3 or mistral-7b"),
        ("Qwen3-8B", 4.02, "read 4.02 B parameters, but qwen3-8b has 8.191 B"),
        ("Qwen3-1.7B", 0.6, "read 0.6 B parameters, but qwen3-1.7b has 1.721 B"),
        ("Qwen3-8B", 8.19e-9, "but qwen3-8b has 8.191 B"),
        ("Qwen3-8B", 0, "0 is not a parameter count"),
        ("Qwen3-8B", -8, "is not a parameter count"),
        ("Qwen3-8B", float("inf"), "inf is not a parameter count"),
    ],
)
def test_a_count_that_is_missing_or_not_the_models_is_an_error(name, billions, says):
    with pytest.raises(SpecError) as error:
        resolve_model(name, billions and billions * 1e9)
    assert says in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    ("name", "billions", "model"),
    [
        ("Qwen3-8B", 8, "qwen3-8b"),
        ("Qwen3-8B", float("nan"), "qwen3-8b"),
        ("Qwen3-VL-2B", 2.13, "qwen3-1.7b"),  # the vision tower is in the count
        ("MiniCPM4-0.5B", 0.5, "minicpm4-0.5b"),  # a name says more than the 0.434 B that it has
        ("Gemma2-2B", 2, "gemma-2-2b"),  # or less
        ("Qwen3-30B-A3B", 30.5, "qwen3-30b-a3b"),
    ],
)
def test_a_count_that_the_model_or_its_name_has_is_taken(name, billions, model):
    assert resolve_model(name, billions * 1e9) == model


def test_every_label_is_of_models_that_there_are():
    assert {model for models in _LABELS.values() for model in models} <= set(shipped_models())
    assert len({_words(label) for label in _LABELS}) == len(_LABELS)


@pytest.mark.parametrize("name", shipped_models())
def test_a_model_answers_to_its_name_and_aliases(name):
    model = reference_model(name)
    for known in (name, *model.aliases):
        assert resolve_model(known) == name
    assert resolve_model(name, model.parameters) == name


def test_two_models_cannot_share_a_name(tmp_path, monkeypatch):
    (tmp_path / "one-1b.yaml").write_text("name: one-1b\naliases: [other-1b,\n  third-1b]\n")
    (tmp_path / "two-1b.yaml").write_text("name: two-1b\naliases: [Third 1B]\n")
    monkeypatch.setattr("arch_space.names.FOLDER", tmp_path)
    with pytest.raises(
        SpecError, match=r"two-1b\.yaml: aliases: 'Third 1B' reads as a name of one"
    ):
        _catalogue.__wrapped__()


def test_models_load_by_the_names_that_resolve(tmp_path, monkeypatch):
    assert load_model("meta-llama/Llama-3.1-8B-Instruct").names == ("llama-3.1-8b",)
    assert load_model("Llama 3.3 70B").names == ("llama-3.1-70b",)
    assert reference_model("Qwen3-VL-2B").name == "qwen3-1.7b"
    for absent in ("./qwen3-8b-it", "/qwen3-8b-it", "else/where/qwen3-8b.yaml", "llama 8B"):
        with pytest.raises(SpecError, match=r"^no model .*: no such file or shipped name"):
            load_model(absent)
    (tmp_path / "Qwen3-8B").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=r"is a folder without a config\.json"):
        load_model("Qwen3-8B")  # what lies here comes before what is shipped
