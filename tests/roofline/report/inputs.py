"""A small run on a phone, its rooflines, and an estimate with operators of round numbers."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from arch_space import Architectures
from hardware_specs import Device, load_device
from roofline.engine import BOUNDS, Estimate, OperatorEstimate, estimate
from roofline.engine.estimate import ARRAYS
from roofline.report.points import (
    Roofline,
    roofline_points,
)
from spec_files import parse_spec

EVIL = "</script><img src=x onerror=alert(1)>&\"'"
ROWS = 12


def phone() -> Device:
    """Return a phone whose efficiencies are its profile's own; nothing here is fitted."""
    import yaml

    data = yaml.safe_load(load_device("phone").to_yaml())

    def figure(value: object) -> dict[str, object]:
        return {"value": value, "basis": "prior", "source": "assumption"}

    data["processors"]["gpu"] |= {
        "efficiency": {"compute": figure(0.19), "memory": figure(0.4), "cache": figure(0.28)},
        "kernel_launch": figure("5 us"),
        "step_overhead": figure("2 ms"),
    }
    return parse_spec(yaml.safe_dump(data), Device, "phone")


def candidates() -> Architectures:
    layers = np.arange(4, 4 + ROWS)[::-1]
    return Architectures(
        layers=layers, width=64 * layers, query_heads=8, kv_heads=2, head_size=64,
        ffn_width=192 * layers, vocabulary=32_000,
    ).with_formats("int4")  # fmt: skip


def table(arch: Architectures, found: Estimate) -> pd.DataFrame:
    words = np.array(BOUNDS)
    return arch.to_frame().assign(
        loss=4.0 - 0.05 * arch.layers,
        ttft_s=found.ttft,
        tpot_s=found.tpot,
        latency_s=found.latency,
        energy_j=found.energy,
        memory_bytes=found.memory_bytes,
        tokens_per_s=found.tokens_per_s,
        parameters=found.parameters,
        active_parameters=found.active_parameters,
        weight_bytes=found.weight_bytes,
        kv_cache_bytes=found.kv_cache_bytes,
        prefill_bound=words[found.prefill_bound],
        decode_bound=words[found.decode_bound],
        bound=words[found.bound],
        fits=found.fits,
        in_range=np.arange(len(arch)) % 3 > 0,
        out_of_range=["too small" if row % 3 == 0 else "" for row in range(len(arch))],
    )


def rooflines(run: SimpleNamespace, rows: list[int]) -> dict[int, Roofline]:
    arch = candidates()
    found = estimate(arch, run.device, run.workload, breakdown=True)
    return {r: roofline_points(found, run.device, "gpu", row=r, arch=arch) for r in rows}


def by_hand() -> Estimate:
    """Two candidates, the second with operators of round numbers.

    FLOPs, bytes, and seconds of computation, of traffic and in all.
    """

    def operator(name: str, phase: str, *numbers: float) -> OperatorEstimate:
        return OperatorEstimate(name, phase, *(np.array([np.nan, number]) for number in numbers))

    operators = (
        operator("head", "prefill", 8e9, 2e6, 3.0, 1.0, 4.0),
        operator("embedding", "prefill", 0.0, 1e6, 0.0, 2.0, 2.0),
        operator("head", "decode", 4e6, 2e6, 0.1, 0.2, 0.5),
        operator("attention", "decode", 6e6, 0.0, 0.1, 0.3, 0.3),
    )
    arrays = {name: np.zeros(2) for name in ARRAYS}
    arrays |= {"ttft": np.array([0.0, 8.0]), "tpot_first": np.array([0.0, 1.0])}
    return Estimate(**arrays, operators=operators)


def offsets(panel, label: str) -> np.ndarray:
    found = [drawn for drawn in panel.collections if drawn.get_label() == label]
    return np.vstack([np.asarray(drawn.get_offsets()) for drawn in found])


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def faces(panel, label: str) -> np.ndarray:
    """Return the colours that marks are filled with."""
    return next(d for d in panel.collections if d.get_label() == label).get_facecolors()
