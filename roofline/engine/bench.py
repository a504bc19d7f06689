"""N candidates under the roof of one processor: all that the time of a pass depends on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from arch_space.tensors import tensors as weight_tensors
from roofline.engine.roof import build_roof
from roofline.engine.timing import Series, Timing, present, time_pass, time_series

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from arch_space.tensors import Inventory
    from hardware_specs import Device
    from hardware_specs.device import Processor
    from roofline.engine.roof import Roof
    from roofline.operators.cost import Operator
    from roofline.workload import Pass

Array = np.ndarray
Number = Array | float
Overhead = Literal["step", "prompt"]


@dataclass(frozen=True, eq=False)
class Bench:
    """Some operators of N candidates on one processor of a calibrated device.

    main: whether the fixed time of each pass is this processor's; where a pass runs on several, one
    of them is the main one.
    """

    arch: Architectures
    inventory: Inventory
    operators: list[Operator]
    device: Device
    processor: Processor
    roof: Roof
    main: bool = True

    @classmethod
    def build(
        cls,
        arch: Architectures,
        device: Device,
        processor: str | None,
        resident: Array,
        ideal: bool,
    ) -> Bench:
        """Return the bench of all operators; resident: bytes of weights and cache, (N,)."""
        arch = arch.as_float()
        unit = device.processor(processor)
        roof = build_roof(arch, device, unit, resident, ideal)
        return cls(arch, weight_tensors(arch), present(arch), device, unit, roof)

    def only(self, operators: list[Operator], main: bool) -> Bench:
        """Return the bench of some of the operators."""
        return replace(self, operators=operators, main=main)

    def fixed(self, overhead: Overhead) -> float:
        """Seconds that a pass takes whatever the model."""
        if not self.main:
            return 0.0
        return self.roof.prompt if overhead == "prompt" else self.roof.step

    def forward(self, step: Pass) -> dict[str, Timing]:
        """Time each operator of one pass."""
        return time_pass(self.operators, self.arch, self.inventory, step, self.roof)

    def series(
        self, first: Pass, steps: Number, stride: Number = 1.0, overhead: Overhead = "step"
    ) -> Series:
        """Time passes whose keys grow by `stride` each."""
        return time_series(
            self.operators,
            self.arch,
            self.inventory,
            first,
            steps,
            self.roof,
            stride=stride,
            fixed=self.fixed(overhead),
        )
