"""The report of the paper's experiment: tables, a figure, and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from roofline.budgets.paper import (
    FORMATS,
    MODES,
    PUBLISHED,
    WORKLOAD,
    Experiment,
    Gain,
    describe,
    formats_said,
)
from roofline.drawing.labels import DPI, name_point, place_labels
from roofline.drawing.style import BLUE, FAINT, ORANGE, STYLE
from roofline.drawing.titles import write_title
from roofline.outputs import save_figure, write_text
from spec_files import format_quantity

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

_COLOURS = {"fp16": BLUE, "int8": ORANGE}
_TITLES = {"ideal": "Engine's floor, as the paper's roofline", "calibrated": "Calibrated engine"}
_REFERENCE = "Qwen2.5-0.5B"
_NINETY = 1.645
_DENSE_SLOPE = 0.45
"""Measured over predicted differences of dense models, Gemstones in range (law's own notes)."""


def write_report(experiment: Experiment, folder: Path) -> list[Path]:
    """Write README.md, findings.csv, gains.csv, the fronts and the figure; return the files."""
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "findings.csv": pd.DataFrame(
            [
                {"engine": f.mode, "claim": f.claim, "holds": f.holds, "measured": f.measured}
                for f in experiment.findings()
            ]
        ),
        "gains.csv": _gains(experiment),
    }
    for precision in FORMATS:
        for mode in MODES:
            tables[f"front-{precision}-{mode}.csv"] = experiment.table(precision, mode)
    for name, table in tables.items():
        write_text(folder / name, table.to_csv(index=False, float_format="%.6g"))
    save_figure(front_figure(experiment), folder, "front")
    write_text(folder / "README.md", report(experiment))
    return [*(folder / name for name in tables), folder / "front.png", folder / "README.md"]


def _gains(experiment: Experiment) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "precision": gain.precision,
                "engine": gain.mode,
                "equal": gain.time,
                "ffn_ratios": gain.grid,
                "reference_s": gain.limit,
                "candidate_s": gain.seconds,
                "nats": gain.nats,
                "perplexity_change": gain.change,
                "candidate": describe(experiment, gain.row),
            }
            for gain in [*experiment.gains(), experiment.gain_by_theory()]
        ]
    )


def report(experiment: Experiment) -> str:
    """Return the report as Markdown; every number is computed here."""
    law, device = experiment.law, experiment.device
    best = experiment.gain("fp16", "ideal")
    published = PUBLISHED["perplexity"] / PUBLISHED["reference"] - 1
    lines = [
        "# The headline experiment of the co-design law, repeated",
        "",
        f"`python -m roofline.budgets` writes this folder. Source: {law.source}. All "
        f"{len(experiment.loss):,} candidates of its grid (space `paper-grid`; the paper counts "
        f"{PUBLISHED['candidates']:,}, and does not publish its FFN ratios) on {device.title}, "
        f"batch {WORKLOAD.batch}, {WORKLOAD.prompt} tokens read, {WORKLOAD.generate} generated, in "
        f"two precisions ({formats_said()}). Losses by law `{law.name}`, without what a number "
        "format adds.",
        "",
        f"At {_REFERENCE}'s latency ({_seconds(best.limit)} by the engine's floor, in fp16) the "
        f"best candidate is {describe(experiment, best.row)}: {best.nats:+.4f} nats, a perplexity "
        f"{best.change:+.2%}. The paper publishes {published:+.2%} ({PUBLISHED['perplexity']} "
        f"against {PUBLISHED['reference']} on WikiText-2, {np.log1p(published):+.4f} nats).",
        "",
        "![Fronts of loss and latency](front.png)",
        "",
        "## Predicted perplexity at equal time",
        "",
        f"Against {_REFERENCE} of loss {experiment.reference_loss:.4f}, inside the one law.",
        "",
        "| engine | precision | equal | reference | nats | perplexity | candidate |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {gain.mode} | {gain.precision} | {gain.time} | {_seconds(gain.limit)} | "
            f"{gain.nats:+.4f} | {gain.change:+.2%} | {describe(experiment, gain.row)} |"
            for gain in experiment.gains()
            if gain.grid == "all"
        ),
        "",
        "## Why it differs from the published number",
        "",
        _why(experiment, best, published),
        "",
        "## The paper's findings, held against this front",
        "",
        "| finding | engine's floor | calibrated | measured (floor; calibrated) |",
        "|---|---|---|---|",
        *_findings(experiment),
        "",
        "The front is that of loss and total latency in fp16 unless a finding names another. "
        '"Most" is over half, a rule without exceptions named over nine in ten, "often" over a '
        "third.",
        "",
    ]
    return "\n".join(lines)


def _why(experiment: Experiment, best: Gain, published: float) -> str:
    law = experiment.law
    theory, calibrated = experiment.gain_by_theory(), experiment.gain("fp16", "calibrated")
    others = [gain for gain in experiment.gains() if gain.grid != "all"]
    ratios = ", ".join(f"{gain.change:+.2%} with {gain.grid}" for gain in others)
    nats = float(np.log1p(published))
    scaled = float(np.expm1(_DENSE_SLOPE * best.nats))
    inside = "inside" if experiment.in_range[best.row] else "outside"
    parts = [
        f"The law predicts {best.nats / nats:.2f} times the published difference in nats.",
        f"Perplexities on WikiText-2 are of other text than the law's training data "
        f"({law.data}): a difference on one is not the difference on the other.",
        f"The candidate lies {inside} the law's fitted range, but the reference's shape (24 layers "
        "of width 896, FFN ratio 5.43) is dense, and measured differences between dense models are "
        f"{_DENSE_SLOPE:g} of the law's, so what it says of a dense reference is the weaker half; "
        f"scaled by that the gain would be {scaled:+.2%}, and the published one lies "
        f"{'between' if scaled >= published >= best.change else 'beyond both'}.",
    ]
    if law.sd is not None:
        low, high = (np.expm1(best.nats + sign * _NINETY * law.sd) for sign in (-1, 1))
        verdict = "inside" if low <= published <= high else "outside"
        parts.append(
            f"With the law's error of {law.sd:g} nats between candidates nine of ten gains would "
            f"lie within {low:+.1%} to {high:+.1%}; the published one is {verdict}."
        )
    parts += [
        f"The FFN ratios of the paper's grid are not published; other choices give {ratios}, so "
        f"they {_matters(best, others)}.",
        f"The engine counts head, norms, scores and each expert that a prompt meets, which the "
        f"theory does not: by the theory's costs the gain would be {theory.change:+.2%} "
        f"({describe(experiment, theory.row)}).",
        f"By the calibrated engine, where experts and kernels cost what was measured, it is "
        f"{calibrated.change:+.2%} ({describe(experiment, calibrated.row)}).",
    ]
    return " ".join(parts)


def _matters(best: Gain, others: list[Gain]) -> str:
    spread = max(abs(gain.change - best.change) for gain in others)
    return f"move it by up to {100 * spread:.1f} points"


def _findings(experiment: Experiment) -> list[str]:
    by_mode = {
        mode: [found for found in experiment.findings() if found.mode == mode] for mode in MODES
    }
    return [
        f"| {ideal.claim} | {ideal.holds} | {real.holds} | {ideal.measured}; {real.measured} |"
        for ideal, real in zip(by_mode["ideal"], by_mode["calibrated"], strict=True)
    ]


def _seconds(value: float) -> str:
    return format_quantity(value, "time", digits=4)


def front_figure(experiment: Experiment) -> Figure:
    """Draw loss against total latency: every front, the reference, the best at its latency."""
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(10.4, 5.2), dpi=DPI, layout="constrained")
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for panel, mode in zip(panels, MODES, strict=True):
            _draw(panel, experiment, mode)
            panel.set_title(_TITLES[mode], fontsize=9)
        panels[0].set_ylabel("Loss (nats per token)")
        write_title(
            figure,
            f"What the best shapes gain at the latency of {_REFERENCE}: {experiment.device.title}\n"
            f"Losses by: {experiment.law.title}; batch {WORKLOAD.batch}, {WORKLOAD.prompt} tokens "
            f"read, {WORKLOAD.generate} generated; {len(experiment.loss):,} candidates of the "
            "paper's grid; small grey dots: all of them in fp16; hollow: dense",
        )
        figure.draw_without_rendering()
        for panel, mode in zip(panels, MODES, strict=True):
            place_labels(panel, _labels(panel, experiment, mode))
            panel.scatter(  # last, for labels may stand on it
                experiment.settings["fp16", mode].times["latency"], experiment.loss, s=2,
                color=FAINT, alpha=0.35, lw=0, zorder=1, rasterized=True,
            )  # fmt: skip
    return figure


def _draw(panel: Axes, experiment: Experiment, mode: str) -> None:
    for precision, colour in _COLOURS.items():
        setting = experiment.settings[precision, mode]
        seconds = setting.times["latency"]
        rows = experiment.front(precision, mode)
        dense = experiment.arch.experts[rows] == 1
        for held, face in ((~dense, colour), (dense, "white")):
            panel.scatter(
                seconds[rows[held]], experiment.loss[rows[held]], s=9, facecolors=face,
                edgecolors=colour, lw=0.7, zorder=3,
            )  # fmt: skip
        reference = setting.reference["latency"]
        best = experiment.gain(precision, mode)
        panel.plot(
            [reference, reference], [experiment.reference_loss, experiment.loss[best.row]],
            color=colour, lw=0.9, ls=(0, (3, 2)), zorder=2,
        )  # fmt: skip
        panel.scatter(
            [reference], [experiment.reference_loss], s=40, marker="s", facecolors="white",
            edgecolors=colour, lw=1.3, zorder=5,
        )  # fmt: skip
        panel.scatter(
            [best.seconds], [experiment.loss[best.row]], s=130, marker="*", facecolors=colour,
            edgecolors="white", lw=0.7, zorder=5,
        )  # fmt: skip
    every = np.concatenate([each.times["latency"] for each in experiment.settings.values()])
    low, high = experiment.loss.min(), experiment.loss.max()
    panel.set(
        xscale="log", xlabel="Total latency (s)", xlim=(every.min() / 1.3, every.max() * 1.3),
        ylim=(low - 0.15, high + 0.1),
    )  # fmt: skip
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.grid(color=FAINT, alpha=0.35, lw=0.5)


def _labels(panel: Axes, experiment: Experiment, mode: str) -> list[Annotation]:
    labels = []
    for precision, colour in _COLOURS.items():
        setting = experiment.settings[precision, mode]
        best = experiment.gain(precision, mode)
        at = (setting.reference["latency"], experiment.reference_loss)
        labels.append(name_point(panel, f"{_REFERENCE}, {precision}", at, colour))
        at = (best.seconds, float(experiment.loss[best.row]))
        change = f"{best.change:+.1%}".replace("-", "\N{MINUS SIGN}")
        labels.append(name_point(panel, f"perplexity {change}", at, colour))
        rows = experiment.front(precision, mode)
        near = rows[np.argmin(abs(experiment.loss[rows] - 3.7))]  # where the fronts lie apart
        at = (float(setting.times["latency"][near]), float(experiment.loss[near]))
        labels.append(name_point(panel, f"front, {precision}", at, colour))
    return labels
