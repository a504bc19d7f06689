"""The reference of the Python API: what the packages export, by their docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module

FOLDER = "docs/reference/python"
FRONT = "roofline"
ROOMS = (
    "arch_space",
    "arch_space.library",
    "arch_space.spaces",
    "arch_space.formats",
    "hardware_specs",
    "spec_files",
    "roofline.workload",
    "roofline.mixes",
    "roofline.operators",
    "roofline.engine",
    "roofline.efficiency.calibrated",
    "roofline.laws",
    "roofline.fitting",
    "roofline.search",
    "roofline.search.sweep",
    "roofline.codesign.question",
    "roofline.strategies",
    "roofline.graphs",
    "roofline.export",
    "roofline.probe",
    "roofline.factored",
)
"""What has a page: packages by what they export, modules by what is public in them."""

ANSWERS = (
    "roofline.search.run.SweepRun",
    "roofline.calibration.profile.Fitted",
    "roofline.codesign.inverse.Answer",
    "roofline.strategies.plan.Plan",
    "roofline.report.points.Roofline",
)
"""What the front door's functions return, and no room exports."""


def pages() -> Iterator[str]:
    """Yield the pages, the front door first."""
    yield from (_page(room) for room in (FRONT, *ROOMS))


def files() -> Iterator[tuple[str, str]]:
    """Yield each page and its text: a name that has a home elsewhere is named and linked."""
    owners = _owners()
    for room in (FRONT, *ROOMS):
        homes = public(room)
        lines = [f"# {room}", "", inspect.getdoc(import_module(room)) or "", ""]
        if room == FRONT:
            lines += ["| name | what it is |", "|---|---|"]
            lines += [
                f"| [`{name}`][{home}] | {_first_sentence(room, name)} |"
                for name, home in homes.items()
            ]
            lines.append("")
        lines += [f"::: {home}\n" for home in homes.values() if owners[home] == room]
        lines += [f"::: {answer}\n" for answer in ANSWERS if room == FRONT]
        yield _page(room), "\n".join(lines)


@cache
def public(room: str) -> dict[str, str]:
    """Return the public names of a room, each with the path of its definition."""
    module = import_module(room)
    names = getattr(module, "__all__", None) or _defined(module)
    found = {}
    for name in names:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            found[name] = f"{value.__module__}.{value.__qualname__}"
        elif not name.startswith("_"):
            found[name] = f"{room}.{name}"
    return found


def _owners() -> dict[str, str]:
    """Return which room describes each definition: the first that exports it, the front last."""
    owners: dict[str, str] = {}
    for room in (*ROOMS, FRONT):
        for home in public(room).values():
            owners.setdefault(home, room)
    return owners


def _defined(module: object) -> list[str]:
    """Return the functions and classes that a module defines and does not hide, as they stand."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    ]


def _first_sentence(room: str, name: str) -> str:
    """Return the first paragraph of a docstring, as a cell of a table."""
    said = inspect.getdoc(getattr(import_module(room), name)) or ""
    return " ".join(said.split("\n\n")[0].split()).replace("|", "\\|")


def _page(room: str) -> str:
    return f"{FOLDER}/{room.replace('.', '-')}.md"
