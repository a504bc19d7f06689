"""docs/search.md: its commands and its Python run, in their order, and say what the page says."""

import json
import re
import shlex
from pathlib import Path

import pytest

from roofline.cli import run

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text()
COMMANDS = re.findall(r"^\$ roofline (.+)$", PAGE, flags=re.MULTILINE)


def test_the_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 8
    for command in COMMANDS:
        if "--scheduler" in command:
            pytest.importorskip("distributed")
        assert run(shlex.split(command)) == 0, command
        assert capsys.readouterr().out.strip()
    fronts = {name: Path(name, "front.csv").read_bytes() for name in ("exact", "again", "spread")}
    assert fronts["exact"] == fronts["again"] == fronts["spread"]
    stopped = json.loads(Path("early/summary.json").read_text())["summary"]["pruning"]
    assert {"open", "missing_hypervolume"} <= set(stopped)
    certified = json.loads(Path("certified/summary.json").read_text())["summary"]
    assert certified["nsga2_evaluations"] <= 500
    assert 0.9 < certified["nsga2_hypervolume_ratio"] <= 1


def test_the_python_runs(capsys):
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(block, "search.md", "exec"), {})
    assert "on the front" in capsys.readouterr().out
