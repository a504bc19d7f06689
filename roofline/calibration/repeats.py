"""How well measurements tell of each other: rows that repeat one measurement, each by the others.

Many repeats are of one source: what stands here is rather less than what two strangers differ by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.calibration.crossvalidation import groups_of

if TYPE_CHECKING:
    from roofline.calibration.cases import Cases
    from roofline.calibration.work import Work

Array = np.ndarray

_ALIKE = ("device", "type", "runtime", "options")
_FORMATS = ("weight_format", "embedding_format", "kv_format", "activation_format")
_SIZES = {
    "prefill": ("batch", "prompt", "depth", "chunk", "threads"),
    "decode": ("batch", "context", "generate", "threads"),
}


def look_up(cases: Cases, work: Work) -> dict[str, Array]:
    """Return log of a measured time over the median of its repeats, by phase, (N,).

    Repeats are other rows of the same device, runtime and options, model and formats, prompt and
    context. NaN where there are none.
    """
    words = [np.unique(cases.settings[name], return_inverse=True)[1] for name in _ALIKE]
    words.append(groups_of(cases, "model"))
    words += [np.broadcast_to(getattr(cases.arch, name), len(cases)) for name in _FORMATS]
    found = {}
    for phase, measured in work.measured.items():
        same = np.stack([*words, *(getattr(cases, name) for name in _SIZES[phase])], axis=1)
        timed = np.flatnonzero(np.isfinite(measured))
        group = np.unique(same[timed], axis=0, return_inverse=True)[1].ravel()
        errors = np.full(len(cases), np.nan)
        for one in np.flatnonzero(np.bincount(group) > 1):
            rows = timed[group == one]
            times = measured[rows]
            others = [np.median(np.delete(times, i)) for i in range(len(rows))]
            errors[rows] = times - np.array(others)
        found[phase] = errors
    return found


def repeats_table(
    looked_up: dict[str, Array], held: dict[str, Array], clean: Array
) -> list[dict[str, Any]]:
    """Return by phase the median errors of look-ups, and of predictions of the same rows.

    held: log of measured over predicted time, (N,), by phase, each row's model held out. clean:
    (N,) which rows are of one sequence at full power and agree with themselves.
    """
    found = []
    for phase, errors in looked_up.items():
        both = np.isfinite(errors) & np.isfinite(held[phase]) & clean
        found.append(
            {
                "metric": phase,
                "rows": int(both.sum()),
                "another's measurement": _median(errors[both]),
                "roofline": _median(held[phase][both]),
            }
        )
    return found


def _median(errors: Array) -> float:
    """The median absolute error of rates, from the logarithm of times."""
    return float(np.median(np.abs(np.expm1(errors))))
