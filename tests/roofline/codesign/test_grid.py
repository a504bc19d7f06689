"""The best of every hardware, against a loop over all pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofline.codesign.best import NOBODY, Best, staircase
from roofline.codesign.hardware import Template
from roofline.codesign.judge import Judge
from roofline.codesign.tiles import lowest, quickest
from roofline.engine import estimate
from roofline.laws import load_law, predict

LIMITS = {"tpot": 0.012, "ttft": 0.4}


class Made:
    """A judge of made-up candidates: excess falls with bandwidth and peak as a roofline does."""

    def __init__(self, compute, traffic, rest) -> None:
        self.parts = compute, traffic, rest

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, rows):
        return Made(*(part[rows] for part in self.parts))

    def excess(self, bandwidth, peak, power=1.0):
        compute, traffic, rest = self.parts
        return np.maximum(compute / peak, traffic / bandwidth) + rest


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 300), st.integers(1, 23), st.integers(1, 17))
def test_made_up_candidates_by_brute_force(seed, many, wide, high) -> None:
    rng = np.random.default_rng(seed)
    judge = Made(*rng.lognormal(0, 1, (2, many)), rng.uniform(0, 0.6, many))
    value = np.sort(rng.integers(0, 40, many).astype(float))  # with ties
    index = np.arange(many)
    bandwidth, peak = np.geomspace(0.1, 10, wide), np.geomspace(0.1, 10, high)
    share = np.array([[judge.excess(b, p) for p in peak] for b in bandwidth])
    wanted = np.where(share <= 1, value, np.inf)
    found = lowest(judge, value, index, bandwidth, peak, Best.none(wide, high))
    np.testing.assert_array_equal(found.value, wanted.min(axis=2))
    first = np.where(found.known, wanted.argmin(axis=2), NOBODY)
    np.testing.assert_array_equal(found.index, first)
    near = quickest(judge, index, bandwidth, peak, Best.none(wide, high))
    np.testing.assert_array_equal(near.value, share.min(axis=2))
    np.testing.assert_array_equal(near.index, share.argmin(axis=2))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 200))
def test_two_halves_make_the_whole(seed, many) -> None:
    """What is known already is kept, whichever half comes first."""
    rng = np.random.default_rng(seed)
    judge = Made(*rng.lognormal(0, 1, (2, many)), rng.uniform(0, 0.6, many))
    value, index = np.sort(rng.integers(0, 9, many).astype(float)), rng.permutation(many)
    order = np.lexsort((index, value))
    value, index, judge = value[order], index[order], judge[order]
    at = np.geomspace(0.1, 10, 12)
    whole = lowest(judge, value, index, at, at, Best.none(12, 12))
    for halves in ((slice(0, many // 2), slice(many // 2, many)),) * 2:
        known = Best.none(12, 12)
        near = Best.none(12, 12)
        for rows in reversed(halves):
            known = lowest(judge[rows], value[rows], index[rows], at, at, known)
            near = quickest(judge[rows], index[rows], at, at, near)
        np.testing.assert_array_equal(known.value, whole.value)
        np.testing.assert_array_equal(known.index, whole.index)
        np.testing.assert_array_equal(
            near.value, quickest(judge, index, at, at, Best.none(12, 12)).value
        )


@pytest.mark.parametrize("how", ["mean", "worst"])
def test_a_grid_by_the_plain_engine(how, phone, space) -> None:
    """Every point of a small grid, every candidate, the engine on a device of that hardware."""
    from roofline.mixes import Mix, Part

    mix = Mix(
        name="two",
        workloads=(
            Part(name="a", prompt=64, generate=24, weight=3),
            Part(name="b", prompt=700, generate=8, weight=1),
        ),
    )
    arch, index = space.candidates()
    loss = predict(load_law("codesign"), arch).loss
    order = np.lexsort((index, loss))
    template = Template.of(phone, None, arch)
    judge = Judge.of(arch[order], phone, mix, LIMITS, how=how)
    fits = judge.memory <= phone.memory.dram.usable_bytes
    at = np.geomspace(0.15, 8, 9)
    found = lowest(judge[fits], loss[order][fits], index[order][fits], at, at, Best.none(9, 9))
    own = template.hardware
    for i, b in enumerate(at):
        for j, p in enumerate(at):
            device = template.to(replace(own, bandwidth=own.bandwidth * b, peak=own.peak * p))
            said = [estimate(arch, device, part.workload()) for part in mix.workloads]
            kept = np.logical_and.reduce([each.fits for each in said])
            for name, limit in LIMITS.items():
                times = [getattr(each, name) for each in said]
                cost = 0.75 * times[0] + 0.25 * times[1] if how == "mean" else np.maximum(*times)
                kept &= cost <= limit
            best = np.where(kept, loss, np.inf)
            assert found.value[i, j] == best.min()
            if np.isfinite(best.min()):
                assert found.index[i, j] == index[best == best.min()].min()
    assert 0.2 < found.known.mean() < 1  # the grid has points with and without a candidate


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(1, 9))
def test_a_staircase_by_brute_force(seed, many, points) -> None:
    rng = np.random.default_rng(seed)
    need = np.where(rng.random(many) < 0.2, np.inf, rng.integers(0, 6, many).astype(float))
    value, index = rng.integers(0, 5, many).astype(float), rng.permutation(many)
    at = np.sort(rng.integers(0, 7, points).astype(float))
    found = staircase(need, value, index, at)
    for place, supply in enumerate(at):
        rows = np.flatnonzero(need <= supply)
        least = value[rows].min(initial=np.inf)
        assert found.value[place] == least
        if len(rows):
            assert found.index[place] == index[rows][value[rows] == least].min()
