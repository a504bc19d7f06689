"""One call for each question, and results that show themselves."""

import re

import numpy as np
import pytest

import roofline
from roofline.html_table import html_table, spread_rows
from roofline.report.explorer import best_within, budgets_of
from roofline.search.sweep import Sweep
from spec_files import SpecError


@pytest.fixture(scope="module")
def runs() -> dict[str, roofline.search.run.SweepRun]:
    same = {"space": "paper-grid", "prompt": 512, "references": []}
    return {name: roofline.sweep("phone", weights=name, **same) for name in ("fp16", "q4_k_m")}


def test_a_sweep_is_that_of_the_room_below() -> None:
    run = roofline.sweep("phone", "paper-grid", weights="int8", max_tpot="20ms", references=[])
    job = Sweep.prepare(
        device=roofline.load_device("phone"),
        space="paper-grid",
        formats={"weight_format": "int8"},
        constraints={"tpot": 0.02},
        references=[],
    )
    assert run.to_frame().equals(job.run(job.problem()).front)
    assert run.to_frame()["tpot_s"].max() <= 0.02


def test_the_best_within_limits_is_named() -> None:
    free = roofline.sweep("phone", "paper-grid", references=[])
    assert free.likely_best is None
    run = roofline.sweep("phone", "paper-grid", max_tpot="12ms", references=[])
    sure = [row for row in range(len(run.front)) if run.front.at[row, "p_feasible"] >= 0.7]
    assert 0 < len(sure) < len(run.front)
    assert run.likely_best == min(sure, key=lambda row: run.front.at[row, "loss"])
    assert run.to_dict()["likely_best"] == run.likely_best


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: roofline.sweep("phone", "paper-grid", max_tpots="20ms"), "tpots"),
        (lambda: roofline.sweep("phone", "paper-grid", max_tpot="20 bananas"), "bananas"),
        (lambda: roofline.strategy_for("phone", max_tpot="20ms"), "max_tpot"),
        (lambda: roofline.strategy_for("phone", max_latency="ten"), "max_latency"),
        (lambda: roofline.hardware_for("phone", loss=3.0), "limit"),
        (lambda: roofline.plot(3), "int"),
        (lambda: roofline.explore({}), "no sweep"),
    ],
)
def test_bad_input_is_one_sentence(call, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_limit_without_a_unit_is_in_si() -> None:
    asked = {"task": "math", "models": ["qwen2.5-0.5b"], "weights": ["int8"], "most": 4}
    seconds = roofline.strategy_for("phone", max_latency=10, **asked)
    assert seconds.to_frame().equals(
        roofline.strategy_for("phone", max_latency="10s", **asked).to_frame()
    )
    everything = seconds.options.to_frame()
    assert len(everything) <= seconds.options.count
    best = everything[everything["latency_s"] <= 10]["accuracy"].max()
    assert seconds.to_frame()["accuracy"].max() == best


def test_every_public_name_is_there() -> None:
    for name in roofline.__all__:
        assert getattr(roofline, name) is not None
        assert name in dir(roofline)


def test_a_table_escapes_and_keeps_its_rows() -> None:
    text = html_table(["<a>"], [["x & y"], ["<script>"]], title="5 < 6", notes=["a > b"])
    assert "<script>" not in text
    assert text.count("<tr>") == 3
    assert "5 &lt; 6" in text
    assert "x &amp; y" in text


@pytest.mark.parametrize("count", [0, 1, 12, 13, 500])
def test_rows_are_spread_with_both_ends(count: int) -> None:
    rows = spread_rows(count, keep=[count // 3] if count else [])
    assert rows == sorted(set(rows))
    assert len(rows) <= min(count, 13)
    if count:
        assert {0, count // 3, count - 1} <= set(rows)


def test_results_show_what_they_hold(runs) -> None:
    run = runs["q4_k_m"]
    shown = run._repr_html_()
    cells = re.findall(r"<td[^>]*>(\d+\.\d{4})</td>", shown)
    assert [float(c) for c in cells] == sorted(float(c) for c in cells)
    assert f"{run.front['loss'].iloc[0]:.4f}" in cells
    assert f"{run.knee} knee" in shown
    models = roofline.load_models(["qwen2.5-0.5b", "llama-3.2-1b"])
    found = roofline.estimate(models, roofline.load_device("phone"), roofline.Workload())
    assert "llama-3.2-1b" in found._repr_html_()
    loss = roofline.predict(roofline.load_law("codesign"), models)
    assert f"{loss.to_frame()['loss'][1]:.4f}" in loss._repr_html_()


def test_the_explorer_stars_the_best_of_each_budget(runs) -> None:
    figure = roofline.explore(runs)
    fronts, stars = figure.data[: len(runs)], figure.data[len(runs) :]
    budgets = budgets_of(runs)
    steps = figure.layout.sliders[0].steps
    assert len(steps) == len(budgets)
    for step, budget in zip(steps, budgets, strict=True):
        points = step.args[0]["selectedpoints"]
        for i, run in enumerate(runs.values()):
            kept = run.front["tpot_s"] <= budget
            assert list(points[i]) == list(np.flatnonzero(kept))
            best = points[len(runs) + i]
            assert list(best) == ([] if not kept.any() else [run.front.loc[kept, "loss"].idxmin()])
            assert best_within(run, budget) == (best[0] if best else None)
    # Nobody is left out by the last step, and somebody is kept by the first.
    assert sum(map(len, steps[-1].args[0]["selectedpoints"][: len(runs)])) == sum(
        len(run.front) for run in runs.values()
    )
    assert any(steps[0].args[0]["selectedpoints"][: len(runs)])
    assert [step.label for step in figure.layout.sliders[1].steps] == ["all", *runs]
    for front, star, run in zip(fronts, stars, runs.values(), strict=True):
        np.testing.assert_allclose(front.x, 1000 * run.front["tpot_s"], rtol=1e-6)
        np.testing.assert_array_equal(front.x, star.x)


def test_sweeps_that_do_not_compare_are_refused(runs) -> None:
    other = roofline.sweep("raspberry-pi-5", "paper-grid", weights="int8", references=[])
    with pytest.raises(SpecError, match="devices differ"):
        roofline.explore({**runs, "other": other})
