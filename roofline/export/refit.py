"""A law refitted to a few runs, by as much as they can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roofline.fitting import Runs, fit
from roofline.laws.law import Law
from roofline.laws.variables import variable

if TYPE_CHECKING:
    from arch_space.architectures import Architectures

Array = np.ndarray
Drawn = tuple[Law, Array, Array]
"""A law with drawn coefficients, levels (draws,), factors of a single run's scatter (draws,)."""

LEVEL_SD = 0.1
"""How far another text and tokenizer may shift all losses, on the logarithm: an assumption."""
LEAST_SCATTER = 0.002
"""Relative scatter of a run whose law states none: seeds of one recipe differ by .1 to .3 %
(the Gemstones and StepLaw runs repeat within that)."""
DRAWS = 1000
_STEPS = 20
_STEP = 1e-5


@dataclass(frozen=True)
class Refit:
    """A law after a ladder.

    level: factor on all its losses; fitted: (runs,) losses that it now gives; scatter: of the runs
    around those, relative; expected_scatter: of the law's own runs, 0 where not stated; draws,
    prior: of law and level after and before, None where the law states no errors; said: what was
    refitted, in a sentence.
    """

    law: Law
    level: float
    fitted: Array
    scatter: float
    expected_scatter: float
    draws: Drawn | None
    prior: Drawn | None
    said: str


def refit(law: Law, arch: Architectures, tokens: Array, measured: Array) -> Refit:
    """Refit a law to runs of N architectures, (N,) tokens and losses each.

    Where its uncertainty is known: the most likely coefficients and level, given it and the runs
    (Gauss-Newton on logarithms), so that few runs move only what they tell. Elsewhere its own
    coefficients where there are more than twice as many distinct runs (`roofline.fitting`), or the
    one that shifts all losses alike where there are two, or else a factor on all.
    """
    values = [
        np.array([variable(name, arch[i], float(t))[0] for i, t in enumerate(tokens)], dtype=float)
        for name in law.variables
    ]
    if law.uncertainty is not None:
        return _updated(law, values, measured)
    return _fitted(law, values, measured)


def _updated(law: Law, values: list[Array], measured: Array) -> Refit:
    spread = law.uncertainty
    assert spread is not None
    names, specs, mean = spread.coefficients, law.specs(), law.coefficients()
    logs = np.array([scale == "log" for scale in spread.scale])
    plain = np.array([mean[name] for name in names])
    centre = np.append(np.where(logs, np.log(np.where(logs, plain, 1.0)), plain), 0.0)
    own = np.cov(np.array(spread.samples).T) if spread.samples else np.array(spread.covariance)
    size = len(names)
    covariance = np.zeros((size + 1, size + 1))
    covariance[:size, :size] = own
    covariance[size, size] = LEVEL_SD**2
    ends = np.array([specs[name].bounds for name in names])

    def inside(points: Array) -> Array:
        """Coefficients at points of the scales, (..., coefficients), within their bounds."""
        values = np.where(logs, np.exp(np.where(logs, points[..., :size], 0.0)), points[..., :size])
        return np.asarray(np.clip(values, ends[:, 0], ends[:, 1]))

    def given(points: Array) -> Law:
        """The law at points (..., coefficients), each coefficient (..., 1)."""
        values = inside(points)
        return law.with_coefficients({n: values[..., i, None] for i, n in enumerate(names)})

    def predicted(points: Array) -> Array:
        return np.log(np.asarray(given(points).at(*values))) + points[..., size, None]

    noise = max(spread.residual, LEAST_SCATTER)
    target = np.log(measured)
    point = centre.copy()
    steps = np.eye(size + 1) * _STEP
    for _ in range(_STEPS):
        slopes = (predicted(point + steps) - predicted(point - steps)).T / (2 * _STEP)
        gain = (
            covariance
            @ slopes.T
            @ np.linalg.inv(slopes @ covariance @ slopes.T + noise**2 * np.eye(len(target)))
        )
        rest = target - predicted(point[None])[0] - slopes @ (centre - point)
        moved = centre + gain @ rest
        done = np.abs(moved - point).max() < 1e-9
        point = moved
        if done:
            break
    posterior = covariance - gain @ slopes @ covariance
    fitted = np.exp(predicted(point[None])[0])
    after = inside(point).tolist()
    law_now = law.with_coefficients(dict(zip(names, after, strict=True)))
    random = np.random.default_rng(0)

    def drawn(middle: Array, around: Array) -> Drawn:
        points = random.multivariate_normal(middle, (around + around.T) / 2, DRAWS, method="eigh")
        runs = np.exp(spread.residual * random.standard_normal(DRAWS))
        return given(points), np.exp(points[:, size]), runs

    width = np.sqrt(np.diag(covariance))
    shift = (point - centre) / np.where(width > 0, width, 1.0)
    most = int(np.argmax(np.abs(shift[:size])))
    return Refit(
        law=law_now,
        level=float(np.exp(point[size])),
        fitted=fitted,
        scatter=float(np.sqrt(np.mean((target - np.log(fitted)) ** 2))),
        expected_scatter=noise,
        draws=drawn(point, posterior),
        prior=drawn(centre, covariance),
        said=(
            f"Refitted by {_runs(target)}: all losses {np.expm1(point[size]):+.1%}; of the "
            f"coefficients {names[most]} moved most, from {plain[most]:.4g} to "
            f"{after[most]:.4g} ({shift[most]:+.1f} of its sd)."
        ),
    )


def _fitted(law: Law, values: list[Array], measured: Array) -> Refit:
    import pandas as pd

    names = list(law.coefficients())
    table = pd.DataFrame(dict(zip(law.variables, values, strict=True)) | {"loss": measured})
    distinct = len(table.drop_duplicates(list(law.variables)))
    before = np.broadcast_to(np.asarray(law.at(*values), dtype=float), measured.shape)
    if distinct > 2 * len(names):
        free = names
    else:
        free = [_level_of(law, values)] if len(measured) > 1 and distinct > 1 else []
    level = 1.0
    if free:
        held = {n: v for n, v in law.coefficients().items() if n not in free}
        found = fit(law, Runs(table, "the ladder"), fixed=held, starts=16, replicates=0)
        now = found.law
        moved = ", ".join(
            f"{n} from {law.coefficients()[n]:.4g} to {now.coefficients()[n]:.4g}" for n in free
        )
        said = f"Refitted by {_runs(measured)}: {moved}; the law states no errors to weigh by."
    else:
        now = law
        level = float(np.exp(np.mean(np.log(measured / before))))
        said = f"One run shifts all losses by {level - 1:+.1%}; of coefficients it tells nothing."
    fitted = level * np.broadcast_to(np.asarray(now.at(*values), dtype=float), measured.shape)
    return Refit(
        law=now,
        level=level,
        fitted=fitted,
        scatter=float(np.sqrt(np.mean(np.log(measured / fitted) ** 2))),
        expected_scatter=0.0,
        draws=None,
        prior=None,
        said=said,
    )


def _level_of(law: Law, values: list[Array]) -> str:
    """Return the coefficient that shifts the losses of all runs most alike."""
    alike = {}
    for name, value in law.coefficients().items():
        up, down = (
            np.asarray(law.with_coefficients({name: value * (1 + s)}).at(*values), dtype=float)
            for s in (_STEP, -_STEP)
        )
        slope = up - down
        size = float(np.abs(slope).mean())
        alike[name] = float(np.ptp(slope)) / size if size > 0 else np.inf
    return min(alike, key=lambda name: alike[name])


def _runs(measured: Array) -> str:
    return f"{len(measured)} run" + ("s" if len(measured) > 1 else "")
