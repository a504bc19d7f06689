"""Held-out errors and intervals: folds that never straddle, quantiles counted by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hardware_specs.measurements.rows import load_rows
from roofline.calibration import energy, rules
from roofline.calibration.calibrate import error_table, said_by_most, usual_threads
from roofline.calibration.cases import read_cases
from roofline.calibration.crossvalidation import (
    METHODS,
    PACKAGE,
    HeldOut,
    cross_validate,
    folds_of,
    groups_of,
)
from roofline.calibration.demand import work_of
from roofline.calibration.intervals import LADDER, ends, intervals, nested_coverage, steps_of


@pytest.fixture(scope="module")
def published():
    return read_cases(load_rows())


@pytest.fixture(scope="module")
def small():
    """A few dozen rows of few devices, models and formats."""
    rows = load_rows()
    chosen = rows[
        rows["device_key"].isin(["rtx4090", "rtx3090", "m2ultra_76", "rpi5", "jetson_agx_orin_64"])
        & rows["decode_tok_s"].notna()
    ]
    chosen = chosen.iloc[::3].head(60).reset_index(drop=True)
    cases = read_cases(chosen)
    return chosen, cases, work_of(cases)


class TestFolds:
    @pytest.mark.parametrize("by", ["device", "model"])
    @pytest.mark.parametrize("seed", [0, 1, 7])
    def test_a_group_is_never_in_two_folds(self, published, by, seed):
        groups = groups_of(published, by)
        fold = folds_of(groups, 10, seed)
        for group in np.unique(groups):
            assert len(np.unique(fold[groups == group])) == 1
        assert sorted(np.unique(fold)) == list(range(10))

    def test_a_device_is_a_group_and_a_shape_is_a_model_whatever_its_name(self, published):
        rows = load_rows()
        names = rows["model"].to_numpy()[published.at]
        devices = groups_of(published, "device")
        assert len(np.unique(devices)) == len(np.unique(published.settings["device"]))
        models = groups_of(published, "model")
        llama = {models[i] for i, n in enumerate(names) if n.startswith("Llama-3.1-8B")}
        distill = {models[i] for i, n in enumerate(names) if "R1-Distill-Llama-8B" in n}
        assert llama
        assert llama == distill
        qwen = {models[i] for i, n in enumerate(names) if n == "Qwen3-8B"}
        assert not qwen & llama

    def test_folds_are_about_even_and_seeded(self, published):
        groups = groups_of(published, "model")
        loads = np.bincount(folds_of(groups, 10, 0))
        largest = np.bincount(groups).max()
        assert loads.max() <= max(largest, 1.3 * len(groups) / 10)
        assert (folds_of(groups, 10, 0) == folds_of(groups, 10, 0)).all()
        assert (folds_of(groups, 10, 0) != folds_of(groups, 10, 1)).any()

    def test_fewer_groups_than_folds(self):
        assert sorted(folds_of(np.array([4, 4, 9]), 10)) in ([0, 0, 1], [0, 1, 1])


def test_a_held_out_row_does_not_move_its_own_prediction(small):
    # Were a measured time to reach its own fold's fit, doubling it would move the prediction.
    _, cases, work = small
    told = []
    first = cross_validate(
        work, cases, "device", folds=2, workers=1, tell=lambda s, d, n: told.append((d, n))
    )
    assert told == [(1, 2), (2, 2)]
    held = first.fold == 0
    doubled = {
        phase: np.where(held, measured + np.log(2.0), measured)
        for phase, measured in work.measured.items()
    }
    from dataclasses import replace

    again = cross_validate(replace(work, measured=doubled), cases, "device", folds=2, workers=1)
    for method in METHODS:
        before, after = (x.errors[method]["decode"][held] for x in (first, again))
        np.testing.assert_allclose(after - before, np.log(2.0), atol=1e-9)
    assert np.isfinite(first.errors[PACKAGE]["decode"]).all()
    assert not first.known.any(), "whole devices were held out"


def test_the_rule_of_thumb_by_hand(small):
    _, _cases, work = small
    seconds = np.exp(rules.rule_of_thumb(work)["decode"])
    weights = work.demand["decode"].weights.sum(axis=1)
    np.testing.assert_allclose(1 / seconds, 0.55 * work.bandwidth / weights)


def test_two_terms_recover_what_made_the_times(small):
    from dataclasses import replace

    _, _cases, work = small
    demand = work.demand["decode"]
    ideal = (demand.weights + demand.cache).sum(axis=1) / work.bandwidth
    flops = (work.demand["prefill"].flops / work.peak).sum(axis=1)
    made = replace(
        work,
        measured={"decode": np.log(2e-3 + ideal / 0.7), "prefill": np.log(flops / 0.3)},
    )
    half = np.arange(len(work)) % 2 == 0
    found = rules.two_terms(made, half)
    for phase in ("decode", "prefill"):
        np.testing.assert_allclose(found[phase], made.measured[phase], atol=0.02)


def test_usual_options_by_counting():
    words = {
        "device": ["a", "a", "a", "b", "b"],
        "kind": ["phone"] * 5,
        "type": ["gpu"] * 5,
        "runtime": ["r"] * 5,
        "options": ["fa", "fa", "", "", "nofa"],
    }
    settings = {name: np.array(said) for name, said in words.items()}
    cases = SimpleNamespace(settings=settings, threads=np.array([6.0, 6.0, 0.0, 0.0, 4.0]))
    used = np.array([True, True, True, True, False])
    options = {"a|gpu|r": "fa", "b|gpu|r": "", "phone|gpu|r": ""}
    assert said_by_most(cases, settings["options"], used) == options
    assert usual_threads(cases, used) == {"a|gpu|r": 6}  # of the others half say none


def test_the_table_of_errors_by_hand():
    # Measured over predicted time 2, 1, 1/2 means rates predicted 2, 1 and 1/2 times the measured.
    logs = np.log([2.0, 1.0, 0.5])
    none = np.full(3, np.nan)
    held = HeldOut(
        np.arange(3),
        np.array([7, 9, 9]),
        {m: {"decode": logs, "prefill": none, "energy": logs[::-1]} for m in METHODS},
        np.ones(3, dtype=bool),
    )
    lines = error_table({"model": held}, np.array(["phone", "phone", "sbc"]))
    found = {(line["metric"], line["class"]): line for line in lines}
    assert set(found) == {(m, k) for m in ("decode", "energy") for k in ("all", "phone", "sbc")}
    assert found["decode", "all"]["rows"] == 3
    assert found["decode", "all"][PACKAGE] == pytest.approx(0.5)
    assert found["decode", "all"]["mean"] == pytest.approx((1 + 0 + 0.5) / 3)
    # One model errs by 1, the other by 0 and 1/2: each counts once.
    assert found["decode", "all"]["each once"] == pytest.approx((1 + 0.25) / 2)
    assert found["decode", "phone"]["each once"] == pytest.approx(0.5)
    assert found["decode", "sbc"]["bias"] == pytest.approx(-0.5)
    # Energy is compared as joules: measured half of the predicted is an error of +100 %.
    assert found["energy", "phone"]["bias"] == pytest.approx(0.5)


def test_the_table_leaves_out_unknown_devices_and_tells_clean_rows_apart():
    logs, none = np.log([2.0, 1.0, 0.5, 1.0]), np.full(4, np.nan)
    errors = {m: {"decode": logs, "prefill": none, "energy": none} for m in METHODS}
    held = HeldOut(np.arange(4), np.zeros(4), errors, np.array([False, True, True, True]))
    kinds = np.full(4, "phone")
    clean = np.array([True, True, False, True])
    lines = error_table({"model": held, "device": held}, kinds, clean)
    rows = {(e["held out"], e["rows of"]): e["rows"] for e in lines if e["class"] == "all"}
    assert rows == {
        ("whole models", "single stream, full power"): 2,
        ("whole devices", "single stream, full power"): 3,
        ("whole models", "all"): 3,
        ("whole devices", "all"): 4,
    }


def test_an_interval_is_stretched_on_the_logarithm():
    errors = np.arange(1, 100) / 100 - 0.5
    plain = ends(errors, errors, 0.05)
    assert ends(errors, errors, 0.05, 2.0) == pytest.approx((plain[0] ** 2, plain[1] ** 2))


def test_the_figure_counts_rows_and_errors_by_class():
    from roofline.report.agreement import agreement_figure

    rows = [
        ("model", "decode", "phone", 10.0, 11.0),
        ("model", "decode", "phone", 10.0, 13.0),
        ("model", "prefill", "sbc", 100.0, 50.0),
        ("device", "decode", "phone", 1.0, 9.0),
    ]
    names = ["held_out", "metric", "class", "measured", "predicted"]
    figure = agreement_figure(pd.DataFrame(rows, columns=names), {})
    decode, prefill = figure.axes
    assert [t.get_text() for t in decode.get_legend().get_texts()] == ["Phone: 2, 20%"]
    assert [t.get_text() for t in prefill.get_legend().get_texts()] == ["Board: 1, 50%"]
    assert decode.get_title(loc="left") == "Decode: 2 rows, median error 20.0%"
    assert decode.get_xlim() == decode.get_ylim()


class TestIntervals:
    def test_the_ends_by_counting(self):
        # 99 errors: with the new one, the 95th of 100 has 5 % above it; the fifth 5 % below.
        errors = np.arange(1, 100) / 100 - 0.5
        low, high = ends(errors, errors, 0.05, pooled=0.0)
        assert high == pytest.approx(np.exp(0.45))
        assert low == pytest.approx(np.exp(-0.45))
        wider = ends(errors, errors, 0.02, pooled=0.0)
        assert wider == pytest.approx((np.exp(-0.48), np.exp(0.48)))

    def test_they_hold_one_and_few_rows_stay_near_all(self):
        wide = np.random.default_rng(0).normal(0, 0.3, 1000)
        assert ends(np.array([0.5, 0.6]), wide)[0] < 0.9
        _low, high = ends(np.array([2.0]), wide)
        assert high < np.exp(1.0), "one row does not decide"
        assert ends(np.full(500, 0.4), np.full(500, 0.4))[0] == 1.0

    @pytest.mark.parametrize("count", [40, 200, 1000])
    def test_nine_of_ten_new_rows_lie_inside(self, count):
        random = np.random.default_rng(1)
        shares = []
        for _ in range(60):
            seen, new = random.standard_t(4, count) * 0.1, random.standard_t(4, 2000) * 0.1
            low, high = ends(seen, seen)
            shares.append(np.mean((np.exp(new) >= low) & (np.exp(new) <= high)))
        assert 0.88 < np.mean(shares) < 0.94

    def test_errors_that_come_in_groups_are_covered_too(self):
        # Twenty groups in ten folds, each with an error of its own: rows alone say too little.
        random = np.random.default_rng(3)
        group = np.repeat(np.arange(20), 30)
        errors = random.normal(0, 0.3, 20)[group] + random.normal(0, 0.02, 600)
        fold, kinds = group % 10, np.full(600, "phone")
        steps = steps_of(errors, fold, kinds)
        tail, stretch = steps["phone"]
        assert tail < 0.05 or stretch > 1, "wider than rows alone would have it"
        held = nested_coverage(errors, fold, kinds, steps)
        plain = nested_coverage(errors, fold, kinds, {"": (0.05, 1.0)})
        assert held["phone"][1] > plain["phone"][1]
        alone = random.normal(0, 0.3, 600)
        assert LADDER.index(steps_of(alone, fold, kinds)["phone"]) < LADDER.index(steps["phone"])
        assert nested_coverage(alone, fold, kinds, steps_of(alone, fold, kinds))[""][1] >= 0.9

    def test_coverage_by_counting(self):
        # Folds 0 and 1 hold errors of 0 and of 1. The ends of the first are (1, 1), which miss the
        # second; an interval always holds 1, and so those of the second hold the first.
        errors, fold = np.repeat([0.0, 1.0], 50), np.repeat([0, 1], 50)
        kinds = np.full(100, "sbc")
        assert nested_coverage(errors, fold, kinds, {"": (0.05, 1.0)}) == {
            "": (100, 0.5),
            "sbc": (100, 0.5),
        }
        errors[::10] = np.nan
        assert nested_coverage(errors, fold, kinds, {"": (0.05, 1.0)})["sbc"][0] == 90

    def test_bases_kinds_and_the_widest(self):
        kinds = np.array(["phone"] * 100 + ["jetson"] * 100)
        spread = np.where(kinds == "phone", 0.5, 0.05)
        e = np.random.default_rng(2).normal(0, 1, 200) * spread
        held = HeldOut(
            np.arange(200) % 10,
            np.arange(200) % 10,
            {PACKAGE: {"decode": e, "prefill": e, "energy": np.full(200, np.nan)}},
            np.arange(200) >= 50,
        )
        found = intervals(held, held, kinds)
        low, high = found["decode"]["class"]["jetson"]
        wide = found["decode"]["class"]["phone"]
        assert wide[0] < low < 1 < high < wide[1]
        widest = found["decode"]["roofline"][""]
        assert widest[0] <= wide[0]
        assert wide[1] <= widest[1]
        assert found["energy"]["device"][""] == (0.25, 4.0)
        known_only = intervals(held, held, kinds)["decode"]["device"]["phone"]
        assert known_only != wide, "rows of devices that the fit did not know do not count"


class TestEnergy:
    def test_scopes(self):
        said = {
            "GPU (NVML) steady state": "board",
            "Jetson GPU rail avg (telemetry)": "rail",
            "CPU+NPU+iGPU rails during decode (context not stated)": "rail",
            "package power avg during tg run (source sampler)": "package",
            "battery delta, whole device, ~10 min sustained": "whole-device",
            "onboard INA3221 3-rail sum during decode (wall ~1.02x+3.1 W)": "module",
            "wall, whole system, peak": "wall",
            "": "",
        }
        assert {text: energy.scope_of(text) for text in said} == said

    def test_every_power_kind_of_the_published_table_has_a_scope(self):
        stated = load_rows()["power_kind"]
        assert all(energy.scope_of(text) for text in stated[stated != ""].unique())

    def test_power_is_recovered_and_a_new_device_is_its_kind(self):
        count = 40
        settings = {
            name: np.array([word] * (2 * count))
            for name, word in (
                ("type", "gpu"), ("runtime", "vllm"), ("scope", "rail"), ("part", "rail"),
            )
        }  # fmt: skip
        settings["kind"] = np.array(["phone"] * count + ["jetson"] * count)
        settings["device"] = np.array([f"{k}-{i % 4}" for i, k in enumerate(settings["kind"])])
        watts = np.log(np.where(settings["kind"] == "phone", 4.0, 12.0))
        used = settings["device"] != "phone-1"
        priors = {"phone-1": 0.0, "unseen": np.log(2.0)}
        effects = energy.fit_power(settings, watts, used, priors)
        found = energy.predict_log_watts(effects, settings)
        np.testing.assert_allclose(np.exp(found), np.exp(watts), rtol=0.3)
        settings["device"] = np.full(2 * count, "unseen")
        doubled = energy.predict_log_watts(effects, settings)
        np.testing.assert_allclose(np.exp(doubled), 2 * np.exp(watts), rtol=0.3)

    def test_one_rail_of_a_laptop_tells_little_of_a_laptop_measured_whole(self):
        # Cards at the board draw 300 W; of one laptop, whose rail was read, 5 W are known.
        cards = {"device": [f"card-{i}" for i in range(6)], "kind": ["desktop_gpu"] * 6}
        known = {
            "device": [*cards["device"], "laptop"],
            "kind": [*cards["kind"], "laptop"],
            "scope": ["board"] * 6 + ["rail"],
            "type": ["gpu"] * 7,
            "runtime": ["llama.cpp-cuda"] * 7,
        }
        known["part"] = [energy.part_of(scope) for scope in known["scope"]]
        watts = np.log([300.0] * 6 + [5.0])
        effects = energy.fit_power(known, watts, np.ones(7, dtype=bool), {})
        asked = {"device": "other", "kind": "laptop", "type": "gpu", "runtime": "llama.cpp-cuda",
                 "scope": "package", "part": energy.part_of("package")}  # fmt: skip
        found = energy.predict_log_watts(effects, {name: [word] for name, word in asked.items()})
        assert 75 < np.exp(found[0]) < 300

    def test_joules_a_token_are_power_times_time_over_batch(self):
        rows = load_rows()
        chosen = rows[rows["energy_j_per_tok"].notna() & rows["power_w"].notna()]
        cases = read_cases(chosen.reset_index(drop=True))
        watts = energy.log_watts(cases, chosen.reset_index(drop=True))
        joules = np.exp(watts) * cases.tpot / cases.batch
        np.testing.assert_allclose(joules, cases.energy)
