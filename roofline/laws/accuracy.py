"""From loss to what people read: perplexity, and accuracy on tasks through fitted curves.

A curve joins the losses of some models with their accuracies on a task, for the text and the
tokenizer that those losses were measured on. Read with the loss of a law of other data it is still
a number, but one that nothing vouches for: `Accuracy.limits` says so.

    exponential   accuracy = 1 - eps + k exp(-g loss)                    arXiv 2403.08540
    logistic      accuracy = floor + (1 - floor) / (1 + exp(slope (loss - middle)))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from roofline.laws.law import Array, Interval, Law, Limit, between, inside, reasons
from spec_files import SpecError, find_spec, read_yaml, validate_spec
from spec_files.model import Spec

FOLDER = Path(__file__).parent / "curves"


def _exponential(loss: Array, eps: float, k: float, g: float) -> Array:
    return 1 - eps + k * np.exp(-g * loss)


def _logistic(loss: Array, floor: float, slope: float, middle: float) -> Array:
    return floor + (1 - floor) / (1 + np.exp(slope * (loss - middle)))


@dataclass(frozen=True)
class Shape:
    """One form of curve: its formula, its coefficients, where a fit starts and stays."""

    of: Callable[..., Array]
    names: tuple[str, str, str]
    start: tuple[float, float, float]
    bounds: tuple[tuple[float, ...], tuple[float, ...]]


SHAPES = {
    "exponential": Shape(
        _exponential, ("eps", "k", "g"), (0.75, 2.0, 1.0), ((0.0, 0.0, 0.0), (1.0, np.inf, np.inf))
    ),
    "logistic": Shape(
        _logistic,
        ("floor", "slope", "middle"),
        (0.25, 2.0, 2.5),
        ((0.0, 0.0, -np.inf), (1.0, np.inf, np.inf)),
    ),
}


class Curve(Spec):
    """A fitted curve from loss to accuracy on one task, or on the mean of several."""

    name: str
    """What `--task` calls it; the file's name where not given."""
    title: str
    """The task, and whose models it was measured on."""
    form: Literal["exponential", "logistic"]
    """Shape of the curve."""
    coefficients: dict[str, float]
    """Of the form, by name."""
    losses: str
    """What text the losses are of."""
    laws: tuple[str, ...] = ()
    """Laws whose losses are of that text."""
    loss_range: Interval
    """Least and largest loss of the models."""
    rmse: float = Field(ge=0)
    """Of accuracy around the curve, as a share of one."""
    held_out: str
    """How the form was chosen: its error on what the fit had not seen, and the other's."""
    points: int
    """How many models, or checkpoints, it was fitted to."""
    source: str
    """The publication."""
    date: str
    """Of the source."""
    origin: str
    """Where the numbers were published."""
    licence: str
    """Of the numbers."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        wanted = SHAPES[self.form].names
        if set(self.coefficients) != set(wanted):
            raise SpecError(
                f"a curve of form {self.form} has {', '.join(wanted)}; "
                f"read {', '.join(self.coefficients)}",
                ("coefficients",),
            )
        return self

    def at(self, loss: Array) -> Array:
        """Return the accuracy at losses, of their shape, 0 to 1."""
        shape = SHAPES[self.form]
        found = shape.of(np.asarray(loss), *(self.coefficients[name] for name in shape.names))
        return np.clip(found, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Accuracies of N candidates on one task; arrays are (N,).

    accuracy: 0 to 1. low, high: ends of an interval, of the curve's error and, where it is known,
    the loss's. limits: what the curve does not vouch for.
    """

    curve: Curve
    accuracy: Array
    low: Array
    high: Array
    limits: tuple[Limit, ...]

    @property
    def in_range(self) -> Array:
        """Whether the curve's own data reach each candidate, (N,) bool."""
        return inside(self.limits, len(self.accuracy))

    def flags(self) -> list[str]:
        """Say for each candidate what the curve does not vouch for; '' where nothing."""
        return reasons(self.limits, len(self.accuracy))


def perplexity(law: Law, loss: Array) -> Array:
    """Return exp(loss), of the shape of the losses: per token of the law's own tokenizer and text.

    Raises SpecError for a law whose unit is not a whole loss.
    """
    _check(law)
    with np.errstate(over="ignore"):
        found = np.exp(loss)
    return np.where(np.isfinite(found), found, np.nan)


def accuracy(
    curve: Curve,
    law: Law,
    loss: Array,
    ends: tuple[Array, Array] | None = None,
    level: float = 0.9,
) -> Accuracy:
    """Read a curve at the losses that a law predicts for N candidates.

    loss: (N,). ends: interval of the losses at the level, (N,) each; where NaN or not given, the
    curve's own error alone makes the interval. The two errors join in squares, on either side.
    Raises SpecError for a law whose unit is not a whole loss.
    """
    _check(law)
    loss = np.atleast_1d(loss)
    found = curve.at(loss)
    own = NormalDist().inv_cdf((1 + level) / 2) * curve.rmse
    by_loss = (found, found) if ends is None else (curve.at(ends[1]), curve.at(ends[0]))
    down, up = (np.hypot(own, np.nan_to_num(end - found)) for end in by_loss)
    told = f"losses of law {law.name} are of other data than the curve's: {curve.losses}"
    foreign = np.full(1, law.name not in curve.laws)
    limits = (Limit(foreign, told), *between("loss", loss, curve.loss_range))
    low, high = np.clip(found - down, 0.0, 1.0), np.clip(found + up, 0.0, 1.0)
    return Accuracy(curve, found, low, high, limits)


def _check(law: Law) -> None:
    if not law.has_perplexity:
        raise SpecError(
            f"law {law.name!r} gives {law.unit}: neither a perplexity nor an accuracy follows"
        )


def curve_names() -> list[str]:
    """Return the names of the shipped curves, in alphabetical order."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def load_curve(name: str | Path) -> Curve:
    """Return a curve by its shipped name, or from the YAML file that a path leads to.

    Raises SpecError for an unknown name (with the nearest) or field.
    """
    path = find_spec(name, FOLDER, "task")
    data, lines = read_yaml(path)
    if isinstance(data, dict):
        data = {"name": path.stem} | data
    return validate_spec(data, Curve, str(path), lines)


def fit_curve(loss: Array, accuracies: Array, form: str) -> tuple[dict[str, float], float]:
    """Fit a curve of one form by least squares; return its coefficients and RMSE.

    loss, accuracies: (points,). Raises SpecError for fewer points than coefficients.
    """
    from scipy.optimize import least_squares

    shape = SHAPES[form]
    if len(loss) < len(shape.names):
        raise SpecError(f"{len(loss)} points do not settle {len(shape.names)} coefficients")
    found = least_squares(
        lambda p: shape.of(loss, *p) - accuracies,
        shape.start,
        bounds=shape.bounds,
        x_scale="jac",
        max_nfev=5000,
    )
    return dict(zip(shape.names, map(float, found.x), strict=True)), float(
        np.sqrt(np.mean(found.fun**2))
    )
