"""Answers about budgets: three ways that agree, against the engine and a search by hand."""

from typing import ClassVar

import numpy as np
import pytest

from arch_space.spaces import Space, load_space
from hardware_specs import load_device
from roofline.budgets.account import rows, sentences, to_dict
from roofline.budgets.answer import answer, loss_at
from roofline.budgets.case import Case, examples, load_case
from roofline.budgets.discrete import shape_of
from roofline.budgets.figures import region, region_figure
from roofline.budgets.theory import Shape, theory_of
from roofline.engine import estimate
from roofline.laws import Law, load_law
from roofline.workload import Workload
from spec_files import SpecError

BOARD = "jetson-agx-orin-64gb"
LAW = load_law("codesign")


def case(**fields):
    given = {"device": BOARD, "budgets": {"ttft": "100 ms", "tpot": "20 ms", "memory": "4 GB"}}
    return Case(**(given | fields))


@pytest.fixture(scope="module")
def answered():
    return answer(case(ideal=True))


class TestThreeWays:
    @pytest.mark.parametrize("name", examples())
    @pytest.mark.parametrize("ideal", [False, True])
    def test_examples_agree(self, name, ideal):
        found = answer(load_case(name).changed(ideal=ideal))
        assert float(found.closed.loss) == pytest.approx(found.optimum.loss, abs=1e-7)
        best = found.candidates["theory"]
        assert 0 <= best.loss - found.optimum.loss < 0.02  # the steps of the space
        assert found.candidates["calibrated"].loss >= found.candidates["ideal"].loss
        assert found.binding
        assert sentences(found)

    def test_the_calibrated_rates_are_slower_and_so_is_the_optimum_worse(self, answered):
        real = answer(case(budgets={"tpot": "8 ms"}))
        ideal = answer(case(budgets={"tpot": "8 ms"}, ideal=True))
        assert real.optimum.loss > ideal.optimum.loss + 0.01
        assert real.theory.rates.step > 0
        assert ideal.theory.rates.step == 0

    @pytest.mark.parametrize("weights", ["fp16", "q4_k_m"])
    def test_the_best_by_the_engine_is_what_a_search_by_hand_finds(self, weights):
        """Every candidate of the grid, compared plainly."""
        budgets = {"tpot": "6 ms", "memory": "2 GB"}
        found = answer(case(space="paper-grid", weights=weights, budgets=budgets, generate=16))
        arch, keys = load_space("paper-grid").candidates()
        arch = arch.with_formats(weights)
        losses = LAW.loss(arch)
        for way, ideal in (("ideal", True), ("calibrated", False)):
            seen = estimate(
                arch, load_device(BOARD), Workload(1, 1024, 16), ideal=ideal, breakdown=False
            )
            allowed = seen.fits & (seen.tpot <= 6e-3) & (seen.memory_bytes <= 2e9)
            best = int(np.argmin(np.where(allowed, losses, np.inf)))
            assert found.candidates[way].index == keys[best]

    def test_the_best_by_theory_is_what_a_search_by_hand_finds(self):
        budgets = {"tpot": "6 ms", "memory": "2 GB"}
        found = answer(case(space="paper-grid", budgets=budgets, generate=16))
        arch, keys = load_space("paper-grid").candidates()
        layers, width, r, rho, keys_wide = LAW.variables_of(arch)
        rates = found.theory.rates
        context = 1024 + 17 / 2
        read = (2 * width**2 + 2 * width * keys_wide + 3 * r * width**2) * rates.b_w
        tpot = rates.step + layers * (read + 2 * context * keys_wide * rates.b_kv) / rates.bandwidth
        stored = layers * (2 * width**2 + 2 * width * keys_wide + 3 * r * width**2 / rho)
        allowed = (tpot <= 6e-3) & (stored * rates.b_w <= 2e9)
        best = int(np.argmin(np.where(allowed, LAW.loss(arch), np.inf)))
        assert found.candidates["theory"].index == keys[best]

    def test_candidates_beyond_the_laws_data_are_left_out(self):
        grid = load_space("paper-grid")
        fields = grid.model_dump(by_alias=True, exclude_none=True)
        deep = {"layers": {"from": 24, "to": 48, "step": 8}, "width": [768, 1024]}
        wider = Space.model_validate(fields | {"dimensions": fields["dimensions"] | deep})
        found = answer(case(budgets={"memory": "40 GB"}), wider)
        assert found.inside == found.looked_at // 2  # depths 24 and 32 of four
        assert found.candidates["theory"].shape.layers == 32
        assert found.candidates["calibrated"].shape.layers == 32

    def test_the_engine_never_charges_less_than_the_theory_at_the_data_sheet(self, answered):
        arch = load_space("paper-grid").candidates()[0]
        theory = theory_of(load_device(BOARD), 1024, 16, ideal=True)
        shape = shape_of(LAW, arch)
        found = estimate(arch, load_device(BOARD), Workload(1, 1024, 16), ideal=True)
        for name, engine in (
            ("ttft", found.ttft),
            ("tpot", found.tpot),
            ("latency", found.latency),
            ("memory", found.memory_bytes),
        ):
            assert (theory.cost(name, shape) <= engine * (1 + 1e-9)).all(), name


class TestWhatIsSaid:
    def test_binding_regime_and_worth(self, answered):
        assert answered.binding == ("memory",)
        assert answered.regime == "memory"
        assert [eta.regime for eta in answered.etas] == ["memory", "memory"]
        ttft, tpot = answered.etas
        assert ttft.value == pytest.approx(0.1 * 42.5e12 / 1024 / 4e9)
        assert tpot.value == pytest.approx(0.02 * 204.8e9 / 4e9)
        assert answered.worth["ttft"] == pytest.approx(0, abs=1e-9)
        more = answer(case(ideal=True, budgets=answered.case.budgets | {"memory": "4.4 GB"}))
        gain = answered.optimum.loss - more.optimum.loss
        assert answered.worth["memory"] == pytest.approx(gain, abs=1e-8)

    @pytest.mark.parametrize(
        ("memory", "regime"), [("2 GB", "memory"), ("5.4 GB", "dual"), ("40 GB", "latency")]
    )
    def test_the_regime_by_eta_is_that_of_the_optimum(self, memory, regime):
        found = answer(case(ideal=True, budgets={"tpot": "5 ms", "memory": memory}))
        assert found.regime == regime
        assert found.etas[0].regime == regime

    def test_a_device_limits_memory_where_no_budget_does(self):
        found = answer(case(budgets={"tpot": "20 ms"}))
        usable = load_device(BOARD).memory.dram.usable_bytes
        assert found.limits["memory"] == usable
        assert "58.41 GB" in sentences(found)[0]
        over = answer(case(budgets={"tpot": "20 ms", "memory": "100 GB"}))
        assert over.limits["memory"] == usable
        assert "less than the budget of 100 GB" in sentences(over)[0]

    def test_numbers_of_the_dictionary(self, answered):
        said = to_dict(answered)
        assert [row["way"] for row in said["optima"]] == [
            "closed form", "continuous", "theory", "ideal", "calibrated",
        ]  # fmt: skip
        for row, (_, shape, loss, costs) in zip(said["optima"], rows(answered), strict=True):
            assert row["loss"] == loss
            assert row["layers"] == shape.layers
            assert loss == pytest.approx(float(loss_at(LAW, Shape(*map(float, shape)))), abs=1e-9)
            assert costs["memory"] <= 4e9 * (1 + 1e-6)
            if row["way"] in ("ideal", "calibrated"):  # the engine's costs, not the theory's
                arch = answered.candidates[row["way"]].arch
                ideal = row["way"] == "ideal"
                seen = estimate(arch, load_device(BOARD), Workload(1, 1024, 128), ideal=ideal)
                assert costs == {
                    "ttft": seen.ttft[0], "tpot": seen.tpot[0], "memory": seen.memory_bytes[0],
                }  # fmt: skip
        assert said["binding"] == ["memory"]
        assert said["sensitivities"]["stored by r"] == pytest.approx(
            3 / said["optima"][1]["activation"]
        )

    def test_compression_is_told_apart(self):
        found = answer(case(weights="int4"))
        assert any("weights in int4 add" in line for line in sentences(found))
        assert found.optimum.loss < answer(case()).optimum.loss  # a quarter of the bytes


class TestRefusals:
    @pytest.mark.parametrize(
        ("budgets", "words"),
        [
            ({"ttft": "1 us"}, "time to first token of at most 1 us, where the least"),
            ({"memory": "1 MB"}, "memory of at most 1 MB, where the least"),
            (
                {"tpot": "1 us", "memory": "1 MB"},
                "time per output token of at most 1 us, where the least",
            ),
        ],
    )
    def test_impossible_budgets_say_what_is_least(self, budgets, words):
        with pytest.raises(SpecError, match=words) as refused:
            answer(case(budgets=budgets))
        least = theory_of(load_device(BOARD), 1024, 128)
        name = next(iter(budgets))
        lean = Shape(4.0, 768.0, 0.5, 12.0, 1.0)
        from roofline.budgets.case import say

        assert say(name, float(least.cost(name, lean))) in str(refused.value)

    def test_the_least_that_is_said_is_possible(self):
        lean = Shape(4.0, 768.0, 0.5, 12.0, 1.0)
        least = float(theory_of(load_device(BOARD), 1024, 128).cost("tpot", lean))
        found = answer(case(budgets={"tpot": least * 1.0001}))
        assert tuple(found.shape) == pytest.approx((4, 768, 0.5, 12, 1 / 16), rel=5e-3)

    def test_a_law_of_other_variables(self):
        with pytest.raises(SpecError, match=r"law 'chinchilla' is a function of .*nearest is code"):
            answer(case(law="chinchilla"))

    @pytest.mark.parametrize(
        "fields",
        [
            {"budgets": {}},
            {"budgets": {"tpot": "0 ms"}},
            {"budgets": {"speed": "1 ms"}},
            {"budgets": {"tpot": "5 GB"}},
            {"prompt": 0},
        ],
    )
    def test_cases_that_are_none(self, fields):
        with pytest.raises(ValueError, match=r"."):
            case(**fields)


class OtherLaw(Law):
    """A law of the same variables, in another order and without ranges of its own."""

    variables: ClassVar[tuple[str, ...]] = (
        "width", "layers", "cached_width", "activation", "expansion",
    )  # fmt: skip

    def at(self, width, layers, cached_width, activation, expansion):
        """More of everything is better, and an active expert counts for more than a stored one."""
        size = layers * width**2 * (2 + 3 * expansion * activation**-0.3)
        return 2 + 400 * size**-0.3 + 0.2 * cached_width**-0.05 + 3 / layers

    def limits(self, arch):
        return ()


class TestAnotherLaw:
    def test_it_has_an_optimum_but_no_closed_form(self, monkeypatch):
        law = OtherLaw(
            name="other", form="other", title="Other", source="none", date="2026", data="", tokens=1
        )
        monkeypatch.setattr("roofline.laws.load_law", lambda name: law)
        found = answer(case(budgets={"tpot": "6 ms", "memory": "2 GB"}, generate=16))
        assert found.closed is None
        assert any("other has none" in line for line in sentences(found))
        assert next(way for way, *_ in rows(found)) == "continuous"
        assert found.ranges.layers == (4, 32)  # the space's own
        assert found.ranges.width == (768, 3072)
        best = found.candidates["theory"]
        assert 0 <= best.loss - found.optimum.loss < 0.02
        assert best.loss == float(law.loss(best.arch)[0])
        assert set(found.binding) <= {"tpot", "memory"}
        assert found.binding
        assert "eta" in " ".join(sentences(found))
        assert len(region_figure(found).axes) == 2


class TestFigure:
    def test_the_region_is_where_every_budget_is_kept(self, answered):
        cut = region(answered, "layers", points=41)
        best = answered.shape
        for i, j in ((0, 0), (20, 30), (40, 40), (33, 36)):
            shape = best._replace(width=cut.x[j], layers=cut.y[i])
            kept = all(
                answered.theory.cost(name, shape) <= limit
                for name, limit in answered.limits.items()
            )
            assert cut.feasible[i, j] == kept
            assert cut.loss[i, j] == pytest.approx(float(loss_at(LAW, shape)))
        assert cut.feasible.any()
        assert not cut.feasible.all()

    def test_boundaries_marks_range_and_contours_are_drawn(self, answered):
        figure = region_figure(answered)
        depth, rate = figure.axes
        words = {text.get_text() for text in depth.texts}
        assert {"memory 4 GB", "TTFT 100 ms", "TPOT 20 ms"} & words >= {"memory 4 GB"}
        legend = [text.get_text() for text in figure.legends[0].get_texts()]
        assert "Closed form" in legend
        assert "Range of the law's data" in legend
        for panel, up in ((depth, "layers"), (rate, "activation")):
            marks = [
                tuple(drawn.get_offsets()[0])
                for drawn in panel.collections
                if len(drawn.get_offsets()) == 1 and type(drawn).__name__ == "PathCollection"
            ]
            best = answered.shape
            assert (best.width, getattr(best, up)) in marks
            assert len(marks) == 5
            (box,) = panel.patches
            assert box.get_x() == 768
            assert box.get_x() + box.get_width() == pytest.approx(3072)

    def test_labels_keep_apart(self):
        """No name of a boundary stands on another or on a mark."""
        for budgets in ({"ttft": "100 ms", "tpot": "20 ms", "memory": "4 GB"}, {"latency": "2 s"}):
            figure = region_figure(answer(case(budgets=budgets, ideal=True)))
            figure.draw_without_rendering()
            for panel in figure.axes:
                names = [t for t in panel.texts if t.get_text().split()[0] in NAMES]
                assert names
                middles = [panel.transData.transform(t.get_position()) for t in names]
                for i, one in enumerate(middles):
                    for other in middles[i + 1 :]:
                        assert np.hypot(*(one - other)) > 10  # the height of a label


NAMES = ("TTFT", "TPOT", "latency", "memory")
