"""What a sweep found: a front, the member to train, the next, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roofline.efficiency.calibrated import say_basis

if TYPE_CHECKING:
    import pandas as pd

    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.laws import Law
    from roofline.search.sweep import Sweep
    from roofline.workload import Workload

LIKELY = 0.7
"""Share of draws in which limits must hold, for a member to be named as meeting them."""


@dataclass(frozen=True)
class SweepRun:
    """What a sweep found.

    front: one row a member, ascending by the objectives; its row numbers are what `knee` (the
    member nearest to the best of everything) and `runner_up` (the next of another shape) refer to.
    front's columns: architecture, predictions and their 90 % ends, `p_front` and `p_` of each limit
    (`roofline.search.uncertainty`), and with several laws `on_front_` and `loss_under_` of each and
    `survives`. references: known models on the same device, in the front's commonest weight format.
    summary: how the search went, and how sure the choice is.
    """

    sweep: Sweep
    front: pd.DataFrame
    references: pd.DataFrame
    knee: int
    runner_up: int | None
    summary: dict[str, Any]

    @property
    def device(self) -> Device:
        """The device, with the efficiencies that its members were judged by."""
        return self.sweep.calibrated()

    @property
    def processor(self) -> str:
        """Name of the processor that candidates run on; under a placement, that of the answer."""
        return self.sweep.main_processor or self.device.default_processor

    @property
    def placement(self) -> str | None:
        """The placement on several processors, or `best`; None on one."""
        return self.sweep.placement

    @property
    def runtime(self) -> str:
        """Name of the runtime whose kernels are predicted; empty where the profile names none."""
        known = self.device.processor(self.processor).calibration
        return "" if known is None else known.runtime

    @property
    def basis(self) -> str:
        """What the predictions rest on, in a few words."""
        return say_basis(self.device.processor(self.processor), self.sweep.ideal)

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Where nine of ten measurements lie, as multiples of the prediction; none if not known."""
        known = self.device.processor(self.processor).calibration
        if known is None or self.sweep.ideal:
            return {}
        return {
            "prefill": (known.prefill.low, known.prefill.high),
            "decode": (known.decode.low, known.decode.high),
            "energy": (known.energy.low, known.energy.high),
        }

    @property
    def workload(self) -> Workload:
        """The workload."""
        return self.sweep.workload.workload()

    @property
    def asked(self) -> dict[str, Any]:
        """What the model is asked to do, by name: the one workload, or the mix."""
        mix = self.sweep.mix
        if mix is None:
            return self.workload.to_dict()
        return {"mix": mix.name, "workloads": mix.describe(), "objectives are the": self.sweep.how}

    @property
    def asked_briefly(self) -> str:
        """The same in a few words."""
        if self.sweep.mix is not None:
            return f"{self.sweep.how} of {self.sweep.mix.describe()}"
        work = self.workload
        return f"prompt {work.prompt}, {work.generate} tokens generated, batch {work.batch}"

    @property
    def objectives(self) -> tuple[str, ...]:
        """What was minimised."""
        return self.sweep.objectives

    @property
    def constraints(self) -> dict[str, float]:
        """Largest values allowed, in SI units."""
        return {limit.objective: limit.limit for limit in self.sweep.limits()}

    @property
    def law_title(self) -> str:
        """Title of the loss law."""
        return self.sweep.law.title

    @property
    def loss_unit(self) -> str:
        """Unit of the losses, which is their law's."""
        return self.sweep.law.unit

    @property
    def laws(self) -> tuple[Law, ...]:
        """Every law that was searched under, the front's own first."""
        return self.sweep.laws

    @property
    def space_title(self) -> str:
        """Title of the space."""
        return self.sweep.space.title or self.sweep.space.name

    def architectures(self) -> Architectures:
        """Return the front's members."""
        return self.sweep.space.at(self.front["index"].to_numpy())

    @property
    def likely_best(self) -> int | None:
        """The member of least loss among those that meet every limit in LIKELY of the draws.

        None where no limits were given, no member meets them as surely, or there is no loss.
        """
        if "p_feasible" not in self.front or "loss" not in self.front:
            return None
        sure = self.front.loc[self.front["p_feasible"] >= LIKELY, "loss"]
        return None if sure.empty else int(sure.idxmin())

    def to_dict(self) -> dict[str, Any]:
        """Return the run in plain types, ready for JSON."""
        import json

        return {
            "device": self.device.name,
            "processor": self.processor,
            "placement": self.placement,
            "runtime": self.runtime,
            "basis": self.basis,
            "intervals": self.intervals,
            "space": self.sweep.space.name,
            "law": self.sweep.law.name,
            "loss_unit": self.loss_unit,
            "objectives": list(self.objectives),
            "constraints": self.constraints,
            "knee": self.knee,
            "runner_up": self.runner_up,
            "likely_best": self.likely_best,
            "summary": self.summary,
            "points": json.loads(self.front.to_json(orient="records", double_precision=15)),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the front: a DataFrame of one row a member, in SI units."""
        return self.front

    def _repr_html_(self) -> str:
        from roofline.search.shown import run_html

        return run_html(self)
