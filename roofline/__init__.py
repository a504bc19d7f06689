"""Hardware co-design for on-device language models: from a device to a model worth training."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Architectures": "arch_space",
    "Device": "hardware_specs",
    "Estimate": "roofline.engine",
    "SpecError": "spec_files",
    "Workload": "roofline.workload",
    "calibrate": "roofline.ask",
    "estimate": "roofline.engine",
    "explore": "roofline.pictures",
    "fit": "roofline.fitting",
    "hardware_for": "roofline.ask",
    "load_device": "hardware_specs",
    "load_law": "roofline.laws",
    "load_model": "arch_space.library",
    "load_models": "arch_space.library",
    "load_space": "arch_space.spaces",
    "plot": "roofline.pictures",
    "predict": "roofline.laws",
    "roofline_of": "roofline.ask",
    "strategy_for": "roofline.ask",
    "sweep": "roofline.ask",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import roofline` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'roofline' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Name what completion should offer, loaded or not."""
    return sorted({*globals(), *_HOMES})
