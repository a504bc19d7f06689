"""Units at the boundary: people write '76.8 GB/s', the program holds 76.8e9 bytes per second.

SI base units inside: bytes, seconds, FLOP, watts, joules. GB is 10^9 bytes, GiB is 2^30.
Conversions are exact decimals: '5 us' is the float 5e-06, and what is written reads back the same.
"""

import math
import re
from decimal import Context, Decimal

from spec_files.errors import SpecError, short
from spec_files.nearest import nearest

_PREFIXES = {
    "p": "1e-12", "n": "1e-9", "u": "1e-6", "m": "1e-3", "": "1",
    "k": "1e3", "M": "1e6", "G": "1e9", "T": "1e12", "P": "1e15",
}  # fmt: skip
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def _units(prefixes: str, symbol: str, end: str = "") -> dict[str, Decimal]:
    """Units of one symbol by prefix, smallest first; '-' stands for no prefix."""
    names = ["" if p == "-" else p for p in prefixes]
    return {f"{p}{symbol}{end}": Decimal(_PREFIXES[p]) for p in names}


def _binary(end: str = "") -> dict[str, Decimal]:
    return {f"{p}B{end}": Decimal(scale) for p, scale in _BINARY.items()}


# Units that numbers are written in, smallest first, and those that are only read.
_WRITTEN: dict[str, dict[str, Decimal]] = {
    "bytes": _units("-kMGT", "B"),
    "bandwidth": _units("-kMGT", "B", "/s"),
    "flops": _units("-kMGTP", "FLOP"),
    "compute": _units("-kMGTP", "FLOP", "/s"),
    "time": _units("num-", "s"),
    "power": _units("m-kM", "W"),
    "energy": _units("pnum-kM", "J"),
    "energy_per_byte": _units("pnum-", "J", "/B"),
    "energy_per_flop": _units("pnum-", "J", "/FLOP"),
    "ratio": {"": Decimal(1)},
}
_READ: dict[str, dict[str, Decimal]] = {
    "bytes": _binary(),
    "bandwidth": _binary("/s"),
    "flops": _units("-kMGTP", "OP"),
    "compute": _units("-kMGTP", "OP", "/s") | _units("-kMGTP", "FLOPS") | _units("-kMGTP", "OPS"),
    "time": {"µs": Decimal("1e-6"), "μs": Decimal("1e-6")},
    "energy_per_flop": _units("pnum-", "J", "/OP"),
    "ratio": {"%": Decimal("0.01")},
}
_UNITS = {dimension: units | _READ.get(dimension, {}) for dimension, units in _WRITTEN.items()}
_EXAMPLES = {
    "bytes": "12 GB",
    "bandwidth": "76.8 GB/s",
    "flops": "2 GFLOP",
    "compute": "42.5 TFLOP/s",
    "time": "50 ms",
    "power": "15 W",
    "energy": "20 mJ",
    "energy_per_byte": "0.19 nJ/B",
    "energy_per_flop": "1.6 pJ/FLOP",
    "ratio": "0.72",
}
DIMENSIONS = tuple(_WRITTEN)
# What no device and no limit on one falls outside, zero aside; beyond it arithmetic overflows.
_PLAUSIBLE = {
    "bytes": (1.0, 1e18),
    "bandwidth": (1.0, 1e18),
    "flops": (1.0, 1e21),
    "compute": (1.0, 1e21),
    "time": (1e-15, 1e12),
    "power": (1e-6, 1e9),
    "energy": (1e-15, 1e15),
    "energy_per_byte": (1e-18, 1.0),
    "energy_per_flop": (1e-18, 1.0),
    "ratio": (1e-9, 1e9),
}

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER}|[+-]?\.?(?:nan|inf(?:inity)?)\b)\s*(.*?)\s*", re.I | re.S)
_EXACT = Context(prec=60, traps=[])


def parse_quantity(text: object, dimension: str) -> float:
    """Return a written quantity in SI base units: ("76.8 GB/s", "bandwidth") gives 76.8e9.

    A ratio may be a plain number or a percentage; every other dimension needs its unit.
    Raises SpecError for a missing, unknown or wrong unit, a NaN, infinite or negative number, and
    one of a size that nothing has.
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise SpecError(
            f"read {short(text)} where a quantity such as {_EXAMPLES[dimension]!r} belongs"
        )
    written = text if isinstance(text, str) else short(text)
    parts = _QUANTITY.fullmatch(written)
    if parts is None:
        raise SpecError(f"{short(written)} is not a quantity; write e.g. {_EXAMPLES[dimension]!r}")
    number = Decimal(parts[1].lstrip("+-.") if parts[1][-1].isalpha() else parts[1])
    value = float(_EXACT.multiply(number, _scale(written, parts[2], dimension)))
    if not math.isfinite(value):
        raise SpecError(f"{short(written)} is not a finite number")
    if written.lstrip().startswith("-"):
        raise SpecError(f"{short(written)} is negative")
    low, high = _PLAUSIBLE[dimension]
    if value and not low <= value <= high:
        ends = " to ".join(format_quantity(end, dimension) for end in (low, high))
        raise SpecError(f"{short(written)} is beyond what is plausible, {ends}")
    return value


def format_quantity(value: float, dimension: str, digits: int | None = 3) -> str:
    """Write a quantity for people: (76.8e9, "bandwidth") gives '76.8 GB/s'.

    digits: significant ones; None writes as many as it takes to read the same float back, and sizes
    in KiB to TiB where that is shorter.
    """
    if not math.isfinite(value):
        return " ".join(filter(None, (str(value), _base_unit(dimension))))
    decimal = _in_decimal(value, dimension, digits)
    if digits is not None or dimension != "bytes":
        return decimal
    whole = [
        f"{value / scale:g} {unit}B"
        for unit, scale in _BINARY.items()
        if value >= scale and value % scale == 0 and value / scale < 10**6
    ]
    return min(decimal, *whole[-1:], key=len) if whole else decimal


def _in_decimal(value: float, dimension: str, digits: int | None) -> str:
    exact = Decimal(repr(float(value)))
    rounded = exact if digits is None else Context(prec=digits).plus(exact)
    unit, scale = _base_unit(dimension), Decimal(1)
    if rounded:
        ladder = _WRITTEN[dimension].items()
        fitting = [step for step in ladder if step[1] <= abs(rounded)]
        unit, scale = fitting[-1] if fitting else next(iter(ladder))
    number = _EXACT.divide(rounded, scale).normalize(_EXACT)
    plain = -6 <= number.adjusted() <= 15
    return f"{number:{'f' if plain else 'e'}} {unit}".rstrip()


def quantity_example(dimension: str) -> str:
    """Return a quantity as people write it: 76.8 GB/s for a bandwidth."""
    return _EXAMPLES[dimension]


def quantity_schema(dimension: str) -> dict[str, object]:
    """JSON Schema of a written quantity."""
    number = r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
    units = "|".join(re.escape(unit) for unit in _UNITS[dimension] if unit)
    text: dict[str, object] = {
        "type": "string",
        "pattern": rf"^\s*{number}\s*({units})\s*$",
        "examples": [_EXAMPLES[dimension]],
    }
    if dimension != "ratio":
        return text
    return {"anyOf": [{"type": "number", "minimum": 0}, text | {"examples": ["72 %"]}]}


def _base_unit(dimension: str) -> str:
    return next(unit for unit, scale in _WRITTEN[dimension].items() if scale == 1)


def _scale(written: str, unit: str, dimension: str) -> Decimal:
    """How many base units one of `unit` is; the whole text is there for the error."""
    units = _UNITS[dimension]
    if unit in units:
        return units[unit]
    if not unit:
        raise SpecError(f"{short(written)} has no unit: write e.g. {_EXAMPLES[dimension]!r}")
    # 'gb/s' can only be GB/s, but 'mw' could be two units, and 'Gb/s' is how gigabits are written.
    if unit.islower():
        scales = {scale for name, scale in units.items() if name.lower() == unit}
        if len(scales) == 1:
            return scales.pop()
    elsewhere = [other for other, known in _UNITS.items() if unit in known]
    if elsewhere:
        raise SpecError(
            f"{short(written)} is a quantity of {_spoken(elsewhere[0])}, "
            f"not of {_spoken(dimension)}: write e.g. {_EXAMPLES[dimension]!r}"
        )
    close = nearest(unit, (name for name in units if name))
    hint = f"nearest is {close!r}" if close else f"write e.g. {_EXAMPLES[dimension]!r}"
    raise SpecError(f"{short(written)}: unknown unit {short(unit)} of {_spoken(dimension)}; {hint}")


def _spoken(dimension: str) -> str:
    return dimension.replace("_", " ")
