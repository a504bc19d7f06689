"""`roofline compare`: models, devices and formats side by side."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any

import typer

from roofline.cli import diffusion, options, quality, show


def compare(
    model: Annotated[
        list[str],
        typer.Option(
            "--model",
            "-m",
            help="Repeat for several; `all` for every shipped one.",
            metavar="NAME|FILE",
        ),
    ],
    device: Annotated[
        list[str],
        typer.Option(
            "--device",
            "-d",
            help="Repeat for several; `all` for every shipped one.",
            metavar="NAME|FILE",
        ),
    ],
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Repeat for several formats; by default each model's own.", metavar="FORMAT"
        ),
    ] = None,
    runtime: options.Runtime = None,
    prompt: options.Prompt = 1024,
    generate: options.Generate = 128,
    batch: options.Batch = 1,
    kv: options.Kv = None,
    activations: options.Activations = None,
    law: Annotated[
        str,
        typer.Option(
            "--law",
            help="Loss law, or several with commas between: codesign,chinchilla (`roofline laws`).",
            metavar="NAME|FILE,...",
        ),
    ] = "codesign",
    tokens: options.Tokens = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--relative",
            help="Also each loss beside that of this model, in its own formats, inside each law.",
            metavar="NAME|FILE",
        ),
    ] = None,
    task: options.Task = None,
    decode: diffusion.Decode = "autoregressive",
    cache: diffusion.Cache = None,
    block: diffusion.Block = None,
    tokens_per_step: diffusion.TokensPerStep = None,
    confidence: diffusion.Confidence = None,
    refresh: diffusion.Refresh = None,
    pass_overhead: diffusion.PassOverhead = None,
    ideal: options.Ideal = False,
    as_json: options.Json = False,
) -> None:
    """Set models, devices and number formats side by side.

    **Examples**

    `roofline compare -m qwen2.5-0.5b -m llama-3.2-1b -d phone -d raspberry-pi-5 --weights
    q4_k_m`: each model on each device, one row each.

    `roofline compare -m all -d phone --weights int4`: every shipped model.

    `roofline compare -m llama-3.1-8b -d all --weights fp16 --weights int8 --weights int4 --json`

    `roofline compare -m smollm2-135m -m qwen2.5-0.5b -d phone --law codesign,chinchilla --relative
    llama-3.2-1b`

    `roofline compare --decode diffusion -m llada-8b -d phone -d a100 --weights int4 --generate 256
    --confidence 0.9`

    Rows that do not fit the device's memory stay in the table, marked. Losses of two laws are of
    different data: compare them inside a column, never across.
    """
    from arch_space.library import load_model, load_models, shipped_models
    from hardware_specs import load_device, shipped_devices
    from roofline.engine import BOUNDS
    from roofline.engine import estimate as run
    from roofline.workload import Workload

    workload = Workload(batch, prompt, generate)
    models = load_models(shipped_models() if model == ["all"] else model)
    devices = [load_device(d) for d in (shipped_devices() if device == ["all"] else device)]
    by_diffusion = diffusion.asked(
        decode,
        only_autoregressive={
            "law": law != "codesign",
            "tokens": tokens is not None,
            "relative": baseline is not None,
            "task": bool(task),
        },
        cache=cache,
        block=block,
        tokens_per_step=tokens_per_step,
        confidence=confidence,
        refresh=refresh,
        pass_overhead=pass_overhead,
    )
    every = len(models)
    if by_diffusion is not None and model == ["all"]:
        models = diffusion.both_ways(models)
    formats: list[str | None] = [*weights] if weights else [None]
    tables = [models.with_formats(each, kv=kv, activations=activations) for each in formats]
    if by_diffusion is not None:
        diffusion.compare(
            tables,
            devices,
            workload,
            by_diffusion,
            left_out=every - len(models),
            runtime=runtime,
            ideal=ideal,
            as_json=as_json,
        )
        return
    laws = quality.load_laws(law, tokens)
    tasks = quality.load_tasks(task, laws)
    other = None if baseline is None else load_model(baseline)
    said = [{one.name: quality.told(one, arch, tasks) for one in laws} for arch in tables]
    beside = [
        {one.name: quality.beside(one, arch, other) for one in laws if other is not None}
        for arch in tables
    ]
    rows: list[dict[str, Any]] = []
    for profile, k in product(devices, range(len(tables))):
        arch = tables[k]
        found = run(arch, profile, workload, runtime=runtime, ideal=ideal)
        floor = found if ideal else run(arch, profile, workload, runtime=runtime, ideal=True)
        ends = {name: found.interval(name, floor) for name in ("ttft", "tpot", "latency", "energy")}
        for i, name in enumerate(arch.names):
            known = {
                f"{what}_{unit}_{end}": options.known(values[i])
                for (what, pair), unit in zip(ends.items(), ("s", "s", "s", "j"), strict=True)
                for end, values in zip(("low", "high"), pair, strict=True)
            }
            rows.append(
                {
                    "model": name,
                    "device": profile.name,
                    "runtime": found.runtime,
                    "basis": found.basis,
                    "rows": found.rows,
                    "weights": arch[i].row()["weight_format"],
                    "ttft_s": float(found.ttft[i]),
                    "tpot_s": float(found.tpot[i]),
                    "tokens_per_s": float(found.tokens_per_s[i]),
                    "latency_s": float(found.latency[i]),
                    "memory_bytes": float(found.memory_bytes[i]),
                    "fits": bool(found.fits[i]),
                    "energy_j": options.known(found.energy[i]),
                    **known,
                    "bound": BOUNDS[found.bound[i]],
                    "loss": said[k][laws[0].name][i]["loss"],
                    "loss_law": laws[0].name,
                    "loss_unit": laws[0].unit,
                    "loss_in_range": said[k][laws[0].name][i]["in_range"],
                    "losses": {law_name: each[i] for law_name, each in said[k].items()},
                }
            )
            if beside[k]:
                rows[-1]["relative"] = {law_name: each[i] for law_name, each in beside[k].items()}
    if as_json:
        show.print_json(rows)
        return
    show.table(
        f"batch {batch}, prompt {prompt}, generate {generate}{', ideal' if ideal else ''}",
        [
            "model",
            "device",
            "runtime",
            "weights",
            "TTFT",
            "TPOT",
            "(90 %)",
            "tokens/s",
            "memory",
            "energy",
            *(["loss"] if len(laws) == 1 else []),
        ],
        [
            [
                row["model"],
                row["device"],
                row["runtime"] + ("" if row["basis"] in ("device", "profile", "ideal") else " ~"),
                row["weights"],
                show.seconds(row["ttft_s"]),
                show.seconds(row["tpot_s"]),
                show.between(
                    row["tpot_s_low"] or float("nan"), row["tpot_s_high"] or float("nan"), "time"
                ),
                f"{row['tokens_per_s']:.4g}",
                show.size(row["memory_bytes"]) + ("" if row["fits"] else " DOES NOT FIT"),
                show.joules(row["energy_j"] if row["energy_j"] is not None else float("nan")),
                *([quality.loss_cell(row["losses"][laws[0].name])] if len(laws) == 1 else []),
            ]
            for row in rows
        ],
    )
    if any(row["basis"] in ("class", "roofline") for row in rows):
        show.note("~ no rows of this device under this runtime: a prior of its class.")
    quality.print_more(rows, laws, tasks)
    for one in laws:
        if not all(row["losses"][one.name]["in_range"] for row in rows):
            show.note(f"* outside the range that law {one.name} was fitted in.")
        if not one.has_perplexity:
            show.note(f"Law {one.name} gives {one.unit}.")
    if len(laws) > 1:
        show.note("Losses of two laws are of different data: compare them inside a column only.")
