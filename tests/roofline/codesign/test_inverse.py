"""The answer to an inverse question, against the plain engine over the whole space."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hardware_specs import load_device
from roofline.codesign.inverse import answer
from roofline.codesign.margins import margins, time_shares
from roofline.codesign.question import Inverse, prepare
from roofline.codesign.survey import NEEDS, ask_all, survey_space
from roofline.efficiency.calibrated import calibrated
from roofline.engine import estimate
from roofline.laws import load_law, predict
from spec_files import SpecError

LOSS = 3.4
LIMITS = {"tpot": "12 ms", "ttft": "400 ms"}


@pytest.fixture(scope="module")
def question(space, phone, mix) -> Inverse:
    return prepare(Inverse, space=space, device=phone, mix=mix, limits=LIMITS, loss=LOSS, points=12)


@pytest.fixture(scope="module")
def found(question):
    return answer(question)


def kept(arch, device, question) -> np.ndarray:
    """Which candidates keep the limits on a device, by the plain engine."""
    (part,) = question.mix.workloads
    said = estimate(arch, device, part.workload())
    inside = np.logical_and.reduce(
        [getattr(said, name) <= limit for name, limit in question.values().items()]
    )
    return inside & said.fits


def test_lines_by_the_plain_engine(found, question) -> None:
    arch, index = question.space.candidates()
    loss = predict(question.law, arch).loss
    own = found.template.hardware
    for axis in ("bandwidth", "peak", "capacity", "on_chip"):
        line = found.line(axis)
        for row in line.iloc[:: max(1, len(line) // 6)].itertuples():
            hardware = replace(own, **{axis: row.value})
            inside = kept(arch, found.template.to(hardware), question)
            least = np.where(inside, loss, np.inf)
            if np.isfinite(least.min()):
                assert row.loss == least.min(), (axis, row.value)
                assert row.index == index[least == least.min()].min()
            else:
                assert np.isnan(row.loss), (axis, row.value)


def test_needs_are_the_least_by_the_plain_engine(found, question) -> None:
    arch = question.space.candidates()[0]
    good = arch[predict(question.law, arch).loss <= LOSS]
    own = found.template.hardware
    for need in found.needs:
        if need.what in NEEDS:
            bandwidth, peak = NEEDS[need.what]
            axis = "peak" if need.what.startswith("peak") else "bandwidth"
            factor = getattr(need.hardware, axis) / getattr(own, axis)
            for scale, met in ((1 + 1e-6, True), (1 - 1e-6, False)):
                f = factor * scale
                hardware = replace(
                    own, bandwidth=own.bandwidth * bandwidth(f), peak=own.peak * peak(f)
                )
                assert kept(good, found.template.to(hardware), question).any() == met, need.what
    assert {need.what for need in found.needs} >= {"both", "bandwidth_alone", "peak_alone"}
    # At this prompt no bandwidth is enough for the phone's peak, as no candidate is quick enough.
    own = found.template.hardware
    boundless = found.template.to(replace(own, bandwidth=own.bandwidth * 1e9))
    assert kept(good, boundless, question).any() == ("bandwidth" in {n.what for n in found.needs})


def test_capacity_that_is_needed(space, phone, mix) -> None:
    limits = {"tpot": "200 ms"}
    question = prepare(Inverse, space=space, device=phone, mix=mix, limits=limits, loss=LOSS)
    found = answer(question)
    need = next(need for need in found.needs if need.what == "capacity")
    arch = space.candidates()[0]
    good = arch[predict(question.law, arch).loss <= LOSS]
    for scale, met in ((1 + 1e-9, True), (1 - 1e-6, False)):
        hardware = replace(found.template.hardware, capacity=need.hardware.capacity * scale)
        assert kept(good, found.template.to(hardware), question).any() == met


def test_a_limit_on_energy_is_a_limit_on_power(space, phone, mix) -> None:
    question = prepare(
        Inverse, space=space, device=phone, mix=mix, limits={"energy": "60 J"}, loss=LOSS
    )
    found = answer(question)
    need = next(need for need in found.needs if need.what == "power")
    arch = space.candidates()[0]
    good = arch[predict(question.law, arch).loss <= LOSS]
    for scale, met in ((1 - 1e-9, True), (1 + 1e-6, False)):
        hardware = replace(found.template.hardware, power=need.hardware.power * scale)
        assert kept(good, found.template.to(hardware), question).any() == met
    line = found.line("power").dropna()
    assert (np.diff(line["loss"].to_numpy(dtype=float)) >= 0).all()  # more watts allow no more


def test_a_model_by_its_own_needs(space, phone, mix) -> None:
    question = prepare(
        Inverse, space=space, device=phone, mix=mix, limits={"tpot": "30 ms"},
        model="qwen2.5-0.5b", formats={"weight_format": "q4_k_m"},
    )  # fmt: skip
    found = answer(question)
    model = question.known_model()
    assert found.loss == float(predict(question.law, model).loss[0])
    (need,) = (need for need in found.own_needs if need.what == "both")
    for scale, met in ((1 + 1e-6, True), (1 - 1e-6, False)):
        own = found.template.hardware
        hardware = replace(
            own, bandwidth=need.hardware.bandwidth * scale, peak=need.hardware.peak * scale
        )
        assert bool(kept(model, found.template.to(hardware), question)[0]) == met


def test_chunks_and_workers_change_nothing(question, found) -> None:
    plan = found.plan
    again = survey_space(plan, question.space, chunk=37, workers=1)
    whole = ask_all(plan, *question.space.candidates(), plan.nothing())
    for name, best in found.survey.tables.items():
        for other in (again.tables[name], whole[name]):
            if name.startswith("need_"):  # found by bisection, to a billionth
                np.testing.assert_allclose(other.value, best.value, rtol=3e-9)
            else:
                np.testing.assert_array_equal(other.value, best.value, err_msg=name)
                np.testing.assert_array_equal(other.index, best.index, err_msg=name)


def test_the_table_says_what_the_engine_says(found, question) -> None:
    table = found.hardware.dropna(subset=["loss"])
    assert len(found.hardware) == 144
    row = table.iloc[len(table) // 2]
    hardware = replace(
        found.template.hardware, bandwidth=row["bandwidth_bytes_per_s"],
        peak=row["peak_flop_per_s"],
    )  # fmt: skip
    arch = question.space.at(np.array([row["index"]]))
    (part,) = question.mix.workloads
    said = estimate(arch, found.template.to(hardware), part.workload())
    floor = estimate(arch, found.template.to(hardware), part.workload(), ideal=True)
    assert row["ttft_s"] == pytest.approx(said.ttft[0], rel=1e-12)
    for name in ("ttft", "tpot", "latency", "energy"):
        low, high = said.interval(name, floor)
        unit = "j" if name == "energy" else "s"
        assert row[f"{name}_{unit}_low"] == pytest.approx(low[0], rel=1e-12)
        assert row[f"{name}_{unit}_high"] == pytest.approx(high[0], rel=1e-12)


def test_slopes_agree_with_the_envelope(phone) -> None:
    """Over a fine space losses fall smoothly, and both ways to the worth of hardware agree.

    At 25 ms a token, where the two sides of the large operators do not tie: at a tie slopes jump.
    """
    from arch_space.spaces import load_space
    from roofline.mixes import Mix

    question = prepare(
        Inverse, space=load_space("paper-grid"), device=phone,
        mix=Mix.single(1, 1024, 128), limits={"tpot": "25 ms", "ttft": "5 s"}, loss=3.5,
        formats={"weight_format": "q4_k_m"}, on_chip=(0.0,),
    )  # fmt: skip
    worth = {margin.axis: margin for margin in margins(answer(question))}
    for axis in ("bandwidth", "peak"):
        assert worth[axis].slope < 0
        assert worth[axis].analytic == pytest.approx(worth[axis].slope, rel=0.35)
    assert worth["capacity"].slope == 0  # twelve gigabytes do not bind


def test_time_shares_by_hand(question) -> None:
    """At the floor all overlaps: a time waits for one side only, and wholly."""
    ideal = prepare(
        Inverse, space=question.space, device=question.device, mix=question.mix,
        limits={"tpot": "12 ms"}, loss=LOSS, ideal=True,
    )  # fmt: skip
    shares = time_shares(answer(ideal))
    assert shares["bandwidth"] == pytest.approx(1, abs=1e-6)
    assert shares["peak"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss": 1.0}, "nearest is"),
        ({"loss": None}, "either a loss or a model"),
        ({"limits": {}}, "no limit says how fast"),
        ({"limits": {"memory": "4 GB"}}, "no limit says how fast"),
        ({"limits": {"tpt": "1 s"}}, "nearest is 'tpot'"),
        ({"limits": {"tpot": "20 GB"}}, "tpot"),
        ({"spans": {"peek": ("1 TFLOP/s", "2 TFLOP/s")}}, "nearest is 'peak'"),
        ({"spans": {"peak": ("2 TFLOP/s", "1 TFLOP/s")}}, "no range"),
        ({"processor": "npuu"}, "nearest is 'npu'"),
        ({"on_chip_bandwidth": "1 GB/s"}, "slower than the DRAM"),
    ],
)
def test_what_cannot_be_asked(change, words, space, phone, mix) -> None:
    asked = dict(space=space, device=phone, mix=mix, limits={"tpot": "12 ms"}, loss=LOSS)
    with pytest.raises(SpecError, match=words) as refused:
        answer(prepare(Inverse, **(asked | change)))
    assert "\n" not in str(refused.value)


def test_a_question_reads_back_equal(question, tmp_path) -> None:
    from roofline.codesign.question import load_question

    file = tmp_path / "codesign.yaml"
    file.write_text(question.to_yaml())
    assert load_question(file) == question


def test_a_template_without_a_peak_is_refused(space, mix) -> None:
    device = calibrated(load_device("phone"), "npu")
    asked = prepare(
        Inverse, space=space, device=device, processor="npu", mix=mix, limits={"tpot": "1 s"},
        loss=LOSS,
    )  # fmt: skip
    with pytest.raises(SpecError, match="no peak is published"):
        answer(asked)


def test_the_law_may_be_another(space, phone, mix) -> None:
    asked = prepare(
        Inverse, space=space, law="chinchilla", tokens=1e10, device=phone, mix=mix,
        limits={"tpot": "30 ms"}, loss=4.0,
    )  # fmt: skip
    assert answer(asked).survey.tables["least_loss"].value[0] == pytest.approx(
        predict(load_law("chinchilla", 1e10), space.candidates()[0]).loss.min()
    )


def test_a_limit_on_memory_holds_whatever_the_capacity(space, phone, mix) -> None:
    arch = space.candidates()[0]
    small = float(np.median(estimate(arch, phone, mix.workloads[0].workload()).memory_bytes))
    limits = {"tpot": "200 ms", "memory": small}
    asked = prepare(Inverse, space=space, device=phone, mix=mix, limits=limits, loss=LOSS)
    found = answer(asked)
    said = estimate(arch, phone, mix.workloads[0].workload())
    kept_here = (said.memory_bytes <= small) & (said.tpot <= 0.2)
    least = predict(asked.law, arch).loss[kept_here].min()
    assert found.line("capacity")["loss"].iloc[-1] == least
    assert least > predict(asked.law, arch).loss[said.tpot <= 0.2].min()  # so the limit binds
    tiny = prepare(
        Inverse, space=space, device=phone, mix=mix, limits=limits | {"memory": 1e6}, loss=LOSS
    )
    assert "capacity" not in {need.what for need in answer(tiny).needs}
