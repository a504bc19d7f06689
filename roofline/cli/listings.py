"""`roofline devices` and `roofline models`: what is shipped, and where its numbers come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    from hardware_specs import Device, Figure

devices = typer.Typer(invoke_without_command=True)
models = typer.Typer(invoke_without_command=True)


@devices.callback()
def list_devices(
    context: typer.Context,
    kind: Annotated[
        str | None,
        typer.Option(
            help="Only phone, jetson, sbc, laptop, desktop, desktop_gpu or datacentre.",
        ),
    ] = None,
    vendor: Annotated[
        str | None,
        typer.Option(help="Only with a processor of this maker or family: nvidia, amd-rdna3, ..."),
    ] = None,
    processor: Annotated[str | None, typer.Option(help="Only with a cpu, gpu or npu.")] = None,
    search: Annotated[
        str | None,
        typer.Option(help="Only with this text in a name, an alias or a title.", metavar="TEXT"),
    ] = None,
    min_memory: Annotated[
        str | None, typer.Option(help="Only with this much memory: 8 GB, ...", metavar="SIZE")
    ] = None,
    min_bandwidth: Annotated[
        str | None,
        typer.Option(help="Only with this memory bandwidth: 100 GB/s, ...", metavar="RATE"),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the device profiles, by filters that combine; show one; print the schema.

    **Examples**

    `roofline devices`: one line each: kind, memory, bandwidth, processor, peak.

    `roofline devices --kind phone --json`: the phones, for a program.

    `roofline devices --vendor nvidia --min-memory 16GB --min-bandwidth "900 GB/s"`

    `roofline devices show rpi5`

    `roofline devices schema > device.schema.json`
    """
    asked = (kind, vendor, processor, search, min_memory, min_bandwidth)
    if context.invoked_subcommand:
        options.refuse_early(context)
        return
    from hardware_specs import load_device, shipped_devices

    profiles = _chosen([load_device(name) for name in shipped_devices()], *asked)
    if as_json:
        show.print_json([_as_data(p) for p in profiles])
        return
    _print_devices(profiles)


def _chosen(
    profiles: list[Device],
    kind: str | None,
    vendor: str | None,
    processor: str | None,
    search: str | None,
    min_memory: str | None,
    min_bandwidth: str | None,
) -> list[Device]:
    """The profiles that pass every filter; SpecError for a filter that no profile could pass."""
    from hardware_specs.device import KINDS
    from spec_files import SpecError, did_you_mean

    if kind is not None and kind not in KINDS:
        raise SpecError(f"--kind: no device of kind {kind!r}{did_you_mean(kind, KINDS)}")
    units = [unit for p in profiles for unit in p.processors.values()]
    families = sorted({unit.family for unit in units})
    if vendor is not None and not any(_of_vendor(family, vendor) for family in families):
        vendors = list(dict.fromkeys(family.split("-")[0] for family in families))
        near = did_you_mean(vendor, families if "-" in vendor else vendors)
        raise SpecError(f"--vendor: no processor of {vendor!r}{near}")
    if processor is not None and processor not in ("cpu", "gpu", "npu"):
        near = did_you_mean(processor, ("cpu", "gpu", "npu"))
        raise SpecError(f"--processor: no processor of type {processor!r}{near}")
    memory = _least(min_memory, "bytes", "--min-memory")
    bandwidth = _least(min_bandwidth, "bandwidth", "--min-bandwidth")
    found = [
        p
        for p in profiles
        if kind in (None, p.kind)
        and any(
            processor in (None, unit.type) and (vendor is None or _of_vendor(unit.family, vendor))
            for unit in p.processors.values()
        )
        and p.memory.dram.capacity.value >= memory
        and p.memory.dram.bandwidth.value >= bandwidth
    ]
    if search is None:
        return found
    if not any(_mentions(p, search) for p in profiles):
        words = {word for p in profiles for word in _words(p).split()}
        raise SpecError(f"--search: nothing says {search!r}{_near(search, sorted(words))}")
    return [p for p in found if _mentions(p, search)]


def _of_vendor(family: str, vendor: str) -> bool:
    """Whether a family is of a maker, or of a line of it: nvidia-ada of nvidia, not of nv."""
    return f"{family}-".startswith(f"{vendor.lower().removesuffix('-')}-")


def _words(profile: Device) -> str:
    titles = [unit.title for unit in profile.processors.values()]
    return " ".join((profile.name, profile.title, *profile.aliases, *titles)).lower()


def _mentions(profile: Device, text: str) -> bool:
    """Whether a profile says every word of a text."""
    said = _words(profile)
    return all(word in said for word in text.lower().split())


def _near(word: str, known: list[str]) -> str:
    from spec_files import nearest

    close = nearest(word, known)
    return f"; nearest is {close!r}" if close else ""


def _least(text: str | None, dimension: str, option: str) -> float:
    from spec_files import SpecError, parse_quantity

    if text is None:
        return 0.0
    try:
        return parse_quantity(text, dimension)
    except SpecError as wrong:
        raise SpecError(f"{option}: {wrong}") from None


def _as_data(p: Device) -> dict[str, object]:
    return {
        "name": p.name,
        "aliases": list(p.aliases),
        "title": p.title,
        "kind": p.kind,
        "year": p.year,
        "bandwidth_bytes_per_s": p.memory.dram.bandwidth.value,
        "capacity_bytes": p.memory.dram.capacity.value,
        "default_processor": p.default_processor,
        "families": {name: unit.family for name, unit in p.processors.items()},
        "peaks_flop_per_s": {
            name: {fmt: peak.value for fmt, peak in unit.peaks.items()}
            for name, unit in p.processors.items()
        },
    }


def _print_devices(profiles: list[Device]) -> None:
    """One line a device, at 100 columns too."""
    from spec_files import format_quantity

    rows = []
    for p in profiles:
        unit, dram = p.processor(), p.memory.dram
        fmt = next((f for f in ("fp16", "bf16", "int8", "fp32") if f in unit.peaks), None)
        rows.append(
            [
                p.name,
                p.kind,
                f"{dram.capacity.value / 2**30:g} GiB",
                format_quantity(dram.bandwidth.value, "bandwidth"),
                unit.family,
                "unknown" if fmt is None else f"{fmt} {unit.peak(fmt) / 1e12:.3g}",
            ]
        )
    show.table(
        f"{len(profiles)} devices (peak: dense, of the main processor, in TFLOP/s or TOP/s)",
        ["name", "kind", "memory", "bandwidth", "processor", "peak"],
        rows,
    )


@devices.command("show")
def show_device(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE")],
    with_fit: Annotated[
        bool,
        typer.Option("--calibrated", help="Also what the calibration fills in, and its basis."),
    ] = False,
    processor: options.Processor = None,
    runtime: options.Runtime = None,
    as_json: options.Json = False,
) -> None:
    """Print one profile: every number with its basis, source and date.

    **Examples**

    `roofline devices show phone`: one row a number, with its source.

    `roofline devices show rtx4090 --calibrated --runtime llama.cpp-cuda`: with the efficiencies
    fitted for llama.cpp.
    """
    from hardware_specs import load_device
    from roofline.efficiency.calibrated import calibrated, say_basis
    from spec_files import SpecError

    device = load_device(name)
    if with_fit:
        device = calibrated(device, processor, runtime)
    elif runtime is not None or processor is not None:
        raise SpecError("--runtime and --processor say what to calibrate: add --calibrated")
    if as_json:
        show.print_json(device.model_dump(mode="json", exclude_none=True))
        return
    rows = [
        [
            ".".join(str(part) for part in path[path[0] in ("processors", "memory") :]),
            str(figure).rpartition(" (")[0],
            _interval(figure),
            figure.basis,
            figure.source,
            figure.note or "",
        ]
        for path, figure in device.figures()
    ]
    show.table(
        f"{device.name}: {device.title}, {device.kind}, {device.year}",
        ["number", "value", "interval", "basis", "source", "note"],
        rows,
    )
    for key, source in device.sources.items():
        show.note(f"Source {key}: {source.title}; {source.where} ({source.date}).")
    for key, unit in device.processors.items():
        show.note(f"Processor {key}: {unit.title} ({unit.family}).")
        if unit.peaks_unknown:
            show.note(f"Processor {key} has no known peak: {unit.peaks_unknown}")
    if with_fit:
        unit = device.processor(processor)
        show.note(f"Basis: {say_basis(unit)}.")
        if unit.calibration is not None:
            known = unit.calibration
            ends = {n: getattr(known, n) for n in ("prefill", "decode", "energy")}
            show.note(show.spread({n: (e.low, e.high) for n, e in ends.items()}).strip())
            if known.not_fitted:
                words = ", ".join(name.replace("_", " ") for name in known.not_fitted)
                show.note(f"Not settled by rows of this device: {words}.")
    bare = [key for key, unit in device.processors.items() if unit.efficiency is None]
    if bare:
        show.note(
            f"A data sheet alone for {', '.join(bare)}: predictions take their efficiencies from "
            "the calibration (--calibrated shows them)."
        )
    if device.aliases:
        show.note(f"Also called {', '.join(device.aliases)}.")


def _interval(figure: Figure) -> str:
    """The ends of an interval as written, one of them where only one is known."""
    from spec_files import format_quantity

    low, high = (
        None if end is None else format_quantity(end, figure.dimension)
        for end in (figure.low, figure.high)
    )
    if low and high:
        return f"{low} to {high}"
    return f"from {low}" if low else f"up to {high}" if high else ""


@devices.command("schema")
def schema(as_json: options.Json = False) -> None:
    """Print the JSON Schema of a profile, for editors; it is JSON with --json and without.

    **Example**

    `roofline devices schema > device.schema.json`: a file for the first line of a profile to name.
    """
    from hardware_specs import device_schema

    show.print_json(device_schema())


def list_runtimes(as_json: options.Json = False) -> None:
    """List the runtimes that predictions can be made for, and how many measurements were fitted.

    **Examples**

    `roofline runtimes`: one line each, with how many measurements stand behind it.

    `roofline runtimes --json`
    """
    from roofline.efficiency.effects import shipped_effects
    from roofline.runtimes import RUNTIMES

    counts = shipped_effects().runtimes
    rows: dict[str, int] = {}
    devices: dict[str, set[str]] = {}
    for key, fitted in counts.items():
        device, _, name = key.split("|")
        rows[name] = rows.get(name, 0) + fitted
        devices.setdefault(name, set()).add(device)
    found: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "title": entry.title,
            "processors": list(entry.processors),
            "vendors": list(entry.vendors),
            "rows": rows.get(entry.name, 0),
            "devices": len(devices.get(entry.name, ())),
        }
        for entry in RUNTIMES
    ]
    if as_json:
        show.print_json(found)
        return
    show.table(
        "Runtimes, and the measurements that were fitted",
        ["name", "title", "processors", "of", "rows", "devices"],
        [
            [str(r["name"]), str(r["title"]), ", ".join(r["processors"]),
             ", ".join(r["vendors"]) or "any", str(r["rows"]), str(r["devices"])]
            for r in found
        ],
    )  # fmt: skip


@models.callback()
def list_models(context: typer.Context, as_json: options.Json = False) -> None:
    """List the reference models; show one.

    **Examples**

    `roofline models`: one line each: size, layers, width, heads, experts, vocabulary.

    `roofline models show qwen3-30b-a3b`
    """
    if context.invoked_subcommand:
        options.refuse_early(context)
        return
    from arch_space.library import load_models, reference_model, shipped_models
    from arch_space.tensors import active_parameter_count, parameter_count

    names = shipped_models()
    table = load_models(names)
    total, active = parameter_count(table), active_parameter_count(table)
    rows = [table[i].row() for i in range(len(table))]
    if as_json:
        show.print_json(
            [
                {"name": n, "parameters": int(t), "active_parameters": int(a), **row}
                for n, t, a, row in zip(names, total, active, rows, strict=True)
            ]
        )
        return
    show.table(
        "Reference models",
        [
            "name",
            "type",
            "parameters",
            "active",
            "layers",
            "width",
            "heads (KV)",
            "experts",
            "vocab",
        ],
        [
            [
                name,
                reference_model(name).family or "",
                show.count(total[i]),
                show.count(active[i]),
                str(row["layers"]),
                str(row["width"]),
                f"{row['query_heads']} ({row['kv_heads']})",
                f"{row['experts_per_token']} of {row['experts']}" if row["experts"] > 1 else "–",
                str(row["vocabulary"]),
            ]
            for i, (name, row) in enumerate(zip(names, rows, strict=True))
        ],
    )


@models.command("show")
def show_model(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE")], as_json: options.Json = False
) -> None:
    """Print one architecture, field by field.

    **Example**

    `roofline models show gemma-3-1b`: one row a field, with what it means.
    """
    from arch_space.architectures import Architectures
    from arch_space.library import load_model
    from arch_space.tensors import active_parameter_count, parameter_count

    arch = load_model(name)
    if as_json:
        counts = {
            "parameters": parameter_count(arch),
            "active_parameters": active_parameter_count(arch),
        }
        found = {"name": arch.names[0], **arch.row()} | {k: int(v[0]) for k, v in counts.items()}
        show.print_json(found)
        return
    about = {f: Architectures.__dataclass_fields__[f].metadata.get("about", "") for f in arch.row()}
    rows = [[field, str(value), about[field]] for field, value in arch.row().items()]
    rows += [
        ["parameters", f"{int(parameter_count(arch)[0]):,}", "a tied embedding counted once"],
        ["active parameters", f"{int(active_parameter_count(arch)[0]):,}", "met by one token"],
    ]
    show.table(arch.names[0], ["field", "value", "meaning"], rows)
