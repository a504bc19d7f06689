"""`roofline spaces`: the spaces that are shipped, and what one of them holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    from arch_space.spaces import Space

spaces = typer.Typer(invoke_without_command=True)


@spaces.callback()
def list_spaces(context: typer.Context, as_json: options.Json = False) -> None:
    """List the spaces of architectures to search; show one.

    **Examples**

    `roofline spaces`: one line each, with how many candidates it holds.

    `roofline spaces show on-device`
    """
    if context.invoked_subcommand:
        options.refuse_early(context)
        return
    from arch_space.spaces import load_space, shipped_spaces

    found = [load_space(name) for name in shipped_spaces()]
    if as_json:
        show.print_json([_as_data(space) for space in found])
        return
    show.table(
        f"{len(found)} spaces",
        ["name", "candidates", "varies", "title"],
        [
            [s.name, show.count(s.valid_count), ", ".join(s.dimensions), s.title]
            for s in sorted(found, key=lambda s: s.valid_count)
        ],
    )
    show.note("`roofline new-space NAME --like SPACE` copies one, every field explained.")


@spaces.command("show")
def show_space(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE")], as_json: options.Json = False
) -> None:
    """Print one space: what varies, over which values, and what is fixed.

    **Example**

    `roofline spaces show paper-grid`: one row a field, with its values and what it means.
    """
    from arch_space.spaces import load_space
    from arch_space.template import meaning

    space = load_space(name)
    if as_json:
        show.print_json(_as_data(space) | {"values": {k: space.labels(i) for i, k in _keys(space)}})
        return
    rows = [
        [key, str(len(space.labels(axis))), ", ".join(space.labels(axis)), meaning(key)]
        for axis, key in _keys(space)
    ]
    rows += [[key, "fixed", str(value), meaning(key)] for key, value in space.fixed.items()]
    title = f"{space.name}: {space.title}" if space.title else space.name
    show.table(title, ["field", "number", "values", "meaning"], rows)
    for rule in space.rules:
        show.note(f"Rule: {rule}.")
    show.note(f"{space.size:,} points, of which {space.valid_count:,} are candidates.")
    if space.source:
        show.note(f"Source: {space.source}")


def _keys(space: Space) -> list[tuple[int, str]]:
    """Each axis with its key in the file."""
    return list(enumerate(space.dimensions))


def _as_data(space: Space) -> dict[str, object]:
    return {
        "name": space.name,
        "title": space.title,
        "source": space.source,
        "points": space.size,
        "candidates": space.valid_count,
        "fixed": space.fixed,
        "dimensions": list(space.dimensions),
        "rules": space.rules,
    }
