"""Calibrated devices: the engine against the formula of the fit, and what no fit may break."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from arch_space.architectures import concatenate
from arch_space.formats import STORAGES
from arch_space.library import load_model
from hardware_specs import Device, load_device
from hardware_specs.measurements.rows import load_rows
from roofline.calibration.cases import Cases, read_cases
from roofline.calibration.demand import work_of
from roofline.calibration.work import log_times
from roofline.cli import run
from roofline.efficiency import calibrated as room
from roofline.efficiency import effects as shelf
from roofline.efficiency.calibrated import (
    calibrated,
    default_runtime,
    runtimes_of,
    say_basis,
    usual_options,
)
from roofline.efficiency.effects import Effects
from roofline.efficiency.form import FORM, keys, paths
from roofline.efficiency.hosting import hosted
from roofline.engine import estimate
from roofline.runtimes import RUNTIMES, runtime
from roofline.workload import Workload
from spec_files import SpecError, parse_spec

# device, framework, backend, model, weights, prompt, generated: dense, routed, recurrent, sliding,
# on unlike cores, in formats that the CPU runs for a GPU and an NPU, in products of floats, with
# layers that a prompt skips.
ASKED = [
    ("h100-sxm", "vLLM", "GPU", "Qwen2.5-7B", "BF16", 512, 64),
    ("jetson-agx-orin-64", "vLLM", "GPU", "Llama-3.2-3B", "FP16", 2000, 128),
    ("jetson-agx-orin-64", "vLLM", "GPU", "Qwen2.5-0.5B", "BF16", 64, 16),
    ("rtx4090", "llama.cpp", "CUDA", "Llama-3.1-8B", "Q4_K_M", 1300, 128),
    ("rtx4090", "llama.cpp", "CUDA", "Qwen3-30B-A3B", "Q4_K_M", 700, 128),
    ("m4max-40", "MLX", "GPU", "Qwen3-0.6B", "4-bit", 4096, 256),
    ("rpi5", "llama.cpp", "CPU", "Llama-3.2-1B", "Q4_0", 700, 64),
    ("sd8elite", "llama.cpp", "OpenCL", "Gemma-3-1B", "Q4_0", 400, 64),
    ("sd8elite", "Genie", "NPU", "Llama-3.2-3B", "W4A16", 900, 64),
    ("sd8elite", "Genie", "NPU", "Llama-3.2-3B", "w4", 900, 64),
    ("sd8elite5", "LiteRT-LM", "GPU", "gemma-4-e2b", "int4", 900, 64),
    ("sd8gen2", "llama.cpp", "CPU", "Qwen2.5-1.5B", "Q4_0", 400, 64),
    ("sd8gen2", "llama.cpp", "OpenCL", "Qwen2.5-1.5B", "Q2_K", 400, 64),
    ("sd8elite5", "llama.cpp", "NPU (Hexagon)", "Qwen3-1.7B", "Q4_K_M", 400, 64),
    ("strix-halo", "llama.cpp", "Vulkan", "Qwen3-Next-80B-A3B", "Q8_0", 600, 64),
    ("strix-halo", "llama.cpp", "ROCm", "Nemotron-3-Nano-4B", "Q8_0", 600, 64),
]


def table() -> pd.DataFrame:
    """Rows as the published table has them, their times invented."""
    blank = {
        name: np.nan if pd.api.types.is_float_dtype(kind) else ""
        for name, kind in load_rows().dtypes.items()
    }
    names = (
        "device_key", "framework", "backend", "model", "weight_format", "prompt_tokens",
        "gen_tokens",
    )  # fmt: skip
    rows = []
    for asked in ASKED:
        row = blank | dict(zip(names, asked, strict=True))
        row |= {"batch": 1.0, "prefill_tok_s": 100.0, "decode_tok_s": 10.0, "date": "2025-06"}
        rows.append(row | {"prompt_tokens": float(asked[5]), "gen_tokens": float(asked[6])})
        if runtime_of_row(asked).empty_cache:  # decoding is measured apart, after a prompt
            rows.append(rows[-1] | {"context_depth": float(asked[5])})
    return pd.DataFrame(rows)


def runtime_of_row(asked: tuple):
    from roofline.runtimes import runtime_of

    device = load_device(asked[0])
    return runtime_of(asked[1], asked[2], device.processor().vendor)


@pytest.fixture(scope="module")
def cases() -> Cases:
    found = read_cases(table())
    assert not [why for why in found.left_out if why]
    return found


@pytest.fixture(scope="module")
def effects(cases: Cases) -> Effects:
    """Effects at random: every level of every quantity, for all the keys of the cases."""
    draw = np.random.default_rng(0)
    settings = {name: [str(w) for w in words] for name, words in cases.settings.items()}
    every = {name: np.repeat(words, len(STORAGES)).tolist() for name, words in settings.items()}
    every["storage"] = list(STORAGES) * len(cases)
    every["path"] = paths(every["storage"], every["options"]).tolist()
    values = {
        quantity: {
            level: {key: float(draw.normal(0, 0.3)) for key in keys_of(every, level)}
            for level in form.levels
        }
        for quantity, form in FORM.items()
    }
    triples = list(zip(settings["device"], settings["type"], settings["runtime"], strict=True))
    return Effects(
        values,
        intervals={
            "decode": {"device": {"": (0.8, 1.3), "phone": (0.7, 1.5)}, "class": {"": (0.5, 2.0)}},
            "prefill": {"device": {"": (0.75, 1.4)}},
        },
        rows={f"{d}|{t}": 7 for d, t, _ in triples},
        runtimes={f"{d}|{t}|{r}": 7 for d, t, r in triples},
        about={"date": "2026-11", "power_scope": {"phone": "whole-device"}},
    )


def keys_of(settings: dict[str, list[str]], level: tuple[str, ...]) -> list[str]:
    """Of the processors, and of the CPUs that run products for them."""
    return sorted({*keys(settings, level), *keys(hosted(settings), level)})


@pytest.fixture
def shipped(effects: Effects, monkeypatch: pytest.MonkeyPatch) -> Effects:
    """The effects in place of those of the package."""
    monkeypatch.setattr(room, "shipped_effects", lambda: effects)
    monkeypatch.setattr(shelf, "shipped_effects", lambda: effects)
    return effects


# The engine and the fit are one formula


@pytest.mark.parametrize("routed", [True, False], ids=["mixtures", "dense"])
def test_the_engine_says_what_the_fit_says(routed: bool, cases: Cases, effects: Effects):
    """For every case and both phases, to 1 %; the fit's mean step stands for all the steps."""
    work = work_of(cases)
    eta = {
        f"{quantity}.{part}": effects.eta(quantity, {n: list(w) for n, w in settings.items()})
        for quantity in FORM
        for part, settings in work.parts(quantity).items()
    }
    everything = np.arange(len(cases))
    fitted = {p: np.exp(log_times(work, p, eta, everything)[0]) for p in ("prefill", "decode")}
    compared = 0
    for i in np.flatnonzero((cases.arch.experts > 1) == routed):
        words = {name: str(column[i]) for name, column in cases.settings.items()}
        device = calibrated(
            cases.devices[i],
            cases.processors[i],
            words["runtime"],
            words["options"],
            words["era"],
            effects,
        )
        prompt, context = int(cases.prompt[i]), int(cases.context[i])
        arch = cases.arch[i]
        if cases.depth[i] == 0:
            found = estimate(arch, device, Workload(1, prompt, 1), processor=cases.processors[i])
            assert found.ttft[0] == pytest.approx(fitted["prefill"][i], rel=0.01), words
            compared += 1
        if context > 0:
            work_after = Workload(1, context, int(cases.generate[i]))
            found = estimate(arch, device, work_after, processor=cases.processors[i])
            assert found.tpot[0] == pytest.approx(fitted["decode"][i], rel=0.01), words
            compared += 1
    assert compared >= (6 if routed else 22)


def test_storages_differ_and_the_plain_one_is_sixteen_bits(effects: Effects):
    unit = calibrated(load_device("rtx4090"), effects=effects).processor()
    assert set(unit.efficiency.compute_in) == set(STORAGES) == set(unit.efficiency.memory_in)
    assert unit.efficiency.compute_value("16-bit") == unit.efficiency.compute.value
    assert unit.efficiency.compute_value("Q4_K") != unit.efficiency.compute.value
    assert unit.efficiency.memory_value("Q4_K") != unit.efficiency.memory.value


def test_scans_have_their_own_rates_and_never_repeat(effects: Effects):
    """Half the recurrence share doubles the scans' computation alone; repeats touch attention."""
    model, work = load_model("nemotron-3-nano-4b"), Workload(prompt=4000, generate=4)
    device = calibrated(load_device("strix-halo"), runtime="llama.cpp-rocm", effects=effects)

    def times(**changes):
        unit = device.processor()
        moved = unit.efficiency.model_copy(update=changes)
        parts = {device.default_processor: unit.model_copy(update={"efficiency": moved})}
        changed = device.model_copy(update={"processors": device.processors | parts})
        rows = estimate(model, changed, work).operators
        return {(r.phase, r.name): (r.compute_time[0], r.memory_time[0]) for r in rows}

    efficiency = device.processor().efficiency
    half = efficiency.recurrence.model_copy(update={"value": efficiency.recurrence.value / 2})
    once = efficiency.cache_repeats.model_copy(update={"value": 1e-9})
    before, slower, single = times(), times(recurrence=half), times(cache_repeats=once)
    assert any(name == "mamba_scan" for _, name in before)
    for key, (compute, memory) in before.items():
        scan, attends = key[1] == "mamba_scan", key[1] == "attention"
        assert slower[key][0] == pytest.approx(compute * (2 if scan else 1), rel=1e-12), key
        assert slower[key][1] == memory, key
        assert (single[key][1] < memory * (1 - 1e-9)) == attends, key


# What a calibrated device is


def test_a_profile_with_its_own_efficiencies_stays_as_it_is(effects: Effects):
    device = calibrated(load_device("rpi5"), effects=effects)
    assert calibrated(device) is device
    assert calibrated(device, runtime=device.processor().calibration.runtime) is device
    with pytest.raises(SpecError, match=r"device rpi5 states its own efficiencies.*'t-mac'"):
        calibrated(device, runtime="t-mac")


def test_the_same_device_is_calibrated_once(effects: Effects):
    device = load_device("rpi5")
    assert calibrated(device, effects=effects) is calibrated(device, effects=effects)
    assert calibrated(device, effects=effects) is not calibrated(
        device, runtime="t-mac", effects=effects
    )


def test_a_calibrated_device_is_a_profile_of_sourced_figures(effects: Effects):
    device = calibrated(load_device("sd8elite"), "npu", effects=effects)
    assert parse_spec(device.to_yaml(), Device, "written") == device
    assert device.sources["calibration"].where == "roofline/efficiency/effects.json"
    assert device.sources["calibration"].date == "2026-11"
    unit = device.processor("npu")
    assert unit.efficiency.compute.basis == "fitted"
    assert unit.efficiency.spill.basis == unit.tile.basis == "fitted"
    assert device.processor("cpu").efficiency is None


def test_basis_interval_and_what_was_not_fitted(effects: Effects):
    phone = calibrated(load_device("sd8elite"), "npu", effects=effects).processor("npu")
    assert (phone.calibration.basis, phone.calibration.rows) == ("device", 7)
    assert (phone.calibration.decode.low, phone.calibration.decode.high) == (0.7, 1.5)
    assert (phone.calibration.prefill.low, phone.calibration.prefill.high) == (0.75, 1.4)
    assert (phone.calibration.energy.low, phone.calibration.energy.high) == (0.25, 4.0)
    assert "half_size" in phone.calibration.not_fitted
    assert "compute" not in phone.calibration.not_fitted
    kin = calibrated(load_device("rtx3090"), effects=effects).processor().calibration
    assert (kin.basis, kin.rows, kin.decode.low) == ("class", 0, 0.5)
    assert "compute" in kin.not_fitted
    other = calibrated(load_device("rtx4090"), runtime="vllm", effects=effects).processor()
    assert (other.calibration.basis, other.calibration.rows) == ("class", 0)
    alone = calibrated(load_device("tpu-v5e"), effects=effects).processor().calibration
    assert alone.basis == "roofline"
    assert (alone.decode.low, alone.decode.high) == (0.25, 4.0)


def test_power_is_filled_where_it_was_fitted(effects: Effects):
    powered = Effects(
        effects.values
        | {
            "power": {
                ("type",): {"gpu": np.log(20.0)},
                ("kind",): {"phone": -1.5},
                ("device", "runtime"): {"sd8elite|llama.cpp-opencl": 0.3},  # of rows of its own
            }
        },
        about=effects.about,
    )
    device = calibrated(load_device("sd8elite"), "gpu", "mnn", effects=powered)
    power = device.processor("gpu").active_power
    assert power.value == pytest.approx(20 * np.exp(-1.5), rel=1e-3)  # rounded in a profile
    assert power.scope == "whole-device"
    assert calibrated(load_device("sd8elite"), effects=effects).processor().active_power is None
    found = estimate(load_model("qwen3-0.6b"), device, Workload())
    assert found.energy[0] == pytest.approx(power.value * found.latency[0])


# Which runtime


def test_the_runtime_is_that_of_the_nearest_rows(effects: Effects):
    votes = {
        "rtx4090|gpu|vllm": 3,
        "rtx4090|gpu|llama.cpp-cuda": 3,
        "rtx4080|gpu|exllamav2": 2,
        "h100-sxm|gpu|tensorrt-llm": 50,
        "sd8gen3|gpu|llama.cpp-opencl": 9,
        "rtx4090|cpu|llama.cpp-cpu": 99,
    }
    found = Effects({}, runtimes=votes)

    def chosen(name: str) -> str:
        device = load_device(name)
        return default_runtime(device, device.processor(), found)

    assert chosen("rtx4090") == "llama.cpp-cuda"  # of its own rows; the name decides a tie
    assert chosen("rtx4070") == "llama.cpp-cuda"  # family: 3, 3, and 2
    assert chosen("rtx3090") == "llama.cpp-cuda"  # maker, and cards alike
    assert chosen("a100-80-sxm") == "tensorrt-llm"  # maker, and servers alike
    assert chosen("tensor-g4") == "llama.cpp-opencl"  # phones, whoever made them
    assert chosen("arc-b580") in ("llama.cpp-cuda", "vllm")


def test_options_are_those_of_most_rows_of_the_device_or_of_its_kind(effects: Effects):
    usual = {
        "sd8elite|gpu|llama.cpp-opencl": "",
        "phone|gpu|llama.cpp-opencl": "nofa",
        "laptop|gpu|llama.cpp-opencl": "fa",
    }
    effects = replace(effects, options=usual)
    phone, other = load_device("sd8elite"), load_device("sd8gen2")

    def chosen(device):
        return usual_options(device, device.processor(), "llama.cpp-opencl", effects)

    assert (chosen(phone), chosen(other), chosen(load_device("rpi5"))) == ("", "nofa", "")
    of_kind = calibrated(other, runtime="llama.cpp-opencl", effects=effects)
    said = calibrated(other, runtime="llama.cpp-opencl", options="nofa", effects=effects)
    assert of_kind.processor().efficiency == said.processor().efficiency


def test_the_year_is_that_of_most_rows(effects: Effects):
    slow = {("runtime", "era"): {"llama.cpp-opencl|2026": -1.0}}
    eras = {"phone|gpu|llama.cpp-opencl": "2026"}
    dated = replace(effects, values=effects.values | {"memory": effects.values["memory"] | slow})
    phone = load_device("sd8gen2")

    def memory(effects: Effects, era: str | None = None) -> float:
        made = calibrated(phone, runtime="llama.cpp-opencl", era=era, effects=effects)
        return made.processor().efficiency.memory.value

    assert memory(replace(dated, eras={})) == memory(dated, era="")
    assert memory(replace(dated, eras=eras)) == memory(dated, era="2026") != memory(dated, era="")


def test_what_is_predicted_without_words_is_what_most_rows_measured():
    """DeepSeek-R1-Distill-Qwen-1.5B, Q4_K_M, on a Snapdragon 8 Elite Gen 5 with OpenCL, 256 tokens
    of prompt: 398 tokens a second, then 30 (pocketpal-ai, poco-myron.json, 2026-05)."""
    model = load_model("qwen2.5-1.5b").with_formats("q4_k_m")
    found = estimate(
        model, load_device("sd8elite5"), Workload(1, 256, 64), runtime="llama.cpp-opencl"
    )
    assert 256 / found.ttft[0] == pytest.approx(398, rel=0.3)
    assert found.tokens_per_s[0] == pytest.approx(30, rel=0.3)


def test_runtimes_that_are_unknown_or_run_elsewhere(effects: Effects):
    device = load_device("rpi5")
    with pytest.raises(SpecError, match=r"unknown runtime 'llama\.cpp-cup'; nearest is"):
        calibrated(device, runtime="llama.cpp-cup", effects=effects)
    with pytest.raises(SpecError, match=r"vLLM does not run on a cpu.*those that do.*mnn") as said:
        calibrated(device, runtime="vllm", effects=effects)
    assert "sglang" not in str(said.value)
    with pytest.raises(SpecError, match=r"TensorRT-LLM does not run on a gpu of amd"):
        calibrated(load_device("strix-halo"), runtime="tensorrt-llm", effects=effects)


# Physics, for devices and runtimes


PLACES = [
    (name, key, entry)
    for name, key in (
        ("sd8elite", "gpu"),
        ("sd8elite", "npu"),  # without a published peak
        ("rpi5", "cpu"),
        ("rtx4090", "gpu"),
        ("a100-80-sxm", "gpu"),  # whose L2 has a bandwidth
        ("tpu-v5e", "npu"),
    )
    for entry in runtimes_of(load_device(name).processor(key if name != "tpu-v5e" else None))
]
MODELS = concatenate(
    [
        load_model(name).with_formats(fmt)
        for name in ("qwen2.5-0.5b", "gemma-3-1b", "olmoe-1b-7b", "nemotron-3-nano-4b")
        for fmt in ("fp16", "int8", "q4_k_m")
    ]
)
NETWORK = "feed_forward"
TIMES = ("ttft", "tpot", "tpot_first", "tpot_last", "latency")


def unit_of(device: Device, key: str) -> str:
    return key if key in device.processors else device.default_processor


@pytest.mark.parametrize(("name", "key", "software"), PLACES)
def test_no_calibrated_prediction_beats_the_floor(name, key, software, effects: Effects):
    device = load_device(name)
    key = unit_of(device, key)
    known = calibrated(device, key, software, effects=effects)
    for work in (Workload(prompt=700, generate=40), Workload(batch=8, prompt=3, generate=2)):
        floor, found = (
            estimate(MODELS, known, work, processor=key, ideal=ideal) for ideal in (True, False)
        )
        for what in (*TIMES, "prefill_bytes", "decode_bytes"):
            assert (getattr(found, what) >= getattr(floor, what) * (1 - 1e-12)).all(), what
        assert (floor.tpot > 0).all()
        low, high = found.interval("tpot", floor)
        assert (floor.tpot <= low).all()
        assert (low <= found.tpot).all()
        assert (found.tpot <= high).all()


@pytest.mark.parametrize(("name", "key", "software"), PLACES[::3])
def test_more_bandwidth_is_never_slower_and_fewer_bits_are_never_more_bytes(
    name, key, software, effects: Effects
):
    device = load_device(name)
    key = unit_of(device, key)
    known = calibrated(device, key, software, effects=effects)
    work = Workload(prompt=300, generate=20)
    dram = known.memory.dram
    wide = dram.bandwidth.model_copy(update={"value": 1.7 * dram.bandwidth.value})
    memory = known.memory.model_copy(update={"dram": dram.model_copy(update={"bandwidth": wide})})
    slow = estimate(MODELS, known, work, processor=key)
    fast = estimate(MODELS, known.model_copy(update={"memory": memory}), work, processor=key)
    for what in TIMES:
        assert (getattr(fast, what) <= getattr(slow, what) * (1 + 1e-12)).all(), what
    moved = [
        estimate(MODELS.with_formats(fmt), known, work, processor=key).decode_bytes
        for fmt in ("fp16", "int8", "int4")
    ]
    assert (moved[0] > moved[1]).all()
    assert (moved[1] > moved[2]).all()


@pytest.mark.parametrize("software", ["llama.cpp-cuda", "vllm"])
def test_the_floor_computes_in_the_runtimes_arithmetic(software, effects: Effects):
    """llama.cpp multiplies 4-bit weights in int8 on CUDA, four times the rate of fp16."""
    model = load_model("llama-3.1-8b").with_formats("q4_k_m", embedding="q4_k_m")
    known = calibrated(load_device("rtx4090"), runtime=software, effects=effects)
    floor = estimate(model, known, Workload(prompt=4000, generate=1), ideal=True)
    (network,) = (row for row in floor.operators if (row.phase, row.name) == ("prefill", NETWORK))
    peak = load_device("rtx4090").processor().peak("int8" if "cuda" in software else "fp16")
    assert network.compute_time[0] == pytest.approx(network.flops[0] / peak)
    assert (floor.basis, floor.ttft_low[0]) == ("ideal", floor.ttft[0])


# What estimates and commands say


def test_an_estimate_carries_runtime_basis_and_interval(shipped: Effects, monkeypatch):
    from importlib import import_module

    device, models = load_device("rtx4090"), MODELS[:5]
    found = estimate(models, device, Workload(), runtime="llama.cpp-cuda")
    assert (found.runtime, found.basis, found.rows) == ("llama.cpp-cuda", "device", 14 // 2)
    assert (found.decode_interval, found.prefill_interval) == ((0.8, 1.3), (0.75, 1.4))
    np.testing.assert_allclose(found.tpot_high, 1.3 * found.tpot)
    decoding = found.latency - found.ttft
    np.testing.assert_allclose(found.latency_low, 0.75 * found.ttft + 0.8 * decoding)
    monkeypatch.setattr(import_module("roofline.engine.estimate"), "CHUNK", 2)
    chunked = estimate(models, device, Workload(), runtime="llama.cpp-cuda")
    assert (chunked.runtime, chunked.basis, chunked.rows) == ("llama.cpp-cuda", "device", 7)
    np.testing.assert_allclose(chunked.ttft_low, found.ttft_low)
    assert "runtime" not in found.to_frame()


def test_commands_say_runtime_basis_and_interval(shipped: Effects, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ["-m", "qwen2.5-0.5b", "-d", "rtx4090", "--runtime", "llama.cpp-cuda"]
    assert run(["estimate", *asked, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["runtime"], said["basis"], said["rows"]) == ("llama.cpp-cuda", "device", 7)
    assert said["ttft_s_low"] <= said["ttft_s"] <= said["ttft_s_high"] == said["ttft_s"] * 1.4
    assert run(["estimate", *asked]) == 0
    printed = capsys.readouterr().out
    assert "Basis: fitted to 7 rows of this device under llama.cpp-cuda" in printed
    assert "90 % interval" in printed
    assert run(["compare", *asked, "-d", "rtx3090", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["basis"] for row in rows] == ["device", "class"]
    assert all(row["tpot_s_low"] <= row["tpot_s"] <= row["tpot_s_high"] for row in rows)
    assert run(["devices", "show", "rtx3090", "--calibrated", "--runtime", "vllm"]) == 0
    printed = capsys.readouterr().out
    assert "efficiency.compute_in.Q4_K" in printed
    assert "class prior, no rows of this device under vllm" in printed
    assert run(["runtimes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {row["name"]: row["vendors"] for row in listed}["llama.cpp-metal"] == ["apple"]
    rows = {row["name"]: row["rows"] for row in listed}
    assert set(rows) == {entry.name for entry in RUNTIMES}
    assert (rows["llama.cpp-cuda"], rows["sglang"]) == (7, 0)


def test_a_sweep_carries_its_runtime_there_and_back(shipped: Effects, tmp_path, capsys):
    from roofline.search.sweep import Sweep

    base = ["sweep", "-d", "rtx4090", "--space", "paper-grid", "--json"]
    assert run([*base, "--runtime", "vllm", "-o", str(tmp_path / "a")]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["runtime"] == "vllm"
    assert said["basis"] == "class prior, no rows of this device under vllm"
    job = Sweep.load(tmp_path / "a" / "sweep.yaml")
    assert job.runtime == "vllm"
    assert job.device.processor().calibration.runtime == "vllm"
    front = pd.read_csv(tmp_path / "a" / "front.csv")
    for name in ("ttft_s", "tpot_s"):
        assert (front[f"{name}_low"] <= front[name]).all()
        assert (front[f"{name}_high"] >= front[name]).all()
    page = (tmp_path / "a" / "report.html").read_text()
    assert "class prior, no rows of this device under vllm" in page
    again = ["sweep", "--repeat", str(tmp_path / "a" / "sweep.yaml"), "-o", str(tmp_path / "b")]
    assert run(again) == 0
    assert (tmp_path / "b" / "front.csv").read_text() == (tmp_path / "a" / "front.csv").read_text()
    assert run([*base, "-o", str(tmp_path / "c")]) == 0
    assert Sweep.load(tmp_path / "c" / "sweep.yaml").runtime == "llama.cpp-cuda"
    assert not pd.read_csv(tmp_path / "c" / "front.csv").equals(front)


def test_the_basis_in_words(effects: Effects):
    device = calibrated(load_device("rpi5"), effects=effects)
    assert say_basis(device.processor()).startswith("fitted to 7 rows of this device")
    assert "floor" in say_basis(device.processor(), ideal=True)
    assert runtime(device.processor().calibration.runtime).name == "llama.cpp-cpu"
