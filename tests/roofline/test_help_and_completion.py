"""Help teaches by example, and a shell completes commands, options and values, quickly."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roofline.cli import completion, run
from roofline.cli.app import whole
from roofline.cli.layout import MANY, PANELS

ROOT = Path(__file__).parents[2]


def commands(command=None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every command with the words that call it."""
    command = command or whole()
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


ALL = dict(commands())


def complete(*words: str, shell: str = "bash") -> list[str]:
    """What a shell is told: the last word is what stands before the cursor."""
    line = " ".join(("roofline", *words))
    given = (
        {"COMP_WORDS": line, "COMP_CWORD": str(len(words))}
        if shell == "bash"
        else {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    )
    done = subprocess.run(
        [sys.executable, "-m", "roofline"],
        env={**os.environ, **given, "_ROOFLINE_COMPLETE": f"complete_{shell}"},
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return list(filter(None, done.stdout.splitlines()))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
class TestHelp:
    def test_it_has_an_example_of_itself(self, path, capsys):
        assert run([*path, "--help"]) == 0
        long = capsys.readouterr().out
        assert run([*path, "-h"]) == 0
        assert capsys.readouterr().out == long
        text = " ".join(re.sub("[│╭╰─╮╯]", " ", long).split())
        assert re.search(r"Examples?\b", text)
        assert " ".join(("roofline", *path)) in text.split("Example", 1)[1]

    def test_an_example_says_what_it_does(self, path):
        paragraphs = [" ".join(p.split()) for p in (ALL[path].help or "").split("\n\n")]
        said = [re.sub(r"`[^`]*`", "", p) for p in paragraphs if p.startswith("`roofline")]
        assert said
        assert not path or any(len(re.findall(r"\w+", rest)) >= 3 for rest in said)

    def test_nothing_is_cut_at_80_columns(self, path, capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        assert run([*path, "--help"]) == 0
        assert "…" not in capsys.readouterr().out

    def test_large_commands_have_panels(self, path):
        options = [p for p in ALL[path].params if p.param_type_name == "option"]
        panels = {p.rich_help_panel for p in options}
        if len(options) >= MANY:
            assert panels <= set(PANELS), [p.name for p in options if p.rich_help_panel is None]
            assert len(panels) > 2

    def test_every_option_is_described(self, path):
        for parameter in ALL[path].params:
            if parameter.param_type_name == "option":
                assert parameter.help, parameter.name


def test_no_panel_holds_an_option_that_no_command_has():
    known = {p.name for command in ALL.values() for p in command.params}
    listed = [name for names in PANELS.values() for name in names]
    assert set(listed) <= known
    assert len(listed) == len(set(listed))
    assert {*completion.VALUES, *completion.LISTS} <= known
    for command, name in completion.OF_COMMAND:
        assert name in {p.name for p in ALL[tuple(command.split())].params}


class TestWords:
    """The words that completion holds are those of their homes."""

    def test_formats(self):
        from arch_space.formats import ACTIVATION_FORMATS, CACHE_FORMATS, FORMATS

        assert set(completion.WORDS["formats"]) == {f.name for f in FORMATS}
        assert completion.WORDS["cache formats"] == CACHE_FORMATS
        assert completion.WORDS["activation formats"] == ACTIVATION_FORMATS

    def test_searches(self):
        from roofline.graphs.problem import OBJECTIVES as OF_GRAPHS
        from roofline.graphs.run import METHODS
        from roofline.search.objectives import OBJECTIVES
        from roofline.search.sweep import METHOD_NAMES
        from roofline.strategies.forms import strategies

        assert completion.WORDS["objectives"] == tuple(OBJECTIVES)
        assert set(completion.WORDS["methods"]) == {"auto", *METHOD_NAMES}
        assert completion.WORDS["methods of graphs"] == METHODS
        assert set(completion.WORDS["objectives of graphs"]) == set(OF_GRAPHS)
        assert completion.WORDS["strategies"] == tuple(strategies())

    def test_kinds(self):
        from arch_space.template import KINDS as OF_SPACES
        from hardware_specs.device import KINDS

        assert completion.WORDS["kinds of device"] == KINDS
        assert completion.WORDS["kinds of space"] == OF_SPACES

    def test_workloads(self):
        from typing import get_args

        from roofline.cli.diffusion import WAYS
        from roofline.diffusion.schedules import CACHES
        from roofline.workload import Attention, Logits, Mask

        assert completion.WORDS["ways"] == WAYS
        assert completion.WORDS["caches"] == CACHES
        for name, type_ in (("masks", Mask), ("logits", Logits), ("attentions", Attention)):
            assert completion.WORDS[name] == get_args(type_)

    def test_names_are_those_that_load(self):
        from arch_space.library import shipped_models
        from arch_space.spaces import shipped_spaces
        from hardware_specs import shipped_devices
        from roofline.budgets.case import examples
        from roofline.export.stacks import stacks
        from roofline.laws import law_names
        from roofline.laws.accuracy import curve_names
        from roofline.laws.law import law_forms
        from roofline.strategies.difficulty import difficulty_names
        from roofline.strategies.task import task_names
        from roofline.strategies.verifier import verifier_names

        values = completion.VALUES
        assert set(shipped_devices()) < set(values["device"]())
        assert "phone" in values["device"]()
        assert list(values["model"]()) == shipped_models()
        assert list(values["space"]()) == shipped_spaces()
        assert list(values["law"]()) == law_names()
        assert list(values["task"]()) == curve_names()
        assert list(values["verifier"]()) == verifier_names()
        assert list(values["difficulty"]()) == difficulty_names()
        assert list(values["example"]()) == examples()
        assert set(values["to"]()) == set(stacks())
        assert {f.replace("-", "_") for f in values["form"]()} >= set(law_forms())
        assert list(completion.OF_COMMAND["strategies", "task"]()) == task_names()


class TestShell:
    @pytest.mark.parametrize(
        ("words", "some"),
        [
            (("swe",), {"sweep"}),
            (("new-",), {"new-device", "new-space"}),
            (("sweep", "--max-t"), {"--max-ttft", "--max-tpot"}),
            (("sweep", "--device", "ph"), {"phone"}),
            (("sweep", "-d", "jetson-agx"), {"jetson-agx-orin-64", "jetson-agx-orin-64gb"}),
            (("estimate", "-m", "qwen3-0"), {"qwen3-0.6b"}),
            (("sweep", "--space", "on"), {"on-device"}),
            (("sweep", "--law", "codesign,chin"), {"codesign,chinchilla"}),
            (("sweep", "--objectives", "loss,tp"), {"loss,tpot"}),
            (("sweep", "--method", "n"), {"nsga2", "nsga3"}),
            (("estimate", "--runtime", "llama.cpp-cu"), {"llama.cpp-cuda"}),
            (("estimate", "--weights", "q4_k"), {"q4_k_m", "q4_k_s"}),
            (("export", "front", "--to", "t"), {"torchtitan"}),
            (("devices", "show", "rpi"), {"rpi4", "rpi5"}),
            (("new-device", "mine", "--like", "rpi"), {"rpi4", "rpi5"}),
            (("new-space", "mine", "--kind", ""), {"dense", "moe"}),
            (("graph", "--method", "e"), {"exhaustive"}),
            (("fit", "runs.csv", "--form", "width-d"), {"width-depth", "width-depth-size"}),
        ],
    )  # fmt: skip
    def test_bash(self, words, some):
        found = complete(*words) if words[-1] else complete(*words[:-1], "")
        assert some <= set(found)
        assert all(each.startswith(words[-1]) for each in found)

    def test_a_word_is_offered_once(self):
        assert "loss,loss" not in complete("sweep", "--objectives", "loss,")

    def test_where_nothing_is_known_the_shell_offers_files(self):
        assert complete("sweep", "--device", "./") == []

    @pytest.mark.parametrize("shell", ["zsh", "fish"])
    def test_other_shells(self, shell):
        assert "phone" in "\n".join(complete("sweep", "--device", "phon", shell=shell))

    def test_it_is_quick_and_light(self):
        script = (
            "import sys, os; from roofline.cli import run\n"
            "code = run([])\n"
            "heavy = {'numpy', 'pandas', 'scipy', 'pymoo', 'matplotlib', 'numba', 'yaml'}\n"
            "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
            "print(sum(os.times()[:2]), file=sys.stderr)\n"
        )
        used = []
        for words in ("sweep --device ph", "estimate --runtime ll", "estimate --weights q4"):
            given = {"COMP_WORDS": f"roofline {words}", "COMP_CWORD": "3"}
            done = subprocess.run(
                [sys.executable, "-c", script],
                env={**os.environ, **given, "_ROOFLINE_COMPLETE": "complete_bash"},
                cwd=ROOT, capture_output=True, text=True, check=True,
            )  # fmt: skip
            modules, seconds = done.stderr.splitlines()
            assert modules == "[]"
            assert done.stdout.strip()
            used.append(float(seconds))
        assert min(used) < 0.6  # 0.2 on a quiet machine

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_the_script_is_shown_and_installed(self, shell, tmp_path):
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
            "PYTHONPATH": str(ROOT),
        }
        words = [sys.executable, "-m", "roofline"]
        for option in ("--show-completion", "--install-completion"):
            done = subprocess.run(
                [*words, option, shell], env=environment, cwd=tmp_path, capture_output=True,
                text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert ("_ROOFLINE_COMPLETE" in done.stdout) == (option == "--show-completion")
        written = [f for f in tmp_path.rglob("*") if f.is_file()]
        assert any("_ROOFLINE_COMPLETE" in f.read_text() for f in written)

    def test_bash_itself_takes_the_script(self, tmp_path):
        """A real bash, with the script sourced, completes a device's name."""
        bin_ = tmp_path / "bin"
        bin_.mkdir()
        program = bin_ / "roofline"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m roofline "$@"\n')
        program.chmod(0o755)
        environment = {
            **os.environ,
            "PATH": f"{bin_}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        }
        script = (
            'eval "$(roofline --show-completion bash)"\n'
            "COMP_WORDS=(roofline sweep --device raspberry-pi-5)\nCOMP_CWORD=3\n"
            "_roofline_completion roofline\n"
            'printf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert done.stdout.split() == ["raspberry-pi-5"]


def test_python_runs_the_package():
    done = subprocess.run(
        [sys.executable, "-m", "roofline", "--version"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert re.fullmatch(r"roofline \d+\.\d+\.\d+\n", done.stdout)


def test_help_is_quick():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, os; from roofline.cli import run; run(['--help'])\n"
            "print('numpy' in sys.modules, sum(os.times()[:2]), file=sys.stderr)",
        ],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    heavy, seconds = done.stderr.split()
    assert heavy == "False"
    assert float(seconds) < 0.8  # 0.25 on a quiet machine
