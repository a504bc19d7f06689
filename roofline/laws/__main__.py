"""Derive again what is shipped beside the laws; prints it, or writes it where it belongs.

    ROOFLINE_DATA=folder python -m roofline.laws curves [--out roofline/laws/curves]
    python -m roofline.laws codesign
    python -m roofline.laws table [--out docs]

curves: loss against task accuracy, from the registered data sets. codesign: the uncertainty of the
co-design law's coefficients. table: the laws and the curves as docs/laws.md has them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from roofline.fitting.datasets import datasets, locate
from roofline.laws.accuracy import SHAPES, curve_names, fit_curve, load_curve
from roofline.laws.derived import codesign_uncertainty
from roofline.laws.forms.codesign import CodesignLaw
from roofline.laws.law import Law, formula, law_names, load_law
from roofline.laws.prediction import errors_known, ranges
from spec_files import SpecError

TASKS = {
    "arc-challenge": ("arc:challenge", "ARC challenge"),
    "arc-easy": ("arc:easy", "ARC easy"),
    "commonsense-qa": ("commonsense_qa", "CommonsenseQA"),
    "hellaswag": ("hellaswag", "HellaSwag"),
    "mmlu": ("mmlu", "MMLU"),
    "openbookqa": ("openbookqa", "OpenBookQA"),
    "piqa": ("piqa", "PIQA"),
    "siqa": ("siqa", "Social IQa"),
    "winogrande": ("winogrande", "WinoGrande"),
    "mean-of-9": ("avg", "mean of nine tasks"),
}
"""Columns of the Gemstones table, by the names of the curves."""
GEMSTONES = ["gemstones-hot", "gemstones-cooldown", "gemstones-refit"]
OVER_TRAINING = ["gadre-c4", "gadre-rpj", "gadre-rw"]
MARK = "<!-- python -m roofline.laws table --out docs -->"
"""What stands before the generated part of docs/laws.md."""
LOW = 2.8
"""Nats: checkpoints below it are what the forms are compared on."""


def curves() -> dict[str, dict[str, Any]]:
    """Return every curve as its file has it, fitted again."""
    import pandas as pd

    table = pd.read_csv(locate("gemstones-accuracy"), index_col=0)
    seen = (table["final_loss"] > LOW).to_numpy()
    own = {
        "losses": "Gemstones' validation text (Dolma)",
        "laws": GEMSTONES,
        **_origin("gemstones-accuracy", "2025-02"),
    }
    how = f"checkpoints below {LOW:g} nats, predicted from those above"
    found = {
        name: {"title": f"{title}, Gemstones"}
        | _chosen(table["final_loss"], table[column], seen, how, tuple(SHAPES))
        | own
        for name, (column, title) in TASKS.items()
    }
    table = pd.read_csv(locate("gadre-errors"))
    seen = ~table["name"].str.contains("open_lm_1b|open_lm_7b").to_numpy()
    own = {
        "losses": "C4, models trained on C4, RedPajama and RefinedWeb",
        "laws": OVER_TRAINING,
        **_origin("gadre-errors", "2024-03"),
    }
    how = "models of 1.4B and 6.9B, predicted from smaller ones"
    fitted = _chosen(table["c4"], 1 - table["err46"], seen, how, ("exponential",))
    found["mean-of-46"] = {"title": "mean of 46 evaluations, over-training runs"} | fitted | own
    return found


def _origin(name: str, date: str) -> dict[str, str]:
    entry = datasets()[name]
    words = {"source": entry.source, "date": date, "origin": entry.origin}
    return words | {"licence": entry.licence}


def _chosen(
    losses: Any, accuracies: Any, seen: Any, how: str, forms: tuple[str, ...]
) -> dict[str, Any]:
    """Fit each form to what is seen, and the one that predicts the rest best to everything."""
    loss, share = np.asarray(losses, float), np.asarray(accuracies, float)
    errors = {}
    for form in forms:
        coefficients, _ = fit_curve(loss[seen], share[seen], form)
        left = SHAPES[form].of(loss[~seen], *coefficients.values()) - share[~seen]
        errors[form] = float(np.sqrt(np.mean(left**2)))
    best = min(errors, key=lambda form: errors[form])
    coefficients, rmse = fit_curve(loss, share, best)
    told = ", ".join(f"{form} {error:.4f}" for form, error in errors.items())
    return {
        "form": best,
        "coefficients": {name: float(f"{value:.6g}") for name, value in coefficients.items()},
        "loss_range": [float(f"{end:.4f}") for end in (loss.min(), loss.max())],
        "rmse": float(f"{rmse:.4f}"),
        "held_out": f"RMSE on {how}: {told}",
        "points": len(loss),
    }


def table() -> str:
    """Return the laws and the curves as tables in Markdown."""
    laws = [load_law(name) for name in law_names()]
    lines = [
        "| law | formula | sees | fitted on | range | errors known | how far to trust it |",
        "|---|---|---|---|---|---|---|",
    ]
    for law in laws:
        text = " ; ".join(line.strip() for line in formula(law).splitlines())
        unit = "" if law.has_perplexity else f"; {law.unit}"
        data = law.data.partition(", SHA-256")
        fit = data[2].partition(";")[2]
        cells = [
            f"`{law.name}`: {law.title}; {law.source}{unit}",
            f"`{text}`",
            ", ".join([*law.variables, *sorted(law.covers - set(law.variables))]),
            data[0] + (f";{fit}" if fit else ""),
            ", ".join(_ranges(law)),
            errors_known(law),
            law.trust or "not checked here beyond its own runs",
        ]
        lines.append(_row(cells))
    lines += [
        "",
        "| curve | form | losses | from, to | RMSE | error on what the fit had not seen |",
        "|---|---|---|---|---|---|",
    ]
    for name in curve_names():
        curve = load_curve(name)
        low, high = curve.loss_range
        rmse = f"{100 * curve.rmse:.2f} points"
        ends = f"{low:.2f}, {high:.2f}"
        told = f"`{name}`: {curve.title}; {curve.source}"
        lines.append(_row([told, curve.form, curve.losses, ends, rmse, curve.held_out]))
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "/") for cell in cells) + " |"


def _ranges(law: Law) -> list[str]:
    return [f"{name} {low:g} to {high:g}" for name, (low, high) in ranges(law).items()]


def main(arguments: list[str] | None = None) -> int:
    """Run one of the derivations."""
    parser = argparse.ArgumentParser(prog="python -m roofline.laws", description=__doc__)
    parser.add_argument("what", choices=("curves", "codesign", "table"))
    parser.add_argument("--out", type=Path, help="folder of the curves, or of laws.md")
    options = parser.parse_args(arguments)
    if options.what == "codesign":
        law = load_law("codesign")
        assert isinstance(law, CodesignLaw)
        known = codesign_uncertainty(law).model_dump(mode="json", exclude_defaults=True)
        print(yaml.safe_dump({"uncertainty": known}, sort_keys=False, default_flow_style=None))
        return 0
    if options.what == "table":
        if options.out is None:
            print(table())
        else:
            page = options.out / "laws.md"
            head = page.read_text().partition(MARK)[0]
            page.write_text(f"{head}{MARK}\n\n{table()}")
        return 0
    try:
        found = curves()
    except SpecError as wrong:
        print(f"roofline.laws: {wrong}", file=sys.stderr)
        return 2
    for name, fields in found.items():
        text = yaml.safe_dump(fields, sort_keys=False, width=100, default_flow_style=None)
        if options.out is None:
            print(f"# {name}\n{text}")
        else:
            (options.out / f"{name}.yaml").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
