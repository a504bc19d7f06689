"""Points, roofs and axes against hand arithmetic."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from arch_space.architectures import concatenate
from hardware_specs import load_device
from roofline.efficiency.calibrated import calibrated
from roofline.engine import estimate
from roofline.report.points import (
    axis,
    limits,
    roofline_points,
    say,
)
from roofline.report.rooflines import rooflines as all_rooflines
from roofline.workload import Workload

from .inputs import ROWS, by_hand, candidates, phone, rooflines


def test_points_follow_hand_arithmetic() -> None:
    found = roofline_points(by_hand(), phone(), row=1)
    points = found.operators
    assert points["intensity"].tolist() == [4000.0, 0.0, 2.0, np.inf]
    assert points["attained"].tolist() == pytest.approx([2e9, 0.0, 8e6, 2e7])
    assert points["share"].tolist() == pytest.approx([0.5, 0.25, 0.5, 0.3])
    assert points["bound"].tolist() == ["compute", "memory", "overhead", "memory"]
    assert found.fixed_share("prefill") == pytest.approx(0.25)
    assert found.fixed_share("decode") == pytest.approx(0.2)


def test_roofs_are_the_profile_and_its_efficiencies() -> None:
    device = phone()
    chip, dram = device.processor("gpu"), device.memory.dram.bandwidth.value
    found = roofline_points(by_hand(), device, "gpu", row=1)
    fp16 = found.peaks.set_index("format").loc["fp16"]
    assert set(found.peaks["format"]) == set(chip.peaks)
    assert fp16["nominal"] == chip.peak("fp16")
    assert fp16["attainable"] == pytest.approx(chip.peak("fp16") * chip.efficiency.compute.value)
    assert fp16["ridge"] == pytest.approx(chip.peak("fp16") / dram)
    lowest = found.bandwidths.iloc[0]
    assert lowest["attainable"] == pytest.approx(dram * chip.efficiency.memory.value)
    assert fp16["attainable_ridge"] == pytest.approx(fp16["attainable"] / lowest["attainable"])


def test_no_operator_rises_above_the_nominal_roof(run: SimpleNamespace) -> None:
    found = rooflines(run, [4])[4]
    assert found.peaks["format"].tolist() == ["fp16"]  # int4 weights meet fp16 activations
    placed = found.operators[found.operators["flops"] > 0]
    roof = np.minimum(
        found.peaks["nominal"].max(), placed["intensity"] * found.bandwidths["nominal"].iloc[0]
    )
    on_chip_at_most = found.peaks["attainable"].max()
    assert (placed["attained"] <= np.maximum(roof, on_chip_at_most) * (1 + 1e-9)).all()
    assert (placed["format"] == "fp16").all()


def test_points_need_the_breakdown() -> None:
    device, arch = phone(), candidates()
    found = estimate(arch, device, Workload(), breakdown=False)
    with pytest.raises(ValueError, match="breakdown=True"):
        roofline_points(found, device)


def test_an_axis_has_a_unit_for_people_and_is_logarithmic_only_where_wide() -> None:
    front = pd.DataFrame({"tpot_s": [0.004, 0.02, 0.05], "memory_bytes": [1e9, 2e9, 4e9]})
    tpot, memory = axis("tpot", front), axis("memory", front)
    assert (tpot.label, tpot.scale, tpot.log) == ("Time per output token (ms)", 1e-3, True)
    assert (memory.unit, memory.scale, memory.log) == ("GB", 1e9, False)
    fast = axis("tpot", pd.DataFrame({"tpot_s": [0.0005, 0.0008, 0.0009, 0.002, 0.015]}))
    assert fast.unit == "ms"  # though half of the members take less than one
    assert say("loss", 3.21987) == "3.22 nats per token"
    assert say("energy", float("nan")) == "–"


def test_limits_read_as_symbols() -> None:
    found = limits({"tpot": 0.02, "ttft": 0.5, "memory": 1e9})
    assert found == ["TPOT ≤ 20 ms", "TTFT ≤ 500 ms", "memory ≤ 1 GB"]


def test_all_rooflines_at_once_are_each_alone(run: SimpleNamespace) -> None:
    arch = concatenate([candidates(), candidates().with_formats("fp16")])
    device = load_device("sd8elite5")  # whose shares of the peak differ from format to format
    device = calibrated(device)
    found = estimate(arch, device, run.workload, breakdown=True)
    together = all_rooflines(found, device, arch=arch)
    assert len(together.roofs) == 2
    for row in (0, 5, ROWS, 2 * ROWS - 1):
        one = estimate(arch[row], device, run.workload, breakdown=True)
        alone = roofline_points(one, device, arch=arch[row])
        for name in ("operators", "peaks", "bandwidths"):
            pd.testing.assert_frame_equal(getattr(together.at(row), name), getattr(alone, name))
