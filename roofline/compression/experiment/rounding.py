"""Rounding to nearest: weights to whole multiples of a scale a row, or a group of a row."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def rounded(weight: Array, bits: int, group: int = 0) -> Array:
    """Return a matrix rounded to symmetric integers of so many bits.

    weight: (outputs, inputs); group: inputs that share a scale, all of a row if 0. The scale takes
    the largest value to the largest integer, 2^(bits - 1) - 1. Raises ValueError for less than two
    bits or a group that does not divide.
    """
    rows, columns = weight.shape
    size = group or columns
    if bits < 2 or columns % size:
        raise ValueError(f"{bits} bits in groups of {size} do not fit rows of {columns}")
    parts = weight.reshape(rows, columns // size, size)
    most = 2 ** (bits - 1) - 1
    scale = np.abs(parts).max(axis=2, keepdims=True) / most
    scale = np.where(scale > 0, scale, 1.0)
    return (np.rint(parts / scale) * scale).reshape(weight.shape).astype(weight.dtype)


def peakedness(weight: Array) -> float:
    """Return the largest value over the root mean square, the mean over rows."""
    return float(np.mean(np.abs(weight).max(axis=1) / np.sqrt(np.mean(weight**2, axis=1))))
