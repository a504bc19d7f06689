"""The command line from outside: what it prints, what it writes, how it refuses."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hardware_specs import load_device
from roofline.cli import run

ESTIMATE = ["estimate", "--model", "qwen2.5-0.5b", "--device", "jetson-agx-orin-64gb"]
SWEEP = ["sweep", "--device", "phone", "--space", "paper-grid"]

JSON_KEYS = {
    "ttft_s", "tpot_s", "latency_s", "tokens_per_s", "parameters", "active_parameters",
    "prefill_flops", "decode_flops", "prefill_bytes", "decode_bytes", "kv_cache_bytes",
    "weight_bytes", "memory_bytes", "energy_j", "fits", "bound", "operators",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(capsys, arguments: list[str]) -> str:
    """Run a command that must fail, and return its one sentence."""
    before = sorted(Path().rglob("*"))
    contents = {p: p.read_bytes() for p in before if p.is_file()}
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("roofline: ")
    assert printed.err.strip().count("\n") == 0
    assert "Traceback" not in printed.err
    assert sorted(Path().rglob("*")) == before, "bad input must write nothing"
    assert contents == {p: p.read_bytes() for p in contents}, "bad input must change nothing"
    return printed.err


class TestEstimate:
    def test_json_has_the_promised_keys_and_agrees_with_the_api(self, capsys):
        from roofline import Workload, estimate, load_model

        command = [*ESTIMATE, "--prompt", "512", "--generate", "16", "--weights", "int4", "--json"]
        assert run(command) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed.keys() >= JSON_KEYS
        arch = load_model("qwen2.5-0.5b").with_formats("int4")
        found = estimate(
            arch, load_device("jetson-agx-orin-64gb"), Workload(prompt=512, generate=16)
        )
        assert printed["ttft_s"] == found.ttft[0]
        assert printed["tpot_s"] == found.tpot[0]
        assert printed["latency_s"] == pytest.approx(printed["ttft_s"] + 16 * printed["tpot_s"])
        assert printed["parameters"] == 494_032_768
        times = [row["time_s"] for row in printed["operators"] if row["phase"] == "prefill"]
        assert 0 < sum(times) <= printed["ttft_s"]

    def test_the_floor_of_a_published_derivation(self, capsys):
        # 0.778 TFLOP at 42.5 TFLOP/s, and 1.000 GB at 204.8 GB/s: the floor by first principles.
        assert run([*ESTIMATE, "--ideal", "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["ttft_s"] == pytest.approx(18.31e-3, rel=1e-3)
        assert printed["tpot_first_s"] == pytest.approx(4.885e-3, rel=1e-3)

    def test_a_config_json_equals_the_shipped_model(self, capsys):
        from arch_space.huggingface import to_huggingface
        from arch_space.library import load_model

        config = to_huggingface(load_model("qwen2.5-0.5b"), "qwen2")
        Path("config.json").write_text(json.dumps(config))
        outputs = []
        for model in ("qwen2.5-0.5b", "config.json"):
            assert run(["estimate", "-m", model, "-d", "phone", "--json"]) == 0
            printed = json.loads(capsys.readouterr().out)
            printed.pop("model")
            outputs.append(printed)
        assert outputs[0] == outputs[1]

    def test_sparsity_options_reach_the_engine(self, capsys):
        found = []
        for extra in ([], ["--sparsity", "2:4"], ["--ffn-sparsity", "0.9"]):
            assert run([*ESTIMATE, *extra, "--json"]) == 0
            found.append(json.loads(capsys.readouterr().out))
        dense, structured, active = found
        assert structured["weight_bytes"] < dense["weight_bytes"] == active["weight_bytes"]
        assert active["decode_bytes"] < dense["decode_bytes"]

    def test_a_model_that_does_not_fit(self, capsys):
        command = ["estimate", "-m", "llama-3.1-8b", "-d", "phone"]
        sentence = refused(capsys, command)
        assert "does not fit sd8elite" in sentence
        nearest = re.search(r"--weights (\S+),", sentence)[1]
        assert run([*command, "--weights", nearest]) == 0, "the format it names must fit"
        assert run([*command, "--anyway"]) == 0
        capsys.readouterr()
        assert run([*command, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["fits"] is False

    @pytest.mark.parametrize(
        ("extra", "words"),
        [
            (["--weights", "int5"], ["'int5'", "int"]),
            (["--prompt", "0"], ["prompt", "0"]),
            (["--prompt", "many"], ["--prompt"]),
            (["--processor", "gpuu"], ["gpuu", "gpu"]),
            (["--mask", "casual"], ["casual", "causal"]),
            (["--law", "codesing"], ["codesing", "codesign"]),
            (["--tokens", "lots", "--law", "chinchilla"], ["--tokens", "lots"]),
            (["--sparsity", "3:4"], ["--sparsity", "3:4"]),
            (["--ffn-sparsity", "1.5"], ["ffn_sparsity"]),
            (
                ["--processor", "dla", "--activations", "fp32"],
                ["jetson-agx-orin-64", "dla", "fp32"],
            ),
            (["--wieghts", "int4"], ["--wieghts", "--weights"]),
        ],
    )
    def test_bad_options_are_one_sentence(self, capsys, extra, words):
        sentence = refused(capsys, [*ESTIMATE, *extra])
        assert all(word in sentence for word in words), sentence

    def test_bad_names_give_the_nearest(self, capsys):
        assert "'phone'" in refused(capsys, ["estimate", "-m", "qwen3-0.6b", "-d", "phon"])
        assert "'qwen3-0.6b'" in refused(capsys, ["estimate", "-m", "qwen3-0.6", "-d", "phone"])

    def test_unknown_model_type(self, capsys):
        Path("config.json").write_text(json.dumps({"model_type": "qwen22", "hidden_size": 64}))
        sentence = refused(capsys, ["estimate", "-m", "config.json", "-d", "phone"])
        assert "config.json" in sentence
        assert "qwen22" in sentence


def device_text() -> str:
    return load_device("phone").to_yaml()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("peaks:", "peeks:", ["mine.yaml:", "peeks", "peaks"]),
        ("84.8 GB/s", "84.8", ["mine.yaml:", "memory.dram.bandwidth.value", "unit"]),
        ("84.8 GB/s", "-84.8 GB/s", ["mine.yaml:", "memory.dram.bandwidth.value"]),
        ("84.8 GB/s", "84.8 GB", ["mine.yaml:", "memory.dram.bandwidth.value"]),
        ("density: dense", "density: sparse", ["mine.yaml:", "dense"]),
        ("  dram:", "  dram: [", ["mine.yaml"]),
    ],
)
@pytest.mark.parametrize(
    "command", [["estimate", "-m", "qwen3-0.6b"], ["sweep", "--space", "paper-grid"]]
)
def test_a_bad_profile_is_one_sentence(capsys, command, old, new, words):
    text = device_text()
    assert old in text
    Path("mine.yaml").write_text(text.replace(old, new, 1))
    sentence = refused(capsys, [*command, "--device", "mine.yaml"])
    assert all(word in sentence for word in words), sentence


def test_a_peak_without_a_source(capsys):
    import yaml

    data = yaml.safe_load(device_text())
    del data["processors"]["gpu"]["peaks"]["fp16"]["source"]
    Path("mine.yaml").write_text(yaml.safe_dump(data))
    sentence = refused(capsys, ["estimate", "-m", "qwen3-0.6b", "-d", "mine.yaml"])
    assert "processors.gpu.peaks.fp16.source" in sentence


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> str:
    """The text of a sweep's file, which tests change."""
    folder = tmp_path_factory.mktemp("saved") / "run"
    assert run([*SWEEP, "--max-tpot", "50ms", "-o", str(folder)]) == 0
    return (folder / "sweep.yaml").read_text()


class TestSweep:
    def test_writes_the_whole_folder(self, capsys):
        assert run([*SWEEP, "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        folder = Path("sweep-phone")
        assert Path(printed["front"]) == folder / "front.csv"
        names = {p.name for p in folder.iterdir()}
        assert names == {
            "front.csv", "front.parquet", "front.png", "roofline.png", "report.html", "configs",
            "references.csv", "summary.json", "sweep.yaml",
        }  # fmt: skip
        front = pd.read_csv(folder / "front.csv")
        assert len(front) == len(printed["points"]) == len(list((folder / "configs").iterdir()))
        parquet = pd.read_parquet(folder / "front.parquet")
        np.testing.assert_allclose(front["tpot_s"], parquet["tpot_s"])
        assert (front["loss"].diff().dropna() > 0).all()
        assert (front["tpot_s"].diff().dropna() < 0).all()

    def test_an_exported_member_estimates_as_in_the_front(self, capsys):
        assert run([*SWEEP, "-o", "run"]) == 0
        front = pd.read_csv("run/front.csv")
        capsys.readouterr()
        config = sorted(Path("run/configs").iterdir())[3]
        assert run(["estimate", "-m", str(config), "-d", "phone", "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["tpot_s"] == pytest.approx(front.loc[3, "tpot_s"], rel=1e-12)
        assert printed["loss"] == pytest.approx(front.loc[3, "loss"], rel=1e-12)

    def test_constraints_hold_and_their_units_are_read(self, capsys):
        assert run([*SWEEP, "--max-tpot", "20ms", "--max-memory", "1.5GB", "-o", "run"]) == 0
        front = pd.read_csv("run/front.csv")
        assert front["tpot_s"].max() <= 0.020
        assert front["memory_bytes"].max() <= 1.5e9
        assert run([*SWEEP, "-o", "free"]) == 0
        assert pd.read_csv("free/front.csv")["memory_bytes"].max() > 1.5e9

    def test_three_objectives_and_certification(self, capsys):
        command = [*SWEEP, "--objectives", "loss,ttft,energy", "--certify", "--json"]
        assert run([*command, "--evaluations", "2000"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["objectives"] == ["loss", "ttft", "energy"]
        assert printed["summary"]["nsga2_hypervolume_ratio"] >= 0.99

    def test_a_run_repeats_from_its_file(self, capsys):
        assert run([*SWEEP, "--max-memory", "2GB", "--prompt", "256", "-o", "one"]) == 0
        assert run(["sweep", "--repeat", "one/sweep.yaml", "-o", "two"]) == 0
        assert Path("one/front.csv").read_bytes() == Path("two/front.csv").read_bytes()
        assert Path("one/sweep.yaml").read_bytes() == Path("two/sweep.yaml").read_bytes()

    def test_nsga2_repeats_byte_for_byte(self, capsys):
        command = [*SWEEP, "--method", "nsga2", "--evaluations", "3000", "--seed", "7"]
        assert run([*command, "-o", "one"]) == 0
        assert run([*command, "-o", "two"]) == 0
        assert Path("one/front.csv").read_bytes() == Path("two/front.csv").read_bytes()

    def test_an_interrupted_sweep_resumes_to_the_same_front(self, capsys, monkeypatch):
        assert run([*SWEEP, "-o", "whole"]) == 0
        from roofline.search import enumeration

        monkeypatch.setattr(enumeration.enumerate_exactly, "__kwdefaults__", {
            **enumeration.enumerate_exactly.__kwdefaults__, "chunk": 500
        })  # fmt: skip
        original, calls = enumeration.merge, []

        def interrupted(*arguments):
            calls.append(1)
            if len(calls) == 5:
                raise KeyboardInterrupt
            return original(*arguments)

        monkeypatch.setattr(enumeration, "merge", interrupted)
        assert run([*SWEEP, "-o", "cut"]) == 130
        assert not Path("cut/front.csv").exists()
        assert run(["sweep", "--resume", "cut"]) == 0
        assert Path("cut/front.csv").read_bytes() == Path("whole/front.csv").read_bytes()
        assert not Path("cut/.checkpoint.npz").exists()

    def test_all_candidates_on_request(self, capsys):
        assert run([*SWEEP, "--all-candidates", "-o", "run", "--json"]) == 0
        summary = json.loads(capsys.readouterr().out)["summary"]
        table = pd.read_parquet("run/all_candidates.parquet")
        assert len(table) == summary["space_size"]
        assert table["feasible"].sum() == summary["feasible"]

    def test_out_of_range_members_are_flagged(self, capsys):
        Path("wide.yaml").write_text(
            "name: wide\nfixed: {vocabulary: 32000, head_size: 128, kv_heads: 2, ffn_ratio: 4}\n"
            "dimensions: {layers: [8, 16], width: [1024, 4096]}\n"
        )
        command = ["sweep", "-d", "jetson-agx-orin-64gb", "--space", "wide.yaml"]
        assert run([*command, "-o", "run"]) == 0
        assert "outside the data" in capsys.readouterr().out
        front = pd.read_csv("run/front.csv")
        assert (front["in_range"] == (front["width"] == 1024)).all()
        assert front.loc[~front["in_range"], "out_of_range"].str.contains("width 4096").all()
        assert run([*command, "--in-range-only", "-o", "inside"]) == 0
        assert pd.read_csv("inside/front.csv")["in_range"].all()

    def test_nothing_is_overwritten(self, capsys):
        Path("mine").mkdir()
        Path("mine/notes.txt").write_text("dear diary")
        assert "not empty" in refused(capsys, [*SWEEP, "-o", "mine"])
        assert run(SWEEP) == 0
        assert run(SWEEP) == 0
        assert Path("sweep-phone-2/front.csv").exists()
        capsys.readouterr()
        assert "complete" in refused(capsys, ["sweep", "--resume", "sweep-phone"])

    @pytest.mark.parametrize(
        ("extra", "words"),
        [
            (["--max-tpot", "50"], ["--max-tpot", "unit"]),
            (["--max-tpot", "50 GB"], ["--max-tpot"]),
            (["--max-tpot", "-5ms"], ["--max-tpot"]),
            (["--max-tpot", "1us"], ["no candidate", "tpot", "sd8elite"]),
            (["--max-memory", "1MB"], ["no candidate", "memory"]),
            (["--objectives", "loss,tpto"], ["tpto", "tpot"]),
            (["--objectives", ""], ["objective"]),
            (["--method", "nsga4"], ["nsga4", "nsga3"]),
            (["--space", "on-devise"], ["on-devise", "on-device"]),
            (["--reference", "qwen9"], ["qwen9"]),
            (["--resume", "nowhere"], ["--resume", "--device"]),
            (["--repeat", "nothing.yaml"], ["--repeat", "--device"]),
            (["--weights", "q3_k"], ["q3_k"]),
            (["-o", "x" * 400], ["--out"]),
        ],
    )
    def test_bad_options_are_one_sentence(self, capsys, extra, words):
        sentence = refused(capsys, [*SWEEP, *extra])
        assert all(word in sentence for word in words), sentence

    def test_formats_can_be_held(self, capsys):
        narrow = ["--weights", "q8_0", "--kv", "int8", "--activations", "int8"]
        assert run([*SWEEP, "--processor", "cpu", *narrow, "-o", "run"]) == 0
        front = pd.read_csv("run/front.csv")
        assert set(front["weight_format"]) == {"q8_0"}
        assert set(front["kv_format"]) == set(front["activation_format"]) == {"int8"}

    def test_a_saved_sweep_heeds_no_other_options(self, capsys, saved):
        Path("one.yaml").write_text(saved)
        for option in (["--device", "phone"], ["--max-tpot", "1ns"], ["--prompt", "7"]):
            sentence = refused(capsys, ["sweep", "--repeat", "one.yaml", *option])
            assert option[0] in sentence

    @pytest.mark.parametrize("spoilt", ["checkpoint", "sweep", "limits"])
    def test_a_failed_resume_loses_nothing(self, capsys, saved, spoilt):
        text = saved
        Path("cut").mkdir()
        Path("cut/.checkpoint.npz").write_bytes(b"PK\x03\x04 not an archive")
        if spoilt == "sweep":
            text = text.replace("prompt: 1024", "prompt: many")
        if spoilt == "limits":
            Path("cut/.checkpoint.npz").unlink()
            text = text.replace("tpot: 0.05", "tpot: 1 ns")
        Path("cut/sweep.yaml").write_text(f"# mine\n{text}")
        before = Path("cut/sweep.yaml").read_text()
        assert run(["sweep", "--resume", "cut"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert Path("cut/sweep.yaml").read_text() == before
        assert Path("cut/.checkpoint.npz").exists()

    def test_a_failed_sweep_leaves_no_folders_and_keeps_an_empty_one(self, capsys):
        Path("mine").mkdir()
        for out in ("mine", "new/a/b"):
            refused(capsys, [*SWEEP, "--max-tpot", "1ns", "-o", out])
        assert [p.name for p in Path().iterdir()] == ["mine"]

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("- loss\n- tpot\n", "  5\n", ["objectives", "5"]),
            ("tpot: 0.05", "tpto: 0.05", ["constraints.tpto", "tpot"]),
            ("name: qwen2.5-0.5b\n", "nam: qwen2.5-0.5b\n", ["references", "nam", "name"]),
            ("  k_l: 9.96", "  k_l: none", ["law", "k_l"]),
            ("method: auto", "method: autp", ["method", "auto"]),
        ],
    )
    def test_a_sweep_file_edited_into_nonsense(self, capsys, saved, old, new, words):
        assert old in saved
        Path("odd.yaml").write_text(saved.replace(old, new, 1))
        sentence = refused(capsys, ["sweep", "--repeat", "odd.yaml"])
        assert "odd.yaml:" in sentence
        assert all(word in sentence for word in words), sentence

    def test_only_one_of_two_sweeps_gets_a_folder(self):
        from roofline.report.folder import RunFolder
        from roofline.search.sweep import Sweep
        from spec_files import SpecError

        job = Sweep.prepare(device=load_device("phone"), space="paper-grid")
        first, second = (RunFolder.create(Path("run"), "phone") for _ in range(2))
        first.begin(job)
        with pytest.raises(SpecError, match="another sweep"):
            second.begin(job)


def test_brackets_in_names_are_text(capsys):
    text = device_text().replace("title: Flagship phone", "title: My [/bold] [red] phone", 1)
    Path("mine.yaml").write_text(text)
    for command in (["estimate", "-m", "qwen3-0.6b"], ["sweep", "--space", "paper-grid"]):
        assert run([*command, "--device", "mine.yaml"]) == 0
        assert "My [/bold] [red] phone" in capsys.readouterr().out


def test_a_candidate_out_of_range_is_flagged_where_a_person_reads(capsys):
    assert run(["estimate", "-m", "smollm2-135m", "-d", "phone"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "out of the fitted range: width 576 below 768" in printed


class TestListings:
    def test_devices_and_models_as_json(self, capsys):
        from arch_space.library import shipped_models
        from hardware_specs import shipped_devices

        for command, names in (("devices", shipped_devices()), ("models", shipped_models())):
            assert run([command, "--json"]) == 0
            assert [row["name"] for row in json.loads(capsys.readouterr().out)] == names

    def test_a_device_shows_every_number_with_its_source(self, capsys):
        assert run(["devices", "show", "phone"]) == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert "84.8 GB/s" in printed
        for source in {figure.source for _, figure in load_device("phone").figures()}:
            assert load_device("phone").sources[source].date in printed

    def test_one_model_field_by_field(self, capsys):
        assert run(["models", "show", "mixtral-8x7b"]) == 0
        assert "46,702,792,704" in capsys.readouterr().out

    def test_unknown_kind(self, capsys):
        assert "phone" in refused(capsys, ["devices", "--kind", "phones"])

    def test_compare_covers_every_combination(self, capsys):
        command = [
            "compare",
            "-m",
            "qwen3-0.6b",
            "-m",
            "llama-3.1-8b",
            "-d",
            "phone",
            "-d",
            "a100-80gb",
            "--weights",
            "fp16",
            "--weights",
            "int4",
            "--json",
        ]
        assert run(command) == 0
        rows = json.loads(capsys.readouterr().out)
        assert len({(r["model"], r["device"], r["weights"]) for r in rows}) == 8
        unfit = {(r["model"], r["device"], r["weights"]) for r in rows if not r["fits"]}
        assert unfit == {("llama-3.1-8b", "sd8elite", "fp16")}
