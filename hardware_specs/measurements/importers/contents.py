"""What a file holds, parsed once for the importers to look at; and what they share."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from spec_files import SpecError

Row = dict[str, Any]
_JSON = re.compile(r"\s*(?:\{|\[\s*[\[\]{\"\d])")  # and not a log's [WORD]


class Contents:
    """The text of a file and the JSON objects in it; name stands for the file in errors."""

    def __init__(self, text: str, name: str):
        self.text, self.name = text, name
        if not text.strip():
            raise SpecError(f"{name}: the file is empty.")
        if "\0" in text:
            raise SpecError(f"{name}: is not text: it holds binary data.")

    @cached_property
    def objects(self) -> list[Row]:
        """Objects of a JSON file: the one, those of the array, or one a line; none if not JSON."""
        if not _JSON.match(self.text):
            return []
        try:
            data = json.loads(self.text)
        except RecursionError:
            raise SpecError(f"{self.name}: nested too deeply.") from None
        except ValueError as whole:
            data = self._lines(whole)
        found = data if isinstance(data, list) else [data]
        if not all(isinstance(each, dict) for each in found):
            raise SpecError(f"{self.name}: holds JSON, but no objects.")
        return found

    def _lines(self, whole: ValueError) -> list[Any]:
        found = []
        lines = [(i, line) for i, line in enumerate(self.text.splitlines(), 1) if line.strip()]
        for i, line in lines:
            try:
                found.append(json.loads(line))
            except (ValueError, RecursionError):
                if self.text.lstrip()[0] == "[" or len(found) == 0:
                    line_number = getattr(whole, "lineno", i)
                    reason = getattr(whole, "msg", "a number of thousands of digits")
                    raise SpecError(f"{self.name}:{line_number}: not JSON: {reason}.") from None
                raise SpecError(f"{self.name}:{i}: not a line of JSON.") from None
        return found

    def have(self, *keys: str) -> bool:
        """Whether the file is JSON whose first object has all these keys."""
        return bool(self.objects) and all(key in self.objects[0] for key in keys)


def number(row: Mapping[str, Any], key: str, place: str) -> float | None:
    """Return a number of an object, None where it has none; SpecError for what is none."""
    value = row.get(key)
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise SpecError(
            f"{place}: {key}: read {str(value)[:40]!r} where a number belongs."
        ) from None


def part(row: Mapping[str, Any], key: str, place: str) -> Row:
    """Return an object inside an object, empty where there is none; SpecError for what is none."""
    value = row.get(key) or {}
    if not isinstance(value, dict):
        raise SpecError(f"{place}: {key}: read {str(value)[:40]!r} where an object belongs.")
    return value


def needed(found: float | None, column: str, what: str, place: str) -> float:
    """Return a number that a file or its reader must give; SpecError says which argument."""
    if found is None:
        raise SpecError(f"{place}: does not say {what}: give {column}=... .")
    return found


def given(defaults: Mapping[str, Any], column: str, place: str) -> float | None:
    """Return a number among the reader's arguments, None where it is not."""
    return number(defaults, column, place)
