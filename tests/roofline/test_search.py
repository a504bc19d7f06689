"""Searches against a loop over every candidate, and against each other."""

import itertools
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest

from arch_space.spaces import Space, load_space
from hardware_specs import load_device
from roofline.laws import load_law
from roofline.search import (
    Constraint,
    Problem,
    RooflineEvaluator,
    SearchResult,
    enumerate_exactly,
    evolve,
    non_dominated,
    parse_objectives,
    search,
    seconds_to_enumerate,
)
from roofline.search.search import choose_method
from roofline.workload import Workload
from spec_files import SpecError, parse_spec

choice = sys.modules[choose_method.__module__]
enumeration = sys.modules[enumerate_exactly.__module__]

TINY = """
name: tiny
fixed: {vocabulary: 1000, head_size: 64, ffn_multiple: 32}
dimensions:
  layers: {from: 2, to: 12, step: 2}
  width: [128, 256, 384, 512]
  kv_heads: [1, 2, all]
  ffn_ratio: [0.5, 1, 2, 4]
  experts, experts_per_token: [[1, 1], [4, 1], [4, 2]]
  weight_format: [fp16, int8]
"""


@dataclass(frozen=True)
class Toy:
    """Losses that fall with size, and times that rise with it, rounded so that points coincide."""

    roughness: float = 0.0

    def __call__(self, arch):
        moe = arch.experts > 1
        inner = np.where(moe, arch.expert_width * arch.experts_per_token, arch.ffn_width)
        stored = np.where(moe, arch.expert_width * arch.experts, arch.ffn_width)
        bits = np.where(arch.weight_format == 1, 16, 8)
        active = arch.layers * arch.width * (2.0 * arch.width + 3 * inner) * bits
        loss = 10 / arch.layers**1.6 + 500 / arch.width + 30 / np.sqrt(stored) + 1 / arch.kv_heads
        memory = arch.layers * arch.width * (2.0 * arch.width + 3 * stored) * bits / 8
        return {
            "loss": np.round(loss, 2) + self.roughness * np.sin(active),
            "ttft": active * 1e-9,
            "tpot": np.round(active * 1e-8, 1),
            "latency": active * 2e-9,
            "energy": np.where(arch.layers > 2, active * 1e-7, np.nan),
            "memory": memory,
            "fits": memory < 3e7,
            "in_range": arch.layers > 4,
        }


def tiny():
    return parse_spec(TINY, Space, "tiny.yaml")


def problem(**changes):
    return Problem(**({"space": tiny(), "evaluator": Toy()} | changes))


def slow_search(asked):
    """Every candidate by itself, each compared with each."""
    arch, indices = asked.space.candidates()
    allowed = []
    for index, one in zip(indices, arch, strict=True):
        said = {name: column.item() for name, column in asked.evaluator(one).items()}
        point = [said[name] for name in asked.objectives]
        if not said["fits"] or any(np.isnan(point)):
            continue
        if any(not said[c.objective] <= c.limit for c in asked.constraints):
            continue
        if asked.in_range_only and not said["in_range"]:
            continue
        allowed.append((int(index), tuple(point)))
    front = {
        index: point
        for index, point in allowed
        if not any(
            all(a <= b for a, b in zip(other, point, strict=True))
            and (other != point or rival < index)
            for rival, other in allowed
            if rival != index
        )
    }
    return front, len(allowed)


def same(one: SearchResult, other: SearchResult) -> None:
    np.testing.assert_array_equal(one.indices, other.indices)
    np.testing.assert_array_equal(one.points, other.points)
    assert (one.evaluated, one.feasible) == (other.evaluated, other.feasible)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"objectives": ("loss",)},
        {"objectives": "loss, ttft, memory"},
        {"objectives": ("loss", "ttft", "energy", "memory")},
        {"constraints": (Constraint("tpot", 0.5), Constraint("memory", 2e6))},
        {"in_range_only": True},
    ],
)
def test_exact_search_is_the_loop_over_every_candidate(changes):
    asked = problem(**changes)
    found = enumerate_exactly(asked, chunk=50)
    front, allowed = slow_search(asked)
    assert dict(zip(found.indices.tolist(), map(tuple, found.points), strict=True)) == front
    assert found.evaluated == found.valid == asked.space.valid_count
    assert found.feasible == allowed < found.evaluated
    assert (np.diff(found.points[:, 0]) >= 0).all()
    assert found.architectures.row(0)["width"] in (128, 256, 384, 512)
    for axis, name in enumerate(asked.objectives):
        np.testing.assert_array_equal(found.quantities[name], found.points[:, axis])


@pytest.mark.parametrize(("chunk", "workers"), list(itertools.product((1, 13, 300, 10**6), (1, 4))))
def test_front_depends_neither_on_chunks_nor_on_workers(chunk, workers):
    asked = problem()
    same(enumerate_exactly(asked, chunk=chunk, workers=workers), enumerate_exactly(asked))


def test_a_search_that_was_killed_goes_on_and_ends_with_the_same_front(tmp_path):
    asked, path = problem(), tmp_path / "runs" / "state.npz"
    calls = []

    def stop(done, total):
        calls.append(done)
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enumerate_exactly(asked, chunk=100, progress=stop, checkpoint=path)
    half = len(calls)
    assert list(path.parent.iterdir()) == [path]

    resumed = []
    second = enumerate_exactly(
        asked, chunk=70, progress=lambda done, total: resumed.append(done), checkpoint=path
    )
    same(second, enumerate_exactly(asked))
    assert resumed[0] == calls[-1] + 70
    assert resumed[-1] == asked.space.size
    assert half < len(range(0, asked.space.size, 100))

    done = []
    same(enumerate_exactly(asked, progress=lambda *_: done.append(1), checkpoint=path), second)
    assert not done


def test_a_checkpoint_of_another_search_is_refused(tmp_path):
    path = tmp_path / "state.npz"
    enumerate_exactly(problem(), checkpoint=path)
    for changes in (
        {"objectives": "loss,ttft"},
        {"constraints": (Constraint("tpot", 1),)},
        {"evaluator": Toy(0.1)},
        {"in_range_only": True},
    ):
        with pytest.raises(SpecError, match="another search"):
            enumerate_exactly(problem(**changes), checkpoint=path)
    path.write_text("not a checkpoint")
    with pytest.raises(SpecError, match="not the checkpoint"):
        enumerate_exactly(problem(), checkpoint=path)


def test_a_failure_in_a_thread_reaches_the_caller():
    def broken(arch):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        enumerate_exactly(problem(evaluator=broken), workers=2)


def test_nothing_feasible_is_an_empty_front():
    asked = problem(constraints=(Constraint("memory", 1),))
    for method in ("exact", "nsga2"):
        found = search(asked, method, evaluations=100)
        assert len(found) == found.feasible == 0
        assert found.points.shape == (0, 2)
        assert found.hypervolume() == 0


def test_a_quantity_that_nothing_states_is_an_error():
    def silent(arch):
        return {**Toy()(arch), "energy": np.full(len(arch), np.nan)}

    with pytest.raises(SpecError, match="energy is not known for any candidate"):
        search(problem(evaluator=silent, objectives="loss,energy"))


def test_losses_of_two_vocabularies_are_not_compared():
    two = TINY.replace("vocabulary: 1000, ", "") + "  vocabulary: [1000, 2000]\n"
    varied = parse_spec(two, Space, "two.yaml")
    for changes in (
        {"objectives": "loss,tpot"},
        {"objectives": "tpot", "constraints": (Constraint("loss", 9),)},
    ):
        for method in ("exact", "nsga2", "auto"):
            with pytest.raises(SpecError, match="does not compare between vocabularies: fix the"):
                search(problem(space=varied, **changes), method, evaluations=100)
    problem(space=varied, objectives="tpot,memory").check()
    problem(space=parse_spec(two.replace(", 2000", ""), Space, "one.yaml")).check()


def test_nsga2_repeats_for_a_seed_and_counts_each_candidate_once():
    runs = [evolve(problem(), evaluations=200, population=20, seed=seed) for seed in (5, 5, 6)]
    same(runs[0], runs[1])
    assert runs[0].evaluated == runs[2].evaluated == 200
    assert not np.array_equal(runs[0].indices, runs[2].indices) or runs[0].feasible != (
        runs[2].feasible
    )
    assert runs[0].method == "nsga2"


def test_nsga2_with_a_generous_budget_finds_the_exact_front():
    exact = enumerate_exactly(problem())
    found = evolve(problem(), evaluations=10_000, population=40)
    assert found.evaluated <= exact.valid
    assert found.hypervolume_ratio(exact) == pytest.approx(1, abs=1e-3)
    assert non_dominated(found.points).all()


def test_nsga2_under_tight_constraints_stays_within_them():
    asked = problem(constraints=(Constraint("memory", 5e5), Constraint("tpot", 0.1)))
    exact = enumerate_exactly(asked)
    assert 0 < exact.feasible < exact.evaluated / 20
    found = evolve(asked, evaluations=400, population=20)
    assert (found.quantities["memory"] <= 5e5).all()
    assert found.hypervolume_ratio(exact) >= 0.99


def test_auto_enumerates_what_is_quickly_enumerated(monkeypatch):
    assert search(problem()).method == "exact"
    monkeypatch.setattr(choice, "SOON", 1e-9)
    monkeypatch.setattr(choice, "PATIENCE", 1e-9)
    assert search(problem(), max_seconds=60).method == "pruned"
    many = problem(objectives=("loss", "tpot", "ttft", "latency", "memory"))
    assert search(many, evaluations=100).method == "nsga2"
    with pytest.raises(SpecError, match="nearest is 'exact'"):
        search(problem(), "exakt")


def test_the_estimate_goes_by_what_would_run(monkeypatch):
    """Loops on a large grid, columns on a small one, each within what it then takes."""
    judge = RooflineEvaluator(load_device("phone"), Workload(), load_law("codesign"))
    asked = Problem(load_space("on-device"), judge)
    said = seconds_to_enumerate(asked, workers=1)
    took = enumerate_exactly(asked, workers=1).seconds
    assert took / 4 < said < 4 * took
    monkeypatch.setattr(enumeration, "WORTH_COMPILING", np.inf)
    assert seconds_to_enumerate(asked, workers=1) > 5 * said
    assert seconds_to_enumerate(problem(), workers=1) < 5

    # Pruning begins where loops, not columns, would take long.
    monkeypatch.undo()
    monkeypatch.setattr(choice, "SOON", 2 * said)
    assert choose_method(asked, workers=1) == "exact"
    monkeypatch.setattr(choice, "SOON", said / 5)
    assert choose_method(asked, workers=1) == "pruned"
    many = replace(asked, objectives=("loss", "tpot", "ttft", "latency", "memory"))
    assert choose_method(many, workers=1) == "exact", "what cannot be pruned may take a minute"
    monkeypatch.setattr(choice, "PATIENCE", said / 5)
    assert choose_method(many, workers=1) == "nsga2"
    monkeypatch.undo()
    assert choose_method(asked, workers=1, max_seconds=said / 5) == "pruned"


def test_objectives_and_constraints_are_checked():
    assert parse_objectives("loss, TPOT") == ("loss", "tpot")
    with pytest.raises(SpecError, match="unknown objective 'tpott'; nearest is 'tpot'"):
        problem(objectives="loss,tpott")
    with pytest.raises(SpecError, match="twice"):
        parse_objectives("loss,loss")
    with pytest.raises(SpecError, match="no objective"):
        parse_objectives(())
    with pytest.raises(SpecError, match="nearest is 'memory'"):
        Constraint("memori", 1)
    for limit in (0, -1, np.nan, np.inf):
        with pytest.raises(SpecError, match="positive"):
            Constraint("ttft", limit)
    assert str(Constraint("tpot", 0.05)) == "tpot <= 0.05 s"


def test_a_result_is_a_table():
    frame = enumerate_exactly(problem()).to_frame()
    assert {"index", "loss", "tpot", "in_range", "layers", "weight_format"} <= set(frame)
    assert set(frame["weight_format"]) <= {"fp16", "int8"}


def test_importing_the_search_loads_no_heavy_package():
    heavy = ("pymoo", "moocore", "pandas", "scipy", "pydantic", "yaml")
    code = f"import roofline.search, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def paper():
    """The paper's grid on its device, and the exact front of it."""
    judge = RooflineEvaluator(
        load_device("jetson-agx-orin-64gb"),
        Workload(prompt=1024, generate=16),
        load_law("codesign"),
    )
    asked = Problem(load_space("paper-grid"), judge)
    return asked, enumerate_exactly(asked)


def test_front_of_the_papers_grid_is_of_experts(paper):
    _, exact = paper
    assert exact.evaluated == 6720
    assert exact.in_range.all()
    # The paper reports that all Pareto points are mixtures of experts, and that routing is top-1.
    # Here a router and its launches cost time, so a few of the shallowest models are dense.
    found = exact.architectures
    assert (found.experts > 1).mean() > 0.9
    assert (found.experts > 1)[found.layers > 8].all()
    assert (found.experts_per_token == 1).mean() > 0.9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nsga2_covers_the_exact_front_of_the_papers_grid(paper, seed):
    asked, exact = paper
    found = evolve(asked, evaluations=1000, seed=seed)
    assert found.evaluated <= 1000
    assert found.hypervolume_ratio(exact) >= 0.99
