"""Accuracy on a task after compression: by its decay where one was fitted, else by its curve."""

from __future__ import annotations

from collections.abc import Callable
from math import hypot

import numpy as np

from roofline.degradation.methods import Z90
from roofline.degradation.tasks import TASKS, decay
from roofline.laws.accuracy import Curve

Reader = Callable[[float, float, float], dict[str, float]]
"""From nats and the ends of their interval to `before`, `after`, `low` and `high`, 0 to 1."""


def by_decay(task: str, before: float) -> Reader:
    """Read what is left of an accuracy above chance; SpecError for a task without a decay."""
    found = decay(task)

    def read(nats: float, low: float, high: float) -> dict[str, float]:
        above = before - found.chance
        least, most = (found.chance + above * end for end in found.ends(nats, low, high))
        after = float(found.accuracy(before, nats))
        return {"before": before, "after": after, "low": least, "high": most}

    return read


def by_curve(curve: Curve, loss: float) -> Reader:
    """Read a curve at the loss after; its own error is in the ends, but where nothing was lost."""
    before = float(curve.at(np.array(loss)))

    def read(nats: float, low: float, high: float) -> dict[str, float]:
        after, least, most = map(float, curve.at(loss + np.array([nats, high, low])))
        own = Z90 * curve.rmse * (abs(before - after) > 0)
        down, up = hypot(after - least, own), hypot(most - after, own)
        ends = max(after - down, 0.0), min(after + up, 1.0)
        return {"before": before, "after": after, "low": ends[0], "high": ends[1]}

    return read


def by_task(curve: Curve, loss: float) -> Reader:
    """Read a task off its curve before, and off its decay after where it has one."""
    if curve.name not in TASKS:
        return by_curve(curve, loss)
    return by_decay(curve.name, max(decay(curve.name).chance, float(curve.at(np.array(loss)))))
