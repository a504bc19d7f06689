"""`python -m roofline.budgets`: the headline experiment of the co-design law's paper."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

FOLDER = Path("reports") / "paper"


def main(arguments: list[str] | None = None) -> int:
    """Run the experiment, write its report, print the gains; 2 for what is not known."""
    from roofline.budgets.paper import DEVICE, LAW, SPACE, describe, run
    from roofline.budgets.paper_report import write_report
    from roofline.cli import show
    from spec_files import SpecError

    parser = argparse.ArgumentParser("python -m roofline.budgets", description=__doc__)
    parser.add_argument("-d", "--device", default=DEVICE, help=f"by default {DEVICE}")
    parser.add_argument("--space", default=SPACE, help=f"by default {SPACE}")
    parser.add_argument("--law", default=LAW, help=f"by default {LAW}")
    parser.add_argument("-o", "--out", type=Path, default=FOLDER, help=f"by default {FOLDER}")
    options = parser.parse_args(arguments)
    try:
        found = run(options.device, options.space, options.law)
        files = write_report(found, options.out)
    except SpecError as error:
        print(f"budgets: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"budgets: cannot write {options.out}: {error.strerror}", file=sys.stderr)
        return 1
    show.table(
        "Best candidate at the time of Qwen2.5-0.5B; the paper publishes -19.42 %",
        ["engine, precision, equal", "nats", "perplexity", "candidate"],
        [
            [
                f"{gain.mode}, {gain.precision}, {gain.time}",
                f"{gain.nats:+.4f}",
                f"{gain.change:+.2%}",
                describe(found, gain.row),
            ]
            for gain in found.gains()
            if gain.grid == "all"
        ],
    )
    for finding in found.findings():
        verdict = "holds" if finding.holds else "does not hold"
        show.note(f"{finding.mode}: {finding.claim}: {verdict} ({finding.measured}).")
    show.note(f"Wrote {options.out}/: {', '.join(file.name for file in files)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
