"""What one more GB/s, TFLOP/s, GB, MB or W is worth, in loss.

Over a space of whole layers and heads the least loss falls in steps as hardware grows: one more
GB/s buys nothing, or all of a step. So three numbers stand side by side: what exactly one more
buys; where the next step comes; and the slope of a line through the steps nearby.

The slope is checked against the envelope theorem: near the optimum hardware acts on the loss only
through the time of the best candidate, so

    d loss / d ln bandwidth = (d loss / d ln limit) x (share of the time that waits for DRAM),

with the first factor from the same candidates under looser and tighter limits on the template as it
is, and the second from the engine's two sides of every operator. A limit that does not bind has a
slope of zero, and then hardware is worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from roofline.codesign.inverse import Answer

Array = np.ndarray

UNITS = {
    "bandwidth": ("GB/s", 1e9),
    "peak": ("TFLOP/s", 1e12),
    "capacity": ("GB", 1e9),
    "power": ("W", 1.0),
    "on_chip": ("MB", 1e6),
}
"""In what people count each axis, and how much of it that is."""

_NEAR = (0.8, 1.25)


@dataclass(frozen=True)
class Margin:
    """The worth of one more of something, at the template.

    one_more: exact change of the least loss (nats, never above 0). next_at, next_loss: where the
    loss falls next along the line, and to what; NaN where it does not. slope: nats per unit, of a
    line through the losses within a fifth; NaN where they are not known. analytic: the same by the
    envelope theorem; NaN where it says nothing. share: of the time, that more of it would shorten.
    """

    axis: str
    unit: str
    value: float
    loss: float
    one_more: float
    next_at: float
    next_loss: float
    slope: float
    analytic: float
    share: float


def margins(answer: Answer) -> list[Margin]:
    """Return the worth of each axis; none where no candidate keeps the limits on the template."""
    own = answer.template.hardware
    found = []
    limit = answer.survey.tables["line_limit"]
    d_limit = _slope(answer.plan.lines["limit"], limit.value)
    shares = time_shares(answer)
    for axis, (unit, size) in UNITS.items():
        value = float(getattr(own, axis))
        line = answer.line(axis)
        at, loss = line["value"].to_numpy(), line["loss"].to_numpy(dtype=float)
        if value != value or not np.isfinite(loss).any():
            continue
        here = _at(at, loss, value)
        if not np.isfinite(here):
            continue
        better = np.flatnonzero((at > value * (1 + 1e-12)) & (loss < here))
        if axis == "power":  # the most that a device may draw: less is what tightens
            better = np.flatnonzero((at < value * (1 - 1e-12)) & (loss < here))[::-1]
        after = int(better[0]) if len(better) else None
        share = shares.get(axis, np.nan)
        analytic = d_limit * share / (value / size) if axis in shares else np.nan
        slope = _slope(at / value, loss) / (value / size) if value > 0 else np.nan
        found.append(
            Margin(
                axis=axis,
                unit=unit,
                value=value,
                loss=here,
                one_more=_at(at, loss, value + size) - here,
                next_at=float(at[after]) if after is not None else np.nan,
                next_loss=float(loss[after]) if after is not None else np.nan,
                slope=np.nan if axis == "on_chip" else slope,
                analytic=analytic,
                share=share,
            )
        )
    return found


def time_shares(answer: Answer) -> dict[str, float]:
    """Of the tightest time of the template's best candidate, what each axis would shorten.

    - d ln time / d ln bandwidth and peak, to first order; empty where none keeps the limits.
    """
    best = answer.survey.tables["line_bandwidth"]
    place = int(np.searchsorted(answer.plan.lines["bandwidth"], 1.0))
    if not best.known[place]:
        return {}
    judge = answer.plan.judge(answer.question.space.at(best.index[[place]]))
    names = list(judge.limits)
    costs = judge.costs(names, 1.0, 1.0)
    tight = max(names, key=lambda name: float(costs[name][0]) / judge.limits[name])
    step = 1e-6

    def share(bandwidth: float, peak: float) -> float:
        """- d ln time over step of an axis, whose direction the exponents say."""
        more, less = (
            judge.costs([tight], (1 + sign * step) ** bandwidth, (1 + sign * step) ** peak)[tight]
            for sign in (1, -1)
        )
        return float((less - more)[0] / (2 * step) / costs[tight][0])

    return {"bandwidth": share(1, 0), "peak": share(0, 1)}


def _at(at: Array, loss: Array, value: float) -> float:
    """Return the loss at a value of the line; NaN where it is not on it."""
    near = int(np.argmin(np.abs(at - value)))
    close = abs(at[near] - value) <= 1e-9 * max(abs(value), 1.0)
    return float(loss[near]) if close and np.isfinite(loss[near]) else np.nan


def _slope(multiple: Array, loss: Array) -> float:
    """Slope of a least-squares line through losses over ln(multiple) nearby; d loss / d ln."""
    near = (multiple >= _NEAR[0]) & (multiple <= _NEAR[1])
    if not near.any() or not np.isfinite(loss[near]).all():
        return np.nan
    x, y = np.log(multiple[near]), loss[near]
    if len(x) < 3:
        return np.nan
    if np.ptp(y) == 0:
        return 0.0
    return float(np.polyfit(x - x.mean(), y, 1)[0])
