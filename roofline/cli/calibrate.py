"""`roofline calibrate`: fit a device's efficiencies to measurements of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from roofline.cli import options, show

AT_ODDS = 1.25
"""Measured over fitted time from which on rows are said to be at odds with the others."""


def calibrate(
    rows: Annotated[
        Path,
        typer.Argument(
            help="Measurements of the device: a CSV with the published table's columns, or a file "
            "that llama-bench, vLLM or TensorRT-LLM wrote.",
            metavar="ROWS",
            show_default=False,
        ),
    ],
    device: options.Device,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Profile to write.", metavar="FILE", dir_okay=False)
    ],
    give: options.Given = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the new profile; by default its file's.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
    as_json: options.Json = False,
) -> None:
    """Fit a device's efficiencies to your own measurements, and write a profile.

    **Example**

    `roofline calibrate bench.csv --device rpi5 -o my-pi.yaml`: a profile that has your
    measurements in it.

    What the published measurements of all devices say of this one stands behind yours: a few rows
    move what they can tell, and the rest stays, listed as not fitted. The profile's numbers carry
    90 % intervals.
    """
    from hardware_specs import load_device
    from hardware_specs.template import check_readable
    from roofline.calibration.profile import fit_device, say_rows
    from roofline.calibration.validation import read_file
    from roofline.outputs import check_file, write_text
    from spec_files import SpecError

    check_file(out, force)
    called = name or re.sub(r"[^a-z0-9.]+", "-", out.stem.lower()).strip("-.")
    if not called:
        raise SpecError(f"no name can be made of {out.name}: give --name")
    check_readable(called)
    profile = load_device(device)
    table = read_file(rows, {"device": profile.title} | options.given(give)).rows
    fitted = fit_device(profile, table)
    made = fitted.device.model_copy(update={"name": called, "aliases": ()})
    write_text(out, made.to_yaml())
    if as_json:
        show.print_json(
            {
                "profile": str(out),
                "fitted_rows": dict(fitted.used),
                "left_out_rows": dict(fitted.left_out),
                "measured_over_fitted_time": dict(fitted.missed),
                "device": made.model_dump(mode="json", exclude_none=True),
            }
        )
        return
    for key, count in fitted.used.items():
        unit = made.processors[key.split(" ")[0]]
        show.note(f"{say_rows(count)} of {key} fitted.")
        if unit.calibration is not None and unit.calibration.not_fitted:
            show.note("Not settled by them: " + ", ".join(unit.calibration.not_fitted) + ".")
        if not 1 / AT_ODDS < (ratio := fitted.missed[key]) < AT_ODDS:
            show.note(
                f"They took {ratio:.2f} times as long as the fit has it: they are farther from the "
                "published rows of this device, or of its kind, than devices of one name are apart."
            )
    for reason, count in fitted.left_out.most_common():
        show.note(f"{say_rows(count)} left out: {reason}")
    show.note(f"Wrote {out}.")
