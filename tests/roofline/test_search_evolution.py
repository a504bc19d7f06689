"""The genetic search: what it breeds, where it starts, when it stops, how it goes on."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_space.library import load_model, load_models
from arch_space.spaces import Space, load_space
from hardware_specs import load_device
from roofline.cli import run
from roofline.laws import load_law
from roofline.search import (
    Constraint,
    Problem,
    RooflineEvaluator,
    enumerate_exactly,
    evolve,
    hypervolume,
    reference_point,
)
from roofline.search.checkpoints import read_checkpoint, write_checkpoint
from roofline.search.evolution.encoding import Encoding
from roofline.search.evolution.genetic import reference_directions
from roofline.search.evolution.operators import around, cross, mutate
from roofline.search.evolution.start import corners, first
from roofline.search.evolution.state import Archive, growth
from roofline.workload import Workload
from spec_files import SpecError, parse_spec

JUMBLED = """
name: jumbled
fixed: {vocabulary: 1000, ffn_multiple: 32}
dimensions:
  layers: [8, 2, 4, 30, 6]
  width: [512, 128, 384, 256, 320]
  head_size: [96, 32, 64]
  kv_heads: [all, 2, 1, 4]
  ffn_ratio: [4, 0.5, 2]
  experts, experts_per_token: [[1, 1], [4, 1], [2, 2], [8, 1]]
  window, window_share: [[0, 0], [256, 0.5], [512, 0.75]]
  weight_format: [fp16, int8, q4_0]
"""


def jumbled() -> Space:
    return parse_spec(JUMBLED, Space, "jumbled.yaml")


def phone(space="on-device", **changes) -> Problem:
    judge = RooflineEvaluator(load_device("phone"), Workload(), load_law("codesign"))
    return Problem(**({"space": load_space(space), "evaluator": judge} | changes))


def same(one, other):
    assert one.indices.tobytes() == other.indices.tobytes()
    assert one.points.tobytes() == other.points.tobytes()
    assert (one.evaluated, one.feasible) == (other.evaluated, other.feasible)


class TestEncoding:
    def test_what_has_an_order_is_sorted_and_what_has_none_is_a_category(self):
        space, code = jumbled(), Encoding(jumbled())
        ordered = {" ".join(n) for n, o in zip(space.axes, code.ordered, strict=True) if o}
        # A window and its share rise together; experts and active experts do not.
        assert ordered == {
            "layers", "width", "head_size", "kv_heads", "ffn_ratio", "window window_share"
        }  # fmt: skip
        said = [[space.labels(axis)[c] for c in code.choice_of[axis]] for axis in range(8)]
        assert said[0] == ["2", "4", "6", "8", "30"]
        assert said[3] == ["1", "2", "4", "all"]
        assert said[7] == ["fp16", "int8", "q4_0"]

    def test_ranks_and_points_are_each_others_inverse(self):
        code = Encoding(jumbled())
        points = np.arange(code.space.size)
        ranks = code.ranks(points)
        assert (ranks >= 0).all()
        assert (ranks < code.lengths).all()
        np.testing.assert_array_equal(code.points(ranks), points)
        layers = code.space.at(points).layers
        assert np.array_equal(np.unique(layers[ranks[:, 0] == 4]), [30])

    @pytest.mark.parametrize("space", [jumbled(), load_space("on-device")], ids=lambda s: s.name)
    def test_repair_moves_what_breaks_a_rule_and_nothing_else(self, space):
        code = Encoding(space)
        points = np.random.default_rng(0).integers(space.size, size=5000)
        valid = space.valid(points)
        assert 0.1 < valid.mean() < 0.9
        ranks = code.ranks(points)
        kept = ranks.copy()
        repaired = code.repair(ranks)
        np.testing.assert_array_equal(ranks, kept)
        np.testing.assert_array_equal(repaired[valid], ranks[valid])
        assert space.valid(code.points(repaired)).all()

    def test_repair_is_the_shortest_way(self):
        space = parse_spec(
            "name: two\nfixed: {layers: 4, vocabulary: 9, ffn_ratio: 4, kv_heads: 1}\n"
            "dimensions: {width: {from: 64, to: 320, step: 32}, head_size: [32, 48, 64, 128]}\n",
            Space,
            "two.yaml",
        )
        code = Encoding(space)
        ranks = code.ranks(np.arange(space.size))
        allowed = ranks[space.valid(np.arange(space.size))]
        scale = code.lengths - 1
        apart = np.linalg.norm((ranks[:, None] - allowed[None]) / scale, axis=-1)
        moved = np.linalg.norm((code.repair(ranks) - ranks) / scale, axis=-1)
        assert moved.max() > 0
        np.testing.assert_allclose(moved, apart.min(axis=1), atol=1e-12)

    @given(seed=st.integers(0, 2**32 - 1))
    @settings(max_examples=25, deadline=None)
    def test_a_model_that_is_on_the_grid_is_its_own_nearest(self, seed):
        code = Encoding(jumbled())
        points = np.random.default_rng(seed).integers(code.space.size, size=50)
        points = points[code.space.valid(points)]
        np.testing.assert_array_equal(code.points(code.nearest(code.space.at(points))), points)

    def test_a_known_model_lands_next_to_itself(self):
        code = Encoding(load_space("on-device"))
        near = code.space.at(code.points(code.nearest(load_model("qwen2.5-0.5b"))))
        said = near.row(0)
        assert (said["layers"], said["width"], said["kv_heads"]) == (24, 896, 2)
        assert (said["head_size"], said["experts"]) == (64, 1)
        assert said["ffn_width"] == pytest.approx(4864, rel=0.1)

    def test_operators_stay_on_the_grid_and_treat_categories_apart(self):
        code, rng = Encoding(jumbled()), np.random.default_rng(1)
        parents = rng.integers(code.lengths, size=(2, 4000, 8))
        children = cross(code, parents, rng)
        low, high = parents.min(axis=0), parents.max(axis=0)
        either = (children == parents[0]) | (children == parents[1])
        assert either[..., ~code.ordered].all()
        assert not either[..., code.ordered].all()
        assert (children >= 0).all()
        assert (children < code.lengths).all()
        new = ((children > low) & (children < high))[..., code.ordered]
        assert new.any(), "some children lie between their parents"

        changed = mutate(code, parents[0], rng)
        assert (changed >= 0).all()
        assert (changed < code.lengths).all()
        step = np.abs(changed - parents[0])
        assert 0.8 < (step > 0).sum(axis=1).mean() < 2
        # From the first of four categories to the last is as likely as to the next.
        jumps = changed[parents[0][:, 5] == 0][:, 5]
        counts = np.bincount(jumps, minlength=4)[1:]
        assert counts.min() > 0.6 * counts.max()
        near = step[:, 0][(step[:, 0] > 0) & (parents[0][:, 0] == 0)]
        assert (near == 1).mean() > 1.3 * (near == 4).mean()

    def test_neighbours_differ_in_one_value_or_are_repaired(self):
        code = Encoding(jumbled())
        point = np.flatnonzero(code.space.valid(np.arange(code.space.size)))[1234:1235]
        here = code.ranks(point)
        found = around(code, here)
        assert code.space.valid(code.points(found)).all()
        assert {1} <= set((found != here).sum(axis=1).tolist())
        moved = found[(found != here).sum(axis=1) == 1]
        assert set(moved[:, 7].tolist()) == {0, 1, 2}, "every category is a neighbour"


class TestStart:
    def test_corners_and_known_models_are_in_the_first_generation(self):
        asked, rng = phone(), np.random.default_rng(0)
        code, archive = Encoding(asked.space), Archive.of(asked)
        rows = first(code, archive, load_models(["qwen2.5-0.5b"]), 200, rng)
        assert len(rows) == 200
        points = code.points(rows)
        assert archive.new(points).all()
        assert code.points(code.nearest(load_models(["qwen2.5-0.5b"])))[0] in points
        formats = asked.space.at(points)
        for column in (formats.layers, formats.width):
            assert {column.min(), column.max()} >= {min(column), max(column)}
        ends = corners(code, 60, rng)
        whole = code.lengths - 1
        touched = [((ends[:, a] == 0) | (ends[:, a] == whole[a])).mean() for a in (0, 4)]
        assert min(touched) == 1, "depth and FFN ratio meet no rule, so no repair moves them"
        assert set(ends[:, 6].tolist()) == set(range(asked.space.shape[6]))


class TestTermination:
    def test_growth_is_the_share_of_the_hypervolume_that_was_added(self):
        before = np.array([[1.0, 4.0], [4.0, 1.0]])
        after = np.array([[1.0, 4.0], [2.0, 2.0], [4.0, 1.0]])
        reference = reference_point(after)
        share = 1 - hypervolume(before, reference) / hypervolume(after, reference)
        assert growth(before, after) == pytest.approx(share)
        assert share > 0.2
        scale = np.array([1e-9, 1e6])
        assert growth(before * scale, after * scale) == pytest.approx(share)
        assert growth(after, after) == 0
        assert growth(None, after) == growth(after[:0], after) == 1
        six = np.random.default_rng(0).random((40, 6))
        assert growth(six, six) == 0
        assert 0 < growth(six[:20], six) < 1

    def test_it_ends_before_the_evaluations_where_nothing_is_gained(self):
        asked = phone("paper-grid")
        generous = evolve(asked, evaluations=4000, population=40, patience=5)
        patient = evolve(asked, evaluations=4000, population=40, patience=50, tolerance=0)
        assert generous.evaluated < 3000 < patient.evaluated <= 4000
        exact = enumerate_exactly(asked)
        assert generous.hypervolume_ratio(exact) > 0.999

    def test_evaluations_are_the_upper_limit(self):
        for evaluations in (1, 7, 150, 1001):
            assert evolve(phone(), evaluations=evaluations).evaluated == evaluations


LIMITED = dict(
    objectives="loss,ttft,memory",
    constraints=(Constraint("tpot", 0.03), Constraint("ttft", 3.0)),
)


@pytest.mark.parametrize("algorithm", ["nsga2", "nsga3"])
class TestRepeats:
    def test_to_the_byte_for_a_seed(self, algorithm):
        runs = [
            evolve(phone(**LIMITED), algorithm=algorithm, evaluations=1500, seed=seed)
            for seed in (3, 3, 4)
        ]
        assert runs[0].method == algorithm
        assert 0 < runs[0].feasible < runs[0].evaluated, "infeasible ones take part"
        same(runs[0], runs[1])
        assert runs[0].points.tobytes() != runs[2].points.tobytes()

    def test_from_any_step_it_was_stopped_at(self, algorithm, tmp_path):
        how = dict(algorithm=algorithm, evaluations=1500, population=60, checkpoint_every=0)
        whole = evolve(phone(**LIMITED), **how)
        for stop in (60, 600, 1300):
            path = tmp_path / f"{stop}.npz"

            def cut(done, _, stop=stop):
                if done >= stop:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                evolve(phone(**LIMITED), progress=cut, checkpoint=path, **how)
            steps = []
            resumed = evolve(
                phone(**LIMITED),
                progress=lambda done, _, steps=steps: steps.append(done),
                checkpoint=path,
                **how,
            )
            same(resumed, whole)
            assert steps[0] > stop, "what was evaluated is not evaluated again"

    def test_a_checkpoint_of_another_run_is_refused(self, algorithm, tmp_path):
        path = tmp_path / "state.npz"
        evolve(phone(), algorithm=algorithm, evaluations=300, checkpoint=path)
        for change in ({"seed": 1}, {"evaluations": 301}, {"population": 9}, {"patience": 3}):
            with pytest.raises(SpecError, match="another search"):
                evolve(
                    phone(),
                    **({"algorithm": algorithm, "evaluations": 300, "checkpoint": path} | change),
                )
        saved = read_checkpoint(path)
        write_checkpoint(path, {n: a for n, a in saved.items() if n != "walk_spent"})
        with pytest.raises(SpecError, match=r"not the checkpoint of a whole search \('walk_spent'"):
            evolve(phone(), algorithm=algorithm, evaluations=300, checkpoint=path)
        path.write_bytes(b"no archive")
        with pytest.raises(SpecError, match="not the checkpoint"):
            evolve(phone(), algorithm=algorithm, evaluations=300, checkpoint=path)


def test_what_no_run_can_be_made_of_is_refused():
    for wrong, words in (
        ({"algorithm": "nsga4"}, "nearest is 'nsga3'"),
        ({"evaluations": 0}, "at least 1 evaluation"),
        ({"patience": 0}, "patience"),
        ({"tolerance": float("nan")}, "tolerance"),
    ):
        with pytest.raises(SpecError, match=words):
            evolve(phone(), **wrong)


def test_directions_are_as_fine_as_the_population_allows():
    assert len(reference_directions(3, 200)) == 190  # 18 cuts; 19 give 210
    assert len(reference_directions(2, 200)) == 200
    assert len(reference_directions(6, 200)) == 126
    for count in (2, 3, 6):
        assert np.allclose(reference_directions(count, 200).sum(axis=1), 1)


@pytest.mark.parametrize("seed", range(5))
def test_half_a_thousandth_of_the_candidates_cover_the_front(exact, seed):
    found = evolve(phone(), evaluations=20_000, seed=seed)
    assert found.hypervolume_ratio(exact) >= 0.99


@pytest.fixture(scope="module")
def exact():
    return enumerate_exactly(phone())


_SLOWED = """
import sys, time
from roofline.cli import run
from roofline.search import enumeration, evolution
from roofline.search.evolution.state import Archive
enumeration.enumerate_exactly.__kwdefaults__ |= {"chunk": 100, "checkpoint_every": 0, "workers": 1}
evolution.evolve.__kwdefaults__ |= {"checkpoint_every": 0}
judge = Archive.evaluate
Archive.evaluate = lambda *given: (time.sleep(0.1), judge(*given))[1]
merge = enumeration.merge
enumeration.merge = lambda *given: (time.sleep(0.1), merge(*given))[1]
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "options",
    [
        ["--method", "exact", "--space", "paper-grid"],
        ["--method", "nsga2", "--space", "on-device", "--evaluations", "2000", "--seed", "5"],
    ],
    ids=["exact", "nsga2"],
)
def test_a_sweep_killed_by_sigkill_resumes_to_the_same_front(tmp_path, options):
    sweep = ["sweep", "--device", "phone", *options]
    cut, checkpoint = tmp_path / "cut", tmp_path / "cut" / ".checkpoint.npz"
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOWED, *sweep, "-o", str(cut)], stderr=subprocess.DEVNULL
    )
    seen, written = 0, None
    while seen < 6 and process.poll() is None:  # half-way: several checkpoints stand
        if checkpoint.exists() and checkpoint.stat().st_mtime_ns != written:
            seen, written = seen + 1, checkpoint.stat().st_mtime_ns
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (cut / "front.csv").exists()
    assert run(["sweep", "--resume", str(cut)]) == 0
    assert run([*sweep, "-o", str(tmp_path / "whole")]) == 0
    assert (cut / "front.csv").read_bytes() == (tmp_path / "whole" / "front.csv").read_bytes()
    assert not re.search("checkpoint", " ".join(os.listdir(cut)))
    assert Path(cut / "sweep.yaml").read_bytes() == (tmp_path / "whole/sweep.yaml").read_bytes()
