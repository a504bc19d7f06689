"""Every example that a reader may copy runs: the README's, and those in each command's help."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from roofline.cli import (
    codesign,
    compare,
    compress,
    estimate,
    graph,
    laws,
    listings,
    run,
    strategies,
    sweep,
)

README = (Path(__file__).parent.parent / "README.md").read_text()
COMMANDS = (
    sweep.sweep,
    estimate.estimate,
    compare.compare,
    codesign.codesign,
    compress.compress,
    listings.list_devices,
    listings.show_device,
    listings.schema,
    listings.list_models,
    listings.show_model,
    laws.list_laws,
    laws.show_law,
    laws.list_curves,
    graph.graph,
    strategies.plan,
    strategies.fit_curve,
)


def readme_commands() -> list[str]:
    return re.findall(r"^\$ (roofline .+)$", README, flags=re.MULTILINE)


def help_commands() -> list[str]:
    found = [line for c in COMMANDS for line in re.findall(r"`(roofline [^`]+)`", c.__doc__ or "")]
    assert all(re.search(r"`roofline ", c.__doc__ or "") for c in COMMANDS), (
        "help teaches by example"
    )
    return [line for line in found if "--resume" not in line and "--repeat" not in line]


@pytest.fixture
def _reader(tmp_path, monkeypatch):
    """An empty folder, but for the reader's own model, measurements, runs and curve."""
    import json

    from arch_space.huggingface import to_huggingface
    from arch_space.library import load_model
    from hardware_specs.measurements.rows import load_rows
    from roofline.laws import load_law

    config = to_huggingface(load_model("smollm2-135m"), "llama")
    (tmp_path / "config.json").write_text(json.dumps(config))
    rows = load_rows()
    rows[rows["device_key"] == "rpi5"].to_csv(tmp_path / "measurements.csv", index=False)
    noise = np.random.default_rng(0).normal(0, 0.002, 48)
    size, tokens = (
        each.ravel() for each in np.meshgrid(np.geomspace(2e7, 2e9, 8), np.geomspace(1e9, 1e11, 6))
    )
    loss = load_law("chinchilla").at(size, tokens) * np.exp(noise)
    runs = pd.DataFrame({"N": size, "D": tokens, "loss": loss})
    runs.to_csv(tmp_path / "runs.csv", index=False)
    samples = np.array([1, 4, 16, 64, 256])
    curve = pd.DataFrame({"samples": samples, "accuracy": np.exp(-1.33 * samples**-0.43)})
    curve.to_csv(tmp_path / "curve.csv", index=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_reader")
@pytest.mark.parametrize("command", sorted({*readme_commands(), *help_commands()}))
def test_an_example_runs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(re.split(r" > (?=\S+$)", command)[0])
    assert run(words[1:]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.strip()


@pytest.mark.usefixtures("_reader")
def test_the_readme_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL):
        exec(compile(block, "README.md", "exec"), {})
    assert "llama-3.2-1b" in capsys.readouterr().out
