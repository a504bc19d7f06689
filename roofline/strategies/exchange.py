"""When do extra samples of a small model replace a model M times larger?

In FLOPs (arXiv 2408.03314): pretraining takes X = 6 N D_pre, inference Y = 2 N D_inf. A model M
times larger costs M (X + Y); at the same total the small model may multiply its inference by

    M + 3 (M - 1) / R,        R = D_inf / D_pre.

On a device nobody pays for pretraining, and a sample more does not cost a sample: the weights are
streamed once a step for all that are decoded together. So the engine says how many answers of the
small model take the seconds, or the joules, of one answer of the large one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.tensors import active_parameter_count
from roofline.strategies.schedule import cost
from roofline.strategies.strategy import sampling
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.strategies.task import Task

Array = np.ndarray

RATIOS = (0.16, 0.79, 22.0)
"""R of the paper's three settings: inference far less than, like, and far more than pretraining."""
MOST = 4096


def generations(times: Array | float, ratio: Array | float) -> Array:
    """By how much a small model may multiply its inference, at the FLOPs of one M times larger."""
    return np.asarray(times) + 3.0 * (np.asarray(times) - 1.0) / np.asarray(ratio)


@dataclass(frozen=True)
class Exchange:
    """Answers of a small model that cost what one answer of a large one does.

    times: active parameters of the large one over the small one's. flops: answers at the FLOPs of
    inference alone; by_ratio: with pretraining, by R. seconds, joules: answers, decoded together,
    at the seconds and joules of one of the large; 0 where one takes more; joules NaN where the
    device's profile states nothing. capped: those that are at the most answers that were looked at,
    or that fit the device's memory.
    """

    small: str
    large: str
    times: float
    flops: float
    by_ratio: dict[float, float]
    seconds: float
    joules: float
    small_cost: dict[str, float]
    large_cost: dict[str, float]
    large_fits: bool
    capped: tuple[str, ...]


def exchange(
    small: Architectures, large: Architectures, device: Device, task: Task, **how: Any
) -> Exchange:
    """Weigh two models, each a table of one, at one task.

    how: processor, runtime and ideal of the engine. SpecError where the second is not the larger.
    """
    active = [float(active_parameter_count(each)[0]) for each in (small, large)]
    if active[1] <= active[0]:
        raise SpecError(
            f"--exchange: {large.names[0]} has no more active parameters than {small.names[0]}; "
            "name the small model first"
        )
    times = active[1] / active[0]
    count = np.unique(np.geomspace(1, MOST, 97).round())
    ones = np.ones_like(count)
    few = cost(small, device, sampling(task, count, ones), len(count), **how)
    one = cost(large, device, sampling(task, 1.0, 1.0), 1, **how)
    room = few.memory[0] <= device.memory.dram.usable_bytes
    if not room[0]:
        raise SpecError(f"--exchange: {small.names[0]} does not fit {device.name}")
    capped = []
    found = {}
    for name in ("flops", "seconds", "joules"):
        curve, target = getattr(few, name)[0], float(getattr(one, name)[0, 0])
        keeps = np.ones_like(room) if name == "flops" else room
        found[name] = _answers(count[keeps], curve[keeps], target)
        if found[name] >= count[keeps][-1]:
            capped.append(name)
    return Exchange(
        small=small.names[0],
        large=large.names[0],
        times=times,
        flops=found["flops"],
        by_ratio={ratio: float(generations(times, ratio)) for ratio in RATIOS},
        seconds=found["seconds"],
        joules=found["joules"],
        small_cost={name: float(getattr(few, name)[0, 0]) for name in ("seconds", "joules")},
        large_cost={name: float(getattr(one, name)[0, 0]) for name in ("seconds", "joules")},
        large_fits=bool(one.memory[0, 0] <= device.memory.dram.usable_bytes),
        capped=tuple(capped),
    )


def _answers(count: Array, curve: Array, target: float) -> float:
    """Number of answers at which a rising cost reaches a target; linear between."""
    if np.isnan(target) or np.isnan(curve).any():
        return float("nan")
    if target < curve[0]:
        return 0.0
    return float(np.interp(target, np.maximum.accumulate(curve), count))
