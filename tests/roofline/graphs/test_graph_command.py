"""`roofline graph`: its answers, its folder, its errors; a user's own benchmark."""

import json
import shlex
import sys

import pytest

from roofline.cli import run

MATH = ["graph", "--task", "math", "--budget", "18"]


def answer(capsys, *words):
    code = run(["graph", *words, "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    return json.loads(said.out)


@pytest.mark.parametrize("method", ["agent", "reinforce", "random", "bayesian", "exhaustive"])
def test_every_method_answers_within_the_budget(method, capsys):
    found = answer(
        capsys, "--task", "math", "--budget", "18", "--method", method, "--nodes", "3"
    )  # fmt: skip
    about = found["about"]
    assert about["units"] <= 18
    assert 0.4 < about["accuracy"] < 0.57
    assert about["accuracy"] == about["utility"] >= about["runner_up"]["about"]["utility"]
    assert about["error"] == pytest.approx(0.0266, abs=0.001)


@pytest.mark.parametrize(("objective", "budget"), [("latency", "60s"), ("energy", "1.6kJ")])
def test_a_device_and_its_budgets(objective, budget, capsys):
    about = answer(
        capsys, "--task", "math", "--budget", budget, "--objective", objective, "-d", "phone",
        "--weights", "q4_k_m", "--evaluations", "12",
    )["about"]  # fmt: skip
    assert about[objective] <= {"latency": 60.0, "energy": 1600.0}[objective]
    assert about["memory"] < 6.5e9
    assert about["swapping"] == 0.0


def test_swapping_lets_a_large_model_in(capsys):
    words = ["--task", "mmlu", "--budget", "70s", "--objective", "latency", "-d", "phone",
             "--weights", "q4_k_m", "--evaluations", "12"]  # fmt: skip
    without = answer(capsys, *words)["about"]
    within = answer(capsys, *words, "--swap-bandwidth", "2GB/s")["about"]
    assert "8b" not in without["graph"]
    assert "8b" in within["graph"]
    assert within["swapping"] > 3.0
    assert within["accuracy"] > without["accuracy"]


def test_the_folder_holds_the_answer_and_goes_on(tmp_path, capsys):
    out = tmp_path / "out"
    assert run([*MATH, "--method", "random", "-o", str(out)]) == 0
    assert {file.name for file in out.iterdir()} == {
        "graph.json", "graph.png", "history.csv", "search.json",
    }  # fmt: skip
    text = capsys.readouterr().out
    assert "[1] assistant" in text
    assert "runner-up" in text
    history = (out / "history.csv").read_text()
    assert len(history.splitlines()) == 31
    (out / "history.csv").write_text("".join(history.splitlines(True)[:12]))
    assert run(["graph", "--resume", str(out)]) == 0
    assert (out / "history.csv").read_text() == history
    about = json.loads((out / "graph.json").read_text())["about"]
    capsys.readouterr()
    again = answer(capsys, "--task", "math", "--graph", str(out / "graph.json"))["about"]
    assert again["units"] == about["units"]
    assert again["accuracy"] == about["accuracy"]
    assert run([*MATH, "-o", str(out)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    saved = json.loads((out / "search.json").read_text())
    for other in (saved | {"seed": "x"}, saved | {"colour": "red"}, {"task": "math"}):
        (out / "search.json").write_text(json.dumps(other))
        assert run(["graph", "--resume", str(out)]) == 2
        assert capsys.readouterr().err.startswith("roofline: --resume: the search's")


def test_one_graph_is_priced(tmp_path, capsys):
    file = tmp_path / "mine.json"
    nodes = [{"name": n, "model": "1b"} for n in "abcd"] + [
        {"name": "s", "role": "sink", "model": "3b"}
    ]
    edges = [[a, b] for i, a in enumerate("abcds") for b in "abcds"[i + 1 :]]
    file.write_text(json.dumps({"nodes": nodes, "edges": edges}))
    about = answer(capsys, "--task", "math", "--graph", str(file))["about"]
    assert about["units"] == pytest.approx(17.79, abs=0.01)
    assert about["utility"] is None
    assert about["within"] is False


def test_a_graph_that_does_not_fit_is_said_not_to(tmp_path, capsys):
    file = tmp_path / "mine.json"
    nodes = [{"name": "a", "model": "8b"}, {"name": "s", "role": "sink", "model": "3b"}]
    file.write_text(json.dumps({"nodes": nodes, "edges": [["a", "s"]]}))
    words = ["--task", "math", "--graph", str(file), "-d", "phone"]
    about = answer(capsys, *words)["about"]
    assert about["fits"] is False
    assert about["latency"] is None
    assert about["memory"] > 16e9
    assert run(["graph", *words]) == 0
    assert "does not fit the device's memory" in " ".join(capsys.readouterr().out.split())


def test_an_edge_is_named_once(tmp_path, capsys):
    file = tmp_path / "mine.json"
    nodes = [{"name": "a", "model": "1b"}, {"name": "s", "role": "sink", "model": "3b"}]
    file.write_text(json.dumps({"nodes": nodes, "edges": [["a", "s"], ["a", "s"]]}))
    assert run(["graph", "--task", "math", "--graph", str(file)]) == 2
    assert "the edge from 'a' to 's' is named twice" in capsys.readouterr().err


def test_a_task_of_ones_own(tmp_path, capsys):
    file = tmp_path / "chess.yaml"
    file.write_text(
        "title: Chess\nprompt: 100\nanswer: 50\nsource: mine\ndate: 2026\n"
        "accuracy: {1b: 0.1, 3b: 0.5, 8b: 0.55}\n"
    )
    about = answer(capsys, "--task", str(file), "--budget", "15")["about"]
    assert about["task"] == "Chess"
    assert about["error"] == pytest.approx(0.06, abs=0.005)  # as of a task never seen
    with_graphs = file.read_text() + "graphs:\n  - {models: {3b: 3}, accuracy: 0.7}\n"
    file.write_text(with_graphs)
    fitted = answer(capsys, "--task", str(file), "--budget", "15")["about"]
    assert fitted["accuracy"] > about["accuracy"]


REFUSED = {
    "budget too small": ([*MATH[:-1], "3"], "takes 5.757 units"),
    "budget with a unit": ([*MATH[:-1], "18s"], "write a number of units"),
    "no budget": (["graph", "--task", "math"], "--budget: none was given"),
    "no task": (["graph", "--budget", "3"], "--task: no task was named"),
    "unknown task": (["graph", "--task", "maths", "--budget", "3"], "nearest is 'math'"),
    "unknown model": ([*MATH, "--pool", "1b,9b"], "no model '9b'"),
    "unknown method": ([*MATH, "--method", "agnt"], "nearest is 'agent'"),
    "unknown objective": ([*MATH, "--objective", "speed"], "unknown option 'speed'"),
    "unknown device": ([*MATH, "-d", "phoen"], "no device 'phoen'"),
    "no device": ([*MATH[:-1], "3s", "--objective", "latency"], "needs a device"),
    "weights without device": ([*MATH, "--weights", "int4"], "--weights needs a device"),
    "time without unit": ([*MATH, "--objective", "latency", "-d", "phone"], "has no unit"),
    "nothing fits": ([*MATH, "-d", "phone", "--pool", "70b"], "even one 70b and the sink"),
    "swap of nothing": ([*MATH, "-d", "phone", "--swap-bandwidth", "0GB/s"], "above zero"),
    "no such module": ([*MATH, "--utility", "nosuchmodule:f"], "cannot import nosuchmodule"),
    "no such function": ([*MATH, "--utility", "json:nosuch"], "has no 'nosuch'"),
    "no such command": ([*MATH, "--utility", "nosuchcommand"], "cannot be run"),
    "endpoint of no agent": (
        [*MATH, "--method", "random", "--endpoint", "http://h/v1"], "asks no language model"
    ),
    "no search there": (["graph", "--resume", "nowhere"], "holds no search"),
    "budget of a search that goes on": (
        ["graph", "--resume", "nowhere", "--budget", "20"], "--budget beside it"
    ),
    "a search of one graph": (
        ["graph", "--task", "math", "--graph", "no.json", "--method", "random"], "--method beside"
    ),
    "a folder for one graph": (
        ["graph", "--task", "math", "--graph", "no.json", "-o", "out"], "--out beside"
    ),
    "failure of no endpoint": ([*MATH, "--on-failure", "rules"], "no --endpoint was named"),
    "time of no utility": ([*MATH, "--utility-timeout", "3s"], "no --utility was named"),
    "numbers from nobody": (
        [*MATH, "--utility", "false", "--on-utility-failure", "skip", "--evaluations", "3"],
        "--utility gave no number for any of the 3 graphs",
    ),
    "graph of no file": (["graph", "--task", "math", "--graph", "no.json"], "no such file"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_sentence(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words, expected = REFUSED[name]
    assert run(words) == 2
    said = capsys.readouterr()
    assert expected in said.err
    assert said.err.startswith("roofline: ")
    assert said.err.strip().count("\n") == 0
    assert not list(tmp_path.iterdir())


def script(tmp_path, body):
    file = tmp_path / "bench.py"
    file.write_text(body)
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(file))}"


COUNTS = (
    "import json, sys\ngraph = json.load(sys.stdin)\nprint('running')\nprint(len(graph['nodes']))\n"
)


def test_a_command_is_asked_for_each_graph(tmp_path, capsys):
    words = ["--task", "math", "--budget", "18", "--evaluations", "6"]
    about = answer(capsys, *words, "--utility", script(tmp_path, COUNTS))["about"]
    assert about["utility"] == about["graph"].count(";") + 1


def test_a_function_is_asked_for_each_graph(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_bench_of_graphs.py").write_text(
        "def score(graph):\n    return -sum(n['model'] == '8b' for n in graph['nodes'])\n"
    )
    words = ["--task", "math", "--budget", "18", "--method", "random"]
    about = answer(capsys, *words, "--utility", "my_bench_of_graphs:score")["about"]
    assert about["utility"] == 0.0
    assert "8b" not in about["graph"]


BAD = {
    "words": ("print('about half')", "read 'about half' where a number belongs"),
    "nothing": ("pass", "read '' where a number belongs"),
    "not a number": ("print('nan')", "where a number belongs"),
    "an exit code": ("raise SystemExit('out of memory')", "exit code 1: 'out of memory'"),
    "no end": ("import time; time.sleep(60)", "no answer within 0.5 s"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_command_that_fails(name, tmp_path, capsys):
    body, expected = BAD[name]
    patience = "500ms" if name == "no end" else "60s"
    words = [*MATH, "--utility", script(tmp_path, body), "--utility-timeout", patience]
    assert run(words) == 2
    assert expected in capsys.readouterr().err


def test_a_command_that_fails_for_some_graphs_is_skipped_there(tmp_path, capsys):
    body = COUNTS + "raise SystemExit(len(graph['nodes']) == 2)\n"
    words = ["--task", "math", "--budget", "18", "--evaluations", "4"]
    used = script(tmp_path, body)
    assert run(["graph", *words, "--utility", used, "-o", str(tmp_path / "stopped")]) == 2
    capsys.readouterr()
    about = answer(
        capsys, *words, "--utility", used, "--on-utility-failure", "skip",
        "-o", str(tmp_path / "skipped"),
    )["about"]  # fmt: skip
    assert about["evaluations"] == 4
    assert "exit code 1" in (tmp_path / "skipped" / "history.csv").read_text()
