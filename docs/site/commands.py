"""The reference of the command line, from the same words as --help."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import typer

FOLDER = "docs/reference/commands"
_EXTRAS = re.compile(r"(.*?)(?:\s*\[((?:default: |required)[^\]]*)\])?")


def pages() -> Iterator[str]:
    """Yield the pages in the order of `roofline --help`."""
    yield f"{FOLDER}/README.md"
    for name in _top().commands:
        yield f"{FOLDER}/{name}.md"


def files() -> Iterator[tuple[str, str]]:
    """Yield each page and its text."""
    top = _top()
    rows = [
        f"| [`roofline {name}`]({name}.md) | {_first_sentence(command)} |"
        for name, command in top.commands.items()
    ]
    yield (
        f"{FOLDER}/README.md",
        "\n".join(
            [
                "# Command line\n",
                "Every command has `--help` and `--json`. An error is one sentence, and the exit "
                "status is then 2.\n",
                "| command | what it does |",
                "|---|---|",
                *rows,
                "",
                *_about(top, "roofline", 2),
            ]
        ),
    )
    for name, command in top.commands.items():
        yield f"{FOLDER}/{name}.md", "\n".join(_described(command, f"roofline {name}", 1))


@cache
def _top() -> Any:
    from roofline.cli.app import app

    return typer.main.get_command(app)


def _described(command: Any, name: str, level: int) -> list[str]:
    """Return the Markdown of a command, and of what is below it."""
    lines = [f"{'#' * level} {name}", "", *_about(command, name, level + 1)]
    for below, each in getattr(command, "commands", {}).items():
        lines += ["", *_described(each, f"{name} {below}", level + 1)]
    return lines


def _about(command: Any, name: str, level: int) -> list[str]:
    context = typer.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = [_help(command), "", "```text", usage, "```", ""]
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    for title, these in (("argument", arguments), ("option", options)):
        if these:
            lines += [f"| {title} | what it does | default |", "|---|---|---|"]
            lines += [_row(each, context) for each in these] + [""]
    return lines


def _help(command: Any) -> str:
    """The help with its examples as blocks that can be copied."""
    text = inspect.cleandoc(command.help or "")
    blocks = []
    for block in text.split("\n\n"):
        examples = re.findall(r"`(roofline [^`]+)`", block)
        if examples and re.sub(r"`[^`]+`|[\s,;]", "", block) == "":
            lines = [f"$ {' '.join(each.split())}" for each in examples]
            if blocks and blocks[-1].endswith("```"):
                blocks[-1] = blocks[-1][:-3] + "\n".join(lines) + "\n```"
            else:
                blocks.append("```console\n" + "\n".join(lines) + "\n```")
        else:
            blocks.append(block)
    return "\n\n".join(blocks)


def _first_sentence(command: Any) -> str:
    return " ".join((command.help or "").split("\n\n")[0].split())


def _row(parameter: Any, context: Any) -> str:
    name, said = parameter.get_help_record(context)
    words, extras = _EXTRAS.fullmatch(" ".join(said.split())).groups()
    default = re.sub(r"default: (.+)", r"`\1`", extras or "")
    return "| " + " | ".join(_cell(each) for each in (f"`{name}`", words, default)) + " |"


def _cell(text: str) -> str:
    """Escape what would end a cell; inside of code nothing does."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(each if each.startswith("`") else each.replace("|", "\\|") for each in parts)
