"""Fits of runs whose law is known: values, intervals, what is told, and the law that is written."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
import pandas as pd
import pytest
import yaml

from arch_space.architectures import Architectures
from roofline.fitting import Runs, fit, hold_out, load_form
from roofline.fitting.holdout import power_law
from roofline.fitting.law_file import fitted_law, to_yaml
from roofline.fitting.recovery import codesign_runs
from roofline.laws import load_law
from roofline.laws.law import Coefficient, Law, Limit
from spec_files import SpecError

TRUTH = {"e": 1.8172, "a": 482.01, "b": 2085.43, "alpha": 0.3478, "beta": 0.3658}


def ladder(noise=0.002, checkpoints=1, seed=0):
    """Runs of the Chinchilla law: sizes times tokens, with noise of runs and of checkpoints."""
    random = np.random.default_rng(seed)
    rows = [
        (f"{size:g}-{tokens:g}", size, tokens * (1 + 0.02 * step))
        for size in np.geomspace(3e7, 3e9, 8)
        for tokens in np.geomspace(1e9, 1e12, 7)
        for step in range(checkpoints)
    ]
    table = pd.DataFrame(rows, columns=["run", "N", "D"])
    shared = dict(zip(table["run"].unique(), random.standard_normal(56), strict=True))
    table["loss"] = load_law("chinchilla").at(table["N"], table["D"]) * np.exp(
        noise * table["run"].map(shared) + 0.1 * noise * random.standard_normal(len(table))
    )
    return Runs(table, "ladder.csv")


@pytest.fixture(scope="module")
def fitted():
    return fit("chinchilla", ladder())


def test_the_law_behind_the_runs_is_found(fitted):
    assert fitted.mape < 0.0025
    for name, truth in TRUTH.items():  # how often they hold the truth: test_recovery
        each = fitted[name]
        assert each.low / 1.1 < truth < each.high * 1.1, name
        assert each.low <= each.value <= each.high
    assert fitted["e"].told
    assert fitted["e"].value == pytest.approx(TRUTH["e"], rel=0.03)


def test_without_noise_the_coefficients_are_exact():
    found = fit("chinchilla", ladder(0.0), replicates=0)
    for name, truth in TRUTH.items():
        assert found[name].value == pytest.approx(truth, rel=1e-3)
    assert np.isnan(found["e"].low)


def test_intervals_narrow_with_the_noise(fitted):
    quiet = fit("chinchilla", ladder(0.0005))
    for name in TRUTH:
        assert np.log(quiet[name].high / quiet[name].low) < 0.6 * np.log(
            fitted[name].high / fitted[name].low
        )


def test_checkpoints_of_one_run_do_not_count_as_runs(fitted):
    """Ten rows a run tell little more than one; counted one by one they would seem to."""
    many = ladder(checkpoints=10)
    whole = fit("chinchilla", many)
    single = fit("chinchilla", Runs(many.table.drop(columns="run")))
    width = {
        name: np.log(found["e"].high / found["e"].low)
        for name, found in (("whole", whole), ("single", single), ("one", fitted))
    }
    assert width["single"] < 0.5 * width["whole"]
    assert 0.6 < width["whole"] / width["one"] < 1.7


def test_what_runs_cannot_tell_is_said():
    """Two counts of tokens cannot tell a floor, a scale and a power."""
    runs = ladder()
    found = fit("chinchilla", runs.keep((runs.table["D"] > 3e11).to_numpy()))
    for name in ("e", "b", "beta"):
        assert "cannot tell it apart from" in found[name].why
    assert found["alpha"].told


def test_an_interval_that_runs_into_the_bounds_is_not_told():
    """Runs of one size range so noisy that a power of tokens could be anything."""
    runs = ladder(0.3)
    found = fit("chinchilla", runs)
    assert any("bounds" in each.why for each in found.coefficients)
    law = fitted_law(found, "noisy")
    assert len(law.uncertainty.samples) == 200
    assert law.draws(50).at(1e9, 1e11).shape == (50, 1)


def test_a_column_that_does_not_vary_is_an_error_until_its_coefficients_are_held():
    runs = ladder().with_constant("D", 1e10)
    with pytest.raises(SpecError, match=r"column 'D' is 1e\+10 in all 56 rows.* --fix"):
        fit("chinchilla", runs)
    found = fit("chinchilla", runs, fixed={"b": 2085.43, "beta": 0.3658}, replicates=0)
    assert found["b"].why == "held"
    assert found.law.coefficients()["b"] == 2085.43


def test_coefficients_that_only_act_together_are_named():
    runs = ladder()
    law = power_law("parameters")
    twice = law.model_copy(
        update={"formula": "floor*scale_parameters / parameters**power_parameters"}
    )
    found = fit(type(law).model_validate(twice.model_dump()), runs, replicates=20)
    assert "apart" in found["floor"].why
    assert "scale_parameters" in found["floor"].why
    assert "apart" in found["scale_parameters"].why


def test_too_few_runs():
    runs = ladder()
    with pytest.raises(
        SpecError, match="5 runs cannot fit the 5 coefficients of form 'chinchilla'"
    ):
        fit("chinchilla", runs.keep(np.arange(len(runs)) < 5))


def test_the_written_law_reads_back_and_predicts_the_same(fitted, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(to_yaml(fitted_law(fitted, "mine")))
    law = load_law(file)
    np.testing.assert_allclose(
        law.at(fitted.runs.numbers("parameters"), fitted.runs.numbers("tokens")),
        fitted.predict(fitted.runs),
        rtol=1e-5,
    )
    assert law.range["parameters"] == pytest.approx((3e7, 3e9))
    spread = law.uncertainty
    assert spread.coefficients == tuple(TRUTH)
    assert spread.residual == pytest.approx(0.002, rel=0.3)
    assert "56 whole runs" in spread.basis
    assert "ladder.csv" in law.data
    drawn = law.draws(400)
    assert drawn.e.shape == (400, 1)
    low, high = np.percentile(drawn.e, [2.5, 97.5])
    assert high - low == pytest.approx(fitted["e"].high - fitted["e"].low, rel=0.35)


def test_a_formula_of_ones_own(tmp_path):
    form = tmp_path / "form.yaml"
    form.write_text(
        yaml.safe_dump(
            {
                "formula": "e + a * parameters**-alpha + exp(log(b) - beta*log(tokens))",
                "constants": {
                    "e": {"start": [0.1, 3], "bounds": [0.01, 10]},
                    "a": {"start": [1, 1e5], "bounds": [1e-3, 1e9]},
                    "b": {"start": [1, 1e5], "bounds": [1e-3, 1e9]},
                    "alpha": {"start": [0.1, 1], "bounds": [0.01, 3]},
                    "beta": {"start": [0.1, 1], "bounds": [0.01, 3]},
                },
            }
        )
    )
    runs = ladder()
    own, known = fit(form, runs, replicates=0), fit("chinchilla", runs, replicates=0)
    assert own.cost == pytest.approx(known.cost, rel=1e-6)
    file = tmp_path / "law.yaml"
    file.write_text(to_yaml(fitted_law(own, "law")))
    law = load_law(file, tokens=1e10)
    assert law.at(1e9, 1e10) == pytest.approx(float(known.law.at(1e9, 1e10)), rel=1e-4)


class ArcLaw(Law):
    """A form in Python, with a function that slopes are not known of."""

    variables: ClassVar[tuple[str, ...]] = ("parameters",)
    floor: Annotated[float, Coefficient((0.5, 3.0), (0.1, 10.0))]
    rise: Annotated[float, Coefficient((-1.0, 1.0), (-5.0, 5.0), log=False)]

    def at(self, parameters):
        return self.floor + self.rise * np.arctan(self.floor * 1e9 / parameters)

    def limits(self, arch: Architectures) -> Iterator[Limit]:
        yield from ()


def test_a_class_of_ones_own_and_a_formula_that_duals_cannot_follow():
    size = np.geomspace(1e8, 1e10, 30)
    loss = 2.0 - 0.3 * np.arctan(2.0e9 / size)
    found = fit(ArcLaw, Runs(pd.DataFrame({"parameters": size, "loss": loss})), replicates=0)
    assert found["floor"].value == pytest.approx(2.0, rel=1e-4)
    assert found["rise"].value == pytest.approx(-0.3, rel=1e-3)


def test_the_codesign_law_from_a_table(tmp_path):
    names = ("layers", "width", "expansion", "activation", "cached_width")
    columns = codesign_runs(120)
    table = pd.DataFrame(dict(zip(names, columns, strict=True)))
    random = np.random.default_rng(0)
    table["loss"] = load_law("codesign").at(*columns) * np.exp(0.002 * random.standard_normal(120))
    runs = Runs(table)
    found = fit("codesign", runs, replicates=0)
    assert found.mape < 0.002
    with pytest.raises(SpecError, match="no column for tokens"):
        fitted_law(found, "mine")
    with pytest.raises(SpecError, match=r"'experts'.*--set experts=VALUE"):
        fitted_law(found, "mine", tokens=1e10)


def test_hold_out_tells_the_right_form_from_simpler_ones():
    runs = ladder(0.001)
    found = hold_out("chinchilla", runs, "N > 1e9 or D > 5e11")
    first, *simpler = found
    assert first.form == "chinchilla"
    assert first.fitted + first.held == len(runs)
    assert {"constant", "parameters", "tokens"} <= {each.form for each in simpler}
    assert first.mape < 0.002
    assert all(each.mape > 5 * first.mape for each in simpler)
    held = runs.keep(runs.where("N > 1e9 or D > 5e11"))
    np.testing.assert_allclose(first.errors, first.fit.predict(held) / held.loss() - 1)
    # the fit has not seen them
    assert not np.isin(held.table["run"], first.fit.runs.table["run"]).any()


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("N > 1e12", "picks none of the 56 rows"),
        ("N > 0", "leaves 0 of 56 rows, too few for the 5 coefficients"),
        ("N > 4e7", "leaves 7 of 56 rows|cannot be told apart"),
        ("size > 3", "unknown name 'size'"),
        ("N + 1", "is not a condition"),
        ("N > 1e9 and D", "D beside and/or is not a comparison"),
        ("N > '5'", "a number and a quoted word are compared"),
        ("N >", "is not an expression"),
    ],
)
def test_a_hold_out_that_leaves_nothing_is_one_sentence(condition, words):
    with pytest.raises(SpecError, match=words):
        hold_out("chinchilla", ladder(), condition)


def test_an_unknown_form_names_the_nearest():
    with pytest.raises(SpecError, match="nearest is 'chinchilla'"):
        load_form("chinchila")
