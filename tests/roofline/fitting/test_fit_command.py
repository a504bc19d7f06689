"""`roofline fit` from the command line."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from roofline.cli import run
from roofline.fitting import fit, load_form
from roofline.fitting.report import sentences
from roofline.fitting.runs import read_runs
from roofline.laws import load_law

QUICK = ["--starts", "12", "--bootstrap", "40"]


@pytest.fixture
def runs(tmp_path):
    """Thirty runs of the Chinchilla law with noise, as a file."""
    random = np.random.default_rng(0)
    size, tokens = np.repeat(np.geomspace(5e7, 2e9, 6), 5), np.tile(np.geomspace(1e9, 1e11, 5), 6)
    loss = load_law("chinchilla").at(size, tokens) * np.exp(0.002 * random.standard_normal(30))
    file = tmp_path / "runs.csv"
    pd.DataFrame({"N": size, "D": tokens, "loss": loss}).to_csv(file, index=False)
    return file


def test_a_fit_is_shown_and_written(runs, tmp_path, capsys):
    law, folder = tmp_path / "my_law.yaml", tmp_path / "report"
    words = ["fit", str(runs), "--holdout", "N > 1e9", "-o", str(law), "--report", str(folder)]
    assert run([*words, *QUICK]) == 0
    shown = capsys.readouterr().out
    for word in ("alpha", "95 % interval", "MAPE", "held out", "constant", "my_law.yaml"):
        assert word in shown
    assert load_law(law).name == "my-law"
    assert sorted(file.name for file in folder.iterdir()) == [
        "fit.json", "report.md", "residuals.csv", "residuals.png",
    ]  # fmt: skip
    page = (folder / "report.md").read_text()
    assert "| alpha |" in page
    assert "Fitted on 25 rows, held out 5" in page
    table = pd.read_csv(folder / "residuals.csv")
    np.testing.assert_allclose(np.log(table["predicted"] / table["loss"]), table["residual"])
    # the law works where laws do
    assert run(["estimate", "-m", "qwen2.5-0.5b", "-d", "phone", "--law", str(law)]) == 0
    assert "my-law" in capsys.readouterr().out


def test_json(runs, capsys):
    assert run(["fit", str(runs), "--json", "--holdout", "N > 1e9", *QUICK]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["coefficients"]) == {"e", "a", "b", "alpha", "beta"}
    each = found["coefficients"]["e"]
    assert each["low"] < each["value"] < each["high"]
    assert found["held_out"][0]["held_out_rows"] == 5
    assert found["mape"] < 0.01


def test_nothing_is_overwritten(runs, tmp_path, capsys):
    law = tmp_path / "law.yaml"
    law.write_text("mine")
    assert run(["fit", str(runs), "-o", str(law), *QUICK]) == 2
    assert "exists; --force overwrites it" in capsys.readouterr().err
    assert law.read_text() == "mine"
    assert run(["fit", str(runs), "--report", str(tmp_path), *QUICK]) == 2
    assert "is not empty, and nothing is overwritten" in capsys.readouterr().err
    assert run(["fit", str(runs), "-o", str(law), "--force", *QUICK]) == 0
    assert load_law(law).form == "chinchilla"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--form", "chinchila"], "nearest is 'chinchilla'"),
        (["--holdout", "N > 1e12"], "picks none of the 30 rows"),
        (["--holdout", "N > 0"], "too few for the 5 coefficients"),
        (["--where", "N > 1e12"], "picks none"),
        (["--where", "N < 6e7"], "5 runs cannot fit the 5 coefficients"),
        (["--set", "D=1e10"], "cannot be told apart"),
        (["--set", "D"], "write NAME=VALUE"),
        (["--fix", "q=1"], "no coefficient 'q'"),
        (["--fix", "e=99"], "lies outside"),
        (["--column", "tokens=T"], "no column 'T'"),
        (["--best-of", "k"], "no column 'k'"),
        (["--form", "codesign"], "no column for layers"),
    ],
)
def test_bad_input_is_one_sentence(runs, capsys, words, told):
    assert run(["fit", str(runs), *words, *QUICK]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.err.count("\n") == 1
    assert not said.out


def test_runs_that_are_none(capsys):
    assert run(["fit"]) == 2
    assert "no runs were named" in capsys.readouterr().err
    assert run(["fit", "bain"]) == 2
    assert "nearest is 'bian'" in capsys.readouterr().err


def test_datasets_are_listed(capsys):
    assert run(["fit", "--datasets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["porian"]["licence"] == "MIT"


def runs_file(path, **columns):
    """Forty runs of the Chinchilla law, with other columns in place of its own."""
    size, tokens = (
        x.ravel() for x in np.meshgrid(np.geomspace(2e7, 2e9, 8), np.geomspace(1e9, 1e11, 5))
    )
    loss = load_law("chinchilla").at(size, tokens)
    pd.DataFrame({"N": size, "D": tokens, "loss": loss} | columns).to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"run": ["a"] * 40}, "1 runs cannot fit the 5 coefficients"),
        ({"run": [None, *"b" * 39]}, "row 1: run is empty"),
        ({" loss": 1.0}, "two columns are named 'loss'"),
        ({"loss": 3.0}, "the loss is 3 in every row"),
        ({"N": [1e8, 0.0, *[1e9] * 38]}, "row 2: parameters 0; it is above zero"),
        ({"D": [-5.0, *[1e9] * 39]}, "row 1: tokens -5; it is above zero"),
    ],
)
def test_runs_that_say_too_little_are_refused(tmp_path, capsys, columns, said):
    file = runs_file(tmp_path / "runs.csv", **columns)
    assert run(["fit", file, "--starts", "4", "--bootstrap", "4"]) == 2
    assert said in capsys.readouterr().err


def test_what_is_read_is_never_written_over(tmp_path, capsys):
    file = runs_file(tmp_path / "runs.csv")
    before = (tmp_path / "runs.csv").read_bytes()
    assert run(["fit", file, "-o", file, "--force"]) == 2
    assert "is what is read" in capsys.readouterr().err
    assert (tmp_path / "runs.csv").read_bytes() == before
    assert run(["fit", "/dev/zero"]) == 2
    assert "is not a file" in capsys.readouterr().err


def test_a_search_that_went_astray_is_not_called_a_fit(tmp_path, capsys):
    values = load_law("chinchilla").at(np.geomspace(2e7, 2e9, 40), np.geomspace(1e9, 1e11, 40))
    file = runs_file(tmp_path / "runs.csv", loss=values * 1e30)
    out = tmp_path / "law.yaml"
    assert run(["fit", file, *QUICK, "-o", str(out)]) == 2
    assert "no better than one loss for all" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("agreeing", "starts", "few"), [(0.25, 4, True), (0.5, 4, False), (1.0, 1, False)]
)
def test_a_fit_that_one_start_found_says_so(runs, agreeing, starts, few):
    found = fit(load_form("chinchilla"), read_runs(runs), starts=8, replicates=4)
    told = " ".join(sentences(replace(found, agreeing=agreeing, starts=starts)))
    assert ("Few starts found it" in told) == few
