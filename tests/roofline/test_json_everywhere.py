"""Every command prints one JSON document on --json, and nothing else on standard output."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from roofline.cli import run
from roofline.cli.app import whole

ROOT = Path(__file__).parents[2]
SMALL = """
name: small
fixed: {vocabulary: 32000, head_size: 64, kv_heads: all, weight_format: q4_0}
dimensions:
  layers: [8, 16]
  width: [768, 1024]
  ffn_ratio: [2, 4]
"""
SHORT = ["--prompt", "64", "--generate", "8"]
COMMANDS: dict[str, list[list[str]]] = {
    "sweep": [["-d", "phone", "--space", "small.yaml", "-o", "again", *SHORT]],
    "estimate": [
        ["-m", "smollm2-135m", "-d", "rpi5", *SHORT],
        ["-m", "smollm2-135m", "-d", "rpi5", *SHORT, "--decode", "diffusion", "--block", "8"],
        ["-m", "smollm2-135m", "-d", "phone", *SHORT, "--placement", "best"],
        ["-m", "smollm2-1.7b", "-d", "phone", *SHORT, "--draft", "smollm2-135m",
         "--acceptance", "0.7", "--draft-length", "best"],
    ],
    "compare": [["-m", "smollm2-135m", "-m", "qwen3-0.6b", "-d", "rpi5", "-d", "phone", *SHORT]],
    "compress": [["-m", "qwen3-0.6b", "-d", "rpi5", *SHORT, "--max-tpot", "100ms"]],
    "budget": [
        ["-d", "phone", "--max-tpot", "50ms", "--space", "small.yaml", *SHORT], ["--list"],
    ],
    "codesign": [
        ["-d", "rpi5", "--space", "small.yaml", "--loss", "4", "--max-tpot", "100ms", *SHORT,
         "--points", "3"],
        ["--devices", "rpi5,phone", "--max-tpot", "100ms", "--space", "small.yaml", *SHORT],
    ],
    "export": [["front", "--to", "litgpt", "-o", "team"]],
    "fit": [["runs.csv", "--bootstrap", "0"], ["--datasets"]],
    "graph": [["--task", "math", "--budget", "6", "--evaluations", "2"]],
    "probe": [["-o", "here.yaml", "--quick"]],
    "calibrate": [["rows.csv", "-d", "rpi5", "-o", "mine.yaml"]],
    "validate": [["rows.csv"]],
    "new-device": [["mine-too"], ["mine-too", "-o", "-"]],
    "new-space": [["my-space"], ["my-space", "-o", "-"]],
    "runtimes": [[]],
    "devices": [[]],
    "devices show": [["rpi5"], ["rpi5", "--calibrated"]],
    "devices schema": [[]],
    "models": [[]],
    "models show": [["smollm2-135m"]],
    "spaces": [[]],
    "spaces show": [["paper-grid"]],
    "laws": [[]],
    "laws show": [["codesign"]],
    "laws curves": [[]],
    "strategies": [
        ["-d", "phone", "--max-latency", "60s", "-m", "qwen2.5-1.5b", "--max-samples", "4"],
        ["-d", "phone", "--exchange", "llama-3.2-1b:llama-3.2-3b", "--weights", "q4_k_m"],
        ["-d", "phone", "--kinetics", "-m", "qwen3-0.6b", "--weights", "int8"],
        ["--list"],
    ],
    "strategies fit": [["curve.csv"]],
}  # fmt: skip
SLOW = {"calibrate", "probe"}
"""Minutes of fitting and of measuring: these stand in for by what is quick, below and in the tests
of the probe."""


def leaves(command, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command that does something of its own."""
    if path:
        yield " ".join(path)
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*path, name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of a user: a space, a sweep's front, runs, measurements, a curve."""
    from hardware_specs.measurements.rows import load_rows
    from roofline.laws import load_law

    home = tmp_path_factory.mktemp("user")
    (home / "small.yaml").write_text(SMALL)
    rows = load_rows()
    rows[rows["device_key"] == "rpi5"].to_csv(home / "rows.csv", index=False)
    size, tokens = (
        each.ravel() for each in np.meshgrid(np.geomspace(2e7, 2e9, 6), np.geomspace(1e9, 1e11, 5))
    )
    loss = load_law("chinchilla").at(size, tokens)
    pd.DataFrame({"N": size, "D": tokens, "loss": loss}).to_csv(home / "runs.csv", index=False)
    samples = np.array([1, 4, 16, 64, 256])
    curve = pd.DataFrame({"samples": samples, "accuracy": np.exp(-1.33 * samples**-0.43)})
    curve.to_csv(home / "curve.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        words = ["sweep", "-d", "phone", "--space", "small.yaml", "-o", "front"]
        assert run([*words, "--reference", "none", *SHORT]) == 0
    return home


def strictly(text: str):
    """Parse one document; NaN and Infinity are not JSON."""

    def refuse(token: str):
        raise AssertionError(f"{token} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_table_has_every_command():
    assert set(COMMANDS) == set(leaves(whole()))


@pytest.mark.parametrize(
    "words",
    [
        [*name.split(), *given, "--json"]
        for name, all_ in COMMANDS.items()
        if name not in SLOW
        for given in all_
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_json_is_one_document(words, folder, tmp_path, monkeypatch, capfd):
    for file in folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    assert run(words) == 0, capfd.readouterr().err
    printed = capfd.readouterr()
    document = strictly(printed.out)
    assert document
    assert printed.out.startswith(("{", "["))
    told = document.get("units", {}) if isinstance(document, dict) else {}
    assert [name for name in without_units(document, ()) if not {*name.split(".")} & {*told}] == []
    assert all(isinstance(unit, str) and unit for unit in dict(told).values())


DIMENSIONS = {
    "bandwidth", "capacity", "latency", "ttft", "tpot", "energy", "memory", "time", "peak",
    "power", "duration", "overhead",
}  # fmt: skip
"""Last words of names that mean nothing without a unit."""


def without_units(value, path: tuple[str, ...]) -> list[str]:
    """Numbers whose name is of a dimension and says no unit; texts such as '8 GiB' have theirs."""
    if isinstance(value, dict):
        return [each for key, inner in value.items() for each in without_units(inner, (*path, key))]
    if isinstance(value, list):
        return [each for inner in value for each in without_units(inner, path)]
    named = path and isinstance(value, int | float) and not isinstance(value, bool)
    return [".".join(path)] if named and path[-1] in DIMENSIONS else []


@pytest.mark.parametrize(
    "words",
    [
        ["estimate", "-m", "smollm2-135m", "-d", "phon"],
        ["sweep", "-d", "phone", "--space", "smal"],
        ["devices", "show", "rpi55"],
        ["new-device", "phone"],
        ["laws", "show", "codesing"],
        ["validate", "nowhere.csv"],
        ["export", "nowhere"],
        ["calibrate", "nowhere.csv", "-d", "rpi5", "-o", "x.yaml"],
    ],
    ids=" ".join,
)
def test_an_error_is_a_sentence_on_standard_error(words, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run([*words, "--json"]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("roofline: ")
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_calibrate_tells_of_its_fit(folder, tmp_path, monkeypatch, capfd):
    from collections import Counter

    from hardware_specs import load_device
    from roofline.calibration import profile

    told = profile.Fitted(
        device=load_device("rpi5"),
        used=Counter({"cpu under llama.cpp-cpu": 3}),
        left_out=Counter({"no model": 2}),
        missed={"cpu under llama.cpp-cpu": 1.01},
    )
    monkeypatch.setattr(profile, "fit_device", lambda device, rows: told)
    monkeypatch.chdir(tmp_path)
    words = ["calibrate", str(folder / "rows.csv"), "-d", "rpi5", "-o", "mine.yaml", "--json"]
    assert run(words) == 0
    document = strictly(capfd.readouterr().out)
    assert document["profile"] == "mine.yaml"
    assert document["device"]["name"] == "mine"
    assert document["fitted_rows"] == {"cpu under llama.cpp-cpu": 3}
    assert load_device("mine.yaml").name == "mine"


def test_what_is_not_finite_is_null(capsys):
    from roofline.cli import show

    show.print_json({"a": [float("nan"), np.float64("inf"), 1.5, (2, None)], "b": {"c": -np.inf}})
    assert strictly(capsys.readouterr().out) == {
        "a": [None, None, 1.5, [2, None]],
        "b": {"c": None},
    }


def test_json_reaches_a_pipe_alone(tmp_path):
    words = [sys.executable, "-m", "roofline", "devices", "--kind", "phone", "--json"]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, check=True, env=None
    )  # fmt: skip
    assert len(strictly(done.stdout)) > 5
    assert done.stderr == ""
