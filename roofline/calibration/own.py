"""Rows of a profile that states its own efficiencies: predicted by these, as an estimate is.

A profile that `roofline calibrate` or `roofline probe` wrote is taken at its word; the shipped
effects say nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from arch_space.tensors import weight_bytes
from roofline.engine.bench import Bench
from roofline.engine.memory import kept_cache
from roofline.engine.work import work_of_pass
from roofline.workload import Pass
from spec_files import SpecError

if TYPE_CHECKING:
    import pandas as pd

    from hardware_specs import Device
    from roofline.calibration.cases import Cases

Array = np.ndarray


@dataclass(frozen=True)
class Stated:
    """What profiles with efficiencies of their own say of N cases; NaN where a case has none.

    log_seconds: by phase, (N,). joules: of a decode step of all sequences, (N,), NaN also where the
    profile does not tell.
    """

    log_seconds: dict[str, Array]
    joules: Array


def states_efficiencies(cases: Cases) -> Array:
    """Return which cases run on a processor whose profile states its efficiencies, (N,)."""
    pairs = zip(cases.devices, cases.processors, strict=True)
    return np.array([d.processors[key].efficiency is not None for d, key in pairs], dtype=bool)


def predict_stated(cases: Cases) -> Stated:
    """Predict the cases of profiles with efficiencies of their own, by the engine."""
    count = len(cases)
    found = Stated(
        {phase: np.full(count, np.nan) for phase in ("decode", "prefill")}, np.full(count, np.nan)
    )
    own = states_efficiencies(cases)
    named = zip(cases.devices, cases.processors, cases.chunk, strict=True)
    runs = np.array([f"{device.name}|{key}|{chunk}" for device, key, chunk in named])
    for run in np.unique(runs[own]):
        at = np.flatnonzero(own & (runs == run))
        arch, batch = cases.arch[at], cases.batch[at]
        bench = Bench.build(
            arch, cases.devices[at[0]], cases.processors[at[0]], _resident(cases, at), False
        )
        stored = {
            name: replace(tensor, bytes_each=tensor.bytes_each * cases.size_ratio[at])
            for name, tensor in bench.inventory.items()
        }
        roof = replace(bench.roof, chunk=int(cases.chunk[at[0]]))
        bench = replace(bench, inventory=stored, roof=roof)
        # The mean of a decode's steps, as published rates are: time is linear in the keys.
        keys = cases.context[at] + (cases.generate[at] + 1.0) / 2.0
        step = work_of_pass(bench, Pass(batch, 1, keys), "step")
        prompt = Pass(batch, cases.prompt[at], cases.depth[at] + cases.prompt[at])
        found.log_seconds["decode"][at] = np.log(step.seconds)
        found.log_seconds["prefill"][at] = np.log(work_of_pass(bench, prompt, "prompt").seconds)
        found.joules[at] = step.joules
    return found


def _resident(cases: Cases, at: Array) -> Array:
    """Bytes of weights and cache, (n,)."""
    arch = cases.arch[at].as_float()
    keys = cases.context[at] + cases.generate[at]
    return weight_bytes(arch) * cases.size_ratio[at] + kept_cache(arch, cases.batch[at], keys)


def profiles_of(rows: pd.DataFrame, device: Device) -> tuple[pd.DataFrame, dict[str, Device]]:
    """Return the rows with those of a profile named after it, and the profiles by these names.

    Rows that name the profile, or no device, are of it. Where none names it, all rows are: a file
    of one device's rows says the chip's name, not that of a profile made for it. SpecError where
    they name several devices, and none of them is the profile.
    """
    names = {device.name, *device.aliases}
    said = [name.replace("_", "-") for name in rows["device_key"]]
    others = sorted(set(said) - names - {""})
    if names & set(said) or not others:
        own = [not name or name in names for name in said]
    elif len(others) == 1:
        own = [True] * len(said)
    else:
        raise SpecError(
            f"the rows name {len(others)} devices, {others[0]} and {others[1]} among them, and "
            f"none is the profile {device.name}: give rows of one device, or its name as device_key"
        )
    renamed = rows["device_key"].where(~np.array(own, dtype=bool), device.name)
    return rows.assign(device_key=renamed), {device.name: device}
