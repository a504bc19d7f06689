"""Validation: errors and coverage by hand, the file of predictions, refusals of the command."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from arch_space.library import load_model
from hardware_specs import load_device
from hardware_specs.device import Interval
from hardware_specs.measurements.rows import PUBLISHED, load_rows
from roofline import Workload, estimate
from roofline.calibration.validation import ADDED, Validation, read_file, validate
from roofline.cli import run
from roofline.efficiency import effects as shipped
from roofline.efficiency.calibrated import calibrated
from roofline.efficiency.effects import Effects
from roofline.engine import forward
from roofline.workload import Pass
from spec_files import SpecError

HEADER = (
    "note,model,weight_format,device_key,backend,framework,prompt_tokens,decode_tok_s,prefill_tok_s"
)
LLAMA = "Llama-3.1-8B,Q4_K_M,rtx4090,GPU (CUDA),llama.cpp,512"

ENDS = {"": (0.8, 1.5)}
EFFECTS = Effects(
    {"power": {(): {"": float(np.log(300.0))}}},
    {metric: dict.fromkeys(("device", "class", "roofline"), ENDS)
     for metric in ("prefill", "decode", "energy")},
    {"rtx4090|gpu": 7},
    {"rtx4090|gpu|llama.cpp-cuda": 7},
    {"sha256": "none", "power_scope": {"desktop_gpu": "board"}},
)  # fmt: skip


@pytest.fixture(autouse=True)
def _shipped(tmp_path, monkeypatch):
    """Effects of nothing but the centres, in place of those that are shipped."""
    file = tmp_path / "effects.json"
    file.write_text(EFFECTS.to_json())
    monkeypatch.setattr(shipped, "SHIPPED", file)
    shipped.shipped_effects.cache_clear()
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield
    shipped.shipped_effects.cache_clear()


def write(*lines: str, header: str = HEADER, name: str = "mine.csv") -> Path:
    Path(name).write_text("\n".join((header, *lines)) + "\n")
    return Path(name)


class TestSummary:
    LINES = (
        # measured, predicted, low, high, self_consistent, left_out: errors +10 %, -20 %, +100 %.
        (100.0, 110.0, 90.0, 120.0, True, ""),
        (100.0, 80.0, 70.0, 90.0, True, ""),
        (50.0, 100.0, 40.0, 120.0, False, ""),
        (10.0, 99.0, 9.0, 11.0, False, "the device ran below full power"),
    )

    @pytest.fixture
    def judged(self):
        compared = pd.DataFrame(
            self.LINES,
            columns=["measured", "predicted", "low", "high", "self_consistent", "left_out"],
        ).assign(**{"class": "jetson", "backend": "gpu", "metric": "decode"})
        return Validation(pd.DataFrame(), compared)

    def test_by_hand(self, judged):
        line, total = judged.summary().to_dict("records")
        assert (line["class"], total["class"]) == ("jetson", "all")
        assert (line["rows"], line["left_out"]) == (3, 1)
        assert line["median_error"] == pytest.approx(0.2)
        assert line["mean_error"] == pytest.approx((0.1 + 0.2 + 1.0) / 3)
        assert line["bias"] == pytest.approx(0.1)
        assert line["inside"] == pytest.approx(2 / 3)

    def test_the_self_consistent_alone(self, judged):
        line = judged.summary(self_consistent=True).to_dict("records")[0]
        assert (line["rows"], line["left_out"]) == (2, 0)
        assert line["mean_error"] == pytest.approx(0.15)
        assert line["inside"] == 0.5

    def test_reasons(self, judged):
        assert judged.reasons().to_dict("records") == [
            {"metric": "decode", "left_out": "the device ran below full power", "rows": 1}
        ]


class TestValidate:
    def test_rates_are_over_the_batch_and_every_row_gets_all_three(self):
        header = f"{HEADER},batch,ttft_ms"
        lines = [f"a,{LLAMA},,,{batch},{ms}" for batch, ms in ((1, 50), (4, 200))]
        file = write(*lines, header=header)
        judged = validate(read_file(file))
        found = judged.predictions
        assert (found["basis"] == "device").all()
        one, four = (found.iloc[i].to_dict() for i in (0, 1))
        for name in ADDED[:-2]:
            assert float(one[name]) > 0
        decode = [float(row["predicted_decode_tok_s"]) for row in (one, four)]
        assert 3.0 < decode[1] / decode[0] < 4.0, "four sequences read the same weights"
        # Four prompts of 512 in 200 ms are the same rate as one in 50 ms.
        prefill = judged.compared[judged.compared["metric"] == "prefill"]["measured"]
        assert list(prefill) == pytest.approx([10_240, 10_240])
        # Joules a token: 300 W over the tokens per second of all sequences.
        for row, rate in zip((one, four), decode, strict=True):
            assert float(row["predicted_energy_j_per_tok"]) == pytest.approx(300 / rate, rel=1e-4)

    def test_ends_are_those_of_time_turned_into_rates(self):
        row = validate(read_file(write(f"a,{LLAMA},50,"))).predictions.iloc[0]
        rate, low, high = (float(row[f"predicted_decode_tok_s{e}"]) for e in ("", "_low", "_high"))
        assert (low, high) == pytest.approx((rate / 1.5, rate / 0.8), rel=1e-4)
        joules = [float(row[f"predicted_energy_j_per_tok{e}"]) for e in ("", "_low", "_high")]
        assert joules[1:] == pytest.approx([0.8 * joules[0], 1.5 * joules[0]], rel=1e-4)

    def test_no_interval_is_faster_than_the_floor(self):
        """4.9 GB of weights at 1008 GB/s: 205 tok/s at most, whatever the interval says."""
        wide = replace(EFFECTS, intervals={"decode": {"device": {"": (0.01, 1.5)}}})
        row = validate(read_file(write(f"a,{LLAMA},50,")), wide).predictions.iloc[0]
        rate, high = (float(row[f"predicted_decode_tok_s{end}"]) for end in ("", "_high"))
        arch, card = load_model("llama-3.1-8b").with_formats("q4_k_m"), load_device("rtx4090")
        floor = forward(arch, card, Pass(1, 1, 64.5), ideal=True)  # half of 128 tokens answered
        assert rate < high < 100 * rate
        assert high == pytest.approx(1 / floor.seconds[0], rel=1e-3)

    def test_the_basis(self):
        lines = [
            f"a,{LLAMA},50,",
            f"b,{LLAMA.replace('rtx4090', 'rtx3060_12')},50,",
            f"c,{LLAMA.replace('rtx4090', 'rpi5').replace('GPU (CUDA)', 'CPU')},2,",
            f"d,{LLAMA.replace('llama.cpp', 'vLLM')},50,",
        ]
        found = validate(read_file(write(*lines))).predictions["basis"]
        assert list(found) == ["device", "class", "roofline", "class"]

    def test_what_is_left_out_says_why_and_does_not_count(self):
        lines = [
            f"fine,{LLAMA},60,",
            f"fast,{LLAMA},9000,",  # of a card with 1008 GB/s and 5 GB of weights
            f"unknown,{LLAMA.replace('Llama-3.1-8B', 'Lama-9-1B')},60,",
            f"nowhere,{LLAMA.replace('rtx4090', 'rtx9999')},60,",
            "no prompt,Llama-3.1-8B,Q4_K_M,rtx4090,GPU (CUDA),llama.cpp,,,2000",
        ]
        judged = validate(read_file(write(*lines)))
        reasons = list(judged.predictions["left_out"])
        assert reasons[0] == ""
        assert "above the 1008 GB/s of rtx4090" in reasons[1]
        assert "Lama-9-1B" in reasons[2]
        assert "rtx9999" in reasons[3]
        assert reasons[4] == "prefill: the length of the prompt is not stated"
        assert list(judged.predictions["predicted_decode_tok_s"] != "") == [1, 1, 0, 0, 1]
        summary = judged.summary().set_index(["class", "metric"])
        assert summary.loc[("all", "decode"), ["rows", "left_out"]].tolist() == [1, 3]
        assert summary.loc[("all", "prefill"), ["rows", "left_out"]].tolist() == [0, 1]

    def test_a_model_that_is_shared_out_is_left_out(self):
        lines = [f"{LLAMA},60,,llama-bench; -ngl {n}" for n in (99, 33, 32, 20)]
        lines.append(f"{LLAMA},60,,2 GPUs together")
        header = HEADER.removeprefix("note,") + ",caveat"
        left = list(validate(read_file(write(*lines, header=header))).predictions["left_out"])
        assert left[:3] == ["", "", ""]
        assert "only 20 of its 32 layers ran on the gpu" in left[3]
        assert "several devices shared the work" in left[4]

    def test_a_rate_that_counts_the_prompt_is_no_decode_rate(self):
        file = write(f"a,{LLAMA},,,55", header=f"{HEADER},e2e_tok_s")
        judged = validate(read_file(file))
        assert list(judged.compared["left_out"]) == ["the only rate counts the prompt's time too"]

    def test_the_published_table(self):
        judged = validate(read_file(PUBLISHED))
        rows = load_rows()
        assert len(judged.predictions) == len(rows)
        placed = judged.predictions["basis"] != ""
        assert placed.mean() > 0.9
        for name in ADDED[:-2]:
            assert (judged.predictions[name][placed] != "").all()
        assert (judged.predictions["left_out"][~placed] != "").all()
        energy = judged.compared[judged.compared["metric"] == "energy"]
        assert len(energy) == rows["energy_j_per_tok"].notna().sum()


class TestOwnProfile:
    """A profile that states its efficiencies is taken at its word, whatever the shipped effects."""

    OWN = LLAMA.replace("rtx4090", "my-card")

    @pytest.fixture
    def mine(self):
        profile = calibrated(load_device("rtx4090"), runtime="llama.cpp-cuda")
        unit = profile.processors["gpu"]
        half = {"memory": {**unit.efficiency.memory.model_dump(), "value": 0.5}, "memory_in": {}}
        slow = type(unit.efficiency).model_validate({**unit.efficiency.model_dump(), **half})
        known = unit.calibration.model_copy(update={"decode": Interval(low=0.9, high=1.25)})
        unit = unit.model_copy(update={"efficiency": slow, "calibration": known})
        return profile.model_copy(update={"name": "my-card", "processors": {"gpu": unit}})

    def test_a_prediction_is_the_estimate_of_that_profile(self, mine):
        rows = read_file(write(f"a,{self.OWN},50,9000")).rows
        judged = validate(rows, device=mine)
        said = judged.predictions.iloc[0]
        arch = load_model("llama-3.1-8b").with_formats("q4_k_m", "q6_k", "fp16", "fp16")
        # llama-bench decodes from an empty cache, 128 tokens where a row says nothing.
        step = forward(arch, mine, Pass(1, 1, 64.5)).seconds[0]
        assert float(said["predicted_decode_tok_s"]) == pytest.approx(1 / step, rel=1e-4)
        ttft = estimate(arch, mine, Workload(batch=1, prompt=512, generate=1)).ttft[0]
        assert float(said["predicted_prefill_tok_s"]) == pytest.approx(512 / ttft, rel=1e-4)
        assert said["basis"] == mine.processors["gpu"].calibration.basis
        low, high = (float(said[f"predicted_decode_tok_s{end}"]) for end in ("_low", "_high"))
        assert (low, high) == pytest.approx((1 / step / 1.25, 1 / step / 0.9), rel=1e-4)

    def test_rows_that_name_it_or_nothing_or_are_all_of_one_device(self, mine):
        header = HEADER.replace("device_key", "device_key,device")
        named = self.OWN.replace("my-card", "my-card,")
        nameless = self.OWN.replace("my-card", ",a card of mine")
        other = self.OWN.replace("my-card", "rtx3060_12,")
        shipped_one = validate(read_file(write(f"c,{other},50,", header=header)))
        mixed = write(f"a,{named},50,", f"b,{nameless},50,", f"c,{other},50,", header=header)
        rates = list(validate(read_file(mixed), device=mine).predictions["predicted_decode_tok_s"])
        assert rates[0] == rates[1] != rates[2]
        assert [rates[2]] == list(shipped_one.predictions["predicted_decode_tok_s"])
        alone = write(f"c,{other},50,", header=header)
        found = validate(read_file(alone), device=mine).predictions
        assert list(found["predicted_decode_tok_s"]) == rates[:1]
        assert list(found["device_key"]) == ["rtx3060_12"], "a file's cells stay as they are"

    def test_what_it_does_not_hold_for(self, mine):
        rows = read_file(
            write(f"a,{self.OWN},50,", f"b,{self.OWN.replace('llama.cpp', 'vLLM')},50,")
        )
        reasons = list(validate(rows, device=mine).predictions["left_out"])
        assert reasons == ["", "my-card states efficiencies of llama.cpp-cuda, not of vllm"]
        several = [f"a,{self.OWN.replace('my-card', name)},50," for name in ("rpi5", "rtx3060_12")]
        with pytest.raises(SpecError, match=r"2 devices, rpi5 and .* none is .* my-card"):
            validate(read_file(write(*several)), device=mine)

    def test_a_profile_without_a_fit_is_its_own_basis(self, mine):
        unit = mine.processors["gpu"].model_copy(update={"calibration": None})
        bare = mine.model_copy(update={"processors": {"gpu": unit}})
        said = validate(read_file(write(f"a,{self.OWN},50,")), device=bare).predictions.iloc[0]
        assert said["basis"] == "profile"
        rate = float(said["predicted_decode_tok_s"])
        assert float(said["predicted_decode_tok_s_low"]) == pytest.approx(rate / 1.5, rel=1e-4)

    def test_the_command(self, mine, capsys):
        Path("card.yaml").write_text(mine.to_yaml())
        file = write(f"a,{LLAMA},50,")
        assert (
            run(["validate", str(file), "--device", "card.yaml", "--json", "--out", "p.csv"]) == 0
        )
        assert json.loads(capsys.readouterr().out)["device"] == "my-card"
        rows = validate(read_file(file), device=mine).predictions
        written = pd.read_csv("p.csv")["predicted_decode_tok_s"][0]
        assert written == pytest.approx(float(rows["predicted_decode_tok_s"][0]))
        assert run(["validate", str(file), "--device", "card.yaml"]) == 0
        said = "The rows say rtx4090; all are predicted by profile my-card."
        assert said in " ".join(capsys.readouterr().out.split())
        assert run(["validate", str(file), "--device", "rtx409"]) == 2
        assert "rtx4090" in capsys.readouterr().err


class TestCommand:
    def test_predictions_repeat_the_file_untouched(self, capsys):
        line = f'"a, ""quoted"" note",{LLAMA}, 60.50 ,'
        file = write(line, f"second,{LLAMA},70,", header=HEADER + ",mine")
        file.write_text(file.read_text().replace(",\n", ",,x\n").replace("mine\n", "mine\n\n"))
        assert run(["validate", str(file), "--out", "predictions.csv"]) == 0
        with file.open(newline="") as stream:
            before = [cells for cells in csv.reader(stream) if any(cells)]
        with Path("predictions.csv").open(newline="") as stream:
            after = list(csv.reader(stream))
        assert [cells[: len(before[0])] for cells in after] == before
        assert after[0][len(before[0]) :] == list(ADDED)
        assert after[1][7] == " 60.50 "
        capsys.readouterr()
        assert run(["validate", str(file), "--out", "predictions.csv", "--force"]) == 0

    def test_a_table_that_measures_nothing_is_predicted_all_the_same(self, capsys):
        file = write(f"a,{LLAMA},,")
        for extra in ([], ["--json"]):
            assert run(["validate", str(file), "--out", "p.csv", "--force", *extra]) == 0
        assert json.loads(capsys.readouterr().out.split("\n{", 1)[1].join(["{", ""]))["rows"] == 1
        assert float(pd.read_csv("p.csv")["predicted_decode_tok_s"][0]) > 0

    def test_what_is_given_is_in_the_file_of_predictions(self, capsys):
        file = write(f"a,{LLAMA.replace('rtx4090', 'rpi5')},60.123456789,")
        given = ["--set", "device_key=rtx4090", "--set", "batch=1"]
        assert run(["validate", str(file), *given, "--out", "p.csv"]) == 0
        row = pd.read_csv("p.csv", dtype=str).iloc[0]
        assert (row["device_key"], row["batch"], row["note"]) == ("rtx4090", "1", "a")
        assert row["decode_tok_s"] == "60.123456789"
        other = write(f"a,{LLAMA},60.123456789,", header=HEADER.replace("decode_tok_s", "tg tps"))
        assert run(["validate", str(other), "--out", "q.csv"]) == 0
        assert pd.read_csv("q.csv", dtype=str)["decode_tok_s"][0] == "60.123456789"

    def test_json_agrees_with_the_api(self, capsys):
        file = write(f"a,{LLAMA},60,", f"b,{LLAMA},9000,")
        assert run(["validate", str(file), "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        summary = validate(read_file(file)).summary().to_dict("records")
        assert printed["rows"] == printed["predicted"] == 2
        assert printed["summary"][0]["median_error"] == summary[0]["median_error"]
        assert printed["summary"][0]["left_out"] == 1
        assert printed["fitted_to_these_rows"] is False
        assert "GB/s" in printed["left_out"][0]["left_out"]

    def test_the_table_says_what_was_left_out(self, capsys):
        file = write(f"a,{LLAMA},60,", f"b,{LLAMA},9000,")
        assert run(["validate", str(file)]) == 0
        printed = capsys.readouterr().out
        for words in ("2 of 2 rows predicted", "desktop_gpu", "decode", "self-consistent"):
            assert words in printed
        assert "above the 1008 GB/s" in " ".join(printed.split())

    def test_a_benchmarks_own_file(self, capsys):
        Path("bench.json").write_text(
            json.dumps(
                [
                    {"build_commit": "b", "model_filename": "m.gguf", "model_type": "llama 8B Q4_0",
                     "model_size": 4_653_375_488, "model_n_params": 8_030_261_312,
                     "backends": "CUDA", "n_prompt": p, "n_gen": g, "n_depth": 0, "avg_ts": rate,
                     "stddev_ts": 0.1, "avg_ns": 1, "test_time": "2026-01-01T00:00:00Z"}
                    for p, g, rate in ((512, 0, 9000.0), (0, 128, 150.0))
                ]
            )
        )  # fmt: skip
        command = ["validate", "bench.json", "--set", "device_key=rtx4090"]
        command += ["--set", "model=Llama-3.1-8B", "--set", "weight_format=Q4_0", "--json"]
        assert run([*command, "--out", "p.csv"]) == 0
        printed = json.loads(capsys.readouterr().out)
        used = {r["metric"]: r["rows"] for r in printed["summary"] if r["class"] == "all"}
        assert used == {"decode": 1, "prefill": 1}
        assert "predicted_decode_tok_s" in pd.read_csv("p.csv")

    def test_a_table_of_which_nothing_is_predicted_is_written_with_its_reasons(self, capsys):
        unknown = LLAMA.replace("Llama-3.1-8B", "Lama-9-1B")
        write(f"a,{unknown},60,", f"b,{unknown},,", name="none.csv")
        assert run(["validate", "none.csv", "--out", "p.csv"]) == 2
        told = capsys.readouterr().err
        assert "p.csv holds the reason of each" in told
        written = pd.read_csv("p.csv")
        assert list(written["left_out"].str.contains("Lama-9-1B")) == [True, True]
        assert written["predicted_decode_tok_s"].isna().all()

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["absent.csv"], ["absent.csv"]),
            (["empty.csv"], ["empty.csv", "empty"]),
            (["misspelt.csv"], ["modle", "model"]),
            (["bad.csv"], ["bad.csv:2", "decode_tok_s", "fast"]),
            (["none.csv"], ["no row can be predicted", "Lama-9-1B"]),
            (["mine.csv", "--out", "kept.csv"], ["kept.csv", "--force"]),
            (["mine.csv", "--out", "mine.csv", "--force"], ["same file"]),
            (["mine.csv", "--out", "nowhere/p.csv"], ["nowhere/p.csv"]),
            (["mine.csv", "--set", "model"], ["--set", "'model'", "COLUMN=VALUE"]),
            (["mine.csv", "--set", "modle=x"], ["modle", "model"]),
            (["clash.csv"], ["'basis'", "rename"]),
        ],
    )  # fmt: skip
    def test_bad_input_is_one_sentence_and_writes_nothing(self, capsys, arguments, words):
        write(f"a,{LLAMA},60,")
        write(f"a,{LLAMA},fast,", name="bad.csv")
        write(f"a,{LLAMA.replace('Llama-3.1-8B', 'Lama-9-1B')},60,", name="none.csv")
        write(f"a,{LLAMA},60,", header=HEADER.replace("model", "modle"), name="misspelt.csv")
        write(f"a,{LLAMA},60,", header=HEADER.replace("note", "basis"), name="clash.csv")
        Path("empty.csv").write_text("")
        Path("kept.csv").write_text("kept")
        before = {file: file.read_bytes() for file in Path().iterdir()}
        assert run(["validate", *arguments]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("roofline: ")
        assert printed.err.strip().count("\n") == 0
        for word in words:
            assert word in printed.err
        assert {file: file.read_bytes() for file in Path().iterdir()} == before
