"""Held-out errors: whole devices or whole models are predicted by a fit that never saw them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from arch_space.architectures import FORMAT_COLUMNS, columns
from roofline.calibration import energy, rules
from roofline.calibration.fit import fit
from roofline.calibration.predict import predict
from roofline.search.workers import cores, spread

if TYPE_CHECKING:
    from roofline.calibration.cases import Cases
    from roofline.calibration.work import Work

Array = np.ndarray
By = Literal["device", "model"]
Tell = Callable[[str, int, "int | None"], None]

THUMB, TWO_TERMS, PACKAGE = "rule of thumb", "two-term fit", "roofline"
METHODS = (THUMB, TWO_TERMS, PACKAGE)


@dataclass(frozen=True)
class HeldOut:
    """Errors of N rows, each predicted by a fit to the other folds.

    fold, group: (N,); a group, a device or a model, is held out whole. errors: by method and metric
    ("decode", "prefill", "energy"), (N,), log of measured over predicted time or energy, NaN where
    not measured. known: (N,) whether the fit had rows of the same device, processor type and
    runtime.
    """

    fold: Array
    group: Array
    errors: dict[str, dict[str, Array]]
    known: Array


def groups_of(cases: Cases, by: By) -> Array:
    """Return the group that each case is held out with, (N,): its device, or its model.

    Models of one shape are one group, whatever their names: fine-tunes tell of each other.
    """
    if by == "device":
        return np.unique(cases.settings["device"], return_inverse=True)[1]
    shape = [
        np.broadcast_to(np.asarray(getattr(cases.arch, name), dtype=float), (len(cases),))
        for name in columns()
        if name not in FORMAT_COLUMNS
    ]
    return np.unique(np.stack(shape, axis=1), axis=0, return_inverse=True)[1].ravel()


def folds_of(groups: Array, folds: int = 10, seed: int = 0) -> Array:
    """Return the fold of each row, (N,): whole groups, in folds of about as many rows."""
    names, sizes = np.unique(groups, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    loads = np.zeros(min(folds, len(names)))
    of_group = np.empty(len(names), dtype=int)
    for index in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        emptiest = int(np.argmin(loads))
        of_group[index] = emptiest
        loads[emptiest] += sizes[index]
    return of_group[np.searchsorted(names, groups)]


def cross_validate(
    work: Work,
    cases: Cases,
    by: By,
    folds: int = 10,
    seed: int = 0,
    watts: Array | None = None,
    workers: int | None = None,
    tell: Tell | None = None,
) -> HeldOut:
    """Predict every row by a fit to the folds that hold neither its device, or its model.

    watts: (N,) measured log watts, from which energy is fitted in the same folds; none if None.
    workers: processes; a fit is the work of one core. tell(step, done, total) is called a fold.
    """
    group = groups_of(cases, by)
    fold = folds_of(group, folds, seed)
    settings = energy.power_settings(cases, energy.usual_scopes(cases))
    measured = {**work.measured, "energy": _log(cases.energy)}
    watts = np.full(len(work), np.nan) if watts is None else watts
    errors = {
        method: {metric: np.full(len(work), np.nan) for metric in measured} for method in METHODS
    }
    known = np.zeros(len(work), dtype=bool)
    priors = energy.device_priors({device.name: device for device in cases.devices})
    timed = np.any([np.isfinite(seconds) for seconds in work.measured.values()], axis=0)
    thumb = rules.rule_of_thumb(work)

    def judge(one: int) -> tuple[int, dict[str, dict[str, Array]]]:
        held = np.flatnonzero(fold == one)
        seconds = predict(work, fit(work, fold != one), held)
        effects = energy.fit_power(settings, watts, fold != one, priors)
        power = energy.predict_log_watts(effects, settings)
        # As an estimate does; but what a profile says was measured may be of the rows held out.
        stated = energy.stated_log_watts(cases.devices, settings, effects, measured=False)
        power = np.where(np.isfinite(stated), stated, power)
        seconds["energy"] = power[held] + seconds["decode"] - np.log(cases.batch[held])
        terms = rules.two_terms(work, fold != one)
        return one, {
            THUMB: {phase: thumb[phase][held] for phase in thumb},
            TWO_TERMS: {phase: found[held] for phase, found in terms.items()},
            PACKAGE: seconds,
        }

    every = [int(one) for one in np.unique(fold)]
    workers = min(cores(), len(every)) if workers is None else workers
    with spread(judge, workers) as submit:
        for done, future in enumerate(as_completed([submit(one) for one in every]), start=1):
            one, found = future.result()
            held = np.flatnonzero(fold == one)
            known[held] = _known(work, timed & (fold != one))[held]
            for method, by_metric in found.items():
                for metric, log_predicted in by_metric.items():
                    errors[method][metric][held] = measured[metric][held] - log_predicted
            if tell is not None:
                tell(f"holding out whole {by}s", done, len(every))
    return HeldOut(fold, group, errors, known)


def _known(work: Work, used: Array) -> Array:
    """Which rows' device, processor type and runtime are among the used rows, (N,)."""
    said = work.settings
    triple = ["|".join(w) for w in zip(said["device"], said["type"], said["runtime"], strict=True)]
    seen = {triple[i] for i in np.flatnonzero(used)}
    return np.array([name in seen for name in triple], dtype=bool)


def _log(values: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)
