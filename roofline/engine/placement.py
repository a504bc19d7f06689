"""Placement: which processor of a device runs which part of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Literal

import numpy as np

from arch_space.layers import moe_layers
from roofline.efficiency.calibrated import calibrated, runtimes_of
from roofline.engine.bench import Bench
from roofline.engine.phases import Phase, reading, writing
from roofline.engine.roof import build_roof
from roofline.engine.timing import Stretch, Timing
from roofline.runtimes import runtime as runtime_named
from spec_files import SpecError, did_you_mean

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.engine.speculation import Draft
    from roofline.operators.cost import Operator
    from roofline.workload import Workload

Array = np.ndarray
PhaseName = Literal["prefill", "decode"]

PARTS = ("prefill", "decode", "head", "experts")
BEST = "best"
CRITERIA = ("ttft", "tpot", "latency", "energy")
"""What a best placement has the least of."""
_EQUAL = 1e-12
"""Sums of the same parts in another order differ by less than this share."""
HAND_OVER = "hand_over"
"""Name of the row of hand-overs between processors."""


@dataclass(frozen=True)
class Placement:
    """Processors, by key of the device, of the parts of a model.

    prefill, decode: of all that is not placed apart; head: of the LM head, in both phases; experts:
    of the routed experts, in both phases; None where they run with the rest. runtimes: by processor
    where one is asked for. All share the DRAM: the cache, and weights that are stored alike, are
    there once.
    """

    prefill: str
    decode: str
    head: str | None = None
    experts: str | None = None
    runtimes: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        asked = dict(self.runtimes)
        parts = ((part, getattr(self, part)) for part in PARTS)
        return ",".join(
            f"{part}={name}" + (f":{asked[name]}" if name in asked else "")
            for part, name in parts
            if name is not None
        )

    @property
    def processors(self) -> tuple[str, ...]:
        """Every processor that runs something, once."""
        named = (getattr(self, part) for part in PARTS)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def on(self, phase: PhaseName, part: Literal["head", "experts"] | None = None) -> str:
        """Return the processor of a phase, or of a part in it."""
        main: str = getattr(self, phase)
        return main if part is None else getattr(self, part) or main

    @classmethod
    def parse(cls, text: str, device: Device) -> Placement:
        """Read `prefill=npu,decode=cpu,head=cpu:llama.cpp-cpu`; a phase not named is the other's.

        A processor's runtime may follow it after a colon. SpecError says what is wrong.
        """
        found: dict[str, str] = {}
        runtimes: dict[str, str] = {}
        for word in text.split(","):
            part, equals, where = (piece.strip() for piece in word.partition("="))
            if not equals or not where:
                raise SpecError(
                    f"placement: read {word.strip()!r}; write PART=PROCESSOR, as in "
                    "prefill=npu,decode=cpu, or best"
                )
            if part not in PARTS:
                raise SpecError(f"placement: no part {part!r}{did_you_mean(part, PARTS)}")
            if part in found:
                raise SpecError(f"placement: {part} is given twice")
            name, _, asked = (piece.strip() for piece in where.partition(":"))
            device.processor(name)
            if asked and runtimes.setdefault(name, asked) != asked:
                raise SpecError(
                    f"placement: processor {name!r} cannot run two runtimes, "
                    f"{runtimes[name]!r} and {asked!r}"
                )
            found[part] = name
        main = found.get("prefill") or found.get("decode") or device.default_processor
        found = {"prefill": main, "decode": found.get("decode", main)} | found
        return cls(**found, runtimes=tuple(runtimes.items()))

    def simplest(self) -> Placement:
        """Return the same with nothing placed apart that runs with the rest anyway."""
        if self.prefill != self.decode:
            return self
        head = None if self.head == self.decode else self.head
        experts = None if self.experts == self.decode else self.experts
        return replace(self, head=head, experts=experts)

    def calibrated(self, device: Device, runtime: str | None = None) -> Device:
        """Return the device with the efficiencies of every processor that runs something.

        runtime: of those of which the placement names none.
        """
        asked = dict(self.runtimes)
        for name in self.processors:
            device = calibrated(device, name, asked.get(name, runtime))
        return device

    def runtime_names(self, device: Device) -> tuple[str, ...]:
        """Return the runtimes of a calibrated device that run something."""
        known = (device.processor(name).calibration for name in self.processors)
        return tuple(dict.fromkeys(c.runtime for c in known if c is not None))


def placements(processors: Iterable[str], experts: bool = True) -> tuple[Placement, ...]:
    """Return every placement on these processors, each once, the simplest first."""
    names = list(dict.fromkeys(processors))
    apart = [None, *names]
    every = (
        Placement(prefill, decode, head, expert).simplest()
        for prefill in names
        for decode in names
        for head in apart
        for expert in (apart if experts else [None])
    )
    return tuple(sorted(dict.fromkeys(every), key=_complexity))


def _complexity(placement: Placement) -> tuple[int, int]:
    return len(placement.processors), sum(getattr(placement, part) is not None for part in PARTS)


def able(device: Device, runtime: str | None = None) -> list[str]:
    """Return the processors that a placement may use: under one runtime, those that it runs on."""
    if runtime is None:
        return list(device.processors)
    title = runtime_named(runtime).title
    found = [n for n, unit in device.processors.items() if runtime in runtimes_of(unit)]
    if not found:
        raise SpecError(f"{title} runs on no processor of {device.name}")
    return found


def calibrated_for(device: Device, placement: Placement | str, runtime: str | None) -> Device:
    """Return the device with the efficiencies of every processor that a placement may use.

    SpecError says what is wrong with the placement's text, or its runtimes.
    """
    if placement != BEST:
        return _given(placement, device).calibrated(device, runtime)
    for name in able(device, runtime):
        device = calibrated(device, name, runtime)
    return device


def main_processor(device: Device, placement: Placement | str, runtime: str | None) -> str:
    """Return the processor that writes the answer; of `best`, the default if it is able."""
    if placement != BEST:
        return _given(placement, device).decode
    names = able(device, runtime)
    return device.default_processor if device.default_processor in names else names[0]


def _given(placement: Placement | str, device: Device) -> Placement:
    return Placement.parse(placement, device) if isinstance(placement, str) else placement


def choose_from(
    arch: Architectures,
    device: Device,
    placement: Placement | str,
    runtime: str | None = None,
    ideal: bool = False,
) -> tuple[Device, tuple[Placement, ...]]:
    """Return the calibrated device, and the placements that are meant: one, or all for `best`.

    Of all, those are left out whose processors lack a peak for a number format that candidates
    compute in; experts are placed where any candidate has them. SpecError says what is wrong.
    """
    device = calibrated_for(device, placement, runtime)
    if placement != BEST:
        return device, (_given(placement, device),)
    usable, refusals = [], []
    for name in able(device, runtime):
        try:
            build_roof(arch.as_float(), device, device.processor(name), np.zeros(1), ideal)
        except SpecError as refusal:
            refusals.append(refusal)
        else:
            usable.append(name)
    if not usable:
        raise refusals[0]
    return device, placements(usable, bool((arch.experts > 1).any()))


class Board:
    """N candidates on several processors of one device: every part is timed once on each.

    A placement is then a sum of parts, so that all of them cost little more than one.
    """

    def __init__(
        self,
        arch: Architectures,
        device: Device,
        workload: Workload,
        processors: Iterable[str],
        resident: Array,
        ideal: bool,
        draft: Draft | None,
    ) -> None:
        self.arch, self.device, self.workload = arch, device, workload
        self.draft, self.resident, self.ideal = draft, resident, ideal
        self.benches = {n: Bench.build(arch, device, n, resident, ideal) for n in processors}
        self._timed: dict[tuple[PhaseName, str, str], Phase] = {}
        self._drafting: dict[str, Bench] = {}

    def phase(self, name: PhaseName, placement: Placement) -> Phase:
        """Return one phase under a placement."""
        return reduce(add, self._parts(name, placement))

    def _parts(self, name: PhaseName, placement: Placement) -> list[Phase]:
        found = [
            self._part(name, "body", placement.on(name)),
            self._part(name, "head", placement.on(name, "head")),
        ]
        if (self.arch.experts > 1).any():
            found.append(self._part(name, "experts", placement.on(name, "experts")))
        if self.device.hand_over_seconds and not self.ideal:
            found.append(self._handing(name, placement))
        return found

    def whole(self, name: PhaseName, processor: str) -> Phase:
        """Return one phase with all its operators on one processor."""
        return self._time(name, self.benches[processor], processor)

    def _part(self, name: PhaseName, part: str, processor: str) -> Phase:
        key = name, part, processor
        if key not in self._timed:
            bench = self.benches[processor]
            chosen = _operators(self.arch, bench.operators, part)
            self._timed[key] = self._time(name, bench.only(chosen, part == "body"), processor)
        return self._timed[key]

    def _time(self, name: PhaseName, bench: Bench, processor: str) -> Phase:
        work = self.workload
        if name == "prefill":
            phase = reading(bench, work)
        elif work.draft is None:
            phase = writing(bench, work.decode(work.prompt + 1), float(work.generate))
        else:
            first, each = work.verification(), work.expected_tokens
            phase = writing(bench, first, work.rounds, each)
        if self.draft is None or not bench.main:
            return phase
        return phase + self.draft.phase(name, self._drafter(processor), work)

    def _drafter(self, processor: str) -> Bench:
        """The bench of the draft, beside the model."""
        if self.draft is None or self.draft.arch is None:
            return self.benches[processor]
        if processor not in self._drafting:
            self._drafting[processor] = Bench.build(
                self.draft.arch, self.device, processor, self.resident, self.ideal
            )
        return self._drafting[processor]

    def hand_overs(self, name: PhaseName, placement: Placement) -> tuple[Array, float]:
        """Return how often a phase changes its processor, (N,), and over how many passes.

        There and back: for the head, once a pass that wants logits; for the experts, once a layer.
        """
        main = placement.on(name)
        head = 2.0 * (placement.on(name, "head") != main)
        experts: Array = np.zeros(1)
        if placement.on(name, "experts") != main:
            experts = 2.0 * moe_layers(self.arch) * (self.arch.experts > 1)
        if name == "decode":
            return (head + experts) * self.workload.rounds, self.workload.rounds
        chunk = self.benches[main].roof.chunk
        passes = [
            (float(count * np.ceil(step.queries / chunk) if chunk else count), step.logits)
            for step, count in self.workload.pieces()
        ]
        every = sum(times for times, _ in passes)
        saying = sum(times for times, logits in passes if logits != "none")
        return head * saying + experts * every, every

    def best(
        self, options: tuple[Placement, ...], prefer: str, memory: Array, usable: float
    ) -> Array:
        """Return the index of the best option of each candidate, (N,): exact enumeration.

        prefer: what is least, one of CRITERIA; of equal ones what has the least latency, of those
        the first. Options that fit in memory go before those that do not. memory: (N,) bytes with
        one copy of the weights.
        """
        shape = (len(self.arch),)
        least, soonest = np.full(shape, np.inf), np.full(shape, np.inf)
        fitting = np.zeros(shape, dtype=bool)
        picked = np.zeros(shape, dtype=np.intp)
        for index, option in enumerate(options):
            value, latency = self._criteria(option, prefer)
            fits = memory + self.weight_copies(option) <= usable
            less, equal = value < least * (1 - _EQUAL), value <= least * (1 + _EQUAL)
            better = less | (equal & (latency < soonest * (1 - _EQUAL)))
            better = (fits & ~fitting) | ((fits == fitting) & better)
            least, soonest = np.where(better, value, least), np.where(better, latency, soonest)
            picked = np.where(better, index, picked)
            fitting = fitting | fits
        return picked

    def _criteria(self, option: Placement, prefer: str) -> tuple[Array, Array]:
        """Return what is preferred and the latency, infinite where not known."""
        prefill, decode = self._sum("prefill", option), self._sum("decode", option)
        found = {"ttft": prefill[0], "tpot": decode[0], "energy": prefill[1] + decode[1]}
        latency = prefill[0] + decode[0]
        value = found.get(prefer, latency)
        return np.where(np.isnan(value), np.inf, value), latency

    def _sum(self, name: PhaseName, option: Placement) -> tuple[Array, Array]:
        """Return seconds and joules of a phase, without all the rest."""
        parts = self._parts(name, option)
        return reduce(add, [part.seconds for part in parts]), reduce(
            add, [part.joules for part in parts]
        )

    def _handing(self, name: PhaseName, placement: Placement) -> Phase:
        times, passes = self.hand_overs(name, placement)
        total = times * self.device.hand_over_seconds
        seconds = total / passes
        none = np.zeros(1)
        shown = total if name == "prefill" else seconds
        timing = {HAND_OVER: Timing(0.0, 0.0, shown, 0.0, 0.0, 0.0)}
        sides = (none, none, shown)
        stretch = (Stretch(timing, timing, 1.0),)
        if name == "decode" and placement.prefill != placement.decode:
            total = total + self.device.hand_over_seconds  # the answer starts elsewhere
        return Phase(total, none, seconds, seconds, none, none, sides, stretch)

    def weight_copies(self, placement: Placement) -> Array:
        """Bytes of weights beyond one copy, (N,), where runtimes store them each in their own way.

        Those of one software share a file; the embedding is looked up wherever it lies.
        """
        groups: dict[str, Array] = dict.fromkeys(("body", "experts", "head"), np.zeros(1))
        tied = 1.0 * self.arch.tied_embedding
        for name, tensor in self.benches[placement.prefill].inventory.items():
            stored = tensor.stored_bytes
            if name in ("expert_up", "expert_down", "expert_bias"):
                moe = self.arch.experts > 1
                groups["experts"] = groups["experts"] + stored * moe
                groups["body"] = groups["body"] + stored * ~moe
            elif name in ("head", "head_bias"):
                groups["head"] = groups["head"] + stored
            elif name == "embedding":
                groups["head"] = groups["head"] + stored * tied
            elif name not in ("positions", "layer_embedding"):
                groups["body"] = groups["body"] + stored
        more: Array = np.zeros(1)
        for part, size in groups.items():
            which = None if part == "body" else part
            where = {placement.on("prefill", which), placement.on("decode", which)}  # type: ignore[arg-type]
            kinds = {_software(self.device, processor) for processor in where}
            more = more + (len(kinds) - 1) * size
        if self.draft is None:
            return more
        main = {_software(self.device, each) for each in (placement.prefill, placement.decode)}
        whole: Array = sum(groups.values(), np.zeros(1))
        return more + (len(main) - 1) * self.draft.copied(whole)  # it reads the prompt, and drafts


def _software(device: Device, processor: str) -> str:
    """What decides how weights are stored: the software, whatever it drives."""
    known = device.processor(processor).calibration
    return "" if known is None else runtime_named(known.runtime).pattern


def _operators(arch: Architectures, operators: list[Operator], part: str) -> list[Operator]:
    """Return the operators of a part; a dense model's network is of its body."""
    found = []
    for operator in operators:
        if operator.operands == "head":
            if part == "head":
                found.append(operator)
        elif operator.routed:
            if part == "experts":
                found.append(replace(operator, copies=_only_routed(operator)))
            elif part == "body" and (arch.experts <= 1).any():
                found.append(replace(operator, copies=_only_dense(operator)))
        elif part == "body":
            found.append(operator)
    return found


def _only_routed(operator: Operator) -> Callable[[Architectures], Array]:
    return lambda arch: operator.copies(arch) * (arch.experts > 1)


def _only_dense(operator: Operator) -> Callable[[Architectures], Array]:
    return lambda arch: operator.copies(arch) * (arch.experts <= 1)
