"""`roofline estimate`: one model on one device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli import alternatives, diffusion, options, quality, show

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.engine import Estimate
    from roofline.workload import Workload


def estimate(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="A shipped model, a model YAML or a config.json.",
            metavar="NAME|FILE",
        ),
    ],
    device: options.Device,
    processor: options.Processor = None,
    runtime: options.Runtime = None,
    placement: options.Placement = None,
    prompt: options.Prompt = 1024,
    generate: options.Generate = 128,
    batch: options.Batch = 1,
    cached: options.Cached = 0,
    prefill_chunk: options.PrefillChunk = 0,
    draft: options.Draft = None,
    acceptance: options.Acceptance = None,
    draft_length: options.DraftLength = None,
    weights: options.Weights = None,
    embedding: options.Embedding = None,
    kv: options.Kv = None,
    activations: options.Activations = None,
    sparsity: options.Sparsity = None,
    ffn_sparsity: options.FfnSparsity = None,
    mask: options.Mask = "causal",
    logits: options.Logits = "last",
    attention: options.Attention = "fused",
    law: options.LawName = "codesign",
    tokens: options.Tokens = None,
    task: options.Task = None,
    decode: diffusion.Decode = "autoregressive",
    cache: diffusion.Cache = None,
    block: diffusion.Block = None,
    tokens_per_step: diffusion.TokensPerStep = None,
    confidence: diffusion.Confidence = None,
    refresh: diffusion.Refresh = None,
    pass_overhead: diffusion.PassOverhead = None,
    ideal: options.Ideal = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Print the estimate of a model that does not fit, too.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Predict latency, memory and energy of one model on one device.

    **Examples**

    `roofline estimate --model qwen2.5-0.5b --device jetson-agx-orin-64gb --weights int4`:
    times, memory and energy, with intervals, and what binds each operator.

    `roofline estimate --model ./config.json --device phone.yaml --prompt 512 --generate 64
    --json`: your own model and device, for a program.

    `roofline estimate --model llama-3.2-3b --device phone --weights q4_k_m --kv int8 --ideal`:
    the floor that no kernel beats.

    `roofline estimate --model llama-3.2-3b --device rtx4090 --weights q4_k_m --runtime
    llama.cpp-cuda`

    `roofline estimate --model qwen2.5-0.5b --device phone --law gemstones-hot --tokens 100B --task
    hellaswag`

    `roofline estimate --decode diffusion --model llada-8b --device a100 --generate 1024
    --cache dual --confidence 0.9`

    `roofline estimate --model llama-3.1-8b --device phone --weights q4_k_m --placement best`

    `roofline estimate --model llama-3.1-8b --device rtx4090 --weights q4_k_m --draft llama-3.2-1b
    --acceptance 0.7 --draft-length best`

    `roofline estimate --model llama-3.2-3b --device phone --weights q4_k_m --prompt 4096 --cached
    3072 --prefill-chunk 256`

    A model that does not fit the device's memory is an error that names the nearest format that
    does; `--anyway` prints the estimate all the same, and with `--json` the verdict is the key
    `fits`.
    """
    from arch_space.library import load_model
    from hardware_specs import load_device
    from roofline.efficiency.calibrated import calibrated
    from roofline.engine import estimate as run
    from roofline.engine.placement import calibrated_for
    from roofline.engine.speculation import Draft
    from roofline.laws import load_law
    from roofline.workload import Workload
    from spec_files import SpecError

    given = load_device(device)
    arch = load_model(model).with_formats(weights, embedding, kv, activations)
    arch = options.with_sparsity(arch, sparsity, ffn_sparsity)
    by_diffusion = diffusion.asked(
        decode,
        only_autoregressive={
            "mask": mask != "causal",
            "logits": logits != "last",
            "law": law != "codesign",
            "tokens": tokens is not None,
            "task": bool(task),
            "placement": placement is not None,
            "cached": cached > 0,
            "prefill-chunk": prefill_chunk > 0,
            "draft": draft is not None,
            "acceptance": acceptance is not None,
            "draft-length": draft_length is not None,
        },
        cache=cache,
        block=block,
        tokens_per_step=tokens_per_step,
        confidence=confidence,
        refresh=refresh,
        pass_overhead=pass_overhead,
    )
    if by_diffusion is not None:
        diffusion.estimate(
            arch,
            calibrated(given, processor, runtime),
            Workload(batch, prompt, generate, attention=attention),  # type: ignore[arg-type]
            by_diffusion,
            processor=processor,
            ideal=ideal,
            anyway=anyway,
            as_json=as_json,
        )
        return
    workload = Workload(
        batch,
        prompt,
        generate,
        mask,  # type: ignore[arg-type]
        logits,  # type: ignore[arg-type]
        attention,  # type: ignore[arg-type]
        cached=cached,
        prefill_chunk=prefill_chunk,
        draft=options.parse_draft(draft),
        acceptance=acceptance,
    )
    Draft.check(arch, workload)
    if placement is None:
        profile = calibrated(given, processor, runtime)
        on: dict[str, Any] = {"processor": processor}
    else:
        profile = calibrated_for(given, placement, runtime)
        on = {"placement": placement, "runtime": runtime, "processor": processor}
        if "experts=" in placement and not (arch.experts > 1).any():
            raise SpecError(f"placement: {arch.names[0]} has no experts to place")
    workload, lengths = alternatives.chosen_length(
        draft_length, arch, profile, workload, ideal=ideal, **on
    )
    found = run(arch, profile, workload, ideal=ideal, **on)
    floor = found if ideal else run(arch, profile, workload, ideal=True, **_placed(found, on))
    others = {}
    if placement == "best":
        others = alternatives.every_placement(arch, profile, workload, runtime, ideal)
    fitted = load_law(law, options.parse_count(tokens, "tokens"))
    (said,) = quality.told(fitted, arch, quality.load_tasks(task, [fitted]))
    if as_json:
        data = _as_dict(found, floor, said)
        if others:
            data |= alternatives.placements_as_dict(others)
        if lengths is not None:
            data |= alternatives.lengths_as_dict(lengths, workload)
        show.print_json(data)
        return
    if not found.fits[0] and not anyway:
        raise _does_not_fit(arch, profile, workload, on, found)
    _print(arch, profile, workload, processor, ideal, found, floor, said)
    if others:
        alternatives.show_placements(others)
    if lengths is not None:
        alternatives.show_lengths(lengths, workload)


def _placed(found: Estimate, on: dict[str, Any]) -> dict[str, Any]:
    """The same options, of placements the one that was found best."""
    if found.placement is None:
        return on
    return on | {"placement": found.placements[found.placement[0]], "runtime": None}


def _as_dict(found: Estimate, floor: Estimate, said: dict[str, Any]) -> dict[str, Any]:
    """Return the estimate of one candidate under the names of the JSON output."""
    from roofline.engine import BOUNDS

    def number(name: str) -> float | None:
        return options.known(float(getattr(found, name)[0]))

    ends: dict[str, float | None] = {}
    for name, unit in (("ttft", "s"), ("tpot", "s"), ("latency", "s"), ("energy", "j")):
        low, high = found.interval(name, floor)
        ends[f"{name}_{unit}_low"] = options.known(float(low[0]))
        ends[f"{name}_{unit}_high"] = options.known(float(high[0]))

    return {
        "model": found.names[0],
        "runtime": found.runtime,
        "basis": found.basis,
        "rows": found.rows,
        "placement": _said_placement(found),
        **ends,
        "ttft_s": number("ttft"),
        "tpot_s": number("tpot"),
        "tpot_first_s": number("tpot_first"),
        "tpot_last_s": number("tpot_last"),
        "latency_s": number("latency"),
        "tokens_per_s": number("tokens_per_s"),
        "parameters": int(found.parameters[0]),
        "active_parameters": int(found.active_parameters[0]),
        "prefill_flops": number("prefill_flops"),
        "decode_flops": number("decode_flops"),
        "prefill_bytes": number("prefill_bytes"),
        "decode_bytes": number("decode_bytes"),
        "kv_cache_bytes": number("kv_cache_bytes"),
        "weight_bytes": number("weight_bytes"),
        "activation_bytes": number("activation_bytes"),
        "memory_bytes": number("memory_bytes"),
        "energy_j": number("energy"),
        "fits": bool(found.fits[0]),
        "bound": BOUNDS[found.bound[0]],
        "prefill_bound": BOUNDS[found.prefill_bound[0]],
        "decode_bound": BOUNDS[found.decode_bound[0]],
        "loss": said["loss"],
        "loss_low": said["loss_low"],
        "loss_high": said["loss_high"],
        "loss_interval_basis": said["basis"],
        "loss_unit": said["unit"],
        "loss_law": said["law"],
        "loss_in_range": said["in_range"],
        "loss_flag": said["flag"],
        "perplexity": said["perplexity"],
        "perplexity_low": said["perplexity_low"],
        "perplexity_high": said["perplexity_high"],
        "accuracy": said["accuracy"],
        "operators": [
            {
                "name": row.name,
                "phase": row.phase,
                "flops": float(row.flops[0]),
                "bytes": float(row.bytes[0]),
                "compute_s": float(row.compute_time[0]),
                "memory_s": float(row.memory_time[0]),
                "time_s": float(row.time[0]),
            }
            for row in found.operators
        ],
    }


def _said_placement(found: Estimate) -> str | None:
    """The placement of a single candidate; None on one processor."""
    if found.placement is None:
        return None
    return str(found.placements[found.placement[0]])


def _rates(found: Estimate, floor: Estimate) -> str:
    """The interval of the decode rate."""
    low, high = found.interval("tpot", floor)
    if low[0] != low[0] or low[0] == high[0]:
        return ""
    batch = found.tokens_per_s[0] * found.tpot[0]
    return f"{batch / high[0]:.4g} to {batch / low[0]:.4g} tokens/s"


def _does_not_fit(
    arch: Architectures,
    device: Device,
    workload: Workload,
    on: dict[str, Any],
    found: Estimate,
) -> Exception:
    """Say what is missing, and the widest common format that would fit."""
    from roofline.engine import estimate as run
    from spec_files import SpecError

    usable = device.memory.dram.usable_bytes
    sentence = (
        f"{found.names[0]} does not fit {device.name}: it needs {show.size(found.memory_bytes[0])} "
        f"and {show.size(usable)} are usable"
    )
    names = ("int8", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "int4")
    needs = {
        name: run(arch.with_formats(name), device, workload, **on).memory_bytes[0] for name in names
    }
    fitting = {name: size for name, size in needs.items() if size <= usable}
    if fitting:
        name = max(fitting, key=lambda n: fitting[n])
        return SpecError(
            f"{sentence}; nearest that fits: --weights {name}, {show.size(fitting[name])} "
            "(--anyway prints the estimate all the same)"
        )
    return SpecError(f"{sentence}; no weight format makes it fit (--anyway prints the estimate)")


def _print(
    arch: Architectures,
    device: Device,
    workload: Workload,
    processor: str | None,
    ideal: bool,
    found: Estimate,
    floor: Estimate,
    said: dict[str, Any],
) -> None:
    import numpy as np

    from arch_space.formats import format_name, stored_names
    from roofline.efficiency.calibrated import say_basis
    from roofline.efficiency.hosting import without_host
    from roofline.engine import BOUNDS

    placed = _said_placement(found)
    unit = device.processor(found.placements[0].decode if placed else processor)
    usable = device.memory.dram.usable_bytes

    def ends(name: str, dimension: str) -> str:
        low, high = found.interval(name, floor)
        return show.between(float(low[0]), float(high[0]), dimension)

    formats = ", ".join(
        f"{what} {format_name(code[0])}"
        for what, code in (
            ("weights", arch.weight_format),
            ("embedding", arch.embedding_format),
            ("KV", arch.kv_format),
            ("activations", arch.activation_format),
        )
    )
    show.table(
        f"{found.names[0]} on {device.title} ({placed or unit.title})",
        ["", "predicted", "90 % interval"],
        [
            [
                "TTFT",
                f"{show.seconds(found.ttft[0])}  ({BOUNDS[found.prefill_bound[0]]}-bound)",
                ends("ttft", "time"),
            ],
            [
                "TPOT (mean; first to last)",
                f"{show.seconds(found.tpot[0])}; {show.seconds(found.tpot_first[0])} to "
                f"{show.seconds(found.tpot_last[0])}  ({BOUNDS[found.decode_bound[0]]}-bound)",
                ends("tpot", "time"),
            ],
            ["latency", show.seconds(found.latency[0]), ends("latency", "time")],
            ["decode rate", f"{found.tokens_per_s[0]:.4g} tokens/s", _rates(found, floor)],
            [
                "memory",
                f"{show.size(found.memory_bytes[0])} of {show.size(usable)} usable"
                + ("" if found.fits[0] else "  [DOES NOT FIT]"),
                "",
            ],
            [
                "  weights + KV cache + activations",
                f"{show.size(found.weight_bytes[0])} + {show.size(found.kv_cache_bytes[0])} + "
                f"{show.size(found.activation_bytes[0])}",
                "",
            ],
            ["energy", show.joules(found.energy[0]), ends("energy", "energy")],
            [
                "parameters (active)",
                f"{show.count(found.parameters[0])} ({show.count(found.active_parameters[0])})",
                "",
            ],
            *quality.rows(said),
        ],
    )
    show.table(
        "By operator",
        ["operator", "phase", "time", "compute", "memory", "FLOPs", "DRAM traffic"],
        [
            [
                row.name,
                row.phase,
                show.seconds(row.time[0]),
                show.seconds(row.compute_time[0]),
                show.seconds(row.memory_time[0]),
                show.count(row.flops[0]),
                show.size(row.bytes[0]),
            ]
            for row in found.operators
            if row.time[0] > 0
        ],
    )
    show.note(
        f"batch {workload.batch}, prompt {workload.prompt}, generate {workload.generate}; "
        f"{formats}; {workload.mask} mask, logits of {workload.logits}, "
        f"{workload.attention} attention."
    )
    for line in _options_said(workload):
        show.note(line)
    if placed:
        show.note(f"Basis: {found.basis}, under {found.runtime}. Decode rows: the first step.")
    else:
        show.note(f"Basis: {say_basis(unit, ideal)}. Decode rows: the first step.")
        stored = np.unique(np.concatenate(stored_names(arch.as_float())))
        if away := [] if ideal else sorted({*stored} & {*unit.handover}):
            show.note(
                f"No kernel of the runtime unpacks weights stored as {' or '.join(away)}: "
                "another processor runs these products."
            )
        if lost := [] if ideal else without_host(device, unit, {*stored}):
            show.note(
                f"No kernel of the runtime unpacks weights stored as {' or '.join(lost)}, and the "
                "profile has no CPU that could run them: they are priced as if there were a "
                "kernel, too fast."
            )
    if said["basis"]:
        show.note(f"Interval of the loss: {said['basis']}.")


def _options_said(workload: Workload) -> list[str]:
    """Say what is kept, read in pieces and drafted."""
    said = []
    if workload.cached:
        said.append(f"{workload.cached} tokens of the prompt are kept from before.")
    if workload.prefill_chunk:
        said.append(f"The prompt is read in pieces of {workload.prefill_chunk} tokens.")
    if workload.draft is not None:
        share = isinstance(workload.draft, (int, float))
        who = f"a draft of {workload.draft} of the model's cost" if share else f"{workload.draft}"
        said.append(
            f"Draft: {who}; {workload.draft_length} tokens a round, of which "
            f"{workload.acceptance:.3g} are accepted each: {workload.expected_tokens:.3g} tokens a "
            f"round, {workload.rounds:.4g} rounds. Weights, cache and times include the draft's; "
            "decode rows are of the first round."
        )
    return said
