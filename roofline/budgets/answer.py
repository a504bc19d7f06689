"""What budgets allow: which one binds, and the optimum by three ways that ought to agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.budgets.case import SAID, Case, say
from roofline.budgets.continuous import Continuous, continuous
from roofline.budgets.discrete import Candidate, Search, shape_of
from roofline.budgets.prices import Ranges, Solution, closed_form
from roofline.budgets.theory import Shape, Theory, theory_of
from roofline.workload import Workload
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.spaces import Space
    from hardware_specs import Device
    from roofline.engine import Estimate
    from roofline.laws import Law
    from roofline.laws.law import Array

VARIABLES = ("layers", "width", "expansion", "activation", "cached_width")
"""What a law has to be a function of, for budgets to shape a model by it."""

WAYS = ("closed form", "continuous", "theory", "ideal", "calibrated")
"""How an optimum was found: in closed form; by an optimiser; the best of the space by the theory's
costs, by the engine's floor, and by the calibrated engine."""

_BINDS = 1e-5
_MORE = 1.1


@dataclass(frozen=True)
class Eta:
    """A latency budget over that of memory, and between which values both bind.

    value: F_p / M in FLOP a byte for ttft, M_d / M for tpot. Below `low` latency alone binds (the
    best model under it leaves memory over), above `high` memory alone; None where the law has no
    closed form.
    """

    budget: str
    value: float
    low: float | None
    high: float | None

    @property
    def regime(self) -> str:
        """`latency`, `memory` or `dual`; empty where not known."""
        if self.low is None or self.high is None:
            return ""
        if self.value < self.low:
            return "latency"
        return "memory" if self.value > self.high else "dual"


@dataclass(frozen=True)
class Answer:
    """Everything that is found for a case.

    limits: budgets in seconds and bytes; `memory` is the device's where none was given, and never
    more than that. closed: None where the law has no closed form. candidates: the best of the space
    by way; None where the space has none. worth: nats that a tenth more of each budget saves.
    """

    case: Case
    device: Device
    law: Law
    space: Space
    theory: Theory
    limits: dict[str, float]
    ranges: Ranges
    closed: Solution | None
    optimum: Continuous
    candidates: dict[str, Candidate | None]
    estimates: dict[str, Estimate]
    etas: tuple[Eta, ...]
    worth: dict[str, float]
    looked_at: int
    inside: int
    notes: tuple[str, ...] = field(default=())

    @property
    def shape(self) -> Shape:
        """The optimum, fractions allowed."""
        return self.optimum.shape

    @cached_property
    def shares(self) -> dict[str, float]:
        """What the optimum takes of each budget; 1 where it binds."""
        found = {}
        for name, limit in self.limits.items():
            found[name] = float(self.theory.share(name, self.shape, limit))
        return found

    @cached_property
    def binding(self) -> tuple[str, ...]:
        """The budgets that the optimum uses up."""
        return tuple(name for name, share in self.shares.items() if share > 1 - _BINDS)

    @property
    def regime(self) -> str:
        """`latency`, `memory`, `dual`, or `range` where the law's range ends before any budget."""
        memory = "memory" in self.binding
        latency = any(name != "memory" for name in self.binding)
        if memory and latency:
            return "dual"
        return "memory" if memory else "latency" if latency else "range"

    def at_ends(self) -> list[str]:
        """Say which variables the ranges hold back."""
        found = []
        shape = self.shape
        ends = {
            "depth": (shape.layers, self.ranges.layers),
            "width": (shape.width, self.ranges.width),
            "FFN ratio": (shape.expansion, self.ranges.expansion),
            "activation rate": (shape.activation, self.ranges.activation),
            "GQA ratio": (shape.gqa, (1.0, shape.width / self.ranges.least_keys)),
        }
        for name, (value, (low, high)) in ends.items():
            for end, word in ((low, "least"), (high, "largest")):
                if abs(np.log(value / end)) < 1e-6:
                    found.append(f"{name} at its {word} {end:.4g}")
        return found


def answer(case: Case, space: Space | None = None) -> Answer:
    """Answer a case: the optimum of its budgets in closed form, by an optimiser and by search.

    space: in place of the one that the case names.
    Raises SpecError for an unknown device, law, format or space, a law of other variables, and
    budgets that no model within the law's range meets: the sentence says what is least.
    """
    from arch_space.spaces import load_space
    from hardware_specs import load_device
    from roofline.laws import load_law

    device = load_device(case.device)
    law = load_law(case.law)
    check_variables(law)
    held = {"weight_format": case.weights, "kv_format": case.kv}
    if case.activations is not None:
        held["activation_format"] = case.activations
    grid = (load_space(case.space) if space is None else space).holding(held)
    theory, floor = _theories(case, device)
    limits, notes = _limits(case, device)
    ranges = ranges_of(law, grid)
    _check_possible(case, theory, limits, ranges)

    def loss(shape: Shape) -> Array:
        return loss_at(law, shape)

    best = continuous(loss, theory, limits, ranges)
    if best is None:  # the leanest shape is within the limits, so there is one
        raise SpecError(f"case {case.name}: the optimiser found no model within the budgets")
    closed = _closed(law, theory, limits, ranges)
    search = Search.begin(grid, law, floor, limits)
    workload = Workload(1, case.prompt, case.generate)
    on = {"processor": case.processor, "runtime": case.runtime}
    candidates = {"theory": search.best_by_theory(theory, limits)}
    for way in ("ideal", "calibrated"):
        candidates[way] = search.best_by_engine(
            device, workload, limits, ideal=way == "ideal", **on
        )
    more = {}
    for name, limit in limits.items():
        other = continuous(loss, theory, limits | {name: _MORE * limit}, ranges)
        more[name] = 0.0 if other is None else max(0.0, best.loss - other.loss)
    return Answer(
        case=case,
        device=device,
        law=law,
        space=grid,
        theory=theory,
        limits=limits,
        ranges=ranges,
        closed=closed,
        optimum=best,
        candidates=candidates,
        estimates=_estimates(candidates, device, workload, on),
        etas=tuple(_etas(law, theory, limits, ranges)),
        worth=more,
        looked_at=search.looked_at,
        inside=search.inside,
        notes=notes,
    )


def check_variables(law: Law) -> None:
    """Refuse a law that does not see the shape of a model."""
    if set(law.variables) != set(VARIABLES):
        sees = ", ".join(law.variables).replace("_", " ")
        needs = ", ".join(VARIABLES).replace("_", " ")
        raise SpecError(
            f"law {law.name!r} is a function of {sees}, so budgets cannot shape a model by it; "
            f"nearest is codesign, a function of {needs}"
        )


def loss_at(law: Law, shape: Shape) -> Array:
    """Return the loss of shapes by a law of `VARIABLES`, whatever their order."""
    columns = shape._asdict() | {"cached_width": shape.cached_width}
    return np.asarray(law.at(*(columns[name] for name in law.variables)))


def ranges_of(law: Law, space: Space) -> Ranges:
    """Return the ranges that a law's data span; what a space spans, for a law that states none."""
    from roofline.laws.forms.codesign import CodesignLaw

    if isinstance(law, CodesignLaw):
        grid = law.range
        return Ranges(
            grid.layers,
            grid.width,
            grid.expansion,
            (grid.experts_per_token[0] / grid.experts[1], 1.0),
            grid.least_cached_width,
        )
    across = np.unique(np.linspace(0, space.size - 1, 2**16).astype(np.int64))
    shape = shape_of(law, space.at(across[space.valid(across)]))
    ends = {name: (float(np.min(v)), float(np.max(v))) for name, v in shape._asdict().items()}
    return Ranges(
        ends["layers"],
        ends["width"],
        ends["expansion"],
        ends["activation"],
        float(np.min(shape.cached_width)),
    )


def _theories(case: Case, device: Device) -> tuple[Theory, Theory]:
    """Return the theory that the case asks for, and the one at the data sheet's rates."""

    def made(ideal: bool) -> Theory:
        return theory_of(
            device,
            case.prompt,
            case.generate,
            weights=case.weights,
            kv=case.kv,
            activations=case.activations,
            processor=case.processor,
            runtime=case.runtime,
            ideal=ideal,
        )

    asked = made(case.ideal)
    return asked, asked if case.ideal or not device.processor(case.processor).peaks else made(True)


def _limits(case: Case, device: Device) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the budgets with that of the device's memory, and what is to be said of it."""
    limits = case.limits()
    usable = device.memory.dram.usable_bytes
    asked = limits.get("memory")
    if asked is None:
        said = f"No memory budget was given: the {say('memory', usable)} usable are it."
    elif asked > usable:
        said = (
            f"{device.name} has {say('memory', usable)} usable, less than the budget of "
            f"{say('memory', asked)}: that is what limits."
        )
    else:
        return limits, ()
    return limits | {"memory": usable}, (said,)


def _check_possible(case: Case, theory: Theory, limits: dict[str, float], ranges: Ranges) -> None:
    """Refuse budgets that even the leanest model within the law's range exceeds."""
    lean = ranges.leanest()
    over = {}
    for name, limit in limits.items():
        least = float(theory.cost(name, lean))
        if least > limit:
            over[name] = least
    if over:
        said = " and ".join(
            f"{SAID[name]} of at most {say(name, limits[name])}, where the least that is possible "
            f"is {say(name, least)}"
            for name, least in over.items()
        )
        raise SpecError(
            f"no model within the law's range ({lean.layers:g} layers of width {lean.width:g}, FFN "
            f"ratio {lean.expansion:g} and up) has on {case.device} a {said}"
        )


def _closed(law: Law, theory: Theory, limits: dict[str, float], ranges: Ranges) -> Solution | None:
    from roofline.laws.forms.codesign import CodesignLaw

    if not isinstance(law, CodesignLaw):
        return None
    found = closed_form(law, theory, limits, ranges)
    return None if np.isnan(found.loss) else found


def _etas(law: Law, theory: Theory, limits: dict[str, float], ranges: Ranges) -> list[Eta]:
    """Return eta of each latency with the ends of the range in which it binds with memory."""
    found = []
    for name in ("ttft", "tpot"):
        if name not in limits:
            continue
        low = high = None
        latency = _closed(law, theory, {name: limits[name]}, ranges)
        memory = _closed(law, theory, {"memory": limits["memory"]}, ranges)
        if latency is not None and memory is not None:
            filled = float(theory.cost("memory", latency.shape))
            low = theory.eta(name, {name: limits[name], "memory": filled})
            taken = float(theory.cost(name, memory.shape))
            high = theory.eta(name, {name: taken, "memory": limits["memory"]})
        found.append(Eta(name, theory.eta(name, limits), low, high))
    return found


def _estimates(
    candidates: dict[str, Candidate | None], device: Device, workload: Workload, on: dict[str, Any]
) -> dict[str, Estimate]:
    """Estimate the candidates: `theory` by the calibrated engine, each other one by its own."""
    from roofline.engine import estimate

    return {
        way: estimate(found.arch, device, workload, ideal=way == "ideal", breakdown=True, **on)
        for way, found in candidates.items()
        if found is not None
    }
