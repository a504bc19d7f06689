"""What a model weighs in a number format, against hand-worked blocks and published file sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arch_space.formats import bits_per_element, boosted_layers, format_code
from arch_space.library import load_model
from arch_space.tensors import cache_bytes_per_token, parameter_count, tensors, weight_bytes

GIB = 2**30


def bits(name: str, row: int, role: str = "body") -> float:
    return float(bits_per_element(np.array([format_code(name)]), np.array([float(row)]), role)[0])


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        ("fp16", 100, 16),
        ("int4-g128", 4096, 4 + 20 / 128),  # 4.15625
        ("int4-g128", 4096 + 1, 4 + 20 * 33 / 4097),  # a last group of one weight
        ("int4-g128-sym", 4096, 4 + 16 / 128),
        ("int4-g32", 64, 4 + 20 / 32),
        ("int4-channel", 64, 4 + 16 / 64),
        ("int8", 4096, 8 + 16 / 4096),
        ("q4_0", 4096, 18 * 8 / 32),  # half precision scale, 16 bytes of quants
        ("q8_0", 4096, 34 * 8 / 32),
        ("q4_k_m", 4096, 144 * 8 / 256),
        ("q5_k_m", 4096, 176 * 8 / 256),
        ("q6_k", 4096, 210 * 8 / 256),
        # 896 = 3.5 x 256: no super-block fits, and llama.cpp takes a type with blocks of 32.
        ("q4_k_m", 896, 22 * 8 / 32),  # Q5_0
        ("q5_k_m", 896, 24 * 8 / 32),  # Q5_1
        ("q6_k", 896, 34 * 8 / 32),  # Q8_0
        ("q4_k_m", 80, 16),
        ("q4_0", 80, 16),
    ],
)
def test_bits_per_weight_are_those_worked_by_hand(name, row, expected):
    assert bits(name, row) == expected


def test_use_more_bits_is_llama_cpps():
    """`use_more_bits` of llama-quant.cpp, layer by layer."""
    for n in range(1, 100):
        more = [i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2 for i in range(n)]
        assert boosted_layers(np.array([n]))[0] == sum(more)


def norm_weights(arch) -> float:
    return sum(t.parameters[0] for name, t in tensors(arch).items() if "norm" in name)


# Bits per weight of Llama 3.1 8B, to four decimals, from llama.cpp's tools/quantize/README.md.
# llama.cpp keeps norms in 32 bits where the recipes here have 16.
@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("fp16", 16.0005),
        ("q8_0", 8.5008),
        ("q6_k", 6.5633),
        ("q5_k_m", 5.7036),
        ("q4_k_m", 4.8944),
    ],
)
def test_bits_per_weight_of_llama_3_1_8b_are_the_published_ones(name, published):
    arch = load_model("llama-3.1-8b")
    stored = weight_bytes(arch.with_formats(weights=name))[0] + 2 * norm_weights(arch)
    assert round(8 * stored / parameter_count(arch)[0], 4) == published


# Sizes that tools printed. llama-bench prints GiB with two decimals, so half a unit of the last one
# is granted; and 0.2 % for 32-bit norms and, in whole files, the tokenizer.
PRINTED = [
    ("llama-3-8b", "q4_k_m", 4.58, "XiongjieDai/GPU-Benchmarks-on-LLM-Inference, 2024-05-12"),
    ("llama-3-8b", "fp16", 14.96, "XiongjieDai/GPU-Benchmarks-on-LLM-Inference, 2024-05-12"),
    ("llama-2-7b", "fp16", 12.55, "llama.cpp discussion 4167, 2023-11"),
    ("llama-2-7b", "q8_0", 6.67, "llama.cpp discussion 4167, 2023-11"),
    ("llama-2-7b", "q4_0", 3.56, "llama.cpp discussion 4167, 2023-11"),
    ("llama-3.1-8b", "q8_0", 7.95, "csabakecskemeti, Hugging Face post, 2025"),
    ("llama-3.2-3b", "q4_k_m", 1.87, "geerlingguy/ai-benchmarks issue 48, 2026-02-07"),
    ("tinyllama-1.1b", "q4_k_m", 667083080 / GIB, "geerlingguy/ai-benchmarks issue 46, 2025-12-18"),
    ("qwen3-0.6b", "q4_k_m", 390751846 / GIB, "kreier/llama.cpp-jetson issue 3, 2025"),
    ("qwen3-4b", "q8_0", 3.98, "llama.cpp pull request 24896, 2026"),
    ("qwen3-30b-a3b", "q8_0", 30.25, "Qwen3-Coder of this shape; llama.cpp benches/, 2026"),
    ("qwen2.5-0.5b", "q4_0", 346208338 / GIB, "Qwen2 of this shape; llama.cpp PR 10693, 2024-12"),
    ("qwen2.5-1.5b", "q8_0", 1.53, "Qwen2 of this shape; llama.cpp pull request 18871, 2026-01-15"),
]


@pytest.mark.parametrize(("model", "name", "gib", "source"), PRINTED)
def test_weights_take_the_bytes_that_tools_print(model, name, gib, source):
    stored = weight_bytes(load_model(model).with_formats(weights=name))[0] / GIB
    assert stored == pytest.approx(gib, rel=0.002, abs=0.005), source


# Whole GGUF files of Llama 3.1 8B Instruct, decimal GB: bartowski's model card, 2024-07.
@pytest.mark.parametrize(
    ("name", "gigabytes"), [("q4_k_m", 4.92), ("q5_k_m", 5.73), ("q6_k", 6.60), ("q8_0", 8.54)]
)
def test_a_gguf_of_llama_3_1_8b_is_a_little_more_than_its_weights(name, gigabytes):
    stored = weight_bytes(load_model("llama-3.1-8b").with_formats(weights=name))[0] / 1e9
    assert 0.002 < gigabytes - stored < 0.015  # the tokenizer, and the rounding


def test_little_of_qwen2_5_0_5b_is_really_q4_k():
    """Only the rows of FFN-down, 4864 = 19 x 256, divide; half of those layers are boosted."""
    arch = load_model("qwen2.5-0.5b").with_formats(weights="q4_k_m")
    found = tensors(arch)
    assert bits("q4_k_m", 4864) == 4.5
    four_bit = found["expert_down"].parameters[0] / 2
    assert four_bit / parameter_count(arch)[0] == pytest.approx(0.106, abs=0.001)
    assert found["expert_down"].bytes_each[0] * 8 / found["expert_down"].elements[0] == (
        pytest.approx((4.5 + 6.5625) / 2)
    )
    for name in ("query", "key", "output", "expert_up"):
        assert found[name].bytes_each[0] * 8 / found[name].elements[0] == 5.5
    assert found["embedding"].bytes_each[0] * 8 / found["embedding"].elements[0] == 8.5


def test_a_tied_embedding_is_stored_once_and_a_recipe_decides_its_format():
    tied = load_model("llama-3.2-1b")
    table = 128256 * 2048
    assert tensors(tied)["head"].copies[0] == 0
    for recipe, per_weight in [("int4", 16), ("q4_k_m", 6.5625), ("q4_0", 6.5625), ("q8_0", 8.5)]:
        stored = tensors(tied.with_formats(weights=recipe))["embedding"].stored_bytes[0]
        assert stored == table * per_weight / 8
    untied = load_model("llama-3-8b").with_formats(weights="q4_k_m")
    found = tensors(untied)
    assert found["embedding"].bytes_each[0] * 8 / found["embedding"].elements[0] == 4.5
    assert found["head"].bytes_each[0] * 8 / found["head"].elements[0] == 6.5625


def test_cache_of_a_token_is_that_of_the_published_models():
    """Keys and values of the KV heads at 16 bits; of MLA the latent and the rotary key."""
    for name, expected in [
        ("llama-3.1-8b", 2 * 8 * 128 * 2),
        ("llama-2-7b", 2 * 32 * 128 * 2),
        ("gemma-2b", 2 * 1 * 256 * 2),
        ("deepseek-v2-lite", (512 + 64) * 2),
    ]:
        assert cache_bytes_per_token(load_model(name))[0] == expected
    quantised = load_model("llama-3.1-8b").with_formats(kv="q8_0")
    assert cache_bytes_per_token(quantised)[0] == 2 * 8 * 128 * 34 / 32


FEWER_BITS = [
    ["fp32", "fp16", "fp8"],
    ["bf16", "int8-g32", "int8", "int4-g32", "int4-g64", "int4-g128", "int4-g128-sym"],
    ["int4-g32", "int4-g32-sym", "int4-g128-sym", "int4-channel"],
    ["fp16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0"],
]


@given(
    chain=st.sampled_from(FEWER_BITS),
    row=st.integers(128, 20_000),
    role=st.sampled_from(["body", "boosted", "embedding", "head"]),
)
def test_fewer_bits_never_take_more_room(chain, row, role):
    room = [bits(name, row, role) for name in chain]
    assert room == sorted(room, reverse=True)


@given(name=st.sampled_from(FEWER_BITS[1] + FEWER_BITS[3]), row=st.integers(0, 10_000))
def test_a_row_of_any_length_takes_a_finite_number_of_bits(name, row):
    assert np.isfinite(bits(name, row))
