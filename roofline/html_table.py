"""A result as a notebook shows it: one small table, its title above, what to know below."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

MOST = 12
"""Rows of a table that are shown whole."""
SHORT = 16
"""Letters of a cell that are not parted."""


def html_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str = "",
    notes: Sequence[str] = (),
) -> str:
    """Return a table as HTML; every cell is text, and its colours are the notebook's own."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(_cell(str(cell)) for cell in row) + "</tr>" for row in rows)
    below = "".join(f"<p><small>{escape(note)}</small></p>" for note in notes)
    above = f"<p><b>{escape(title)}</b></p>" if title else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div>{above}{table}{below}</div>"


def _cell(text: str) -> str:
    """A value and its unit stay on one line; what is longer may be broken."""
    whole = ' style="white-space: nowrap"' if len(text) <= SHORT else ""
    return f"<td{whole}>{escape(text)}</td>"


def spread_rows(count: int, keep: Sequence[int] = (), most: int = MOST) -> list[int]:
    """Return up to `most` row numbers evenly over a table, ends included, and those to keep."""
    if count <= most:
        return list(range(count))
    even = {round(i * (count - 1) / (most - 1)) for i in range(most)}
    return sorted(even | set(keep))
