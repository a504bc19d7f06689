"""`python -m roofline.graphs`: the report of collaboration graphs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

FOLDER = Path("reports") / "graphs"


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison, write the report, print who found what."""
    from roofline.cli import show
    from roofline.graphs.benchmark import COMPARED, SEEDS
    from roofline.graphs.report import write
    from spec_files import SpecError

    parser = argparse.ArgumentParser("python -m roofline.graphs", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"by default {SEEDS}")
    parser.add_argument("-o", "--out", type=Path, default=FOLDER, help=f"by default {FOLDER}")
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        parser.error("--seeds: a comparison takes at least 2")
    try:
        found = write(options.out, options.seeds)
    except SpecError as error:
        print(f"graphs: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"graphs: cannot write {options.out}: {error.strerror}", file=sys.stderr)
        return 1
    rows = [
        [case.name, f"{100 * case.optimum.utility:.2f}"]
        + [f"{100 * case.final(method).mean():.2f}" for method in COMPARED]
        for case in found
    ]
    show.table("Mean best accuracy, %", ["task, budget", "optimum", *COMPARED], rows)
    show.note(f"Wrote {options.out}/.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
