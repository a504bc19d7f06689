"""Exact fronts by pruning against full enumeration, and what it says when it stops early."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from arch_space.spaces import Space, load_space
from hardware_specs import load_device
from roofline.cli import run
from roofline.efficiency.calibrated import calibrated
from roofline.laws import load_law
from roofline.search import (
    Constraint,
    Problem,
    RooflineEvaluator,
    enumerate_exactly,
    hypervolume,
    non_dominated,
    search,
)
from roofline.search import search as search_function
from roofline.search.followed import Followed
from roofline.search.fronts import beaten
from roofline.search.pruned import divide as divide_module
from roofline.search.pruned import prune, pruning
from roofline.search.pruned.divide import Divide
from roofline.search.pruned.shadow import Shadow
from roofline.workload import Workload
from spec_files import SpecError, parse_spec, validate_spec


def subset(name: str, seed: int, points: float) -> Space:
    """A shipped space with some of its values, drawn at random, and fewer points than so many."""
    space, random = load_space(name), np.random.default_rng(seed)
    given = {key: v if isinstance(v, list) else v.values() for key, v in space.dimensions.items()}
    while np.prod([len(values) for values in given.values()], dtype=float) > points:
        longest = max(given, key=lambda key: len(given[key]) * random.uniform(0.3, 1.0))
        values = given[longest]
        many = max(1, int(0.8 * len(values)))
        chosen = sorted(random.choice(len(values), many, replace=False))
        given[longest] = [values[i] for i in chosen]
    data = space.model_dump(by_alias=True, exclude_none=True) | {"dimensions": given}
    return validate_spec(data, Space, name)


def judge(device="phone", law="codesign", ideal=False, workload=None):
    known = calibrated(load_device(device), None, None)
    return RooflineEvaluator(known, workload or Workload(), load_law(law), ideal=ideal)


def problem(points=3e4, seed=0, name="wide-open", objectives=("loss", "tpot"), **changes):
    return Problem(subset(name, seed, points), judge(), objectives, **changes)


def assert_same(found, exact):
    assert found.indices.tolist() == exact.indices.tolist()
    assert found.points.tolist() == exact.points.tolist()
    assert found.exact


SPACES = [
    ("wide-open", judge(), ("loss", "tpot"), ()),
    ("wide-open", judge(law="chinchilla"), ("loss", "latency", "memory"), ()),
    ("on-device", judge("jetson-agx-orin-64gb", ideal=True), ("loss", "ttft"), (("tpot", 0.02),)),
    ("on-device", judge(law="gemstones-hot"), ("loss", "energy"), (("memory", 2e9),)),
    (
        "wide-open",
        judge(workload=Workload(batch=4, prompt=4096, generate=64)),
        ("loss", "tpot", "ttft"),
        (("energy", 900.0), ("loss", 3.6)),
    ),
]


@pytest.mark.parametrize("seed", range(len(SPACES)))
def test_the_front_of_a_random_space_is_the_enumerated_one(seed):
    """Five spaces of 10^5.5; benchmarks/pruning_speed.py holds five of 10^6 and larger ones."""
    name, evaluator, objectives, limits = SPACES[seed]
    asked = Problem(
        subset(name, seed, 3e5), evaluator, objectives, tuple(Constraint(*each) for each in limits)
    )
    exact = enumerate_exactly(asked, compiled=False)
    found = prune(asked)
    assert_same(found, exact)
    assert len(exact) > 10
    assert found.evaluated < 0.8 * asked.space.valid_count
    counts = found.pruning
    assert counts.open == 0
    assert counts.missing == 0
    if limits:
        assert counts.infeasible > 0
        assert exact.feasible < exact.evaluated
    ends = counts.dominated + counts.infeasible + counts.empty + counts.judged
    # Each halving makes two boxes of one, and each of them is halved or comes to an end.
    assert ends == counts.boxes / 2 + 1


def test_the_order_of_the_work_does_not_matter(monkeypatch):
    asked = problem(seed=3, objectives=("loss", "tpot", "memory"))
    exact = enumerate_exactly(asked, compiled=False)
    for workers, batch, judged, most_open in (
        (1, 7, 1, 5),
        (2, 100, 20, 10**6),
        (1, 10**4, 500, 3),
    ):
        monkeypatch.setattr(pruning, "BATCH", batch)
        monkeypatch.setattr(pruning, "MOST_OPEN", most_open)
        monkeypatch.setattr(divide_module, "JUDGED", judged)
        assert_same(prune(asked, workers=workers), exact)


@dataclass(frozen=True)
class Steps:
    """Objectives in steps, so that many candidates are equal, some unknown and some below zero."""

    def __call__(self, arch):
        size = arch.layers * arch.width * (2.0 * arch.width + 3 * arch.ffn_width)
        loss = np.floor(20 - np.log(size)) + (arch.kv_heads > 2)
        return {
            "loss": loss,
            "tpot": np.where(arch.layers > 30, np.nan, np.ceil(size / 3e7) - 5.0 * arch.kv_heads),
            "memory": np.floor(size / 1e8),
            "fits": size < 1e9,
            "in_range": arch.layers > 5,
        }


@pytest.mark.parametrize("objectives", ["loss,tpot", "loss,memory", "memory", "memory,tpot,loss"])
@pytest.mark.parametrize("cells", [64, 2**18])
def test_of_equal_candidates_the_first_stays(objectives, cells, monkeypatch):
    monkeypatch.setattr(divide_module, "CELLS", (cells,))
    # A first front that knows little, so that equal candidates meet in boxes and not before.
    monkeypatch.setattr(pruning, "_SAMPLE", 4)
    monkeypatch.setattr(pruning, "_WALKS", 0)
    space = subset("on-device", 5, 1e5).holding({"weight_format": "fp16"})
    asked = Problem(space, Steps(), objectives, in_range_only=True)
    assert_same(prune(asked), enumerate_exactly(asked, compiled=False))


def test_no_candidate_is_allowed():
    found = prune(problem(constraints=(Constraint("tpot", 1e-6),)))
    assert len(found) == 0
    assert found.pruning.open == 0
    assert found.pruning.infeasible > 0
    assert found.evaluated == 0


@pytest.fixture(scope="module")
def exact():
    asked = problem(1e5, seed=0, objectives=("loss", "tpot", "memory"))
    return asked, enumerate_exactly(asked, compiled=False)


class TestStoppedEarly:
    @pytest.fixture
    def slow(self, monkeypatch):
        """Small batches, and a first front that is poor, so that much is left at any moment."""
        monkeypatch.setattr(pruning, "BATCH", 32)
        monkeypatch.setattr(divide_module, "ROUNDS", 1)
        monkeypatch.setattr(divide_module, "JUDGED", 8)
        monkeypatch.setattr(pruning, "_SAMPLE", 400)
        monkeypatch.setattr(pruning, "_WALKS", 0)

    def test_the_bound_on_what_is_missing_holds_and_closes(self, exact, slow):
        asked, whole = exact
        seen = []
        for batches in (1, 4, 16, 64, 256):
            found = _stopped(asked, batches)
            reference = found.reference()
            lacking = hypervolume(whole.points, reference) - found.hypervolume()
            assert 0 <= lacking <= found.pruning.missing * (1 + 1e-9)
            assert found.exact == (found.pruning.open == 0)
            seen.append(found.pruning.missing / found.hypervolume())
        assert seen[0] > 0.1
        assert seen[-1] < seen[0] / 10
        assert lacking > 0 or found.exact

    def test_it_goes_on_from_a_checkpoint(self, exact, slow, tmp_path):
        asked, whole = exact
        file = tmp_path / "checkpoint.npz"
        for _ in range(3):
            before = _stopped(asked, 3, file)
            assert before.pruning.open > 0
        assert before.pruning.boxes > 2 * 3 * 16
        after = prune(asked, checkpoint=file)
        assert_same(after, whole)
        assert after.pruning.boxes > before.pruning.boxes
        assert after.seconds > before.seconds
        # What is done already is not done again.
        again = prune(asked, checkpoint=file)
        assert_same(again, whole)
        assert again.pruning.boxes == after.pruning.boxes

    def test_a_checkpoint_of_another_search_is_refused(self, exact, slow, tmp_path):
        asked, _ = exact
        file = tmp_path / "checkpoint.npz"
        _stopped(asked, 2, file)
        with pytest.raises(SpecError, match="of another search"):
            prune(replace(asked, objectives=("loss", "tpot")), checkpoint=file)
        file.write_bytes(file.read_bytes()[:100])
        with pytest.raises(SpecError, match="not the checkpoint"):
            prune(asked, checkpoint=file)

    def test_seconds_must_be_positive(self):
        with pytest.raises(SpecError, match="positive"):
            prune(problem(), max_seconds=0)


def _stopped(asked, batches, file=None):
    """Prune with one worker until so many batches are done."""
    patch = pytest.MonkeyPatch()
    began, done = time.perf_counter(), []

    class Clock:
        @staticmethod
        def perf_counter():
            return began + (100.0 if len(done) >= batches else 0.0)

    original = pruning._Search.finish

    def finish(self):
        original(self)
        done.append(1)

    patch.setattr(pruning, "time", Clock)
    patch.setattr(pruning._Search, "finish", finish)
    try:
        return prune(asked, workers=1, max_seconds=50.0, checkpoint=file)
    finally:
        patch.undo()


points = st.integers(1, 4).flatmap(
    lambda k: st.tuples(
        arrays(float, st.tuples(st.integers(0, 30), st.just(k)), elements=st.integers(-5, 5)),
        arrays(
            float,
            st.tuples(st.integers(1, 30), st.just(k)),
            elements=st.sampled_from([-np.inf, *map(float, range(-5, 6)), 0.5, np.inf, np.nan]),
        ),
    )
)


@settings(max_examples=300, deadline=None)
@given(points)
def test_a_shadow_hides_what_the_front_dominates_and_nothing_else(drawn):
    front, some = drawn
    front = front[non_dominated(front)]
    expected = beaten(some, front)
    hidden = Shadow.of(front).hides(some)
    assert not (hidden & ~expected).any()
    finite = np.isfinite(some).all(axis=1)
    if front.shape[1] < 3:
        assert (hidden == expected)[finite].all()
    else:
        # Where no value is shared, nothing is missed as long as all values are levels.
        apart = finite & ~np.isin(some, front).any(axis=1)
        assert (hidden == expected)[apart].all()


def test_a_shadow_of_a_large_front_misses_little():
    random = np.random.default_rng(0)
    front = random.random((20_000, 3)) ** 0.2
    front = front[non_dominated(front)]
    some = random.random((5000, 3))
    some = np.concatenate([some, front * 1.02])
    expected = beaten(some, front)
    hidden = Shadow.of(front).hides(some)
    assert not (hidden & ~expected).any()
    assert hidden.sum() > 0.97 * expected.sum()


@dataclass(frozen=True)
class Waves:
    """An evaluator with a function that has no rule."""

    def __call__(self, arch):
        tpot = arch.width * 1.0 + arch.layers * arch.head_size * (arch.ffn_width + arch.experts)
        return {"loss": 2.0 + np.sin(tpot + arch.weight_format), "tpot": tpot}


def test_what_cannot_be_followed_is_told_and_auto_falls_back(monkeypatch):
    monkeypatch.setattr(divide_module, "CELLS", (64,))
    asked = Problem(subset("wide-open", 1, 3e5), Waves())
    with pytest.raises(SpecError, match=r"cannot be followed over a grid .* exact or nsga2"):
        prune(asked)
    module = sys.modules[search_function.__module__]
    monkeypatch.setattr(module, "SOON", 1e-9)
    monkeypatch.setattr(module, "PATIENCE", 1e-9)
    assert search(asked, evaluations=100).method == "nsga2"
    assert search(problem(), max_seconds=60).method == "pruned"


@pytest.mark.parametrize("layers", [[4], [4, 6, 8, 12, 16]])
def test_a_space_of_one_dimension_is_pruned_and_compiled(layers):
    fixed = "{vocabulary: 32000, head_size: 64, width: 512, kv_heads: 2, ffn_ratio: 4}"
    text = f"name: one\nfixed: {fixed}\ndimensions: {{layers: {layers}}}\n"
    judge = RooflineEvaluator(load_device("phone"), Workload(), load_law("codesign"))
    asked = Problem(parse_spec(text, Space, "one.yaml"), judge)
    exact = enumerate_exactly(asked, compiled=False)
    assert len(exact) == len(layers)
    assert_same(prune(asked), exact)
    kernel = Followed.of(asked).kernel
    assert kernel.survivors([0], [len(layers)], exact.points[:0])[2] == len(layers)


def test_memory_of_tables_is_bounded(monkeypatch):
    asked = problem(1e5)
    large = Divide(asked).boxes.cells
    monkeypatch.setattr(divide_module, "MOST_HELD", large // 3)
    smaller = Divide(asked).boxes.cells
    assert smaller < large
    assert_same(prune(asked), enumerate_exactly(asked, compiled=False))


class TestCommand:
    SWEEP = ("sweep", "-d", "phone", "--reference", "none", "--method", "pruned")

    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("some.yaml").write_text(subset("wide-open", 2, 1e5).to_yaml())

    def test_it_prints_what_was_pruned(self, capsys):
        assert run([*self.SWEEP, "--space", "some.yaml", "-o", "run"]) == 0
        out = capsys.readouterr().out
        summary = json.loads(Path("run/summary.json").read_text())["summary"]
        counts = summary["pruning"]
        said = " ".join(out.split())
        assert (
            f"Of {counts['boxes']:,} boxes bounded, {counts['dominated']:,} were dominated" in said
        )
        assert f"{counts['share_pruned']:.1%} of those finished" in said
        assert "The front is proven exact." in said

    def test_it_says_what_may_be_missing(self, capsys, monkeypatch):
        monkeypatch.setattr(pruning, "BATCH", 4)
        command = [*self.SWEEP, "--space", "wide-open", "--max-seconds", "0.1", "-o", "run"]
        assert run(command) == 0
        summary = json.loads(Path("run/summary.json").read_text())["summary"]
        assert summary["pruning"]["open"] > 0
        assert summary["pruning"]["missing_hypervolume"] > 0
        assert "the front may lack at most" in " ".join(capsys.readouterr().out.split())

    def test_a_limit_of_seconds_is_of_pruning(self, capsys):
        command = [*self.SWEEP[:-1], "exact", "--space", "some.yaml", "--max-seconds", "3"]
        assert run(command) == 2
        assert "max_seconds" in capsys.readouterr().err

    def test_a_killed_sweep_resumes_to_the_same_front(self, monkeypatch):
        """Killed by SIGKILL as soon as there is a checkpoint, and then finished."""
        slow = (
            "import sys; from roofline.search.pruned import pruning; pruning.BATCH = 8; "
            "pruning._SAMPLE = 400; pruning._WALKS = 0; "
            "pruning.prune.__kwdefaults__['checkpoint_every'] = 0.0; "
            "from roofline.cli import main; main()"
        )
        command = [*self.SWEEP, "--space", "some.yaml", "-o", "cut"]
        running = subprocess.Popen([sys.executable, "-c", slow, *command], cwd=Path.cwd())
        checkpoint = Path("cut/.checkpoint.npz")
        until = time.monotonic() + 60
        while not checkpoint.exists() and time.monotonic() < until and running.poll() is None:
            time.sleep(0.01)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        assert checkpoint.exists()
        assert not Path("cut/front.csv").exists()
        with np.load(checkpoint) as saved:
            assert len(saved["boxes"]) > 0
        assert run(["sweep", "--resume", "cut"]) == 0
        assert run([*self.SWEEP[:-1], "exact", "--space", "some.yaml", "-o", "whole"]) == 0
        assert Path("cut/front.csv").read_bytes() == Path("whole/front.csv").read_bytes()
        assert not checkpoint.exists()
