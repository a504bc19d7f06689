"""What a page asks of its reader, read from its text, and done.

What a fenced block is, its language says; one that is not listed here fails.

- console: lines after `$ ` are commands, the others what they print; `…` stands for what is left
  out, a line or more where it stands alone. `roofline: ` at its head is a refusal: exit code 2.
- bash: commands.
- python: runs; the blocks of a page share their names.
- text: what the python block above it prints; else a drawing, which holds no command.
- yaml, json, csv: a file by the name in `title="..."`, which a later command reads.

`roofline ...` between single backticks runs too, unless it only names a command, or has a word in
CAPITALS for what the reader fills in: then command and options must exist.
"""

import contextlib
import io
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from typer.exceptions import TyperException

from roofline.cli import run
from roofline.cli.app import app

ROOT = Path(__file__).parent.parent
FILES = ("yaml", "json", "csv")

# Commands that are not this package's. They are run by .ci/run in a new environment, or serve and
# never end; of `pip install` the extras are held against pyproject.toml.
OUTSIDE = (
    "python3 -m venv",
    ".",
    "pip install",
    "jupyter",
    "dask",
    "git",
    "cd",
    "mkdocs",
    "pytest",
    "ruff",
    "mypy",
)
# Commands of every system that show files, or write what a page says that the reader enters.
SHELL = ("ls", "cat", "head", "tail", "grep", "cp", "sed")
# What takes minutes is run on less, by options that are added where the page has them not, or, of a
# whole command, that hold instead of its own,
SMALLER = {
    "roofline codesign": "--space paper-grid",
    "roofline probe": "--quick",
    "roofline sweep --device phone --max-tpot 50ms": "--space paper-grid",
    "roofline sweep --device phone --space wide-open --max-seconds 10": "--max-seconds 1",
    "roofline sweep -d phone --law my-law.yaml": "--space paper-grid",
    "roofline sweep --device jetson-agx-orin-64gb --space paper-grid": "--evaluations 4000",
    "python -m roofline.codesign": "--space paper-grid --points 8",
}
# or in the test that is named, as is what needs files that no one may ship.
ELSEWHERE = {
    "python -m roofline.compression": "compression/test_experiment.py: run(plan",
    "python -m roofline.budgets": "budgets/test_budget_command.py: main(",
    "python -m roofline.report": "report/test_gallery.py: gallery.main(",
    "python -m roofline.report --only comparison -o elsewhere --space paper-grid": (
        "report/test_gallery.py: gallery.main("
    ),
    "roofline fit bian --form width-depth": 'fitting/test_runs.py: load_dataset("bian")',
    # Addresses of a reader's own machines.
    "roofline sweep --device phone --space wide-open --method exact --scheduler"
    " tcp://192.168.0.5:8786": 'test_cluster.py: "--scheduler"',
    # A fit takes two minutes; the README's own is made, and serves the pages that go on from it.
    "roofline calibrate bench.csv --device rpi5 -o my-pi.yaml": 'test_calibrate.py: "calibrate"',
    "roofline calibrate llama-bench.json --device phone -o my-phone.yaml --set"
    " model=llama-3.2-1b": 'test_calibrate.py: "calibrate"',
}


@dataclass(frozen=True)
class Step:
    """One thing that a reader does: a command, some Python, a file written."""

    where: str
    kind: str
    text: str
    shown: tuple[str, ...] = ()
    name: str = field(default="", kw_only=True)


# ---- What a page asks of its reader


def blocks(page: str, text: str) -> Iterator[tuple[str, str, str, list[str], bool]]:
    """Yield where, language, title, lines of each fence, and whether it follows the one before."""
    fence = re.compile(r"^( *)(```+)(\w*) *(.*)$")
    inside, follows = None, False
    for number, line in enumerate(text.splitlines(), 1):
        if inside is None:
            if found := fence.match(line):
                indent, ticks, language, info = found.groups()
                inside = (f"{page}:{number}", language, info, [], follows)
                closing = indent + ticks
            elif line.strip():
                follows = False
        elif line.rstrip() == closing:
            where, language, info, lines, near = inside
            named = re.search(r'title="([^"]+)"', info)
            yield where, language, named[1] if named else "", lines, near
            inside, follows = None, True
        else:
            inside[3].append(line.removeprefix(indent))
    assert inside is None, f"{inside[0]}: the block has no end"


def whole_lines(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Join lines that end in a backslash; yield each with the number of its last."""
    kept = ""
    for number, line in enumerate(lines):
        kept += line
        if kept.endswith("\\"):
            kept = kept[:-1]
            continue
        yield number, kept
        kept = ""


def steps(page: str, text: str) -> list[Step]:
    """Return what a page asks of its reader, in its order."""
    found: list[Step] = []
    for where, language, title, lines, follows in blocks(page, text):
        if language == "console":
            for _, line in whole_lines(lines):
                if line.startswith("$ "):
                    found.append(Step(where, "command", line[2:]))
                else:
                    assert found, f"{where}: output of no command"
                    assert found[-1].where == where, f"{where}: output of no command"
                    found[-1] = replace(found[-1], shown=(*found[-1].shown, line))
        elif language == "bash":
            commands = [line for _, line in whole_lines(lines) if not line.startswith("#")]
            found += [Step(where, "command", line) for line in commands if line.strip()]
        elif language == "python":
            found.append(Step(where, "python", "\n".join(lines)))
        elif language == "text" and follows and found[-1].kind == "python":
            found[-1] = replace(found[-1], shown=tuple(lines))
        elif language == "text":
            assert not [e for e in lines if re.match(r"\s*(\$|roofline|python|pip) ", e)], where
        elif language in FILES:
            assert title, f'{where}: name the file, ```{language} title="NAME.{language}"'
            found.append(Step(where, "file", "\n".join(lines) + "\n", name=title))
        else:
            pytest.fail(f"{where}: no rule for a block of language {language!r}")
    prose = re.sub(r"^( *)(```+)\w*.*?^\1\2 *$", lambda m: re.sub(r"[^\n]", " ", m[0]), text,
                   flags=re.DOTALL | re.MULTILINE)  # fmt: skip
    for mention in re.finditer(r"`(roofline\s[^`]+)`", prose):
        command = " ".join(mention[1].split())
        where = f"{page}:{prose.count(chr(10), 0, mention.start()) + 1}"
        found.append(Step(where, "command" if is_whole(command) else "mention", command))
    return sorted(found, key=lambda step: int(step.where.rpartition(":")[2]))


def is_whole(command: str) -> bool:
    """Tell a command that can run from one that is named, or that the reader fills in."""
    node, rest = node_of(command.split()[1:])
    if not rest or any(
        re.fullmatch(r"[A-Z][A-Z_|.,]+|.*=[A-Z][A-Z_]+|.*\.\.\..*", word) for word in rest
    ):
        return False
    try:
        parser = node.make_parser(node.context_class(node, info_name="roofline"))
        given, _, _ = parser.parse_args(shlex.split(" ".join(rest)))
    except TyperException:
        return False
    needed = {each.name for each in node.params if each.required}
    if node.name == "sweep" and not {"repeat", "resume"} & set(given):
        needed = {"device"}
    return all(given.get(name) is not None for name in needed)


def node_of(words: list[str]) -> tuple[typer.core.TyperCommand, list[str]]:
    """Return the command that the first words name, and the other words."""
    node = typer.main.get_command(app)
    while words and words[0] in getattr(node, "commands", {}):
        node, words = node.commands[words[0]], words[1:]
    return node, words


def made_by(step: Step) -> set[str]:
    """Return the names of what a step writes."""
    if step.kind == "file":
        return {step.name}
    words = shlex.split(step.text, comments=True) if step.kind == "command" else []
    pairs = dict(pairwise(words))
    named = {pairs[each] for each in ("-o", "--out", ">", "--report") if each in pairs}
    device = pairs.get("--device", pairs.get("-d", "")).removesuffix(".yaml")
    return named or ({f"sweep-{device}"} if "sweep" in words else {f"export-{pairs.get('--to')}"})


# ---- Doing it


def execute(step: Step, names: dict | None = None) -> None:
    """Do one step in the working folder, and hold what it prints against what is shown."""
    if step.kind == "file":
        Path(step.name).write_text(step.text)
        return
    if step.kind == "mention":
        named(step.text.split()[1:])
        return
    if step.kind == "python":
        with heard() as told:
            exec(compile(step.text, step.where, "exec"), names)
        if step.shown:
            compare(step, told.getvalue())
        return
    said = ""
    for words in commands(step.text):
        code, told = perform(words)
        refused = bool(step.shown) and step.shown[0].startswith("roofline: ")
        assert code == (2 if refused else 0), f"{step.where}: {step.text}\nexit code {code}\n{told}"
        said += told
    if step.shown:
        compare(step, said)


def named(words: list[str]) -> None:
    """Hold that a command and its options exist."""
    node, rest = node_of(words)
    options = {name for each in node.params for name in each.opts}
    assert {word for word in rest if word.startswith("--")} <= options, words
    assert not hasattr(node, "commands") or not rest or rest[0].startswith("-"), words


def commands(text: str) -> list[list[str]]:
    """Split a line into the words of its commands; `| less` is all that may follow."""
    found: list[list[str]] = [[]]
    for word in shlex.split(text.removesuffix("| less"), comments=True):
        if word == "&&":
            found.append([])
        else:
            assert word not in ("|", "||", ";", "<", "&", ">>"), text
            found[-1].append(word.removeprefix(".venv/bin/"))
    return found


@contextlib.contextmanager
def heard() -> Iterator[io.StringIO]:
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        yield told


def perform(words: list[str]) -> tuple[int, str]:
    """Run one command, and return its exit code and all that it prints."""
    line = " ".join(words)
    if any(f"{line} ".startswith(f"{each} ") for each in OUTSIDE):
        extras = re.findall(r"\.\[([\w,]+)\]", line)
        told = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert set(",".join(extras).split(",")) - {""} <= set(told["optional-dependencies"]), line
        return 0, ""
    if line in ELSEWHERE:
        file, _, called = ELSEWHERE[line].partition(": ")
        assert called in (ROOT / "tests" / "roofline" / file).read_text(), line
        if words[0] == "roofline":
            named(words[1:])
        return 0, ""
    if words[0] in SHELL:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr
    target = None
    if ">" in words:
        words, (target,) = words[: words.index(">")], words[words.index(">") + 1 :]
    with heard() as told:
        words += smaller(words)
        if words[0] == "roofline":
            code = run(words[1:])
            assert told.getvalue().strip(), f"{line} prints nothing"
        else:
            assert line.startswith("python -m roofline."), f"no rule for the command {line!r}"
            code = module(words[2], words[3:])
    if target is not None:
        Path(target).write_text(told.getvalue())
    return code, told.getvalue()


def smaller(words: list[str]) -> list[str]:
    """Return the options by which a command is run on less."""
    line = " ".join(words)
    for start, options in SMALLER.items():
        has = {options.split()[0], "--repeat"} & set(words)
        if line == start or (line.startswith(start) and not has):
            return options.split()
    return []


def module(name: str, arguments: list[str]) -> int:
    before, sys.argv = sys.argv, [name, *arguments]
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as leaves:
        return leaves.code if isinstance(leaves.code, int) else int(bool(leaves.code))
    finally:
        sys.argv = before
    return 0


def compare(step: Step, said: str) -> None:
    """Hold what is shown against what was said: line for line, but for what `…` leaves out."""
    lines = said.strip("\n").splitlines()
    groups: list[list[str]] = [[]]
    for line in step.shown:
        if line.strip() == "…":
            groups.append([])
        else:
            parts = [r"\s+".join(map(re.escape, part.split())) for part in line.split("…")]
            groups[-1].append(r"\s*" + r"\s*.*\s*".join(parts) + r"\s*")
    start = 0
    for number, group in enumerate(groups):
        first, last = number == 0, number == len(groups) - 1
        places = [len(lines) - len(group)] if last else range(start, len(lines))
        for place in [0] if first else places:
            window = lines[place : place + len(group)]
            if len(window) == len(group) and all(map(re.fullmatch, group, window)):
                break
        else:
            missing = "\n".join(step.shown)
            raise AssertionError(
                f"{step.where}: {step.text}\nis shown with\n{missing}\nprints\n{said}"
            )
        assert first or place >= start, step.where
        start = place + len(group)
    assert len(groups) > 1 or start == len(lines), f"{step.where}: {step.text}\nprints\n{said}"
