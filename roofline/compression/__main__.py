"""`python -m roofline.compression`: the fits, their hold-outs, and the experiment with Muon."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

FOLDER = Path("reports") / "compression"


def main(arguments: list[str] | None = None) -> int:
    """Run the experiment, write the report; 2 for what is not known."""
    parser = argparse.ArgumentParser("python -m roofline.compression", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=FOLDER, help=f"by default {FOLDER}")
    parser.add_argument("--seeds", type=int, default=10, help="of the experiment, 2 at least")
    parser.add_argument("--steps", type=int, default=700, help="of training, 20 at least")
    options = parser.parse_args(arguments)
    if options.seeds < 2 or options.steps < 20:
        print("compression: --seeds is 2 at least and --steps 20", file=sys.stderr)
        return 2
    # Matrices this small are slower on several threads; numpy reads it when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from roofline.cli import show
    from roofline.compression.experiment.run import Plan, run
    from roofline.compression.report import verdict, write

    result = run(Plan(steps=options.steps, seeds=options.seeds), tell=show.note)
    try:
        files = write(result, options.out)
    except OSError as error:
        print(f"compression: cannot write {options.out}: {error.strerror}", file=sys.stderr)
        return 1
    show.note(verdict(result))
    show.note(f"Wrote {options.out}/: {', '.join(files)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
