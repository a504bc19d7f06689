"""`roofline strategies`: what to do with a question on a device, and `fit` for one's own curves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.ask import FORMATS
from roofline.cli import options, show

if TYPE_CHECKING:
    from roofline.strategies.task import Task
    from roofline.strategies.verifier import Verifier

strategies = typer.Typer(invoke_without_command=True)


def _most(what: str, example: str, metavar: str) -> typer.models.OptionInfo:
    return typer.Option(help=f"Largest {what}, e.g. {example}.", metavar=metavar)


def _several(what: str, *names: str, metavar: str = "NAME") -> typer.models.OptionInfo:
    return typer.Option(*names, help=f"{what}; repeat for several.", metavar=metavar)


@strategies.callback()
def plan(
    context: typer.Context,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", "-d", help="A shipped device or the path of a profile.", metavar="NAME|FILE"
        ),
    ] = None,
    task: Annotated[
        str, typer.Option(help="math, mmlu, humaneval, code, or a file.", metavar="NAME|FILE")
    ] = "math",
    max_latency: Annotated[str | None, _most("time of the whole answer", "10s", "TIME")] = None,
    max_energy: Annotated[str | None, _most("energy of the whole answer", "60J", "ENERGY")] = None,
    max_memory: Annotated[str | None, _most("memory", "6GB", "BYTES")] = None,
    model: Annotated[
        list[str] | None,
        _several(
            "Models; by default all that something is published of at this task",
            "--model",
            "-m",
            metavar="NAME|FILE",
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        _several(f"Formats of the weights; by default {', '.join(FORMATS)}", metavar="FORMAT"),
    ] = None,
    strategy: Annotated[
        list[str] | None, _several("Strategies; by default all (--list)", "--strategy", "-s")
    ] = None,
    verifier: Annotated[
        list[str] | None,
        _several(
            "Verifiers; by default the shipped ones of the task, `none` for none",
            metavar="NAME|FILE",
        ),
    ] = None,
    quality: Annotated[
        float | None,
        typer.Option(help="Quality of the verifiers, .5 (a coin) to 1 (never errs): the AUC."),
    ] = None,
    most: Annotated[
        int, typer.Option("--max-samples", help="Most answers to a question.", min=1, max=256)
    ] = 64,
    axis: Annotated[
        str, typer.Option("--against", help="What accuracy is set against: latency or energy.")
    ] = "latency",
    difficulty: Annotated[
        str | None,
        typer.Option(
            help="Difficulty whose alpha, c and V to take, as `fit` writes it.", metavar="NAME|FILE"
        ),
    ] = None,
    revision_lost: Annotated[
        float | None,
        typer.Option(help="Share of right answers that a revision turns wrong; .38 by default."),
    ] = None,
    revision_mended: Annotated[
        float | None,
        typer.Option(
            help="Chance to mend a wrong answer, as a multiple of a fresh sample's; 1 by default."
        ),
    ] = None,
    exchange: Annotated[
        str | None,
        typer.Option(
            help="How many answers of a small model cost what one of a large one does.",
            metavar="SMALL:LARGE",
        ),
    ] = None,
    kinetics: Annotated[
        bool,
        typer.Option(
            "--kinetics", help="Set the Kinetics cost of N answers beside the engine's, by model."
        ),
    ] = False,
    processor: options.Processor = None,
    runtime: options.Runtime = None,
    ideal: options.Ideal = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for front.csv, plan.yaml, front.png.")
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="List strategies, tasks, verifiers and leave.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Find the best model, format, strategy, number of answers and batch split within limits.

    **Examples**

    `roofline strategies --device phone --task math --max-latency 10s --max-energy 60J
    --max-memory 6GB`: the plan of best accuracy within all three.

    `roofline strategies -d jetson-agx-orin-64gb --task humaneval --against energy -o plan`

    `roofline strategies -d phone --exchange llama-3.2-1b:llama-3.1-8b --weights q4_k_m`: how
    many answers of the one cost one of the other.

    `roofline strategies -d phone --kinetics -m qwen3-0.6b --weights int8`

    Latency is of the whole answer, verifier included. Accuracies rest on published pass@1, on one
    model of difficulty, and on the assumptions that are printed below.
    """
    if context.invoked_subcommand:
        options.refuse_early(context)
        return
    from roofline.cli.strategies_show import (
        print_exchange,
        print_kinetics,
        print_lists,
        print_plan,
    )

    _refuse_unheeded(context, listing, exchange, kinetics)
    if listing:
        print_lists(as_json)
        return
    from hardware_specs import load_device
    from spec_files import SpecError, did_you_mean

    for name, several in (
        ("model", model), ("weights", weights), ("strategy", strategy), ("verifier", verifier),
    ):  # fmt: skip
        _once(name, several)

    if device is None:
        raise SpecError("no device was given: write e.g. --device phone")
    if axis not in ("latency", "energy"):
        raise SpecError(f"--against: read {axis!r}{did_you_mean(axis, ('latency', 'energy'))}")
    profile = load_device(device)
    asked = _task(task, difficulty, revision_lost, revision_mended)
    how: dict[str, Any] = {"processor": processor, "runtime": runtime, "ideal": ideal}
    judges = _judges(verifier, quality, asked)
    if exchange is not None:
        print_exchange(exchange, profile, asked, weights or ["q4_k_m"], judges, how, as_json)
        return
    if kinetics:
        print_kinetics(model or ["llama-3.2-1b"], profile, asked, weights or ["fp16"], how, as_json)
        return
    from arch_space.library import load_models
    from roofline.outputs import check_folder
    from roofline.strategies.folder import write_plan
    from roofline.strategies.forms import strategies as known
    from roofline.strategies.forms import strategy as named
    from roofline.strategies.plan import plan as search

    if out is not None:
        check_folder(out)
    found = search(
        profile,
        asked,
        load_models(model or sorted(asked.models)),
        list(weights or FORMATS),
        _limits({"latency": max_latency, "energy": max_energy, "memory": max_memory}),
        chosen=[named(name) for name in strategy] if strategy else list(known().values()),
        verifiers=judges,
        most=most,
        axis="energy" if axis == "energy" else "latency",
        **how,
    )
    if out is not None:
        write_plan(found, out)
    if as_json:
        from roofline.strategies.account import to_dict

        show.print_json(to_dict(found), show.UNITS)
        return
    print_plan(found, out)


_ENGINE = {"device", "task", "weights", "processor", "runtime", "ideal", "as_json"}
_EXCHANGE = {
    "exchange", "verifier", "quality", "difficulty", "revision_lost", "revision_mended",
}  # fmt: skip


def _refuse_unheeded(
    context: typer.Context, listing: bool, exchange: str | None, kinetics: bool
) -> None:
    """Refuse options that a list, an exchange or the Kinetics table does not heed."""
    if listing:
        options.refuse_unheeded(context, {"listing", "as_json"}, "--list only lists")
    elif exchange is not None:
        options.refuse_unheeded(context, _ENGINE | _EXCHANGE, "--exchange weighs two models")
    elif kinetics:
        heeded = _ENGINE | {"kinetics", "model"}
        options.refuse_unheeded(context, heeded, "--kinetics sets a formula beside the engine")


def _once(name: str, several: list[str] | None) -> None:
    from spec_files import SpecError

    for each in several or []:
        if (several or []).count(each) > 1:
            raise SpecError(f"--{name}: {each!r} is named twice")


def _task(name: str, difficulty: str | None, lost: float | None, mended: float | None) -> Task:
    """Read a task, and put in its place what options say otherwise."""
    from roofline.strategies.difficulty import load_difficulty
    from roofline.strategies.task import Task, load_task
    from spec_files import validate_spec

    asked = load_task(name)
    changes: dict[str, Any] = {}
    if difficulty is not None:
        other = load_difficulty(difficulty)
        changes = {
            "alpha": other.alpha,
            "concentration": other.concentration,
            "wrong_answers": other.wrong_answers,
            "difficulty_source": f"{difficulty}: {other.source or 'a fit'}",
        }
    if lost is not None:
        changes["revision_lost"] = lost
    if mended is not None:
        changes["revision_mended"] = mended
    return validate_spec(asked.model_dump() | changes, Task, name) if changes else asked


def _judges(named: list[str] | None, quality: float | None, task: Task) -> list[Verifier]:
    """Read the verifiers: those named, or the shipped ones of the task."""
    from roofline.strategies.verifier import Verifier, load_verifier, verifier_names
    from spec_files import SpecError, validate_spec

    judges = [load_verifier(name) for name in named or verifier_names() if name != "none"]
    able = [each for each in judges if not each.tasks or task.name in each.tasks]
    if named is not None and len(able) < len(judges):
        other = next(each for each in judges if each not in able)
        raise SpecError(
            f"--verifier: {other.name} judges {', '.join(other.tasks)}, not {task.name}"
        )
    judges = able
    if quality is None:
        return judges
    if not judges:
        raise SpecError(f"--quality: there is no verifier of {task.name} that it could be of")
    changes = {"quality": quality, "source": "--quality"}
    return [validate_spec(each.model_dump() | changes, Verifier, "--quality") for each in judges]


def _limits(said: dict[str, str | None]) -> dict[str, float]:
    from roofline.strategies.plan import DIMENSIONS
    from spec_files import SpecError, parse_quantity

    limits = {}
    for name, text in said.items():
        if text is None:
            continue
        try:
            limits[name] = parse_quantity(text, DIMENSIONS[name])
        except SpecError as error:
            raise SpecError(f"--max-{name}: {error}") from None
        if limits[name] <= 0:
            raise SpecError(f"--max-{name}: read {text!r}, which allows no answer")
    return limits


@strategies.command("fit")
def fit_curve(
    curve: Annotated[
        Path, typer.Argument(help="CSV with samples, accuracy and perhaps kind.", metavar="CSV")
    ],
    task: Annotated[str, typer.Option(help="What the questions are, for the file.")] = "",
    model: Annotated[str, typer.Option(help="Who answered, for the file.")] = "",
    source: Annotated[str, typer.Option(help="Where the curve is from, for the file.")] = "",
    wrong_answers: Annotated[
        int, typer.Option(help="Wrong answers that a question offers.", min=1, max=1000)
    ] = 30,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Difficulty to write.", metavar="FILE")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
    as_json: options.Json = False,
) -> None:
    """Fit a difficulty to a curve of accuracy against samples: alpha, beta, and c beside votes.

    **Examples**

    `roofline strategies fit curve.csv --task math -o mine.yaml`: the difficulty that your
    measured curve says, as a file.

    `roofline strategies fit curve.csv --json`

    kind is `coverage` (any of the samples is right: pass@k) or `majority` (the vote is right).
    """
    from datetime import date

    from roofline.outputs import check_file, write_text
    from roofline.strategies.curve_file import read_curve, to_yaml
    from roofline.strategies.fit import fit_difficulty
    from spec_files import SpecError

    if out is not None:
        if out.exists() and curve.exists() and out.samefile(curve):
            raise SpecError(f"-o {out} is what is read: a difficulty is written to its own file")
        check_file(out, force)
    samples, accuracies, kinds = read_curve(curve)
    try:
        found = fit_difficulty(
            samples, accuracies, kinds, wrong_answers, task=task, model=model,
            source=source or f"fitted to {curve.name}", date=f"{date.today():%Y-%m}",
        )  # fmt: skip
    except SpecError as fault:
        raise SpecError(f"{curve}: {fault}") from None
    if out is not None:
        write_text(out, to_yaml(found))
    if as_json:
        show.print_json(found.model_dump(mode="json"))
        return
    values = {"alpha": found.alpha, "beta": found.beta, "concentration": found.concentration}
    show.table(
        f"Difficulty of {curve.name}: pass@1 {found.pass_at_1:.1%}",
        ["number", "value", "standard error"],
        [
            [name, f"{value:.4g}", f"{found.errors[name]:.2g}" if name in found.errors else "taken"]
            for name, value in values.items()
        ],
    )
    for kind, off in found.mean_error.items():
        show.note(f"Mean error of {kind}: {100 * off:.2f} points.")
    if not found.wrong_fitted:
        show.note(
            "c is that of Llama-3-8B-Instruct on MATH: to fit it takes coverage and votes together."
        )
    if out is not None:
        show.note(f"Wrote {out}. Try: roofline strategies -d phone --difficulty {out}")
