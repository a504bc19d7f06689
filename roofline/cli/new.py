"""`roofline new-device` and `roofline new-space`: a YAML file to fill in, valid as written."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from roofline.cli import options, show

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="File to write, by default NAME.yaml; - for standard output.",
        metavar="FILE",
    ),
]


def new_device(
    name: Annotated[
        str, typer.Argument(help="Of the new device, in lower case: my-phone.", metavar="NAME")
    ],
    like: Annotated[
        str | None,
        typer.Option(
            help="Start from the numbers, and their sources, of a shipped device or a profile.",
            metavar="NAME|FILE",
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="Without --like: start from the middle of a class: phone (if not given), jetson, "
            "sbc, laptop, desktop, desktop_gpu or datacentre.",
        ),
    ] = None,
    out: Out = None,
    as_json: options.Json = False,
) -> None:
    """Write a device profile to fill in: valid as it stands, every field explained.

    **Examples**

    `roofline new-device my-phone --kind phone`: my-phone.yaml, with the middle of all shipped
    phones.

    `roofline new-device my-orin --like jetson-agx-orin-64gb -o orin.yaml`: a copy, its numbers
    marked CHECK.

    `roofline new-device my-tablet -o - > my-tablet.yaml`

    Numbers to replace are marked FILL IN where they are typical of the class, CHECK where they are
    another device's. A file that exists is never overwritten.
    """
    from hardware_specs import template

    _refuse_both(like, kind)
    device = (
        template.typical(kind or "phone", name) if like is None else template.copied(like, name)
    )
    text = template.device_text(device, like)
    follow = ["roofline devices show {}", "roofline sweep --device {} --max-tpot 50ms"]
    about = {"name": name, "like": like, "kind": device.kind}
    _hand_over(text, out or Path(f"{name}.yaml"), about, follow, as_json)


def new_space(
    name: Annotated[
        str, typer.Argument(help="Of the new space, in lower case: my-space.", metavar="NAME")
    ],
    like: Annotated[
        str | None,
        typer.Option(help="Start from a shipped space or a file.", metavar="NAME|FILE"),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="Without --like: what published models chose, dense (if not given) or moe."
        ),
    ] = None,
    out: Out = None,
    as_json: options.Json = False,
) -> None:
    """Write a space to fill in: valid as it stands, every field explained.

    **Examples**

    `roofline new-space my-space`: my-space.yaml, with what published dense models chose.

    `roofline new-space my-space --like on-device -o space.yaml`: a copy, its values marked
    CHECK.

    `roofline new-space my-moe --kind moe -o - > my-moe.yaml`

    Values to replace are marked FILL IN where they are typical, CHECK where they are another
    space's. A file that exists is never overwritten.
    """
    from arch_space import template

    _refuse_both(like, kind)
    space = template.typical(kind or "dense", name) if like is None else template.copied(like, name)
    text = template.space_text(space, like)
    about = {"name": name, "like": like, "points": space.size, "candidates": space.valid_count}
    follow = ["roofline sweep --device phone --space {}"]
    _hand_over(text, out or Path(f"{name}.yaml"), about, follow, as_json)


def _refuse_both(like: str | None, kind: str | None) -> None:
    from spec_files import SpecError

    if like is not None and kind is not None:
        raise SpecError("--kind is of a template, --like of a copy: give one of them")


def _hand_over(
    text: str, file: Path, about: dict[str, Any], follow: list[str], as_json: bool
) -> None:
    """Write the file or print it, and say what to run next."""
    from roofline.outputs import write_new

    printed = str(file) == "-"
    if not printed:
        write_new(file, text)
    where = f"{about['name']}.yaml" if printed else str(file)
    steps = [step.format(shlex.quote(where)) for step in follow]
    if as_json:
        told = {"file": None if printed else where, **about, "next": steps}
        show.print_json(told | ({"text": text} if printed else {}))
        return
    if printed:
        typer.echo(text, nl=False)
        return
    mark = "FILL IN" if about["like"] is None else "CHECK"
    show.note(
        f"Wrote {where}: it loads as it stands; {text.count(f'# {mark}')} values are marked {mark}."
    )
    show.note("Next: " + "\n      ".join(steps))
