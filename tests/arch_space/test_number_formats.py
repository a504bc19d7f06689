"""What a model weighs in a number format, against hand-worked blocks and published file sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arch_space.architectures import concatenate
from arch_space.formats import (
    FORMATS,
    bits_per_element,
    compute_format,
    finer_share,
    format_code,
    format_name,
    stored_names,
)
from arch_space.library import load_model
from arch_space.tensors import cache_bytes_per_token, parameter_count, tensors, weight_bytes

GIB = 2**30


def bits(name: str, row: int, role: str = "body", finer: bool = False) -> float:
    code, length = np.array([format_code(name)]), np.array([float(row)])
    return float(bits_per_element(code, length, role, finer)[0])


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
        ("nvfp4", 4096, 4 + 8 / 16),
        ("mxfp4", 2880, 4 + 8 / 32),
        ("int4-g256", 4096, 4 + 20 / 256),
        ("int3-g128", 4096, 3 + (16 + 3) / 128),
        ("int3-g64", 4096, 3 + (16 + 3) / 64),
        ("int3-g32", 4096, 3 + (16 + 3) / 32),
        ("int3-channel", 4096, 3 + 16 / 4096),
        ("int8-g128", 4096, 8 + 16 / 128),
        ("int2-g64", 4096, 2 + (16 + 2) / 64),
        ("ternary", 3200, 2),
        ("q4_1", 4096, 20 * 8 / 32),
        ("q5_0", 4096, 22 * 8 / 32),
        ("q2_k", 4096, 84 * 8 / 256),
        ("q3_k_m", 4096, 110 * 8 / 256),
        ("iq1_s", 4096, 50 * 8 / 256),  # 1.5625
        ("iq2_m", 4096, 82 * 8 / 256),
        ("iq3_xxs", 4096, 98 * 8 / 256),
        ("iq4_xs", 4096, 136 * 8 / 256),  # 4.25
        ("iq4_nl", 4096, 18 * 8 / 32),
        ("tq1_0", 4096, 54 * 8 / 256),
        ("tq2_0", 4096, 66 * 8 / 256),
        # Rows without super-blocks: Q2_K and Q3_K become Q4_0, the IQ types IQ4_NL.
        ("q2_k", 896, 18 * 8 / 32),
        ("q3_k_m", 896, 18 * 8 / 32),
        ("iq2_m", 896, 18 * 8 / 32),
    ],
)
def test_bits_per_weight_are_those_worked_by_hand(name, row, expected):
    assert bits(name, row) == expected


def layers_of(role: str, name: str, n: int, sharing: float = 1.0) -> float:
    codes = np.array([format_code(name)])
    return float(finer_share(codes, role, np.array([float(n)]), np.array([sharing]))[0]) * n


def test_the_layers_that_mixtures_treat_better_are_llama_cpps():
    """The conditions of llama-quant.cpp, layer by layer, written out."""
    for n in range(1, 100):
        more = [i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2 for i in range(n)]
        middle = [n // 8 <= i < 7 * n // 8 for i in range(n)]
        for role, name, expected in [
            ("down", "q4_k_m", sum(more)),
            ("value", "q5_k_m", sum(more)),
            ("value", "q3_k_m", sum(i < 2 for i in range(n))),
            ("down", "q3_k_m", sum(i < n // 16 for i in range(n))),
            ("value", "q4_k_s", sum(i < 4 for i in range(n))),
            ("down", "q4_k_s", sum(i < n // 8 for i in range(n))),
            ("up", "iq3_xs", n - sum(middle)),
            ("up", "q4_k_m", 0),
            ("down", "q6_k", 0),
        ]:
            assert round(layers_of(role, name, n), 9) == expected, (name, n)


def test_values_that_four_heads_share_are_stored_more_finely():
    for name in ("q2_k", "iq1_s", "iq3_s", "iq4_xs"):
        assert [layers_of("value", name, 32, sharing) for sharing in (1, 3, 4, 8)] == [0, 0, 32, 32]
    assert (bits("q2_k", 4096, "value"), bits("q2_k", 4096, "value", True)) == (3.4375, 4.5)


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
        ("q5_k_s", 5.5704),
        ("q4_k_m", 4.8944),
        ("q4_k_s", 4.6672),
        ("q3_k_l", 4.2979),
        ("q3_k_s", 3.6429),
        ("q2_k", 3.1593),
        ("q2_k_s", 2.9697),
        ("iq3_m", 3.7628),
        ("iq3_s", 3.6606),
        ("iq3_xs", 3.4977),
        ("iq3_xxs", 3.2548),
        ("iq2_m", 2.9294),
        ("iq2_s", 2.7403),
        ("iq2_xs", 2.5882),
        ("iq2_xxs", 2.3824),
        ("iq1_m", 2.1460),
        ("iq1_s", 2.0042),
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
    ("llama-2-70b", "q4_1", 40.20, "llama.cpp tools/quantize, Llama-2-70B"),
    ("llama-2-70b", "q5_0", 44.20, "llama.cpp tools/quantize, Llama-2-70B"),
    ("llama-3-8b", "q3_k_m", 3.74, "Llama-3-8B, llama.cpp with an importance matrix, 2024"),
    ("llama-3-8b", "iq4_xs", 4.14, "Llama-3-8B, llama.cpp with an importance matrix, 2024"),
    ("llama-3-8b", "iq4_nl", 4.35, "Llama-3-8B, llama.cpp with an importance matrix, 2024"),
    ("llama-3-8b", "q5_1", 5.65, "Llama-3-8B, llama.cpp, 2024"),
    ("llama-3.1-8b", "iq4_xs", 4434553733 / GIB, "jbecirovski/jetson-llm-maxperf, 2026-08-05"),
    # Buffers that a phone app loaded, of a model whose tables are not tied: all mixtures.
    ("deepseek-r1-distill-qwen-1.5b", "q2_k", 746932146 / GIB, "pocketpal-ai baselines, 2026-05"),
    ("deepseek-r1-distill-qwen-1.5b", "q3_k_m", 918510591 / GIB, "pocketpal-ai baselines, 2026-05"),
    ("deepseek-r1-distill-qwen-1.5b", "iq2_m", 695384146 / GIB, "pocketpal-ai; listed as iq1_s"),
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
    ["fp32", "fp16", "fp8", "nvfp4"],
    ["bf16", "int8-g32", "int8", "int4-g32", "int4-g64", "int4-g128", "int4-g128-sym"],
    ["int4-g32", "int4-g32-sym", "int4-g128-sym", "int4-channel", "int3-g128", "int2-g128"],
    ["fp16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0"],
]
EVERY_ROLE = ["body", "embedding", "head", "query", "value", "output", "up", "down"]


@given(
    chain=st.sampled_from(FEWER_BITS),
    row=st.integers(128, 20_000),
    role=st.sampled_from(EVERY_ROLE),
)
def test_fewer_bits_never_take_more_room(chain, row, role):
    room = [bits(name, row, role) for name in chain]
    assert room == sorted(room, reverse=True)


@given(
    name=st.sampled_from([f.name for f in FORMATS]),
    row=st.integers(1, 10_000),
    role=st.sampled_from(EVERY_ROLE),
    finer=st.booleans(),
)
def test_a_row_of_any_length_takes_some_bits_in_any_format(name, row, role, finer):
    assert 1.5 <= bits(name, row, role, finer) <= 32


@given(name=st.sampled_from([f.name for f in FORMATS]), row=st.integers(1, 10_000))
def test_the_finer_block_of_a_mixture_is_never_the_smaller_one(name, row):
    for role in EVERY_ROLE:
        assert bits(name, row, role, finer=True) >= bits(name, row, role)


def test_a_table_of_many_formats_weighs_what_each_does_alone():
    one = load_model("llama-3.1-8b")
    names = [f.name for f in FORMATS]
    alone = [weight_bytes(one.with_formats(weights=name))[0] for name in names]
    together = concatenate([one.with_formats(weights=name) for name in names])
    np.testing.assert_allclose(weight_bytes(together), alone, rtol=1e-12)


def test_the_names_of_stored_blocks_follow_the_width():
    def stored(model: str, name: str) -> tuple[str, str]:
        body, head = stored_names(load_model(model).with_formats(weights=name))
        return str(body[0]), str(head[0])

    assert stored("llama-3.1-8b", "q4_k_m") == ("Q4_K", "Q6_K")
    assert stored("qwen2.5-0.5b", "q4_k_m") == ("Q5_0", "Q8_0")
    assert stored("llama-3.1-8b", "int4") == ("int4-g128", "16-bit")
    assert stored("llama-3.1-8b", "iq2_m") == ("IQ2_S", "Q5_K")
    assert stored("llama-3.1-8b", "mxfp4_moe") == ("mxfp4", "Q8_0")


def test_operands_of_four_bit_floats_run_as_such_only_together():
    code = format_code
    assert compute_format(code("nvfp4"), code("nvfp4")) == "fp4"
    assert compute_format(code("bf16"), code("nvfp4")) == "bf16"
    assert compute_format(code("int8"), code("palette-3.7")) == "fp16"  # tables hold 16 bits
    assert [format_name(code(f.name)) for f in FORMATS] == [f.name for f in FORMATS]
