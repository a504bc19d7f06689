"""Points against hand arithmetic, figures against their run, and the page against its data."""

import json
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from arch_space import Architectures
from hardware_specs import load_device
from roofline.engine import BOUNDS, Estimate, OperatorEstimate, estimate
from roofline.engine.estimate import ARRAYS
from roofline.report.figures import BEYOND, DPI, FRONT, front_figure, roofline_figure
from roofline.report.html import report_html, shape
from roofline.report.points import Roofline, axis, roofline_points, say
from roofline.workload import Workload

EVIL = "</script><img src=x onerror=alert(1)>&\"'"
ROWS = 12


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
    device, work, arch = load_device("phone"), Workload(prompt=256, generate=32), candidates()
    front = table(arch, estimate(arch, device, work))
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
        workload=work,
        law_title="A law",
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
    found = roofline_points(by_hand(), load_device("phone"), row=1)
    points = found.operators
    assert points["intensity"].tolist() == [4000.0, 0.0, 2.0, np.inf]
    assert points["attained"].tolist() == pytest.approx([2e9, 0.0, 8e6, 2e7])
    assert points["share"].tolist() == pytest.approx([0.5, 0.25, 0.5, 0.3])
    assert points["bound"].tolist() == ["compute", "memory", "overhead", "memory"]
    assert found.fixed_share("prefill") == pytest.approx(0.25)
    assert found.fixed_share("decode") == pytest.approx(0.2)


def test_roofs_are_the_profile_and_its_efficiencies() -> None:
    device = load_device("phone")
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
    device, arch = load_device("phone"), candidates()
    found = estimate(arch, device, Workload(), breakdown=False)
    with pytest.raises(ValueError, match="breakdown=True"):
        roofline_points(found, device)


def test_an_axis_has_a_unit_for_people_and_is_logarithmic_only_where_wide() -> None:
    front = pd.DataFrame({"tpot_s": [0.004, 0.02, 0.05], "memory_bytes": [1e9, 2e9, 4e9]})
    tpot, memory = axis("tpot", front), axis("memory", front)
    assert (tpot.label, tpot.scale, tpot.log) == ("Time per output token (ms)", 1e-3, True)
    assert (memory.unit, memory.scale, memory.log) == ("GB", 1e9, False)
    assert say("loss", 3.21987) == "3.22 nats per token"
    assert say("energy", float("nan")) == "–"


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
    found = roofline_points(by_hand(), load_device("phone"), row=1)
    found.operators["intensity"] = np.inf
    assert "on chip" in roofline_figure(found).axes[0].artists[0].txt.get_text()


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
    return Page(report_html(run, rooflines(run, [0, 4])))


def test_the_page_loads_nothing(page: Page) -> None:
    loads = [
        (tag, value)
        for tag, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster")
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
    assert set(data["rooflines"]) == {"0", "4"}
    assert data["references"]["name"] == ["small-1b", EVIL]
    assert all(len(str(x)) <= 12 for x in data["front"]["tpot_s"])


def test_text_from_outside_stays_text(page: Page) -> None:
    assert not any(tag == "img" for tag, _ in page.elements)
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert EVIL in page.words


def test_the_summary_says_what_to_train_and_what_to_be_wary_of(
    page: Page, run: SimpleNamespace
) -> None:
    assert f"Train member {run.knee}" in page.words
    assert shape(run.front.loc[run.knee]) in page.words
    assert f"Runner-up, member {run.runner_up}" in page.words
    assert "4 of the 12 members lie beyond" in page.words
    assert "trust the order of the members more than their times" in page.words
    assert "The knee lies beyond" not in page.words


def test_a_knee_beyond_the_law_is_a_warning(run: SimpleNamespace) -> None:
    run.knee, run.runner_up = 3, None
    words = Page(report_html(run, {})).words
    assert "The knee lies beyond the data of the loss law" in words
    assert "too small" in words
    assert "Runner-up" not in words


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
    data = json.loads(Page(report_html(run, {})).data)
    assert "energy" not in [shown["objective"] for shown in data["axes"]]
