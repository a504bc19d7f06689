"""The form of the calibration: which few quantities bound a processor, and what they depend on.

Each quantity is a sum of effects on a scale where any number is possible: shares of a peak on the
logistic scale, so that none can pass the peak; times on the logarithmic one. An effect belongs to a
level: the type of processor, its family, the runtime, the device, and so on. Effects of a level are
drawn around zero with that level's spread, so that a device with few rows stays near its family,
and one with none is its family.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
MAKE = ("type", "vendor", "kind")
"""A maker's integrated GPUs are not its cards: they share power and memory with a CPU."""
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
        TYPE: 0.32, CLASS: 0.35, VENDOR: 0.5, MAKE: 0.35, FAMILY: 0.29, DEVICE: 0.19,
        RUNTIME: 0.48, ON_FAMILY: 0.3, ON_DEVICE: 0.19, OPTIONS: 0.58, DEVICE_OPTIONS: 0.24,
        ERA: 0.35, DEVICE_ERA: 0.2, PATH: 0.42, PATH_IN: 1.06, PATH_AT: 0.65, PATH_ON: 0.22,
        STORED: 0.31, STORED_IN: 0.26, STORED_ON: 0.17,
    }),
    "attention": Quantity("share", 1.0, {
        TYPE: 0.58, VENDOR: 0.66, RUNTIME: 1.4, OPTIONS: 0.9, ON_DEVICE: 0.32,
    }),
    "expert_compute": Quantity("share", -1.0, {
        TYPE: 0.84, VENDOR: 0.57, RUNTIME: 0.37, ON_DEVICE: 0.34, OPTIONS: 0.44,
        DEVICE_OPTIONS: 0.38,
    }),
    "recurrence": Quantity("share", -3.0, {
        TYPE: 0.54, VENDOR: 0.37, RUNTIME: 0.77, ON_DEVICE: 0.79,
    }),
    # Operations of a kernel that reaches half of the compute share.
    "half_size": Quantity("count", _log(1e8), {
        TYPE: 1.61, VENDOR: 0.36, RUNTIME: 1.7,
    }),
    # Tokens that each product of a prefill is padded with: half a tile of its kernel.
    "tile": Quantity("count", _log(12), {
        TYPE: 0.71, VENDOR: 0.42, RUNTIME: 0.83, ON_DEVICE: 0.95,
    }),
    # Shares of the DRAM bandwidth: weights, routed experts, cache.
    "memory": Quantity("share", 1.0, {
        TYPE: 0.32, CLASS: 0.31, VENDOR: 0.32, FAMILY: 0.39, DEVICE: 0.26, RUNTIME: 0.44,
        ON_FAMILY: 0.3, ON_DEVICE: 0.3, PATH: 0.39, PATH_IN: 0.45, PATH_AT: 0.66, PATH_ON: 0.25,
        STORED: 0.45, STORED_IN: 0.38, STORED_ON: 0.16, ERA: 0.29,
        DEVICE_ERA: 0.25,
    }),
    "experts": Quantity("share", 0.5, {
        TYPE: 2, VENDOR: 0.52, RUNTIME: 0.41, ON_DEVICE: 0.43,
    }),
    "cache": Quantity("share", 0.5, {
        TYPE: 0.44, VENDOR: 0.51, RUNTIME: 0.41, OPTIONS: 1.22, ON_DEVICE: 0.64,
    }),
    # The same for the states of recurrent mixers.
    "state": Quantity("share", 0.5, {
        TYPE: 0.47, VENDOR: 0.41, RUNTIME: 1.94, ON_DEVICE: 0.42,
    }),
    # Of the reads that grouped queries could share, the share that kernels repeat.
    "repeats": Quantity("share", -1.0, {
        TYPE: 0.39, RUNTIME: 0.45, OPTIONS: 2,
    }),
    # Of the traffic of activations between unfused kernels, what reaches DRAM.
    # Closer together than the rows' evidence (1.6, 1.6), under which it stands for all that is slow
    # about a prompt, and tells models that were held out worse.
    "spill": Quantity("count", _log(0.7), {
        TYPE: 0.6, VENDOR: 0.44, RUNTIME: 1.0, ON_DEVICE: 0.7,
    }),
    "step": Quantity("seconds", _log(1e-3), {
        TYPE: 0.39, CLASS: 1.25, VENDOR: 0.67, RUNTIME: 1.64, ON_DEVICE: 0.57,
    }),
    "prefill": Quantity("seconds", _log(2e-3), {
        TYPE: 2, CLASS: 0.57, VENDOR: 0.42, RUNTIME: 0.42, ON_DEVICE: 1.02,
    }),
    "launch": Quantity("seconds", _log(3e-6), {
        TYPE: 0.57, RUNTIME: 0.95,
    }),
    "state_launch": Quantity("seconds", _log(2e-5), {
        TYPE: 1.09, RUNTIME: 2, ON_DEVICE: 0.5,
    }),
    # Of each product that the CPU runs for another processor, whose runtime has no kernel for it.
    "handover": Quantity("seconds", _log(1e-4), {
        RUNTIME: 1.19, ON_DEVICE: 1.2,
    }),
}  # fmt: skip

_PATHS = (
    ("float", ("16-bit", "32-bit", "fp32", "8-bit")),
    ("blocks", ("Q4_0", "Q8_0", "Q4_1")),
    ("k", ("Q4_K", "Q5_K", "Q6_K")),
    ("rare", ("Q5_0", "Q5_1", "Q2_K", "Q3_K", "IQ", "TQ")),
)


def path(storage: str, options: str = "") -> str:
    """Return the family of kernels that unpack a way of storing weights.

    Runtimes write fast kernels for a few block types, and fall back to slow ones for the rest; so a
    type that no row of a runtime used behaves like its family. options: of the runtime; "float"
    among them unpacks grouped integers for products of floats.
    """
    for name, members in _PATHS:
        if storage.startswith(members):
            return name
    return "unpacked" if "float" in options.split("+") else "groups"


def paths(storage: Iterable[str], options: Iterable[str]) -> Array:
    """Return the family of kernels of each setting, (N,)."""
    return np.array([path(*each) for each in zip(storage, options, strict=True)])


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
