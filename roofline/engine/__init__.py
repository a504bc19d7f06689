"""Time, memory and energy of N candidates on a device."""

from roofline.engine.estimate import BOUNDS, Estimate, OperatorEstimate, estimate

__all__ = ["BOUNDS", "Estimate", "OperatorEstimate", "estimate"]
