"""Formulas and conditions that people write: parsed, checked and worked out on whole arrays.

simpleeval walks the tree of the text over a fixed list of operators, functions and names. Nothing
is run as Python: attributes, indexing, strings as code, comprehensions and calls of anything else
do not exist here. Its own operators are for single numbers; these are numpy's.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any

import numpy as np

from spec_files import SpecError, did_you_mean, short

FUNCTIONS = {
    "exp": np.exp, "log": np.log, "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt,
    "minimum": np.minimum, "maximum": np.maximum,
}  # fmt: skip
"""What a formula may call; `log` is the natural logarithm."""
_ARITHMETIC: dict[type, Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: np.power, ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}  # fmt: skip
_LOGIC: dict[type, Any] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Not: np.logical_not,
}  # fmt: skip
_LONGEST = 2000  # characters


class Formula:
    """One expression over named values.

    text: as written. condition: whether comparisons, `and`, `or`, `not` and quoted words may stand
    in it, as they do in one that picks rows. Raises SpecError, of which `where` is the beginning,
    for what is not an expression of these.
    """

    def __init__(self, text: str, where: str, condition: bool = False):
        self.text = text
        self.where = where
        self._operators = _ARITHMETIC | (_LOGIC if condition else {})
        self._node = self._parsed(condition)
        self.names = tuple(dict.fromkeys(self._names()))
        """Names in it that are not functions, in the order of the text."""

    def check(self, known: Iterable[str]) -> None:
        """Raise SpecError for a name that is not known, with the nearest."""
        known = list(known)
        for name in self.names:
            if name not in known:
                raise self._fault(f"unknown name {short(name)}{did_you_mean(name, known)}")

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Return its value, of the shape that the named values broadcast to."""
        from simpleeval import InvalidExpression, SimpleEval

        walker = SimpleEval(self._operators, FUNCTIONS, values)
        walker.nodes = {
            ast.Expression: lambda node: walker._eval(node.body),
            ast.Name: walker._eval_name,
            ast.UnaryOp: walker._eval_unaryop,
            ast.BinOp: walker._eval_binop,
            ast.Call: walker._eval_call,
            ast.BoolOp: lambda node: _both(node, walker),
            ast.Compare: lambda node: _compared(node, walker),
            # As floats: whole numbers of Python have no largest, and 9**9**9 never ends.
            ast.Constant: lambda node: node.value if isinstance(node.value, str)
            else float(node.value),
        }  # fmt: skip
        try:
            with np.errstate(all="ignore"):
                return walker.eval(self.text, previously_parsed=self._node)
        except (InvalidExpression, TypeError, ArithmeticError, ValueError, RecursionError) as fault:
            if isinstance(fault, SpecError):
                raise
            raise self._fault(f"cannot be worked out ({fault})") from None

    def _parsed(self, condition: bool) -> ast.Expression:
        """Return the tree, of allowed parts only."""
        if len(self.text) > _LONGEST:
            raise self._fault(f"is longer than {_LONGEST} characters")
        try:
            tree = ast.parse(self.text.strip(), mode="eval")
            parts = list(ast.walk(tree))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._fault("is not an expression") from None
        called = {id(part.func) for part in parts if isinstance(part, ast.Call)}
        for part in parts:
            told = self._refused(part, condition)
            if told:
                raise self._fault(told)
            if isinstance(part, ast.Name) and part.id in FUNCTIONS and id(part) not in called:
                raise self._fault(f"{part.id} is a function, as in {part.id}(...)")
        return tree

    def _refused(self, part: ast.AST, condition: bool) -> str:
        """Say what is wrong with one part of the tree; '' where nothing is."""
        logical = isinstance(part, ast.BoolOp | ast.Compare | ast.And | ast.Or)
        if isinstance(part, ast.Call):
            if not isinstance(part.func, ast.Name):
                return f"{_word(part.func)} may not be called"
            name = part.func.id
            if name not in FUNCTIONS:
                return f"unknown function {short(name)}{did_you_mean(name, FUNCTIONS)}"
            wanted = getattr(FUNCTIONS[name], "nin", 1)
            if len(part.args) != wanted or part.keywords:
                return f"{name} takes {wanted} value{'s' if wanted > 1 else ''}"
            return ""
        if isinstance(part, ast.Constant):
            number = isinstance(part.value, int | float) and not isinstance(part.value, bool)
            allowed = number or (condition and isinstance(part.value, str))
            return "" if allowed else f"{short(part.value)} is not a number"
        plain = isinstance(part, ast.Expression | ast.Name | ast.Load | ast.UnaryOp | ast.BinOp)
        known = plain or type(part) in self._operators or (condition and logical)
        return "" if known else f"{_word(part)} may not stand in it"

    def _names(self) -> Iterator[str]:
        named = [part for part in ast.walk(self._node) if isinstance(part, ast.Name)]
        for part in sorted(named, key=lambda part: (part.lineno, part.col_offset)):
            if part.id not in FUNCTIONS:
                yield part.id

    def _fault(self, what: str) -> SpecError:
        place = f"{self.where}: " if self.where else ""
        return SpecError(f"{place}{short(self.text)}: {what}")


def _both(node: ast.BoolOp, walker: Any) -> Any:
    """`and`, `or` of whole columns."""
    join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
    values = [walker._eval(value) for value in node.values]
    for part, value in zip(node.values, values, strict=True):
        if np.asarray(value).dtype != bool:
            raise ValueError(f"{ast.unparse(part)} beside and/or is not a comparison")
    return reduce(join, values)


def _compared(node: ast.Compare, walker: Any) -> Any:
    """`1e8 < N <= 5e8` of whole columns."""
    values = [walker._eval(each) for each in (node.left, *node.comparators)]
    if len({np.asarray(value).dtype.kind == "U" for value in values}) > 1:
        raise ValueError("a number and a quoted word are compared")
    pairs = zip(node.ops, values[:-1], values[1:], strict=True)
    return reduce(np.logical_and, [_LOGIC[type(op)](left, right) for op, left, right in pairs])


def _word(part: ast.AST) -> str:
    """What people call a part of an expression."""
    words: dict[type, str] = {
        ast.Attribute: "a dot", ast.Subscript: "an index", ast.Compare: "a comparison",
        ast.BoolOp: "and/or", ast.BitXor: "^ (a power is written **)", ast.Lambda: "lambda",
        ast.IfExp: "if", ast.Call: "a call", ast.ListComp: "a list", ast.List: "a list",
        ast.FloorDiv: "//", ast.Mod: "%", ast.MatMult: "@", ast.JoinedStr: "a text",
        ast.BitAnd: "& (write and)", ast.BitOr: "| (write or)",
    }  # fmt: skip
    return words.get(type(part), type(part).__name__)
