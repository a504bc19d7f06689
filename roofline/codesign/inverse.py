"""What a device must be: the answer to a question of a loss and a time, from one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.architectures import Architectures
from roofline.codesign.best import NOBODY
from roofline.codesign.hardware import AXES, Hardware, Template
from roofline.codesign.judge import Judge
from roofline.codesign.question import TIMED, Inverse
from roofline.codesign.survey import FAR, NEEDS, Plan, Survey, survey_model, survey_space
from roofline.efficiency.calibrated import say_basis
from roofline.laws import out_of_range_reasons, predict
from spec_files import SpecError, format_quantity

if TYPE_CHECKING:
    import pandas as pd

    from arch_space.spaces import Space
    from roofline.laws import Law
    from roofline.search.cluster import Cluster

Array = np.ndarray
Progress = Callable[[int, int], None]

_LOCAL = np.linspace(0.8, 1.25, 61)
"""Multiples of the template's value over which slopes are fitted."""

_STEP = {"bandwidth": 1e9, "peak": 1e12, "capacity": 1e9, "power": 1.0, "on_chip": 1e6}
"""One more of each: GB/s, TFLOP/s, GB, W, MB."""


@dataclass(frozen=True)
class Need:
    """The least hardware of one kind that meets the question.

    what: `bandwidth`, `peak`, `both`, `bandwidth_alone`, `peak_alone`, `capacity` or `power`.
    hardware: all of it; infinite where something is no obstacle. index: the candidate, a point of
    the space; None for the model that was named.
    """

    what: str
    hardware: Hardware
    index: int | None


@dataclass(frozen=True, eq=False)
class Answer:
    """What is best at every hardware, and what the question needs.

    loss: the target. model: the one named in place of a loss, with the survey of it in `own`.
    """

    question: Inverse
    plan: Plan
    survey: Survey
    loss: float
    model: Architectures | None = None
    own: Survey | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def template(self) -> Template:
        """The device that is scaled."""
        return self.plan.template

    @property
    def basis(self) -> str:
        """What the predictions rest on, in a few words."""
        return say_basis(self.template.unit, self.question.ideal)

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Where nine of ten measurements lie, as multiples of the prediction; none if not known."""
        known = self.template.unit.calibration
        if known is None or self.question.ideal:
            return {}
        return {
            name: (getattr(known, name).low, getattr(known, name).high)
            for name in ("prefill", "decode", "energy")
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the needs, a row each in SI units; `hardware` is the table of the whole grid."""
        import pandas as pd

        from roofline.codesign.account import need_row

        return pd.DataFrame([need_row(self, need) for need in (*self.needs, *self.own_needs)])

    def _repr_html_(self) -> str:
        from roofline.codesign.account import answer_html

        return answer_html(self)

    @cached_property
    def needs(self) -> list[Need]:
        """What the best candidates need, by kind; a kind that nothing meets is left out."""
        return _needs_of(self.survey)

    @cached_property
    def own_needs(self) -> list[Need]:
        """What the named model needs."""
        return [] if self.own is None else [replace(n, index=None) for n in _needs_of(self.own)]

    @cached_property
    def hardware(self) -> pd.DataFrame:
        """The best candidate at each point of the grid, a row each (`table`); empty columns where
        none keeps the limits."""
        grid = self.survey.tables["grid"]
        across, up = np.meshgrid(self.plan.bandwidth, self.plan.peak, indexing="ij")
        return self.table(grid.index.ravel(), across.ravel(), up.ravel())

    def table(self, index: Array, bandwidth: Array, peak: Array) -> pd.DataFrame:
        """Describe candidates at multiples of the template's bandwidth and peak, a row each.

        Hardware, loss, times with the ends that nine of ten measurements lie in, memory,
        architecture; NaN and empty where the index is NOBODY.
        """
        import pandas as pd

        own = self.template.hardware
        rows = np.flatnonzero(index != NOBODY)
        table = pd.DataFrame(
            {
                "bandwidth_bytes_per_s": bandwidth * own.bandwidth,
                "peak_flop_per_s": peak * own.peak,
            }
        )
        if not len(rows):
            return table.assign(loss=np.nan)
        arch = self.question.space.at(index[rows])
        said = self.describe(arch, bandwidth[rows], peak[rows])
        said.insert(0, "index", index[rows])
        said.index = pd.Index(rows)
        return pd.concat([table, said], axis=1).astype({"index": "Int64"})

    def describe(
        self, arch: Architectures, bandwidth: Array, peak: Array, judge: Judge | None = None
    ) -> pd.DataFrame:
        """Describe N candidates, each at its own multiples of bandwidth and peak."""
        import pandas as pd

        law, intervals = self.question.law, self.intervals
        judge = self.plan.judge(arch) if judge is None else judge
        costs = judge.costs(TIMED, bandwidth, peak)
        loss = predict(law, arch)
        data: dict[str, Any] = {
            "loss": np.broadcast_to(loss.loss, (len(arch),)),
            "in_range": loss.in_range,
            "out_of_range": out_of_range_reasons(law, arch),
        }
        floor = replace(self.plan, ideal=True).judge(arch).costs(TIMED, bandwidth, peak)
        units = {"ttft": "s", "tpot": "s", "latency": "s", "energy": "j"}
        phases = {"ttft": "prefill", "tpot": "decode", "energy": "energy"}
        ends: dict[str, tuple[Array, Array]] = {}
        for name, phase in phases.items():
            low, high = intervals.get(phase, (np.nan, np.nan))
            ends[name] = costs[name] * low, costs[name] * high
        decode = costs["latency"] - costs["ttft"]
        low, high = intervals.get("decode", (np.nan, np.nan))
        ends["latency"] = ends["ttft"][0] + decode * low, ends["ttft"][1] + decode * high
        for name, unit in units.items():
            data[f"{name}_{unit}"] = costs[name]
            data[f"{name}_{unit}_low"] = np.maximum(ends[name][0], floor[name])
            data[f"{name}_{unit}_high"] = ends[name][1]
        data["memory_bytes"] = judge.memory
        return pd.concat([pd.DataFrame(data), arch.to_frame()], axis=1)

    def line(self, axis: str) -> pd.DataFrame:
        """The least loss along one axis, all else the template's: value, loss and whose it is."""
        import pandas as pd

        best = self.survey.tables[f"line_{axis}"]
        at = (
            self.plan.on_chip if axis == "on_chip" else self.plan.lines[axis] * self.own_value(axis)
        )
        index = pd.array(np.where(best.known, best.index, 0), dtype="Int64")
        index[~best.known] = pd.NA
        loss = np.where(best.known, best.value, np.nan)
        return pd.DataFrame({"axis": axis, "value": at, "loss": loss, "index": index})

    def axes(self) -> list[str]:
        """The axes along which some candidate keeps the limits."""
        return [axis for axis in AXES if self.survey.tables[f"line_{axis}"].known.any()]

    def own_value(self, axis: str) -> float:
        """The template's own number on an axis, SI."""
        return float(getattr(self.template.hardware, axis))


def answer(
    question: Inverse, progress: Progress | None = None, cluster: Cluster | None = None
) -> Answer:
    """Answer an inverse question by one pass over its space.

    cluster: machines to do the work instead of the cores of this one; the answer is the same.
    Raises SpecError for a loss below the least of the space, a template whose peak is not known,
    and a limit on energy where the template's power is not known.
    """
    device = question.calibrated(question.device, question.processor, question.runtime)
    sample = _sample(question.space)
    template = Template.of(
        device,
        question.processor,
        sample,
        None if question.on_chip_bandwidth is None else _bandwidth(question.on_chip_bandwidth),
    )
    limits = question.values()
    own = template.hardware
    if "energy" in limits and own.power != own.power:
        raise SpecError(
            f"--max-energy: the power of {device.name} is not known, so neither is any energy"
        )
    model = question.known_model()
    loss = question.loss
    notes = []
    if model is not None:
        loss = float(np.ravel(predict(question.law, model).loss)[0])
        why = out_of_range_reasons(question.law, model)[0]
        if why:
            notes.append(f"{model.names[0]} is outside the data behind the law: {why}.")
    assert loss is not None
    least = least_loss(question.space, question.law, question.in_range_only)
    if not least <= loss:
        raise SpecError(
            f"no candidate of {question.space.name} reaches a loss of {loss:.4f} by law "
            f"{question.law.name!r}; nearest is {least:.4f}"
        )
    plan = _plan(question, template, limits, loss)
    found = survey_space(plan, question.space, cluster=cluster, progress=progress)
    alone = None if model is None else survey_model(plan, model)
    return Answer(question, plan, found, loss, model, alone, tuple(notes))


def least_loss(space: Space, law: Law, in_range_only: bool = False, chunk: int = 2**18) -> float:
    """Return the least loss of any candidate of a space; inf where none has one."""
    least = np.inf
    for start in range(0, space.size, chunk):
        arch, index = space.candidates(start, start + chunk)
        if len(index):
            said = predict(law, arch)
            loss = np.where(np.isnan(said.loss), np.inf, said.loss)
            if in_range_only:
                loss = np.where(said.in_range, loss, np.inf)
            least = min(least, float(np.min(loss)))
    return least


def _plan(question: Inverse, template: Template, limits: dict[str, float], loss: float) -> Plan:
    own = template.hardware
    grids, lines = {}, {"limit": _LOCAL}
    for axis in ("bandwidth", "peak", "capacity", "power"):
        value = getattr(own, axis)
        if value != value:
            value = 1.0  # a power that is not known, and that nothing depends on
        low, high = question.span(axis, value)
        grids[axis] = np.geomspace(low, high, question.points) / value
        more = 1 + _STEP[axis] / value
        lines[axis] = np.unique(np.r_[grids[axis], _LOCAL, 1.0, more])
    return Plan(
        template=template,
        law=question.law,
        mix=question.mix,
        how=question.how,
        limits=limits,
        target=loss,
        bandwidth=grids["bandwidth"],
        peak=grids["peak"],
        lines=lines,
        on_chip=np.unique(np.r_[question.sizes(), own.on_chip]),
        ideal=question.ideal,
        in_range_only=question.in_range_only,
    )


def _sample(space: Space) -> Architectures:
    across = np.unique(np.linspace(0, space.size - 1, 4096).astype(np.int64))
    valid = across[space.valid(across)]
    if not len(valid):
        raise SpecError(f"no candidate of {space.name} is left: its rules exclude each other")
    return space.at(valid)


def _bandwidth(given: str | float) -> float:
    from spec_files import parse_quantity

    return parse_quantity(given, "bandwidth") if isinstance(given, str) else float(given)


def _needs_of(survey: Survey) -> list[Need]:
    own = survey.plan.template.hardware
    found = []
    for name, (bandwidth, peak) in NEEDS.items():
        best = survey.tables[f"need_{name}"]
        if best.known[0]:
            factor = float(best.value[0])
            b, p = (_or_inf(rate(factor)) for rate in (bandwidth, peak))
            hardware = replace(own, bandwidth=own.bandwidth * b, peak=own.peak * p)
            found.append(Need(name, hardware, int(best.index[0])))
    for name in ("capacity", "power"):
        best = survey.tables[f"need_{name}"]
        if best.known[0]:
            factor = float(best.value[0])
            value = own.capacity * factor if name == "capacity" else own.power / factor
            found.append(Need(name, replace(own, **{name: value}), int(best.index[0])))
    return found


def _or_inf(factor: float) -> float:
    return np.inf if factor >= FAR else factor


def say(axis: str, value: float) -> str:
    """Write an amount of hardware for people."""
    return "any" if np.isinf(value) else format_quantity(value, AXES[axis], digits=4)
