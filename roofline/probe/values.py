"""How a probe writes a number: with its interval, its unit and its measuring rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from roofline.probe.sampling import Sample
from spec_files import format_quantity

Values = dict[str, Any]
SOURCE = "probe"


def measured_figure(value: float, low: float, high: float, dimension: str, note: str) -> Values:
    """A measured figure with its quartiles; a rate's low end is that of the slow quartile."""
    return {
        "value": say(value, dimension),
        "low": say(min(low, value), dimension),
        "high": say(max(high, value), dimension),
        "basis": "measured",
        "source": SOURCE,
        "note": note,
    }


def plain_figure(value: float, dimension: str, note: str) -> Values:
    """A measured figure of which no spread is known."""
    return {
        "value": rounded(value) if dimension == "ratio" else say(value, dimension),
        "basis": "measured",
        "source": SOURCE,
        "note": note,
    }


def rule(sample: Sample) -> str:
    """How a sample was measured, in a sentence."""
    counted = " Bytes read and written are counted, write-allocate is not."
    what = {
        "read": "Maximum of integers, every byte read",
        "copy": "Copy of one half onto the other",
        "vector product": f"Vector product in {sample.number_format}",
        "product": f"Product in {sample.number_format}",
        "layer product": f"Product in {sample.number_format}",
    }[sample.operation]
    size = "" if sample.operation == "product" else f", working set {say(sample.size, 'bytes')}"
    return (
        f"{what} ({sample.detail}){size}, {sample.threads} thread"
        f"{'s' if sample.threads > 1 else ''}, median of {sample.repeats} repeats with quartiles."
        + (counted if sample.operation == "copy" else "")
    )


def only(samples: Sequence[Sample], operation: str) -> Sample:
    """Return the one sample of an operation."""
    return next(s for s in samples if s.operation == operation)


def rounded(value: float) -> float:
    """Round to four digits, more than a probe can tell."""
    return float(f"{value:.4g}")


def share(value: float) -> float:
    """Round a share, which is above zero and at most one."""
    return float(np.clip(rounded(value), 1e-6, 1.0))


def say(value: float, dimension: str) -> str:
    """Write a quantity with its unit, in four digits."""
    return format_quantity(value, dimension, digits=4)
