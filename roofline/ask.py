"""The questions of this package in one call each, by name and in people's units.

What comes back shows itself in a notebook, and `to_frame()` makes a DataFrame of it. The rooms
below take the same inputs one by one, for programs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spec_files import SpecError, did_you_mean, parse_quantity

if TYPE_CHECKING:
    import pandas as pd

    from arch_space.architectures import Architectures
    from arch_space.spaces import Space
    from hardware_specs import Device
    from roofline.calibration.profile import Fitted
    from roofline.codesign.inverse import Answer
    from roofline.report.points import Roofline
    from roofline.search.run import SweepRun
    from roofline.strategies.plan import Plan
    from roofline.strategies.task import Task
    from roofline.workload import Workload

Limit = str | float
PREFIX = "max_"
FORMATS = ("fp16", "int8", "int4-g128", "q4_k_m")
"""Formats of the weights that strategies are planned in where none is given."""


def sweep(
    device: str | Path | Device,
    space: str | Path | Space = "on-device",
    *,
    prompt: int = 1024,
    generate: int = 128,
    batch: int = 1,
    weights: str | None = None,
    kv: str | None = None,
    activations: str | None = None,
    **inputs: Any,
) -> SweepRun:
    """Search a space for the Pareto front on a device, as `roofline sweep` does.

    device, space: shipped names, paths, or what was loaded. weights, kv, activations: a number
    format that all candidates are held in, in place of the space's own. Limits are
    max_loss, max_ttft, max_tpot, max_latency, max_energy and max_memory, such as "20ms" (a number:
    SI units). Everything else is `Sweep.prepare`'s: objectives="loss,latency,energy",
    law=, tokens=, mix=, processor=, runtime=, method=, seed=, ...
    Raises SpecError for whatever is not known, and where no candidate meets the limits.

    >>> run = roofline.sweep("phone", max_tpot="20ms", max_memory="2GB")
    """
    from roofline.search.sweep import Sweep

    job = Sweep.prepare(
        device=_device(device),
        space=space,
        workload={"batch": batch, "prompt": prompt, "generate": generate},
        formats={"weight_format": weights, "kv_format": kv, "activation_format": activations},
        constraints=_limits(inputs),
        **inputs,
    )
    return job.run(job.problem())


def hardware_for(
    device: str | Path | Device,
    space: str | Path | Space = "on-device",
    *,
    prompt: int = 1024,
    generate: int = 128,
    batch: int = 1,
    weights: str | None = "q4_k_m",
    **inputs: Any,
) -> Answer:
    """Find what a device like this one must be, for a loss= or a model= and a time.

    Limits are max_ttft, max_tpot, max_latency, max_energy and max_memory; everything else is that
    of a question (`roofline.codesign.question`): points= along each axis of the grid, spans=, ...
    Raises SpecError for unknown names and limits, and for neither a loss nor a model.

    >>> answer = roofline.hardware_for("phone", loss=3.1, max_tpot="20ms")
    """
    from roofline.codesign.inverse import answer
    from roofline.codesign.question import Inverse, prepare
    from roofline.efficiency.calibrated import calibrated
    from roofline.mixes import Mix

    known = calibrated(_device(device), inputs.get("processor"), inputs.get("runtime"))
    question = prepare(
        Inverse,
        device=known,
        space=space,
        formats={"weight_format": weights},
        mix=Mix.single(batch=batch, prompt=prompt, generate=generate),
        limits=_limits(inputs),
        **inputs,
    )
    assert isinstance(question, Inverse)
    return answer(question)


def strategy_for(
    device: str | Path | Device,
    task: str | Path | Task = "math",
    models: Sequence[str | Path] | Architectures | None = None,
    *,
    weights: Sequence[str] = FORMATS,
    **inputs: Any,
) -> Plan:
    """Find the best model, format, strategy and number of answers of a task on a device.

    models: by default all that the task has a published accuracy of. Limits are max_latency,
    max_energy and max_memory; everything else is `roofline.strategies.plan`'s: most=, axis=,
    verifiers=, processor=, ... The verifiers are by default the shipped ones of the task.
    Raises SpecError for unknown names and limits.

    >>> plan = roofline.strategy_for("phone", "math", max_latency="10s", max_memory="6GB")
    """
    from arch_space.library import load_models
    from roofline.strategies.plan import DIMENSIONS, plan
    from roofline.strategies.task import load_task
    from roofline.strategies.verifier import load_verifier, verifier_names

    asked = load_task(task) if isinstance(task, str | Path) else task
    table = load_models(sorted(asked.models)) if models is None else _models(models)
    if "verifiers" not in inputs:
        judges = [load_verifier(name) for name in verifier_names()]
        fitting = [each for each in judges if not each.tasks or asked.name in each.tasks]
        inputs["verifiers"] = fitting
    limits = {}
    for name, given in _limits(inputs).items():
        if name not in DIMENSIONS:
            hint = did_you_mean(PREFIX + name, [PREFIX + known for known in DIMENSIONS])
            raise SpecError(f"a plan knows no limit {PREFIX}{name}{hint}")
        try:
            kind = DIMENSIONS[name]
            limits[name] = parse_quantity(given, kind) if isinstance(given, str) else float(given)
        except SpecError as error:
            raise SpecError(f"{PREFIX}{name}: {error}") from None
    return plan(_device(device), asked, table, list(weights), limits, **inputs)


def calibrate(device: str | Path | Device, rows: str | Path | pd.DataFrame) -> Fitted:
    """Fit a device's efficiencies to measurements of it: a file, or a table of such rows.

    What published rows say of it stands behind them. Returns the calibrated profile as `device`,
    with how many rows were used and why others were not. Raises SpecError for a file that is none,
    and where no row is of the device.
    """
    from roofline.calibration.profile import fit_device
    from roofline.calibration.validation import read_file

    profile = _device(device)
    if isinstance(rows, str | Path):
        rows = read_file(rows, {"device": profile.title}).rows
    return fit_device(profile, rows)


def roofline_of(
    model: str | Path | Architectures,
    device: str | Path | Device,
    workload: Workload | None = None,
    *,
    processor: str | None = None,
    runtime: str | None = None,
) -> Roofline:
    """Place the operators of one model under the roofs of a device's processor.

    workload: the default `Workload` if None; decode is its first step. processor, runtime: as in
    `estimate`. Returns tables of operators (FLOPs, bytes, seconds), peaks and bandwidths. Raises
    SpecError for unknown names, and as `estimate` does.
    """
    from roofline.efficiency.calibrated import calibrated
    from roofline.engine import estimate
    from roofline.report.points import roofline_points
    from roofline.workload import Workload

    arch = _models([model] if isinstance(model, str | Path) else model)
    known = calibrated(_device(device), processor, runtime)
    asked = Workload() if workload is None else workload
    found = estimate(arch, known, asked, processor=processor, runtime=runtime, breakdown=True)
    return roofline_points(found, known, processor, arch=arch)


def _device(device: str | Path | Device) -> Device:
    from hardware_specs import load_device

    return load_device(device) if isinstance(device, str | Path) else device


def _models(models: Sequence[str | Path] | Architectures) -> Architectures:
    from arch_space.architectures import Architectures
    from arch_space.library import load_models

    return models if isinstance(models, Architectures) else load_models(models)


def _limits(inputs: dict[str, Any]) -> Mapping[str, Limit]:
    """Take the limits out of the inputs, by objective."""
    names = [name for name in inputs if name.startswith(PREFIX) and name != "max_seconds"]
    return {name.removeprefix(PREFIX): inputs.pop(name) for name in names}
