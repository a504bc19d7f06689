"""What forward passes cost, to be added up: strategies of decoding are sums of such works."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np

from arch_space.tensors import weight_bytes
from roofline.efficiency.calibrated import calibrated
from roofline.engine.bench import Bench, Number, Overhead
from roofline.engine.energy import phase_energy
from roofline.engine.memory import activation_peak, kept_cache
from roofline.engine.timing import pass_time, total
from roofline.workload import LogitsOfPass, Pass

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device

Array = np.ndarray

BOUNDS = ("compute", "memory", "overhead")


@dataclass(frozen=True, eq=False)
class Work:
    """What some forward passes of N candidates cost; every field (N,).

    seconds; joules: NaN where the profile states nothing to compute them from; flops; bytes: from
    and to DRAM. compute, memory: seconds that products and traffic take alone; overhead: seconds of
    launches and of what each pass takes whatever the model, 0 in ideal mode. Operators run one
    after the other, each as slow as its slower side: so seconds lie between the larger of compute
    and memory and their sum, overhead apart.
    `a + b` is one work after the other; `n * work` as often as n says, a number or (N,).
    """

    seconds: Array
    joules: Array
    flops: Array
    bytes: Array
    overhead: Array
    compute: Array
    memory: Array

    @classmethod
    def none(cls, count: int = 1) -> Work:
        """Return no work, of `count` candidates."""
        return cls(*(np.zeros(count) for _ in fields(cls)))

    def __len__(self) -> int:
        return len(self.seconds)

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __mul__(self, times: Number) -> Work:
        return Work(*(np.asarray(times * getattr(self, f.name)) for f in fields(self)))

    __rmul__ = __mul__
    __array_ufunc__ = None  # an array times a work is a work, not an array of works

    @property
    def bound(self) -> Array:
        """Which of BOUNDS takes longest, as an index, (N,)."""
        return np.argmax(np.stack([self.compute, self.memory, self.overhead]), axis=0)


def work_of_pass(bench: Bench, step: Pass, overhead: Overhead) -> Work:
    """Return the work of one forward pass on a bench."""
    timings, fixed = bench.forward(step), bench.fixed(overhead)
    return _work(
        bench,
        seconds=pass_time(timings, bench.roof, fixed),
        overhead=total(timings, "launch") + fixed,
        sums={name: total(timings, name) for name in _SUMS},
        step=step,
        decoding=overhead == "step",
    )


def work_of_series(bench: Bench, first: Pass, steps: Number, stride: Number = 1.0) -> Work:
    """Return the work of passes on a bench whose keys grow by `stride` each."""
    run = bench.series(first, steps, stride)
    return _work(
        bench,
        seconds=run.time,
        overhead=run.total("launch") + steps * bench.fixed("step"),
        sums={name: run.total(name) for name in _SUMS},
        step=first,
        decoding=True,
        steps=steps,
    )


_SUMS = ("flops", "bytes", "compute", "memory", "joules")


def _work(
    bench: Bench,
    seconds: Array,
    overhead: Array,
    sums: dict[str, Array],
    step: Pass,
    decoding: bool,
    steps: Number = 1.0,
) -> Work:
    joules = phase_energy(
        bench.device,
        bench.processor,
        bench.roof,
        seconds,
        overhead,
        sums["bytes"],
        sums["joules"],
        decoding=decoding,
    )
    sizes = (step.batch, step.queries, step.keys, step.shared, steps)
    shape = np.broadcast_shapes((len(bench.arch),), *(np.shape(size) for size in sizes))
    columns = (
        seconds,
        joules,
        sums["flops"],
        sums["bytes"],
        overhead,
        sums["compute"],
        sums["memory"],
    )
    return Work(*(np.broadcast_to(column, shape) for column in columns))


def forward(
    arch: Architectures,
    device: Device,
    step: Pass,
    *,
    overhead: Overhead = "step",
    processor: str | None = None,
    runtime: str | None = None,
    ideal: bool = False,
    resident: Array | None = None,
) -> Work:
    """Return the work of one forward pass of N candidates.

    overhead: which fixed time the pass has, that of a decode `step` or that of a `prompt`; without
    an energy per FLOP in the profile, a step is priced by its bytes. processor, runtime, ideal: as
    in `estimate`. resident: (N,) bytes of weights and cache, which live on the chip where they fit;
    by default the weights and the keys of this pass. A table of one candidate may meet passes of
    (M,): the work is (M,).
    Raises SpecError as `estimate` does.
    """
    device = calibrated(device, processor, runtime)
    if resident is None:
        resident = _resident(arch, step, step.keys)
    return work_of_pass(Bench.build(arch, device, processor, resident, ideal), step, overhead)


def decode(
    arch: Architectures,
    device: Device,
    first: Pass,
    steps: Number,
    *,
    processor: str | None = None,
    runtime: str | None = None,
    ideal: bool = False,
    resident: Array | None = None,
) -> Work:
    """Return the work of `steps` passes like `first`, each with one key more; no loop over them.

    first: the first step, of one query a sequence, its own key counted; steps: a number or (N,), 0
    for none. resident: as in `forward`; by default the weights and the keys of the last step.
    """
    device = calibrated(device, processor, runtime)
    if resident is None:
        resident = _resident(arch, first, first.keys + np.maximum(steps - 1.0, 0.0))
    return work_of_series(Bench.build(arch, device, processor, resident, ideal), first, steps)


def _resident(arch: Architectures, step: Pass, keys: Number) -> Array:
    """Bytes of the weights, and of a cache of that many keys, (N,)."""
    arch = arch.as_float()
    cache = kept_cache(arch, step.batch, np.subtract(keys, step.shared, dtype=float), step.shared)
    return weight_bytes(arch) + cache


def memory(
    arch: Architectures,
    *,
    sequences: Number,
    shared: Number,
    each: Number,
    queries: Number = 1,
    keys: Number | None = None,
    logits: LogitsOfPass = "last",
    attention: Literal["fused", "unfused"] = "fused",
) -> Array:
    """Bytes that must be resident at once: weights, cache, and the activations of a pass, (N,).

    The cache holds `shared` tokens once and `each` more for every one of `sequences`; recurrent
    states are every sequence's own. queries: new tokens a sequence of the largest pass; keys: what
    they see, which matters to `unfused` attention alone, by default themselves. All are a number or
    (N,); (M,) with a table of one candidate gives (M,).
    """
    arch = arch.as_float()
    seen = queries if keys is None else keys
    step = Pass(sequences, queries, seen, logits=logits, attention=attention)
    total_bytes = weight_bytes(arch) + kept_cache(arch, sequences, each, shared)
    return total_bytes + activation_peak(arch, step)
