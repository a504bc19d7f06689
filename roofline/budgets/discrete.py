"""The best candidate of a space: by the theory's costs, and by the engine's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roofline.budgets.theory import Shape, Theory

if TYPE_CHECKING:
    from collections.abc import Callable

    from arch_space.architectures import Architectures
    from arch_space.spaces import Space
    from hardware_specs import Device
    from roofline.engine import Estimate
    from roofline.laws import Law
    from roofline.laws.law import Array
    from roofline.workload import Workload

CHUNK = 2**17
"""Points of a space that are looked at at once by the theory."""

_SLACK = 0.2
"""What bytes of a weight may differ by from those of the layer that the theory takes for all: rows
that do not divide into a format's blocks, and layers that a mixture stores more finely."""

_FIRST = 2**10  # candidates that the engine judges first; then twice as many, and so on
_MOST = 2**15

ENGINE = {"ttft": "ttft", "tpot": "tpot", "latency": "latency", "memory": "memory_bytes"}
"""The field of an estimate that each budget limits."""


@dataclass(frozen=True)
class Candidate:
    """One point of a space.

    index: of the space. arch: one architecture. shape: as the theory sees it. loss: nats, without
    what number formats add.
    """

    index: int
    arch: Architectures
    shape: Shape
    loss: float


def shape_of(law: Law, arch: Architectures) -> Shape:
    """Return candidates as the theory sees them, (N,) or (1,) each."""
    seen = dict(zip(law.variables, law.variables_of(arch), strict=True))
    return Shape(
        seen["layers"],
        seen["width"],
        seen["expansion"],
        seen["width"] / seen["cached_width"],
        seen["activation"],
    )


@dataclass(frozen=True, eq=False)
class Search:
    """Candidates of a space inside a law's data that a floor allows, least loss first.

    The floor is the theory at the data sheet's rates: no engine and no calibration charges less, so
    what it forbids is forbidden to all. indices, losses: (M,); looked_at: candidates of the space.
    """

    space: Space
    law: Law
    indices: Array
    losses: Array
    looked_at: int
    inside: int

    @classmethod
    def begin(cls, space: Space, law: Law, floor: Theory, limits: Mapping[str, float]) -> Search:
        """Walk the whole space once, chunk by chunk."""
        indices, losses, looked_at, inside = [], [], 0, 0
        for start in range(0, space.size, CHUNK):
            arch, keys = space.candidates(start, start + CHUNK)
            if not len(keys):
                continue
            known = np.broadcast_to(law.in_range(arch), len(keys))
            allowed = known & floor.within(shape_of(law, arch), limits, slack=_SLACK)
            looked_at += len(keys)
            inside += int(known.sum())
            indices.append(keys[allowed])
            losses.append(np.broadcast_to(law.loss(arch), len(keys))[allowed])
        empty = np.empty(0, dtype=np.int64)
        keys, values = np.concatenate([empty, *indices]), np.concatenate([empty, *losses])
        order = np.argsort(values, kind="stable")
        return cls(space, law, keys[order], values[order], looked_at, inside)

    def best_by_theory(self, theory: Theory, limits: Mapping[str, float]) -> Candidate | None:
        """Return the best candidate by a theory's costs; None where none is within the limits."""
        return self._first(lambda arch: theory.within(shape_of(self.law, arch), limits))

    def best_by_engine(
        self,
        device: Device,
        workload: Workload,
        limits: Mapping[str, float],
        *,
        processor: str | None = None,
        runtime: str | None = None,
        ideal: bool = False,
    ) -> Candidate | None:
        """Return the best candidate by the engine's costs that fits the device; None for none."""
        from roofline.engine import estimate

        def allowed(arch: Architectures) -> Array:
            found = estimate(
                arch, device, workload, processor=processor, runtime=runtime, ideal=ideal,
                breakdown=False,
            )  # fmt: skip
            return within(found, limits)

        return self._first(allowed)

    def _first(self, allowed: Callable[[Architectures], Array]) -> Candidate | None:
        """Return the first of ascending loss that is allowed: all before it are not."""
        start, many = 0, _FIRST
        while start < len(self.indices):
            keys = self.indices[start : start + many]
            arch = self.space.at(keys)
            held = np.flatnonzero(allowed(arch))
            if len(held):
                return self.candidate(int(keys[held[0]]))
            start, many = start + many, min(2 * many, _MOST)
        return None

    def candidate(self, index: int) -> Candidate:
        """Return one point of the space."""
        arch = self.space.at(np.array([index]))
        shape = Shape(*(float(np.asarray(column)[0]) for column in shape_of(self.law, arch)))
        return Candidate(index, arch, shape, float(self.law.loss(arch)[0]))


def within(found: Estimate, limits: Mapping[str, float]) -> Array:
    """Return which estimated candidates fit the device and keep all limits, (N,) booleans."""
    held = found.fits.copy()
    for name, limit in limits.items():
        held &= getattr(found, ENGINE[name]) <= limit
    return held
