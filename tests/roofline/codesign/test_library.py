"""Which devices meet a budget, against every candidate on every device asked about."""

from __future__ import annotations

import numpy as np
import pytest

from hardware_specs import load_device
from roofline.codesign.library import (
    bound_of,
    gather,
    library_table,
    nearest,
    survey_library,
)
from roofline.codesign.question import Inverse, prepare
from roofline.efficiency.calibrated import calibrated
from roofline.engine import estimate
from roofline.laws import load_law, predict
from roofline.mixes import Mix, Part
from spec_files import SpecError

DEVICES = (
    "sd8elite", "jetson-nano", "rpi5", "rpi4", "a100-80-sxm", "h100-sxm", "m1-7", "hailo10h",
    "rk3588", "i9-13900k", "tpu-v5e", "jetson-agx-orin-64", "mi300x",
)  # fmt: skip
LOSS = 3.6
LIMITS = {"tpot": "15 ms", "latency": "3 s", "energy": "40 J"}
MIX = Mix(
    name="two",
    workloads=(
        Part(name="a", prompt=900, generate=24),
        Part(name="b", batch=2, prompt=70, generate=200),
    ),
)


def asked(space, phone, **change) -> Inverse:
    given = dict(space=space, device=phone, mix=MIX, limits=LIMITS, loss=LOSS)
    return prepare(Inverse, **(given | change))


def shares(question, arch, device) -> np.ndarray:
    """Share of the tightest limit of each candidate, by the plain engine."""
    said = [estimate(arch, device, part.workload()) for part in question.mix.workloads]
    usable = device.memory.dram.usable_bytes
    found = np.maximum.reduce([each.memory_bytes for each in said]) / usable
    for name, limit in question.values().items():
        mean = sum(getattr(each, name) for each in said) / len(said)
        found = np.maximum(found, mean / limit)
    return np.where(np.isnan(found), np.inf, found)


@pytest.mark.parametrize("ideal", [False, True])
@pytest.mark.parametrize("limited", ["tpot", "ttft", "latency"])
def test_no_candidate_beats_its_bound(limited, ideal, space, phone) -> None:
    from roofline.codesign.library import _judge

    limits = {limited: "10 ms"}
    question = asked(space, phone, ideal=ideal, limits=limits)
    pool = gather(question, np.inf)
    arch = space.at(pool.index)
    for name in DEVICES:
        device = calibrated(load_device(name))
        judge = _judge(question, arch, device)
        share = np.maximum(judge.excess(1.0, 1.0), judge.memory / device.memory.dram.usable_bytes)
        assert (bound_of(question, pool, device) <= share * (1 + 1e-12)).all(), name


def test_the_nearest_candidate_is_the_nearest(space, phone, monkeypatch) -> None:
    from roofline.codesign import library

    monkeypatch.setattr(library, "_BLOCK", 16)  # so that bounds have something to stop
    question = asked(space, phone)
    arch, index = space.candidates()
    loss = predict(load_law("codesign"), arch).loss
    good = np.flatnonzero(loss <= LOSS)
    pool = gather(question, LOSS)
    assert sorted(pool.index) == sorted(index[good])
    for name in DEVICES:
        device = calibrated(load_device(name))
        row, share = nearest(question, pool, device)
        wanted = shares(question, arch[good], device)
        if np.isfinite(wanted.min()):
            assert share == pytest.approx(wanted.min(), rel=1e-12), name
            assert pool.index[row] == index[good][np.argmin(wanted)], name


def test_devices_come_by_power_and_the_rest_with_a_reason(space, phone) -> None:
    question = asked(space, phone, limits={"tpot": "15 ms", "ttft": "3 s"})
    found = survey_library(question, LOSS, DEVICES)
    assert sorted(each.device for each in found) == sorted(DEVICES)
    meeting = [each for each in found if each.meets]
    assert found[: len(meeting)] == meeting
    stated = [each.watts for each in meeting if each.watts == each.watts]
    assert stated == sorted(stated)
    assert all(each.watts != each.watts for each in meeting[len(stated) :])
    for each in found:
        assert bool(each.reason) != each.meets
        profile = load_device(each.device)
        power = profile.processor().active_power or profile.power.active
        assert (power is None) == (each.watts != each.watts)
    slow = next(each for each in found if each.device == "rpi4")
    assert "times the" in slow.reason
    assert "waits for computation" in slow.reason
    table = library_table(found)
    assert list(table["device"]) == [each.device for each in found]
    assert table["reason"].eq("").sum() == len(meeting)


def test_a_limit_on_memory_is_a_reason(space, phone) -> None:
    question = asked(space, phone, limits={"tpot": "1 s", "memory": "20 MB"})
    (found,) = survey_library(question, LOSS, ["h100-sxm"])
    assert not found.meets
    assert found.tight == "memory"
    assert "memory" in found.reason


def test_a_format_that_a_device_cannot_compute_in_is_a_reason(space, phone, tmp_path) -> None:
    import yaml

    profile = yaml.safe_load(load_device("rpi5").to_yaml())
    peaks = profile["processors"]["cpu"]["peaks"]
    profile["processors"]["cpu"]["peaks"] = {"fp4": peaks["fp16"]}
    file = tmp_path / "odd.yaml"
    file.write_text(yaml.safe_dump(profile | {"name": "odd"}))
    question = asked(space, phone, limits={"tpot": "1 s"})
    (found,) = survey_library(question, LOSS, [str(file)])
    assert not found.meets
    assert found.index is None
    assert "no peak for" in found.reason


def test_a_loss_that_none_reaches(space, phone) -> None:
    with pytest.raises(SpecError, match="reaches a loss"):
        gather(asked(space, phone), 1.0)


def test_launches_are_counted_once_however_long_the_prompt(space, phone) -> None:
    """Some runtimes read a prompt in pieces; a bound for all must not count the pieces."""
    counts = [
        gather(asked(space, phone, mix=Mix.single(1, prompt, 4)), np.inf).launches
        for prompt in (100, 3000)
    ]
    np.testing.assert_allclose(counts[0], counts[1], rtol=1e-12)
    assert (counts[0] > 10).all()
