"""The front and the roofline are drawn where their run has them."""

from types import SimpleNamespace

import numpy as np
import pytest

from roofline.drawing.titles import title_of
from roofline.report.figures import (
    BEYOND,
    FRONT,
    front_figure,
    roofline_figure,
)
from roofline.report.points import (
    roofline_points,
)

from .inputs import by_hand, faces, offsets, phone, rooflines


def test_the_front_is_drawn_where_the_run_has_it(run: SimpleNamespace) -> None:
    panel = front_figure(run).axes[0]
    expected = run.front[["tpot_s", "loss"]].to_numpy() * [1e3, 1.0]
    inside = run.front["in_range"].to_numpy()
    np.testing.assert_allclose(offsets(panel, FRONT), expected[inside])
    np.testing.assert_allclose(offsets(panel, BEYOND), expected[~inside])
    np.testing.assert_allclose(offsets(panel, "Knee"), expected[[run.knee]])
    np.testing.assert_allclose(offsets(panel, "Runner-up"), expected[[run.runner_up]])
    np.testing.assert_allclose(
        offsets(panel, "Known models in int4"),
        run.references[["tpot_s", "loss"]].to_numpy() * [1e3, 1.0],
    )
    limit = next(line for line in panel.lines if line.get_label() == "Limit")
    assert limit.get_xdata()[0] == pytest.approx(run.constraints["tpot"] * 1e3)
    assert (panel.get_xlabel(), panel.get_ylabel()) == (
        "Time per output token (ms)", "Loss (nats per token)"
    )  # fmt: skip


def test_a_model_that_does_not_fit_is_left_out(run: SimpleNamespace) -> None:
    run.references["fits"] = [True, False]
    panel = front_figure(run).axes[0]
    assert len(offsets(panel, "Known models in int4")) == 1


@pytest.mark.parametrize(
    ("objectives", "panels"),
    [
        (("loss",), 1),
        (("loss", "tpot", "memory"), 2),  # one and a colour bar
        (("loss", "tpot", "ttft", "memory"), 3),
    ],
)
def test_any_number_of_objectives_has_a_figure(
    run: SimpleNamespace, objectives: tuple[str, ...], panels: int
) -> None:
    run.objectives = objectives
    assert len(front_figure(run).axes) == panels


def test_a_front_of_one_member_and_no_company_has_a_figure(run: SimpleNamespace) -> None:
    run.front, run.knee, run.runner_up = run.front.iloc[[1]].reset_index(drop=True), 0, None
    run.references = run.references.iloc[:0]
    assert len(offsets(front_figure(run).axes[0], "Knee")) == 1


def test_the_roofline_places_operators_and_lists_the_others(run: SimpleNamespace) -> None:
    found = rooflines(run, [4])[4]
    panel = roofline_figure(found).axes[0]
    for phase in ("prefill", "decode"):
        rows = found.operators[(found.operators["phase"] == phase) & (found.operators["flops"] > 0)]
        rows = rows.sort_values("share", ascending=False)
        expected = rows[["intensity", "attained"]].to_numpy()
        np.testing.assert_allclose(offsets(panel, phase.capitalize()), expected)
    heights = {round(float(line.get_ydata()[-1])) for line in panel.lines}
    assert {round(found.peaks["nominal"][0]), round(found.peaks["attainable"][0])} <= heights
    note = panel.artists[0].txt.get_text()
    assert "Embedding (no FLOPs)" in note
    assert "Fixed time of each pass" in note


def test_a_roofline_without_dram_traffic_has_a_figure() -> None:
    found = roofline_points(by_hand(), phone(), row=1)
    found.operators["intensity"] = np.inf
    assert "on chip" in roofline_figure(found).axes[0].artists[0].txt.get_text()


def test_a_member_is_the_fainter_the_seldomer_it_is_on_the_front(run: SimpleNamespace) -> None:
    run.objectives = ("loss", "tpot")
    figure = front_figure(run)
    inside = run.front["in_range"].to_numpy()
    shares = run.front.loc[inside, "p_front"].to_numpy()
    np.testing.assert_allclose(
        faces(figure.axes[0], FRONT)[:, 3], 0.25 + 0.75 * shares / run.front["p_front"].max()
    )
    said = " ".join(title_of(figure).split())
    assert "pacity: share of draws on the front, up to 55 %" in said


@pytest.mark.parametrize("objectives", [("loss", "tpot"), ("tpot", "loss")])
def test_the_band_and_the_bars_of_the_knee_hold_nine_of_ten(
    run: SimpleNamespace, objectives: tuple[str, ...]
) -> None:
    from matplotlib.collections import PolyCollection

    run.objectives = objectives
    panel = front_figure(run).axes[0]
    loss = objectives.index("loss") - 1  # the column of a point that is its loss
    (band,) = (c for c in panel.collections if isinstance(c, PolyCollection))
    corners = band.get_paths()[0].vertices
    assert corners[:, loss].min() == pytest.approx(run.front["loss_low"].min())
    assert corners[:, loss].max() == pytest.approx(run.front["loss_high"].max())
    ends = [np.sort(line.get_xydata()[:, loss]) for line in panel.lines]
    knee = run.front.loc[run.knee, ["loss_low", "loss_high"]].to_numpy(dtype=float)
    assert any(np.allclose(pair, knee) for pair in ends if len(pair) == 2)


def test_where_the_error_of_the_loss_is_unknown_no_band_is_drawn(run: SimpleNamespace) -> None:
    run.front = run.front.assign(loss_low=np.nan, loss_high=np.nan)
    run.intervals = {}
    figure = front_figure(run)
    assert "bars" not in title_of(figure).lower()
    with_axis = figure.axes[0].get_ylim()
    assert np.isfinite(with_axis).all()
