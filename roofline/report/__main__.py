"""`python -m roofline.report`: the gallery of reports, made anew.

A sweep each on a phone, a Jetson and a laptop, on devices with measurements of their own, and the
three compared over one space. Of each run it keeps sweep.yaml, front.csv, summary.json, the figures
and, where a Chromium is found, pictures of the page; the page itself comes back with
`roofline sweep --repeat FOLDER/sweep.yaml -o again`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spec_files import SpecError

if TYPE_CHECKING:
    from roofline.search.run import SweepRun

GALLERY: dict[str, dict[str, Any]] = {
    "phone": {"device": "phone"},
    "jetson": {"device": "jetson-agx-orin-64", "constraints": {"tpot": "20ms"}},
    "laptop": {"device": "m4max-40", "constraints": {"ttft": "1s"}},
}
"""The command that the README runs, and two devices with a limit that a product might have."""

COMPARISON = "comparison"
KEPT = ("sweep.yaml", "front.csv", "summary.json", "front.png", "roofline.png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the gallery; 2 for what is not known."""
    from roofline.cli import show
    from roofline.report.screenshots import chromium

    parser = argparse.ArgumentParser("python -m roofline.report", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path("reports"), help="default: reports")
    parser.add_argument("--space", default="on-device", help="a shipped space or a file")
    parser.add_argument("--only", default="", help=f"of {', '.join((*GALLERY, COMPARISON))}")
    options = parser.parse_args(arguments)
    asked = [name for name in options.only.split(",") if name] or [*GALLERY, COMPARISON]
    try:
        for name in asked:
            if name not in (*GALLERY, COMPARISON):
                raise SpecError(f"--only: no report {name!r}: {', '.join((*GALLERY, COMPARISON))}")
        for name in asked:
            if name == COMPARISON:
                compare(options.out / name, options.space)
            else:
                keep(options.out / name, options.space, **GALLERY[name])
            show.note(f"Wrote {options.out / name}/.")
    except SpecError as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"report: cannot write {options.out}: {error.strerror}", file=sys.stderr)
        return 1
    if chromium() is None:
        show.note("No pictures of the pages: playwright or a Chromium is missing.")
    return 0


def keep(target: Path, space: str, **inputs: Any) -> None:
    """Run one sweep, and keep of its folder what is small and what shows it."""
    from hardware_specs import load_device
    from roofline.report.folder import RunFolder
    from roofline.report.screenshots import take_screenshots
    from roofline.search.sweep import Sweep

    device = load_device(inputs.pop("device"))
    sweep = Sweep.prepare(device=device, space=space, **inputs)
    problem = sweep.problem()
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder.create(Path(scratch) / "run", device.name)
        folder.begin(sweep)
        folder.write(sweep.run(problem), problem, lambda done, size: None)
        taken = take_screenshots(folder.path / "report.html", folder.path)
        target.mkdir(parents=True, exist_ok=True)
        for name in (*KEPT, *(file.name for file in taken)):
            shutil.copyfile(folder.path / name, target / name)


def compare(target: Path, space: str) -> None:
    """Ask every device of the gallery the same, without limits, and put their fronts together."""
    from hardware_specs import load_device
    from roofline.drawing.titles import write_title
    from roofline.report.comparison import (
        comparison_table,
        fronts_figure,
        fronts_table,
        roofs_figure,
    )
    from roofline.report.points import brief
    from roofline.report.rooflines import rooflines
    from roofline.search.sweep import Sweep

    runs: dict[str, SweepRun] = {}
    for name, given in GALLERY.items():
        sweep = Sweep.prepare(device=load_device(given["device"]), space=space, references=["none"])
        runs[name] = sweep.run(sweep.problem())
    # One model under all roofs: what the first device, the slowest of them, should train.
    first = next(iter(runs.values()))
    one = first.architectures()[[first.knee]]
    points = {}
    for name, run in runs.items():
        found = run.sweep.estimate(one, breakdown=True)
        points[name] = rooflines(found, run.device, run.processor, arch=one).at(0)
    roofs = roofs_figure(points)
    said = brief(first.front.loc[first.knee])
    write_title(roofs, f"One model on {len(runs)} devices: {said}\n"
                "Thick: attainable roofs; thin: data sheets; decode is its first step")  # fmt: skip
    table = comparison_table(runs)
    target.mkdir(parents=True, exist_ok=True)
    fronts_figure(runs).savefig(target / "front.png", dpi=150)
    roofs.savefig(target / "roofline.png", dpi=150)
    for name, run in runs.items():
        (target / f"sweep-{name}.yaml").write_text(run.sweep.to_yaml(), encoding="utf-8")
    fronts_table(runs).to_csv(target / "front.csv", index=False, float_format="%.6g")
    table.to_csv(target / "choices.csv", index=False, float_format="%.6g")
    told = {name: run.to_dict() | {"points": None} for name, run in runs.items()}
    (target / "summary.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    (target / "README.md").write_text(_page(runs, table), encoding="utf-8")


def _page(runs: dict[str, SweepRun], table: Any) -> str:
    """The comparison as a page of Markdown: one row a budget, one column a device."""
    from roofline.report.diffusion import markdown_table

    lines = [
        "# One space, three devices",
        "",
        "Written by `python -m roofline.report`. Every device is asked for the same front, without "
        "limits; each cell is the best model that is as fast as its row asks: its loss, parameters "
        "(active) and what binds its decoding. `roofline sweep --repeat sweep-phone.yaml -o again` "
        "repeats one of them, with its page.",
        "",
        "![Fronts](front.png)",
        "",
    ]
    rows = []
    for seconds, part in table.groupby("budget_s"):
        cells = [f"{1e3 * seconds:g} ms"]
        for name in runs:
            member = part[part["device"] == name].iloc[0]
            cells.append(_cell(member))
        rows.append(cells)
    heads = ["TPOT at most", *(f"{name}: {run.device.title}" for name, run in runs.items())]
    lines += markdown_table(heads, rows)
    lines += ["", "What the times rest on:", ""]
    lines += [
        f"- {name}: {run.processor} under {run.runtime}; {run.basis}; nine of ten measured decode "
        "times lie within {:.2f} to {:.2f} times the prediction".format(*run.intervals["decode"])
        for name, run in runs.items()
    ]
    lines += ["", "![The phone's knee on all three](roofline.png)", ""]
    return "\n".join(lines)


def _cell(member: Any) -> str:
    from roofline.cli import show

    if not member["architecture"]:
        return "none is as fast"
    size, active = show.count(member["parameters"]), show.count(member["active_parameters"])
    beyond = "" if member["in_range"] else ", beyond the law's data"
    return (
        f"{member['loss']:.3f}; {size} ({active}) in {member['weight_format']}; "
        f"{member['decode_bound']}{beyond}"
    )


if __name__ == "__main__":
    sys.exit(main())
