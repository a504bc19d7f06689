"""Physical gates: rows that claim more than a data sheet allows, and only those."""

from dataclasses import replace

import numpy as np
import pytest

from hardware_specs.measurements.rows import COLUMNS, build_rows
from roofline.calibration import gates
from roofline.calibration.cases import read_cases
from roofline.calibration.demand import work_of

# Llama-2-7B: 6.607e9 parameters beside the embedding, 2 bytes each; a token's cache 524,288.
WEIGHTS = (6_738_415_616 - 32_000 * 4096) * 2
CACHE = 2 * 32 * 4096 * 2


def table(*rows: dict):
    base = {
        "device_key": "rtx4090", "backend": "GPU (CUDA)", "framework": "vLLM",
        "model": "Llama-2-7B", "weight_format": "FP16", "batch": 1, "prompt_tokens": 1024,
        "gen_tokens": 1, "context_depth": 0, "date": "2026",
    }  # fmt: skip
    lines = [base | row for row in rows]
    return build_rows({name: [line.get(name) for line in lines] for name in COLUMNS}, "test")


def test_traffic_floor_is_bytes_over_bandwidth_by_hand():
    cases = read_cases(table({"decode_tok_s": 50}))
    found = gates.floor(cases)
    # vLLM decodes after its prompt: 1024 tokens, or the depth that a row states, here none.
    by_hand = (WEIGHTS + CACHE) / 1008e9
    assert found.traffic["decode"][0] == pytest.approx(by_hand, rel=2e-3)


@pytest.mark.parametrize(("share", "rejected"), [(0.97, True), (0.99, False), (1.5, False)])
def test_a_decode_faster_than_the_floor_is_rejected_beyond_the_tolerance(share, rejected):
    seconds = share * (WEIGHTS + CACHE) / 1008e9
    cases = read_cases(table({"decode_tok_s": 1 / seconds, "prefill_tok_s": 100}))
    reasons = gates.gate(cases)
    assert bool(reasons["decode"][0]) is rejected
    assert reasons["prefill"][0] == "", "the other metric stands"


def test_the_reason_says_the_numbers():
    cases = read_cases(table({"decode_tok_s": 100}))
    reason = gates.gate(cases)["decode"][0]
    assert reason.startswith("decode at 100 tok/s would read 13")
    assert reason.endswith("GB/s, above the 1008 GB/s of rtx4090")


def test_a_prefill_beyond_the_peak_is_rejected():
    # 2 x 6.48e9 matrix parameters a token: 20,000 tokens/s are 260 TFLOP/s of 165.
    cases = read_cases(table({"prefill_tok_s": 20_000}, {"prefill_tok_s": 9_000}))
    fast, slow = gates.gate(cases)["prefill"]
    assert "TFLOP/s, above the 165" in fast
    assert slow == ""


def test_a_bound_that_is_soft_refutes_nothing():
    cases = read_cases(table({"decode_tok_s": 100, "prefill_tok_s": 20_000}))
    device = cases.devices[0]
    unit, dram = device.processors["gpu"], device.memory.dram
    peaks = {n: f.model_copy(update={"basis": "lower-bound"}) for n, f in unit.peaks.items()}
    soft = dram.bandwidth.model_copy(update={"basis": "prior"})
    loose = device.model_copy(
        update={
            "processors": {"gpu": unit.model_copy(update={"peaks": peaks})},
            "memory": device.memory.model_copy(
                update={"dram": dram.model_copy(update={"bandwidth": soft})}
            ),
        }
    )
    reasons = gates.gate(replace(cases, devices=[loose]))
    assert [reasons[phase][0] for phase in ("decode", "prefill")] == ["", ""]


def test_experts_that_tokens_may_share_are_counted_once():
    # Eight sequences of one benchmark text pick the same experts; the floor must allow it.
    moe = {"model": "Qwen3-30B-A3B", "batch": 8, "decode_tok_s": 100}
    one = {"model": "Qwen3-30B-A3B", "batch": 1, "decode_tok_s": 100}
    found = gates.floor(read_cases(table(moe, one)))
    weights = work_of(read_cases(table(moe, one))).demand["decode"].weights.sum(axis=1)
    assert weights[0] > 3 * weights[1], "on average they pick many"
    assert found.moved["decode"][0] < 1.1 * found.moved["decode"][1]


def test_weights_that_are_presumed_to_be_stored_so_teach_nothing():
    cases = read_cases(
        table({"decode_tok_s": 60}, {"decode_tok_s": 60, "weight_format": "4-bit class"})
    )
    work = gates.passed(cases, work_of(cases), gates.gate(cases))
    assert np.isfinite(work.measured["decode"]).tolist() == [True, False]


def test_passed_drops_the_rejected_metric_alone():
    cases = read_cases(table({"decode_tok_s": 100, "prefill_tok_s": 5_000}))
    work = gates.passed(cases, work_of(cases), gates.gate(cases))
    assert np.isnan(work.measured["decode"][0])
    assert np.isfinite(work.measured["prefill"][0])
