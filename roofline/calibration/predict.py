"""Times that fitted effects predict for rows of measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roofline.calibration.work import Work, log_times
from roofline.efficiency.effects import Effects
from roofline.efficiency.form import FORM

Array = np.ndarray


def predict(work: Work, effects: Effects, at: Array | None = None) -> dict[str, Array]:
    """Return log seconds of the rows `at`, all if None, (n,) by phase.

    Of a prefill until the first token; of a decode a step of all sequences.
    """
    at = np.arange(len(work)) if at is None else np.asarray(at)
    eta = {
        f"{quantity}.{part}": effects.eta(quantity, _sliced(settings, at))
        for quantity in FORM
        for part, settings in work.parts(quantity).items()
    }
    return {phase: log_times(work, phase, eta, at)[0] for phase in work.demand}


def _sliced(settings: Mapping[str, Array], at: Array) -> dict[str, Any]:
    return {name: np.asarray(words)[at] for name, words in settings.items()}
