"""One file a strategy: a module here that has a tuple `STRATEGIES` adds them."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from roofline.strategies.strategy import Strategy
from spec_files import SpecError, did_you_mean

__all__ = ["strategies", "strategy"]


@cache
def strategies() -> dict[str, Strategy]:
    """Return all strategies by name, in the order of their files."""
    found: dict[str, Strategy] = {}
    for module in sorted(info.name for info in iter_modules(__path__)):
        for each in import_module(f"{__name__}.{module}").STRATEGIES:
            found[each.name] = each
    return found


def strategy(name: str) -> Strategy:
    """Return a strategy by name; SpecError names the nearest."""
    known = strategies()
    if name not in known:
        raise SpecError(f"unknown strategy {name!r}{did_you_mean(name, known)}")
    return known[name]
