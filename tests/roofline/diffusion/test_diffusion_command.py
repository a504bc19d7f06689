"""`--decode diffusion`, its refusals and its report."""

import json
import re

import numpy as np
import pytest

from arch_space.library import load_model, shipped_models
from hardware_specs import load_device
from roofline.cli import diffusion_report, run
from roofline.diffusion.cost import generate
from roofline.diffusion.schedules import Schedule
from roofline.workload import Workload

ASK = ["estimate", "--decode", "diffusion", "-m", "llada-8b", "-d", "a100", "--generate", "256"]


def test_json_says_what_the_engine_says(capsys):
    words = ["--prompt", "512", "--cache", "dual", "--tokens-per-step", "4", "--json"]
    assert run([*ASK, *words]) == 0
    said = json.loads(capsys.readouterr().out)
    exact = generate(load_model("llada-8b"), load_device("a100"), Schedule("dual", 32, 4.0),
                     Workload(1, 512, 256))  # fmt: skip
    assert said["latency_s"] == pytest.approx(exact.latency[0])
    assert said["energy_j"] == pytest.approx(exact.energy[0])
    assert said["steps"] == pytest.approx(64)
    assert said["full_steps"] == 8
    assert said["bound"] in ("compute", "memory", "overhead")
    assert said["latency_s_low"] < said["latency_s"] < said["latency_s_high"]


def test_confidence_is_the_published_tokens_per_step(capsys):
    times = []
    for words in (["--confidence", "0.9"], ["--tokens-per-step", "3.25"]):
        assert run([*ASK, *words, "--json"]) == 0
        times.append(json.loads(capsys.readouterr().out)["latency_s"])
    assert times[0] == times[1]


def test_pass_overhead_is_what_each_pass_takes(capsys):
    times = []
    for overhead in ("0 s", "10 ms"):
        assert run([*ASK, "--pass-overhead", overhead, "--json"]) == 0
        times.append(json.loads(capsys.readouterr().out)["latency_s"])
    assert times[1] - times[0] == pytest.approx(256 * 0.010)


def test_compare_sets_both_ways_side_by_side(capsys):
    words = "compare --decode diffusion -m llada-8b -m dream-7b -d a100 --generate 256 --json"
    assert run(words.split()) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [r["decode"] for r in rows[:4]] == ["autoregressive", *["diffusion"] * 3]
    assert len(rows) == 8
    for row in rows[1:4]:
        assert row["speed_up"] == pytest.approx(rows[0]["latency_s"] / row["latency_s"])
    even = [row["break_even_tokens_per_step"] for row in rows[1:4]]
    assert even == sorted(even, reverse=True)


def test_a_model_that_does_not_fit_is_refused_with_the_nearest_that_does(capsys):
    words = ["estimate", "--decode", "diffusion", "-m", "llada-8b", "-d", "phone"]
    assert run([*words, "--generate", "256"]) == 2
    said = capsys.readouterr().err
    assert "does not fit" in said
    assert "--weights" in said
    (name,) = re.findall(r"--weights (\S+),", said)
    assert run([*words, "--generate", "256", "--weights", name]) == 0
    assert run([*words, "--generate", "256", "--anyway"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--block", "7"], "does not divide the 256"),
        (["--confidence", "0"], "above 0 and up to 1"),
        (["--confidence", "1.5"], "above 0 and up to 1"),
        (["--confidence", "nan"], "above 0 and up to 1"),
        (["--confidence", "0.2"], "published from 0.5"),
        (["--tokens-per-step", "0.5"], "at least 1"),
        (["--tokens-per-step", "33"], "one block only"),
        (["--tokens-per-step", "2", "--confidence", "0.9"], "give one"),
        (["--cache", "duel"], "nearest is 'dual'"),
        (["--refresh", "4"], "no cache to refresh"),
        (["--cache", "dual", "--refresh", "0"], "at least 1 pass"),
        (["--pass-overhead", "fast"], "--pass-overhead"),
        (["--pass-overhead", "3ms", "--ideal"], "give one"),
        (["--acceptance", "0.5"], "--acceptance is of autoregressive"),
        (["--draft-length", "3"], "--draft-length is of autoregressive"),
        (["--mask", "full"], "--mask is of autoregressive"),
        (["--law", "chinchilla"], "--law is of autoregressive"),
        (["--task", "all"], "--task is of autoregressive"),
        (["-m", "lfm2-350m"], "short convolutions"),
        (["-m", "nemotron-nano-9b-v2"], "recurrent layers"),
        (["--decode", "difusion"], "nearest is 'diffusion'"),
        (["--decode", "autoregressive", "--cache", "dual"], "belongs to --decode diffusion"),
        (["--batch", "0"], "batch"),
    ],
)
def test_nonsense_is_one_sentence_and_exit_code_two(words, said, capsys):
    assert run([*ASK, *words]) == 2
    found = capsys.readouterr()
    assert said in found.err
    assert found.err.count("\n") == 1
    assert not found.out


def test_compare_of_all_models_leaves_out_those_that_look_back_only(capsys):
    words = "compare --decode diffusion -m all -d h100-sxm --cache dual --weights int4"
    assert run([*words.split(), "--json"]) == 0
    named = {row["model"] for row in json.loads(capsys.readouterr().out)}
    assert {"llada-8b", "dream-7b", "llama-3.1-8b"} <= named
    assert not {"gemma-2-2b", "lfm2-350m", "nemotron-nano-9b-v2"} & named
    assert run(words.split()) == 0
    assert f"Left out: {len(shipped_models()) - len(named)} models" in capsys.readouterr().out
    assert run(["compare", "--decode", "diffusion", "-m", "gemma-2-2b", "-d", "a100"]) == 2
    assert "sliding windows" in capsys.readouterr().err


def test_compare_refuses_what_is_of_the_laws(capsys):
    words = "compare --decode diffusion -m llada-8b -d a100 --relative llama-3-8b"
    assert run(words.split()) == 2
    assert "--relative" in capsys.readouterr().err


def test_the_report_is_whole(tmp_path, monkeypatch, capsys):
    from roofline.diffusion.__main__ import main

    monkeypatch.setattr(diffusion_report, "INTENSITIES", np.geomspace(8, 1024, 4))
    monkeypatch.setattr(diffusion_report, "CONTEXTS", np.array([64, 1024, 8192]))
    monkeypatch.setattr(diffusion_report, "OTHERS", ("a100",))
    assert main(["-o", str(tmp_path / "report")]) == 0
    written = {file.name for file in (tmp_path / "report").iterdir()}
    text = (tmp_path / "report" / "README.md").read_text()
    assert {"README.md", "break-even.png", "votes.csv", "map.csv", "fast_dllm.csv"} <= written
    for word in ("vanilla", "parallel", "prefix cache", "dual cache", "HEX", "RFG", "dVoting"):
        assert word in text
    assert "nan" not in text
    assert main(["-o", str(tmp_path / "report" / "README.md")]) == 2
    assert main(["-d", "nothing-like-it", "-o", str(tmp_path / "x")]) == 2
    assert not (tmp_path / "x").exists()
    capsys.readouterr()


def test_no_spread_of_difficulty_makes_a_vote_worse_than_chance():
    from roofline.diffusion.expectation import votes
    from spec_files import SpecError

    found = diffusion_report.solve_difficulty(0.7058, 0.7672)
    assert votes(found, stopping=False).accuracy[0] == pytest.approx(0.7672)
    assert found.alpha / (found.alpha + found.beta) == pytest.approx(0.7058)
    with pytest.raises(SpecError, match="no spread"):
        diffusion_report.solve_difficulty(0.9, 0.5)
