"""What cases ask of their processors: operations and bytes of each operator, from the inventory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from arch_space.layers import cache_filling
from arch_space.tensors import tensors
from roofline.calibration.work import Demand, Work
from roofline.efficiency.arithmetic import reference_peaks
from roofline.efficiency.form import path
from roofline.efficiency.hosting import HOST, host_of, is_hosted, pace
from roofline.engine.timing import present
from roofline.operators import OPERATORS
from roofline.operators.feed_forward import experts_read
from roofline.runtimes import runtime
from roofline.workload import Pass

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Processor
    from hardware_specs.figures import Figure
    from roofline.calibration.cases import Cases
    from roofline.operators.cost import Operator
    from roofline.runtimes import Runtime

Array = np.ndarray
Passes = list[tuple[Pass, float]]
"""Passes over a prompt or an answer, and how often each is made."""
FIELDS = (
    "flops",
    "products",
    "padding",
    "weights",
    "cache",
    "activations",
    "launches",
    "state_launches",
)
OF_PIECES = ("padding", "weights", "launches", "state_launches")
"""What each piece of a prompt asks for anew."""


def work_of(cases: Cases, ideal: bool = False) -> Work:
    """Return the demands, peaks and measured times of the cases.

    ideal: a prompt is one pass, through no more layers than it must, whatever the runtime does.
    """
    operators = list(OPERATORS)
    context = cases.context + (cases.generate + 1.0) / 2.0
    chunk = np.zeros(len(cases)) if ideal else cases.chunk
    demand = {
        "decode": _demand(
            cases, operators, [cases.batch], lambda part, batch: _decode(context[part], batch)
        ),
        "prefill": _prompts(cases, operators, chunk, ideal),
    }
    kinds = np.array([operator.operands for operator in operators])
    with np.errstate(divide="ignore", invalid="ignore"):
        measured = {"decode": np.log(cases.tpot), "prefill": np.log(cases.ttft)}
    group = cases.arch.query_heads / cases.arch.kv_heads
    group = np.where(cases.arch.kv_rank > 0, 1.0, group)
    away = _hosted(cases, kinds)
    return Work(
        peak=_peaks(cases, kinds, away),
        bandwidth=np.array([d.memory.dram.bandwidth.value for d in cases.devices]),
        vague=np.array([_vague(d.memory.dram.bandwidth) for d in cases.devices]),
        group=np.broadcast_to(group, (len(cases),)).astype(float),
        demand=demand,
        measured=measured,
        # The network of a dense model is the same operator, of which nothing is routed.
        routed=np.broadcast_to((cases.arch.experts > 1)[:, None], (len(cases), 1))
        & np.array([operator.routed for operator in operators])[None],
        head=kinds == "head",
        cached=kinds == "cache",
        shared=np.array([o.operands == "cache" and not o.recurrent for o in operators]),
        hosted=away,
        pace=_pace(cases, away),
        settings=cases.settings,
    )


def _prompts(cases: Cases, operators: list[Operator], chunk: Array, ideal: bool) -> Demand:
    """The demands of prefills, some of which skip the layers that share a cache."""
    sizes = [cases.batch, cases.prompt, cases.depth, chunk]
    whole = _demand(cases, operators, sizes, _prefill)
    may = np.array([ideal or runtime.skips for runtime in cases.runtimes])
    skips = np.flatnonzero(may & (cases.arch.shared_kv_layers > 0) & (cases.prompt > 1))
    if not len(skips):
        return whole

    def last(part: Array, batch: float) -> Passes:
        return _decode((cases.depth + cases.prompt)[part], batch)

    filling = replace(cases, arch=cache_filling(cases.arch.as_float()))
    first = _demand(filling, operators, sizes, _prefill, skips)
    every, less = (
        _demand(each, operators, [cases.batch], last, skips) for each in (cases, filling)
    )
    arch = cases.arch.as_float()
    layered = np.flatnonzero([operator.may_skip(arch) for operator in operators])
    at = np.ix_(skips, layered)
    for name in FIELDS:
        filled, added, counted = (getattr(demand, name)[at] for demand in (first, every, less))
        getattr(whole, name)[at] = filled + added - counted
    return whole


def _vague(figure: Figure) -> float:
    """Half of the interval in which a profile says that a number lies, on the logarithm."""
    low, high = figure.low or figure.value, figure.high or figure.value
    return float(np.log(high / low)) / 2.0


def _hosted(cases: Cases, kinds: Array) -> Array:
    """Which operators the CPU runs for another processor, (N, K)."""
    said = cases.settings
    head = said | {"path": np.array([path(name) for name in said["head_storage"]])}
    away = {"weights": is_hosted(said), "head": is_hosted(head)}
    never = np.zeros(len(cases), dtype=bool)
    return np.stack([away.get(kind, never) for kind in kinds], axis=1)


def _hosts(cases: Cases) -> list[Processor]:
    """The CPU of each case's device, or the case's processor where there is none."""
    named = zip(cases.devices, cases.processors, strict=True)
    return [host_of(device) or device.processors[key] for device, key in named]


def _pace(cases: Cases, away: Array) -> Array:
    """At what share of the peak unlike cores share each operator, (N, K); 1 off the CPU."""
    units, count = _hosts(cases), [int(n) or None for n in cases.threads]
    host = [runtime(HOST)] * len(cases)
    theirs, own = (
        np.array([pace(*each) for each in zip(units, software, count, strict=True)])
        for software in (host, cases.runtimes)
    )
    own = np.where(cases.settings["type"] == "cpu", own, 1.0)
    return np.where(away, theirs[:, None], own[:, None])


def _peaks(cases: Cases, kinds: Array, away: Array) -> Array:
    """The peak that each operator's products refer to, (N, K)."""
    units = [d.processors[p] for d, p in zip(cases.devices, cases.processors, strict=True)]
    own = _peaks_under(cases, kinds, units, cases.runtimes)
    if not away.any():
        return own
    theirs = _peaks_under(cases, kinds, _hosts(cases), [runtime(HOST)] * len(cases))
    return np.where(away, theirs, own)


def _peaks_under(
    cases: Cases, kinds: Array, units: list[Processor], software: list[Runtime]
) -> Array:
    arch, shape = cases.arch, (len(cases),)
    activations = np.broadcast_to(arch.activation_format, shape)
    by_kind = {
        kind: reference_peaks(units, software, activations, np.broadcast_to(operands, shape))
        for kind, operands in (
            ("weights", arch.weight_format),
            ("head", arch.embedding_format),
            ("cache", arch.kv_format),
        )
    }
    return np.stack([by_kind.get(kind, by_kind["weights"]) for kind in kinds], axis=1)


def _decode(keys: Array, batch: float) -> Passes:
    return [(Pass(batch, 1, keys), 1.0)]


def _prefill(part: Array, batch: float, prompt: float, depth: float, chunk: float) -> Passes:
    """The whole prompt at once; with it, the pieces in which its weights are read."""
    passes = [(Pass(batch, prompt, depth + prompt), 1.0)]
    if 0 < chunk < prompt:
        whole, rest = divmod(prompt, chunk)
        passes.append((Pass(batch, chunk, depth + prompt), whole))
        if rest:
            passes.append((Pass(batch, rest, depth + prompt), 1.0))
    return passes


def _demand(
    cases: Cases,
    operators: list[Operator],
    columns: list[Array],
    passes: Callable[..., Passes],
    rows: Array | None = None,
) -> Demand:
    """The demands of the cases, or of some rows of them."""
    shape = (len(cases), len(operators))
    found = {name: np.zeros(shape) for name in FIELDS}
    table = np.stack(columns, axis=1)
    rows = np.arange(len(cases)) if rows is None else rows
    for values in np.unique(table[rows], axis=0):
        part = rows[(table[rows] == values).all(axis=1)]
        whole, *pieces = passes(part, *values)
        _fill(found, part, cases, operators, whole[0])
        if pieces:  # weights and kernels of a prompt that is read in pieces
            for name in OF_PIECES:
                found[name][part] = 0.0
        for step, times in pieces:
            piece = {name: np.zeros(shape) for name in FIELDS}
            _fill(piece, part, cases, operators, step)
            for name in OF_PIECES:
                found[name][part] += times * piece[name][part]
    return Demand(**found)


def _fill(
    found: dict[str, Array], part: Array, cases: Cases, operators: list[Operator], step: Pass
) -> None:
    arch: Architectures = cases.arch[part].as_float()
    inventory = {
        name: replace(tensor, bytes_each=tensor.bytes_each * cases.size_ratio[part])
        for name, tensor in tensors(arch).items()
    }
    here = present(arch)
    for k in np.flatnonzero([operator in here for operator in operators]):
        operator = operators[k]
        cost = operator.cost(arch, inventory, step)
        copies = operator.copies(arch)
        launches = cost.launches * copies
        found["flops"][part, k] = 0.0 if operator.operands == "none" else cost.flops * copies
        found["products"][part, k] = np.where(found["flops"][part, k] > 0, copies, 0.0)
        if operator.operands == "weights" and step.queries > 1:
            # Of a prompt in pieces, each piece pads its products: the caller multiplies.
            repeats = experts_read(arch, step.tokens) / arch.experts_per_token
            each = found["flops"][part, k] / step.tokens
            found["padding"][part, k] = each * (repeats if operator.routed else 1.0)
        found["weights"][part, k] = cost.weights * copies
        found["cache"][part, k] = cost.cache * copies
        found["activations"][part, k] = cost.activations * copies
        found["state_launches" if operator.recurrent else "launches"][part, k] = launches


__all__ = ["work_of"]
