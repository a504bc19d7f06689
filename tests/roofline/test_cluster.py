"""Work on real worker processes: in order, bounded, whole when one of them is killed."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from arch_space.library import load_model
from arch_space.spaces import load_space
from hardware_specs import load_device
from roofline.cli import run
from roofline.codesign.hardware import Template
from roofline.codesign.inverse import answer
from roofline.codesign.question import Inverse, prepare
from roofline.codesign.survey import survey_space
from roofline.efficiency.calibrated import calibrated
from roofline.laws import load_law
from roofline.mixes import Mix
from roofline.search import Problem, RooflineEvaluator, cluster, enumerate_exactly
from roofline.search.cluster import connected, spread_tasks
from roofline.workload import Workload
from spec_files import SpecError

distributed = pytest.importorskip(
    "distributed", reason="Dask is not installed: pip install 'roofline[cluster]'"
)

SWEEP = ["sweep", "--device", "phone", "--space", "paper-grid"]


@pytest.fixture(scope="module")
def two():
    """A cluster of two worker processes."""
    with connected("local", workers=2) as found:
        yield found


def phone(space="paper-grid", **changes):
    judge = RooflineEvaluator(load_device("phone"), Workload(), load_law("codesign"))
    return Problem(**({"space": load_space(space), "evaluator": judge} | changes))


def pids(found) -> set[int]:
    return set(found.client.run(os.getpid).values())


def same(one, other):
    assert one.indices.tobytes() == other.indices.tobytes()
    assert one.points.tobytes() == other.points.tobytes()
    assert (one.evaluated, one.feasible) == (other.evaluated, other.feasible)


def test_two_processes_enumerate_as_one_does(two):
    assert len(pids(two)) == 2
    assert os.getpid() not in pids(two)
    asked = phone(objectives="loss,ttft,energy")
    same(enumerate_exactly(asked, chunk=20, cluster=two), enumerate_exactly(asked, workers=1))


def test_a_killed_worker_loses_nothing(two, tmp_path):
    asked = phone()
    before, killed = pids(two), []
    path = tmp_path / "state.npz"

    def kill(done, total):
        if not killed and done > total // 4:
            killed.append(min(before))
            os.kill(killed[0], signal.SIGKILL)

    found = enumerate_exactly(
        asked, chunk=4, cluster=two, progress=kill, checkpoint=path, checkpoint_every=0
    )
    same(found, enumerate_exactly(asked, workers=1))
    assert killed
    assert path.exists()
    two.client.wait_for_workers(2, timeout=120)
    assert killed[0] not in pids(two)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_one_machine_began_a_cluster_goes_on_with(two, tmp_path, compiled):
    """And the other way round: the checkpoint is the same file."""
    asked = phone("on-device" if compiled else "paper-grid")
    whole = enumerate_exactly(asked, compiled=compiled)
    for first, second in ((None, two), (two, None)):
        path = tmp_path / f"{first is None}.npz"

        def cut(done, total):
            if done > total // 3:
                raise KeyboardInterrupt

        how = {"chunk": 40, "compiled": compiled, "checkpoint": path}
        with pytest.raises(KeyboardInterrupt):
            enumerate_exactly(asked, cluster=first, progress=cut, **how)
        steps = []
        found = enumerate_exactly(
            asked, cluster=second, progress=lambda done, _, to=steps: to.append(done), **how
        )
        same(found, whole)
        assert steps[0] > asked.space.size // 3


def test_compiled_loops_travel(two):
    asked = phone()
    whole = enumerate_exactly(asked, compiled=False)
    found = enumerate_exactly(asked, compiled=True, cluster=two)
    np.testing.assert_array_equal(found.indices, whole.indices)
    np.testing.assert_array_equal(found.points, whole.points)


def square(number, pause=0.0):
    time.sleep(pause)
    if number < 0:
        raise SpecError(f"no square of {number} is wanted")
    return number**2


@pytest.fixture(params=["cores", "cluster"])
def scheduler(request):
    return request.getfixturevalue("two") if request.param == "cluster" else None


def test_tasks_come_back_in_order_and_a_few_at_a_time(scheduler):
    taken = []

    def arguments():
        for number in range(40):
            taken.append(number)
            # The first takes longest, so that those behind it are done before.
            yield number, 0.2 if number == 0 else 0.0

    ahead = []
    for done, result in enumerate(spread_tasks(_square(), arguments(), scheduler)):
        assert result == done**2
        ahead.append(len(taken) - done)
    assert len(ahead) == 40
    assert 1 < max(ahead) <= 2 * max(2, os.cpu_count() or 1)


def _square():
    """The function, by value: workers cannot import a test module."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(__import__("sys").modules[square.__module__])
    return square


def test_what_a_task_raises_reaches_the_caller(scheduler):
    with pytest.raises(SpecError, match="no square of -1"):
        list(spread_tasks(_square(), [(1,), (-1,), (2,)], scheduler))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("locl", "'local' or an address"),
        ("127.0.0.1:8786", "an address belongs, e.g. tcp://"),
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("tcp://127.0.0.1:99999", "no Dask scheduler answers"),
        ("tcp://nowhere.invalid:8786", "no Dask scheduler answers at tcp://nowhere.invalid:8786"),
    ],
)
def test_a_wrong_address_is_one_sentence(capsys, tmp_path, address, words):
    out = tmp_path / "out"
    began = time.perf_counter()
    assert run([*SWEEP, "--scheduler", address, "-o", str(out)]) == 2
    assert time.perf_counter() - began < 20
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.6\r\n"])
def test_a_stranger_at_the_address_is_not_waited_for(capsys, monkeypatch, greeting):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    lines = []

    def greet(listener):
        lines.append(listener.accept()[0])
        lines[0].sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=greet, args=(listener,), daemon=True).start()
        assert run([*SWEEP, "--scheduler", address]) == 2
    assert "no Dask scheduler answers" in capsys.readouterr().err


def test_a_script_that_starts_workers_unguarded_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from roofline.search.cluster import connected\n"
        "from spec_files import SpecError\n"
        "try:\n"
        "    with connected('local', 1): pass\n"
        "except SpecError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert "must start them under if __name__ == '__main__'" in done.stdout


def test_a_scheduler_without_workers_says_how_to_start_some(monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as nobody,
        pytest.raises(SpecError, match="has no workers; start some: dask worker tcp://"),
        connected(nobody.scheduler_address),
    ):
        pass


def test_workers_of_another_version_are_refused(two, monkeypatch):
    import importlib.metadata

    address = two.client.scheduler.address
    with connected(address) as found:
        assert found.width == 2
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "9.9" if name == "numpy" else real(name)
    )
    with pytest.raises(SpecError, match=r"has numpy \d.*, and here it is 9\.9"), connected(address):
        pass


def test_without_dask_the_extra_is_named(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(cluster, "import_module", absent)
    with pytest.raises(SpecError, match=r"pip install 'roofline\[cluster\]'"), connected("local"):
        pass


def test_a_sweep_on_a_cluster_writes_the_same_front(two, tmp_path, capsys):
    address = two.client.scheduler.address
    assert run([*SWEEP, "-o", str(tmp_path / "one")]) == 0
    assert run([*SWEEP, "--scheduler", address, "-o", str(tmp_path / "many")]) == 0
    fronts = [(tmp_path / name / "front.csv").read_bytes() for name in ("one", "many")]
    assert fronts[0] == fronts[1]
    capsys.readouterr()
    heuristic = [*SWEEP, "--method", "nsga2", "--scheduler", address, "-o", str(tmp_path / "x")]
    assert run(heuristic) == 2
    assert "runs in one process" in capsys.readouterr().err


CODESIGN = {
    "one": ["codesign", "-d", "phone", "--loss", "3.4", "--max-tpot", "50ms", "--points", "12"],
    "fleet": ["codesign", "--devices", "phone,raspberry-pi-5", "--max-tpot", "200ms"],
}


@pytest.mark.parametrize("question", CODESIGN)
def test_codesign_on_a_cluster_says_the_same(two, question, capsys):
    words = [*CODESIGN[question], "--space", "paper-grid", "--json"]
    assert run(words) == 0
    alone = capsys.readouterr().out
    assert run([*words, "--scheduler", two.client.scheduler.address]) == 0
    assert capsys.readouterr().out == alone


def test_a_survey_of_hardware_outlives_a_worker(two):
    """Chunks of a space, each sent with the best so far, some to a worker that is killed."""
    template = Template.of(calibrated(load_device("phone")), None, load_model("qwen2.5-0.5b"))
    question = prepare(
        Inverse, device=template.device, space="paper-grid", loss=3.4, limits={"tpot": "50ms"},
        mix=Mix.single(1, 1024, 128),
        points=12,
    )  # fmt: skip
    plan = answer(question).plan
    before, killed = pids(two), []

    def kill(done, total):
        if not killed and done > total // 4:
            killed.append(min(before))
            os.kill(killed[0], signal.SIGKILL)

    found = survey_space(plan, question.space, chunk=100, cluster=two, progress=kill)
    alone = survey_space(plan, question.space, chunk=100)
    assert killed
    assert found.looked_at == alone.looked_at
    for name, table in alone.tables.items():
        np.testing.assert_array_equal(found.tables[name].value, table.value)
        np.testing.assert_array_equal(found.tables[name].index, table.index)
    two.client.wait_for_workers(2, timeout=120)
