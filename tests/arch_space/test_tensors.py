"""Parameters against published checkpoints, and bytes of sparse and quantised weights by hand."""

import numpy as np
import pytest

from arch_space import Architectures
from arch_space.tensors import (
    active_parameter_count,
    cache_bytes_per_token,
    parameter_count,
    tensors,
    weight_bytes,
)


def llama(layers, width, heads, kv_heads, ffn, vocabulary, **more):
    return Architectures.checked(
        layers=layers,
        width=width,
        query_heads=heads,
        kv_heads=kv_heads,
        head_size=more.pop("head_size", width // heads),
        ffn_width=ffn,
        vocabulary=vocabulary,
        tied_embedding=more.pop("tied_embedding", False),
        **more,
    )


def mixture(experts, each, width, **more):
    return dict(experts=experts, experts_per_token=each, expert_width=width, **more)


# Elements of the published checkpoints: sums over their safetensors headers on Hugging Face.
PUBLISHED = {
    "Llama-2-7B": (llama(32, 4096, 32, 32, 11008, 32000), 6_738_415_616),
    "Llama-3-8B": (llama(32, 4096, 32, 8, 14336, 128_256), 8_030_261_248),
    "Llama-3.2-1B": (
        llama(16, 2048, 32, 8, 8192, 128_256, tied_embedding=True),
        1_235_814_400,
    ),
    "Qwen2.5-0.5B": (
        llama(24, 896, 14, 2, 4864, 151_936, tied_embedding=True, qkv_bias=True),
        494_032_768,
    ),
    "Qwen3-0.6B": (
        llama(28, 1024, 16, 8, 3072, 151_936, tied_embedding=True, head_size=128, qk_norm=1),
        596_049_920,
    ),
    "OLMo-2-1B": (llama(16, 2048, 16, 16, 8192, 100_352, qk_norm=2), 1_484_916_736),
    "Gemma-2-2B": (
        llama(26, 2304, 8, 4, 9216, 256_000, tied_embedding=True, head_size=256, norms=4),
        2_614_341_888,
    ),
    "Gemma-3-1B": (
        llama(
            26, 1152, 4, 1, 6912, 262_144,
            tied_embedding=True, head_size=256, norms=4, qk_norm=1,
            window=512, window_share=22 / 26,
        ),
        999_885_952,
    ),
    "Mixtral-8x7B": (
        llama(32, 4096, 32, 8, 0, 32_000, **mixture(8, 2, 14336)),
        46_702_792_704,
    ),
    "Qwen3-30B-A3B": (
        llama(48, 2048, 32, 4, 0, 151_936, head_size=128, qk_norm=1, **mixture(128, 8, 768)),
        30_532_122_624,
    ),
    "DeepSeek-V2-Lite": (
        llama(
            27, 2048, 16, 16, 10944, 102_400,
            head_size=192, value_size=128, kv_rank=512, rope_size=64,
            **mixture(64, 6, 1408, shared_experts=2, dense_layers=1),
        ),
        15_706_484_224,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_of_published_checkpoints(name):
    model, elements = PUBLISHED[name]
    assert parameter_count(model)[0] == elements


@pytest.mark.parametrize(
    ("name", "billions"),
    [("Mixtral-8x7B", 12.9), ("Qwen3-30B-A3B", 3.3), ("Llama-3-8B", 8.03)],
)
def test_active_parameters_as_the_makers_state_them(name, billions):
    """Mixtral: arXiv 2401.04088; Qwen3: arXiv 2505.09388."""
    assert active_parameter_count(PUBLISHED[name][0])[0] / 1e9 == pytest.approx(billions, rel=0.02)


def body_bytes(model):
    return sum(
        tensor.stored_bytes[0]
        for name, tensor in tensors(model).items()
        if name not in ("embedding", "head", "norm")
    )


@pytest.mark.parametrize(
    ("sparsity", "structured", "share"),
    [
        (0.5, True, 0.5625),  # half of the values, and two index bits for each of them
        (0.5, False, 0.5625),  # half of the values, and a bitmap: the same
        (0.75, False, 0.3125),
        (0.04, False, 1.0),  # a bitmap would cost more than it saves: 0.96 x 16 + 1 > 16
    ],
)
def test_bytes_of_sparse_fp16_weights(sparsity, structured, share):
    dense = llama(4, 256, 4, 2, 1024, 1000)
    sparse = llama(4, 256, 4, 2, 1024, 1000, weight_sparsity=sparsity, two_four=structured)
    assert body_bytes(sparse) == pytest.approx(share * body_bytes(dense), rel=1e-12)
    assert parameter_count(sparse) == parameter_count(dense)
    untouched = weight_bytes(sparse)[0] - body_bytes(sparse)
    assert untouched == weight_bytes(dense)[0] - body_bytes(dense)


def test_bytes_of_mla_and_gqa_caches():
    """DeepSeek-V2-Lite keeps 512 + 64 numbers a token and layer (arXiv 2405.04434)."""
    assert cache_bytes_per_token(PUBLISHED["DeepSeek-V2-Lite"][0])[0] == 576 * 2
    assert cache_bytes_per_token(PUBLISHED["Llama-3-8B"][0])[0] == 2 * 8 * 128 * 2
    model = PUBLISHED["Llama-3-8B"][0].with_formats(kv="int8")
    assert cache_bytes_per_token(model)[0] == 2 * 8 * (128 + 2)  # a 16-bit scale a head
    assert cache_bytes_per_token(llama(1, 64, 4, 2, 8, 9, value_size=8))[0] == 2 * (16 + 8) * 2


def test_cache_scales_with_kv_heads():
    each = [cache_bytes_per_token(llama(2, 64, 8, n, 64, 100))[0] for n in (1, 2, 4, 8)]
    assert np.array_equal(np.array(each), each[0] * np.array([1, 2, 4, 8]))


def test_groups_of_a_row_that_they_do_not_divide():
    model = llama(1, 200, 1, 1, 200, 10, head_size=200).with_formats("int4")
    # Seven square matrices; a row of 200 values is two groups of 20 bits.
    assert body_bytes(model) == pytest.approx(7 * 200 * (200 * 4 + 2 * 20) / 8, rel=1e-12)
