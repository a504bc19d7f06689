"""Titles, legends and names of the figures: what is drawn, and nothing on top of it."""

from types import SimpleNamespace

import numpy as np
import pytest

from arch_space import Architectures
from roofline.drawing.labels import DPI
from roofline.drawing.titles import title_of
from roofline.report.figures import (
    BEYOND,
    FRONT,
    candidate_title,
    front_figure,
    roofline_figure,
)
from roofline.report.points import (
    brief,
)

from .inputs import faces, legend, offsets, rooflines

WHITE = (1.0, 1.0, 1.0, 1.0)


def test_labels_of_the_front_do_not_overlap(run: SimpleNamespace) -> None:
    figure = front_figure(run)
    figure.draw_without_rendering()
    from matplotlib.text import Text

    boxes = [Text.get_window_extent(label) for label in figure.axes[0].texts]
    assert {label.get_text() for label in figure.axes[0].texts} >= {"Knee", "Runner-up"}
    assert figure.dpi == DPI
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_the_title_of_the_front_says_space_law_and_limits(run: SimpleNamespace) -> None:
    run.space_title = "A space of $100 and $200"  # which is no mathematics
    run.constraints["memory"] = 1e9
    figure = front_figure(run)
    title = title_of(figure)
    assert title.splitlines()[0] == f"{run.device.title} (gpu, mnn)"
    for words in ("Space: A space of $100 and $200", "A law", "TPOT ≤ ", "memory ≤ 1 GB"):
        assert words in title
    assert not any(text.get_parse_math() for text in figure.texts)


@pytest.mark.parametrize("words", ["word " * 60, "x" * 300])
def test_a_long_title_stays_within_its_figure(run: SimpleNamespace, words: str) -> None:
    run.space_title = run.law_title = words
    points = rooflines(run, [4])[4]
    for figure in (front_figure(run), roofline_figure(points, f"{words}\n{words}")):
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.texts]
        assert len(boxes) == 2
        assert max(box.x1 for box in boxes) <= figure.bbox.x1
        # The head, the rest below it, and below both the panels.
        assert boxes[0].y0 > boxes[1].y1
        assert boxes[1].y0 > figure.axes[0].get_tightbbox().y1 > figure.bbox.height / 4


def test_the_legend_names_only_what_is_drawn(run: SimpleNamespace) -> None:
    inside = "Known models in int4"
    assert inside in legend(front_figure(run))
    assert f"{inside}, beyond the law's data" not in legend(front_figure(run))
    run.references["in_range"] = [False, True]
    assert {inside, f"{inside}, beyond the law's data"} <= set(legend(front_figure(run)))
    run.references["tpot_s"] *= [1e3, 1]
    assert f"{inside}, beyond the law's data" not in legend(front_figure(run))


@pytest.mark.parametrize("in_range", [True, False])
def test_a_front_that_its_picks_cover_is_not_in_the_legend(
    run: SimpleNamespace, in_range: bool
) -> None:
    run.front = run.front.iloc[[1, 4]].reset_index(drop=True).assign(in_range=in_range)
    run.knee, run.runner_up = 0, 1
    run.references = run.references.iloc[:0]
    suffix = "" if in_range else ", beyond the law's data"
    assert legend(front_figure(run)) == ["Limit", f"Knee{suffix}", f"Runner-up{suffix}"]


def test_models_outside_the_view_are_counted(run: SimpleNamespace) -> None:
    def said() -> list[str]:
        return [panel.get_title(loc="right") for panel in front_figure(run).axes]

    assert said() == [""]
    run.references.loc[0, "tpot_s"] *= 1e3
    assert said() == ["1 known model beyond the view"]
    run.references.loc[1, "loss"] += 10
    assert said() == ["2 known models beyond the view"]
    run.references.loc[1, "fits"] = False
    assert said() == ["1 known model beyond the view"]
    run.objectives = ("loss", "tpot", "ttft", "memory")
    assert said() == ["1 known model beyond the view", "", ""]


def test_no_name_stands_on_the_steps_of_the_front(run: SimpleNamespace) -> None:
    from matplotlib.text import Text

    run.front = run.front.iloc[[1, 9]].reset_index(drop=True).assign(in_range=False)
    run.knee, run.runner_up, run.references = 0, 1, run.references.iloc[:0]
    figure = front_figure(run)
    figure.draw_without_rendering()
    panel = figure.axes[0]
    at = run.front[["tpot_s", "loss"]].to_numpy() * [1e3, 1.0]
    ends = panel.transData.transform(at)
    (left, _), (right, step) = ends.min(axis=0), ends.max(axis=0)
    for label in panel.texts:
        box = Text.get_window_extent(label)
        assert not (box.y0 < step < box.y1 and box.x1 > left and box.x0 < right)


def test_most_models_of_a_crowd_are_named_and_no_name_covers_another(run: SimpleNamespace) -> None:
    from matplotlib.text import Text

    rows = np.arange(30)
    crowd = run.front.iloc[np.full(30, 5)].reset_index(drop=True)
    crowd["name"] = [f"model-{row}-1.7b" for row in rows]
    crowd["loss"] += 0.12 + 0.03 * (rows % 3)
    crowd["tpot_s"] *= 1 + 0.03 * (rows - 15)
    run.references = crowd
    figure = front_figure(run)
    figure.draw_without_rendering()
    texts = figure.axes[0].texts
    assert 16 <= sum(text.get_text().startswith("model-") for text in texts) < 30
    boxes = [Text.get_window_extent(text) for text in texts]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_a_candidate_is_named_in_the_title_of_its_roofline(run: SimpleNamespace) -> None:
    inside = candidate_title(run, 4)
    member = run.front.loc[4]
    assert inside == (
        f"Member 4 (knee): {brief(member)}\non {run.device.title} (gpu); basis: {run.basis}"
    )
    assert brief(member) == "11 layers x 704, 8 heads (2 KV), FFN 2112, int4"
    assert candidate_title(run, 7).startswith("Member 7 (runner-up): ")
    assert candidate_title(run, 3).startswith("Member 3: ")
    assert candidate_title(run, 3).endswith("; beyond the law's data: too small")
    title = title_of(roofline_figure(rooflines(run, [4])[4], candidate_title(run, 3)))
    said, drawn = (" ".join(words.lower().replace(";", " ").split()) for words in (
        candidate_title(run, 3), title
    ))  # fmt: skip
    assert drawn == said  # broken between its parts where it is too long for a line


def test_experts_are_in_the_brief_shape() -> None:
    arch = Architectures(
        layers=15, width=1024, query_heads=16, kv_heads=1, head_size=64, vocabulary=32_000,
        ffn_width=0, experts=16, experts_per_token=1, expert_width=1280,
    ).with_formats("q4_k_m")  # fmt: skip
    words = "15 layers x 1024, 16 heads (1 KV), 1 of 16 experts x 1280, q4_k_m"
    assert brief(arch.to_frame().iloc[0]) == words


@pytest.mark.parametrize("objectives", [("loss", "tpot"), ("loss", "tpot", "memory")])
def test_what_lies_beyond_the_law_is_hollow(
    run: SimpleNamespace, objectives: tuple[str, ...]
) -> None:
    run.objectives, run.knee, run.runner_up = objectives, 3, 7
    figure = front_figure(run)
    panel = figure.axes[0]
    knee = "Knee, beyond the law's data"
    assert {knee, "Runner-up"} <= set(legend(figure))
    assert knee in [text.get_text() for text in panel.texts]
    np.testing.assert_allclose(
        offsets(panel, knee), run.front.loc[[3], ["tpot_s", "loss"]].to_numpy() * [1e3, 1.0]
    )
    for label, hollow in ((knee, True), (BEYOND, True), ("Runner-up", False), (FRONT, False)):
        assert (faces(panel, label) == WHITE).all() == hollow
