"""The headline experiment of the co-design law's paper, repeated: arXiv 2602.10377.

Every candidate of its grid on its board, at batch 1, 1024 tokens read and 16 generated, in 16 and
in 8 bits: the front of loss and latency, the best candidate that is as fast as Qwen2.5-0.5B, and
which of the paper's findings this front shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.budgets.discrete import shape_of
from roofline.budgets.theory import theory_of
from roofline.search.fronts import non_dominated
from roofline.workload import Workload

if TYPE_CHECKING:
    import pandas as pd

    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.laws import Law
    from roofline.laws.law import Array

DEVICE, SPACE, LAW, REFERENCE = "jetson-agx-orin-64gb", "paper-grid", "codesign", "qwen2.5-0.5b"
WORKLOAD = Workload(batch=1, prompt=1024, generate=16)

FORMATS = {
    "fp16": {"weights": "fp16", "embedding": "fp16", "kv": "fp16", "activations": "fp16"},
    "int8": {"weights": "int8", "embedding": "int8", "kv": "int8", "activations": "int8"},
}
"""What the paper's two precisions are taken to mean: everything in 16 bits, everything in 8."""

MODES = ("ideal", "calibrated")
"""The engine's floor, as the paper's roofline is, and the calibrated engine."""

TIMES = ("ttft", "decode", "latency")
"""What a front may trade for loss: the prefill, all decode steps, and both together."""

PUBLISHED = {"perplexity": 50.88, "reference": 63.14, "candidates": 1942}
"""WikiText-2 perplexity of the paper's co-designed model and of Qwen2.5-0.5B, same training."""

_GRIDS = {
    "all": (0.5, 1, 2, 3, 4, 5.33, 8),
    "none below 1": (1, 2, 3, 4, 5.33, 8),
    "none below 2": (2, 3, 4, 5.33, 8),
    "4 alone": (4,),
}


@dataclass(frozen=True, eq=False)
class Setting:
    """All candidates in one precision under one engine.

    times: seconds by name of `TIMES`, (N,); reference: the same of Qwen2.5-0.5B. fits: (N,).
    """

    precision: str
    mode: str
    times: dict[str, Array]
    reference: dict[str, float]
    fits: Array


@dataclass(frozen=True)
class Gain:
    """The best candidate that is no slower than the reference.

    row: of the candidates; nats: its loss less the reference's, inside the one law; limit, seconds:
    of the reference and of the candidate; grid: which FFN ratios were let in, a name of `_GRIDS`.
    """

    precision: str
    mode: str
    time: str
    grid: str
    row: int
    nats: float
    limit: float
    seconds: float

    @property
    def change(self) -> float:
        """Relative change of the perplexity."""
        return float(np.expm1(self.nats))


@dataclass(frozen=True)
class Finding:
    """A finding of the paper, and whether this front shows it."""

    claim: str
    measured: str
    holds: bool
    mode: str


@dataclass(frozen=True, eq=False)
class Experiment:
    """Everything that the experiment found."""

    device: Device
    law: Law
    arch: Architectures
    loss: Array
    reference_loss: float
    in_range: Array
    settings: dict[tuple[str, str], Setting]
    reference: Architectures

    def front(self, precision: str, mode: str, time: str = "latency") -> Array:
        """Return the rows of the front of loss and one time, fastest first."""
        setting = self.settings[precision, mode]
        seconds = setting.times[time]
        points = np.column_stack([seconds, self.loss])
        points[~setting.fits] = np.nan
        rows = np.flatnonzero(non_dominated(points))
        return rows[np.argsort(seconds[rows], kind="stable")]

    def gain(self, precision: str, mode: str, time: str = "latency", grid: str = "all") -> Gain:
        """Return the best candidate that is no slower than the reference."""
        setting = self.settings[precision, mode]
        limit = setting.reference[time]
        near = np.min([abs(self.ratios - ratio) for ratio in _GRIDS[grid]], axis=0)
        allowed = setting.fits & (setting.times[time] <= limit) & (near < 0.05)
        row = int(np.argmin(np.where(allowed, self.loss, np.inf)))
        return Gain(
            precision, mode, time, grid, row, float(self.loss[row]) - self.reference_loss, limit,
            float(setting.times[time][row]),
        )  # fmt: skip

    def gains(self) -> list[Gain]:
        """Return the gain in every precision, mode, time; and with other FFN ratios."""
        whole = [
            self.gain(precision, mode, time)
            for precision in FORMATS
            for mode in MODES
            for time in TIMES
        ]
        return whole + [self.gain("fp16", "ideal", grid=grid) for grid in list(_GRIDS)[1:]]

    def gain_by_theory(self) -> Gain:
        """Return the gain at equal latency by the theory's costs: matrices and cache alone."""
        theory = theory_of(self.device, WORKLOAD.prompt, WORKLOAD.generate, ideal=True)
        seconds = theory.cost("latency", shape_of(self.law, self.arch))
        limit = float(theory.cost("latency", shape_of(self.law, self.reference))[0])
        row = int(np.argmin(np.where(seconds <= limit, self.loss, np.inf)))
        nats = float(self.loss[row]) - self.reference_loss
        return Gain("fp16", "theory", "latency", "all", row, nats, limit, float(seconds[row]))

    def findings(self) -> list[Finding]:
        """Hold each of the paper's findings against the fronts in 16 bits."""
        return [found for mode in MODES for found in self._findings(mode)]

    def _findings(self, mode: str) -> Iterable[Finding]:
        arch = self.arch
        rows = self.front("fp16", mode)
        many = len(rows)
        moe = arch.experts[rows] > 1
        better = self.loss[rows] < self.reference_loss

        def tell(claim: str, measured: str, holds: bool) -> Finding:
            return Finding(claim, measured, bool(holds), mode)

        yield tell(
            "All Pareto points are MoE",
            f"{int(moe.sum())} of {many} members, and {int(moe[better].sum())} of the "
            f"{int(better.sum())} with less loss than {REFERENCE}",
            moe.all(),
        )
        depth, width = arch.layers[rows], arch.width[rows]
        shallow = depth < 20
        yield tell(
            "Most are shallow (depth below 20)",
            f"{int(shallow.sum())} of {many} members, median depth {np.median(depth):g}",
            shallow.mean() > 0.5,
        )
        widest = arch.width.max()
        deep = ~shallow
        wide = width[deep] == widest
        yield tell(
            "Width goes to its bound first, then depth grows",
            f"{int(wide.sum())} of the {int(deep.sum())} members of depth 20 and more have width "
            f"{widest:g}",
            deep.any() and wide.mean() > 0.9,
        )
        top1 = arch.experts_per_token[rows][moe] == 1
        yield tell(
            "Routing is top-1",
            f"{int(top1.sum())} of {int(moe.sum())} MoE members",
            moe.any() and top1.mean() > 0.9,
        )
        ratio = self.ratios[rows]
        yield tell(
            "FFN ratio is often below 1",
            f"{int((ratio < 0.99).sum())} of {many} members (the grid's only such ratio is .5)",
            (ratio < 0.99).mean() > 1 / 3,
        )
        speed = (
            self.settings["fp16", mode].times["latency"][rows]
            / self.settings["int8", mode].times["latency"][rows]
        )
        yield tell(
            "INT8 gains less than 2x",
            f"median {np.median(speed):.2f}x, at most {speed.max():.3f}x over the members",
            np.median(speed) < 2,
        )
        mean = {time: arch.experts[self.front("fp16", mode, time)].mean() for time in TIMES}
        said = ", ".join(f"{time} {value:.1f}" for time, value in mean.items())
        yield tell(
            "Prefill favours few experts, decode the most, the whole lies between",
            f"mean experts on the fronts: {said}",
            mean["ttft"] < mean["latency"] < mean["decode"],
        )
        most = np.mean(arch.experts[self.front("fp16", mode, "decode")] == arch.experts.max())
        yield tell(
            "Decode takes the most experts that there are",
            f"{most:.0%} of the decode front has {arch.experts.max():g}",
            most > 0.9,
        )
        usual = np.bincount(arch.experts[rows].astype(int)).argmax()
        yield tell(
            "Total latency takes about 8 experts",
            f"most members have {usual:g}, the mean is {mean['latency']:.1f}",
            usual == 8,
        )

    @cached_property
    def ratios(self) -> Array:
        """FFN ratio of each candidate, all activated experts together, (N,)."""
        arch = self.arch
        inner = np.where(
            arch.experts > 1, arch.experts_per_token * arch.expert_width, arch.ffn_width
        )
        return np.asarray(inner / arch.width)

    def table(self, precision: str, mode: str, time: str = "latency") -> pd.DataFrame:
        """Return the members of a front, a row each."""
        import pandas as pd

        rows = self.front(precision, mode, time)
        setting = self.settings[precision, mode]
        arch = self.arch
        columns: dict[str, Any] = {
            "row": rows,
            "loss": self.loss[rows],
            "change_of_perplexity": np.expm1(self.loss[rows] - self.reference_loss),
            **{f"{name}_s": setting.times[name][rows] for name in TIMES},
            "layers": arch.layers[rows],
            "width": arch.width[rows],
            "kv_heads": arch.kv_heads[rows],
            "ffn_ratio": self.ratios[rows].round(4),
            "experts": arch.experts[rows],
            "experts_per_token": arch.experts_per_token[rows],
            "in_range": self.in_range[rows],
        }
        return pd.DataFrame(columns)


def run(device: str = DEVICE, space: str = SPACE, law: str = LAW) -> Experiment:
    """Run the experiment; raises SpecError for an unknown device, space or law."""
    from arch_space.library import load_model
    from arch_space.spaces import load_space
    from hardware_specs import load_device
    from roofline.engine import estimate
    from roofline.laws import load_law

    board, fitted = load_device(device), load_law(law)
    arch, _ = load_space(space).candidates()
    reference = load_model(REFERENCE)
    settings = {}
    for precision, formats in FORMATS.items():
        for mode in MODES:
            found, known = (
                estimate(
                    each.with_formats(**formats), board, WORKLOAD, ideal=mode == "ideal",
                    breakdown=False,
                )
                for each in (arch, reference)
            )  # fmt: skip
            settings[precision, mode] = Setting(
                precision,
                mode,
                {
                    "ttft": found.ttft,
                    "decode": found.latency - found.ttft,
                    "latency": found.latency,
                },
                {
                    "ttft": float(known.ttft[0]),
                    "decode": float(known.latency[0] - known.ttft[0]),
                    "latency": float(known.latency[0]),
                },
                found.fits,
            )
    return Experiment(
        device=board,
        law=fitted,
        arch=arch,
        loss=np.broadcast_to(fitted.loss(arch), len(arch)),
        reference_loss=float(fitted.loss(reference)[0]),
        in_range=fitted.in_range(arch),
        settings=settings,
        reference=reference,
    )


def describe(experiment: Experiment, row: int) -> str:
    """Say in a few words what a candidate is."""
    arch = experiment.arch
    experts = int(arch.experts[row])
    network = (
        f"{experts} experts, {int(arch.experts_per_token[row])} active" if experts > 1 else "dense"
    )
    return (
        f"{int(arch.layers[row])} layers of width {int(arch.width[row])}, "
        f"{int(arch.kv_heads[row])} KV heads, FFN ratio {experiment.ratios[row]:.3g}, {network}"
    )


def formats_said() -> str:
    """Say what the two precisions hold."""
    return "; ".join(
        f"{name}: " + ", ".join(f"{part} {word}" for part, word in formats.items())
        for name, formats in FORMATS.items()
    )


__all__ = ["Experiment", "Finding", "Gain", "describe", "formats_said", "run"]
