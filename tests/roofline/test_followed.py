"""The whole grid at once against the evaluator on its candidates."""

import numpy as np
import pytest

from arch_space.spaces import Space, load_space
from hardware_specs import load_device
from roofline.factored import Grid, quantity
from roofline.laws import law_names, load_law
from roofline.search import Constraint, Problem, RooflineEvaluator, enumerate_exactly
from roofline.search.followed import Followed
from roofline.workload import Workload
from spec_files import SpecError, parse_spec

WINDOWS = """
name: windows
fixed: {vocabulary: 32000, head_size: 64, ffn_multiple: 32}
dimensions:
  layers: {from: 4, to: 24, step: 4}
  width: [256, 512, 1024]
  kv_heads: [1, 2, 4, all]
  ffn_ratio: [1, 2.5, 4]
  window, window_share: [[0, 0], [64, 0.5], [512, 0.75]]
  experts, experts_per_token: [[1, 1], [8, 2]]
  weight_format: [fp16, q4_k_m, int4-g128]
  kv_format: [fp16, int8]
rules: [kv_heads <= 4 if width <= 256]
"""
ALL = ("loss", "ttft", "tpot", "latency", "energy", "memory")


def space() -> Space:
    return parse_spec(WINDOWS, Space, "windows")


@pytest.fixture(autouse=True)
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables so small that most of the engine is recorded, as in a space of 10^9."""
    monkeypatch.setattr(Grid.__init__, "__defaults__", (1024,))
    assert quantity.CELLS > 1024


def judged_by_both(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    kernel = Followed.of(problem).kernel
    shape = problem.space.shape
    keys, points, _ = kernel.survivors([0] * len(shape), shape, np.empty((0, len(ALL))))
    order = np.argsort(keys)
    arch, candidates = problem.space.candidates()
    judged = problem.evaluate(arch)
    allowed = judged.feasible
    return keys[order], points[order], candidates[allowed], judged.points[allowed]


@pytest.mark.parametrize(
    ("device", "ideal", "workload"),
    [
        ("phone", False, Workload(prompt=300, generate=400)),
        ("phone", True, Workload(prompt=300, generate=400)),
        ("raspberry-pi-5", False, Workload(batch=3, prompt=64, generate=1)),
        ("jetson-agx-orin-64gb", False, Workload(prompt=2000, generate=64)),
    ],
)
def test_every_objective_of_every_candidate(device: str, ideal: bool, workload: Workload) -> None:
    evaluator = RooflineEvaluator(load_device(device), workload, load_law("codesign"), ideal=ideal)
    limits = (Constraint("tpot", 0.02), Constraint("memory", 1e9))
    known = [name for name in ALL if not np.isnan(evaluator(space().at(np.arange(1)))[name]).any()]
    keys, points, candidates, expected = judged_by_both(Problem(space(), evaluator, known, limits))
    assert keys.tolist() == candidates.tolist()
    assert 0 < len(keys) < space().valid_count
    np.testing.assert_allclose(points, expected, rtol=1e-13)


@pytest.mark.parametrize("name", law_names())
def test_every_law(name: str) -> None:
    """Each law is followed, or left to the columns where its code asks for values."""
    evaluator = RooflineEvaluator(load_device("phone"), Workload(), load_law(name))
    shipped = load_space("paper-grid")
    problem = Problem(shipped, evaluator, ("loss", "tpot"))
    try:
        kernel = Followed.of(problem).kernel
    except (TypeError, SpecError):
        assert name in ("krajewski-dense", "precision")
        return
    low, high = [0] * len(shipped.shape), [3, *shipped.shape[1:]]
    keys, points, _ = kernel.survivors(low, high, np.empty((0, 2)))
    assert len(keys) > 100
    np.testing.assert_allclose(points, problem.evaluate(shipped.at(keys)).points, rtol=1e-13)


@pytest.mark.parametrize("objectives", ["loss,tpot", "loss,latency,energy"])
def test_the_front_is_that_of_the_columns_to_the_last_byte(objectives: str) -> None:
    evaluator = RooflineEvaluator(load_device("phone"), Workload(), load_law("chinchilla"))
    problem = Problem(space(), evaluator, objectives, (Constraint("ttft", 1.0),))
    loops = enumerate_exactly(problem, compiled=True, workers=2)
    columns = enumerate_exactly(problem, compiled=False, workers=1)
    assert loops.indices.tobytes() == columns.indices.tobytes()
    assert loops.points.tobytes() == columns.points.tobytes()
    assert (loops.evaluated, loops.feasible) == (columns.evaluated, columns.feasible)
    assert 0 < loops.feasible < loops.evaluated


def test_a_checkpoint_of_the_loops_goes_on_and_is_told_from_one_of_the_columns(tmp_path) -> None:
    from roofline.search import enumeration

    evaluator = RooflineEvaluator(load_device("phone"), Workload(), load_law("codesign"))
    problem = Problem(space(), evaluator)
    whole = enumerate_exactly(problem, compiled=True)
    file = tmp_path / "state.npz"

    class Stop(Exception):
        pass

    def stop(done: int, size: int) -> None:
        if done > size // 2:
            raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(enumeration, "BOX", 500)
        with pytest.raises(Stop):
            enumerate_exactly(
                problem, compiled=True, progress=stop, checkpoint=file, checkpoint_every=0
            )
        seen: list[int] = []
        resumed = enumerate_exactly(
            problem, compiled=True, checkpoint=file, progress=lambda done, _: seen.append(done)
        )
    assert seen[0] > space().size // 2
    assert resumed.indices.tobytes() == whole.indices.tobytes()
    assert resumed.feasible == whole.feasible
    with pytest.raises(SpecError, match="another search"):
        enumerate_exactly(problem, compiled=False, checkpoint=file)


def test_an_evaluator_that_decides_by_values_is_left_to_the_columns() -> None:
    class Stubborn:
        def __call__(self, arch):
            size = arch.layers * np.sin(arch.width * 1.0)
            return {"loss": size, "tpot": -size}

    problem = Problem(space(), Stubborn())
    assert len(enumerate_exactly(problem, compiled=True)) == len(
        enumerate_exactly(problem, compiled=False)
    )
