"""From costs to seconds: one operator, one forward pass, and all the steps of decoding."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.factored import rising
from roofline.operators import OPERATORS
from roofline.operators.feed_forward import experts_read

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from roofline.engine.roof import Roof
    from roofline.operators.cost import Cost, Operator, Tensors
    from roofline.workload import Pass

Array = np.ndarray
Number = Array | float


@dataclass(frozen=True)
class Timing:
    """All instances of one operator in one forward pass; every field (N,) or broadcastable.

    compute, memory: seconds that its products and its traffic take alone; launch: of its kernels.
    flops; joules: of the products (0 where unknown); bytes: from and to DRAM.
    """

    compute: Number
    memory: Number
    launch: Number
    flops: Number
    joules: Number
    bytes: Number

    @property
    def time(self) -> Array:
        """Seconds: the slower of the two, and the launches."""
        return np.maximum(self.compute, self.memory) + self.launch


def time_operator(
    operator: Operator, arch: Architectures, tensors: Tensors, step: Pass, roof: Roof
) -> Timing:
    """Time all instances of one operator in one forward pass.

    t = max(FLOPs / (peak x efficiency), bytes / (bandwidth x efficiency)) + launches, where an
    efficiency e that falls with size s as e s / (s + half) adds `half` to the operation.
    """
    cost = operator.cost(arch, tensors, step)
    if 0 < roof.chunk < step.queries:
        cost = _in_pieces(cost, operator, arch, tensors, step, roof.chunk)
    copies = operator.copies(arch)
    kind = "experts" if operator.routed else "state" if operator.recurrent else operator.operands
    flops: Number = 0.0
    compute: Number = 0.0
    joules: Number = 0.0
    if operator.operands != "none":
        flops = cost.flops * copies
        compute = flops
        if roof.flop_half:
            compute = compute + roof.flop_half * copies
        if roof.tile and step.queries > 1 and operator.operands == "weights":
            compute = compute + roof.tile * _padding(operator, arch, flops, step, roof.chunk)
        compute = compute * roof.flop_time[kind]
        if roof.joule_per_flop is not None:
            joules = flops * roof.joule_per_flop[operator.operands]

    moved = cost.weights
    rates = {"experts": roof.expert_time, "head": roof.head_time}
    memory = cost.weights * rates.get(kind, roof.weight_time)
    if operator.operands == "cache":
        moved = moved + cost.cache
        memory = memory + cost.cache * (roof.state_time if operator.recurrent else roof.cache_time)
    if roof.on_chip:
        moved = moved * roof.dram_share
    if not roof.ideal:
        spilled, seconds = _activations(cost.activations, roof)
        moved = moved + spilled
        memory = memory + seconds
        if operator.operands == "cache":
            moved = moved + cost.scores
            memory = memory + cost.scores * roof.activation_time
    if roof.byte_half:
        memory = memory + roof.byte_half * roof.weight_time
    start = roof.state_launch if operator.recurrent else roof.launch
    launch = cost.launches * start * copies if start else 0.0
    return Timing(compute, memory * copies, launch, flops, joules, moved * copies)


def _padding(
    operator: Operator, arch: Architectures, flops: Number, step: Pass, chunk: int
) -> Number:
    """Operations that one more token in each product of a prompt adds.

    Each piece of a prompt pads its products anew, and so does each expert that any token picks.
    """
    pieces, tokens = 1, step.tokens
    if 0 < chunk < step.queries:
        pieces, tokens = math.ceil(step.queries / chunk), replace(step, queries=chunk).tokens
    each = pieces * flops / step.tokens
    if operator.routed and (arch.experts > 1).any():
        each = each * (experts_read(arch, tokens) / arch.experts_per_token)
    return each


def _in_pieces(
    cost: Cost, operator: Operator, arch: Architectures, tensors: Tensors, step: Pass, chunk: int
) -> Cost:
    """The cost of a prompt that is read in pieces: each reads the weights and starts the kernels.

    Operations, activations and, with fused attention, the cache come to the same.
    """
    pieces = math.ceil(step.queries / chunk)
    piece = operator.cost(arch, tensors, replace(step, queries=chunk))
    return replace(cost, weights=pieces * piece.weights, launches=pieces * piece.launches)


def _activations(size: Number, roof: Roof) -> tuple[Number, Number]:
    """Bytes that go out to DRAM, and seconds at the level that holds the operator's working set."""
    spilled: Number = size
    rate: Number = roof.activation_time
    for level in roof.on_chip:
        fits = np.less_equal(size, level.size)
        if fits.all():
            spilled, rate = 0.0, level.byte_time
        elif fits.any():
            spilled = np.where(fits, 0.0, spilled)
            rate = np.where(fits, level.byte_time, rate)
    return spilled, size * rate


def present(arch: Architectures, operators: tuple[Operator, ...] = OPERATORS) -> list[Operator]:
    """Return the operators that at least one candidate has."""
    return [operator for operator in operators if np.any(operator.copies(arch) > 0)]


def time_pass(
    operators: list[Operator], arch: Architectures, tensors: Tensors, step: Pass, roof: Roof
) -> dict[str, Timing]:
    """Time each operator of one forward pass."""
    return {
        operator.name: time_operator(operator, arch, tensors, step, roof) for operator in operators
    }


def pass_time(timings: dict[str, Timing], roof: Roof, fixed: float) -> Array:
    """Seconds of one forward pass, `fixed` of them whatever the model.

    Operators run one after the other, each as slow as its slower side. The ideal pass overlaps all
    computation with all traffic, which no order of operators can beat.
    """
    if roof.ideal:
        compute = total(timings, "compute")
        return np.maximum(compute, total(timings, "memory"))
    return np.add(fixed, sum(t.time for t in timings.values()))


def total(timings: dict[str, Timing], field: str) -> Any:
    """Sum one field over the operators."""
    return sum(getattr(t, field) for t in timings.values())


@rising
def sum_of_max(a0: Number, b0: Number, a1: Number, b1: Number, steps: Number) -> Number:
    """Sum of max(a_i, b_i) over `steps` evenly spaced steps, both sides linear in i; closed form.

    a0, b0: at the first step, a1, b1: at the last, each (N,) and not below zero; steps: (N,), zero
    gives zero. Two lines cross at most once: before it one side counts, after it the other.
    """
    gaps = np.maximum(steps - 1.0, 1.0)
    head, tail = a0 - b0, a1 - b1
    a_leads = np.where(head == 0, tail > 0, head > 0)
    lead0, lead1 = np.where(a_leads, a0, b0), np.where(a_leads, a1, b1)
    follow0, follow1 = np.where(a_leads, b0, a0), np.where(a_leads, b1, a1)
    crossing = head * tail < 0
    apart = steps * (lead0 + lead1) / 2.0
    if not np.any(crossing):
        return apart
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.floor(np.where(crossing, gaps * head / (head - tail), 0.0)) + 1.0
    leading = np.minimum(at, steps)

    def series(start: Array, end: Array, count: Array | float) -> Array:
        return count * start + (end - start) / gaps * count * (count - 1.0) / 2.0

    crossed = (
        series(lead0, lead1, leading)
        + series(follow0, follow1, steps)
        - series(follow0, follow1, leading)
    )
    return np.where(crossing, crossed, apart)  # whatever stands beside it, a candidate's sum


@dataclass(frozen=True)
class Decoding:
    """All decode steps of a workload.

    time: seconds in all; first, last: of the first and the last step; flops, bytes, joules: in all,
    (N,). timings: of the first step, by operator.
    """

    time: Array
    first: Array
    last: Array
    flops: Array
    bytes: Array
    joules: Array
    timings: dict[str, Timing]


def time_decoding(
    operators: list[Operator],
    arch: Architectures,
    tensors: Tensors,
    first: Pass,
    steps: int,
    roof: Roof,
) -> Decoding:
    """Time `steps` decode steps whose cache grows by one token a step, without a loop over them.

    Only attention depends on the context, and on each side linearly until a window is full; so the
    steps are split where the window fills, and each stretch is summed in closed form.
    """
    fixed = time_pass([o for o in operators if not o.grows], arch, tensors, first, roof)
    growing = [o for o in operators if o.grows]
    begin = np.asarray(first.keys, dtype=float)
    end = begin + (steps - 1.0)
    stretches = [(begin, end, float(steps))]
    if arch.window_share.any():
        fills = np.clip(np.where(arch.window > 0, arch.window, np.inf), begin - 1.0, end)
        stretches = [
            (begin, np.maximum(fills, begin), fills - begin + 1.0),
            (np.minimum(fills + 1.0, end), end, end - fills),
        ]

    def at(keys: Array) -> dict[str, Timing]:
        return time_pass(growing, arch, tensors, first.seeing(keys), roof)

    ends = [(at(lo), at(hi), count) for lo, hi, count in stretches]

    def over_steps(field: str) -> Array:
        grown = sum(count * (total(lo, field) + total(hi, field)) / 2.0 for lo, hi, count in ends)
        return steps * total(fixed, field) + grown

    at_first = fixed | ends[0][0]
    at_last = fixed | ends[-1][1]
    seconds: Array = np.zeros(1)
    if roof.ideal:
        c, m = total(fixed, "compute"), total(fixed, "memory")
        for lo, hi, count in ends:
            low = (c + total(lo, "compute"), m + total(lo, "memory"))
            high = (c + total(hi, "compute"), m + total(hi, "memory"))
            seconds = seconds + sum_of_max(*low, *high, count)
    else:
        seconds = steps * pass_time(fixed, roof, roof.step)
        for lo, hi, count in ends:
            for name, nearer in lo.items():
                further = hi[name]
                seconds = seconds + count * nearer.launch
                seconds = seconds + sum_of_max(
                    nearer.compute, nearer.memory, further.compute, further.memory, count
                )
    return Decoding(
        time=seconds,
        first=pass_time(at_first, roof, roof.step),
        last=pass_time(at_last, roof, roof.step),
        flops=over_steps("flops"),
        bytes=over_steps("bytes"),
        joules=over_steps("joules"),
        timings=at_first,
    )
