"""The rooflines of all members at once: operators as columns, and the few roofs they share.

Candidates whose weights are stored alike, and whose products run in the same number formats on the
same processors, share their roofs; there are few of those. The rest is arithmetic over (N, K)
arrays: N candidates, K pairs of a phase and an operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from arch_space.formats import storage
from roofline.engine import BOUNDS
from roofline.operators import OPERATORS
from roofline.report.points import PHASES, Roofline, formats_of, roofs_of

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.engine import Estimate
    from roofline.engine.placement import Placement

Array = np.ndarray

FORMAT_COLUMNS = ("weight_format", "embedding_format", "kv_format", "activation_format")


@dataclass(frozen=True, eq=False)
class Roof:
    """The roofs of one processor: its name, and peaks and bandwidths as `Roofline` has them."""

    processor: str
    peaks: pd.DataFrame
    bandwidths: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Rooflines:
    """Operators of N candidates under their roofs.

    phases, names: of the K operators. flops, bytes (DRAM traffic), time (seconds), bound (index of
    `engine.BOUNDS`): (N, K); an operator that a candidate does not have takes no time. Decode is
    its first step. whole: (N, 2) seconds of prefill and of a decode step, by which shares are
    taken. roof: (N,) index of `roofs`, one entry a set of roofs: those of each processor that runs
    something, the main one first; formats: beside it, the number format of each operator, (K,).
    """

    title: str
    phases: tuple[str, ...]
    names: tuple[str, ...]
    flops: Array
    bytes: Array
    time: Array
    bound: Array
    whole: Array
    roof: Array
    roofs: tuple[tuple[Roof, ...], ...]
    formats: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.roof)

    def at(self, row: int) -> Roofline:
        """Return the roofline of one candidate, under the roofs of the main processor."""
        some = self.time[row] > 0
        phase = np.array(self.phases)[some]
        flops, traffic, time = (a[row, some] for a in (self.flops, self.bytes, self.time))
        with np.errstate(divide="ignore", invalid="ignore"):
            intensity = np.where(flops > 0, flops / traffic, 0.0)
        kind = int(self.roof[row])
        main = self.roofs[kind][0]
        operators = pd.DataFrame(
            {
                "phase": phase,
                "operator": np.array(self.names)[some],
                "flops": flops,
                "bytes": traffic,
                "time": time,
                "intensity": intensity,
                "attained": flops / time,
                "share": time / self.whole[row, [PHASES.index(name) for name in phase]],
                "bound": np.array(BOUNDS)[self.bound[row, some]],
                "format": np.array(self.formats[kind], dtype=object)[some],
            }
        )
        return Roofline(self.title, operators, main.peaks, main.bandwidths)


def rooflines(
    estimate: Estimate,
    device: Device,
    processor: str | None = None,
    arch: Architectures | None = None,
) -> Rooflines:
    """Place the operators of all estimated candidates under the roofs of what runs them.

    estimate: made with its breakdown. processor: the main one of the device; its default if None.
    arch: the candidates that were estimated; where given, operators are labelled with the number
    format they run in, and only the peaks of those formats are kept. device: with its efficiencies.
    Raises ValueError for an estimate without operators, and for a device without efficiencies.
    """
    if not estimate.operators:
        raise ValueError("the estimate has no operators: make it with breakdown=True")
    main = processor or device.default_processor
    phases = tuple(found.phase for found in estimate.operators)
    names = tuple(found.name for found in estimate.operators)
    flops, traffic, compute, memory, time = (
        np.column_stack([np.asarray(getattr(found, name)) for found in estimate.operators])
        for name in ("flops", "bytes", "compute_time", "memory_time", "time")
    )
    sides = np.stack([compute, memory, time - np.maximum(compute, memory)])
    in_phase = np.array([[phase == name for name in PHASES] for phase in phases])
    # Operators of an ideal pass overlap, so that their times add up to more than the pass takes.
    passes = np.column_stack([estimate.ttft, estimate.tpot_first])
    whole = np.maximum(np.where(time > 0, time, 0.0) @ in_phase, passes)
    roof, kinds = _kinds(estimate, arch, (flops > 0) & (time > 0))
    roofs, formats = [], []
    for row in kinds:
        one = None if arch is None else arch[int(row)]
        on = [main] * len(names)
        if estimate.placement is not None:
            option = estimate.placements[int(estimate.placement[row])]
            on = _placed(option, phases, names, one is not None and int(one.experts[0]) > 1)
        chips = dict.fromkeys([main, *on])
        known = {
            name: {} if one is None else formats_of(one, device.processor(name)) for name in chips
        }
        run_in = [known[where].get(name, "") for where, name in zip(on, names, strict=True)]
        works = (flops[row] > 0) & (time[row] > 0)
        group = []
        for name in chips:
            # a draft runs in several formats, and so in none
            mine = [f for f, at, w in zip(run_in, on, works, strict=True) if w and f and at == name]
            used = mine if one is not None and mine else device.processor(name).peaks
            group.append(Roof(name, *roofs_of(device, device.processor(name), used, one)))
        roofs.append(tuple(group))
        formats.append(tuple(run_in))
    title = f"{device.title}, {device.processor(main).title}"
    return Rooflines(
        title, phases, names, flops, traffic, time, np.argmax(sides, axis=0), whole, roof,
        tuple(roofs), tuple(formats),
    )  # fmt: skip


def _placed(
    option: Placement, phases: tuple[str, ...], names: tuple[str, ...], has_experts: bool
) -> list[str]:
    """Return the processor that each operator runs on; a dense network is of the body."""
    parts: dict[str, Any] = {
        operator.name: "head" if operator.operands == "head" else "experts"
        for operator in OPERATORS
        if operator.operands == "head" or (operator.routed and has_experts)
    }
    where: Any = option.on
    return [where(phase, parts.get(name)) for phase, name in zip(phases, names, strict=True)]


def _kinds(estimate: Estimate, arch: Architectures | None, works: Array) -> tuple[Array, Array]:
    """Return which kind of roofs each candidate has, (N,), and one candidate of each kind."""
    size = len(works)
    if arch is None:
        return np.zeros(size, dtype=int), np.zeros(1, dtype=int)
    floats = arch.as_float()
    body = storage(floats.weight_format, floats.width, "body")
    columns = [np.broadcast_to(getattr(arch, name), size) for name in FORMAT_COLUMNS]
    columns.append(np.broadcast_to(body, size))
    if estimate.placement is not None:
        columns.append(np.broadcast_to(estimate.placement, size))
        columns.append(np.broadcast_to(arch.experts > 1, size))
    keys = np.column_stack([*columns, works]).astype(np.int64)
    _, first, roof = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return roof.reshape(-1), first
