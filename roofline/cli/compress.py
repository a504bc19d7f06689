"""`roofline compress`: recipes of distillation, pruning, quantisation for a model on a device."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    from roofline.compression.accuracy import Reader
    from roofline.compression.search import Found
    from roofline.compression.subject import Subject

_SHOWN = 12
MOST_TOKENS = 1e18
"""Tokens beyond which a count of them is a slip, as in a recipe."""
_ENDS = ("low", "high")


def compress(
    model: Annotated[
        str, typer.Option("--model", "-m", help="The model to compress.", metavar="NAME|FILE")
    ],
    device: options.Device,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="A recipe of yours to set beside the search's: steps with commas between, or a "
            "YAML file.",
            metavar="STEPS|FILE",
        ),
    ] = None,
    max_memory: Annotated[str | None, typer.Option(help="Such as 3GB.", metavar="BYTES")] = None,
    max_latency: Annotated[
        str | None, typer.Option(help="Of the whole answer.", metavar="TIME")
    ] = None,
    max_tpot: Annotated[str | None, typer.Option(help="Per output token.", metavar="TIME")] = None,
    max_ttft: Annotated[
        str | None, typer.Option(help="To the first token.", metavar="TIME")
    ] = None,
    max_loss: Annotated[
        float | None, typer.Option(help="Nats that may be added.", metavar="NATS")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Also search recipes that distil this model; by default llama-3.1-70b is the "
            "teacher of the published recipe alone, where it shares the vocabulary.",
            metavar="NAME|FILE",
        ),
    ] = None,
    tokens: Annotated[
        str | None,
        typer.Option(
            help="Tokens that the model was trained on, such as 9T; by default those its makers "
            "state, where they are known here.",
            metavar="COUNT",
        ),
    ] = None,
    loss: Annotated[
        float | None,
        typer.Option(
            help="The model's loss before; by default the supervised law's.", metavar="NATS"
        ),
    ] = None,
    accuracy: Annotated[
        list[str] | None,
        typer.Option(
            help="The model's accuracy before, as in piqa=0.77; repeat for several.",
            metavar="TASK=SHARE",
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            help="The same, read off the curve from loss to accuracy (`roofline laws curves`).",
            metavar="TASK",
        ),
    ] = None,
    train_on: Annotated[
        str, typer.Option(help="Device that training is priced on.", metavar="NAME|FILE")
    ] = "h100-sxm",
    utilisation: Annotated[
        float, typer.Option(help="Share of its peak that training reaches.", metavar="SHARE")
    ] = 0.4,
    processor: options.Processor = None,
    runtime: options.Runtime = None,
    prompt: options.Prompt = 512,
    generate: options.Generate = 128,
    batch: options.Batch = 1,
    ideal: options.Ideal = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write tables and a figure to.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Search ways to compress a model for a device: what each leaves, runs at and costs to make.

    **Examples**

    `roofline compress --model llama-3.2-3b --device phone --max-memory 3GB`: the recipes that
    fit, and what each leaves of the model.

    `roofline compress -m llama-3.2-3b -d phone --max-tpot 60ms --recipe
    "distil:llama-3.1-70b,lora,muon,gptq:4:g128,kv:int8" --accuracy arc-easy=0.74 --json`

    `roofline compress -m qwen2.5-0.5b -d raspberry-pi-5 --max-loss 0.05 --task piqa`

    Steps: `distil:TEACHER[:TOKENS]`, `lora[:RANK]`, `prune:METHOD:PATTERN` (wanda, sparsegpt,
    magnitude; 2:4, 4:8, 0.5), `METHOD:BITS[:gGROUP]` (rtn, gptq, awq, omniquant, efficientqat),
    `gguf:TYPE[:imatrix]`, `kv:FORMAT`; `adam[:FACTOR]` or `muon[:FACTOR]` behind what trains, where
    the factor is yours on the nats that quantisation adds.
    """
    from hardware_specs import load_device
    from roofline.compression.account import spread, to_dict
    from roofline.compression.folder import write
    from roofline.efficiency.calibrated import calibrated, say_basis
    from roofline.outputs import check_folder
    from spec_files import SpecError

    if out is not None:
        check_folder(out)
    if not 0 < utilisation <= 1:
        raise SpecError(f"--utilisation: read {utilisation:g}; a share lies in 0 to 1")
    subject = _subject(model, tokens)
    limits = _limits(
        {"memory": max_memory, "latency": max_latency, "tpot": max_tpot, "ttft": max_ttft}
    )
    if max_loss is not None:
        if not 0 < max_loss < float("inf"):
            raise SpecError(f"--max-loss: read {max_loss:g}; write positive nats")
        limits["nats"] = max_loss
    base = _base(subject, loss)
    before = _accuracies(accuracy, task, base["loss"])
    trainer = load_device(train_on)
    found = _search(
        subject, recipe, teacher, limits,
        device, processor, runtime, (batch, prompt, generate), ideal,
    )  # fmt: skip
    answer = to_dict(found, trainer=trainer, utilisation=utilisation, accuracies=before)
    answer["loss_before"] = base
    unit = calibrated(load_device(device), processor, runtime).processor(processor)
    answer |= {
        "device": load_device(device).name,
        "workload": {"batch": batch, "prompt": prompt, "generate": generate},
        "runtime": found.outcome.cost.runtime,
        "basis": say_basis(unit, ideal),
    }
    written = [] if out is None else write(found, answer, out)
    if as_json:
        show.print_json(answer, show.UNITS)
        return
    _print(found, answer, spread(found, _SHOWN), trainer.title)
    if out is not None:
        show.note(f"Wrote {out}/: {', '.join(written)}.")


def _subject(model: str, tokens: str | None) -> Subject:
    from arch_space.library import load_model
    from roofline.compression.subject import Subject
    from roofline.degradation.tables import trained
    from roofline.laws import load_law
    from spec_files import SpecError

    arch = load_model(model)
    known = trained().get(arch.names[0])
    given = options.parse_count(tokens, "tokens")
    count = given / 1e12 if given is not None else None if known is None else known.tokens
    subject = Subject(arch, count, load_law("supervised"))
    if given is not None:
        said = float(subject.law.at(subject.matrix_parameters, given))
        if not (given < MOST_TOKENS and said <= _guess(subject)):
            raise SpecError(
                f"--tokens: read {tokens!r}; write a count such as 9T, at which a model of "
                f"{subject.parameters:.3g}B has learned something"
            )
    return subject


def _guess(subject: Subject) -> float:
    """Nats of a guess among the tokens of the vocabulary: no model that was trained loses more."""
    return log(float(subject.arch.vocabulary[0]))


def _limits(given: dict[str, str | None]) -> dict[str, float]:
    from spec_files import SpecError, parse_quantity

    found = {}
    for name, text in given.items():
        if text is None:
            continue
        try:
            found[name] = parse_quantity(text, "bytes" if name == "memory" else "time")
        except SpecError as wrong:
            raise SpecError(f"--max-{name}: {wrong}") from None
        if found[name] <= 0:
            raise SpecError(f"--max-{name}: read {text!r}, which allows no recipe")
    return found


def _base(subject: Subject, given: float | None) -> dict[str, Any]:
    """The loss before, and where it is from."""
    from roofline.degradation.tables import model
    from spec_files import SpecError

    if given is not None:
        if not 0 < given <= _guess(subject):
            raise SpecError(
                f"--loss: read {given:g}; write nats above 0 and up to {_guess(subject):.1f}, a "
                f"guess among {int(subject.arch.vocabulary[0])} tokens"
            )
        return {"loss": given, "from": "given"}
    trained = 1e12 * (subject.tokens or model("L3-8B").tokens)
    law = subject.law.at_tokens(trained)
    (outside,) = law.out_of_range_reasons(subject.arch)
    beyond = f" [out of its range: {outside}]" if outside else ""
    return {"loss": float(law.loss(subject.arch)[0]), "from": f"law {law.name}{beyond}"}


def _accuracies(given: list[str] | None, tasks: list[str] | None, loss: float) -> dict[str, Reader]:
    """How accuracies are read: from those that were given, or off the curves."""
    from roofline.compression.accuracy import by_decay, by_task
    from roofline.degradation.tasks import decay
    from roofline.laws.accuracy import load_curve
    from spec_files import SpecError

    found: dict[str, Reader] = {}
    for word in given or []:
        name, _, text = word.partition("=")
        chance = decay(name).chance
        try:
            share = float(text)
        except ValueError:
            share = -1.0
        if not chance <= share <= 1:
            raise SpecError(
                f"--accuracy: read {word!r}; write TASK=SHARE from {chance:g}, a guess, to 1"
            )
        if name in found:
            raise SpecError(f"--accuracy: {name} is given twice, the second time as {word!r}")
        found[name] = by_decay(name, share)
    for name in tasks or []:
        curve = load_curve(name)
        if curve.name in found:
            raise SpecError(
                f"--task {curve.name}: its accuracy before is given already; keep one of them"
            )
        found[curve.name] = by_task(curve, loss)
    return found


def _search(
    subject: Subject,
    asked: str | None,
    teacher: str | None,
    limits: dict[str, float],
    device: str,
    processor: str | None,
    runtime: str | None,
    work: tuple[int, int, int],
    ideal: bool,
) -> Found:
    from hardware_specs import load_device
    from roofline.compression.outcome import outcome
    from roofline.compression.recipe import load_recipe, published
    from roofline.compression.search import default_teacher, recipes, search
    from roofline.compression.steps import Distil
    from roofline.workload import Workload

    mine = None if asked is None else load_recipe(asked)
    if mine is not None:
        for step in mine.steps:
            step.effect(subject)  # refused before anything is searched
    if teacher is not None:
        Distil(teacher=teacher).effect(subject)
    everything = recipes(subject, teacher)
    known = teacher or default_teacher(subject)
    row_published = row_mine = None
    if known is not None and _can(published(known), subject):
        row_published = len(everything)
        everything.append(published(known))
    if mine is not None:
        row_mine = len(everything)
        everything.append(mine)
    judged = outcome(
        everything,
        subject,
        load_device(device),
        Workload(*work),
        processor=processor,
        runtime=runtime,
        ideal=ideal,
    )
    return search(judged, limits, row_published, row_mine)


def _can(recipe: Any, subject: Subject) -> bool:
    """Whether a recipe can be carried out on a model."""
    from spec_files import SpecError

    try:
        for step in recipe.steps:
            step.effect(subject)
    except SpecError:
        return False
    return True


def _print(found: Found, answer: dict[str, Any], rows: list[int], trainer: str) -> None:
    from roofline.compression.account import sentences
    from roofline.compression.beside import errors

    told = {row["recipe"]: row for row in answer["front"]}
    shown = [("", told[str(found.outcome.recipes[at])]) for at in rows]
    marks = {str(found.outcome.recipes[found.chosen]): "chosen"}
    if found.runner_up is not None:
        marks[str(found.outcome.recipes[found.runner_up])] = "runner-up"
    for key, mark in (("published", "arXiv 2601.09865"), ("asked", "yours")):
        if answer[key] is not None:
            shown.append((mark, answer[key]))
    base = answer["loss_before"]
    show.table(
        f"{answer['model']} on {answer['device']}: {len(found.front)} of {answer['judged']} "
        "recipes are on the front",
        ["recipe", "", "nats added (90 %)", "weights", "memory", "TPOT", "latency", "energy"],
        [
            [
                row["recipe"],
                mark or marks.get(row["recipe"], ""),
                "{} ({} to {})".format(
                    *(_nats(row[f"nats{end}"]) for end in ("", "_low", "_high"))
                ),
                show.size(row["weight_bytes"]),
                show.size(row["memory_bytes"]),
                show.seconds(row["tpot"]),
                show.seconds(row["latency"]),
                show.joules(float("nan") if row["energy"] is None else row["energy"]),
            ]
            for mark, row in shown
        ],
    )
    stood = [(key, answer[key]) for key in ("chosen", "published", "asked") if answer[key]]
    tasks = list(stood[0][1]["kept"] | stood[0][1].get("accuracy", {}))
    show.table(
        "Accuracy above chance that is kept"
        + (" (accuracy, 90 %)" if "accuracy" in stood[0][1] else ""),
        ["", *tasks, "trained and calibrated", "hours", "optimiser state"],
        [
            [
                key,
                *(_task(row, name) for name in tasks),
                show.quantity(row["training_flops"] + row["calibration_flops"], "flops"),
                f"{row['training_hours']:.3g}",
                show.size(row["optimiser_state_bytes"]),
            ]
            for key, row in stood
        ],
    )
    show.note(f"Hours of one {trainer}. Loss before: {base['loss']:.3f} nats, {base['from']}.")
    spread = {
        name: tuple(answer["chosen"][f"{name}_{end}"] / answer["chosen"][name] for end in _ENDS)
        for name in ("ttft", "tpot")
        if answer["chosen"][f"{name}_low"] is not None
    }
    show.note(f"Basis: {answer['basis']}.{show.spread(spread)}")
    for line in sentences(found):
        show.note(line)
    if answer["laws_beside_chosen"]:
        each = ", ".join(
            f"{law} {nats:.4f} (measured {errors()[law][0]:.2g} to {errors()[law][1]:.2g} times)"
            for law, nats in answer["laws_beside_chosen"].items()
        )
        show.note(f"Laws of few bits for the chosen, beside what GPTQ's tables measured: {each}.")
    for note in answer["chosen"]["notes"]:
        show.note(f"Of the chosen: {note}.")


def _nats(value: float) -> str:
    """Write nats to the digits that tables resolve, without the sign of a zero."""
    return f"{round(value, 4) + 0.0:.4f}"


def _task(row: dict[str, Any], name: str) -> str:
    kept, said = row["kept"].get(name), row.get("accuracy", {}).get(name)
    cell = "" if kept is None else f"{100 * kept:.1f} %"
    if said is None:
        return cell
    ends = f"{100 * said['low']:.1f} to {100 * said['high']:.1f}"
    return f"{cell} ({100 * said['after']:.1f}, {ends})".strip()
