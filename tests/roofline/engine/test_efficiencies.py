"""Efficiencies that hold for a part of the work: by number format, for experts, and idle power."""

from dataclasses import replace

import numpy as np
import pytest

from arch_space.library import load_model
from hardware_specs import Device, load_device
from roofline.engine import estimate
from roofline.workload import Workload
from spec_files import parse_spec

ONE_STEP = Workload(prompt=256, generate=1)


def changed(device: Device, **efficiency: object) -> Device:
    """Return the device with other efficiencies of its main processor."""
    import yaml

    data = yaml.safe_load(device.to_yaml())
    data["processors"][device.default_processor]["efficiency"].update(efficiency)
    return parse_spec(yaml.safe_dump(data), Device, "changed")


def share(value: float) -> dict[str, object]:
    return {"value": value, "basis": "prior", "source": "assumption"}


def entered() -> Device:
    """Return a Jetson whose efficiencies are its profile's own, not calibrated."""
    import yaml

    data = yaml.safe_load(load_device("jetson-agx-orin-64").to_yaml())
    unit = data["processors"]["gpu"]
    unit["efficiency"] = {
        "compute": share(0.59),
        "memory": share(0.78),
        "experts": share(0.66),
        "cache": share(0.68),
    }
    unit["kernel_launch"] = {"value": "2 us", "basis": "prior", "source": "assumption"}
    unit["step_overhead"] = {"value": "1 ms", "basis": "prior", "source": "assumption"}
    unit["energy_per_flop"] = {
        "fp16": {"value": "1.6 pJ/FLOP", "scope": "rail", "basis": "prior", "source": "assumption"}
    }
    return parse_spec(yaml.safe_dump(data), Device, "entered")


def test_experts_stream_at_their_own_efficiency_and_nothing_else_does():
    orin = entered()
    alike, slow = changed(orin, experts=share(0.78)), changed(orin, experts=share(0.39))
    dense, mixture = load_model("qwen2.5-0.5b"), load_model("olmoe-1b-7b")
    assert estimate(dense, alike, ONE_STEP).tpot == estimate(dense, slow, ONE_STEP).tpot
    # 16 layers read 8 experts of three 2048 x 1024 matrices at 16 bits; at half the rate that
    # takes as long again.
    read = 16 * 8 * 3 * 2048 * 1024 * 2
    longer = estimate(mixture, slow, ONE_STEP).tpot - estimate(mixture, alike, ONE_STEP).tpot
    assert longer == pytest.approx(read / (204.8e9 * 0.78), rel=1e-9)
    ideal = [estimate(mixture, d, ONE_STEP, ideal=True).tpot for d in (alike, slow)]
    assert ideal[0] == ideal[1]


def test_an_efficiency_of_one_storage_leaves_the_others_alone():
    """Products with 8-bit weights at half the rate; all else as before."""
    orin = entered()
    halved = changed(orin, compute_in={"int8-row": share(0.295)})  # the profile's 0.59 by two
    long = Workload(prompt=4096, generate=1)
    wide = load_model("llama-2-7b")
    assert estimate(wide, orin, long).ttft == estimate(wide, halved, long).ttft
    narrow = wide.with_formats("int8", embedding="fp16")
    before, after = estimate(narrow, orin, long), estimate(narrow, halved, long)
    products = {
        row.name: other.compute_time[0] / row.compute_time[0]
        for row, other in zip(before.operators, after.operators, strict=True)
        if row.phase == "prefill" and row.compute_time[0] > 0
    }
    assert {name: pytest.approx(ratio) for name, ratio in products.items()} == {
        "attention_projections": 2.0,
        "attention": 1.0,
        "attention_output": 2.0,
        "feed_forward": 2.0,
        "head": 1.0,
    }


def test_idle_power_counts_for_overhead_alone():
    orin = entered()
    power = orin.power.active.model_copy(update={"value": 10.0})
    idling = orin.model_copy(update={"power": replace_idle(orin, power)})
    model = load_model("smollm2-135m")
    workload = Workload(prompt=64, generate=8)
    extra = estimate(model, idling, workload).energy - estimate(model, orin, workload).energy
    unit = orin.processor()
    busy = replace(workload, generate=1)
    steps = estimate(model, orin, busy)
    overhead = {
        phase: sum(
            row.time - np.maximum(row.compute_time, row.memory_time)
            for row in steps.operators
            if row.phase == phase
        )
        + unit.step_overhead.value
        for phase in ("prefill", "decode")
    }
    np.testing.assert_allclose(extra, 10.0 * (overhead["prefill"] + 8 * overhead["decode"]))
    ideal = [estimate(model, d, workload, ideal=True).energy for d in (orin, idling)]
    assert ideal[0] == ideal[1]


def replace_idle(device: Device, power):
    return device.power.model_copy(update={"idle": power})
