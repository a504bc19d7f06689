"""`roofline laws`: which loss laws there are, what each sees, and how far to trust it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli import options, show

if TYPE_CHECKING:
    from roofline.laws import Law
    from roofline.laws.accuracy import Curve

laws = typer.Typer(invoke_without_command=True)


@laws.callback()
def list_laws(
    context: typer.Context,
    sees: Annotated[
        list[str] | None,
        typer.Option(
            help="Only laws of this variable: width, layers, tokens, weight_format, ...; repeat "
            "for several.",
            metavar="VARIABLE",
        ),
    ] = None,
    form: Annotated[
        str | None, typer.Option(help="Only fits of this form.", metavar="FORM")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the loss laws, by filters that combine; show one; list curves to task accuracy.

    **Examples**

    `roofline laws`: each with its unit, what it sees and the data behind it.

    `roofline laws --sees width --sees layers`: those that tell shapes of one size apart.

    `roofline laws --form chinchilla --json`

    `roofline laws show codesign`: formula, coefficients with intervals, range and trust.

    `roofline laws curves`: each with its error and the losses that it reads.

    Losses of two laws are of different data: they are never to be subtracted from each other.
    """
    if context.invoked_subcommand:
        options.refuse_early(context)
        return
    from roofline.laws import law_names, load_law
    from roofline.laws.prediction import errors_known

    found = _chosen([load_law(name) for name in law_names()], sees or [], form)
    if as_json:
        show.print_json([_as_data(law) for law in found])
        return
    show.table(
        f"{len(found)} laws",
        ["name", "unit", "sees", "data", "tokens", "errors known"],
        [
            [
                law.name,
                law.unit,
                ", ".join(_seen(law)),
                law.data.split(", SHA-256")[0],
                show.count(law.tokens) + ("" if law.free_tokens else " only"),
                errors_known(law),
            ]
            for law in found
        ],
    )
    show.note("Losses of two laws are of different data: never subtract one from the other.")


def _chosen(found: list[Law], sees: list[str], form: str | None) -> list[Law]:
    """The laws that pass every filter; SpecError for a filter that no law could pass."""
    from roofline.laws.law import law_forms
    from spec_files import SpecError, did_you_mean

    known = sorted({name for law in found for name in _seen(law)})
    for name in sees:
        if name not in known:
            raise SpecError(f"--sees: no law sees {name!r}{did_you_mean(name, known)}")
    form = form and form.replace("-", "_")  # as `roofline fit` writes them
    if form is not None and form not in law_forms():
        raise SpecError(f"--form: unknown form of law {form!r}{did_you_mean(form, law_forms())}")
    return [law for law in found if {*sees} <= {*_seen(law)} and form in (None, law.form)]


def _seen(law: Law) -> list[str]:
    """Variables of a law, and columns of formats whose effect it holds."""
    return [*law.variables, *sorted(law.covers - set(law.variables))]


def _as_data(law: Law) -> dict[str, object]:
    return {
        "name": law.name,
        "form": law.form,
        "title": law.title,
        "unit": law.unit,
        "variables": list(law.variables),
        "covers": sorted(law.covers),
        "source": law.source,
        "date": law.date,
        "data": law.data,
        "tokens": law.tokens,
        "free_tokens": law.free_tokens,
        "sd": law.sd,
        "uncertainty": law.uncertainty is not None,
        "trust": law.trust,
    }


@laws.command("show")
def show_law(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE")], as_json: options.Json = False
) -> None:
    """Print one law: formula, coefficients, range, and how far to trust it.

    **Examples**

    `roofline laws show codesign`: formula, coefficients with intervals, range and trust.

    `roofline laws show chinchilla --json`
    """
    from roofline.laws import load_law
    from roofline.laws.law import formula
    from roofline.laws.prediction import ranges

    law = load_law(name)
    spreads = _spreads(law)
    if as_json:
        whole = law.model_dump(mode="json", exclude_none=True)
        ends = {
            key: [low, None if high == float("inf") else high]
            for key, (low, high) in ranges(law).items()
        }
        more = {"formula": formula(law), "coefficients": law.coefficients(), "ranges": ends}
        show.print_json(_as_data(law) | whole | more)
        return
    show.note(f"{law.name}: {law.title} ({law.form}), {law.unit}")
    show.note("\n".join(f"    {line}" for line in formula(law).splitlines()))
    show.table(
        "Coefficients",
        ["name", "value", "90 % interval"],
        [[key, f"{value:.6g}", spreads.get(key, "")] for key, value in law.coefficients().items()],
    )
    if spans := ranges(law):
        rows = [[name, f"{low:g}", f"{high:g}"] for name, (low, high) in spans.items()]
        show.table("Range of the fitted data", ["of", "from", "to"], rows)
    show.note(f"Sees: {', '.join(_seen(law))}.")
    show.note(f"Source: {law.source}, {law.date}.")
    show.note(f"Data: {law.data}.")
    tokens = f"Training tokens: {show.count(law.tokens)}"
    show.note(f"{tokens}{' unless --tokens says otherwise' if law.free_tokens else ' only'}.")
    if law.uncertainty is not None:
        show.note(f"Errors of the coefficients: {law.uncertainty.basis}.")
        share = f"{law.uncertainty.residual:.2%}"
        show.note(f"One run lies around the law with a standard deviation of {share} of the loss.")
    sd = "unknown" if law.sd is None else f"standard deviation {law.sd:.3g}"
    show.note(f"Error of a predicted difference between two candidates: {sd}.")
    show.note(f"How far to trust it: {law.trust or 'not checked here beyond its own runs.'}")


def _spreads(law: Law) -> dict[str, str]:
    """Ends of the 90 % interval of each coefficient, where they are known."""
    import numpy as np

    if law.uncertainty is None:
        return {}
    drawn = law.draws(2000).coefficients()
    ends = {key: np.quantile(drawn[key], (0.05, 0.95)) for key in law.uncertainty.coefficients}
    return {key: f"{low:.4g} to {high:.4g}" for key, (low, high) in ends.items()}


@laws.command("curves")
def list_curves(as_json: options.Json = False) -> None:
    """List the curves from loss to task accuracy that `--task` takes, and their errors.

    **Examples**

    `roofline laws curves`: each with its error and the losses that it reads.

    `roofline laws curves --json`
    """
    from roofline.laws.accuracy import curve_names, load_curve

    found = [load_curve(name) for name in curve_names()]
    if as_json:
        show.print_json([curve.model_dump(mode="json") for curve in found])
        return
    show.table(
        "Curves from loss to task accuracy",
        ["name", "title", "form", "losses", "from to", "RMSE", "points", "licence"],
        [_curve_row(curve) for curve in found],
    )
    for curve in found:
        show.note(f"{curve.name}: {curve.held_out}.")
    for source in dict.fromkeys(f"{c.source}, {c.date}; {c.origin}" for c in found):
        show.note(f"Source: {source}.")


def _curve_row(curve: Curve) -> list[str]:
    low, high = curve.loss_range
    span, rmse = f"{low:.2f} {high:.2f}", f"{100 * curve.rmse:.2f} points"
    return [
        curve.name, curve.title, curve.form, curve.losses, span, rmse, str(curve.points),
        curve.licence,
    ]  # fmt: skip
