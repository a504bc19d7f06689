"""The page in a browser, as a reader has it: clicked, filtered, walked by keyboard, held to axe.

What it shows is computed here from front.csv, apart from the page's own script.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hardware_specs import load_device
from roofline.mixes import load_mix
from roofline.report.folder import RunFolder
from roofline.search.sweep import Sweep

# Asked for first: without one, no run is made for it.
pytestmark = pytest.mark.usefixtures("browser")

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def folder(path: Path, **inputs: Any) -> Path:
    """Run a sweep of a small space and write its folder."""
    device = load_device(inputs.pop("device", "sd8elite5"))
    sweep = Sweep.prepare(device=device, space="paper-grid", **inputs)
    problem = sweep.problem()
    run = RunFolder.create(path, device.name)
    run.begin(sweep)
    run.write(sweep.run(problem), problem, lambda done, size: None)
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("plain") / "run", constraints={"tpot": "60ms"})


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three objectives, several laws, a mix of workloads."""
    return folder(
        tmp_path_factory.mktemp("rich") / "run",
        objectives=["loss", "latency", "memory"],
        law="codesign,chinchilla",
        mix=load_mix("chat"),
    )


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several processors, and a front found by pruning."""
    return folder(
        tmp_path_factory.mktemp("placed") / "run", placement="prefill=gpu,decode=cpu",
        formats={"weight_format": "q8_0"},
        method="pruned",
    )  # fmt: skip


class Reader:
    """A page that is open, with everything that it said and asked for."""

    def __init__(self, browser: Any, run: Path, **options: Any) -> None:
        options = {"viewport": DESKTOP, "color_scheme": "light"} | options
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(120_000)  # a machine may be busy
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.address = (run / "report.html").resolve().as_uri()
        self.front = pd.read_csv(run / "front.csv")
        self.page.goto(self.address)
        self.page.wait_for_selector("#front .main-svg")

    def shown(self) -> int:
        return int(self.page.inner_text("#count").split()[0])

    def selected(self) -> int:
        return int(self.page.inner_text("#member-title").split()[1].rstrip(","))

    def click_member(self, row: int) -> None:
        """Click where a member stands, of which nothing else is drawn on top."""
        x, y = self.page.evaluate(
            """(row) => {
              const plot = document.getElementById("front");
              const { xaxis, yaxis, _size } = plot._fullLayout;
              const trace = plot.data.find((t) => t.customdata && t.customdata.includes(row));
              const at = trace.customdata.indexOf(row);
              const box = plot.getBoundingClientRect();
              return [box.left + xaxis._offset + xaxis.d2p(trace.x[at]),
                      box.top + yaxis._offset + yaxis.d2p(trace.y[at])];
            }""",
            row,
        )
        self.page.mouse.move(x - 30, y - 30)
        self.page.mouse.move(x, y, steps=4)
        self.page.wait_for_selector("#front .hoverlayer .hovertext")
        self.page.mouse.click(x, y)

    def colour(self, selector: str, name: str) -> str:
        return str(self.page.eval_on_selector(selector, f"e => getComputedStyle(e).{name}"))


@pytest.fixture
def read(browser: Any) -> Iterator[Any]:
    opened: list[Reader] = []

    def open_page(run: Path, **options: Any) -> Reader:
        opened.append(Reader(browser, run, **options))
        return opened[-1]

    yield open_page
    for reader in opened:
        reader.page.wait_for_timeout(50)
        assert reader.requests == [reader.address], "the page asked for more than itself"
        assert reader.said == [], "the console is not silent"
        reader.context.close()


def test_a_clicked_member_shows_its_architecture_and_its_roofline(plain: Path, read: Any) -> None:
    reader = read(plain)
    knee = reader.selected()
    before = reader.page.inner_text("#operators")
    # The member that stands farthest from what else is drawn there.
    row = int(np.argmin(reader.front["tpot_s"]))
    assert row != knee
    reader.page.locator("#front").scroll_into_view_if_needed()
    reader.page.uncheck("#show-references")
    reader.click_member(row)
    assert reader.selected() == row
    assert reader.page.inner_text("#roofline-title") == f"Roofline of member {row}"
    assert reader.page.inner_text("#operators") != before
    fields = reader.page.inner_text("#member-fields")
    member = reader.front.loc[row]
    assert f"{member['layers']} layers of width {member['width']}" in fields
    assert f"{1e3 * member['tpot_s']:.4g}" in fields


def test_every_member_has_a_roofline_whose_times_are_the_engine_s(plain: Path, read: Any) -> None:
    reader = read(plain)
    sweep = Sweep.load(plain / "sweep.yaml")
    arch = sweep.space.at(reader.front["index"].to_numpy())
    found = sweep.estimate(arch, breakdown=True)
    for row in (0, len(arch) // 2, len(arch) - 1):
        page = reader.page.evaluate("(row) => rooflineOf(row).operators", row)
        expected = {
            (o.phase, o.name): (float(o.flops[row]), float(o.time[row])) for o in found.operators
        }
        assert {(o["phase"], o["operator"]) for o in page} == {
            key for key, (_, time) in expected.items() if time > 0
        }
        for o in page:
            flops, time = expected[o["phase"], o["operator"]]
            assert (o["flops"], o["time"]) == pytest.approx((flops, time), rel=1e-5)
        fixed = reader.page.evaluate("(row) => rooflineOf(row).fixed", row)
        for phase, whole in (("prefill", found.ttft), ("decode", found.tpot_first)):
            shares = sum(o["share"] for o in page if o["phase"] == phase) + fixed[phase]
            assert shares == pytest.approx(1.0, abs=1e-4)
            longest = max((o for o in page if o["phase"] == phase), key=lambda o: o["time"])
            assert longest["share"] == pytest.approx(longest["time"] / whole[row], rel=1e-4)


def test_budgets_and_filters_show_what_the_table_says(plain: Path, read: Any) -> None:
    reader = read(plain)
    page, front = reader.page, reader.front
    assert reader.shown() == len(front)
    slider = page.locator("input[data-budget=tpot]")
    slider.fill("350")
    budget = float(slider.locator("xpath=following-sibling::input").input_value())
    within = front["tpot_s"] <= budget * 1e-3
    assert 0 < within.sum() < len(front)
    assert reader.shown() == within.sum()
    # By keyboard, too: one step to the left is a tighter budget.
    slider.focus()
    page.keyboard.press("ArrowLeft")
    tighter = float(slider.locator("xpath=following-sibling::input").input_value())
    assert tighter < budget
    assert reader.shown() == (front["tpot_s"] <= tighter * 1e-3).sum()

    slider.locator("xpath=following-sibling::input").fill("")
    page.keyboard.press("Tab")
    assert reader.shown() == len(front)
    page.select_option("select[data-choice=network]", "experts")
    assert reader.shown() == (front["experts"] > 1).sum() < len(front)
    page.select_option("select[data-choice=network]", "")
    page.uncheck("#show-beyond")
    assert reader.shown() == front["in_range"].sum()
    page.check("#show-beyond")
    page.locator("#chance").fill("100")
    likeliest = front["p_feasible"].max()
    assert reader.shown() == np.isclose(front["p_feasible"], likeliest, rtol=1e-6).sum()
    page.locator("#chance").fill("0")
    assert reader.shown() == len(front)
    memory = page.locator("input[data-budget=memory]")
    memory.fill("0")
    least = float(memory.locator("xpath=following-sibling::input").input_value())
    scale = 1e9 if least < 20 else 1e6  # the unit is the median's
    assert reader.shown() == (front["memory_bytes"] <= least * scale).sum() >= 1


def test_a_reader_without_a_mouse_reaches_everything(plain: Path, read: Any) -> None:
    reader = read(plain)
    page, front = reader.page, reader.front
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => { const e = document.activeElement; const style = getComputedStyle(e);
              return [e.id || e.dataset.budget || e.dataset.choice || e.dataset.row || e.tagName,
                      style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1]; }"""
        )
        seen.append(name)
        assert outline, f"the focus on {name} cannot be seen"
        if name == str(reader.selected()):
            break
    order = [seen.index(name) for name in ("theme", "axis-x", "show-references", "chance", "tpot",
                                           "front", str(reader.selected()))]  # fmt: skip
    assert order == sorted(order)
    # The table's selected row has the focus: down is the next row.
    first = reader.selected()
    page.keyboard.press("ArrowDown")
    assert reader.selected() == first + 1
    assert page.evaluate("document.activeElement.dataset.row") == str(first + 1)

    page.locator("#front").focus()
    along = front["tpot_s"].map(lambda x: float(f"{x:.6g}")).sort_values(kind="stable").index
    at = list(along).index(reader.selected())
    page.keyboard.press("ArrowRight")
    assert reader.selected() == along[at + 1]
    page.keyboard.press("Home")
    assert reader.selected() == along[0]
    assert page.inner_text("#roofline-title") == f"Roofline of member {along[0]}"


def test_the_button_turns_the_page_dark_and_light_again(plain: Path, read: Any) -> None:
    reader = read(plain)
    paper = reader.colour("body", "backgroundColor")
    words = reader.colour("#front .xtick text", "fill")
    reader.page.click("#theme")
    assert reader.page.get_attribute("#theme", "aria-pressed") == "true"
    assert reader.colour("body", "backgroundColor") != paper
    assert reader.colour("#front .xtick text", "fill") != words
    reader.page.click("#theme")
    assert reader.colour("body", "backgroundColor") == paper
    assert reader.colour("#front .xtick text", "fill") == words
    dark = read(plain, color_scheme="dark")
    assert dark.colour("body", "backgroundColor") != paper
    assert dark.page.get_attribute("#theme", "aria-pressed") == "true"


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_screenshot_holds_the_whole_page(
    plain: Path, read: Any, tmp_path: Path, viewport: dict[str, int]
) -> None:
    from matplotlib.image import imread

    reader = read(plain, viewport=viewport)
    assert reader.page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    reader.page.screenshot(path=tmp_path / "page.png", full_page=True)
    picture = imread(tmp_path / "page.png")[..., :3]
    assert picture.shape[1] == viewport["width"]
    assert picture.shape[0] > 2 * viewport["height"]
    assert len(np.unique((255 * picture).astype(int) @ [1 << 16, 1 << 8, 1])) > 50


def test_the_page_is_small_enough_to_send(plain: Path) -> None:
    assert (plain / "report.html").stat().st_size < 3e6


def test_a_narrow_screen_shows_the_front_before_its_filters(plain: Path, read: Any) -> None:
    wide, narrow = read(plain), read(plain, viewport=PHONE)
    assert wide.page.locator("#budgets").is_visible()
    assert not narrow.page.locator("#budgets").is_visible()
    narrow.page.locator("#narrow summary").press("Enter")
    assert narrow.page.locator("#budgets").is_visible()
    # What is written at an axis is not cut off by the plot.
    for plot in ("front", "roofline"):
        words, whole = (
            narrow.page.locator(at).first.bounding_box()
            for at in (f"#{plot} .xtitle", f"#{plot} .main-svg")
        )
        assert whole["x"] <= words["x"]
        assert words["x"] + words["width"] <= whole["x"] + whole["width"]


def test_what_is_printed_is_light_and_as_wide_as_the_paper(plain: Path, read: Any) -> None:
    reader = read(plain, color_scheme="dark")
    dark = reader.colour("#front .xtick text", "fill")
    reader.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert reader.colour("body", "backgroundColor") == "rgb(255, 255, 255)"
    assert reader.colour("#front .xtick text", "fill") != dark
    for plot in ("front", "roofline"):
        assert reader.page.locator(f"#{plot} .main-svg").first.bounding_box()["width"] <= 700
    reader.page.evaluate("dispatchEvent(new Event('afterprint'))")
    reader.page.wait_for_function(  # a plot that takes its width again is drawn in its own time
        "dark => { const words = document.querySelector('#front .xtick text');"
        " return words && getComputedStyle(words).fill === dark; }",
        arg=dark,
    )


def test_the_longest_operators_are_named_on_the_roofline(plain: Path, read: Any) -> None:
    reader = read(plain)
    named = reader.page.eval_on_selector_all(
        "#roofline .annotation-text", "all => all.map(e => e.textContent)"
    )
    longest = reader.page.evaluate(
        "rooflineOf(state.selected).operators.filter(o => o.flops > 0)"
        ".sort((a, b) => b.share - a.share)[0]"
    )
    assert f"{longest['operator'].replace('_', ' ')} {round(100 * longest['share'])} %" in named
    assert any(words.endswith("attainable") for words in named)


@pytest.mark.parametrize(
    ("scheme", "viewport"), [("light", PHONE), ("dark", DESKTOP)], ids=["light", "dark"]
)
def test_axe_finds_no_violation(
    rich: Path, read: Any, scheme: str, viewport: dict[str, int]
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    # The page's own policy forbids the script of axe; nothing else is allowed by this.
    reader = read(rich, color_scheme=scheme, viewport=viewport, bypass_csp=True)
    reader.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    found = axe.Axe().run(reader.page).response
    assert {"color-contrast", "label", "scrollable-region-focusable"} <= {
        rule["id"] for rule in found["passes"]
    }
    assert [(rule["id"], [n["html"] for n in rule["nodes"]]) for rule in found["violations"]] == []


def test_three_objectives_several_laws_and_a_mix(rich: Path, read: Any) -> None:
    reader = read(rich)
    page, front = reader.page, reader.front
    assert reader.shown() == len(front)
    assert page.input_value("#colour") == "memory"
    assert page.locator("#front .colorbar, #front .cbfill").count() >= 1
    page.check("#only-survivors")
    assert reader.shown() == front["survives"].sum()
    page.uncheck("#only-survivors")
    page.select_option("#axis-y", label="Loss by chinchilla")
    drawn = page.evaluate(
        "() => Math.min(...document.getElementById('front').data"
        ".filter(t => t.customdata).flatMap(t => t.y))"
    )
    assert drawn == pytest.approx(front["loss_under_chinchilla"].min(), rel=1e-5)
    told = page.inner_text("main")
    assert "The mix of workloads" in told
    assert "The loss law: Chinchilla law, replicated" in told


def test_a_placement_has_the_roofs_of_each_processor(placed: Path, read: Any) -> None:
    reader = read(placed)
    told = {t["name"] for t in reader.page.evaluate("document.getElementById('roofline').data")}
    assert {"Attainable roof of the gpu", "Attainable roof of the cpu"} <= told
    found = reader.page.evaluate("rooflineOf(state.selected)")
    roofs = {roof["processor"]: roof["peaks"] for roof in found["roofs"]}
    assert set(roofs) == {"gpu", "cpu"}
    where = {"prefill": "gpu", "decode": "cpu"}
    used: dict[str, set[str]] = {"gpu": set(), "cpu": set()}
    for o in found["operators"]:
        if o["flops"] > 0:
            name = where[o["phase"]]
            used[name].add(o["format"])
            assert o["attained"] <= max(peak["nominal"] for peak in roofs[name]) * 1.001
    # What runs on a processor runs in its formats: products of the two differ in theirs.
    assert {name: {peak["format"] for peak in peaks} for name, peaks in roofs.items()} == used
    assert used["gpu"] != used["cpu"]
    assert "Placement" in reader.page.inner_text("#member-fields")
