"""`roofline laws`; and `--law`, `--tokens`, `--task`, `--relative` of other commands."""

import json
from pathlib import Path

import pytest

from arch_space.library import load_model
from roofline.cli import run
from roofline.laws import law_names, load_law, relative
from roofline.laws.law import formula, law_forms

DOCS = Path(__file__).parents[3] / "docs"


def roofline(capsys, *words):
    """Return what a command prints; it must succeed."""
    assert run(list(words)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def read(capsys, *words):
    return json.loads(roofline(capsys, *words, "--json"))


def fault(capsys, *words):
    """Return the sentence of a command that must refuse."""
    assert run(list(words)) == 2
    found = capsys.readouterr().err
    assert found.count("\n") == 1
    return found


# The listing


def test_every_law_is_listed_with_its_unit_and_variables(capsys):
    listed = read(capsys, "laws")
    assert [law["name"] for law in listed] == law_names()
    by_name = {law["name"]: law for law in listed}
    assert by_name["conditional"]["unit"] == "ratio to the optimum"
    assert by_name["codesign"]["variables"][:2] == ["layers", "width"]
    assert by_name["codesign"]["uncertainty"] is True
    assert by_name["chinchilla"]["uncertainty"] is False
    assert by_name["chinchilla"]["sd"] is None
    printed = roofline(capsys, "laws")
    assert all(name in printed for name in ("codesign", "chinchilla-2022", "gemstones-hot"))
    assert "SHA" not in printed


def test_filters_choose_by_variable_and_form_and_combine(capsys):
    seen = read(capsys, "laws", "--sees", "width", "--sees", "layers")
    names = {law["name"] for law in seen}
    assert {"codesign", "gemstones-hot"} <= names
    assert not {"chinchilla", "conditional"} & names
    assert {law["name"] for law in read(capsys, "laws", "--sees", "weight_format")} >= {"precision"}
    forms = read(capsys, "laws", "--form", "chinchilla")
    assert {law["form"] for law in forms} == {"chinchilla"}
    assert read(capsys, "laws", "--form", "chinchilla", "--sees", "width") == []
    assert "nearest is 'width'" in fault(capsys, "laws", "--sees", "widht")
    assert "nearest is 'chinchilla'" in fault(capsys, "laws", "--form", "chinchila")
    assert "belong behind show" in fault(capsys, "laws", "--form", "kaplan", "show", "kaplan")


@pytest.mark.parametrize("name", law_names())
def test_a_law_is_shown_with_all_that_it_rests_on(name, capsys):
    law, printed = load_law(name), roofline(capsys, "laws", "show", name)
    assert formula(law).splitlines()[0] in printed
    assert law.source in " ".join(printed.split())
    for key, value in law.coefficients().items():
        assert key in printed
        assert f"{value:.6g}" in printed
    shown = read(capsys, "laws", "show", name)
    assert shown["coefficients"] == pytest.approx(law.coefficients())
    assert shown["unit"] == law.unit
    for low, high in shown["ranges"].values():
        assert high is None or low <= high < float("inf")


def test_an_interval_of_the_coefficients_is_shown_where_it_is_known(capsys):
    row = next(
        line
        for line in roofline(capsys, "laws", "show", "codesign").splitlines()
        if line.startswith("│ a_l ")
    )
    low, high = (float(word) for word in row.split("│")[3].split(" to "))
    sd = load_law("codesign").uncertainty.covariance[1][1] ** 0.5
    assert high / low == pytest.approx(2.718281828 ** (2 * 1.6449 * sd), rel=0.05)
    assert " to " not in roofline(capsys, "laws", "show", "chinchilla").split("Range")[0]


def test_every_form_states_its_formula():
    for name, form in law_forms().items():
        assert " = " in formula(form) or name == "expression"  # the file has it
    assert formula(load_law("krajewski-dense")).startswith("L = c + a / matrix_parameters**alpha")


def test_an_unknown_law_is_a_sentence_that_names_the_nearest(capsys):
    for words in (
        ("laws", "show", "co-design"),
        ("estimate", "-m", "smollm2-135m", "-d", "phone", "--law", "co-design"),
        ("compare", "-m", "smollm2-135m", "-d", "phone", "--law", "chinchilla,co-design"),
    ):
        assert "nearest is 'codesign'" in fault(capsys, *words)


def test_curves_are_listed_with_their_errors(capsys):
    printed = roofline(capsys, "laws", "curves")
    assert "hellaswag" in printed
    assert "0.86 points" in printed
    listed = {curve["name"]: curve for curve in read(capsys, "laws", "curves")}
    assert listed["mean-of-46"]["rmse"] == pytest.approx(0.008, abs=5e-4)


# estimate


def test_estimate_prints_loss_perplexity_and_their_intervals(capsys):
    found = read(capsys, "estimate", "-m", "qwen2.5-0.5b", "-d", "phone")
    assert found["loss"] == pytest.approx(3.4754, abs=1e-4)
    assert found["perplexity"] == pytest.approx(2.718281828 ** found["loss"])
    assert found["loss_low"] < found["loss"] < found["loss_high"]
    assert found["perplexity_high"] == pytest.approx(2.718281828 ** found["loss_high"])
    assert found["accuracy"] == {}
    printed = roofline(capsys, "estimate", "-m", "qwen2.5-0.5b", "-d", "phone")
    assert "3.4754 nats per token" in printed
    assert "Interval of the loss: derived, not published" in printed
    assert "32.31" in printed


def test_estimate_reads_tasks_off_curves_and_says_what_they_vouch_for(capsys):
    words = ("estimate", "-m", "qwen2.5-0.5b", "-d", "phone", "--task", "hellaswag")
    asked = (*words, "--law", "gemstones-hot", "--tokens", "100B")
    share = read(capsys, *asked)["accuracy"]["hellaswag"]
    assert share["in_range"]
    assert share["low"] < share["accuracy"] < share["high"]
    assert f"{100 * share['accuracy']:.1f} %" in roofline(capsys, *asked)
    foreign = read(capsys, *words)["accuracy"]["hellaswag"]
    assert not foreign["in_range"]
    assert "of other data than the curve's" in foreign["flag"]
    assert "of other data" in " ".join(roofline(capsys, *words).replace("│", " ").split())
    assert len(read(capsys, *words[:-1], "all")["accuracy"]) == 11
    assert "nearest is 'hellaswag'" in fault(capsys, *words[:-1], "helaswag")
    refused = fault(capsys, *words, "--law", "conditional")
    assert "gives ratio to the optimum, not a loss" in refused


def test_estimate_prints_the_laws_unit_and_obeys_tokens(capsys):
    words = ("estimate", "-m", "smollm2-135m", "-d", "phone", "--law")
    ratio = read(capsys, *words, "conditional")
    assert ratio["loss_unit"] == "ratio to the optimum"
    assert ratio["perplexity"] is None
    printed = roofline(capsys, *words, "conditional")
    assert "ratio to the optimum" in printed
    assert "perplexity" not in printed
    few, many = (read(capsys, *words, "chinchilla", "--tokens", n) for n in ("10B", "100B"))
    assert many["loss"] < few["loss"]
    assert few["loss_low"] is None
    assert few["loss_interval_basis"].startswith("none: nothing is published")
    assert "nothing is published of the errors of law chin" in roofline(
        capsys, *words, "chinchilla"
    )
    assert "1e+10 training tokens only" in fault(capsys, *words, "codesign", "--tokens", "20B")


# compare


PAIR = ("compare", "-m", "smollm2-135m", "-m", "qwen2.5-0.5b", "-d", "phone")


def test_compare_sets_laws_side_by_side(capsys):
    rows = read(capsys, *PAIR, "--law", "codesign,chinchilla,conditional")
    for row in rows:
        assert list(row["losses"]) == ["codesign", "chinchilla", "conditional"]
        assert row["loss"] == row["losses"]["codesign"]["loss"]
        assert row["loss_law"] == "codesign"
        law, arch = load_law("chinchilla"), load_model(row["model"])
        assert row["losses"]["chinchilla"]["loss"] == pytest.approx(law.loss(arch)[0])
    printed = roofline(capsys, *PAIR, "--law", "codesign,chinchilla,conditional")
    assert "Law conditional gives ratio to the optimum." in printed
    assert "different data" in printed
    assert "different data" not in roofline(capsys, *PAIR)
    for law in ("codesign,codesign", "codesign,", ",codesign"):
        assert "write each law once" in fault(capsys, *PAIR, "--law", law)


def test_compare_relative_stays_inside_each_law(capsys):
    words = (*PAIR, "--law", "codesign,conditional", "--relative", "llama-3.2-1b")
    for row in read(capsys, *words):
        beside = row["relative"]
        for name, unit in (("codesign", "nats"), ("conditional", "times the baseline")):
            found = relative(load_law(name), load_model(row["model"]), load_model("llama-3.2-1b"))
            assert beside[name]["unit"] == unit
            assert beside[name]["baseline"] == "llama-3.2-1b"
            assert beside[name]["difference"] == pytest.approx(found.difference[0])
        assert beside["conditional"]["flag"].count("baseline: ") == 1  # 1.2B is out of its range
    printed = roofline(capsys, *words)
    assert "Beside llama-3.2-1b, inside each law" in printed
    assert "+0.145 ± 0.028" in printed
    assert "relative" not in read(capsys, *PAIR)[0]


def test_a_format_without_a_penalty_costs_only_its_own_row_the_loss(capsys):
    rows = read(capsys, *PAIR, "--weights", "fp8", "--weights", "fp16", "--law", "codesign")
    known = {(row["model"], row["weights"]): row["loss"] for row in rows}
    assert known["qwen2.5-0.5b", "fp8"] is None
    assert known["qwen2.5-0.5b", "fp16"] == pytest.approx(3.4754, abs=1e-4)
    assert "no published change" in rows[0]["losses"]["codesign"]["flag"]
    assert "– *" in roofline(capsys, *PAIR, "--weights", "fp8", "--relative", "smollm2-135m")


def test_compare_prints_accuracies_by_law(capsys):
    words = (*PAIR, "--law", "codesign,gemstones-hot,conditional", "--task", "hellaswag")
    printed = roofline(capsys, *words)
    table = printed.split("What the losses stand for")[1]
    rows = [line for line in table.splitlines() if "qwen2.5-0.5b" in line]
    assert len(rows) == 2  # a ratio stands for no accuracy
    assert "% *" in rows[0]
    assert "% *" not in rows[1]


# The page


def test_the_page_has_the_laws_as_they_are():
    """`python -m roofline.laws table --out docs` writes its tables again."""
    from roofline.laws.__main__ import MARK, table

    page = (DOCS / "laws.md").read_text()
    assert page.partition(MARK)[2].strip() == table().strip()
    assert all(f"`{name}`" in table() for name in law_names())
