"""`roofline compare`: models, devices and formats side by side."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any

import typer

from roofline.cli import options


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
    law: options.LawName = "codesign",
    tokens: options.Tokens = None,
    ideal: options.Ideal = False,
    as_json: options.Json = False,
) -> None:
    """Set models, devices and number formats side by side.

    **Examples**

    `roofline compare -m qwen2.5-0.5b -m llama-3.2-1b -d phone -d raspberry-pi-5 --weights q4_k_m`

    `roofline compare -m all -d phone --weights int4`

    `roofline compare -m llama-3.1-8b -d all --weights fp16 --weights int8 --weights int4 --json`

    Rows that do not fit the device's memory stay in the table, marked.
    """
    from arch_space.library import load_models, shipped_models
    from hardware_specs import load_device, shipped_devices
    from roofline.cli import show
    from roofline.engine import BOUNDS
    from roofline.engine import estimate as run
    from roofline.laws import load_law, predict
    from roofline.workload import Workload
    from spec_files import SpecError

    workload = Workload(batch, prompt, generate)
    models = load_models(shipped_models() if model == ["all"] else model)
    devices = [load_device(d) for d in (shipped_devices() if device == ["all"] else device)]
    fitted = load_law(law, options.parse_count(tokens, "tokens"))
    formats: list[str | None] = [*weights] if weights else [None]
    rows: list[dict[str, Any]] = []
    for profile, format_name in product(devices, formats):
        arch = models.with_formats(format_name, kv=kv, activations=activations)
        found = run(arch, profile, workload, runtime=runtime, ideal=ideal)
        floor = found if ideal else run(arch, profile, workload, runtime=runtime, ideal=True)
        ends = {name: found.interval(name, floor) for name in ("ttft", "tpot", "latency", "energy")}
        try:
            loss = predict(fitted, arch)
            losses = [float(x) for x in loss.loss]
            in_range = [bool(x) for x in loss.in_range]
        except SpecError:  # the law has no word for this format
            losses, in_range = [float("nan")] * len(arch), [False] * len(arch)
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
                    "loss": None if losses[i] != losses[i] else losses[i],
                    "loss_law": fitted.name,
                    "loss_in_range": in_range[i],
                }
            )
    if as_json:
        import json

        typer.echo(json.dumps(rows, indent=2))
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
            "loss",
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
                ("–" if row["loss"] is None else f"{row['loss']:.3f}")
                + ("" if row["loss_in_range"] else " *"),
            ]
            for row in rows
        ],
    )
    if any(row["basis"] in ("class", "roofline") for row in rows):
        show.note("~ no rows of this device under this runtime: a prior of its class.")
    if not all(row["loss_in_range"] for row in rows):
        show.note(f"* outside the range that law {fitted.name} was fitted in.")
