"""`roofline sweep`: from a device and a space to a Pareto front, with figures and files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    from roofline.mixes import Mix
    from roofline.report.folder import RunFolder
    from roofline.search.run import SweepRun
    from roofline.search.sweep import Sweep

_LIMIT = "Largest {} of a front member, e.g. {}."


def _limit(what: str, example: str, metavar: str) -> typer.models.OptionInfo:
    return typer.Option(help=_LIMIT.format(what, example), metavar=metavar)


def sweep(
    context: typer.Context,
    device: Annotated[
        str | None,
        typer.Option(
            "--device", "-d", help="A shipped device or the path of a profile.", metavar="NAME|FILE"
        ),
    ] = None,
    space: Annotated[
        str, typer.Option(help="A shipped space or the path of one.", metavar="NAME|FILE")
    ] = "on-device",
    objectives: Annotated[
        str,
        typer.Option(help="Any of loss, ttft, tpot, latency, energy, memory; all are minimised."),
    ] = "loss,tpot",
    max_loss: Annotated[str | None, _limit("loss", "3.2", "NATS")] = None,
    max_ttft: Annotated[str | None, _limit("time to first token", "500ms", "TIME")] = None,
    max_tpot: Annotated[str | None, _limit("time per output token", "50ms", "TIME")] = None,
    max_latency: Annotated[str | None, _limit("total latency", "2s", "TIME")] = None,
    max_energy: Annotated[str | None, _limit("energy of the workload", "20J", "ENERGY")] = None,
    max_memory: Annotated[str | None, _limit("memory", "4GB", "BYTES")] = None,
    processor: options.Processor = None,
    runtime: options.Runtime = None,
    placement: options.Placement = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Hold the format of the weights, in place of the space's own.", metavar="FORMAT"
        ),
    ] = None,
    kv: options.Kv = None,
    activations: options.Activations = None,
    prompt: options.Prompt = 1024,
    generate: options.Generate = 128,
    batch: options.Batch = 1,
    cached: options.Cached = 0,
    prefill_chunk: options.PrefillChunk = 0,
    draft: options.Draft = None,
    acceptance: options.Acceptance = None,
    draft_length: Annotated[
        int, typer.Option(help="Tokens that the draft writes a round.", min=1)
    ] = 4,
    mix: Annotated[
        str | None,
        typer.Option(
            help="A mix of workloads in place of one: chat, summarise, voice, agent, code or the "
            "path of one; several with commas, with weights as in chat=3,summarise=1.",
            metavar="NAME|FILE,...",
        ),
    ] = None,
    worst: Annotated[
        bool, typer.Option("--worst", help="Objectives of the mix's worst workload, not its mean.")
    ] = False,
    law: Annotated[
        str,
        typer.Option(
            "--law",
            help="Loss law; or several with commas: the front is of the first, and its members "
            "that no candidate beats under any of the others survive.",
            metavar="NAME|FILE,...",
        ),
    ] = "codesign",
    tokens: options.Tokens = None,
    method: Annotated[
        str,
        typer.Option(
            help="exact (every candidate), pruned (the same front, boxes of the space left out by "
            "proof), nsga2 or nsga3 (pymoo, and a walk along the front), or auto: exact where "
            "that takes under 20 seconds, else pruned for a minute, or nsga2 for more than four "
            "objectives.",
        ),
    ] = "auto",
    max_seconds: Annotated[
        float | None,
        typer.Option(
            help="Stop pruning after so long, and say how much hypervolume may be missing.",
            min=0.1,
        ),
    ] = None,
    evaluations: Annotated[
        int,
        typer.Option(
            help="Candidates that nsga2 and nsga3 may evaluate; they end earlier where the "
            "hypervolume grows no more.",
            min=100,
        ),
    ] = 100_000,
    seed: Annotated[int, typer.Option(help="Seed of nsga2 and nsga3.", min=0)] = 0,
    scheduler: options.Scheduler = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            help="Model to place on the front; repeat for several, `none` for none. "
            "By default the shipped ones.",
            metavar="NAME|FILE",
        ),
    ] = None,
    ideal: options.Ideal = False,
    in_range_only: Annotated[
        bool,
        typer.Option("--in-range-only", help="Leave out candidates beyond the law's fitted data."),
    ] = False,
    certify: Annotated[
        bool,
        typer.Option(
            "--certify",
            help="Search exactly and by NSGA-II (or the method given); report its share of the "
            "exact hypervolume.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder to write; by default sweep-DEVICE, numbered if it exists."
        ),
    ] = None,
    all_candidates: Annotated[
        bool,
        typer.Option("--all-candidates", help="Also write every candidate to a Parquet file."),
    ] = False,
    repeat: Annotated[
        Path | None,
        typer.Option(help="Repeat the sweep that a sweep.yaml describes.", metavar="FILE"),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Finish the interrupted sweep of a folder.", metavar="FOLDER"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the front's path and its points as JSON.")
    ] = False,
) -> None:
    """Search a space of architectures for the Pareto front on a device.

    **Examples**

    `roofline sweep --device phone`: the front of loss against time per token, in sweep-phone/.

    `roofline sweep --device phone.yaml --max-tpot 50ms --max-memory 4GB --prompt 512`: the same
    for a profile, within limits.

    `roofline sweep -d jetson-agx-orin-64gb --space paper-grid --objectives loss,latency,energy
    -o run`: three objectives, in run/.

    `roofline sweep --device phone --space paper-grid --law codesign,chinchilla`: what survives
    under a second law.

    `roofline sweep --device phone --space paper-grid --mix chat,summarise`: the mean of two
    workloads.

    `roofline sweep --device phone --space wide-open --max-seconds 10`: a billion candidates, by
    proof, and what ten seconds leave open.

    `roofline sweep --resume sweep-phone`, `roofline sweep --repeat sweep-phone/sweep.yaml -o again`

    Writes front.csv, front.parquet, figures, an interactive report.html, the architectures of the
    front under configs/, and sweep.yaml, from which the run can be repeated.
    """
    from roofline.report.folder import RunFolder
    from roofline.search.sweep import Sweep
    from spec_files import SpecError

    if resume is not None:
        heeded = {"resume", "scheduler", "as_json"}
        options.refuse_unheeded(context, heeded, "--resume runs a sweep as it was saved")
        folder = RunFolder.reopen(resume)
        job = Sweep.load(folder.sweep_file)
    elif repeat is not None:
        heeded = {"repeat", "out", "scheduler", "as_json"}
        options.refuse_unheeded(context, heeded, "--repeat runs a sweep as it was saved")
        job = Sweep.load(repeat)
        folder = RunFolder.create(out, job.device.name)
    else:
        from hardware_specs import load_device

        if device is None:
            raise SpecError("no device was given: write e.g. --device phone")
        limits = {
            "loss": max_loss,
            "ttft": max_ttft,
            "tpot": max_tpot,
            "latency": max_latency,
            "energy": max_energy,
            "memory": max_memory,
        }
        if draft is None:
            options.refuse_given(context, {"acceptance", "draft_length"}, "there is no --draft")
        if method in ("exact", "pruned") and not certify:
            why = f"--method {method} judges as many as it needs"
            options.refuse_given(context, {"evaluations"}, why)
        if certify and max_seconds is not None:
            raise SpecError("--certify compares with a whole front: --max-seconds may cut it short")
        job = Sweep.prepare(
            device=load_device(device),
            processor=processor,
            runtime=runtime,
            placement=placement,
            space=space,
            formats={"weight_format": weights, "kv_format": kv, "activation_format": activations},
            workload={
                "batch": batch,
                "prompt": prompt,
                "generate": generate,
                "cached": cached,
                "prefill_chunk": prefill_chunk,
                "draft": options.parse_draft(draft),
                "acceptance": acceptance,
                "draft_length": draft_length,
            },
            mix=_mix(context, mix),
            how="worst" if worst else "mean",
            law=law,
            tokens=options.parse_count(tokens, "tokens"),
            objectives=objectives,
            constraints={n: _limit_of(n, text) for n, text in limits.items() if text is not None},
            method=method,
            max_seconds=max_seconds,
            evaluations=evaluations,
            seed=seed,
            ideal=ideal,
            in_range_only=in_range_only,
            certify=certify,
            all_candidates=all_candidates,
            references=reference,
        )
        folder = RunFolder.create(out, Path(device).name.removesuffix(".yaml"))
    _run(job, folder, scheduler, as_json)


_OF_ONE_WORKLOAD = (
    "batch", "prompt", "generate", "cached", "prefill_chunk", "draft", "acceptance", "draft_length",
    "placement",
)  # fmt: skip


def _mix(context: typer.Context, names: str | None) -> Mix | None:
    """Load a mix, beside which the lengths of one workload would not be heeded."""
    from roofline.mixes import load_mix

    if names is None:
        options.refuse_given(context, {"worst"}, "no mix of workloads was named by --mix")
        return None
    options.refuse_given(context, _OF_ONE_WORKLOAD, "--mix has its own lengths")
    return load_mix(names)


def _limit_of(objective: str, text: str) -> float:
    from roofline.search.objectives import DIMENSIONS
    from spec_files import SpecError, parse_quantity

    try:
        return parse_quantity(text, DIMENSIONS[objective])
    except SpecError as error:
        raise SpecError(f"--max-{objective}: {error}") from None


def _run(job: Sweep, folder: RunFolder, scheduler: str | None, as_json: bool) -> None:
    from concurrent.futures import BrokenExecutor

    from roofline.search.cluster import connected
    from roofline.search.described import Unfinished
    from spec_files import SpecError

    if scheduler is not None and job.method not in ("auto", "exact"):
        raise SpecError(f"--scheduler spreads an exact search; {job.method} runs in one process")
    problem = job.problem()
    with connected(scheduler) as cluster:
        folder.begin(job)
        try:
            with show.progress() as tell:
                run = job.run(problem, folder.checkpoint, partial(tell, "searching"), cluster)
                tell("drawing", 0, None)
                folder.write(run, problem, partial(tell, "writing all candidates"))
        except (KeyboardInterrupt, BrokenExecutor):
            show.note(f"stopped; `roofline sweep --resume {folder.path}` finishes it", error=True)
            raise
        except Unfinished:
            show.note(f"`roofline sweep --resume {folder.path}` goes on", error=True)
            raise
        except SpecError:
            folder.withdraw()
            raise
    if as_json:
        found = {"front": str(folder.path / "front.csv"), **run.to_dict()}
        show.print_json(found, show.RATIOS | {"loss": run.loss_unit})
        return
    _print(run, folder)


def _print(run: SweepRun, folder: RunFolder) -> None:
    """Print the front in a few rows, what to train, and what a reader must know."""
    from roofline.laws.law import format_loss
    from roofline.report.points import NATS, brief, percent
    from roofline.search.evolution import ALGORITHMS
    from roofline.search.objectives import COLUMNS, DIMENSIONS
    from roofline.search.run import LIKELY

    front, summary = run.front, run.summary
    rows = sorted(
        {round(i * (len(front) - 1) / 9) for i in range(10)}
        | {run.knee}
        | ({run.runner_up} if run.runner_up is not None else set())
    )
    marks = {run.knee: "knee", run.runner_up: "runner-up"}
    names = [
        *run.objectives,
        *(n for n in ("loss", "ttft", "tpot", "memory") if n not in run.objectives),
    ]
    heads = {} if run.loss_unit == NATS else {"loss": f"loss ({run.loss_unit})"}
    shares = {"p_front": "on the front"}
    if run.constraints:
        shares["p_feasible"] = "within limits"
    show.table(
        f"{run.space_title}, on {run.device.title}: {len(front)} on the front, {len(rows)} shown",
        [
            "member",
            *(heads.get(name, name) for name in names),
            *shares.values(),
            "parameters (active)",
            "architecture",
        ],
        [
            [
                f"{row} {marks.get(row, '')}",
                *(
                    format_loss(front.at[row, "loss"])
                    if name == "loss"
                    else show.quantity(front.at[row, COLUMNS[name]], DIMENSIONS[name])
                    for name in names
                ),
                *(percent(front.at[row, column]) for column in shares),
                f"{show.count(front.at[row, 'parameters'])} "
                f"({show.count(front.at[row, 'active_parameters'])})",
                brief(front.loc[row]) + ("" if front.at[row, "in_range"] else " *"),
            ]
            for row in rows
        ],
    )
    lines = [
        f"{summary['method']}: {summary['evaluated']:,} of {summary['space_size']:,} candidates in "
        f"{summary['seconds']:.1f} s, {summary['feasible']:,} within memory and limits.",
        f"Train the knee, member {run.knee}: {folder.config(run, run.knee)}.",
    ]
    if (best := run.likely_best) is not None and best != run.knee:
        lines.append(
            f"Least loss that meets every limit in {LIKELY:.0%} of draws or more: member {best}, "
            f"{format_loss(front.at[best, 'loss'])}, {folder.config(run, best)}."
        )
    lines.append(
        f"{summary['decision']} On the front: the share of {summary['draws']:,} draws in which "
        f"none of {summary['contenders']:,} contenders beats the member. {summary['errors']}"
    )
    if "pruning" in summary:
        lines.insert(1, _say_pruning(summary))
    if "survival" in summary:
        lines.append(summary["survival"])
    for name, title in ALGORITHMS.items():
        if f"{name}_hypervolume_ratio" in summary:
            lines.insert(
                1,
                f"{title} reaches {summary[f'{name}_hypervolume_ratio']:.2%} of the exact "
                f"hypervolume with {summary[f'{name}_evaluations']:,} evaluations.",
            )
    if not front["in_range"].all():
        outside = int((~front["in_range"]).sum())
        lines.append(
            f"* {outside} of {len(front)} lie outside the data behind {run.law_title}; "
            "front.csv says why."
        )
    lines.append(f"Basis: {run.basis}.{show.spread(run.intervals)}")
    lines.append(f"Wrote {folder.path}/: open report.html.")
    for line in lines:
        show.note(line)


def _say_pruning(summary: dict[str, Any]) -> str:
    """Say what bounds left out, and what that leaves unknown."""
    done = summary["pruning"]
    said = (
        f"Of {done['boxes']:,} boxes bounded, {done['dominated']:,} were dominated, "
        f"{done['infeasible']:,} beyond memory and limits and {done['empty']:,} empty: "
        f"{done['share_pruned']:.1%} of those finished. Judged one by one: "
        f"{done['judged_points'] / done['points']:.4%} of the space's points."
    )
    if not done["open"]:
        return f"{said} The front is proven exact."
    missing = done["missing_hypervolume"]
    whole = summary["hypervolume"]
    bound = "an unknown share" if missing is None else f"at most {missing / whole:.2%}"
    return (
        f"{said} Stopped with {done['open']:,} boxes open: the front may lack {bound} of its "
        "hypervolume, measured from its reference point."
    )
