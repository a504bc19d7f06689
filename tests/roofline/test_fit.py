"""The fit: its slopes, what it recovers, what it ignores, and what it says of the unseen."""

from dataclasses import replace

import numpy as np
import pytest

from hardware_specs.measurements.rows import load_rows
from roofline.calibration.cases import read_cases
from roofline.calibration.demand import work_of
from roofline.calibration.fit import Design, fit, uncertainty
from roofline.calibration.predict import predict
from roofline.calibration.work import log_times
from roofline.efficiency.effects import Effects
from roofline.efficiency.form import DEVICE, FORM

ROWS = load_rows()


def some(keys: tuple[str, ...], most: int = 40):
    """The first rows of a few devices, as work."""
    kept = ROWS[ROWS["device_key"].isin(keys)].groupby("device_key").head(most)
    cases = read_cases(kept.reset_index(drop=True))
    return cases, work_of(cases)


@pytest.fixture(scope="module")
def mixed():
    """Dense, routed and recurrent models, prompts in pieces, on an APU and a phone."""
    rows = ROWS[ROWS["device_key"].isin(["strix_halo", "sd8gen2"])]
    rows = rows.groupby("model").head(2).reset_index(drop=True)
    cases = read_cases(rows)
    assert (cases.arch.experts > 1).any()
    assert (cases.arch.delta_layers > 0).any()
    assert ((cases.chunk > 0) & (cases.chunk < cases.prompt)).any()
    return work_of(cases)


def test_a_board_whose_bandwidth_is_a_range_tells_less_of_its_family():
    """RK3562 was sold with memories of 8.5 to 17.1 GB/s; the share of its bandwidth may lie so far
    from its family's as the root of that ratio, twice that on the logistic scale at one half."""
    _, work = some(("rk3562", "rpi5"))
    design = Design(work, np.ones(len(work), dtype=bool), {})
    wide, usual = (
        design.precision[design.names.index(("memory", DEVICE, name))] ** -0.5
        for name in ("npu|rk3562", "cpu|rpi5")
    )
    assert usual == FORM["memory"].levels[DEVICE]
    assert wide == pytest.approx(np.hypot(usual, np.log(17.1 / 8.5)))


@pytest.mark.parametrize("blend", [None, 2.0, 4.0])
@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_slopes_are_those_of_finite_differences(mixed, phase, blend):
    at = np.arange(len(mixed))
    rng = np.random.default_rng(1)
    eta = {
        f"{quantity}.{part}": form.centre + 0.3 * rng.standard_normal(len(at))
        for quantity, form in FORM.items()
        for part in mixed.parts(quantity)
    }
    base, slopes = log_times(mixed, phase, eta, at, blend)
    if blend is not None:  # joined by a norm, both sides take longer than the larger alone
        assert (base >= log_times(mixed, phase, eta, at)[0]).all()
    step = 1e-6
    for name, slope in slopes.items():
        moved = {**eta, name: eta[name] + step}
        numeric = (log_times(mixed, phase, moved, at, blend)[0] - base) / step
        # Where both sides of a roofline tie, the slope jumps; nearly all rows are off such ties.
        close = np.isclose(numeric, slope, atol=2e-4)
        assert close.mean() > (0.97 if blend is None else 0.9999), name
    quiet = "prefill.layers" if phase == "decode" else "step.layers"
    assert quiet not in slopes


def synthetic(work, effects, seed=0, noise=0.02):
    rng = np.random.default_rng(seed)
    times = predict(work, effects)
    measured = {
        phase: np.where(
            np.isfinite(work.measured[phase]), t + noise * rng.standard_normal(len(t)), np.nan
        )
        for phase, t in times.items()
    }
    return replace(work, measured=measured)


TRUE = Effects({"memory": {("type",): {"gpu": 0.6}}, "step": {("type",): {"gpu": 0.8}}})


def test_known_effects_are_recovered_and_an_outlier_is_not_followed():
    _, work = some(("m4max_40", "rtx4090", "jetson_orin_nano_8"))
    made = synthetic(work, TRUE)
    effects = fit(made)
    truth, found = predict(work, TRUE), predict(work, effects)
    seen = np.isfinite(made.measured["decode"])
    assert np.median(np.abs(found["decode"] - truth["decode"])[seen]) < 0.03
    spoiled = {**made.measured, "decode": made.measured["decode"].copy()}
    spoiled["decode"][np.flatnonzero(seen)[0]] += np.log(20)
    again = predict(work, fit(replace(made, measured=spoiled)))["decode"]
    others = np.flatnonzero(seen)[1:]
    assert np.median(np.abs(again - found["decode"])[others]) < 0.01
    assert np.max(np.abs(again - found["decode"])[others]) < 0.1


def test_a_device_without_rows_is_its_family_and_runtime():
    cases, work = some(("m4max_40", "rtx4090"))
    unseen = np.array(work.settings["device"]) == "rtx4090"
    effects = fit(work, ~unseen)
    for quantity, levels in effects.values.items():
        for level, found in levels.items():
            if "device" in level:
                assert not any("rtx4090" in key for key in found), (quantity, level)
    assert np.isfinite(predict(work, effects, np.flatnonzero(unseen))["decode"]).all()
    assert len(cases) == len(work)


@pytest.mark.parametrize("eta", [-60.0, 0.0, 60.0])
def test_no_effect_passes_a_peak(eta):
    for form in FORM.values():
        value = float(form.value(eta))
        assert 0 <= value <= 1 or form.scale != "share"


def test_rows_take_off_the_spread():
    _, work = some(("m4max_40", "rpi5"))
    effects = fit(work)
    at = int(np.flatnonzero(np.array(work.settings["runtime"]) == "mlx")[0])  # of many rows
    one = {name: words[at : at + 1] for name, words in work.settings.items()}
    for after, before in uncertainty(work, effects, one).values():
        assert 0 < after <= before * (1 + 1e-9)
    after, before = uncertainty(work, effects, one)["memory"]
    assert after < 0.7 * before


def test_effects_survive_json():
    effects = Effects(
        {"memory": {("type", "family"): {"gpu|nvidia-ada": 0.25}}},
        {"decode": {"class": {"": (0.5, 2.0)}}},
        {"rpi5|cpu": 3},
        {"rpi5|cpu|llama.cpp-cpu": 3},
        {"version": "x"},
    )
    assert Effects.from_json(effects.to_json()) == effects
