"""Intervals hold what they promise: the co-design law found again in runs drawn from it."""

import numpy as np
import pytest

from roofline.fitting.fit import bootstrap, intervals, untold
from roofline.fitting.model import LawModel
from roofline.fitting.recovery import codesign_runs, recover
from roofline.fitting.solver import minimise
from roofline.laws import load_law


@pytest.fixture(scope="module")
def recovered():
    return recover(draws=20, starts=8, replicates=100, noise=0.01)


def test_the_truth_lies_inside_the_intervals(recovered):
    """In 90 of 100 draws at least; of 20, a coefficient of 95 % misses four in one of 400 tests."""
    inside = recovered.inside.sum(axis=0)
    assert (inside >= 17).all(), dict(zip(recovered.names, inside, strict=True))
    assert recovered.inside.mean() > 0.92


def test_the_intervals_are_no_wider_than_they_need_be(recovered):
    """Of what is told in every draw: as wide as the fits scatter, within a factor of two."""
    told = recovered.told.all(axis=0)
    assert told.sum() >= 5
    scatter = recovered.value.std(axis=0)[told]
    width = np.median(recovered.high - recovered.low, axis=0)[told]
    assert (width > 2 * scatter).all()
    assert (width < 8 * scatter).all()


def test_what_cannot_be_told_is_not_called_told(recovered):
    """Of k_m / d_m^a_m + l_inf with a_m at .05, runs tell the sum and hardly a part of it."""
    names = list(recovered.names)
    for name in ("k_m", "a_m"):
        assert recovered.told[:, names.index(name)].mean() < 0.2
    misled = (recovered.told & ~recovered.inside).sum(axis=0)
    assert (misled <= 3).all(), dict(zip(names, misled, strict=True))


def test_intervals_of_another_law_hold_as_well():
    size, tokens = np.geomspace(3e7, 3e9, 8), np.geomspace(1e9, 1e12, 7)
    columns = (np.repeat(size, 7), np.tile(tokens, 8))
    found = recover(load_law("chinchilla"), columns, noise=0.003, draws=60, replicates=150)
    assert (found.inside.mean(axis=0) >= 0.87).all()
    assert (found.told.mean(axis=0)[[0, 3, 4]] == 1).all()


def test_replicates_alone_would_not_see_a_valley_to_its_end():
    """Runs whose fit went far along the valley: replicates stay there, the profile comes back."""
    law, columns = load_law("codesign"), codesign_runs()
    model = LawModel(law, columns, {})
    truth = model.points(law.coefficients())
    noise = 0.01 * np.random.default_rng(0).standard_normal(170)
    measured = (model(truth[None])[0] + noise)[None]
    found = minimise(model, model.starts(16, 0), model.low, model.high, measured)
    best = found.points[found.cost.argmin()]
    drawn = bootstrap(model, best, np.arange(170), measured[0], 100)
    low, high = intervals(model, best[None], drawn[:, None], measured)
    k_m = model.names.index("k_m")
    assert np.percentile(drawn[:, k_m], 2.5) > truth[k_m]
    assert low[0, k_m] < truth[k_m] < high[0, k_m]
    assert untold(low[0], high[0], model)[k_m]
