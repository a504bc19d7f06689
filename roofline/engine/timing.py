"""From costs to seconds: one operator, one forward pass, and all the steps of decoding."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.layers import cache_filling
from arch_space.tensors import tensors as weight_tensors
from roofline.factored import rising
from roofline.operators import OPERATORS
from roofline.operators.attention import bends as bends_of_attention
from roofline.operators.cost import NOTHING
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


IDLE = Timing(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def time_operator(
    operator: Operator, arch: Architectures, tensors: Tensors, step: Pass, roof: Roof
) -> Timing:
    """Time all instances of one operator in one forward pass.

    t = max(FLOPs / (peak x efficiency), bytes / (bandwidth x efficiency)) + launches, where an
    efficiency e that falls with size s as e s / (s + half) adds `half` to the operation.
    """
    cost = operator.cost(arch, tensors, step)
    if cost is NOTHING:
        return IDLE
    if roof.chunk and np.any(np.greater(step.queries, roof.chunk)):
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
        tiled = roof.tile and operator.operands == "weights" and step.kernels == "prompt"
        if tiled and np.any(np.greater(step.queries, 1)):
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
    start: Number = roof.state_launch if operator.recurrent else roof.launch
    if operator.operands in roof.handover:
        start = start + roof.handover[operator.operands]
    launch = cost.launches * start * copies if np.any(start) else 0.0
    return Timing(compute, memory * copies, launch, flops, joules, moved * copies)


def _padding(
    operator: Operator, arch: Architectures, flops: Number, step: Pass, chunk: int
) -> Number:
    """Operations that one more token in each product of a prompt adds.

    Each piece of a prompt pads its products anew, and so does each expert that any token picks.
    """
    each = flops / step.tokens
    routed = operator.routed and (arch.experts > 1).any()
    added: Number = 0.0
    for times, piece in _pieces(step, chunk):
        repeats = experts_read(arch, piece.tokens) / arch.experts_per_token if routed else 1.0
        added = added + times * repeats * each
    return added if np.ndim(step.queries) == 0 else np.where(step.queries > 1, added, 0.0)


def _pieces(step: Pass, chunk: int) -> list[tuple[Number, Pass]]:
    """The pieces that a prompt is read in, and how many of each: whole ones, and what is left."""
    if not chunk or not np.any(np.greater(step.queries, chunk)):
        return [(1, step)]
    whole = np.floor(np.divide(step.queries, chunk))
    found: list[tuple[Number, Pass]] = [(whole, replace(step, queries=chunk))]
    rest = step.queries - whole * chunk
    if np.any(rest > 0):
        found.append((np.where(rest > 0, 1.0, 0.0), replace(step, queries=np.maximum(rest, 1))))
    return found


def _in_pieces(
    cost: Cost, operator: Operator, arch: Architectures, tensors: Tensors, step: Pass, chunk: int
) -> Cost:
    """The cost of a prompt that is read in pieces: each reads the weights and starts the kernels.

    Operations, activations and, with fused attention, the cache come to the same.
    """
    weights: Number = 0.0
    launches: Number = 0.0
    for times, piece in _pieces(step, chunk):
        one = operator.cost(arch, tensors, piece)
        weights, launches = weights + times * one.weights, launches + times * one.launches
    return replace(cost, weights=weights, launches=launches)


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
    if roof.skips and arch.shared_kv_layers.any() and _may_skip(step):
        return _skipping(operators, arch, tensors, step, roof)
    return {
        operator.name: time_operator(operator, arch, tensors, step, roof) for operator in operators
    }


def _may_skip(step: Pass) -> bool:
    """Whether only keys and values are wanted of all the tokens of a pass, or all but the last."""
    if (step.kernels, step.mask) != ("prompt", "causal") or step.logits == "all":
        return False
    return step.logits == "none" or bool(np.all(np.greater(step.queries, 1)))


def _skipping(
    operators: list[Operator], arch: Architectures, tensors: Tensors, step: Pass, roof: Roof
) -> dict[str, Timing]:
    """Time a prompt whose last token alone runs through the layers that share a cache.

    No token does of a piece of which no logits are wanted.
    """
    filling = cache_filling(arch)
    inventory = weight_tensors(filling)
    last = replace(step, queries=1, kernels="step")

    def time(operator: Operator) -> Timing:
        if not operator.may_skip(arch):
            return time_operator(operator, arch, tensors, step, roof)
        fills = np.any(operator.copies(filling) > 0)
        if step.logits == "none":
            return time_operator(operator, filling, inventory, step, roof) if fills else IDLE
        every = time_operator(operator, arch, tensors, last, roof)
        if not fills:
            return every
        first, less = (
            time_operator(operator, filling, inventory, each, roof) for each in (step, last)
        )
        sums = {
            f.name: getattr(first, f.name) + getattr(every, f.name) - getattr(less, f.name)
            for f in fields(Timing)
        }
        return Timing(**sums)

    return {operator.name: time(operator) for operator in operators}


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


@dataclass(frozen=True, eq=False)
class Stretch:
    """Passes over which all costs are linear in the keys: `count` of them, from first to last.

    first, last: timings of the growing operators, by name; count: a number or (N,).
    """

    first: dict[str, Timing]
    last: dict[str, Timing]
    count: Number


@dataclass(frozen=True, eq=False)
class Series:
    """Forward passes that differ in their keys alone, evenly spaced.

    steps: how many, a number or (N,); time: seconds in all; first, last: of the first and the last
    pass, (N,). fixed: timings of one pass of the operators that the keys do not touch; stretches:
    of the others.
    """

    steps: Number
    time: Array
    first: Array
    last: Array
    fixed: dict[str, Timing]
    stretches: tuple[Stretch, ...]

    @property
    def timings(self) -> dict[str, Timing]:
        """Timings of the first pass, by operator."""
        return self.fixed | self.stretches[0].first

    def total(self, field: str) -> Array:
        """Sum one field over all operators and passes, (N,)."""
        grown = sum(
            s.count * (total(s.first, field) + total(s.last, field)) / 2.0 for s in self.stretches
        )
        return self.steps * total(self.fixed, field) + grown


def time_series(
    operators: list[Operator],
    arch: Architectures,
    tensors: Tensors,
    first: Pass,
    steps: Number,
    roof: Roof,
    *,
    stride: Number = 1.0,
    fixed: float | None = None,
) -> Series:
    """Time `steps` passes whose cache grows by `stride` tokens a pass, without a loop over them.

    Decoding, a prompt in pieces and the rounds of speculative decoding are such series. Only
    attention depends on the context, and on each side linearly between few bends (a window fills):
    so the passes are split there, and each stretch is summed in closed form. fixed: seconds of each
    pass whatever the model; those of a decode step if None.
    """
    fixed = roof.step if fixed is None else fixed
    alike = time_pass([o for o in operators if not o.grows], arch, tensors, first, roof)
    growing = [o for o in operators if o.grows]

    def at(keys: Array) -> dict[str, Timing]:
        return time_pass(growing, arch, tensors, first.seeing(keys), roof)

    stretches = tuple(
        Stretch(at(low), at(high), count) for low, high, count in _split(arch, first, steps, stride)
    )
    seconds: Array = np.zeros(1)
    if roof.ideal:
        c, m = total(alike, "compute"), total(alike, "memory")
        for s in stretches:
            low = (c + total(s.first, "compute"), m + total(s.first, "memory"))
            high = (c + total(s.last, "compute"), m + total(s.last, "memory"))
            seconds = seconds + sum_of_max(*low, *high, s.count)
    else:
        seconds = steps * pass_time(alike, roof, fixed)
        for s in stretches:
            for name, nearer in s.first.items():
                further = s.last[name]
                seconds = seconds + s.count * nearer.launch
                seconds = seconds + sum_of_max(
                    nearer.compute, nearer.memory, further.compute, further.memory, s.count
                )
    return Series(
        steps=steps,
        time=seconds,
        first=pass_time(alike | stretches[0].first, roof, fixed),
        last=pass_time(alike | stretches[-1].last, roof, fixed),
        fixed=alike,
        stretches=stretches,
    )


def _split(
    arch: Architectures, first: Pass, steps: Number, stride: Number
) -> list[tuple[Array, Array, Number]]:
    """Keys of the first and the last pass, and the number of passes, of each linear stretch."""
    begin = np.multiply(first.keys, 1.0)
    end = begin + stride * (steps - 1.0)
    bends = bends_of_attention(arch, first)
    if not bends:
        return [(begin, end, steps)]
    ordered = np.sort(np.broadcast_arrays(*bends), axis=0) if len(bends) > 1 else bends
    found: list[tuple[Array, Array, Number]] = []
    done: Number = 0.0
    for bend in ordered:
        upto = np.clip(np.floor((bend - begin) / stride) + 1.0, 0.0, steps)
        low = begin if not found else np.minimum(begin + stride * done, end)
        found.append((low, np.maximum(begin + stride * (upto - 1.0), low), upto - done))
        done = upto
    found.append((np.minimum(begin + stride * done, end), end, steps - done))
    return found
