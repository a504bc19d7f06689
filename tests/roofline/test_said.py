"""Options of a benchmark that its table leaves out: as a row says them, or its script."""

import json
from pathlib import Path

import numpy as np
import pytest

from arch_space.formats import FORMATS
from hardware_specs.measurements.importers import read_measurements
from hardware_specs.measurements.rows import load_rows
from roofline.calibration.cases import read_cases
from roofline.calibration.demand import work_of
from roofline.calibration.said import piece, words
from spec_files import SpecError


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        ("llama.cpp b6077 fa= b= hblt=", 512),
        ("llama.cpp-vulkan b6118 6c7e9a54 fa=-fa 1 b=-b 256 hblt=", 256),
        ("-b 4096 -ub 2048", 2048),
        ("-b 1024, -ub 2048", 1024),  # the logical batch bounds the physical
        ("n_ubatch=1024", 1024),
        ("FA on; -ub 2048", 2048),
        ("Q4_0 with sub 64 and sub-200 rates", 512),
        ("batch 1, b4120", 512),
    ],
)
def test_tokens_read_at_a_time(said, tokens):
    assert piece(said, 512) == tokens


@pytest.fixture(scope="module")
def published():
    return load_rows()


def test_what_scripts_say_of_all_their_rows(published):
    cases = read_cases(published)
    source = published["source"].to_numpy()[cases.at]
    runtime = cases.settings["runtime"]
    kyuz0 = np.array(["kyuz0" in s and "longctx" in s for s in source])
    assert set(cases.chunk[kyuz0 & (runtime == "llama.cpp-rocm")]) == {2048}
    assert set(cases.chunk[kyuz0 & (runtime == "llama.cpp-vulkan")]) == {512}
    spark = np.array(["benches/" in s and "ggml-org" in s for s in source])
    assert set(cases.chunk[spark & (runtime == "llama.cpp-cuda")]) == {2048}
    assert all("fa" in said.split("+") for said in cases.settings["options"][spark])
    others = ~kyuz0 & ~spark & np.array(["15396" not in s for s in source])
    usual = np.array([entry.chunk for entry in cases.runtimes])
    assert set(cases.chunk[others & (cases.chunk != usual)]) == {256, 1024, 2048}


def test_an_apps_build_is_known_by_its_name(published):
    """PocketPal runs llama.cpp through llama.rn."""
    cases = read_cases(published)
    said = np.array(["rn" in each.split("+") for each in cases.settings["options"]])
    source = published["source"].to_numpy()[cases.at]
    assert {each.split("@")[0] for each in source[said]} == {"github:a-ghorbani/pocketpal-ai"}
    assert said.sum() > 100


def test_genie_multiplies_floats_where_a_label_names_no_activations(published):
    """AI Hub's `w4` keeps activations and cache in 16-bit floats, its `w4a16` in integers."""
    cases = read_cases(published)
    label = published["weight_format"].to_numpy()[cases.at]
    genie = cases.settings["runtime"] == "genie"
    floats = np.array(["float" in each.split("+") for each in cases.settings["options"]])
    assert set(label[floats]) == {"w4"}
    assert set(cases.settings["runtime"][floats]) == {"genie"}
    assert (floats == genie & (label == "w4")).all()
    assert set(cases.settings["path"][floats]) == {"unpacked"}
    assert set(cases.settings["path"][genie & (label == "w4a16")]) == {"groups"}
    caches = np.broadcast_to(cases.arch.kv_format, (len(cases),))
    assert {FORMATS[code].name for code in caches[genie & (label == "w4a16")]} == {"int8"}
    assert {FORMATS[code].name for code in caches[floats]} == {"fp16"}


@pytest.mark.parametrize(
    ("framework", "label", "caveat", "options"),
    [
        ("Genie", "w4", "", "float"),
        ("QNN", " W4", "", "float"),
        ("Genie", "w4a16", "", ""),
        ("Genie", "w4 a16", "", ""),
        ("NexaML", "w4", "not Genie", ""),
    ],
)
def test_only_genies_own_label_says_so(framework, label, caveat, options, published):
    row = published[published["framework"].eq("Qualcomm Genie")].iloc[:1].copy()
    row["framework"], row["weight_format"], row["caveat"] = framework, label, caveat
    assert read_cases(row).settings["options"].tolist() == [options]


def test_a_row_speaks_before_its_script():
    row = {
        "framework": "llama.cpp",
        "framework_version": "",
        "backend": "GPU (CUDA)",
        "caveat": "-ub 512",
        "source": "github ggml-org/llama.cpp discussion #15396",
    }
    assert piece(words(row), 128) == 512
    assert piece(words(row | {"caveat": ""}), 128) == 2048


def test_a_benchmarks_own_file_says_its_batches(tmp_path: Path):
    file = tmp_path / "bench.json"
    test = {"build_commit": "b", "model_filename": "gpt-oss-20b-mxfp4.gguf", "model_type":
            "gpt-oss 20B MXFP4 MoE", "model_size": 12_101_070_356, "model_n_params": 20_914_757_184,
            "backends": "CUDA", "n_prompt": 2048, "n_gen": 0, "n_depth": 0, "avg_ts": 4000.0,
            "stddev_ts": 1.0, "test_time": "2026-01-01T00:00:00Z", "n_batch": 2048}  # fmt: skip
    found = {}
    for ubatch in (512, 2048):
        file.write_text(json.dumps([test | {"n_ubatch": ubatch}]))
        rows = read_measurements(file, None, device_key="rtx4090", weight_format="MXFP4")
        cases = read_cases(rows)
        assert list(cases.chunk) == [ubatch]
        found[ubatch] = work_of(cases).demand["prefill"].weights.sum()
    # Four pieces of 512 read the experts four times, for nearly all of 32 are picked by 512 tokens.
    assert 3.9 < found[512] / found[2048] <= 4.0


def case(tmp_path: Path, **columns: str):
    row = {"model": "Llama-3.1-8B", "weight_format": "w4a16", "device_key": "sd8elite",
           "backend": "NPU (Hexagon)", "framework": "Qualcomm Genie", "prompt_tokens": "128",
           "gen_tokens": "99", "decode_tok_s": "13", "prefill_tok_s": "800"} | columns  # fmt: skip
    file = tmp_path / "rows.csv"
    file.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
    return read_cases(load_rows(file))


def test_a_row_without_a_framework_runs_under_the_usual_one(tmp_path):
    assert case(tmp_path, framework="").runtimes[0].name == "genie"
    nvidia = {"device_key": "rtx3060_12", "backend": "GPU", "weight_format": "Q4_K_M"}
    assert case(tmp_path, framework="", **nvidia).runtimes[0].name == "llama.cpp-cuda"
    with pytest.raises(SpecError, match="no runtime is known by the name 'llamas'"):
        case(tmp_path, framework="llamas")


def test_a_chips_name_is_met_with_its_key(tmp_path):
    names = {"device_key": "", "device": "NVIDIA GeForce RTX 4090"}
    with pytest.raises(SpecError, match="nearest is 'rtx4090', to be given as device_key"):
        case(tmp_path, **names)
    with pytest.raises(SpecError, match=r"no profile is known for 'a toaster'$"):
        case(tmp_path, device_key="", device="a toaster")
