"""The whole calibration: rows in, effects with their intervals and held-out errors out."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_specs import load_device, shipped_devices
from hardware_specs.measurements.rows import PUBLISHED, VERSION, load_rows, row_flags
from roofline.calibration import energy
from roofline.calibration.cases import Cases, read_cases
from roofline.calibration.crossvalidation import METHODS, PACKAGE, HeldOut, cross_validate
from roofline.calibration.demand import work_of
from roofline.calibration.fit import fit
from roofline.calibration.gates import gate, passed
from roofline.calibration.intervals import METRICS, intervals, nested_coverage, steps_of
from roofline.calibration.repeats import look_up, repeats_table
from roofline.efficiency.effects import Effects

if TYPE_CHECKING:
    import pandas as pd

    from hardware_specs import Device

Array = np.ndarray
Tell = Callable[[str, int, "int | None"], None]


@dataclass(frozen=True)
class Calibration:
    """What a calibration found.

    table: median absolute errors, by what was held out, metric and kind of device. coverage: shares
    inside intervals of other folds. held_out: a row a prediction. repeats: what rows that measure
    the same tell of each other. rejected: reasons of the gates.
    """

    effects: Effects
    table: pd.DataFrame
    coverage: pd.DataFrame
    held_out: pd.DataFrame
    repeats: pd.DataFrame
    rejected: list[str]


def calibrate(path: Path | None, folds: int, tell: Tell) -> Calibration:
    """Fit the effects to the rows of a table, the published one if None."""
    import pandas as pd

    file = PUBLISHED if path is None else path
    rows = load_rows(path)
    cases = read_cases(rows)
    reasons = gate(cases)
    work = passed(cases, work_of(cases), reasons)
    cases = replace(
        cases, energy=np.where(reasons["decode"] == "", cases.energy, np.nan)
    )  # energy per token rests on the rate
    watts = np.where(reasons["decode"] == "", energy.log_watts(cases, rows), np.nan)

    tell("fitting", 0, None)
    used = np.isfinite(work.measured["decode"]) | np.isfinite(work.measured["prefill"])
    effects = fit(work, used)
    usual = energy.usual_scopes(cases)
    settings = energy.power_settings(cases, usual)
    power = energy.fit_power(
        settings, watts, np.ones(len(cases), dtype=bool), energy.device_priors(_every(cases))
    )
    held = {
        by: cross_validate(work, cases, by, folds, watts=watts, tell=tell)
        for by in ("model", "device")
    }
    kinds = cases.settings["kind"]
    clean = row_flags(rows)["self_consistent"].to_numpy()[cases.at]
    said = cases.settings
    own = [f"{d}|{t}" for d, t in zip(said["device"], said["type"], strict=True)]
    counted = [name for name, counts in zip(own, used, strict=True) if counts]
    under = [f"{name}|{r}" for name, r in zip(own, said["runtime"], strict=True)]
    effects = Effects(
        values={**effects.values, "power": power},
        intervals=intervals(held["model"], held["device"], kinds),
        rows=dict(sorted(Counter(counted).items())),
        runtimes=dict(sorted(Counter(n for n, u in zip(under, used, strict=True) if u).items())),
        options=said_by_most(cases, cases.settings["options"], used),
        eras=said_by_most(cases, cases.settings["era"], used),
        threads=usual_threads(cases, used),
        about={
            "version": VERSION if path is None else file.name,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "rows": int(used.sum()),
            "date": date.today().isoformat(),
            "command": "python -m roofline.calibration",
            "power_scope": usual,
        },
    )
    return Calibration(
        effects=effects,
        table=pd.DataFrame(error_table(held, kinds, clean)),
        coverage=pd.DataFrame(_coverage(held, kinds)),
        held_out=_held_out(held, cases, rows),
        repeats=pd.DataFrame(
            repeats_table(look_up(cases, work), held["model"].errors[PACKAGE], clean)
        ),
        rejected=[
            f"row {cases.at[i] + 2} of {file.name}, {rows['model'].iloc[cases.at[i]]}: {texts[i]}"
            for texts in reasons.values()
            for i in np.flatnonzero(texts != "")
        ],
    )


def said_by_most(cases: Cases, said: Array, used: Array) -> dict[str, Any]:
    """Return what most of the used rows, (N,) booleans, say of how they were run.

    said: (N,). By "device|processor type|runtime" and by "kind of device|processor type|runtime".
    """
    words = cases.settings
    votes: dict[str, Counter[Any]] = {}
    for of in ("device", "kind"):
        names = zip(words[of], words["type"], words["runtime"], strict=True)
        for name, one, counts in zip(names, said.tolist(), used, strict=True):
            if counts:
                votes.setdefault("|".join(name), Counter())[one] += 1
    return {
        name: min(found, key=lambda one: (-found[one], one))
        for name, found in sorted(votes.items())
    }


def usual_threads(cases: Cases, used: Array) -> dict[str, int]:
    """Return the threads that most of the used rows ran on, where most of them say it."""
    most = said_by_most(cases, cases.threads, used)
    return {name: int(count) for name, count in most.items() if count}


def _every(cases: Cases) -> dict[str, Device]:
    """The devices of the cases, and all that are shipped."""
    shipped = {name: load_device(name) for name in shipped_devices()}
    return shipped | {device.name: device for device in cases.devices}


def error_table(
    held: dict[str, HeldOut], kinds: Array, clean: Array | None = None
) -> list[dict[str, Any]]:
    """Return a row for each fold scheme, metric, kind and selection: each method's median error.

    Of rates: predicted over measured, less one; of energy the same of joules. Where models are held
    out, of rows whose device the fit knew: the others are told of by the devices. clean: (N,) which
    rows are of one sequence at full power and agree with themselves, judged beside all rows.
    """
    found = []
    selections = {"all": np.ones(len(kinds), dtype=bool)}
    if clean is not None:
        selections = {"single stream, full power": clean} | selections
    for (by, errors), (selection, chosen) in itertools.product(held.items(), selections.items()):
        for metric in METRICS:
            measured = np.isfinite(errors.errors[PACKAGE][metric]) & chosen
            if by == "model":
                measured &= errors.known
            for kind in ["all", *np.unique(kinds[measured])]:
                at = measured & ((kinds == kind) | (kind == "all"))
                if not at.any():
                    continue
                row: dict[str, Any] = {
                    "held out": f"whole {by}s", "rows of": selection, "metric": metric,
                    "class": str(kind), "rows": int(at.sum()),
                }  # fmt: skip
                for method in METHODS:
                    e = relative(errors.errors[method][metric][at], metric)
                    row[method] = float(np.median(np.abs(e)))
                e = relative(errors.errors[PACKAGE][metric][at], metric)
                row["mean"] = float(np.mean(np.abs(e)))
                row["each once"] = _each_once(np.abs(e), errors.group[at])
                row["bias"] = float(np.median(e))
                found.append(row)
    return found


def _each_once(errors: Array, group: Array) -> float:
    """Return the median over groups of the median of each."""
    return float(np.median([np.median(errors[group == one]) for one in np.unique(group)]))


def relative(errors: Array, metric: str) -> Array:
    """Return predicted over measured less one: of rates, and of joules.

    errors: log of measured over predicted time or energy.
    """
    return np.expm1(-errors if metric == "energy" else errors)


def _coverage(held: dict[str, HeldOut], kinds: Array) -> list[dict[str, Any]]:
    found = []
    for by, one in held.items():
        for metric in METRICS:
            errors = one.errors[PACKAGE][metric]
            if by == "model":  # a device that the fit did not know is of the other basis
                errors = np.where(one.known, errors, np.nan)
            steps = steps_of(errors, one.fold, kinds)
            shares = nested_coverage(errors, one.fold, kinds, steps, seed=1)
            found += [
                {"held out": f"whole {by}s", "metric": metric, "class": kind or "all",
                 "rows": rows, "inside": share}
                for kind, (rows, share) in shares.items()
            ]  # fmt: skip
    return found


def _held_out(held: dict[str, HeldOut], cases: Cases, rows: pd.DataFrame) -> pd.DataFrame:
    """One line a held-out prediction: rates in tokens per second, energy in joules a token."""
    import pandas as pd

    measured = {
        "decode": cases.batch / cases.tpot,
        "prefill": cases.batch * cases.prompt / cases.ttft,
        "energy": cases.energy,
    }
    parts = []
    for by, errors in held.items():
        for metric in METRICS:
            e = errors.errors[PACKAGE][metric]
            at = np.flatnonzero(np.isfinite(e))
            ratio = np.exp(-e[at] if metric == "energy" else e[at])
            parts.append(
                pd.DataFrame(
                    {
                        "held_out": by,
                        "metric": metric,
                        "row": cases.at[at] + 2,
                        "class": cases.settings["kind"][at],
                        "device": cases.settings["device"][at],
                        "runtime": cases.settings["runtime"][at],
                        "model": rows["model"].to_numpy()[cases.at[at]],
                        "weight_format": rows["weight_format"].to_numpy()[cases.at[at]],
                        "prompt": cases.prompt[at],
                        "batch": cases.batch[at],
                        "fold": errors.fold[at],
                        "measured": measured[metric][at],
                        "predicted": measured[metric][at] * ratio,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)
