"""Rules of a space: comparisons between fields, parsed and never run as Python.

`a divides b`, `a <= 4 * b`, either with `if <comparison>` behind it.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from arch_space.architectures import FORMAT_COLUMNS, LARGEST, columns
from spec_files import SpecError, did_you_mean, short

Array = np.ndarray

HELPERS = {
    "ffn_ratio": "inner width of all networks that a token activates, over the model's width",
    "ffn_multiple": "what the widths that follow from ffn_ratio are rounded up to a multiple of",
}
"""Names of a space that are no fields of an architecture, and what they mean."""

_COMPARE: dict[str, Callable[[Array, Array], Array]] = {
    "divides": lambda a, b: np.equal(np.mod(b, np.where(a == 0, np.nan, a)), 0),
    "<=": np.less_equal,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    ">": np.greater,
}
_OPERATOR = re.compile(r"\s(divides)\s|(<=|>=|==|!=|<|>)")


@dataclass(frozen=True)
class _Comparison:
    left: tuple[str | float, ...]
    how: str
    right: tuple[str | float, ...]

    def holds(self, quantity: Mapping[str, Array]) -> Array:
        def product(factors: tuple[str | float, ...]) -> Array:
            values = [np.asarray(quantity[f] if isinstance(f, str) else f, float) for f in factors]
            return math.prod(values[1:], start=values[0])

        return _COMPARE[self.how](product(self.left), product(self.right))


@dataclass(frozen=True)
class Rule:
    """A comparison that must hold, where its condition does."""

    text: str
    at: tuple[str | int, ...]
    must: _Comparison
    where: _Comparison | None = None

    @classmethod
    def parse(cls, text: str, at: tuple[str | int, ...]) -> "Rule":
        """Read a rule; `at` is its key path, for errors, as its text is."""
        must, *where = re.split(r"\sif\s", text)
        if len(where) > 1:
            raise SpecError(f"{short(text)} has more than one 'if'", at=at)
        condition = _comparison(where[0], at) if where else None
        return cls(text, at, _comparison(must, at), condition)

    @property
    def names(self) -> set[str]:
        """The fields that it compares."""
        parts = [self.must] if self.where is None else [self.must, self.where]
        return {f for part in parts for f in (*part.left, *part.right) if isinstance(f, str)}

    def holds(self, quantity: Mapping[str, Array]) -> Array:
        """Return where the rule holds."""
        held = self.must.holds(quantity)
        return held if self.where is None else held | ~self.where.holds(quantity)


def _comparison(text: str, at: tuple[str | int, ...]) -> _Comparison:
    found = _OPERATOR.findall(text)
    if len(found) != 1:
        raise SpecError(
            f"{short(text.strip())} is not a rule: write e.g. 'kv_heads divides query_heads' "
            "or 'experts_per_token <= experts'",
            at=at,
        )
    left, right = _OPERATOR.sub("\0", text).split("\0")

    def factors(side: str) -> tuple[str | float, ...]:
        return tuple(_factor(word.strip(), text.strip(), at) for word in side.split("*"))

    return _Comparison(factors(left), "".join(found[0]), factors(right))


def _factor(word: str, text: str, at: tuple[str | int, ...]) -> str | float:
    if re.fullmatch(r"\d+(\.\d+)?", word):
        if float(word) > LARGEST:
            raise SpecError(f"{short(text)}: a number of at most {LARGEST} belongs here", at=at)
        return float(word)
    names = (*columns(), "ffn_ratio")
    if word in FORMAT_COLUMNS:
        raise SpecError(f"{short(text)}: {word} is not a number to compare", at=at)
    if word not in names:
        raise SpecError(
            f"{short(text)}: unknown field {short(word)}{did_you_mean(word, names)}", at=at
        )
    return word
