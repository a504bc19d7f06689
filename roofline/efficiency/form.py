"""The form of the calibration: which few quantities bound a processor, and what they depend on.

Each quantity is a sum of effects on a scale where any number is possible: shares of a peak on the
logistic scale, so that none can pass the peak; times on the logarithmic one. An effect belongs to a
level: the type of processor, its family, the runtime, the device, and so on. Effects of a level are
drawn around zero with that level's spread, so that a device with few rows stays near its family,
and one with none is its family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Array = np.ndarray
Level = tuple[str, ...]
"""Attributes of a setting whose values together name one effect."""

ATTRIBUTES = (
    "type", "kind", "vendor", "family", "device", "runtime", "options", "era", "storage", "path",
    "host",
)  # fmt: skip
"""What a setting says: type of processor, kind of device, vendor and family of the processor,
device, runtime, its options (flash attention, kernels), the year of its build, how the weights are
stored, the family of kernels that unpack them, and the family of the device's CPU."""


@dataclass(frozen=True)
class Quantity:
    """One quantity of the model of time.

    scale: `share` of a peak (logistic) or `seconds`, `count` (logarithmic). centre: where nothing
    is known, on that scale. levels: the spread of the effects of each level, on that scale.
    """

    scale: Literal["share", "seconds", "count"]
    centre: float
    levels: Mapping[Level, float]

    def value(self, eta: Array | float) -> Array:
        """From the scale of effects to the quantity itself."""
        eta = np.asarray(eta, dtype=float)
        return 1.0 / (1.0 + np.exp(-eta)) if self.scale == "share" else np.exp(eta)

    def slope(self, value: Array) -> Array:
        """Derivative of log(value) by the effect, given the value."""
        return 1.0 - value if self.scale == "share" else np.ones_like(value)


def _log(number: float) -> float:
    return float(np.log(number))


TYPE, FAMILY, DEVICE = ("type",), ("type", "family"), ("type", "device")
VENDOR = ("type", "vendor")
CLASS = ("type", "kind")
RUNTIME, ON_DEVICE = ("runtime",), ("device", "runtime")
ON_FAMILY = ("family", "runtime")
OPTIONS = ("runtime", "options")
DEVICE_OPTIONS = ("device", "runtime", "options")
ERA = ("runtime", "era")
DEVICE_ERA = ("device", "runtime", "era")
PATH, PATH_IN, PATH_ON = ("type", "path"), ("runtime", "path"), ("device", "runtime", "path")
PATH_AT = ("kind", "runtime", "path")
"""Apps for phones ship other builds of a runtime, with other kernels, than desktops run."""
STORED, STORED_IN = ("type", "storage"), ("runtime", "storage")
STORED_ON = ("device", "runtime", "storage")

FORM: dict[str, Quantity] = {
    # Shares of the dense peak: products with weights, over the cache, of routed experts, of scans.
    "compute": Quantity("share", -0.5, {
        TYPE: 0.4, CLASS: 0.36, VENDOR: 0.49, FAMILY: 0.28, DEVICE: 0.2, RUNTIME: 0.55,
        ON_FAMILY: 0.28, ON_DEVICE: 0.21, OPTIONS: 0.65, DEVICE_OPTIONS: 0.37, ERA: 0.34,
        DEVICE_ERA: 0.21, PATH: 0.59, PATH_IN: 1.0, PATH_AT: 0.7, PATH_ON: 0.23, STORED: 0.3,
        STORED_IN: 0.24, STORED_ON: 0.13,
    }),
    "attention": Quantity("share", 1.0, {
        TYPE: 0.82, VENDOR: 0.61, RUNTIME: 1.35, OPTIONS: 0.95, ON_DEVICE: 0.38,
    }),
    "expert_compute": Quantity("share", -1.0, {
        TYPE: 0.74, VENDOR: 0.66, RUNTIME: 0.41, ON_DEVICE: 0.34, OPTIONS: 0.47,
        DEVICE_OPTIONS: 0.43,
    }),
    "recurrence": Quantity("share", -3.0, {
        TYPE: 0.46, VENDOR: 0.34, RUNTIME: 0.68, ON_DEVICE: 0.57,
    }),
    # Operations of a kernel that reaches half of the compute share.
    "half_size": Quantity("count", _log(1e8), {
        TYPE: 1.46, VENDOR: 0.31, RUNTIME: 1.61,
    }),
    # Tokens that each product of a prefill is padded with: half a tile of its kernel.
    "tile": Quantity("count", _log(12), {
        TYPE: 1.2, VENDOR: 0.37, RUNTIME: 1.06, ON_DEVICE: 1.25,
    }),
    # Shares of the DRAM bandwidth: weights, routed experts, cache.
    "memory": Quantity("share", 1.0, {
        TYPE: 0.4, CLASS: 0.34, VENDOR: 0.3, FAMILY: 0.42, DEVICE: 0.31, RUNTIME: 0.46,
        ON_FAMILY: 0.29, ON_DEVICE: 0.33, PATH: 0.45, PATH_IN: 0.5, PATH_AT: 0.35, PATH_ON: 0.23,
        STORED: 0.35, STORED_IN: 0.31, STORED_ON: 0.15, OPTIONS: 0.22, ERA: 0.27,
        DEVICE_ERA: 0.24,
    }),
    "experts": Quantity("share", 0.5, {
        TYPE: 2, VENDOR: 0.41, RUNTIME: 0.4, ON_DEVICE: 0.4,
    }),
    "cache": Quantity("share", 0.5, {
        TYPE: 0.59, VENDOR: 0.49, RUNTIME: 0.45, OPTIONS: 1.22, ON_DEVICE: 0.51,
    }),
    # The same for the states of recurrent mixers.
    "state": Quantity("share", 0.5, {
        TYPE: 0.53, VENDOR: 0.39, RUNTIME: 1.67, ON_DEVICE: 0.44,
    }),
    # Of the reads that grouped queries could share, the share that kernels repeat.
    "repeats": Quantity("share", -1.0, {
        TYPE: 0.48, RUNTIME: 0.6, OPTIONS: 2,
    }),
    # Of the traffic of activations between unfused kernels, what reaches DRAM.
    "spill": Quantity("count", _log(0.7), {
        TYPE: 0.54, VENDOR: 0.41, RUNTIME: 1.53, ON_DEVICE: 1.45,
    }),
    "step": Quantity("seconds", _log(1e-3), {
        TYPE: 0.41, CLASS: 1.02, VENDOR: 0.69, RUNTIME: 1.68, ON_DEVICE: 0.52,
    }),
    "prefill": Quantity("seconds", _log(2e-3), {
        TYPE: 2, CLASS: 0.65, VENDOR: 0.93, RUNTIME: 0.71, ON_DEVICE: 1.15,
    }),
    "launch": Quantity("seconds", _log(3e-6), {
        TYPE: 0.6, RUNTIME: 0.88,
    }),
    "state_launch": Quantity("seconds", _log(2e-5), {
        TYPE: 1.69, RUNTIME: 2, ON_DEVICE: 0.39,
    }),
    # Of each product that the CPU runs for another processor, whose runtime has no kernel for it.
    "handover": Quantity("seconds", _log(1e-4), {
        RUNTIME: 1, ON_DEVICE: 1,
    }),
}  # fmt: skip

_PATHS = (
    ("float", ("16-bit", "32-bit", "fp32", "8-bit")),
    ("blocks", ("Q4_0", "Q8_0", "Q4_1")),
    ("k", ("Q4_K", "Q5_K", "Q6_K")),
    ("rare", ("Q5_0", "Q5_1", "Q2_K", "Q3_K", "IQ", "TQ")),
)


def path(storage: str) -> str:
    """Return the family of kernels that unpack a way of storing weights.

    Runtimes write fast kernels for a few block types, and fall back to slow ones for the rest; so a
    type that no row of a runtime used behaves like its family.
    """
    for name, members in _PATHS:
        if storage.startswith(members):
            return name
    return "groups"


_SLOW_UNPACKING = ("cpu", "npu", "llama.cpp-cpu", "llama.cpp-hexagon", "llama.cpp-opencl", "t-mac")
_CALM = 0.35


def calm(level: Level, key: str) -> float:
    """Return by how much smaller than its level's an effect is likely to be.

    How weights are stored moves CPUs, NPUs and OpenCL far more than GPUs, which unpack in registers
    while they wait for memory.
    """
    if not {"path", "storage"} & set(level):
        return 1.0
    who = key.split("|")[level.index("runtime") if "runtime" in level else 0]
    return 1.0 if who in _SLOW_UNPACKING else _CALM


def keys(settings: Mapping[str, Any], level: Level) -> list[str]:
    """Return the name of each setting's effect at a level."""
    return ["|".join(values) for values in zip(*(settings[name] for name in level), strict=True)]
