"""The cost of sampling by Kinetics (arXiv 2506.05333): FLOPs, and traffic of the cache as FLOPs.

    C_comp = N [2 P L_out + 2 (2 L_in + L_out) L_out H d]
    C_mem  = 2 (2 L_in + N L_out) L_out KV d
    eFLOPs = C_comp + I C_mem

with N answers to one prompt, P parameters, H query heads, KV KV heads, d = head size x layers, and
I FLOPs per byte of the accelerator: 562.5 of a B200. The prompt's cache is shared by the answers.

It leaves out the weights' traffic: right for a full server, whose batch is of many users, and wrong
for one user's phone, where every decode step streams the weights once, for the N answers together.
`beside_engine` also shows the formula with that term added, at the same rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.strategies.task import Task

Array = np.ndarray

B200 = 562.5
"""FLOPs per byte of a B200, as the paper takes it."""


@dataclass(frozen=True, eq=False)
class Kinetics:
    """FLOPs and bytes of cache, of one shape; intensity: FLOPs per byte."""

    flops: Array
    cache: Array
    intensity: float

    @property
    def eflops(self) -> Array:
        """The paper's cost."""
        return self.flops + self.intensity * self.cache


def kinetics(
    parameters: Array | float,
    query_heads: Array | float,
    kv_heads: Array | float,
    depth_size: Array | float,
    answers: Array | float,
    prompt: Array | float,
    output: Array | float,
    intensity: float = B200,
) -> Kinetics:
    """Work out the formula; arrays broadcast. depth_size: head size x layers."""
    p, h, kv, d, n, short, long = np.broadcast_arrays(
        *(np.asarray(x, float) for x in (
            parameters, query_heads, kv_heads, depth_size, answers, prompt, output
        ))
    )  # fmt: skip
    flops = n * (2 * p * long + 2 * (2 * short + long) * long * h * d)
    cache = 2 * (2 * short + n * long) * long * kv * d
    return Kinetics(flops, cache, intensity)


def kinetics_of(
    models: Architectures, task: Task, answers: Array | float, intensity: float = B200
) -> Kinetics:
    """Work out the formula for models of full attention, (N,) or with axes of answers behind."""
    from arch_space.tensors import active_parameter_count

    arch = models.as_float()
    shape = (len(models),) + (1,) * np.ndim(answers)
    size, heads, kv_heads, depth_size = (
        np.broadcast_to(column, (len(models),)).reshape(shape)
        for column in (
            active_parameter_count(arch),
            arch.query_heads,
            arch.kv_heads,
            arch.head_size * arch.layers,
        )
    )
    return kinetics(size, heads, kv_heads, depth_size, answers, task.prompt, task.answer, intensity)


def beside_engine(
    model: Architectures, weights: str, device: Device, task: Task, **how: Any
) -> list[dict[str, Any]]:
    """Set the formula beside the engine for 1 to 64 answers of one model: rows of plain data.

    weights: the format's name; how: processor, runtime and ideal of the engine.
    """
    from arch_space.tensors import weight_bytes
    from roofline.strategies.schedule import cost
    from roofline.strategies.strategy import sampling

    answers = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    paper = kinetics_of(model, task, answers)
    streamed = float(weight_bytes(model.as_float())[0]) * task.answer
    eflops = paper.eflops[0]
    whole = eflops + paper.intensity * streamed
    found = cost(model, device, sampling(task, answers, 1.0), len(answers), **how)
    seconds, joules = found.seconds[0], found.joules[0]
    return [
        {
            "model": model.names[0],
            "weights": weights,
            "answers": int(n),
            "flops": float(paper.flops[0, i]),
            "cache_bytes": float(paper.cache[0, i]),
            "eflops": float(eflops[i]),
            "eflops_over_one": float(eflops[i] / eflops[0]),
            "with_weights_over_one": float(whole[i] / whole[0]),
            "latency_s": float(seconds[i]),
            "latency_over_one": float(seconds[i] / seconds[0]),
            "energy_over_one": None if np.isnan(joules[0]) else float(joules[i] / joules[0]),
        }
        for i, n in enumerate(answers)
    ]
