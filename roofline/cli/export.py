"""`roofline export`: a front's member as a training team takes it; its ladder taken back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    from roofline.export import Front, Plan, Verdict
    from roofline.laws import Law


def export(
    front: Annotated[
        Path, typer.Argument(help="A sweep's folder, or its front.csv.", metavar="FRONT")
    ],
    pick: Annotated[
        str,
        typer.Option(
            help="knee, a member's number, or a condition such as 'tpot<20ms and memory<2GB', of "
            "whose members the one of least loss is taken.",
            metavar="knee|N|CONDITION",
        ),
    ] = "knee",
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="Stack: huggingface, litgpt, megatron, nanotron or torchtitan.",
            metavar="STACK",
        ),
    ] = "huggingface",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder to write; by default export-STACK.", metavar="FOLDER"
        ),
    ] = None,
    law: Annotated[
        str | None,
        typer.Option(
            "--law", help="Loss law of the plan; by default the sweep's.", metavar="NAME|FILE"
        ),
    ] = None,
    tokens: options.Tokens = None,
    cluster: Annotated[
        str,
        typer.Option(help="Device that trains: a shipped one or a profile.", metavar="NAME|FILE"),
    ] = "h100-sxm",
    gpus: Annotated[int, typer.Option(help="How many of them.")] = 64,
    utilisation: Annotated[
        float, typer.Option(help="Model FLOPs over dense bf16 peak (MFU): stated, not predicted.")
    ] = 0.4,
    sequence: Annotated[
        int, typer.Option(help="Tokens of a training sequence.", min=16, max=10_000_000)
    ] = 4096,
    as_json: options.Json = False,
) -> None:
    """Write a member's training configuration, a plan and a ladder of smaller siblings.

    **Examples**

    `roofline export sweep-phone --pick knee --to huggingface -o team`: the knee's config.json,
    a plan and a ladder, in team/.

    `roofline export sweep-phone --pick "tpot<20ms" --to litgpt --gpus 8 --utilisation 0.35`:
    the best of those under 20 ms, for LitGPT on eight GPUs.

    `roofline fit team/ladder.csv --ladder team/plan.yaml` takes the ladder's losses back.

    Configurations lie in model/ and ladder/, the plan in plan.md and plan.yaml. Number formats and
    sparsity are made after training and are not part of the files.
    """
    from hardware_specs import load_device
    from roofline.export import Cluster, Front, make_plan, write_plan
    from roofline.export.stacks import stack
    from roofline.outputs import check_folder

    stack(to)
    folder = out or Path(f"export-{to}")
    check_folder(folder)
    told = Front.load(front)
    used = _law(told, law, options.parse_count(tokens, "tokens"))
    machine = Cluster.of(load_device(cluster), gpus, utilisation)
    plan, files = make_plan(told, pick, to, used, machine, sequence)
    write_plan(folder, plan, files, used, told)
    if as_json:
        written = {"folder": str(folder)} | plan.model_dump(mode="json")
        show.print_json(written, show.UNITS | {"peak": "FLOP/s"})
        return
    _print(plan, folder)


def _law(front: Front, name: str | None, tokens: float | None) -> Law:
    """Return the law that the plan rests on: as asked for, or the sweep's."""
    from roofline.laws import load_law
    from spec_files import SpecError

    if name is not None:
        return load_law(name, tokens)
    if front.sweep is None:
        raise SpecError(f"no sweep.yaml beside {front.origin} names a law: write --law codesign")
    law = front.sweep.law
    return law if tokens is None else law.at_tokens(tokens)


def _print(plan: Plan, folder: Path) -> None:
    from roofline.export.text import loss_of, shape_of

    run = plan.choice
    first = next(iter(run.advice.values()))
    rows = [
        ["model", shape_of(run)],
        ["parameters (active)", f"{run.parameters:,} ({run.active_parameters:,})"],
        ["training tokens", show.count(run.tokens)],
        ["loss when trained", loss_of(run.loss)],
        ["FLOPs by operators (6 N D)", f"{run.flops:.4g} ({run.flops_rule:.4g})"],
        [
            "cluster",
            f"{plan.cluster.gpus} x {plan.cluster.title} at {plan.cluster.utilisation:.0%}",
        ],
        ["GPU-hours", f"{run.gpu_hours:,.4g}"],
        ["memory", plan.memory.say()],
        [
            f"by {first.law}",
            f"learning rate {first.learning_rate:.3g}, {show.count(first.batch_tokens)} tokens a "
            f"step" + (f" ({first.extrapolation})" if first.extrapolation else ""),
        ],
    ]
    for name, each in plan.expected.items():
        kind = "energy" if name == "energy" else "time"
        ends = (each.low, each.high)
        spread = "" if None in ends else f" ({show.between(*ends, kind)})"  # type: ignore[arg-type]
        rows.append([f"{name} on the target", show.quantity(each.value, kind) + spread])
    show.table(f"Member {plan.member}, for {plan.stack}", ["", "value"], rows)
    if plan.ladder:
        show.table(
            "Train these first",
            ["rung", "of the compute", "tokens", "GPU-hours", "loss it should reach"],
            [
                [
                    f"{each.name}: {shape_of(each)}",
                    f"{each.share:.3f}",
                    show.count(each.tokens),
                    f"{each.gpu_hours:,.3g}",
                    loss_of(each.loss) + (" *" if each.out_of_range else ""),
                ]
                for each in plan.ladder
            ],
        )
        if any(each.out_of_range for each in plan.ladder):
            show.note("* beyond the law's data; plan.md says why.")
    else:
        show.note(f"No ladder: {plan.no_ladder}.")
    if plan.caution:
        show.note(f"Before you train: {plan.caution}")
    show.note(f"Wrote {folder}/: open plan.md. Number formats and sparsity are not part of it.")


def check_ladder(plan: Path, results: str, as_json: bool) -> None:
    """Print what a ladder's losses say of a plan: `roofline fit RESULTS --ladder PLAN`."""
    from roofline.export import check_ladder

    verdict = check_ladder(plan, results)
    if as_json:
        show.print_json(verdict.model_dump(mode="json"))
        return
    _print_verdict(verdict)


def _print_verdict(verdict: Verdict) -> None:
    from roofline.export.text import loss_of

    show.table(
        "Ladder",
        ["rung", "expected", "measured", "measured / expected", "within", "after the refit"],
        [
            [
                each.rung,
                loss_of(each.expected),
                f"{each.measured:.4f}",
                f"{each.measured / each.expected.value:.4f}",
                {True: "yes", False: "NO", None: "not known"}[each.within],
                f"{each.refitted:.4f}",
            ]
            for each in verdict.rungs
        ],
    )
    for sentence in (verdict.holds, verdict.refit, verdict.decision):
        show.note(sentence)
