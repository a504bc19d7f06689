"""A fit as a law: the YAML file that `--law` takes."""

from __future__ import annotations

from datetime import date as today
from typing import Any

import numpy as np

from roofline.fitting.fit import Fit
from roofline.fitting.runs import Runs
from roofline.laws.forms.expression import ExpressionLaw
from roofline.laws.law import Law, Uncertainty, law_forms, law_from
from roofline.laws.variables import VARIABLES
from spec_files import SpecError, validate_spec

_DIGITS = 7  # of coefficients
_SAMPLES = 200  # of the bootstrap, kept where coefficients trade along a curve
_EXACT = 10  # of covariances, which rounding must not turn indefinite


def fitted_law(
    fit: Fit,
    name: str,
    *,
    title: str | None = None,
    source: str | None = None,
    date: str | None = None,
    tokens: float | None = None,
) -> Law:
    """Return the law that a fit found, whole: coefficients, range, uncertainty and what of.

    tokens: training tokens that its losses belong to; by default the runs' own. Raises SpecError
    where neither says, or where the runs do not state a part of the form's range.
    """
    law, runs = fit.law, fit.runs
    when = date or today.today().isoformat()
    words = {
        "name": name,
        "form": law.form,
        "title": title or f"{name}, fitted",
        "source": source or "fitted with roofline fit",
        "date": when,
        "data": _data(fit),
        "tokens": _tokens(runs, law, tokens),
        "sd": _rounded(np.sqrt(2) * _residual(fit) * float(np.median(runs.loss()))),
    }
    fields = words | _formula(fit)
    if "range" in type(law).model_fields:
        fields["range"] = _range(law, runs)
    if (spread := uncertainty(fit)) is not None:
        fields["uncertainty"] = spread.model_dump(mode="json")
    if law_forms().get(law.form) is type(law):
        return law_from(fields, name)
    return validate_spec(fields, type(law), name)


def uncertainty(fit: Fit) -> Uncertainty | None:
    """Return the spread of a fit's coefficients; None where nothing was resampled."""
    if len(fit.replicates) < 2:
        return None
    model = fit.model
    covariance = np.atleast_2d(np.cov(fit.replicates.T))
    groups = len(np.unique(fit.runs.groups()))
    # Where runs leave a coefficient open, replicates lie along a curve that no covariance follows.
    bent = any(each.why not in ("", "held") for each in fit.coefficients)
    samples = fit.replicates[:_SAMPLES] if bent else fit.replicates[:0]
    return Uncertainty(
        coefficients=model.names,
        scale=tuple("log" if log else "linear" for log in model.logs),
        covariance=tuple(tuple(_rounded(v, _EXACT) for v in row) for row in covariance),
        residual=_rounded(_residual(fit)),
        basis=f"bootstrap of {groups} whole runs, {len(fit.replicates)} replicates",
        samples=tuple(tuple(_rounded(v) for v in row) for row in samples),
    )


def to_yaml(law: Law) -> str:
    """Return a law as the text of its file."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Short lists of numbers on one line."""

    Dumper.add_representer(
        tuple, lambda d, v: d.represent_sequence("tag:yaml.org,2002:seq", list(v), flow_style=True)
    )
    Dumper.add_representer(float, _written)
    fields = law.model_dump(exclude_none=True, exclude_defaults=True)
    if (spread := fields.get("uncertainty")) is not None:
        for name in {"covariance", "samples"} & set(spread):
            spread[name] = list(spread[name])  # a row a line
    return yaml.dump(fields, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)


def check_range(law: Law, runs: Runs, tokens: float | None) -> None:
    """Raise SpecError where the runs do not state what the law's file must: before a long fit."""
    _tokens(runs, law, tokens)
    if "range" in type(law).model_fields:
        _range(law, runs)


def _data(fit: Fit) -> str:
    sha = f", SHA-256 {fit.runs.sha256}" if fit.runs.sha256 else ""
    held = [
        f"{each.name} held at {each.value:g}" for each in fit.coefficients if each.why == "held"
    ]
    untold = [each.name for each in fit.coefficients if each.why not in ("", "held")]
    parts = [
        f"{fit.runs.describe()}{sha}; MAPE {fit.mape:.2%}",
        *held,
        f"not told by the runs: {', '.join(untold)}" if untold else "",
    ]
    return "; ".join(filter(None, parts))


def _residual(fit: Fit) -> float:
    spare = max(1, len(fit.residuals) - len(fit.model.names))
    return float(np.sqrt((fit.residuals**2).sum() / spare))


def _tokens(runs: Runs, law: Law, tokens: float | None) -> float:
    """Return the training tokens that the law's losses belong to."""
    if tokens is not None:
        return tokens
    if runs.column_of("tokens") is None:
        raise SpecError(
            f"{runs.origin}: no column for tokens (training tokens), which a law must state; "
            "say --tokens 10e9"
        )
    column = runs.numbers("tokens")
    return float(column.max() if "tokens" in law.variables else np.median(column))


def _formula(fit: Fit) -> dict[str, Any]:
    """Return the fields of the formula: its coefficients, and what else the form has."""
    law = fit.law
    values = {name: _rounded(value) for name, value in law.coefficients().items()}
    if isinstance(law, ExpressionLaw):
        constants = {
            name: each.model_dump() | {"value": values[name]}
            for name, each in law.constants.items()
        }
        return {"formula": law.formula, "constants": constants}
    taken = {*Law.model_fields, "range"}
    other = {name: value for name, value in law if name not in taken and name not in values}
    return other | values


def _range(law: Law, runs: Runs) -> dict[str, Any]:
    """Return the spans of the runs, by the names of the form's own range."""
    own = getattr(type(law).model_fields["range"].annotation, "model_fields", None)
    if own is None:  # by variable
        return {name: _span(law, runs, name) for name in law.variables}
    found: dict[str, Any] = {}
    for name, field in own.items():
        if name.startswith("least_"):
            found[name] = _span(law, runs, name.removeprefix("least_"))[0]
            continue
        try:
            found[name] = _span(law, runs, name)
        except SpecError:
            if field.is_required():
                raise
    return found


def _span(law: Law, runs: Runs, name: str) -> tuple[float, float]:
    """Return the least and the most of a column."""
    known = name in VARIABLES and runs.column_of(name) is not None
    if not known and name not in runs.table.columns:
        raise SpecError(
            f"{runs.origin}: no column {name!r}, of which form {law.form!r} states the range; "
            f"add it, or say --set {name}=VALUE where it is the same for all runs"
        )
    column = runs.numbers(name) if known else runs.column(name)
    return float(column.min()), float(column.max())


def _rounded(value: float, digits: int = _DIGITS) -> float:
    return float(f"{value:.{digits}g}")


def _written(dumper: Any, value: float) -> Any:
    """A number as people write it, in a form that every YAML reader takes for one."""
    text = f"{value:.{_EXACT}g}"
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    if "." not in text and "e" not in text:
        text += ".0"
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)
