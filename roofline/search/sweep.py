"""A sweep: everything that goes into one search, and everything that comes out of it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field, SerializeAsAny, field_validator, model_validator

from arch_space.architectures import Architectures
from arch_space.library import ReferenceModel, shipped_models
from arch_space.spaces import Space, load_space
from hardware_specs import Device
from roofline.efficiency.calibrated import calibrated
from roofline.engine import Estimate, estimate
from roofline.engine.placement import CRITERIA, calibrated_for, main_processor
from roofline.laws import Law, law_from, load_law
from roofline.mixes import Mix
from roofline.search.described import describe, nothing_left
from roofline.search.evolution import ALGORITHMS
from roofline.search.many import How, MixEvaluator, estimate_mix
from roofline.search.objectives import DIMENSIONS, Constraint, parse_objectives
from roofline.search.problem import Evaluator, Problem, RooflineEvaluator
from roofline.search.result import SearchResult
from roofline.search.run import SweepRun
from roofline.search.search import PATIENCE, choose_method, search
from roofline.search.uncertainty import own_intervals
from roofline.search.workload_spec import WorkloadSpec, held_whole, model_file
from spec_files import (
    Spec,
    SpecError,
    did_you_mean,
    parse_quantity,
    read_spec,
    short,
    validate_spec,
    within,
    yaml_text,
)

if TYPE_CHECKING:
    from roofline.search.cluster import Cluster

Array = np.ndarray
Progress = Callable[[int, int], None]

METHOD_NAMES = {"exact": "exact enumeration", "pruned": "pruning by bounds"} | {
    name: f"{title} and a walk along its front" for name, title in ALGORITHMS.items()
}

PACKAGES = ("roofline", "numpy", "pymoo", "moocore", "pydantic")


class Sweep(Spec):
    """Every input of a search; a file of it repeats the search."""

    device: Device
    """A profile, whole."""
    processor: str | None = None
    """One of the device's; its main one where not given."""
    runtime: str | None = None
    """Whose kernels are predicted; the one that is best known on the device where not given."""
    placement: str | None = None
    """Several processors in place of one, as in prefill=npu,decode=cpu; `best`: each candidate's
    own best in the first objective of time or energy."""
    space: Space
    """What is searched, whole."""
    workload: WorkloadSpec = WorkloadSpec()
    """What each candidate is asked to do."""
    mix: Mix | None = None
    """Several workloads in place of one: objectives are their weighted means, or their worsts."""
    how: How = "mean"
    """Whether objectives of a mix are its mean or its worst workload."""
    law: SerializeAsAny[Law]
    """The whole loss law, coefficients included; the front is of its losses."""
    other_laws: tuple[SerializeAsAny[Law], ...] = ()
    """Laws that are searched under too, to see which members of the front survive them."""
    objectives: tuple[str, ...] = ("loss", "tpot")
    """What is minimised: loss, ttft, tpot, latency, energy, memory."""
    constraints: dict[str, str | float] = Field({})
    """Largest value of an objective, with its unit."""
    method: Literal["auto", "exact", "pruned", "nsga2", "nsga3"] = "auto"
    """`exact` and `pruned` prove the front; `auto` takes what is quickest."""
    max_seconds: float | None = Field(None, gt=0, allow_inf_nan=False)
    """When a search by pruning stops though it is not done."""
    evaluations: int = Field(100_000, ge=1)
    """Most evaluations of `nsga2` and `nsga3`."""
    seed: int = Field(0, ge=0)
    """Of everything that is drawn."""
    ideal: bool = False
    """On the floor that no prediction beats, in place of fitted efficiencies."""
    in_range_only: bool = False
    """Leave out candidates beyond the data that the law was fitted on."""
    certify: bool = False
    """Also search by the other method, exact or NSGA-II, and report the share of the exact
    hypervolume that the heuristic one reaches."""
    all_candidates: bool = False
    """Also write every candidate of the space."""
    references: tuple[ReferenceModel, ...] = ()
    """Models to place on the front."""
    own_intervals: dict[str, tuple[float, float]] = Field({})
    """By metric, where nine of ten measurements of a new model lie on a device with measurements,
    as multiples of the prediction: the part of the device's interval that is each candidate's own.
    What is left is shared by all. Empty where the whole interval is a candidate's own."""
    versions: dict[str, str] = Field({})
    """What the sweep was made with; for the reader."""

    @field_validator("law", mode="before")
    @classmethod
    def _read_law(cls, given: Any) -> Law:
        return given if isinstance(given, Law) else law_from(given, "law")

    @field_validator("other_laws", mode="before")
    @classmethod
    def _read_other_laws(cls, given: Any) -> tuple[Law, ...]:
        if not isinstance(given, (list, tuple)):
            raise SpecError(f"read {short(given)} where a list of laws belongs")
        return tuple(
            law if isinstance(law, Law) else law_from(law, f"other_laws.{i}")
            for i, law in enumerate(given)
        )

    @field_validator("objectives", mode="before")
    @classmethod
    def _read_objectives(cls, names: Any) -> tuple[str, ...]:
        listed = names.split(",") if isinstance(names, str) else names
        if not isinstance(listed, (list, tuple)) or not all(isinstance(n, str) for n in listed):
            raise SpecError(f"read {names!r} where a list of objectives belongs, e.g. [loss, tpot]")
        return parse_objectives(listed)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.processor is not None and self.processor not in self.device.processors:
            hint = did_you_mean(self.processor, self.device.processors)
            raise SpecError(f"no processor {self.processor!r}{hint}", at=("processor",))
        if self.placement is not None and self.processor is not None:
            raise SpecError("a processor is given, and a placement, which names them")
        if self.placement is not None and self.mix is not None:
            raise SpecError("a mix of workloads runs on one processor: leave the placement out")
        with within("runtime" if self.placement is None else "placement"):
            self.calibrated()
        self.limits()
        self._check_laws()
        if self.max_seconds is not None and self.method not in ("auto", "pruned"):
            raise SpecError(
                f"{self.method} runs to its end: max_seconds is of pruned", at=("max_seconds",)
            )
        return self

    def _check_laws(self) -> None:
        names = [law.name for law in self.laws]
        twice = [name for i, name in enumerate(names) if name in names[:i]]
        if twice:
            raise SpecError(f"law {twice[0]!r} is given twice")
        if not self.other_laws:
            return
        if "loss" not in self.objectives:
            raise SpecError("several laws are given, but loss is not among the objectives")
        if "loss" in self.constraints:
            raise SpecError(
                "a limit on loss holds for one law only, for their losses do not compare: leave it "
                "out, or give one law"
            )

    @classmethod
    def prepare(
        cls,
        *,
        device: Device,
        space: str | Path | Space,
        law: str | Path | Sequence[str | Path] = "codesign",
        tokens: float | None = None,
        references: Sequence[str | Path] | None = None,
        formats: Mapping[str, str | None] | None = None,
        **inputs: Any,
    ) -> Self:
        """Gather the inputs by name: shipped or the caller's space, laws and reference models.

        law: one, or several ("codesign,chinchilla"): the front is the first one's.
        references: names or paths; by default the shipped models that the law may speak of;
        ["none"] for none. formats: number formats that all candidates are held in, by column.
        The sweep keeps the device with its calibrated efficiencies, so that its file repeats it
        whatever is measured and fitted later.
        Raises SpecError for whatever is not known, before anything is computed.
        """
        if references is None:
            names: Sequence[str | Path] = shipped_models()
        else:
            names = () if list(references) == ["none"] else references
        grid = space if isinstance(space, Space) else load_space(space)
        held = {name: word for name, word in (formats or {}).items() if word is not None}
        laws = [load_law(name, tokens) for name in _names(law)]
        processor = inputs.get("processor")
        if inputs.get("placement") is None:
            known = calibrated(device, processor, inputs.get("runtime"))
            calibration = known.processor(processor).calibration
            if calibration is not None:
                inputs["runtime"] = calibration.runtime
        else:
            known = calibrated_for(device, inputs["placement"], inputs.get("runtime"))
            processor = main_processor(device, inputs["placement"], inputs.get("runtime"))
        inputs["workload"] = held_whole(inputs.get("workload", {}))
        gathered = {
            "device": known,
            "space": grid.holding(held) if held else grid,
            "law": laws[0],
            "other_laws": tuple(laws[1:]),
            "own_intervals": {} if inputs.get("ideal") else own_intervals(known, processor),
            "references": [model_file(name) for name in names],
            "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        }
        return validate_spec(gathered | inputs, cls, "sweep")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a sweep file."""
        return read_spec(Path(path), cls)

    def to_yaml(self) -> str:
        """Return the text of a file that reads back equal."""
        import yaml

        data = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        data["device"] = self.device.model_dump(mode="json", exclude_none=True)
        data["space"] = yaml.safe_load(self.space.to_yaml())
        data["references"] = [
            model.model_dump(mode="json", exclude_defaults=True) for model in self.references
        ]
        return yaml_text(data, allow_unicode=True, width=100)

    def calibrated(self) -> Device:
        """Return the device with the efficiencies that candidates are judged by."""
        if self.placement is not None:
            return calibrated_for(self.device, self.placement, self.runtime)
        return calibrated(self.device, self.processor, self.runtime)

    @property
    def main_processor(self) -> str | None:
        """The processor of the answer, of which intervals and figures tell; None: the default."""
        if self.placement is None:
            return self.processor
        return main_processor(self.device, self.placement, self.runtime)

    @property
    def prefer(self) -> str:
        """What a best placement has the least of: the first objective of time or energy."""
        return next((name for name in self.objectives if name in CRITERIA), "latency")

    def limits(self) -> tuple[Constraint, ...]:
        """Return the constraints in SI units."""
        found = []
        for name, limit in self.constraints.items():
            with within("constraints", name):
                parse_objectives([name])
                value = parse_quantity(limit, DIMENSIONS[name]) if isinstance(limit, str) else limit
                found.append(Constraint(name, float(value)))
        return tuple(found)

    @property
    def laws(self) -> tuple[Law, ...]:
        """Every law that is searched under, the front's own first."""
        return (self.law, *self.other_laws)

    def problem(self, law: Law | None = None) -> Problem:
        """Return the search problem; law: another than the front's own."""
        judged = (self.law if law is None else law, self.processor, self.ideal, self.runtime)
        evaluator: Evaluator
        if self.mix is None:
            workload = self.workload.workload()
            where = (self.placement, self.prefer)
            evaluator = RooflineEvaluator(self.calibrated(), workload, *judged, *where)
        else:
            evaluator = MixEvaluator(self.calibrated(), self.mix, *judged, self.how)
        return Problem(
            self.space, evaluator, self.objectives, self.limits(), in_range_only=self.in_range_only
        )

    def run(
        self,
        problem: Problem,
        checkpoint: Path | None = None,
        progress: Progress | None = None,
        cluster: Cluster | None = None,
    ) -> SweepRun:
        """Search, and describe what is found.

        checkpoint: file that the search continues from if it is there, and beside it one for each
        other law and for the other method; the front is the same as without interruption. cluster:
        machines to enumerate on. Raises SpecError where no candidate meets the constraints.
        """
        method: str = self.method
        if method == "auto":
            method = choose_method(
                problem, checkpoint, cluster=cluster, max_seconds=self.max_seconds
            )
        heuristic = "nsga2" if method in ("exact", "pruned") else method
        proven = "pruned" if method == "pruned" else "exact"
        beside = checkpoint and checkpoint.with_stem(f"{checkpoint.stem}-certify")
        results = {
            name: self._search(
                problem, name, checkpoint if name == method else beside, progress, cluster
            )
            for name in ((proven, heuristic) if self.certify else (method,))
        }
        result = results[method]
        if not len(result):
            raise nothing_left(self, problem, result)
        summary: dict[str, Any] = {
            "method": METHOD_NAMES[method],
            "space_size": result.valid,
            "evaluated": result.evaluated,
            "feasible": result.feasible,
            "front_size": len(result),
            "seconds": round(result.seconds, 3),
            "hypervolume": result.hypervolume(),
            "hypervolume_reference": [float(x) for x in result.reference()],
        }
        if result.pruning is not None:
            summary["pruning"] = result.pruning.to_dict()
        if self.certify:
            evolved = results[heuristic]
            summary[f"{heuristic}_evaluations"] = evolved.evaluated
            summary[f"{heuristic}_hypervolume_ratio"] = evolved.hypervolume_ratio(results[proven])
        others = self._under_other_laws(method, checkpoint, progress, cluster)
        return describe(self, problem, result, others, summary)

    def _under_other_laws(
        self,
        method: str,
        checkpoint: Path | None,
        progress: Progress | None,
        cluster: Cluster | None,
    ) -> list[tuple[Problem, SearchResult]]:
        """Search under each other law."""
        found = []
        for number, law in enumerate(self.other_laws, 1):
            problem = self.problem(law)
            file = checkpoint and checkpoint.with_stem(f"{checkpoint.stem}-{number}")
            result = self._search(problem, method, file, progress, cluster)
            if not len(result):
                nothing = nothing_left(self, problem, result)
                raise type(nothing)(f"under law {law.name!r}, {nothing}")
            found.append((problem, result))
        return found

    def _search(
        self,
        problem: Problem,
        method: str,
        checkpoint: Path | None,
        progress: Progress | None,
        cluster: Cluster | None,
    ) -> SearchResult:
        limit = PATIENCE if self.method == "auto" else None
        return search(
            problem,
            method,
            evaluations=self.evaluations,
            seed=self.seed,
            progress=progress,
            checkpoint=checkpoint,
            cluster=cluster,
            max_seconds=limit if self.max_seconds is None else self.max_seconds,
        )

    def estimate(
        self, arch: Architectures, breakdown: bool = False, ideal: bool | None = None
    ) -> Estimate:
        """Estimate candidates under the sweep's device and workload.

        ideal: the floor, or not, whatever the sweep asks for.
        """
        options: dict[str, Any] = {
            "processor": self.processor,
            "runtime": self.runtime,
            "ideal": self.ideal if ideal is None else ideal,
            "breakdown": breakdown,
        }
        if self.mix is not None:
            return estimate_mix(arch, self.calibrated(), self.mix, self.how, **options)
        options |= {"placement": self.placement, "prefer": self.prefer}
        return estimate(arch, self.calibrated(), self.workload.workload(), **options)


def _names(law: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """Names or paths of laws, from a list or from words with commas between."""
    if not isinstance(law, str):
        return [law] if isinstance(law, Path) else list(law)
    if "," not in law or Path(law).is_file():
        return [law]
    return [word.strip() for word in law.split(",")]
