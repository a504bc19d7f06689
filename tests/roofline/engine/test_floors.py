"""Ideal mode against floors derived by hand elsewhere: what no kernel and no runtime can beat.

The expected numbers were worked out from first principles for a survey of eleven prediction tools:
causal attention, logits of the last token, each weight once, the cache once, 16 bits, no overheads.
On a 7B model the tools lie within about 15 % of them; on the prefill of a 0.5B model 28 to 93 %
above. Shapes are those of the published config.json files.
"""

import pytest

from arch_space import Architectures
from hardware_specs import load_device
from roofline import Workload, estimate

LLAMA_2_7B = Architectures(
    layers=32,
    width=4096,
    query_heads=32,
    kv_heads=32,
    head_size=128,
    ffn_width=11008,
    vocabulary=32_000,
    tied_embedding=False,
)
LLAMA_3_8B = Architectures(
    layers=32,
    width=4096,
    query_heads=32,
    kv_heads=8,
    head_size=128,
    ffn_width=14336,
    vocabulary=128_256,
    tied_embedding=False,
)
QWEN_05B = Architectures(
    layers=24,
    width=896,
    query_heads=14,
    kv_heads=2,
    head_size=64,
    ffn_width=4864,
    vocabulary=151_936,
    tied_embedding=True,
    qkv_bias=True,
)


def with_bandwidth(device, bytes_per_second):
    dram = device.memory.dram
    bandwidth = dram.bandwidth.model_copy(update={"value": bytes_per_second})
    dram = dram.model_copy(update={"bandwidth": bandwidth})
    return device.model_copy(update={"memory": device.memory.model_copy(update={"dram": dram})})


A100_80 = load_device("a100-80gb")  # 312 TFLOP/s, 2039 GB/s
A100_40 = with_bandwidth(A100_80, 1555e9)
ORIN = load_device("jetson-agx-orin-64gb")  # 42.5 TFLOP/s, 204.8 GB/s


@pytest.mark.parametrize(
    ("model", "device", "prompt", "prefill_ms", "decode_ms"),
    [
        pytest.param(LLAMA_2_7B, A100_80, 1024, 43.39, 6.744, id="llama-2-7b a100-80 1024"),
        pytest.param(LLAMA_2_7B, A100_80, 2048, 88.55, None, id="llama-2-7b a100-80 2048"),
        pytest.param(LLAMA_3_8B, A100_40, 1024, 46.70, 9.739, id="llama-3-8b a100-40 1024"),
        pytest.param(LLAMA_3_8B, ORIN, 2048, 698.6, 74.60, id="llama-3-8b orin 2048"),
        pytest.param(QWEN_05B, ORIN, 1024, 18.31, 4.885, id="qwen2.5-0.5b orin 1024"),
        pytest.param(QWEN_05B, A100_80, 1024, 2.494, 0.491, id="qwen2.5-0.5b a100-80 1024"),
    ],
)
def test_floor_in_milliseconds(model, device, prompt, prefill_ms, decode_ms):
    floor = estimate(model, device, Workload(prompt=prompt, generate=1), ideal=True)
    assert floor.ttft[0] * 1e3 == pytest.approx(prefill_ms, rel=1e-3)
    if decode_ms is not None:
        assert floor.tpot[0] * 1e3 == pytest.approx(decode_ms, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "tera_flop"),
    [
        ({}, 0.778),
        ({"mask": "full"}, 0.823),
        ({"mask": "full", "logits": "all"}, 1.102),
    ],
)
def test_prefill_flops_of_qwen_by_convention(options, tera_flop):
    floor = estimate(QWEN_05B, ORIN, Workload(prompt=1024, **options), ideal=True)
    assert floor.prefill_flops[0] / 1e12 == pytest.approx(tera_flop, rel=1e-3)


def test_compulsory_traffic_of_qwen():
    floor = estimate(QWEN_05B, ORIN, Workload(prompt=1024), ideal=True)
    # 494 million weights of two bytes, and a cache of 12.6 MB that is written.
    assert floor.prefill_bytes[0] == pytest.approx(1.00e9, rel=5e-3)
    assert floor.decode_bytes[0] == pytest.approx(1.000e9, rel=1e-3)


def test_decode_flops_of_llama_2():
    """13.751 GFLOP; LLM-Viewer says 13.628, for its head counts a multiply-add as one."""
    floor = estimate(LLAMA_2_7B, A100_80, Workload(prompt=1024), ideal=True)
    assert floor.decode_flops[0] / 1e9 == pytest.approx(13.751, rel=1e-4)


@pytest.mark.parametrize(
    ("prompt", "measured_ms"), [pytest.param(2048, 120.5), pytest.param(128, 16.1)]
)
def test_floor_lies_below_a_measured_prefill(prompt, measured_ms):
    """TensorRT-LLM on an A100 80 GB, LLaMA-7B, batch 1: hahnyuan/LLM-Viewer, issue 4."""
    floor = estimate(LLAMA_2_7B, A100_80, Workload(prompt=prompt), ideal=True)
    assert floor.ttft[0] * 1e3 < measured_ms
