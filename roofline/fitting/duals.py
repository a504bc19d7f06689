"""Slopes of a formula by its coefficients, carried along with its values.

A `Dual` stands where an array of coefficients would. Whatever arithmetic a law's formula does with
it, the derivatives by each coefficient come out beside the values: exact, and for one pass through
the formula where differences need two for every coefficient. A term that does not see a
coefficient carries nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

Array = np.ndarray
_Slopes = Callable[..., tuple[Any, ...]]

# Of each function: its slope by each of its inputs, from the inputs and the value.
_RULES: dict[np.ufunc, _Slopes] = {
    np.add: lambda a, b, _: (1.0, 1.0),
    np.subtract: lambda a, b, _: (1.0, -1.0),
    np.multiply: lambda a, b, _: (b, a),
    np.true_divide: lambda a, b, y: (1 / b, -y / b),
    np.negative: lambda a, _: (-1.0,),
    np.positive: lambda a, _: (1.0,),
    np.exp: lambda a, y: (y,),
    np.exp2: lambda a, y: (y * np.log(2),),
    np.expm1: lambda a, y: (y + 1,),
    np.log: lambda a, _: (1 / a,),
    np.log2: lambda a, _: (1 / (a * np.log(2)),),
    np.log10: lambda a, _: (1 / (a * np.log(10)),),
    np.log1p: lambda a, _: (1 / (1 + a),),
    np.sqrt: lambda a, y: (0.5 / y,),
    np.square: lambda a, _: (2 * a,),
    np.reciprocal: lambda a, y: (-y * y,),
    np.tanh: lambda a, y: (1 - y * y,),
    np.absolute: lambda a, _: (np.sign(a),),
    np.maximum: lambda a, b, _: (a >= b, a < b),
    np.minimum: lambda a, b, _: (a <= b, a > b),
}
_COMPARISONS = (
    np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal,
    np.isfinite, np.isnan,
)  # fmt: skip


class Dual(NDArrayOperatorsMixin):
    """Values, and their slopes by numbered coefficients; both broadcast as arrays do.

    value: any shape; slopes: coefficient -> an array that broadcasts against the value. Functions
    without a rule raise TypeError, as numpy does for any stranger: a caller then takes differences.
    """

    __slots__ = ("slopes", "value")

    def __init__(self, value: Any, slopes: Mapping[int, Any]):
        self.value = value
        self.slopes = slopes

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return np.shape(self.value)

    @property
    def ndim(self) -> int:
        """Number of axes of the values."""
        return np.ndim(self.value)

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any, **how: Any) -> Any:
        if method != "__call__" or how:
            return NotImplemented
        values = [each.value if isinstance(each, Dual) else each for each in inputs]
        if function in _COMPARISONS:
            return function(*values)
        if function in (np.power, np.float_power):
            return _power(inputs[0], inputs[1])
        if function not in _RULES:
            return NotImplemented
        value = function(*values)
        rules = _RULES[function](*values, value)
        return Dual(value, _joined(inputs, rules))

    def __array_function__(self, function: Any, types: Any, inputs: Any, how: Any) -> Any:
        if function is not np.where or how or len(inputs) != 3 or isinstance(inputs[0], Dual):
            return NotImplemented
        chosen, yes, no = inputs
        value = np.where(chosen, _value(yes), _value(no))
        return Dual(value, _joined((yes, no), (chosen, ~np.asarray(chosen))))


def _value(each: Any) -> Any:
    return each.value if isinstance(each, Dual) else each


def _joined(inputs: tuple[Any, ...], rules: tuple[Any, ...]) -> dict[int, Any]:
    """The chain rule: slopes of inputs, each times the slope of the function by that input."""
    slopes: dict[int, Any] = {}
    for each, rule in zip(inputs, rules, strict=True):
        for name, slope in each.slopes.items() if isinstance(each, Dual) else ():
            part = slope if isinstance(rule, float) and rule == 1.0 else rule * slope
            slopes[name] = slopes[name] + part if name in slopes else part
    return slopes


def _power(base: Any, exponent: Any) -> Dual:
    """base ** exponent; the logarithm only where the exponent carries slopes.

    Of a column it is one logarithm a run, and none a start: that is what makes slopes cheap.
    """
    a, b = _value(base), _value(exponent)
    value = np.power(a, b)
    rules: list[Any] = [1.0, 1.0]
    if isinstance(base, Dual):
        rules[0] = b * np.power(a, b - 1.0)
    if isinstance(exponent, Dual):
        rules[1] = value * np.log(a)
    return Dual(value, _joined((base, exponent), tuple(rules)))
