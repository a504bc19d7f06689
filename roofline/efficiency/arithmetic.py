"""In which number format a runtime multiplies on a processor, and at what peak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from arch_space.formats import FORMATS, compute_format

if TYPE_CHECKING:
    from hardware_specs import Processor
    from roofline.runtimes import Runtime

Array = np.ndarray

UNKNOWN_PEAK = {"cpu": 1e12, "gpu": 4e12, "npu": 20e12}
"""What shares refer to where no peak is published, operations per second: a unit of account, not a
claim about the processor, whose own effect takes up the difference."""

_WIDER = {
    "fp4": ("fp8", "int8", "fp16", "bf16", "fp32"),
    "int4": ("int8", "fp16", "bf16", "fp32"),
    "fp8": ("fp16", "bf16", "int8", "fp32"),
    "int8": ("fp16", "bf16", "fp32"),
    "fp16": ("bf16", "fp32", "int8"),
    "bf16": ("fp16", "fp32", "int8"),
    "fp16acc": ("fp16", "bf16", "fp32"),
    "fp32": ("fp16", "bf16"),
}
"""Where a processor has no units for a format, the formats that it can compute in instead."""


def arithmetic(
    processor: Processor, runtime: Runtime | None, activation: int, weight: int
) -> str | None:
    """Return the format in which a product runs; None where the processor's peaks are unknown.

    activation, weight: format codes of the operands. The runtime's own choice comes first, where
    the processor has it; then that of the wider operand, or what the processor has instead.
    """
    if not processor.peaks:
        return None
    wanted: list[str] = []
    operands = compute_format(activation, weight)
    if runtime is not None:
        quantised = FORMATS[weight].value_bits <= 8
        wanted += runtime.arithmetic if quantised else runtime.half
    wanted += [operands, *_WIDER.get(operands, ())]
    for name in wanted:
        if name in processor.peaks:
            return name
    processor.peak(operands)  # says which formats there are
    return None


def peak_of(processor: Processor, number_format: str | None) -> float:
    """Return the dense peak in a format, or the unit of account where none is known."""
    if number_format is None:
        return UNKNOWN_PEAK[processor.type]
    return processor.peak(number_format)


def reference_peaks(
    processors: Sequence[Processor],
    runtimes: Sequence[Runtime | None],
    activations: Array,
    operands: Array,
) -> Array:
    """Return the peak that each case's products refer to, (N,); format codes of both operands."""
    return np.array(
        [
            peak_of(unit, arithmetic(unit, entry, int(left), int(right)))
            for unit, entry, left, right in zip(
                processors, runtimes, activations, operands, strict=True
            )
        ]
    )
