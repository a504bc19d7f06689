"""A strategy as a schedule: forward passes of a policy and of a verifier, and what they cost.

A stage is a pass over a prompt or an answer (`read`), a run of decode steps (`write`), or a pass of
a diffusion model over masked text (`fill`), of one model, with a batch of sequences that have
leading tokens in common. All settings of a strategy are one stage with columns; all stages of all
strategies, for all models and formats, are costed by the engine in one call each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from roofline.engine import decode, forward, memory
from roofline.workload import Pass

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device

Array = np.ndarray
Number = Array | float
Role = Literal["policy", "verifier"]

_COLUMNS = ("batch", "queries", "keys", "steps", "shared", "times")


@dataclass(frozen=True, eq=False)
class Stage:
    """Forward passes of one model; numbers, or columns (S,) over the settings of a strategy.

    role: whose. batch: sequences at once. queries: new tokens of each in a pass; keys: tokens that
    each sees in the first pass, its new ones included. steps: 1 for a pass that reads; decode
    steps, each with one key more, for one that writes. shared: leading tokens that the batch has in
    common, stored once. times: how often all that happens; 0 for settings that skip the stage.
    """

    role: Role
    kind: Literal["read", "write", "fill"]
    batch: Number
    queries: Number
    keys: Number
    steps: Number = 1.0
    shared: Number = 0.0
    times: Number = 1.0

    def columns(self, settings: int) -> Array:
        """Return the numbers as rows, (S, 6)."""
        columns = [np.broadcast_to(getattr(self, name), (settings,)) for name in _COLUMNS]
        return np.stack(columns, axis=1).astype(float)


def read(role: Role, batch: Number, queries: Number, **more: Any) -> Stage:
    """Return a pass over tokens; keys: the tokens themselves unless said otherwise."""
    return Stage(role, "read", batch, queries, more.pop("keys", queries), **more)


def fill(role: Role, batch: Number, positions: Number, **more: Any) -> Stage:
    """Return a pass over prompt and masked text, in both directions, with logits of all of it."""
    return Stage(role, "fill", batch, positions, positions, **more)


def write(role: Role, batch: Number, after: Number, steps: Number, **more: Any) -> Stage:
    """Return decode steps of sequences that have `after` tokens behind them."""
    return Stage(role, "write", batch, 1.0, np.add(after, 1.0), steps, **more)


@dataclass(frozen=True, eq=False)
class Cost:
    """What S settings cost N candidates; every field (N, S).

    seconds, `reading` of them on passes that read; joules: NaN where the device's profile states
    nothing; flops; bytes: DRAM traffic; memory: bytes resident at once, at the stage where they are
    most. compute, traffic, overhead: seconds that each takes alone.
    """

    seconds: Array
    reading: Array
    joules: Array
    flops: Array
    bytes: Array
    memory: Array
    compute: Array
    traffic: Array
    overhead: Array

    def __add__(self, other: Cost) -> Cost:
        """Return both costs one after the other, with both models resident."""
        return Cost(*(getattr(self, name) + getattr(other, name) for name in COST))

    def __getitem__(self, index: Any) -> Cost:
        return Cost(*(getattr(self, name)[index] for name in COST))


COST = tuple(Cost.__annotations__)
_FIELDS = {
    "traffic": "memory",
    "reading": "seconds",
}  # names of ours that the engine's work calls otherwise


def cost(
    arch: Architectures,
    device: Device,
    stages: Sequence[Stage],
    settings: int,
    role: Role = "policy",
    **how: Any,
) -> Cost:
    """Cost the stages of one role, for N candidates and S settings.

    how: processor, runtime and ideal of the engine. A prompt that the batch shares is stored once,
    and every sequence reads it for itself, as plain attention kernels do.
    """
    zero = np.zeros((len(arch), settings))
    mine = [stage for stage in stages if stage.role == role]
    totals = {name: zero.copy() for name in COST}
    for kind in ("read", "write", "fill"):
        chosen = [stage.columns(settings) for stage in mine if stage.kind == kind]
        if not chosen:
            continue
        rows = np.concatenate(chosen)
        distinct, which = np.unique(rows[:, :5], axis=0, return_inverse=True)
        times = rows[:, 5]
        used = np.zeros(len(distinct), bool)
        used[which[times > 0]] = True
        work = _work(arch, device, kind, distinct, used, how)
        parts = zip(np.split(which, len(chosen)), np.split(times, len(chosen)), strict=True)
        for index, often in parts:
            for name in COST:
                if name == "memory":
                    here = work[name][:, index] * (often > 0)
                    totals[name] = np.maximum(totals[name], here)
                else:
                    totals[name] += work[name][:, index] * often
    return Cost(**totals)


def _work(
    arch: Architectures,
    device: Device,
    kind: str,
    rows: Array,
    used: Array,
    how: dict[str, Any],
) -> dict[str, Array]:
    """Cost distinct stages, by name of the cost, (N, U); 0 for those that nobody uses."""
    n, u = len(arch), int(used.sum())
    found = {name: np.zeros((n, len(rows))) for name in COST}
    if not u:
        return found
    tiled = arch[np.repeat(np.arange(n), u)]
    batch, queries, keys, steps, shared = np.tile(rows[used].T, (1, n))
    step = Pass(batch, queries, keys, shared=shared)
    if kind == "fill":
        step = replace(step, mask="full", logits="all")
    if kind == "write":
        work = decode(tiled, device, step, steps, **how)
    else:
        work = forward(tiled, device, step, overhead="prompt", **how)
    resident = memory(
        tiled,
        sequences=batch,
        shared=shared,
        each=keys + steps - 1.0 - shared if kind != "fill" else 0.0,  # it keeps no cache
        queries=queries,
        logits=step.logits,
    )
    for name in COST:
        if name == "reading" and kind == "write":
            continue
        column = resident if name == "memory" else getattr(work, _FIELDS.get(name, name))
        found[name][:, used] = np.broadcast_to(column, (n * u,)).reshape(n, u)
    return found
