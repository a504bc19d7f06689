"""Products that a CPU runs for another processor, and unlike cores that share work evenly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arch_space.library import load_model
from hardware_specs import Device, load_device
from hardware_specs.device import Cores, Processor
from hardware_specs.measurements.rows import load_rows
from roofline import Workload, estimate
from roofline.calibration.cases import read_cases
from roofline.calibration.demand import work_of
from roofline.calibration.said import threads
from roofline.cli import run
from roofline.efficiency.calibrated import calibrated
from roofline.efficiency.effects import Effects
from roofline.efficiency.form import FORM
from roofline.efficiency.hosting import PACE_OF_READS, hosted, is_hosted, pace
from roofline.runtimes import runtime
from spec_files import SpecError, validate_spec

CPU = runtime("llama.cpp-cpu")
RATE = {"density": "dense", "basis": "prior", "source": "none"}


def cpu(*groups: tuple[int, float]) -> Processor:
    """A CPU with so many cores of each rate, GFLOP/s."""
    cores = tuple(
        Cores.model_validate({"count": count, "rate": {"value": f"{rate} GFLOP/s", **RATE}})
        for count, rate in groups
    )
    peak = {"value": f"{sum(c * r for c, r in groups)} GFLOP/s", **RATE}
    return Processor(
        type="cpu", family="arm-cortex", title="cores", peaks={"fp32": peak}, cores=cores
    )


# Unlike cores


@given(
    groups=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 200)), min_size=1, max_size=4),
    count=st.integers(1, 12),
)
def test_all_threads_wait_for_the_slowest(groups, count):
    """Against time itself: each thread takes an equal part of a work, on the fastest cores."""
    rates = sorted((rate for n, rate in groups for _ in range(n)), reverse=True)[:count]
    work = 1000.0
    seconds = max(work / len(rates) / rate for rate in rates)
    total = sum(n * rate for n, rate in groups)
    assert pace(cpu(*groups), CPU, count) == pytest.approx(work / seconds / total)


def test_pace_of_a_phone_by_hand():
    """Snapdragon 8 Gen 2: 1 at 102.4, 4 at 44.8, 3 at 16 GFLOP/s. Six threads take one of the 3."""
    unit = load_device("sd8gen2").processors["cpu"]
    assert pace(unit, CPU, 6) == pytest.approx(6 * 16 / 329.6)
    assert pace(unit, CPU, 5) == pytest.approx(5 * 44.8 / 329.6)
    assert pace(unit, CPU) == pytest.approx(8 * 16 / 329.6)


def test_an_estimate_runs_on_the_threads_of_most_rows():
    device, model = load_device("sd8gen2"), load_model("qwen2.5-1.5b").with_formats("q4_0")

    def prefill(count):
        effects = Effects({}, threads={"sd8gen2|cpu|llama.cpp-cpu": count} if count else {})
        made = calibrated(device, "cpu", "llama.cpp-cpu", effects=effects)
        found = estimate(model, made, Workload(prompt=512, generate=1), processor="cpu")
        rows = {(row.phase, row.name): row for row in found.operators}
        return rows["prefill", "attention_output"].compute_time[0]

    unit = device.processors["cpu"]
    for count in (4, 5, 6):
        slower = pace(unit, CPU) / pace(unit, CPU, count)
        assert prefill(count) / prefill(None) == pytest.approx(slower, rel=2e-3)


def stating(key, *groups):
    """The Snapdragon 8 Gen 2 with such cores on one of its processors."""
    plain = load_device("sd8gen2").model_dump(mode="json", exclude_none=True)
    plain["processors"][key]["cores"] = [
        {"count": n, "rate": {**RATE, "value": f"{rate} GFLOP/s", "source": "cpu-cores"}}
        for n, rate in groups
    ]
    return validate_spec(plain, Device, "mine.yaml")


def test_cores_that_cannot_be_are_refused():
    with pytest.raises(SpecError, match="cores make 120 GFLOP/s together, and the CPU's fp32 peak"):
        calibrated(stating("cpu", (2, 60.0)), "cpu", "llama.cpp-cpu")
    with pytest.raises(SpecError, match="only a CPU has cores to state, no gpu"):
        calibrated(stating("gpu", (2, 60.0)))
    with pytest.raises(SpecError, match=r"count.*1024"):
        stating("cpu", (2000, 0.165))


def test_alike_cores_and_other_runtimes_keep_the_peak():
    assert pace(load_device("rpi5").processors["cpu"], CPU, 4) == 1.0
    assert pace(load_device("sd8gen2").processors["cpu"], runtime("executorch")) == 1.0


@pytest.mark.parametrize("name", ["sd8gen2", "sd8elite5", "rk3588", "cix-p1", "i9-13900k"])
def test_cores_make_up_the_peak(name):
    unit = load_device(name).processors["cpu"]
    total = sum(kind.count * kind.rate.value for kind in unit.cores)
    assert total == pytest.approx(unit.peaks["fp32"].value, rel=0.02)


def test_a_slower_core_slows_what_the_others_do():
    """With no row fitted: four cores of eight alone are quicker than with four slow ones."""
    phone = load_device("sd8gen2")
    model, work = load_model("qwen2.5-1.5b"), Workload(prompt=512, generate=16)

    def prefill(*groups):
        unit = phone.processors["cpu"].model_copy(update={"cores": cpu(*groups).cores})
        made = phone.model_copy(update={"processors": {"cpu": unit}, "default_processor": "cpu"})
        device = calibrated(made, runtime="llama.cpp-cpu", effects=Effects({}))
        return float(estimate(model, device, work).ttft[0])

    assert prefill((8, 41.2)) < prefill((4, 66.4), (4, 16.0))


@pytest.mark.parametrize(
    ("said", "count"),
    [("CPU 504MiB; 6 threads; FA on", 6), ("8-thread run", 8), ("threads not stated", 0)],
)
def test_threads_of_a_row(said, count):
    assert threads(said) == count


def test_arm_cpus_agree_once_they_are_held_to_their_pace():
    """What `PACE_OF_READS` says, from the rows: shares of the bandwidth when decoding."""
    rows = load_rows()
    families = ("sd8gen2", "sd8elite", "sd8elite5", "rpi5", "cix_p1", "dragon_q8b")
    said = rows["framework"].str.contains("llama|Ollama") & rows["backend"].str.startswith("CPU")
    cases = read_cases(rows[rows["device_key"].isin(families) & said].reset_index(drop=True))
    work = work_of(cases)
    demand = work.demand["decode"]
    share = (demand.weights + demand.cache).sum(axis=1) / work.bandwidth / cases.tpot
    kept = np.isin(work.settings["path"], ["blocks", "k", "float", "groups"])
    plain, paced = [], []
    for name in np.unique(work.settings["device"]):
        at = kept & (work.settings["device"] == name) & np.isfinite(share)
        plain.append(np.median(share[at]))
        paced.append(np.median(share[at] / work.pace[at, 0] ** PACE_OF_READS))
    assert min(plain) < 0.3
    assert 0.45 < min(paced) < max(paced) < 0.6


# Work for another processor


def setting(path: str, name: str, host: str = "arm-cortex") -> dict[str, list[str]]:
    words = dict(type="gpu", kind="phone", vendor="qualcomm", family="qualcomm-adreno", device="x")
    words |= dict(runtime=name, options="", era="2026", storage=path, path=path, host=host)
    return {key: [word] for key, word in words.items()}


@pytest.mark.parametrize(
    ("path", "name", "away"),
    [
        ("rare", "llama.cpp-opencl", True),
        ("k", "llama.cpp-opencl", False),
        ("k", "llama.cpp-hexagon", True),
        ("blocks", "llama.cpp-hexagon", False),
        ("rare", "llama.cpp-cuda", False),
    ],
)
def test_what_has_no_kernel_runs_on_the_cpu(path, name, away):
    said = setting(path, name)
    assert is_hosted(said).tolist() == [away]
    theirs = {key: str(words[0]) for key, words in hosted(said).items()}
    moved = dict(type="cpu", vendor="arm", family="arm-cortex", runtime="llama.cpp-cpu")
    moved |= dict(options=f"for {name}")
    own = {key: words[0] for key, words in said.items()}
    assert theirs == (own | moved if away else own)


def test_without_a_cpu_nothing_is_handed_over():
    assert not is_hosted(setting("rare", "llama.cpp-opencl", host="")).any()


@pytest.mark.parametrize(("name", "said"), [("q2_k", True), ("q4_0", False)])
def test_a_profile_without_a_cpu_says_what_it_cannot_price(name, said, tmp_path, capsys):
    phone = load_device("sd8gen2")
    processors = {key: unit for key, unit in phone.processors.items() if unit.type != "cpu"}
    bare = phone.model_copy(update={"processors": processors, "default_processor": "gpu"})
    (tmp_path / "bare.yaml").write_text(bare.to_yaml())
    command = ["estimate", "--device", str(tmp_path / "bare.yaml"), "--model", "qwen2.5-1.5b"]
    assert run([*command, "--weights", name]) == 0
    assert ("has no CPU that could run them" in capsys.readouterr().out) == said


def test_its_products_cost_what_the_cpu_takes_and_the_handover():
    """With no row fitted, shares are alike, so only peaks, cores and the handover differ."""
    phone = load_device("sd8elite5")
    model = load_model("qwen2.5-1.5b").with_formats("q4_k_m", "q4_k_m", "fp16", "fp16")
    work = Workload(prompt=400, generate=1)

    def operators(processor, name):
        device = calibrated(phone, processor, name, effects=Effects({}))
        rows = estimate(model, device, work, processor=processor).operators
        return {(r.phase, r.name): r for r in rows}

    own = operators("cpu", "llama.cpp-cpu")
    away = operators("npu", "llama.cpp-hexagon")
    launch, added = (float(np.exp(FORM[name].centre)) for name in ("launch", "handover"))
    for name in ("attention_projections", "attention_output", "head"):
        mine, theirs = away["prefill", name], own["prefill", name]
        assert mine.compute_time[0] == pytest.approx(theirs.compute_time[0], rel=1e-3)
        assert mine.memory_time[0] == pytest.approx(theirs.memory_time[0], rel=0.05)
        kernels = theirs.time[0] - max(theirs.compute_time[0], theirs.memory_time[0])
        more = mine.time[0] - max(mine.compute_time[0], mine.memory_time[0])
        assert more / kernels == pytest.approx((launch + added) / launch, rel=1e-3), name


@pytest.mark.parametrize("field", ["compute_in", "memory_in", "handover"])
def test_a_misspelt_way_of_storing_is_refused(field):
    device = calibrated(load_device("sd8elite5"), "gpu", "llama.cpp-opencl", effects=Effects({}))
    unit = device.processors["gpu"]
    figures = {"q2_k": unit.handover["Q2_K"] if field == "handover" else unit.efficiency.compute}
    if field == "handover":
        changed = unit.model_copy(update={field: figures})
    else:
        inner = unit.efficiency.model_copy(update={field: figures})
        changed = unit.model_copy(update={"efficiency": inner})
    wrong = device.model_copy(update={"processors": {"gpu": changed}, "default_processor": "gpu"})
    with pytest.raises(SpecError, match=f"{field} names 'q2_k'.*nearest is 'Q2_K'"):
        estimate(load_model("qwen2.5-1.5b"), wrong, Workload(prompt=8, generate=1))
