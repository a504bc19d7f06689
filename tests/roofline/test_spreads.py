"""The evidence for spreads: wide where effects differ, narrow where they do not."""

from dataclasses import replace

import numpy as np
import pytest

from hardware_specs.measurements.rows import load_rows
from roofline.calibration.cases import read_cases
from roofline.calibration.demand import work_of
from roofline.calibration.predict import predict
from roofline.calibration.spreads import evidence
from roofline.efficiency.effects import Effects

FAMILIES = ("memory", ("type", "family"))


@pytest.fixture(scope="module")
def work():
    """Devices of many families, a few rows each."""
    rows = load_rows()
    rows = rows.groupby("device_key").head(2)
    return work_of(read_cases(rows.reset_index(drop=True)))


def spread_of(work, sd):
    """Spread found where families differ by sd on the scale of effects, and nothing else does."""
    rng = np.random.default_rng(3)
    names = np.unique(
        [f"{t}|{f}" for t, f in zip(work.settings["type"], work.settings["family"], strict=True)]
    )
    truth = Effects({"memory": {("type", "family"): {str(n): sd * rng.normal() for n in names}}})
    measured = {
        phase: np.where(
            np.isfinite(work.measured[phase]), t + 0.02 * rng.normal(size=len(t)), np.nan
        )
        for phase, t in predict(work, truth).items()
    }
    return evidence(replace(work, measured=measured), rounds=2)


def test_families_that_differ_get_a_wide_spread_and_those_that_do_not_a_narrow(work):
    wide, narrow = spread_of(work, 1.0), spread_of(work, 0.0)
    assert wide[FAMILIES] > 1.5 * narrow[FAMILIES]
    assert 0.35 < wide[FAMILIES] < 1.6
    assert wide["memory", ("type", "device")] < wide[FAMILIES]
