"""A table of candidates against its rows alone, in any order, in chunks and as floats."""

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings

from arch_space.formats import format_code
from roofline import Workload, estimate
from roofline.engine.estimate import ARRAYS

from .inputs import candidates, device, devices, modes, one, seeds, works

# The package exports a function of the module's name.
ENGINE = import_module("roofline.engine.estimate")


@settings(deadline=None, max_examples=20)
@given(seeds, devices(), works, modes)
def test_a_table_is_its_single_estimates_in_any_order(seed, where, work, ideal):
    table, gpu = candidates(seed, count=12), device(**where)
    together = estimate(table, gpu, work, ideal=ideal)
    order = np.random.default_rng(seed).permutation(12)
    shuffled = estimate(table[order], gpu, work, ideal=ideal)
    singles = [estimate(model, gpu, work, ideal=ideal) for model in table]
    for name in ARRAYS:
        column = getattr(together, name)
        np.testing.assert_allclose(getattr(shuffled, name), column[order], rtol=1e-12)
        alone = [getattr(single, name)[0] for single in singles]
        np.testing.assert_allclose(column, alone, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("threads", [1, 3])
def test_chunks_and_threads_change_nothing(monkeypatch, threads):
    table, gpu, work = candidates(3, count=100), device(), Workload(prompt=30)
    whole = estimate(table, gpu, work)
    monkeypatch.setattr(ENGINE, "CHUNK", 7)
    chunked = estimate(table, gpu, work, threads=threads)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(chunked, name), getattr(whole, name), rtol=1e-12)
    assert not chunked.operators


def test_operators_of_chunks_that_have_different_ones(monkeypatch):
    """A chunk without experts has no router; its neighbours' router must not fill another row."""
    draw = np.random.default_rng(0)
    kinds = np.sort(draw.integers(0, 3, 40))  # dense, then MoE, then sliding
    table = candidates(
        5,
        count=40,
        experts=np.where(kinds == 1, 8, 1),
        experts_per_token=1,
        expert_width=np.where(kinds == 1, 40, 0),
        shared_experts=0,
        dense_layers=0,
        window=np.where(kinds == 2, 9, 0),
        window_share=np.where(kinds == 2, 1.0, 0.0),
    )
    gpu, work = device(), Workload(prompt=30)
    whole = {(o.phase, o.name): o for o in estimate(table, gpu, work).operators}
    monkeypatch.setattr(ENGINE, "CHUNK", 6)
    chunked = estimate(table, gpu, work, breakdown=True).operators
    assert [(o.phase, o.name) for o in chunked] == list(whole)
    for operator in chunked:
        reference = whole[operator.phase, operator.name]
        for name in ("flops", "bytes", "compute_time", "memory_time", "time"):
            found, expected = getattr(operator, name), getattr(reference, name)
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_constant_column_may_have_length_one():
    table = candidates(1, count=20, width=64, vocabulary=1000, weight_format=format_code("int8"))
    full = {"width": np.full(20, 64), "vocabulary": np.full(20, 1000)}
    full["weight_format"] = np.full(20, format_code("int8"))
    wide = candidates(1, count=20, **full)
    assert len(table.width) == 1
    assert len(wide.width) == 20
    a, b = (estimate(t, device(), Workload(prompt=20)) for t in (table, wide))
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-13)


def test_a_float_relaxation_equals_the_integers():
    table = candidates(2)
    a, b = (estimate(t, device(), Workload(prompt=20)) for t in (table, table.as_float()))
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), name)


def test_one_model_has_arrays_of_one_and_many_keep_their_names():
    single = estimate(one(names=("solo",)), device(), Workload())
    assert len(single) == 1
    assert single.names == ("solo",)
    frame = single.to_frame()
    assert frame["name"].tolist() == ["solo"]
    assert frame["ttft"][0] == single.ttft[0]
