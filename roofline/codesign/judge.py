"""Whether candidates keep their limits at some hardware, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.codesign.sides import TwoSided, both_sides
from roofline.search.many import How, combine

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.mixes import Mix

Array = np.ndarray
Number = Array | float


@dataclass(frozen=True, eq=False)
class Judge:
    """N candidates under a mix of workloads, and the limits on what it costs.

    sides: what they cost, one a workload; shares: of the requests; how: the mean of the mix, or its
    worst. limits: of ttft, tpot, latency (s) and energy (J).
    """

    sides: tuple[TwoSided, ...]
    shares: tuple[float, ...]
    how: How
    limits: Mapping[str, float]

    @classmethod
    def of(
        cls,
        arch: Architectures,
        device: Device,
        mix: Mix,
        limits: Mapping[str, float],
        *,
        how: How = "mean",
        processor: str | None = None,
        ideal: bool = False,
    ) -> Judge:
        """Judge candidates on a calibrated device and what it could be."""
        timed = {name: limit for name, limit in limits.items() if name != "memory"}
        workloads = [part.workload() for part in mix.workloads]
        return cls(
            tuple(both_sides(arch, device, each, processor, ideal) for each in workloads),
            mix.shares,
            how,
            timed,
        )

    def __len__(self) -> int:
        return len(self.sides[0])

    def __getitem__(self, rows: Any) -> Judge:
        """Return some of the candidates."""
        return replace(self, sides=tuple(each[rows] for each in self.sides))

    @property
    def memory(self) -> Array:
        """Bytes of the workload that needs most, (N,)."""
        return np.asarray(np.maximum.reduce([each.memory for each in self.sides]))

    def costs(
        self, names: Sequence[str], bandwidth: Number, peak: Number, power: Number = 1.0
    ) -> dict[str, Array]:
        """Return some of ttft, tpot, latency and energy of the mix, each (N,).

        bandwidth, peak, power: multiples of the base device's.
        """
        each = [one.costs(names, bandwidth, peak, power) for one in self.sides]
        return {name: combine([one[name] for one in each], self.shares, self.how) for name in names}

    def excess(self, bandwidth: Number, peak: Number, power: Number = 1.0) -> Array:
        """Return the share of the tightest limit that each candidate takes, (N,); 1 just keeps it.

        Never larger with more bandwidth or peak. Infinite where a limit is on what is not known.
        """
        if not self.limits:
            return np.zeros(len(self))
        found = self.costs(tuple(self.limits), bandwidth, peak, power)
        shares = [found[name] / limit for name, limit in self.limits.items()]
        worst = np.maximum.reduce(shares)
        return np.where(np.isnan(worst), np.inf, worst)
