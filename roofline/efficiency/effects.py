"""The fitted effects: what the rows say of each type, family, runtime and device.

Shipped as `effects.json`, made by `python -m roofline.calibration` from the published table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from roofline.efficiency.form import FORM, Level, keys

Array = np.ndarray

SHIPPED = Path(__file__).parent / "effects.json"


@dataclass(frozen=True)
class Effects:
    """Fitted effects.

    values: by quantity, level and key. intervals: by metric ("decode", "prefill", "energy"), basis
    ("device", "class", "roofline") and kind of device ("" for all): low and high of measured over
    predicted time or energy, 90 %. rows: measurements fitted, by "device|processor type".
    runtimes: rows by "device|processor type|runtime". options: those of a runtime that most rows
    were run with, by the same and by "kind of device|processor type|runtime". eras: the same of the
    year; threads: of a CPU's threads, where most rows say them. about: the table that was fitted,
    its version and checksum, the date.
    """

    values: dict[str, dict[Level, dict[str, float]]]
    intervals: dict[str, dict[str, dict[str, tuple[float, float]]]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    runtimes: dict[str, int] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    eras: dict[str, str] = field(default_factory=dict)
    threads: dict[str, int] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def eta(self, quantity: str, settings: Mapping[str, Any]) -> Array:
        """Return the quantity of each setting, on the scale of effects, (N,)."""
        total = np.full(len(settings["type"]), FORM[quantity].centre)
        for level, found in self.values.get(quantity, {}).items():
            total += [found.get(key, 0.0) for key in keys(settings, level)]
        return total

    def to_json(self) -> str:
        """Return what `from_json` reads; numbers to four digits, effects of nothing left out."""
        values = {
            quantity: {
                "+".join(level): {key: round(e, 4) for key, e in found.items() if abs(e) > 5e-4}
                for level, found in levels.items()
            }
            for quantity, levels in self.values.items()
        }
        return json.dumps(
            {
                "about": self.about,
                "rows": self.rows,
                "runtimes": self.runtimes,
                "options": self.options,
                "eras": self.eras,
                "threads": self.threads,
                "intervals": self.intervals,
                "effects": values,
            },
            indent=1,
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> Effects:
        """Read what `to_json` wrote."""
        read = json.loads(text)
        values = {
            quantity: {tuple(level.split("+")): found for level, found in levels.items()}
            for quantity, levels in read["effects"].items()
        }
        intervals = {
            metric: {
                basis: {kind: (ends[0], ends[1]) for kind, ends in kinds.items()}
                for basis, kinds in bases.items()
            }
            for metric, bases in read["intervals"].items()
        }
        return cls(
            values,
            intervals,
            read["rows"],
            read["runtimes"],
            read["options"],
            read["eras"],
            read["threads"],
            read["about"],
        )


@cache
def shipped_effects() -> Effects:
    """Return the effects that the package ships."""
    return Effects.from_json(SHIPPED.read_text(encoding="utf-8"))
