"""`roofline strategies` as a reader meets it: its files, its refusals."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from roofline.cli import run
from roofline.strategies import Difficulty, load_difficulty


@pytest.fixture
def _reader(tmp_path, monkeypatch):
    true = Difficulty(alpha=0.5, beta=1.5, concentration=0.4)
    k = np.array([1, 2, 4, 8, 16, 32])
    lines = [f"{n},{c:.4f},coverage" for n, c in zip(k, true.coverage(k), strict=True)]
    lines += [f"{n},{c:.4f},majority" for n, c in zip(k, true.majority(k), strict=True)]
    (tmp_path / "curve.csv").write_text("samples,accuracy,kind\n" + "\n".join(lines) + "\n")
    monkeypatch.chdir(tmp_path)


def test_a_plan_as_json_says_all(capsys: pytest.CaptureFixture[str]) -> None:
    words = "strategies -d phone -m qwen2.5-1.5b --weights int8 --max-samples 8 --json"
    assert run(words.split()) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["best"]["accuracy"] == pytest.approx(
        max(row["accuracy"] for row in said["front"]), abs=0.005
    )
    assert {"easiest", "hardest", "all"} <= set(said["by_budget"][0])
    assert said["assumptions"]
    assert said["limits"]["memory"] > 1e9


def test_a_better_verifier_is_worth_more(capsys: pytest.CaptureFixture[str]) -> None:
    reached = []
    for quality in ("0.6", "0.95"):
        words = f"strategies -d phone -m qwen2.5-1.5b -s best-of-n --quality {quality} --json"
        assert run(words.split()) == 0
        reached.append(json.loads(capsys.readouterr().out)["best"]["accuracy"])
    assert reached[1] > reached[0] + 0.05


@pytest.mark.usefixtures("_reader")
def test_a_fit_is_written_and_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["strategies", "fit", "curve.csv", "--task", "math", "-o", "mine.yaml"]) == 0
    said = capsys.readouterr().out
    assert "standard error" in said
    found = load_difficulty("mine.yaml")
    assert (found.alpha, found.beta, found.concentration) == pytest.approx(
        (0.5, 1.5, 0.4), rel=0.02
    )
    assert found.wrong_fitted
    assert run(["strategies", "fit", "curve.csv", "-o", "mine.yaml"]) == 2
    assert "mine.yaml" in capsys.readouterr().err
    assert run(["strategies", "fit", "curve.csv", "-o", "curve.csv", "--force"]) == 2
    assert Path("curve.csv").read_text().startswith("samples")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the header has no column 'samples'"),
        ("k,acc\n1,0.2\n", "the header has no column 'samples'"),
        ("samples,accuracy\n1,0.2\n2,x\n", ":3: accuracy: read 'x'"),
        ("samples,accuracy\n1,20\n", ":2: accuracy: read 20; write a share"),
        ("samples,accuracy\n1.5,0.2\n", ":2: samples: read 1.5"),
        ("samples,accuracy\n1,\n", ":2: accuracy: read ''"),
        ("samples,accuracy\n1\n", ":2: accuracy: read None"),
        ("samples,accuracy,kind\n1,0.2,vote\n", ":2: kind: read 'vote'"),
        ("samples,accuracy\n1,0.2,3\n", ":2: the row has more values than the header"),
        ("samples,accuracy\n1,0.2\n2,0.3\n", "do not settle"),
        ("samples,accuracy\n1,0.3\n2,0.3\n4,0.3\n", "flat curve"),
        ("samples,accuracy\n1,nan\n", ":2: accuracy: read 'nan'"),
    ],
)
def test_a_bad_curve_is_one_sentence(
    text: str, said: str, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.csv").write_text(text)
    assert run(["strategies", "fit", str(tmp_path / "bad.csv")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "no device was given"),
        ("-d fone", "phone"),
        ("-d phone --task maths", "nearest is 'math'"),
        ("-d phone -m llama-3.2-1bb", "llama-3.2-1b"),
        ("-d phone -s majorty", "nearest is 'majority'"),
        ("-d phone --weights int5", "nearest is"),
        ("-d phone --verifier prm-9b", "prm-8b"),
        ("-d phone --verifier unit-tests", "unit-tests judges humaneval, code, not math"),
        ("-d phone --verifier none --quality .9", "--quality: there is no verifier of math"),
        ("-d phone -m qwen2.5-0.5b -m qwen2.5-0.5b", "'qwen2.5-0.5b' is named twice"),
        ("-d phone --exchange qwen2.5-0.5b:qwen2.5-3b -o out", "--out beside it"),
        ("-d phone --exchange qwen2.5-0.5b:qwen2.5-3b --kinetics", "--kinetics beside it"),
        ("-d phone --kinetics --max-latency 3s", "--max-latency beside it"),
        ("--list -d phone", "--device beside it"),
        ("-d phone --max-latency 1ms", "the least of each alone is latency"),
        ("-d phone --max-latency 10", "--max-latency: '10' has no unit"),
        ("-d phone --max-energy 0J", "allows no answer"),
        ("-d phone --against time", "--against: read 'time'"),
        ("-d phone --quality 0.3", "quality"),
        ("-d phone --max-samples 0", "--max-samples"),
        ("-d phone -s best-of-n --verifier none", "no verifier judges this task"),
        ("-d phone --exchange llama-3.2-1b", "write SMALL:LARGE"),
        ("-d phone --exchange llama-3.1-8b:llama-3.2-1b", "name the small model first"),
        ("-d phone --task code -m llama-3.2-1b", "nothing is published of model"),
        ("-d phone --revision-lost 2", "revision_lost"),
        ("-d phone --difficulty nothing.yaml", "nothing"),
        ("-d phone --runtime llama", "unknown runtime"),
    ],
)
def test_a_refusal_is_one_sentence(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["strategies", *words.split()]) == 2
    error = capsys.readouterr().err
    assert said in error, error
    assert error.count("\n") == 1


def test_nothing_is_written_over(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    words = f"strategies -d phone -m llama-3.2-1b -o {tmp_path / 'full'}"
    assert run(words.split()) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert [f.name for f in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_a_plan_in_a_folder(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"strategies -d phone -m llama-3.2-1b --weights int8 -o {tmp_path / 'plan'}"
    assert run(words.split()) == 0
    assert {f.name for f in (tmp_path / "plan").iterdir()} == {
        "front.csv", "front.png", "plan.yaml",
    }  # fmt: skip
    assert yaml.safe_load((tmp_path / "plan" / "plan.yaml").read_text())["device"] == "sd8elite"


def test_the_report_is_what_the_command_writes(tmp_path) -> None:
    from roofline.strategies.__main__ import main

    main(tmp_path)
    kept = (Path(__file__).parents[3] / "reports" / "strategies" / "README.md").read_text()
    made = (tmp_path / "README.md").read_text()
    for heading in re.findall(r"^## .+$", kept, flags=re.MULTILINE):
        assert heading in made
    assert made.split("## Eight")[0].split("On the phone")[0] == kept.split("On the phone")[0]
    for number in ("257.8", "63.4", "15.8", "5.77 to 6.12", "4.64 to 4.86"):
        assert number in made
    assert {"phone-math.png", "phone-math.csv"} <= {file.name for file in tmp_path.iterdir()}
