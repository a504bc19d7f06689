"""`roofline probe`: measure this computer and write its device profile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    from hardware_specs import Device
    from roofline.probe import Sample

NOISY = 0.25
"""Quartiles further apart than this share of the median are worth a warning."""


def probe(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Profile to write.", metavar="FILE", dir_okay=False)
    ],
    quick: Annotated[
        bool, typer.Option("--quick", help="A quarter of the sizes and a tenth of the repeats.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(help="Threads to measure on; by default all cores.", min=1)
    ] = None,
    processor: Annotated[str, typer.Option(help="Which processor: cpu, for now.")] = "cpu",
    name: Annotated[
        str | None, typer.Option(help="Name of the profile; by default the processor's.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="phone, laptop, desktop, sbc, ...; by default a guess."),
    ] = None,
    curves: Annotated[
        Path | None,
        typer.Option(help="Also write every measurement to a CSV file.", metavar="FILE"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    as_json: options.Json = False,
) -> None:
    """Measure this computer and write a device profile.

    **Examples**

    `roofline probe -o here.yaml`, `roofline estimate -m qwen3-0.6b -d here.yaml`

    `roofline probe -o here.yaml --quick --threads 4 --curves curves.csv`: half a minute, and
    every measurement in a table.

    Memory bandwidth by working set, products by size and number format, attention, and what the
    library's calls cost: PyTorch's where it is installed, numpy's otherwise. Under two minutes;
    close other programs first. Every number's note says how it was measured.
    """
    from datetime import date

    from hardware_specs.device import KINDS
    from roofline.outputs import check_file, write_text
    from roofline.probe import measure, plan, this_machine, to_device
    from roofline.probe.profile import Identity, slug
    from spec_files import SpecError, did_you_mean

    if processor != "cpu":
        raise SpecError(f"--processor: read {processor!r}; only cpu can be probed")
    if kind is not None and kind not in KINDS:
        raise SpecError(f"--kind: unknown kind {kind!r}{did_you_mean(kind, KINDS)}")
    if name is not None and slug(name) != name:
        raise SpecError(f"--name: read {name!r}; write small letters and hyphens: {slug(name)!r}")
    if curves is not None and curves.resolve() == out.resolve():
        raise SpecError("--curves and --out are the same file")
    for file in filter(None, (out, curves)):
        check_file(file, force)
    machine = this_machine()
    todo = plan(machine, threads, quick)
    with show.progress() as tell:
        samples = measure(todo, tell)
    identity = Identity(
        name=name or slug(machine.title),
        title=machine.title,
        kind=kind or machine.kind,
        date=date.today().isoformat(),
        software=todo.library.software(),
        system=machine.system,
    )
    device = to_device(machine, samples, todo.threads, identity)
    write_text(out, device.to_yaml())
    if curves is not None:
        write_text(curves, as_csv(samples))
    if as_json:
        printed = {
            "file": str(out),
            "profile": device.model_dump(mode="json", exclude_none=True),
            "samples": [sample.to_dict() for sample in samples],
        }
        show.print_json(printed)
        return
    _print(device, out, samples)


def as_csv(samples: Sequence[Sample]) -> str:
    """Return every measurement as a row, in SI units."""
    import pandas as pd

    rows = [{**s.to_dict(), "bytes_per_s": s.bandwidth, "flops_per_s": s.rate} for s in samples]
    return str(pd.DataFrame(rows).to_csv(index=False))


def _print(device: Device, out: Path, samples: Sequence[Sample]) -> None:
    from spec_files import format_quantity

    unit, dram = device.processor(), device.memory.dram
    efficiency = unit.efficiency
    assert efficiency is not None, "a probe measures it"
    rows = [
        ["DRAM bandwidth", str(dram.bandwidth)],
        *[
            [f"{level.name}, {show.size(level.size.value)}", str(level.bandwidth or "–")]
            for level in reversed(device.memory.on_chip)
        ],
        *[[f"peak, {name}", str(peak)] for name, peak in unit.peaks.items()],
        ["efficiency of products", f"{efficiency.compute.value:.0%}"],
        ["efficiency of reading weights", f"{efficiency.memory.value:.0%}"],
        ["kernel launch", str(unit.kernel_launch)],
        ["step overhead", str(unit.step_overhead)],
    ]
    show.table(f"{device.title} ({unit.title})", ["", "measured"], rows)
    shaky = [s for s in samples if s.high - s.low > NOISY * s.seconds]
    if len(shaky) > 0.2 * len(samples):
        widest = max(shaky, key=lambda s: (s.high - s.low) / s.seconds)
        show.note(
            f"{len(shaky)} of {len(samples)} measurements have quartiles more than {NOISY:.0%} "
            f"apart ({widest.operation}, {widest.detail}: {format_quantity(widest.low, 'time')} to "
            f"{format_quantity(widest.high, 'time')}): other programs ran, or the clock changed. "
            "Measure again when the computer is quiet."
        )
    show.note(f"Wrote {out}: every number's note says how it was measured.")
    show.note(f"Try: roofline estimate -m qwen3-0.6b -d {out}")
