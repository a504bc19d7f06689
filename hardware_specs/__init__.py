"""What a device is: processors, memory and power, each number with its source.

Profiles are the YAML files of this folder. The shipped ones are data sheets: what kernels reach of
the peaks is fitted (`roofline.efficiency`), unless a profile states its own efficiencies. Importing
the package loads neither pydantic nor YAML.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardware_specs.device import FORMATS, Device, Processor
    from hardware_specs.figures import Figure
    from hardware_specs.library import load_device, shipped_devices
    from hardware_specs.schema import device_schema

_HOME = {
    "Device": "device",
    "FORMATS": "device",
    "Figure": "figures",
    "Processor": "device",
    "device_schema": "schema",
    "load_device": "library",
    "shipped_devices": "library",
}

__all__ = [
    "FORMATS",
    "Device",
    "Figure",
    "Processor",
    "device_schema",
    "load_device",
    "shipped_devices",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"hardware_specs.{_HOME[name]}"), name)
