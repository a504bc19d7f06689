"""Time, memory and energy of N candidates on a device."""

from roofline.engine.estimate import Estimate, OperatorEstimate, estimate
from roofline.engine.work import BOUNDS, Work, decode, forward, memory

__all__ = [
    "BOUNDS",
    "Estimate",
    "OperatorEstimate",
    "Work",
    "decode",
    "estimate",
    "forward",
    "memory",
]
