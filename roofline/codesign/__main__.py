"""`python -m roofline.codesign`: what bandwidth buys on a phone, and one model for a fleet."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

FOLDER = Path("reports") / "codesign"


def main(arguments: list[str] | None = None) -> int:
    """Write the report; 2 for what is not known."""
    from roofline.cli import show
    from roofline.codesign.report import POINTS, SPACE, write_report
    from spec_files import SpecError

    parser = argparse.ArgumentParser("python -m roofline.codesign", description=__doc__)
    parser.add_argument("--space", default=SPACE, help=f"by default {SPACE}")
    parser.add_argument("--points", type=int, default=POINTS, help=f"by default {POINTS}")
    parser.add_argument("-o", "--out", type=Path, default=FOLDER, help=f"by default {FOLDER}")
    options = parser.parse_args(arguments)
    try:
        files = write_report(options.out, options.space, options.points)
    except SpecError as error:
        print(f"codesign: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"codesign: cannot write {options.out}: {error.strerror}", file=sys.stderr)
        return 1
    show.note(f"Wrote {options.out}/: {', '.join(files)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
