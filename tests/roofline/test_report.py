"""Points against hand arithmetic, figures against their run, and the page against its data."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from arch_space import Architectures
from arch_space.architectures import concatenate
from arch_space.spaces import load_space
from hardware_specs import Device, load_device
from roofline.drawing.labels import DPI
from roofline.drawing.titles import title_of
from roofline.efficiency.calibrated import calibrated
from roofline.engine import BOUNDS, Estimate, OperatorEstimate, estimate
from roofline.engine.estimate import ARRAYS
from roofline.laws import load_law
from roofline.report import html
from roofline.report.figures import (
    BEYOND,
    FRONT,
    candidate_title,
    front_figure,
    roofline_figure,
)
from roofline.report.html import report_html
from roofline.report.points import (
    NATS,
    PHASES,
    Roofline,
    axis,
    brief,
    limits,
    percent,
    roofline_points,
    say,
)
from roofline.report.rooflines import rooflines as all_rooflines
from roofline.report.summary import shape
from roofline.search.workload_spec import model_file
from roofline.workload import Workload
from spec_files import parse_spec

EVIL = "</script><img src=x onerror=alert(1)>&\"'"
ROWS = 12


def phone() -> Device:
    """Return a phone whose efficiencies are its profile's own; nothing here is fitted."""
    import yaml

    data = yaml.safe_load(load_device("phone").to_yaml())

    def figure(value: object) -> dict[str, object]:
        return {"value": value, "basis": "prior", "source": "assumption"}

    data["processors"]["gpu"] |= {
        "efficiency": {"compute": figure(0.19), "memory": figure(0.4), "cache": figure(0.28)},
        "kernel_launch": figure("5 us"),
        "step_overhead": figure("2 ms"),
    }
    return parse_spec(yaml.safe_dump(data), Device, "phone")


def candidates() -> Architectures:
    layers = np.arange(4, 4 + ROWS)[::-1]
    return Architectures(
        layers=layers, width=64 * layers, query_heads=8, kv_heads=2, head_size=64,
        ffn_width=192 * layers, vocabulary=32_000,
    ).with_formats("int4")  # fmt: skip


def table(arch: Architectures, found: Estimate) -> pd.DataFrame:
    words = np.array(BOUNDS)
    return arch.to_frame().assign(
        loss=4.0 - 0.05 * arch.layers,
        ttft_s=found.ttft,
        tpot_s=found.tpot,
        latency_s=found.latency,
        energy_j=found.energy,
        memory_bytes=found.memory_bytes,
        tokens_per_s=found.tokens_per_s,
        parameters=found.parameters,
        active_parameters=found.active_parameters,
        weight_bytes=found.weight_bytes,
        kv_cache_bytes=found.kv_cache_bytes,
        prefill_bound=words[found.prefill_bound],
        decode_bound=words[found.decode_bound],
        bound=words[found.bound],
        fits=found.fits,
        in_range=np.arange(len(arch)) % 3 > 0,
        out_of_range=["too small" if row % 3 == 0 else "" for row in range(len(arch))],
    )


@pytest.fixture
def run() -> SimpleNamespace:
    device, work, arch = phone(), Workload(prompt=256, generate=32), candidates()
    front = table(arch, estimate(arch, device, work))
    front = front.assign(tpot_s_low=0.8 * front["tpot_s"], tpot_s_high=1.3 * front["tpot_s"])
    front = front.assign(loss_low=front["loss"] - 0.03, loss_high=front["loss"] + 0.03)
    front = front.assign(p_front=np.linspace(0.0, 0.55, ROWS), p_tpot=0.7, p_feasible=0.62)
    references = front.iloc[[2, 5]].reset_index(drop=True).assign(name=["small-1b", EVIL])
    references["loss"] += 0.05
    return SimpleNamespace(
        front=front,
        references=references,
        knee=4,
        runner_up=7,
        objectives=("loss", "tpot"),
        constraints={"tpot": float(front["tpot_s"].max()) * 1.1},
        device=device,
        processor="gpu",
        runtime="mnn",
        basis="class prior, no rows of this device under mnn",
        intervals={"prefill": (0.7, 1.5), "decode": (0.8, 1.3)},
        placement=None,
        sweep=SimpleNamespace(
            ideal=False,
            placement=None,
            mix=None,
            space=load_space("paper-grid"),
            references=[model_file("smollm2-135m")],
            versions={"roofline": "0.1.0"},
        ),
        architectures=candidates,
        workload=work,
        asked=work.to_dict(),
        asked_briefly="prompt 256, 32 tokens generated, batch 1",
        law_title="A law",
        loss_unit=NATS,
        laws=(load_law("codesign"),),
        space_title=f"A space {EVIL}",
        summary={"method": "exact", "evaluated": 12_345, "seconds": 0.5},
    )


def rooflines(run: SimpleNamespace, rows: list[int]) -> dict[int, Roofline]:
    arch = candidates()
    found = estimate(arch, run.device, run.workload, breakdown=True)
    return {r: roofline_points(found, run.device, "gpu", row=r, arch=arch) for r in rows}


# ---- points ------------------------------------------------------------------------------------


def by_hand() -> Estimate:
    """Two candidates, the second with operators of round numbers.

    FLOPs, bytes, and seconds of computation, of traffic and in all.
    """

    def operator(name: str, phase: str, *numbers: float) -> OperatorEstimate:
        return OperatorEstimate(name, phase, *(np.array([np.nan, number]) for number in numbers))

    operators = (
        operator("head", "prefill", 8e9, 2e6, 3.0, 1.0, 4.0),
        operator("embedding", "prefill", 0.0, 1e6, 0.0, 2.0, 2.0),
        operator("head", "decode", 4e6, 2e6, 0.1, 0.2, 0.5),
        operator("attention", "decode", 6e6, 0.0, 0.1, 0.3, 0.3),
    )
    arrays = {name: np.zeros(2) for name in ARRAYS}
    arrays |= {"ttft": np.array([0.0, 8.0]), "tpot_first": np.array([0.0, 1.0])}
    return Estimate(**arrays, operators=operators)


def test_points_follow_hand_arithmetic() -> None:
    found = roofline_points(by_hand(), phone(), row=1)
    points = found.operators
    assert points["intensity"].tolist() == [4000.0, 0.0, 2.0, np.inf]
    assert points["attained"].tolist() == pytest.approx([2e9, 0.0, 8e6, 2e7])
    assert points["share"].tolist() == pytest.approx([0.5, 0.25, 0.5, 0.3])
    assert points["bound"].tolist() == ["compute", "memory", "overhead", "memory"]
    assert found.fixed_share("prefill") == pytest.approx(0.25)
    assert found.fixed_share("decode") == pytest.approx(0.2)


def test_roofs_are_the_profile_and_its_efficiencies() -> None:
    device = phone()
    chip, dram = device.processor("gpu"), device.memory.dram.bandwidth.value
    found = roofline_points(by_hand(), device, "gpu", row=1)
    fp16 = found.peaks.set_index("format").loc["fp16"]
    assert set(found.peaks["format"]) == set(chip.peaks)
    assert fp16["nominal"] == chip.peak("fp16")
    assert fp16["attainable"] == pytest.approx(chip.peak("fp16") * chip.efficiency.compute.value)
    assert fp16["ridge"] == pytest.approx(chip.peak("fp16") / dram)
    lowest = found.bandwidths.iloc[0]
    assert lowest["attainable"] == pytest.approx(dram * chip.efficiency.memory.value)
    assert fp16["attainable_ridge"] == pytest.approx(fp16["attainable"] / lowest["attainable"])


def test_no_operator_rises_above_the_nominal_roof(run: SimpleNamespace) -> None:
    found = rooflines(run, [4])[4]
    assert found.peaks["format"].tolist() == ["fp16"]  # int4 weights meet fp16 activations
    placed = found.operators[found.operators["flops"] > 0]
    roof = np.minimum(
        found.peaks["nominal"].max(), placed["intensity"] * found.bandwidths["nominal"].iloc[0]
    )
    on_chip_at_most = found.peaks["attainable"].max()
    assert (placed["attained"] <= np.maximum(roof, on_chip_at_most) * (1 + 1e-9)).all()
    assert (placed["format"] == "fp16").all()


def test_points_need_the_breakdown() -> None:
    device, arch = phone(), candidates()
    found = estimate(arch, device, Workload(), breakdown=False)
    with pytest.raises(ValueError, match="breakdown=True"):
        roofline_points(found, device)


def test_an_axis_has_a_unit_for_people_and_is_logarithmic_only_where_wide() -> None:
    front = pd.DataFrame({"tpot_s": [0.004, 0.02, 0.05], "memory_bytes": [1e9, 2e9, 4e9]})
    tpot, memory = axis("tpot", front), axis("memory", front)
    assert (tpot.label, tpot.scale, tpot.log) == ("Time per output token (ms)", 1e-3, True)
    assert (memory.unit, memory.scale, memory.log) == ("GB", 1e9, False)
    fast = axis("tpot", pd.DataFrame({"tpot_s": [0.0005, 0.0008, 0.0009, 0.002, 0.015]}))
    assert fast.unit == "ms"  # though half of the members take less than one
    assert say("loss", 3.21987) == "3.22 nats per token"
    assert say("energy", float("nan")) == "–"


def test_limits_read_as_symbols() -> None:
    found = limits({"tpot": 0.02, "ttft": 0.5, "memory": 1e9})
    assert found == ["TPOT ≤ 20 ms", "TTFT ≤ 500 ms", "memory ≤ 1 GB"]


# ---- figures -----------------------------------------------------------------------------------


def offsets(panel, label: str) -> np.ndarray:
    found = [drawn for drawn in panel.collections if drawn.get_label() == label]
    return np.vstack([np.asarray(drawn.get_offsets()) for drawn in found])


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


def test_labels_of_the_front_do_not_overlap(run: SimpleNamespace) -> None:
    figure = front_figure(run)
    figure.draw_without_rendering()
    from matplotlib.text import Text

    boxes = [Text.get_window_extent(label) for label in figure.axes[0].texts]
    assert {label.get_text() for label in figure.axes[0].texts} >= {"Knee", "Runner-up"}
    assert figure.dpi == DPI
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


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


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def faces(panel, label: str) -> np.ndarray:
    """Return the colours that marks are filled with."""
    return next(d for d in panel.collections if d.get_label() == label).get_facecolors()


WHITE = (1.0, 1.0, 1.0, 1.0)


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


def test_all_rooflines_at_once_are_each_alone(run: SimpleNamespace) -> None:
    arch = concatenate([candidates(), candidates().with_formats("fp16")])
    device = load_device("sd8elite5")  # whose shares of the peak differ from format to format
    device = calibrated(device)
    found = estimate(arch, device, run.workload, breakdown=True)
    together = all_rooflines(found, device, arch=arch)
    assert len(together.roofs) == 2
    for row in (0, 5, ROWS, 2 * ROWS - 1):
        one = estimate(arch[row], device, run.workload, breakdown=True)
        alone = roofline_points(one, device, arch=arch[row])
        for name in ("operators", "peaks", "bandwidths"):
            pd.testing.assert_frame_equal(getattr(together.at(row), name), getattr(alone, name))


def page_of(run: SimpleNamespace, rows: list[int] | None = None) -> str:
    rows = [0, run.knee] if rows is None else rows
    arch = candidates()[rows]
    found = estimate(arch, run.device, run.workload, breakdown=True)
    return report_html(run, all_rooflines(found, run.device, "gpu", arch), rows)


# ---- page --------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a browser would find: elements, the loads they cause, and the embedded data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data = self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag, attributes = self.elements[-1] if self.elements else ("", {})
        if attributes.get("id") == "data" and not self.data:
            self.data = data
        elif tag not in ("script", "style"):
            self.words += data


@pytest.fixture
def page(run: SimpleNamespace) -> Page:
    return Page(page_of(run, [0, 4]))


def test_the_page_loads_nothing(page: Page) -> None:
    loads = [
        (tag, value)
        for tag, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster")
        and tag != "a"  # which loads nothing before one follows it
    ]
    assert loads == []
    assert {"html", "head", "body", "main", "table", "select"} <= {tag for tag, _ in page.elements}
    policy = [a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a]
    assert policy[0].startswith("default-src 'none'")


def test_the_page_holds_every_member_and_the_rooflines(page: Page, run: SimpleNamespace) -> None:
    data = json.loads(page.data)
    for name in ("loss", "tpot_s", "memory_bytes", "parameters"):
        np.testing.assert_allclose(data["front"][name], run.front[name], rtol=1e-5)
    assert data["front"]["shape"] == [shape(row) for row in run.front.to_dict("records")]
    assert (data["knee"], data["runner_up"]) == (run.knee, run.runner_up)
    assert data["rooflines"]["rows"] == [0, 4]
    assert data["references"]["name"] == ["small-1b", EVIL]
    assert all(len(str(x)) <= 12 for x in data["front"]["tpot_s"])


def test_text_from_outside_stays_text(page: Page) -> None:
    assert not any(tag == "img" for tag, _ in page.elements)
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert EVIL in page.words


def test_the_summary_says_what_to_train_and_what_to_be_wary_of(
    page: Page, run: SimpleNamespace
) -> None:
    knee = run.front.loc[run.knee]
    kind = "mixture of experts" if knee["experts"] > 1 else "dense model"
    assert f"Train a {kind} of " in page.words
    assert f"It is member {run.knee}, the knee of the front" in page.words
    assert shape(run.front.loc[run.knee]) in page.words
    assert f"Runner-up, member {run.runner_up}" in page.words
    assert "4 of the 12 members lie beyond" in page.words
    assert "trust the order of the members more than their times" in page.words
    assert "The knee lies beyond" not in page.words


def test_the_summary_says_where_the_time_of_each_phase_goes(run: SimpleNamespace) -> None:
    rows = [run.knee]
    page = page_of(run, rows)
    found = rooflines(run, rows)[run.knee]
    bars = re.findall(r'<div class="bar"[^>]*>(.*?)</div>', page)
    assert len(bars) == len(PHASES)
    for phase, bar in zip(PHASES, bars, strict=True):
        drawn = dict(re.findall(r'class="(\w+)" style="flex-grow:([\d.]+)"', bar))
        table = found.operators[found.operators["phase"] == phase]
        fixed = found.fixed_share(phase)
        for bound in BOUNDS:
            share = float(table.loc[table["bound"] == bound, "share"].sum())
            share += fixed if bound == "overhead" else 0.0
            assert float(drawn.get(bound, 0)) == pytest.approx(share, abs=0.0051)
        longest = table.loc[table["share"].idxmax(), "operator"].replace("_", " ")
        assert f"the longest operator is {longest}" in page


def test_the_page_says_how_sure_each_member_is(page: Page, run: SimpleNamespace) -> None:
    data = json.loads(page.data)
    for name in ("p_front", "p_tpot", "p_feasible", "loss_low", "loss_high"):
        np.testing.assert_allclose(data["front"][name], run.front[name], rtol=1e-5)
    assert "In 20 % of draws no contender beats the knee" in page.words
    assert "it meets every limit in 62 % (tpot in 70 %)" in page.words
    assert data["laws"] == ["codesign"]


def test_the_decision_and_the_survivors_stand_in_the_summary(run: SimpleNamespace) -> None:
    assert "runner-up in 71 %" not in Page(page_of(run)).words
    run.summary |= {"decision": "The knee beats the runner-up in 71 % of draws.", "survival": "3 <"}
    words = Page(page_of(run)).words
    assert words.index("in 71 % of draws") < words.index("Inputs and their sources")
    assert "3 <" in words


def test_a_ratio_is_never_called_nats(run: SimpleNamespace) -> None:
    run.loss_unit, run.laws = "ratio to the optimum", ()
    run.constraints["loss"] = 4.0
    run.front["p_loss"] = 1.0
    page = Page(page_of(run))
    assert "ratio to the optimum" in page.words
    assert "nats" not in page.words
    figure = front_figure(run)
    assert figure.axes[0].get_ylabel() == "Loss (ratio to the optimum)"
    assert "nats" not in title_of(figure)


def test_a_share_is_a_whole_percent_and_what_is_rare_is_not_none() -> None:
    assert [percent(x) for x in (0.0, 0.004, 0.714, 1.0)] == ["0 %", "<1 %", "71 %", "100 %"]


def test_a_knee_beyond_the_law_is_a_warning(run: SimpleNamespace) -> None:
    run.knee, run.runner_up = 3, None
    words = Page(page_of(run)).words
    warning = words.index("The knee lies beyond the data of the loss law")
    assert warning < words.index("It is member 3, the knee of the front (beyond the law's data)")
    assert "Out of range: too small." in words
    assert "Runner-up" not in words
    assert "runner-up lies" not in words


def test_a_runner_up_beyond_the_law_is_a_warning(page: Page, run: SimpleNamespace) -> None:
    assert "The runner-up lies beyond" not in page.words
    run.runner_up = 3
    words = Page(page_of(run)).words
    assert "The runner-up lies beyond the data of the loss law: too small." in words
    assert "Runner-up, member 3 (beyond the law's data)" in words
    assert "The knee lies beyond" not in words


def test_the_page_says_the_limits(page: Page, run: SimpleNamespace) -> None:
    assert f"Limits: TPOT ≤ {say('tpot', run.constraints['tpot'])}." in page.words
    run.constraints = {}
    assert "Limits:" not in Page(page_of(run)).words


def test_every_figure_of_the_device_stands_with_its_source(
    page: Page, run: SimpleNamespace
) -> None:
    for path, figure in run.device.figures():
        if path[0] != "processors" or path[1] == run.processor:
            source = run.device.sources[figure.source]
            assert source.title in page.words
            assert source.date in page.words
            assert (figure.note or "") in page.words


def test_an_objective_that_is_unknown_is_left_out(run: SimpleNamespace) -> None:
    run.front["energy_j"] = np.nan
    data = json.loads(Page(page_of(run)).data)
    assert "energy" not in [shown["objective"] for shown in data["axes"]]


def test_the_page_tells_marks_beyond_the_law_apart_by_name() -> None:
    script = (Path(html.__file__).parent / "front.js").read_text()
    assert '"Known models", "square"]' in script
    assert '`Known models, ${BEYOND}`, "square-open"]' in script
    assert "kept ? name : `${name}, ${BEYOND}`" in script
