"""`python -m roofline.diffusion`: published and predicted times, votes on a phone, a map."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

FOLDER = Path("reports") / "diffusion"


def main(arguments: list[str] | None = None) -> int:
    """Write the report and print its first table; 2 for what is not known."""
    from roofline.cli import show
    from roofline.cli.diffusion_report import write_report
    from roofline.diffusion.evidence import fitted_pass_seconds, hold
    from spec_files import SpecError

    parser = argparse.ArgumentParser("python -m roofline.diffusion", description=__doc__)
    parser.add_argument("-d", "--device", default="phone", help="that votes are costed on")
    parser.add_argument("-o", "--out", type=Path, default=FOLDER, help=f"by default {FOLDER}")
    options = parser.parse_args(arguments)
    try:
        files = write_report(options.out, options.device)
    except SpecError as error:
        print(f"diffusion: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"diffusion: cannot write {options.out}: {error.strerror}", file=sys.stderr)
        return 1
    plain, fitted = hold(), hold(fitted_pass_seconds())
    show.table(
        "LLaDA 8B on an A100, seconds: published (arXiv 2505.22618); predicted; with one fitted "
        "time a pass",
        ["", "step", "predicted", "fitted", "total", "predicted", "fitted"],
        [
            [
                one.published.name,
                f"{one.published.step:g}",
                f"{one.step:.3f} ({one.step_error:+.0%})",
                f"{two.step:.3f} ({two.step_error:+.0%})",
                f"{one.published.total:g}",
                f"{one.total:.1f} ({one.total_error:+.0%})",
                f"{two.total:.1f} ({two.total_error:+.0%})",
            ]
            for one, two in zip(plain, fitted, strict=True)
        ],
    )
    show.note(f"Wrote {options.out}/: {', '.join(file.name for file in files)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
