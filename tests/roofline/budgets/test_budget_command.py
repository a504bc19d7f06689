"""`roofline budget` and `python -m roofline.budgets` from outside."""

import json

import pandas as pd
import pytest

from roofline.budgets.__main__ import main
from roofline.budgets.case import examples
from roofline.cli import run

BOARD = ["--device", "jetson-agx-orin-64gb"]
ASKED = ["budget", *BOARD, "--max-ttft", "100ms", "--max-tpot", "20ms", "--max-memory", "4GB"]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(capsys, *arguments):
    assert run(["budget", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("roofline: ")
    assert printed.err.strip().count("\n") == 0
    return printed.err


def test_the_issues_command(capsys, tmp_path):
    assert run([*ASKED, "-o", "found"]) == 0
    printed = capsys.readouterr().out
    for words in (
        "Binding: memory (4 GB",
        "regime: memory-constrained",
        "eta = F_p / M = 0.",
        "closed form",
        "continuous (SLSQP)",
        "best of the space, theory's costs",
        "best of the space, calibrated engine",
    ):
        assert words in " ".join(printed.split()), words
    files = {file.name for file in (tmp_path / "found").iterdir()}
    assert files == {"region.png", "region.svg", "optima.csv", "budget.yaml", "budget.json"}
    assert (tmp_path / "found" / "region.png").read_bytes()[:4] == b"\x89PNG"
    assert "memory 4 GB" in (tmp_path / "found" / "region.svg").read_text()
    table = pd.read_csv(tmp_path / "found" / "optima.csv")
    assert table["loss"].iloc[:2].tolist() == pytest.approx([3.0593378763] * 2, abs=1e-8)
    assert "not empty" in refused(capsys, *ASKED[1:], "-o", "found")
    assert run(["budget", "--example", "found/budget.yaml", "--json"]) == 0  # asked again
    again = json.loads(capsys.readouterr().out)
    again.pop("units")
    assert again == json.loads((tmp_path / "found" / "budget.json").read_text())


@pytest.mark.parametrize("name", ["embodied", "smart-home", "driving", "private-serving"])
def test_examples_run(capsys, name):
    assert name in examples()
    assert run(["budget", "--example", name, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert "2602.10377" in said["case"]["source"]
    assert [row["way"] for row in said["optima"]][:2] == ["closed form", "continuous"]


def test_options_beside_an_example_replace_its_own(capsys):
    command = ["budget", "--example", "driving", "--max-latency", "250ms", "--weights", "int8"]
    assert run([*command, "--max-memory", "8GB", "--ideal", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["limits"] == {"latency": 0.25, "memory": 8e9}
    assert said["bytes_per_weight"] == pytest.approx(1, rel=2e-3)
    assert said["peak_flop_s"] == 42.5e12
    assert said["case"]["generate"] == 16


def test_list(capsys):
    assert run(["budget", "--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in examples())
    assert run(["budget", "--list", "--json"]) == 0
    assert [case["name"] for case in json.loads(capsys.readouterr().out)] == examples()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (BOARD, "no budget was given"),
        (["--max-tpot", "20ms"], "no device was given"),
        ([*BOARD, "--max-tpot", "0ms"], "--max-tpot: read '0ms', which allows no model"),
        ([*BOARD, "--max-tpot", "20"], "--max-tpot"),
        ([*BOARD, "--max-tpot", "-5ms"], "--max-tpot: '-5ms' is negative"),
        ([*BOARD, "--max-memory", "5ms"], "--max-memory"),
        (["--device", "jetson-agx-orion", "--max-tpot", "20ms"], "jetson"),
        (["--example", "embodid"], "nearest is 'embodied'"),
        ([*BOARD, "--max-tpot", "20ms", "--law", "chinchilla"], "budgets cannot shape a model"),
        ([*BOARD, "--max-tpot", "20ms", "--space", "paper-gird"], "paper-grid"),
        ([*BOARD, "--max-tpot", "20ms", "--weights", "int5"], "int5"),
        ([*BOARD, "--max-tpot", "20ms", "--prompt", "0"], "prompt"),
        ([*BOARD, "--max-ttft", "1us"], "the least that is possible is"),
        ([*BOARD, "--max-tpot", "20ms", "--runtime", "vlm"], "vllm"),
    ],
)
def test_nonsense_is_one_sentence(capsys, arguments, words):
    assert words in refused(capsys, *arguments)


def test_the_papers_experiment(capsys, tmp_path):
    """Numbers worked out apart from the report: a plain search over the same grid."""
    import numpy as np

    from arch_space.library import load_model
    from arch_space.spaces import load_space
    from hardware_specs import load_device
    from roofline.engine import estimate
    from roofline.laws import load_law
    from roofline.workload import Workload

    assert main(["-o", "paper"]) == 0
    assert "holds" in capsys.readouterr().out
    folder = tmp_path / "paper"
    arch, _ = load_space("paper-grid").candidates()
    known = load_model("qwen2.5-0.5b")
    law, board, work = load_law("codesign"), load_device(BOARD[1]), Workload(1, 1024, 16)
    gains = pd.read_csv(folder / "gains.csv").set_index(["engine", "precision", "equal"])
    for ideal in (True, False):
        seen, reference = (
            estimate(each, board, work, ideal=ideal, breakdown=False) for each in (arch, known)
        )
        losses = np.where(seen.fits, law.loss(arch), np.inf)
        whole, limit = seen.latency, reference.latency
        best = np.min(losses[whole <= limit[0]]) - law.loss(known)[0]
        row = gains.loc[[("ideal" if ideal else "calibrated", "fp16", "latency")]]
        row = row[row["ffn_ratios"] == "all"].iloc[0]
        assert row["nats"] == pytest.approx(best, rel=1e-5)
        assert row["perplexity_change"] == pytest.approx(np.exp(best) - 1, rel=1e-5)
        # The front, by a sweep over sorted latency.
        order = np.lexsort((losses, whole))
        kept = losses[order] < np.r_[np.inf, np.minimum.accumulate(losses[order])[:-1]]
        front = pd.read_csv(folder / f"front-fp16-{'ideal' if ideal else 'calibrated'}.csv")
        assert front["row"].tolist() == order[kept].tolist()
    text = (folder / "README.md").read_text()
    assert "-19.42%" in text
    assert f"{gains.loc[('ideal', 'fp16', 'latency')]['perplexity_change'].iloc[0]:+.2%}" in text
    findings = pd.read_csv(folder / "findings.csv")
    assert len(findings) == 18
    ideal = pd.read_csv(folder / "front-fp16-ideal.csv")
    moe = findings[(findings["engine"] == "ideal") & findings["claim"].str.startswith("All Par")]
    assert bool(moe["holds"].iloc[0]) == bool((ideal["experts"] > 1).all())
    assert {file.name for file in folder.iterdir()} >= {"front.png", "front.svg"}
    measured = findings[findings["engine"] == "ideal"].set_index("claim")["measured"]
    many = len(ideal)
    shallow = int((ideal["layers"] < 20).sum())
    assert measured["Most are shallow (depth below 20)"].startswith(f"{shallow} of {many} ")
    experts = ideal[ideal["experts"] > 1]
    top = int((experts["experts_per_token"] == 1).sum())
    assert measured["Routing is top-1"] == f"{top} of {len(experts)} MoE members"
    small = int((ideal["ffn_ratio"] < 1).sum())
    assert measured["FFN ratio is often below 1"].startswith(f"{small} of {many} members")
    deep = ideal[ideal["layers"] >= 20]
    words = f"{int((deep['width'] == 3072).sum())} of the {len(deep)} members of depth 20"
    assert measured["Width goes to its bound first, then depth grows"].startswith(words)
    eight = arch.with_formats("int8", "int8", "int8", "int8")
    faster = estimate(eight, board, work, ideal=True, breakdown=False).latency
    slower = estimate(arch, board, work, ideal=True, breakdown=False).latency
    gain = (slower / faster)[ideal["row"].to_numpy()]
    words = f"median {np.median(gain):.2f}x, at most {gain.max():.3f}x over the members"
    assert measured["INT8 gains less than 2x"] == words


def test_the_experiment_refuses_what_is_not_known(capsys):
    assert main(["-d", "nothing-like-it"]) == 2
    assert "nothing-like-it" in capsys.readouterr().err
