"""The device profiles that ship with the package, and how any profile is loaded."""

from pathlib import Path
from typing import TYPE_CHECKING

from spec_files import find_spec, read_spec

if TYPE_CHECKING:
    from hardware_specs.device import Device

FOLDER = Path(__file__).parent


def shipped_devices() -> list[str]:
    """Names of the shipped profiles, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def load_device(name_or_path: str | Path) -> "Device":
    """Load a device by the path of its profile or by a shipped name, from any working directory.

    Raises SpecError, one sentence, for anything that is not a valid profile.
    """
    from hardware_specs.device import Device

    return read_spec(find_spec(name_or_path, FOLDER, "device"), Device)
