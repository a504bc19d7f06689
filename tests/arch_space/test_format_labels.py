"""Labels as rows of measurements write them, each with what it was read to mean by hand."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arch_space.format_labels import ParsedFormat, parse_format
from arch_space.formats import ACTIVATION_FORMATS, FORMATS
from arch_space.library import load_model
from hardware_specs.measurements.rows import PUBLISHED
from spec_files import SpecError

# Label, weights, activations, embedding, presumed: every label of the published table.
LABELS = [
    ("106B.A12B Q4_K - Medium", "q4_k_m", None, None, False),
    ("13B Q4_K - Medium", "q4_k_m", None, None, False),
    ("142B Q4_K - Medium", "q4_k_m", None, None, False),
    ("17Bx16E (Scout) Q4_K - Medium", "q4_k_m", None, None, False),
    ("3.7 bpw avg palettised", "palette-3.7", "fp16", None, False),
    ("30B.A3B Q4_K - Medium", "q4_k_m", None, None, False),
    ("4-bit", "int4", None, None, False),
    ("4-bit (presumed)", "int4", None, None, True),
    ("4-bit GGUF", "q4_k_m", None, None, True),
    ("4-bit class", "int4", None, None, True),
    ("4-bit g128", "int4-g128", None, None, False),
    ("4-bit g256", "int4-g256", None, None, False),
    ("4-bit sym block64", "int4-g64", None, None, False),
    ("4bit", "int4", None, None, False),
    ("4bit-float16", "int4", "fp16", None, False),
    ("7B Q4_0", "q4_0", None, None, False),
    ("8-bit", "int8", None, None, False),
    ("?B F16", "fp16", "fp16", None, False),
    ("A13B Q6_K", "q6_k", None, None, False),
    ("AWQ", "int4-g128", "fp16", None, False),
    ("AWQ-INT4", "int4-g128", "fp16", None, False),
    ("Apple-quant (~2-4 bit, adapters)", "palette-3.7", "fp16", None, True),
    ("BF16", "bf16", "bf16", None, False),
    ("F16", "fp16", "fp16", None, False),
    ("FP16", "fp16", "fp16", None, False),
    ("FP4", "nvfp4", "nvfp4", None, True),
    ("FP8", "fp8", "fp8", None, False),
    ("GGUF Q4", "q4_k_m", None, None, True),
    ("GPTQ-INT4", "int4-g128", "fp16", None, False),
    ("GPTQ-Int4", "int4-g128", "fp16", None, False),
    ("GPTQ-Int8", "int8", "fp16", None, False),
    ("INT4", "int4", None, None, False),
    ("INT4 (QAT)", "int4", None, None, False),
    ("INT4 (dynamic)", "int4", None, None, False),
    ("INT4 (mixed, QAT)", "int4", None, None, True),
    ("INT4 (mixed, blockwise gs32)", "int4-g32", None, None, True),
    ("INT4 (mixed, int8 embed)", "int4", None, "int8", True),
    ("INT4 (q4f16_ft)", "int4-channel", "fp16", None, False),
    ("INT4 (woq)", "int4-channel", "fp16", None, False),
    ("INT4 AWQ", "int4-g128", "fp16", None, False),
    ("INT4 GPTQ", "int4-g128", "fp16", None, False),
    ("INT4 W4A16 g128 (AWQ legacy kernel)", "int4-g128", "fp16", None, False),
    ("INT4 W4A16 g128 (AWQ)", "int4-g128", "fp16", None, False),
    ("INT4 g32", "int4-g32", None, None, False),
    ("INT4 palettized", "palette-4", "fp16", None, False),
    ("INT8", "int8", None, None, False),
    ("IQ1_S", "iq1_s", None, None, False),
    ("IQ2 mix", "iq2_m", None, None, True),
    ("IQ4_XS", "iq4_xs", None, None, False),
    ("MXFP4", "mxfp4", "bf16", None, False),
    ("MXFP4 + Q8", "mxfp4", "bf16", None, False),
    ("INT4 (q4f16_1)", "int4-g32-sym", "fp16", "int4-g32-sym", False),
    ("IQ3_S", "iq3_s", None, None, False),
    ("IQ4_NL", "iq4_nl", None, None, False),
    ("Q3_K", "q3_k_m", None, None, False),
    ("Q3_K_S", "q3_k_s", None, None, False),
    ("Q4_1", "q4_1", None, None, False),
    ("Q4_K_XL", "q4_k_m", None, None, True),
    ("Q5_0", "q5_0", None, None, False),
    ("Q5_1", "q5_1", None, None, False),
    ("Q5_K", "q5_k_m", None, None, False),
    ("Q5_K_S", "q5_k_s", None, None, False),
    ("Q8_0 (MXFP4 experts)", "q8_0", None, None, False),
    ("bf16", "bf16", "bf16", None, False),
    ("fp16", "fp16", "fp16", None, False),
    ("MXFP4 MoE", "mxfp4_moe", None, None, False),
    ("NVFP4", "nvfp4", "nvfp4", None, False),
    ("NVFP4A16", "nvfp4", "bf16", None, False),
    ("Q2_K", "q2_k", None, None, False),
    ("Q3_K - Small", "q3_k_s", None, None, False),
    ("Q3_K_M", "q3_k_m", None, None, False),
    ("Q4", "int4", None, None, False),
    ("Q4 b64", "int4-g64", None, None, False),
    ("Q4_0", "q4_0", None, None, False),
    ("Q4_K - Medium", "q4_k_m", None, None, False),
    ("Q4_K_M", "q4_k_m", None, None, False),
    ("Q4_K_M (MXFP4/Q4_K for gpt-oss)", "q4_k_m", None, None, False),
    ("Q4_K_M (Ollama default)", "q4_k_m", None, None, False),
    ("Q4_K_S", "q4_k_s", None, None, False),
    ("Q5_K - Medium", "q5_k_m", None, None, False),
    ("Q5_K_M", "q5_k_m", None, None, False),
    ("Q6_K", "q6_k", None, None, False),
    ("Q8_0", "q8_0", None, None, False),
    ("Q8_K_XL", "q8_0", None, None, True),
    ("W1.58/W2", "ternary", None, None, True),
    ("W2", "int2-g128", None, None, True),
    ("W4", "int4", None, None, False),
    ("W4A16", "int4", "fp16", None, False),
    ("W8", "int8", None, None, False),
    ("W8A16", "int8", "fp16", None, False),
    ("W8A16 + FP16 lm-head", "int8", "fp16", "fp16", False),
    ("a16w4", "int4", "fp16", None, False),
    ("bfloat16", "bf16", "bf16", None, False),
    ("int4", "int4", None, None, False),
    ("int4(litert-community official mixed)", "int4", None, None, True),
    ("int4(mixed,litert-community official)", "int4", None, None, True),
    ("int4-BOCTAV4 (own, supplementary)", "int4", None, None, False),
    ("int4-boctav4", "int4", None, None, False),
    ("int8(litert-community)", "int8", None, None, False),
    ("int8-q8(official litert-community)", "int8", None, None, False),
    ("q0f16 (FP16)", "fp16", "fp16", None, False),
    ("q4", "int4", None, None, False),
    ("q4f16_ft", "int4-channel", "fp16", None, False),
    ("q8_0", "q8_0", None, None, False),
    ("w4", "int4", None, None, False),
    ("w4a16", "int4", "fp16", None, False),
    ("w4a16_g128", "int4-g128", "fp16", None, False),
    ("w8a8", "int8", "int8", None, False),
    ("UD-Q4_K_XL", "q4_k_m", None, None, True),
    ("UD-Q5_K_XL", "q5_k_m", None, None, True),
    ("UD-Q6_K_XL", "q6_k", None, None, True),
    ("UD-Q8_K_XL", "q8_0", None, None, True),
]

OTHERS = [
    ("W8A8-FP8", "fp8", "fp8", None, False),
    ("FP8_BLOCK_SCALES", "fp8", "fp8", None, False),
    ("W4A16_AWQ", "int4-g128", "fp16", None, False),
    ("W4A8KV4", "int4", "int8", None, False),
    ("W8A8_SQ_PER_CHANNEL", "int8", "int8", None, False),
    ("q4f16_1", "int4-g32-sym", "fp16", "int4-g32-sym", False),
    ("UD-Q2_K_XL", "q2_k", None, None, True),
    ("UD-IQ1_M", "iq1_m", None, None, True),
    ("Q4_K_L", "q4_k_m", None, None, True),
    ("IQ3_XXS - 3.0625 bpw", "iq3_xxs", None, None, False),
    ("IQ3_S mix - 3.66 bpw", "iq3_m", None, None, False),
    ("Q2_K - Medium", "q2_k", None, None, False),
    ("Q3_K - Large", "q3_k_l", None, None, False),
    ("all F32", "fp32", "fp32", None, False),
    ("llama 7B mostly Q4_0", "q4_0", None, None, False),
    ("TQ2_0", "tq2_0", None, None, False),
    ("BitNet b1.58", "ternary", None, None, False),
    ("nf4", "int4-g64", "bf16", None, True),
    ("8da4w", "int4", "int8", None, False),
    ("q4_k", "q4_k_m", None, None, False),
    ("int4-g64", "int4-g64", None, None, False),
]


@pytest.mark.parametrize(
    ("label", "weights", "activations", "embedding", "presumed"), LABELS + OTHERS
)
def test_labels_mean_what_a_reader_of_them_says(label, weights, activations, embedding, presumed):
    assert parse_format(label) == ParsedFormat(weights, activations, embedding, presumed)


def test_every_label_of_the_published_table_is_among_them():
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        written = {row["weight_format"] for row in csv.DictReader(file)}
    assert written - {""} == {label for label, *_ in LABELS}


@pytest.mark.parametrize(
    ("label", "model", "weights", "presumed"),
    [
        ("?B F16", "gpt-oss-20b-F16", "mxfp4-experts", False),
        ("BF16", "openai/gpt_oss-120b", "mxfp4-experts", False),
        ("MXFP4", "gpt-oss-20b", "mxfp4_moe", False),
        ("Q4_K_M (MXFP4/Q4_K for gpt-oss)", "gpt-oss-20b", "mxfp4_moe", False),
        ("Q4_K_M (MXFP4/Q4_K for gpt-oss)", "Llama-3.2-3B", "q4_k_m", False),
        ("30B.A3B Q4_K - Medium", "Qwen3-30B-A3B-UD-Q4_K_XL", "q4_k_m", True),
    ],
)
def test_a_models_name_may_say_more_than_the_label(label, model, weights, presumed):
    found = parse_format(label, model)
    assert (found.weights, found.presumed) == (weights, presumed)


@pytest.mark.parametrize(("label", "told"), [
    ("", "blank"), ("Q4_K_N", "Q4_K_N"), ("in4", "nearest is 'int4'"), ("GGUF", "GGUF"),
    ("W7A16", "W7A16"), ("fast", "fast"), ("x" * 5000, "x"),
])  # fmt: skip
def test_an_unknown_label_is_refused_in_one_sentence(label, told):
    with pytest.raises(SpecError, match=told) as refusal:
        parse_format(label)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 300


@given(st.text(max_size=40))
def test_any_text_is_a_format_or_refused(text):
    try:
        found = parse_format(text)
    except SpecError:
        return
    arch = load_model("smollm2-135m").with_formats(weights=found.weights, embedding=found.embedding)
    assert len(arch) == 1


def test_every_answer_is_a_format_of_the_package():
    names = {f.name for f in FORMATS}
    for _, weights, activations, embedding, _ in LABELS + OTHERS:
        assert {weights, activations, embedding} - {None} <= names
        assert activations is None or activations in ACTIVATION_FORMATS
    assert all(parse_format(name).weights == name for name in names)
