"""When do extra samples of a small model replace a model M times larger?

In FLOPs (arXiv 2408.03314): pretraining takes X = 6 N D_pre, inference Y = 2 N D_inf. A model M
times larger costs M (X + Y); at the same total the small model may multiply its inference by

    M + 3 (M - 1) / R,        R = D_inf / D_pre.

On a device nobody pays for pretraining, and a sample more does not cost a sample: the weights are
streamed once a step for all that are decoded together. So the engine says how many answers of the
small model take the seconds, or the joules, of one answer of the large one; and the model of
accuracy, which strategy of the small one is as often right as one answer of the large.
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
    from collections.abc import Sequence

    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.strategies.task import Task
    from roofline.strategies.verifier import Verifier

Array = np.ndarray

RATIOS = (0.16, 0.79, 22.0)
"""R of the paper's three settings: inference far less than, like, and far more than pretraining."""
MOST = 4096


def generations(times: Array | float, ratio: Array | float) -> Array:
    """By how much a small model may multiply its inference, at the FLOPs of one M times larger."""
    return np.asarray(times) + 3.0 * (np.asarray(times) - 1.0) / np.asarray(ratio)


@dataclass(frozen=True)
class Substitute:
    """A strategy of the small model in place of one answer of the large one.

    accuracy, large_accuracy: shares of one. seconds, joules: over those of the large one's answer.
    """

    strategy: str
    samples: int
    verifier: str
    accuracy: float
    large_accuracy: float
    seconds: float
    joules: float


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
    substitute: Substitute | None
    capped: tuple[str, ...]


def exchange(
    small: Architectures,
    large: Architectures,
    device: Device,
    task: Task,
    weights: str,
    verifiers: Sequence[Verifier] = (),
    **how: Any,
) -> Exchange:
    """Weigh two models, each a table of one, at one task.

    weights: format of both; how: processor, runtime and ideal of the engine. SpecError where the
    second is not the larger.
    """
    small, large = small.with_formats(weights), large.with_formats(weights)
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
        substitute=_substitute(small, large, device, task, weights, verifiers, how),
        capped=tuple(capped),
    )


def _answers(count: Array, curve: Array, target: float) -> float:
    """Number of answers at which a rising cost reaches a target; linear between."""
    if np.isnan(target) or np.isnan(curve).any():
        return float("nan")
    if target < curve[0]:
        return 0.0
    return float(np.interp(target, np.maximum.accumulate(curve), count))


def _substitute(
    small: Architectures,
    large: Architectures,
    device: Device,
    task: Task,
    weights: str,
    verifiers: Sequence[Verifier],
    how: dict[str, Any],
) -> Substitute | None:
    """Return the quickest strategy of up to 64 answers that does as well; None for none known."""
    from arch_space.architectures import concatenate
    from roofline.strategies.forms import strategies
    from roofline.strategies.options import build_options
    from roofline.strategies.reached import knows

    both = concatenate([small, large])
    if not knows(task, both.names):
        return None
    o = build_options(
        both, [weights], device, task, list(strategies().values()), list(verifiers), 64, **how
    )
    once = int(np.flatnonzero(o.strategy == "greedy")[0])
    goal = float(o.accuracy[1, once])
    able = (o.accuracy[0] >= goal) & (o.cost.memory[0] <= device.memory.dram.usable_bytes)
    if not able.any():
        return None
    t = int(np.argmin(np.where(able, o.cost.seconds[0], np.inf)))
    return Substitute(
        strategy=str(o.strategy[t]),
        samples=int(o.samples[t]),
        verifier=str(o.verifier[t]),
        accuracy=float(o.accuracy[0, t]),
        large_accuracy=goal,
        seconds=float(o.cost.seconds[0, t] / o.cost.seconds[1, once]),
        joules=float(o.cost.joules[0, t] / o.cost.joules[1, once]),
    )
