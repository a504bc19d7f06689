"""What a fit says to a person: tables, a figure of residuals, and the folder that holds them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.fitting.fit import Fit
from roofline.fitting.holdout import HeldOut
from roofline.laws.variables import VARIABLES
from roofline.outputs import whole_folder, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = list[list[str]]


def coefficient_rows(fit: Fit) -> Rows:
    """Return a row a coefficient: name, value, 95 % interval, whether the runs tell it."""
    return [
        [
            each.name,
            f"{each.value:.5g}",
            "–" if math.isnan(each.low) else f"{each.low:.4g} to {each.high:.4g}",
            _verdict(each.why, math.isnan(each.low)),
        ]
        for each in fit.coefficients
    ]


def held_out_rows(found: Sequence[HeldOut]) -> Rows:
    """Return a row a form: coefficients, errors on the fitted and on the held-out rows."""
    return [
        [
            each.form,
            str(each.coefficients),
            f"{each.mape_fitted:.2%}",
            f"{each.mape:.2%}",
            f"{each.bias:+.2%}",
            f"{each.worst:+.2%}",
        ]
        for each in found
    ]


COEFFICIENTS = ("coefficient", "value", "95 % interval", "told by the runs")
HELD_OUT = ("form", "coefficients", "MAPE, fitted", "MAPE, held out", "bias", "worst")


def sentences(fit: Fit) -> list[str]:
    """Return what else there is to know, one sentence each."""
    told = [
        f"{fit.runs.describe()}: MAPE {fit.mape:.2%}, bias {fit.bias:+.2%}; "
        f"{fit.agreeing:.0%} of the starts found this fit."
    ]
    if fit.agreeing < 0.05 or (fit.starts > 1 and fit.agreeing * fit.starts < 1.5):
        told.append("Few starts found it: try more (--starts), or narrower start ranges.")
    told += [
        f"{first} and {second} move together (correlation {r:+.3f}): the interval of each allows "
        "for the other, and their joint effect is known better than either."
        for first, second, r in fit.together
    ]
    return told


def as_dict(fit: Fit, held: Sequence[HeldOut] = ()) -> dict[str, Any]:
    """Return a fit as plain values, for JSON."""
    return {
        "form": fit.law.form,
        "data": fit.runs.describe(),
        "sha256": fit.runs.sha256,
        "rows": len(fit.runs),
        "mape": fit.mape,
        "bias": fit.bias,
        "huber_delta": fit.delta,
        "cost": fit.cost,
        "starts_agreeing": fit.agreeing,
        "coefficients": {
            each.name: {
                "value": each.value,
                "low": _known(each.low),
                "high": _known(each.high),
                "told": each.told,
                "why_not": each.why or None,
            }
            for each in fit.coefficients
        },
        "together": [list(pair) for pair in fit.together],
        "held_out": [
            {
                "form": each.form,
                "coefficients": each.coefficients,
                "fitted_rows": each.fitted,
                "held_out_rows": each.held,
                "mape_fitted": each.mape_fitted,
                "mape": each.mape,
                "bias": each.bias,
                "worst": each.worst,
            }
            for each in held
        ],
    }


def markdown(fit: Fit, held: Sequence[HeldOut] = (), title: str = "") -> str:
    """Return the tables and sentences of a fit as a page of Markdown."""
    parts = [f"# {title or fit.law.form}", "", *_grid(COEFFICIENTS, coefficient_rows(fit)), ""]
    parts += [f"- {sentence}" for sentence in sentences(fit)]
    if held:
        first = held[0]
        parts += ["", f"Fitted on {first.fitted} rows, held out {first.held}:", ""]
        parts += _grid(HELD_OUT, held_out_rows(held))
    return "\n".join([*parts, "", "![Residuals](residuals.png)", ""])


def residual_figure(fit: Fit, held: HeldOut | None = None, title: str = "") -> Figure:
    """Draw residuals against size, tokens (or the law's first variables) and the prediction.

    held: rows that a fit on the others predicted, drawn beside those that were fitted.
    """
    import matplotlib as mpl
    import matplotlib.style
    from matplotlib.figure import Figure

    from roofline.drawing.style import BLUE, FAINT, GREY, ORANGE, STYLE
    from roofline.drawing.titles import write_title

    rest = held.fit if held is not None and held.fit is not None else fit
    shown = [name for name in ("parameters", "tokens") if rest.runs.column_of(name) is not None]
    shown += [name for name in rest.law.variables if name not in shown]
    shown = [*shown[:2], "predicted"]
    fitted = 100 * np.expm1(rest.residuals)
    sets = [("Fitted", rest.runs, fitted, BLUE, "o")]
    if held is not None and held.fit is not None:
        sets.append(("Held out", held.runs, 100 * held.errors, ORANGE, "D"))
    with mpl.style.context(["default", STYLE]):
        figure = Figure(figsize=(10, 4.0), layout="constrained", dpi=150)
        axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axis, name in zip(axes, shown, strict=True):
            for label, runs, errors, colour, mark in sets:
                across = rest.predict(runs) if name == "predicted" else runs.numbers(name)
                axis.plot(across, errors, mark, ms=4, alpha=0.6, mew=0, color=colour, label=label)
            low, high = axis.dataLim.intervalx
            if name != "predicted" and 0 < 3 * low < high:
                _logarithmic(axis, high / low)
            axis.axhline(0, color=GREY, lw=0.8, zorder=0)
            words = "predicted loss" if name == "predicted" else VARIABLES[name].title
            axis.set_xlabel(words[:1].upper() + words[1:])
            axis.grid(color=FAINT, alpha=0.35, lw=0.5)
        axes[0].set_ylabel("Predicted over measured loss (%)")
        if len(sets) > 1:
            figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
        write_title(figure, f"Residuals of {title or fit.law.form}\n{rest.runs.describe()}")
    return figure


def write_report(folder: Path, fit: Fit, held: Sequence[HeldOut] = (), title: str = "") -> None:
    """Write page, figure, residuals and JSON into a folder, whole or not at all.

    Raises SpecError for a folder that holds something already.
    """
    with whole_folder(folder, "--report") as draft:
        write_text(draft / "report.md", markdown(fit, held, title))
        residual_figure(fit, held[0] if held else None, title).savefig(draft / "residuals.png")
        write_text(draft / "fit.json", json.dumps(as_dict(fit, held), indent=2) + "\n")
        table = fit.runs.table.assign(predicted=fit.predict(fit.runs), residual=fit.residuals)
        table.to_csv(draft / "residuals.csv", index=False)


def _logarithmic(axis: Axes, span: float) -> None:
    """Make an axis logarithmic, with counts that do not run into each other: 50M, 1B."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if span < 100 else (1.0,), numticks=12))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _count(value)))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _count(value: float) -> str:
    for scale, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:g}{suffix}"
    return f"{value:g}"


def _grid(names: Sequence[str], rows: Rows) -> list[str]:
    lines = [f"| {' | '.join(names)} |", f"|{'|'.join(['---'] * len(names))}|"]
    return lines + [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]


def _verdict(why: str, no_interval: bool) -> str:
    return why or ("–" if no_interval else "yes")


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
