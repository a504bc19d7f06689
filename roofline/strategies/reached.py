"""What models reach on a task with one answer: published, or read off the task's own curve.

The curve is of the form of `roofline.laws.accuracy`, logistic in the loss that a law predicts, and
is fitted to the models that a task has reports of. It also says what a number format costs: the
nats that the format adds to the loss (`roofline.laws.penalties`) move a model along the curve's
slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arch_space.library import decodes_by_diffusion
from spec_files import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arch_space.architectures import Architectures
    from roofline.strategies.task import Task

Array = np.ndarray

LAW = "chinchilla"
"""The law whose losses join models: parameters alone, so that every model has one."""
FEWEST = 6
"""Fewest published models that a curve is fitted to."""
_UNREPORTED = 0.04
"""Standard deviation of two reports of one model, where a task has no model with two."""
_MOST, _LEAST = 0.995, 0.002


@dataclass(frozen=True, eq=False)
class Reached:
    """Mean success with one answer of M models in F formats; arrays (M, F), shares of one.

    sd: of the mean. loss: nats that the format adds. basis: how each model's number came about.
    """

    pass_at_1: Array
    sd: Array
    nats: Array
    basis: tuple[str, ...]

    def ends(self, level: float = 0.9) -> tuple[Array, Array]:
        """Return low and high ends that hold a share of one."""
        from statistics import NormalDist

        reach = NormalDist().inv_cdf((1 + level) / 2) * self.sd
        return (
            np.clip(self.pass_at_1 - reach, _LEAST, _MOST),
            np.clip(self.pass_at_1 + reach, _LEAST, _MOST),
        )


@dataclass(frozen=True)
class TaskCurve:
    """Accuracy on a task by the loss of a law: a logistic curve, and what it misses models by."""

    floor: float
    slope: float
    middle: float
    rmse: float
    models: int

    def at(self, loss: Array) -> Array:
        """Accuracy at losses, of their shape."""
        return self.floor + (1 - self.floor) / (1 + np.exp(self.slope * (loss - self.middle)))

    def worse(self, accuracy: Array, nats: Array) -> Array:
        """Accuracy after a loss has grown by some nats, along the curve from where it stands."""
        above = np.clip((accuracy - self.floor) / (1 - self.floor), 1e-6, 1 - 1e-6)
        odds = above / (1 - above) * np.exp(-self.slope * nats)
        moved = self.floor + (1 - self.floor) * odds / (1 + odds)
        return np.where(accuracy > self.floor, moved, accuracy)


def task_curve(task: Task) -> TaskCurve | None:
    """Fit a task's curve to its published models; None where they are too few."""
    names = sorted(name for name in task.models if not decodes_by_diffusion(name))
    if len(names) < FEWEST:
        return None
    from scipy.optimize import least_squares

    from arch_space.library import load_models

    losses = _losses(load_models(names).with_formats("fp16"))
    reached = np.array([_mean(task, name) for name in names])

    def residuals(p: Array) -> Array:
        share = 1 / (1 + np.exp(np.exp(p[0]) * (losses - p[1])))
        return task.floor + (1 - task.floor) * share - reached

    found = least_squares(residuals, [np.log(8.0), float(np.median(losses))])
    free = len(names) - 2
    rmse = float(np.sqrt(np.sum(found.fun**2) / free))
    return TaskCurve(task.floor, float(np.exp(found.x[0])), float(found.x[1]), rmse, len(names))


def knows(task: Task, names: Sequence[str]) -> bool:
    """Whether something is known of what all these models reach, or may be read off a curve."""
    return len(task.models) >= FEWEST or set(names) <= set(task.models)


def reached(task: Task, models: Architectures, formats: list[str]) -> Reached:
    """Return what models reach on a task in number formats of their weights.

    Raises SpecError for a model that nothing is published of on a task without a curve, and for a
    format whose cost is not published.
    """
    from roofline.laws.penalties import penalty

    curve = task_curve(task)
    means, errors, basis = [], [], []
    report_sd = _report_sd(task)
    losses = _losses(models.with_formats("fp16"))
    for name, loss in zip(models.names, losses, strict=True):
        if name in task.models:
            mean = _mean(task, name)
            count = len(task.models[name])
            means.append(mean)
            errors.append(np.hypot(report_sd / count**0.5, _binomial(mean, task.questions)))
            basis.append("published")
        elif curve is not None and not decodes_by_diffusion(name):
            means.append(float(curve.at(loss)))
            errors.append(curve.rmse)
            basis.append(f"curve of {curve.models} models")
        else:
            from spec_files import did_you_mean

            raise SpecError(
                f"task {task.name}: nothing is published of model {name!r}, and its models are too "
                f"few for a curve{did_you_mean(name, task.models)}"
            )
    whole, sd = np.array(means)[:, None], np.array(errors)[:, None]
    added = [penalty(models.with_formats(each)) for each in formats]
    shape = (len(models),)
    nats, nats_sd = (
        np.stack([np.broadcast_to(getattr(each, what), shape) for each in added], axis=1)
        for what in ("nats", "sd")
    )
    if curve is None:
        if np.any(nats != 0):
            raise SpecError(
                f"task {task.name}: its published models are too few to say what a number format "
                "costs in accuracy; write --weights fp16"
            )
        same = np.broadcast_arrays(whole, sd, nats)
        return Reached(same[0], same[1], same[2], tuple(basis))
    lowered = curve.worse(whole, nats)
    spread = np.abs(curve.worse(whole, nats + np.nan_to_num(nats_sd)) - lowered)
    return Reached(np.clip(lowered, _LEAST, _MOST), np.hypot(sd, spread), nats, tuple(basis))


def _losses(models: Architectures) -> Array:
    from roofline.laws import load_law
    from roofline.laws.prediction import predict

    return predict(load_law(LAW), models).loss


def _mean(task: Task, name: str) -> float:
    return float(np.mean([report.pass_at_1 for report in task.models[name]]))


def _binomial(mean: float, questions: int) -> float:
    return (mean * (1 - mean) / questions) ** 0.5


def _report_sd(task: Task) -> float:
    """Standard deviation between reports of one model, pooled over those with several."""
    several = [
        np.array([report.pass_at_1 for report in reports])
        for reports in task.models.values()
        if len(reports) > 1
    ]
    if not several:
        return _UNREPORTED
    squares = sum(float(np.sum((each - each.mean()) ** 2)) for each in several)
    return (squares / sum(len(each) - 1 for each in several)) ** 0.5
