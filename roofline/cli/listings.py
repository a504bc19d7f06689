"""`roofline devices` and `roofline models`: what is shipped, and where its numbers come from."""

from __future__ import annotations

from typing import Annotated

import typer

from roofline.cli import options

devices = typer.Typer(
    invoke_without_command=True, help="List the device profiles; `show` one; print the `schema`."
)
models = typer.Typer(invoke_without_command=True, help="List the reference models; `show` one.")


def _refuse_early(given: bool, command: str) -> None:
    from spec_files import SpecError

    if given:
        raise SpecError(f"options belong behind {command}, not before it")


@devices.callback()
def list_devices(
    context: typer.Context,
    kind: Annotated[
        str | None, typer.Option(help="Only phone, jetson, board, laptop, desktop or datacentre.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the shipped device profiles.

    **Examples**

    `roofline devices`

    `roofline devices --kind phone --json`

    `roofline devices show raspberry-pi-5`

    `roofline devices schema > device.schema.json`
    """
    if context.invoked_subcommand:
        _refuse_early(as_json or kind is not None, context.invoked_subcommand)
        return
    from hardware_specs import load_device, shipped_devices
    from roofline.cli import show
    from spec_files import SpecError, did_you_mean, format_quantity

    profiles = [load_device(name) for name in shipped_devices()]
    kinds = sorted({profile.kind for profile in profiles})
    if kind is not None and kind not in kinds:
        raise SpecError(f"--kind: no device of kind {kind!r}{did_you_mean(kind, kinds)}")
    profiles = [profile for profile in profiles if kind in (None, profile.kind)]
    if as_json:
        import json

        typer.echo(
            json.dumps(
                [
                    {
                        "name": p.name,
                        "title": p.title,
                        "kind": p.kind,
                        "year": p.year,
                        "bandwidth_bytes_per_s": p.memory.dram.bandwidth.value,
                        "capacity_bytes": p.memory.dram.capacity.value,
                        "peaks_flop_per_s": {
                            name: {fmt: peak.value for fmt, peak in unit.peaks.items()}
                            for name, unit in p.processors.items()
                        },
                    }
                    for p in profiles
                ],
                indent=2,
            )
        )
        return
    show.table(
        "Devices (dense peaks of each one's main processor)",
        ["name", "title", "kind", "year", "memory", "bandwidth", "processor", "peaks"],
        [
            [
                p.name,
                p.title,
                p.kind,
                str(p.year),
                show.size(p.memory.dram.capacity.value),
                format_quantity(p.memory.dram.bandwidth.value, "bandwidth"),
                p.default_processor,
                ", ".join(
                    f"{fmt} {format_quantity(peak.value, 'compute')}"
                    for fmt, peak in p.processor().peaks.items()
                ),
            ]
            for p in profiles
        ],
    )


@devices.command("show")
def show_device(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE")], as_json: options.Json = False
) -> None:
    """Print one profile: every number with its basis, source and date.

    **Example**: `roofline devices show phone`
    """
    from hardware_specs import load_device
    from roofline.cli import show

    device = load_device(name)
    if as_json:
        import json

        typer.echo(json.dumps(device.model_dump(mode="json", exclude_none=True), indent=2))
        return
    rows = []
    for path, figure in device.figures():
        source = device.sources[figure.source]
        interval = (
            ""
            if figure.low is None or figure.high is None
            else f"{figure.low:g} to {figure.high:g}"
        )
        rows.append(
            [
                ".".join(str(part) for part in path),
                str(figure).rpartition(" (")[0],
                interval,
                figure.basis,
                f"{source.title} ({source.date})",
                figure.note or "",
            ]
        )
    show.table(
        f"{device.name}: {device.title}, {device.kind}, {device.year}",
        ["number", "value", "interval", "basis", "source (date)", "note"],
        rows,
    )


@devices.command("schema")
def schema() -> None:
    """Print the JSON Schema of a profile, for editors.

    **Example**: `roofline devices schema > device.schema.json`
    """
    import json

    from hardware_specs import device_schema

    typer.echo(json.dumps(device_schema(), indent=2))


@models.callback()
def list_models(context: typer.Context, as_json: options.Json = False) -> None:
    """List the shipped reference models.

    **Examples**

    `roofline models`

    `roofline models show qwen3-30b-a3b`
    """
    if context.invoked_subcommand:
        _refuse_early(as_json, context.invoked_subcommand)
        return
    from arch_space.library import load_models, reference_model, shipped_models
    from arch_space.tensors import active_parameter_count, parameter_count
    from roofline.cli import show

    names = shipped_models()
    table = load_models(names)
    total, active = parameter_count(table), active_parameter_count(table)
    rows = [table[i].row() for i in range(len(table))]
    if as_json:
        import json

        typer.echo(
            json.dumps(
                [
                    {"name": n, "parameters": int(t), "active_parameters": int(a), **row}
                    for n, t, a, row in zip(names, total, active, rows, strict=True)
                ],
                indent=2,
            )
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

    **Example**: `roofline models show gemma-3-1b`
    """
    from arch_space.architectures import Architectures
    from arch_space.library import load_model
    from arch_space.tensors import active_parameter_count, parameter_count
    from roofline.cli import show

    arch = load_model(name)
    if as_json:
        import json

        counts = {
            "parameters": parameter_count(arch),
            "active_parameters": active_parameter_count(arch),
        }
        found = {"name": arch.names[0], **arch.row()} | {k: int(v[0]) for k, v in counts.items()}
        typer.echo(json.dumps(found, indent=2))
        return
    about = {f: Architectures.__dataclass_fields__[f].metadata.get("about", "") for f in arch.row()}
    rows = [[field, str(value), about[field]] for field, value in arch.row().items()]
    rows += [
        ["parameters", f"{int(parameter_count(arch)[0]):,}", "a tied embedding counted once"],
        ["active parameters", f"{int(active_parameter_count(arch)[0]):,}", "met by one token"],
    ]
    show.table(arch.names[0], ["field", "value", "meaning"], rows)
