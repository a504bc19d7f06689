"""`python -m roofline.calibration`: fit the effects to measurements, and say how far they hold."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "reports" / "calibration"


def main() -> int:
    """Fit, cross-validate, write the effects, the tables and the figure; print the table."""
    from roofline.cli import show
    from roofline.efficiency.effects import SHIPPED
    from spec_files import SpecError

    options = _options(SHIPPED)
    if options.evidence:
        return _evidence(options.rows)
    try:
        with show.progress() as tell:
            from roofline.calibration.calibrate import calibrate

            found = calibrate(options.rows, options.folds, tell)
    except SpecError as error:
        print(f"calibration: {error}", file=sys.stderr)
        return 2
    options.output.write_text(found.effects.to_json() + "\n", encoding="utf-8")
    options.reports.mkdir(parents=True, exist_ok=True)
    found.table.to_csv(options.reports / "cross_validation.csv", index=False, float_format="%.4f")
    found.held_out.to_csv(options.reports / "held_out.csv", index=False, float_format="%.6g")
    found.coverage.to_csv(options.reports / "coverage.csv", index=False, float_format="%.4f")
    found.repeats.to_csv(options.reports / "repeats.csv", index=False, float_format="%.4f")
    from roofline.report.agreement import agreement_figure

    figure = agreement_figure(found.held_out, found.effects.intervals)
    figure.savefig(options.reports / "agreement.png")
    for title, table in (
        ("Median absolute error of held-out rows", found.table),
        ("Share of held-out rows inside the 90 % interval of the other folds", found.coverage),
        ("Median absolute error of rows that others repeat", found.repeats),
    ):
        show.table(
            title,
            list(table.columns),
            [[_cell(value) for value in row] for row in table.itertuples(index=False)],
        )
    for reason in found.rejected:
        show.note(f"Rejected: {reason}")
    show.note(f"Wrote {options.output} and {options.reports}/.")
    return 0


def _evidence(rows: Path | None) -> int:
    """Print the spreads of effects that the rows speak for, as `form.py` holds them."""
    from hardware_specs.measurements.rows import load_rows
    from roofline.calibration.cases import read_cases
    from roofline.calibration.demand import work_of
    from roofline.calibration.gates import gate, passed
    from roofline.calibration.spreads import evidence
    from roofline.cli import show

    cases = read_cases(load_rows(rows))
    with show.progress() as tell:
        found = evidence(
            passed(cases, work_of(cases), gate(cases)),
            tell=lambda done, of: tell("evidence", done, of),
        )
    show.table(
        "Spread of the effects of each level",
        ["quantity", "level", "spread"],
        [[quantity, " + ".join(level), f"{s:.2f}"] for (quantity, level), s in found.items()],
    )
    return 0


def _options(shipped: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m roofline.calibration", description=__doc__)
    parser.add_argument("--rows", type=Path, help="a CSV of measurements; the published by default")
    parser.add_argument("-o", "--output", type=Path, default=shipped, help="the effects, as JSON")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of tables and figure")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument(
        "--evidence", action="store_true", help="only print the spreads that the rows speak for"
    )
    return parser.parse_args()


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.1%}"
    return str(value)


if __name__ == "__main__":
    if "OPENBLAS_NUM_THREADS" not in os.environ:  # a fold a core; numpy reads it when it loads
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "roofline.calibration", *sys.argv[1:]])
    sys.exit(main())
