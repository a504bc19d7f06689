"""`roofline validate`: predictions beside a table of measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    import pandas as pd

    from roofline.calibration.validation import Validation


def validate(
    rows: Annotated[
        Path,
        typer.Argument(
            help="A CSV with the published table's columns, or a file that llama-bench, vLLM or "
            "TensorRT-LLM wrote.",
            metavar="ROWS",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Write every row with its predictions to this CSV.", metavar="FILE"),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            "-d",
            help="A profile of your own, by which its rows are predicted: those that name it or no "
            "device, or all rows of a file of one device.",
            metavar="NAME|FILE",
        ),
    ] = None,
    give: options.Given = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
    as_json: options.Json = False,
) -> None:
    """Compare predictions with measurements, by class, backend and metric.

    **Examples**

    `roofline validate mine.csv --out predictions.csv`: errors by class, backend and metric, and
    every prediction in a table.

    `roofline validate bench.json --set device_key=rtx4090 --set model=Llama-3.1-8B --json`

    `roofline validate new.csv --device my-pi.yaml`

    An error is predicted over measured, less one. Rows that cannot be predicted, or that claim more
    than the data sheet allows, are left out of the errors with the reason.
    """
    from hardware_specs import load_device
    from roofline.calibration import validation
    from roofline.efficiency.effects import shipped_effects
    from roofline.outputs import check_file, write_text
    from spec_files import SpecError

    if out is not None:
        if out.resolve() == rows.resolve():
            raise SpecError("--out and the measurements are the same file")
        check_file(out, force)
    profile = None if device is None else load_device(device)
    found = validation.read_file(rows, options.given(give))
    judged = validation.validate(found, device=profile)
    about = shipped_effects().about
    fitted = about.get("sha256") == found.sha256
    if out is not None:
        write_text(out, str(judged.predictions.to_csv(index=False, lineterminator="\n")))
    if not (judged.predictions["basis"] != "").any():
        why = str(judged.predictions["left_out"].iloc[0]).rstrip(".")
        kept = "" if out is None else f"; {out} holds the reason of each"
        raise SpecError(f"{rows}: no row can be predicted; the first says: {why}{kept}")
    if as_json:
        printed = {
            "file": str(rows),
            "rows": len(judged.predictions),
            "predicted": int((judged.predictions["basis"] != "").sum()),
            "device": None if profile is None else profile.name,
            "fitted_to_these_rows": fitted,
            "calibration": about,
            "summary": _plain(judged.summary()),
            "self_consistent": _plain(judged.summary(self_consistent=True)),
            "left_out": _plain(judged.reasons()),
            "predictions": None if out is None else str(out),
        }
        show.print_json(printed)
        return
    _print(judged, rows, out, fitted)
    if profile is not None:
        named = sorted({key for key in found.rows["device_key"] if key})
        if named and not {profile.name, *profile.aliases} & {k.replace("_", "-") for k in named}:
            show.note(f"The rows say {named[0]}; all are predicted by profile {profile.name}.")


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Lines for JSON, which has no NaN."""
    return [
        {name: None if value != value else value for name, value in line.items()}
        for line in table.to_dict("records")
    ]


def _print(judged: Validation, rows: Path, out: Path | None, fitted: bool) -> None:

    predicted = int((judged.predictions["basis"] != "").sum())
    for title, selected in (
        (f"{rows.name}: {predicted} of {len(judged.predictions)} rows predicted", False),
        ("of these, full power, one stream, self-consistent", True),
    ):
        summary = judged.summary(selected)
        show.table(
            title,
            ["class", "backend", "metric", "rows", "left out", "median error", "mean error",
             "bias", "inside 90 %"],
            [
                [
                    line["class"], line["backend"], line["metric"], str(line["rows"]),
                    str(line["left_out"]),
                    *(
                        _share(line[name], sign=name == "bias")
                        for name in ("median_error", "mean_error", "bias", "inside")
                    ),
                ]
                for line in summary.to_dict("records")
            ],
        )  # fmt: skip
    reasons = judged.reasons()
    if len(reasons):
        shown = reasons.head(15)
        show.table(
            f"Left out, {len(shown)} of {len(reasons)} reasons",
            ["reason", "metric", "rows"],
            [[r["left_out"], r["metric"], str(r["rows"])] for r in shown.to_dict("records")],
        )
    if not (judged.compared["left_out"] == "").any():
        show.note("No row could be compared.")
    if fitted:
        show.note(
            "The calibration was fitted to these very rows: for errors of rows that a fit never "
            "saw, read reports/calibration/cross_validation.csv."
        )
    if out is not None:
        show.note(f"Wrote {out}: every row with its predictions.")


def _share(value: float, sign: bool = False) -> str:
    return "–" if value != value else f"{value:+.1%}" if sign else f"{value:.1%}"
