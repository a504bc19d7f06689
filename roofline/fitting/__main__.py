"""`python -m roofline.fitting`: reproduce the reference fits, ship them, test the intervals."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "reports" / "fits"
DATE = "2026-11"  # of the shipped fits: the same data give the same files on any day


def main() -> int:
    """Run one of the two experiments and write its report."""
    from spec_files import SpecError

    options = _options()
    try:
        if options.what == "recovery":
            return _recovery(options)
        return _references(options)
    except SpecError as error:
        print(f"fitting: {error}", file=sys.stderr)
        return 2


def _references(options: argparse.Namespace) -> int:
    """Fit every reference, write the shipped laws, the table and the figures; print the table."""
    import time

    from roofline.cli import show
    from roofline.fitting.law_file import fitted_law, to_yaml
    from roofline.fitting.references import reproduce, table
    from roofline.fitting.report import residual_figure

    began = time.perf_counter()
    options.reports.mkdir(parents=True, exist_ok=True)
    with show.progress() as tell:
        found = list(reproduce(tell, options.replicates))
    for each in found:
        name = each.reference.law
        if name is None:
            continue
        law = fitted_law(
            each.fit, name, title=each.reference.title, source=each.reference.source, date=DATE
        )
        (options.output / f"{name}.yaml").write_text(to_yaml(law), encoding="utf-8")
        figure = residual_figure(each.fit, each.held[0] if each.held else None, name)
        figure.savefig(options.reports / f"{name}.png")
    numbers = table(found)
    numbers.to_csv(options.reports / "references.csv", index=False, float_format="%.6g")
    rows = [
        [row.fit, row.quantity, f"{row.ours:.5g}", row.published, "yes" if row.agrees else "no"]
        for row in numbers.itertuples(index=False)
    ]
    show.table(
        "Reference fits", ["fit", "quantity", "ours", "published", "within its rounding"], rows
    )
    for row in numbers.itertuples(index=False):
        if row.note:
            show.note(f"{row.fit}: {row.note}.")
    agree = int(numbers["agrees"].sum())
    show.note(
        f"{agree} of {len(numbers)} numbers agree; {time.perf_counter() - began:.0f} s. "
        f"Wrote {options.reports}/ and the shipped laws in {options.output}/."
    )
    return 0


def _recovery(options: argparse.Namespace) -> int:
    """Fit synthetic runs again and again, and say how often the truth is in the intervals."""
    from roofline.cli import show
    from roofline.fitting.recovery import recover

    found = recover(noise=options.noise, draws=options.draws, replicates=options.replicates)
    numbers = found.table()
    options.reports.mkdir(parents=True, exist_ok=True)
    numbers.to_csv(options.reports / "recovery.csv", index=False, float_format="%.4g")
    rows = [
        [row.coefficient, f"{row.truth:.4g}", f"{row.inside:.0%}", f"{row.told:.0%}"]
        for row in numbers.itertuples(index=False)
    ]
    show.table(
        f"{options.draws} draws of 170 runs of the co-design law, noise {options.noise:g}",
        ["coefficient", "truth", "inside its 95 % interval", "told"],
        rows,
    )
    return 0


def _options() -> argparse.Namespace:
    from roofline.laws.law import FOLDER

    parser = argparse.ArgumentParser("python -m roofline.fitting", description=__doc__)
    parser.add_argument(
        "what", nargs="?", choices=["references", "recovery"], default="references",
        help="references (the default) needs ROOFLINE_DATA; recovery makes its own runs",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, help="folder of shipped laws")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="folder of tables, figures")
    parser.add_argument("--replicates", type=int, default=300, help="of the bootstrap")
    parser.add_argument("--draws", type=int, default=100, help="of a recovery")
    parser.add_argument("--noise", type=float, default=0.01, help="of a recovery, in ln loss")
    return parser.parse_args()


if __name__ == "__main__":
    if "OPENBLAS_NUM_THREADS" not in os.environ:  # a block a core; numpy reads it when it loads
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "roofline.fitting", *sys.argv[1:]])
    sys.exit(main())
