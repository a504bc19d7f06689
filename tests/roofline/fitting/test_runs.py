"""Tables of runs: which column is what, what is refused, and what a condition picks."""

import numpy as np
import pandas as pd
import pytest

from roofline.fitting import Runs, datasets, load_dataset, read_runs
from roofline.laws.formula import Formula
from spec_files import SpecError

TABLE = pd.DataFrame(
    {
        "N": [1e8, 2e8, 3e8],
        "d": [512, 768, 1024],
        "D": [1e9, 2e9, 3e9],
        "final_loss": [3.5, 3.2, 3.0],
        "set": ["c4", "rpj", "c4"],
    }
)


def test_capitals_tell_tokens_from_width():
    runs = Runs(TABLE)
    np.testing.assert_array_equal(runs.numbers("tokens"), [1e9, 2e9, 3e9])
    np.testing.assert_array_equal(runs.numbers("width"), [512, 768, 1024])
    np.testing.assert_array_equal(runs.loss(), [3.5, 3.2, 3.0])


def test_the_callers_word_goes_before_names():
    runs = Runs(TABLE.assign(tokens=7.0), columns={"tokens": "D"})
    np.testing.assert_array_equal(runs.numbers("tokens"), [1e9, 2e9, 3e9])
    with pytest.raises(SpecError, match="'tokns' is not a variable of laws; nearest is 'tokens'"):
        Runs(TABLE, columns={"tokns": "D"})


def test_two_columns_that_could_be_it_are_not_chosen_between():
    runs = Runs(TABLE.drop(columns="d").assign(w=1, d=2))
    with pytest.raises(SpecError, match=r"columns 'w' and 'd' could both be width"):
        runs.numbers("width")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"final_loss": [3, 0, 2]}, "row 2: loss 0; a loss is above zero"),
        ({"final_loss": [3, -1, 2]}, "row 2: loss -1"),
        ({"final_loss": [3, 2, None]}, "row 3: final_loss: read 'nan'"),
        ({"final_loss": [3, 2, np.inf]}, "row 3: final_loss: read 'inf'"),
        ({"final_loss": ["3", "x", "y"]}, "row 2: final_loss: read 'x'.*1 more row"),
    ],
)
def test_a_loss_that_is_none_names_its_row(change, words):
    with pytest.raises(SpecError, match=words):
        Runs(TABLE.assign(**change)).loss()


def test_a_missing_column_names_the_nearest():
    runs = Runs(TABLE.rename(columns={"D": "tokns"}), "runs.csv")
    with pytest.raises(SpecError, match=r"runs\.csv: no column for tokens .*nearest is 'tokns'"):
        runs.numbers("tokens")


@pytest.mark.parametrize(
    ("condition", "picked"),
    [
        ("N > 1.5e8", [False, True, True]),
        ("1e8 < N < 3e8", [False, True, False]),
        ("set == 'c4' and not D > 2e9", [True, False, False]),
        ("parameters > 2e8 or width < 600", [True, False, True]),
        ("log10(D) >= 9.4", [False, False, True]),
    ],
)
def test_conditions_pick_whole_columns(condition, picked):
    np.testing.assert_array_equal(Runs(TABLE).where(condition), picked)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "a.real", "a[0]", "(lambda: a)()", "[x for x in a]", "open(a)",
        "a if a else a", "exp", "exp(a, a)", "a == 1", "True", "'a'", "a ^ 2", "f'{a}'", "a := 3",
        "", "a; a",
        "-" * 1999 + "a", "(" * 300 + "a" + ")" * 300,
    ],
)  # fmt: skip
def test_a_formula_is_nothing_but_arithmetic(text):
    with pytest.raises(SpecError):
        Formula(text, "form")({"a": np.ones(2)})


def test_a_tower_of_powers_ends():
    """As whole numbers of Python it would not."""
    found = Formula("9**9**9**9 * a", "form")({"a": np.ones(2)})
    assert np.isinf(found).all()


def test_a_formula_computes_what_it_says():
    values = {"a": np.array([1.0, 2.0]), "b": 3.0}
    found = Formula("exp(a) - b**2 / sqrt(a) + minimum(a, 1.5)", "form")(values)
    a = values["a"]
    np.testing.assert_allclose(found, np.exp(a) - 9 / np.sqrt(a) + np.minimum(a, 1.5))


def test_the_best_of_a_grid():
    table = pd.DataFrame({"d": [1, 1, 2, 2], "warm": [1, 2, 1, 2], "loss": [3.0, 2.9, 2.5, 2.6]})
    kept = Runs(table).best_of(["d"])
    np.testing.assert_array_equal(kept.loss(), [2.9, 2.5])
    assert "best of each d" in kept.describe()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("runs.csv", lambda t, f: t.to_csv(f, index=False)),
        ("runs.jsonl", lambda t, f: t.to_json(f, orient="records", lines=True)),
        ("runs.parquet", lambda t, f: t.to_parquet(f)),
    ],
)
def test_files_of_three_kinds(tmp_path, name, write):
    write(TABLE, tmp_path / name)
    runs = read_runs(tmp_path / name)
    np.testing.assert_allclose(runs.numbers("tokens"), TABLE["D"])
    assert len(runs.sha256) == 64


def test_files_that_are_none(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("N,D,loss\n")
    for file, words in (("no.csv", "no such file"), ("empty.csv", "not a table"),
                        ("header.csv", "no rows")):  # fmt: skip
        with pytest.raises(SpecError, match=words):
            read_runs(tmp_path / file)


def test_a_data_set_is_found_by_the_variable_and_held_to_its_hash(tmp_path, monkeypatch):
    monkeypatch.delenv("ROOFLINE_DATA", raising=False)
    with pytest.raises(SpecError, match="set ROOFLINE_DATA to the folder that holds bian_points"):
        load_dataset("bian")
    monkeypatch.setenv("ROOFLINE_DATA", str(tmp_path / "none"))
    with pytest.raises(SpecError, match="not a folder"):
        load_dataset("bian")
    monkeypatch.setenv("ROOFLINE_DATA", str(tmp_path))
    with pytest.raises(SpecError, match=r"no such file.*extract of https://github.com"):
        load_dataset("bian")
    (tmp_path / "bian_points.csv").write_text("N,loss\n1,2\n")
    with pytest.raises(SpecError, match=r"SHA-256 begins with \w{12}.*another file"):
        load_dataset("bian")
    with pytest.raises(SpecError, match="nearest is 'bian'"):
        load_dataset("bain")


def test_every_data_set_says_where_it_is_from():
    known = datasets()
    assert len(known) == 9
    for entry in known.values():
        assert entry.origin.startswith("https://github.com/")
        assert entry.licence
        assert len(entry.sha256) == 64
        assert "arXiv" in entry.source


def test_one_column_is_not_two_variables():
    table = pd.DataFrame({"n": [1e8, 1e9], "loss": [3.0, 2.0]})
    with pytest.raises(SpecError, match="'n' is said to be both parameters and tokens"):
        Runs(table, columns={"parameters": "n", "tokens": "n"})
