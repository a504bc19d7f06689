"""The commands of docs/export.md and of the help run, in their order."""

import re
import shlex
from pathlib import Path

import pandas as pd

from roofline.cli import export, run

PAGE = (Path(__file__).parents[3] / "docs" / "export.md").read_text()


def test_the_page_and_the_help_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    shown = re.findall(r"`(roofline [^`]+)`", export.export.__doc__)
    commands += [line for line in shown if "-o team" not in line]
    assert sum("--ladder" in line for line in commands) == 2
    for command in commands:
        if "--ladder" in command:
            table = pd.read_csv("team/ladder.csv")
            table.assign(loss=table["expected_loss"]).to_csv("team/ladder.csv", index=False)
        assert run(shlex.split(command)[1:]) == 0, (command, capsys.readouterr().err)
    assert "The choice stands" in " ".join(capsys.readouterr().out.split())


def test_the_page_names_what_there_is():
    from arch_space.huggingface import FAMILIES
    from roofline.export.hyperparameters import hyper_laws
    from roofline.export.stacks import stacks

    assert set(re.findall(r"^\| `(\w+)` \| `", PAGE, flags=re.MULTILINE)) == set(stacks())
    assert f"one of {len(FAMILIES)} model types" in PAGE
    for law in hyper_laws().values():
        for power in (law.learning_rate, law.batch_tokens):
            for name, value in power.items():
                assert (f"{value:g}" if name == "coefficient" else f"{name}^{value:g}") in PAGE
