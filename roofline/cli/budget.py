"""`roofline budget`: which budget binds, and the best model that it allows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    from roofline.budgets.answer import Answer
    from roofline.budgets.case import Case


def _largest(what: str, example: str, metavar: str) -> typer.models.OptionInfo:
    return typer.Option(help=f"Largest {what}, e.g. {example}.", metavar=metavar)


def budget(
    device: Annotated[
        str | None,
        typer.Option(
            "--device", "-d", help="A shipped device or the path of a profile.", metavar="NAME|FILE"
        ),
    ] = None,
    max_ttft: Annotated[str | None, _largest("time to first token", "100ms", "TIME")] = None,
    max_tpot: Annotated[str | None, _largest("time per output token", "20ms", "TIME")] = None,
    max_latency: Annotated[str | None, _largest("time of the whole answer", "2s", "TIME")] = None,
    max_memory: Annotated[str | None, _largest("memory", "4GB", "BYTES")] = None,
    example: Annotated[
        str | None,
        typer.Option(
            help="Take device, workload and budgets from a shipped example (see --list) or a file; "
            "options beside it replace its own.",
            metavar="NAME|FILE",
        ),
    ] = None,
    processor: options.Processor = None,
    runtime: options.Runtime = None,
    weights: options.Weights = None,
    kv: options.Kv = None,
    activations: options.Activations = None,
    prompt: Annotated[
        int | None, typer.Option(help="Prompt tokens; 1024 by default.", metavar="TOKENS")
    ] = None,
    generate: Annotated[
        int | None, typer.Option(help="Tokens to generate; 128 by default.", metavar="TOKENS")
    ] = None,
    law: Annotated[
        str | None,
        typer.Option(
            "--law",
            help="Loss law of depth, width, FFN ratio, activation rate and keys; codesign by "
            "default.",
            metavar="NAME|FILE",
        ),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            help="Candidates of the discrete optimum: a shipped space or the path of one; "
            "on-device by default.",
            metavar="NAME|FILE",
        ),
    ] = None,
    ideal: Annotated[
        bool,
        typer.Option("--ideal", help="Data-sheet rates in place of the calibrated device's."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write figures and tables to."),
    ] = None,
    as_json: options.Json = False,
    listing: Annotated[
        bool, typer.Option("--list", help="List the shipped examples and leave.")
    ] = False,
) -> None:
    """Find which budget binds, and the best model that budgets allow, three ways.

    **Examples**

    `roofline budget --device jetson-agx-orin-64gb --max-ttft 100ms --max-tpot 20ms --max-memory
    4GB -o budget`: which limit binds, and the best model within all, in budget/.

    `roofline budget --example embodied`, `roofline budget --example driving --ideal --json`

    `roofline budget -d phone --max-tpot 50ms --weights int4 --law my_law.yaml`

    The optimum is found in closed form (the co-design law's theory, which charges matrices and
    cache alone), by an optimiser on the same costs, and as the best candidate of a space by the
    same costs, by the engine's floor and by the calibrated engine; what they differ by is said.
    `python -m roofline.budgets` repeats the experiment of the law's paper.
    """
    if listing:
        _list(as_json)
        return
    case = _case(
        example,
        {
            "device": device,
            "processor": processor,
            "runtime": runtime,
            "weights": weights,
            "kv": kv,
            "activations": activations,
            "prompt": prompt,
            "generate": generate,
            "law": law,
            "space": space,
            "ideal": ideal or None,
        },
        {"ttft": max_ttft, "tpot": max_tpot, "latency": max_latency, "memory": max_memory},
    )
    from roofline.budgets.answer import answer
    from roofline.budgets.folder import write_answer
    from roofline.outputs import check_folder

    if out is not None:
        check_folder(out)
    found = answer(case)
    if out is not None:
        write_answer(found, out)
    if as_json:
        from roofline.budgets.account import to_dict

        of_parts = {"shares": "of the limit", "saved_by_a_tenth_more": "nats"}
        show.print_json(to_dict(found), show.UNITS | of_parts)
        return
    _print(found, out)


def _case(example: str | None, fields: dict[str, Any], budgets: dict[str, str | None]) -> Case:
    """Gather the case from an example and the options beside it."""
    from roofline.budgets.case import DIMENSIONS, Case, load_case
    from spec_files import SpecError, parse_quantity, validate_spec

    given = {name: value for name, value in fields.items() if value is not None}
    limits: dict[str, float] = {}
    for name, text in budgets.items():
        if text is None:
            continue
        try:
            limits[name] = parse_quantity(text, DIMENSIONS[name])
        except SpecError as error:
            raise SpecError(f"--max-{name}: {error}") from None
        if limits[name] <= 0:
            raise SpecError(f"--max-{name}: read {text!r}, which allows no model")
    written = {name: str(budgets[name]) for name in limits}
    if example is not None:
        case = load_case(example)
        return case.changed(**given, budgets={**case.budgets, **written})
    if "device" not in given:
        raise SpecError("no device was given: write e.g. --device jetson-agx-orin-64gb")
    if not limits:
        raise SpecError(
            "no budget was given: write --max-ttft, --max-tpot, --max-latency or --max-memory"
        )
    return validate_spec(given | {"budgets": written}, Case, "budget")


def _list(as_json: bool) -> None:
    from roofline.budgets.case import examples, load_case

    cases = [load_case(name) for name in examples()]
    if as_json:
        show.print_json([case.model_dump(exclude_none=True) for case in cases])
        return
    show.table(
        "Examples",
        ["name", "title", "device", "workload", "budgets"],
        [
            [
                case.name,
                case.title,
                case.device,
                f"{case.prompt} + {case.generate}",
                ", ".join(f"{name} {limit}" for name, limit in case.budgets.items()),
            ]
            for case in cases
        ],
    )
    show.note("`roofline budget --example NAME` answers one.")


def _print(found: Answer, out: Path | None) -> None:
    from roofline.budgets.account import TITLES, rows, sentences
    from roofline.budgets.case import say

    case = found.case
    show.table(
        f"{case.title or 'Budgets'}, on {found.device.title}: prompt {case.prompt}, generate "
        f"{case.generate}, weights {case.weights}",
        [
            "optimum", "depth", "width", "FFN ratio", "GQA ratio", "activation rate", "loss",
            *(f"{name} of {say(name, limit)}" for name, limit in found.limits.items()),
        ],
        [
            [
                TITLES[way],
                f"{shape.layers:.4g}",
                f"{shape.width:.0f}",
                f"{shape.expansion:.3g}",
                f"{shape.gqa:.3g}",
                f"{shape.activation:.3g}",
                f"{loss:.4f}",
                *(say(name, costs[name]) for name in found.limits),
            ]
            for way, shape, loss, costs in rows(found)
        ],
    )  # fmt: skip
    for line in sentences(found):
        show.note(line)
    if out is not None:
        show.note(f"Wrote {out}/: region.png, region.svg, budget.json, optima.csv and budget.yaml.")
