"""The page against its data, as a browser would read it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from roofline.drawing.titles import title_of
from roofline.engine import BOUNDS, estimate
from roofline.report import html
from roofline.report.figures import (
    front_figure,
)
from roofline.report.html import report_html
from roofline.report.points import (
    PHASES,
    percent,
    say,
)
from roofline.report.rooflines import rooflines as all_rooflines
from roofline.report.summary import shape

from .inputs import EVIL, candidates, rooflines


def page_of(run: SimpleNamespace, rows: list[int] | None = None) -> str:
    rows = [0, run.knee] if rows is None else rows
    arch = candidates()[rows]
    found = estimate(arch, run.device, run.workload, breakdown=True)
    return report_html(run, all_rooflines(found, run.device, "gpu", arch), rows)


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
