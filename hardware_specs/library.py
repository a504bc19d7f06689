"""The device profiles that ship with the package, and how any profile is loaded."""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from spec_files import SpecError, find_spec, nearest, read_spec, short

if TYPE_CHECKING:
    from hardware_specs.device import Device

FOLDER = Path(__file__).parent

_ALIASES = re.compile(r"^aliases: *\[(.*)\]", re.M)
_KIND = re.compile(r"^kind: *(\S+)", re.M)
_FAMILIES = re.compile(r"^    type: *(\S+)\n    family: *(\S+)", re.M)


def shipped_devices() -> list[str]:
    """Names of the shipped profiles, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def shipped_aliases() -> dict[str, str]:
    """The other names of shipped profiles, each with the profile's own name.

    Found in the text of the files, since parsing them all to resolve one name would be slow.
    """
    found: dict[str, str] = {}
    for file in sorted(FOLDER.glob("*.yaml")):
        listed = _ALIASES.search(file.read_text(encoding="utf-8"))
        for alias in listed[1].split(",") if listed else ():
            found[alias.strip(" \"'")] = file.stem
    return found


@cache
def shipped_classes() -> dict[str, tuple[str, dict[str, str]]]:
    """Kind of each shipped device, and the family of its processors by type.

    Found in the text of the files, as aliases are.
    """
    found = {}
    for file in sorted(FOLDER.glob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        kind = _KIND.search(text)
        found[file.stem] = (kind[1] if kind else "", dict(_FAMILIES.findall(text)))
    return found


def load_device(name_or_path: str | Path) -> "Device":
    """Load a device by the path of its profile or by a shipped name, from any working directory.

    A file of that path wins; then a shipped name, in which `_` stands for `-`; then an alias.
    Raises SpecError, one sentence, for anything that is not a valid profile.
    """
    from hardware_specs.device import Device

    return read_spec(_find(name_or_path), Device)


def _find(name_or_path: str | Path) -> Path:
    try:
        return find_spec(name_or_path, FOLDER, "device")
    except SpecError as unknown:
        path, error = Path(name_or_path), unknown
        if path.parent.name not in ("", FOLDER.name) or not path.name:
            raise
    asked = path.name.removesuffix(".yaml").removesuffix(".yml")
    names = {name: name for name in shipped_devices()} | shipped_aliases()
    for name in (asked, asked.lower().replace("_", "-")):
        if name in names:
            return FOLDER / f"{names[name]}.yaml"
    if path.is_dir():
        raise error
    close = nearest(asked.replace("_", "-"), names)
    hint = f"; nearest is {close!r}" if close else "; `roofline devices` lists them all"
    raise SpecError(f"no device {short(str(name_or_path))}: no such file or shipped name{hint}.")
