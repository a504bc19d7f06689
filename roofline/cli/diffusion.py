"""`--decode diffusion` of `roofline estimate` and `roofline compare`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.diffusion.cost import BreakEven, Generation
    from roofline.diffusion.schedules import Schedule
    from roofline.engine import Estimate
    from roofline.workload import Workload

Decode = Annotated[
    str,
    typer.Option(
        "--decode",
        help="autoregressive, token by token, or diffusion, in passes over masked text.",
        metavar="WAY",
    ),
]
Cache = Annotated[
    str | None,
    typer.Option(help="Diffusion: keys and values that are kept: none, prefix or dual."),
]
Block = Annotated[
    int | None, typer.Option(help="Diffusion: tokens of a block, by default 32.", metavar="TOKENS")
]
TokensPerStep = Annotated[
    float | None,
    typer.Option(
        "--tokens-per-step",
        help="Diffusion: tokens that a pass commits on average, by default 1.",
        metavar="TOKENS",
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        help="Diffusion: commit tokens above this confidence; tokens per step follow from the "
        "published curve.",
        metavar="THRESHOLD",
    ),
]
Refresh = Annotated[
    int | None,
    typer.Option(
        help="Diffusion: passes over a block after which caches are computed anew; by default once "
        "a block.",
        metavar="PASSES",
    ),
]
PassOverhead = Annotated[
    str | None,
    typer.Option(
        "--pass-overhead",
        help="Diffusion: time of each pass whatever the model, if not what the runtime is known to "
        "take.",
        metavar="TIME",
    ),
]

WAYS = ("autoregressive", "diffusion")


@dataclass(frozen=True)
class Asked:
    """What the options of diffusion decoding say; None where one was not given."""

    cache: str | None = None
    block: int | None = None
    tokens_per_step: float | None = None
    confidence: float | None = None
    refresh: int | None = None
    pass_overhead: str | None = None

    def schedule(self, cache: str) -> Schedule:
        """Return the schedule with one kind of cache."""
        from roofline.diffusion.schedules import Schedule
        from spec_files import SpecError

        block = 32 if self.block is None else self.block
        if self.confidence is not None:
            if self.tokens_per_step is not None:
                raise SpecError(
                    "--confidence and --tokens-per-step both say how many tokens a pass commits; "
                    "give one"
                )
            return Schedule.at_confidence(self.confidence, cache, block, self.refresh)  # type: ignore[arg-type]
        tokens = 1.0 if self.tokens_per_step is None else self.tokens_per_step
        return Schedule(cache, block, tokens, self.refresh)  # type: ignore[arg-type]

    def pass_seconds(self, ideal: bool) -> float | None:
        """Return the fixed time of a pass that was given; the floor has none."""
        from spec_files import SpecError, parse_quantity

        if self.pass_overhead is None:
            return None
        if ideal:
            raise SpecError("--pass-overhead: the floor that --ideal asks for has none; give one")
        try:
            return parse_quantity(self.pass_overhead, "time")
        except SpecError as error:
            raise SpecError(f"--pass-overhead: {error}") from None


def asked(decode: str, *, only_autoregressive: dict[str, bool], **given: Any) -> Asked | None:
    """Return what was asked of diffusion, or None where decoding is autoregressive.

    only_autoregressive: options that mean nothing to diffusion, and whether each was given.
    Raises SpecError for a way of decoding that is not known, and for options of the other one.
    """
    from spec_files import SpecError, did_you_mean

    if decode not in WAYS:
        raise SpecError(f"--decode: unknown way {decode!r}{did_you_mean(decode, WAYS)}")
    if decode == "diffusion":
        for name, was_given in only_autoregressive.items():
            if was_given:
                raise SpecError(
                    f"--{name} is of autoregressive models; it says nothing of --decode diffusion"
                )
        return Asked(**given)
    for name, value in given.items():
        if value is not None:
            raise SpecError(f"--{name.replace('_', '-')} belongs to --decode diffusion")
    return None


def estimate(
    arch: Architectures,
    device: Device,
    workload: Workload,
    said: Asked,
    *,
    processor: str | None,
    ideal: bool,
    anyway: bool,
    as_json: bool,
) -> None:
    """Print what one model takes to generate by diffusion on one device, calibrated already."""
    from roofline.diffusion.cost import generate

    cache = "none" if said.cache is None else said.cache
    schedule = said.schedule(cache)
    overhead = said.pass_seconds(ideal)
    found = generate(
        arch, device, schedule, workload, processor=processor, ideal=ideal, pass_seconds=overhead
    )
    if as_json:
        row = _row(arch, device, schedule, found, 0, said)
        show.print_json(row | {"pass_overhead_s": overhead})
        return
    if not found.fits[0] and not anyway:
        raise _does_not_fit(arch, device, workload, schedule, found, processor)
    _print(arch, device, workload, schedule, said, found, processor, ideal)


def _row(
    arch: Architectures,
    device: Device,
    schedule: Schedule,
    found: Generation,
    i: int,
    said: Asked,
) -> dict[str, Any]:
    """One candidate under the names of the JSON output."""
    from roofline.engine.work import BOUNDS

    cached = found.cached_steps > 0
    return {
        "model": arch.names[i],
        "device": device.name,
        "decode": "diffusion",
        "runtime": found.runtime,
        "basis": found.basis,
        "rows": found.rows,
        "weights": arch[i].row()["weight_format"],
        "cache": schedule.cache,
        "block": schedule.block,
        "tokens_per_step": schedule.tokens_per_step,
        "confidence": said.confidence,
        "refresh": schedule.refresh,
        "steps": found.steps,
        "full_steps": found.full_steps,
        "full_step_s": float(found.full.seconds[i]),
        "full_step_bound": BOUNDS[found.full.bound[i]],
        "cached_step_s": float(found.cached.seconds[i]) if cached else None,
        "cached_step_bound": BOUNDS[found.cached.bound[i]] if cached else None,
        "latency_s": float(found.latency[i]),
        "latency_s_low": options.known(float(found.low[i])),
        "latency_s_high": options.known(float(found.high[i])),
        "tokens_per_s": float(found.tokens_per_s[i]),
        "energy_j": options.known(float(found.energy[i])),
        "flops": float(found.work.flops[i]),
        "bytes": float(found.work.bytes[i]),
        "memory_bytes": float(found.memory_bytes[i]),
        "fits": bool(found.fits[i]),
        "bound": BOUNDS[found.work.bound[i]],
    }


def _does_not_fit(
    arch: Architectures,
    device: Device,
    workload: Workload,
    schedule: Schedule,
    found: Generation,
    processor: str | None,
) -> Exception:
    """Say what is missing, and the widest common format that would fit."""
    from roofline.diffusion.cost import resident
    from spec_files import SpecError

    usable = device.memory.dram.usable_bytes
    sentence = (
        f"{arch.names[0]} does not fit {device.name}: it needs {show.size(found.memory_bytes[0])} "
        f"and {show.size(usable)} are usable"
    )
    names = ("int8", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "int4")
    needs = {n: float(resident(arch.with_formats(n), schedule, workload)[0]) for n in names}
    fitting = {name: size for name, size in needs.items() if size <= usable}
    if not fitting:
        return SpecError(f"{sentence}; no weight format makes it fit (--anyway prints it)")
    name = max(fitting, key=lambda n: fitting[n])
    return SpecError(
        f"{sentence}; nearest that fits: --weights {name}, {show.size(fitting[name])} "
        "(--anyway prints the estimate all the same)"
    )


def _print(
    arch: Architectures,
    device: Device,
    workload: Workload,
    schedule: Schedule,
    said: Asked,
    found: Generation,
    processor: str | None,
    ideal: bool,
) -> None:
    from roofline.efficiency.calibrated import say_basis
    from roofline.engine.work import BOUNDS

    unit = device.processor(processor)
    rows = [
        [
            f"pass over all {workload.prompt + workload.generate} positions",
            f"{show.seconds(found.full.seconds[0])}  ({BOUNDS[found.full.bound[0]]}-bound), "
            f"{found.full_steps:.4g} times",
        ]
    ]
    if found.cached_steps:
        what = "what follows the prefix, mean" if schedule.cache == "prefix" else "a block"
        rows.append(
            [
                f"pass over {what}",
                f"{show.seconds(found.cached.seconds[0])}  "
                f"({BOUNDS[found.cached.bound[0]]}-bound), {found.cached_steps:.4g} times",
            ]
        )
    between = show.between(float(found.low[0]), float(found.high[0]), "time")
    rows += [
        [
            "latency",
            f"{show.seconds(found.latency[0])}  ({BOUNDS[found.work.bound[0]]}-bound)"
            + (f"; 90 %: {between}" if between else ""),
        ],
        ["tokens/s", f"{found.tokens_per_s[0]:.4g}"],
        [
            "memory",
            f"{show.size(found.memory_bytes[0])} of {show.size(device.memory.dram.usable_bytes)} "
            "usable" + ("" if found.fits[0] else "  [DOES NOT FIT]"),
        ],
        ["energy", show.joules(found.energy[0])],
        ["FLOPs, DRAM traffic",
         f"{show.count(found.work.flops[0])}, {show.size(found.work.bytes[0])}"],
    ]  # fmt: skip
    show.table(
        f"{arch.names[0]} by diffusion on {device.title} ({unit.title})", ["", "predicted"], rows
    )
    show.note(_about(workload, schedule, said))
    show.note(f"Basis: {say_basis(unit, ideal)}. A full pass is timed as a prefill without mask.")
    show.note("No loss is predicted: the laws were fitted to autoregressive models.")


def _about(workload: Workload, schedule: Schedule, said: Asked) -> str:
    """The workload and the schedule in a sentence."""
    tokens = f"{schedule.tokens_per_step:.4g} tokens a pass"
    if said.confidence is not None:
        from roofline.diffusion.published import tokens_curve

        curve = tokens_curve()
        tokens += f" at confidence {said.confidence:g} ({curve.setting}; {curve.source.where})"
    refresh = ""
    if schedule.cache != "none":
        every = "once a block" if schedule.refresh is None else f"every {schedule.refresh} passes"
        refresh = f", computed anew {every}"
    return (
        f"batch {workload.batch}, prompt {workload.prompt}, generate {workload.generate}; cache "
        f"{schedule.cache}{refresh}; blocks of {schedule.block}; {tokens}."
    )


def both_ways(models: Architectures) -> Architectures:
    """Return the models that can be decoded by diffusion."""
    import numpy as np

    from roofline.diffusion.cost import one_way

    return models[np.flatnonzero(~np.any(list(one_way(models).values()), axis=0))]


def compare(
    tables: list[Architectures],
    devices: list[Device],
    workload: Workload,
    said: Asked,
    *,
    left_out: int,
    runtime: str | None,
    ideal: bool,
    as_json: bool,
) -> None:
    """Print diffusion beside autoregressive decoding, and where they break even.

    left_out: models that were asked for as part of all and look back only.
    """
    from roofline.diffusion.cost import break_even
    from roofline.diffusion.schedules import CACHES

    caches = CACHES if said.cache is None else (said.cache,)
    if said.cache is None and said.refresh is not None:
        caches = tuple(cache for cache in CACHES if cache != "none")
    overhead = said.pass_seconds(ideal)
    schedules = [said.schedule(cache) for cache in caches]
    rows: list[dict[str, Any]] = []
    for device, arch in product(devices, tables):
        found = [
            break_even(
                arch,
                device,
                schedule,
                workload,
                runtime=runtime,
                ideal=ideal,
                pass_seconds=overhead,
            )
            for schedule in schedules
        ]
        for i in range(len(arch)):
            rows.append(_autoregressive(arch, device, found[0].autoregressive, i))
            rows += [
                _row(arch, device, schedule, each.diffusion, i, said) | _verdict(each, i)
                for schedule, each in zip(schedules, found, strict=True)
            ]
    if as_json:
        show.print_json(rows)
        return
    show.table(
        f"{_about(workload, schedules[-1], said).split('; cache')[0]}; blocks of "
        f"{schedules[0].block}, {schedules[0].tokens_per_step:.4g} tokens a pass"
        f"{', ideal' if ideal else ''}",
        ["model", "device", "runtime", "weights", "decoding", "passes", "latency", "energy",
         "memory", "break-even"],
        [_cells(row) for row in rows],
    )  # fmt: skip
    show.note(
        "Diffusion by the keys and values that it keeps. Break-even: tokens a pass must commit "
        "for it to take as long as the same model token by token; never: not even with a whole "
        "block a pass."
    )
    if left_out:
        show.note(f"Left out: {left_out} models with layers that look back only.")
    if any(row["basis"] in ("class", "roofline") for row in rows):
        show.note("~ no rows of this device under this runtime: a prior of its class.")


def _autoregressive(arch: Architectures, device: Device, found: Estimate, i: int) -> dict[str, Any]:
    from roofline.engine import BOUNDS

    return {
        "model": arch.names[i],
        "device": device.name,
        "decode": "autoregressive",
        "runtime": found.runtime,
        "basis": found.basis,
        "rows": found.rows,
        "weights": arch[i].row()["weight_format"],
        "latency_s": float(found.latency[i]),
        "ttft_s": float(found.ttft[i]),
        "tpot_s": float(found.tpot[i]),
        "energy_j": options.known(float(found.energy[i])),
        "memory_bytes": float(found.memory_bytes[i]),
        "fits": bool(found.fits[i]),
        "bound": BOUNDS[found.bound[i]],
    }


def _verdict(found: BreakEven, i: int) -> dict[str, Any]:
    """How diffusion stands beside autoregression; None where no number of tokens breaks even."""
    latency = float(found.autoregressive.latency[i])
    return {
        "break_even_tokens_per_step": options.known(float(found.tokens_per_step[i])),
        "speed_up": latency / float(found.diffusion.latency[i]),
    }


def _cells(row: dict[str, Any]) -> list[str]:

    diffusion = row["decode"] == "diffusion"
    even = row.get("break_even_tokens_per_step")
    return [
        row["model"],
        row["device"],
        row["runtime"] + ("" if row["basis"] in ("device", "profile", "ideal") else " ~"),
        row["weights"],
        f"diffusion, {row['cache']}" if diffusion else "autoregressive",
        f"{row['steps']:.4g}" if diffusion else "",
        f"{show.seconds(row['latency_s'])} ({row['bound']})",
        show.joules(row["energy_j"] if row["energy_j"] is not None else float("nan")),
        show.size(row["memory_bytes"]) + ("" if row["fits"] else " DOES NOT FIT"),
        "" if not diffusion else "never" if even is None else f"{even:.3g}",
    ]
