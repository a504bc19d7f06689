"""How numbers look to a person: units, tables, progress."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spec_files import format_quantity

if TYPE_CHECKING:
    from rich.console import Console

_UNBOUNDED = 10_000  # columns
_SHORT = 3  # lines that a row of a table may take where it is not one
_BREAKABLE = 12  # characters from which on a word may be broken
_NUMBER = re.compile(r"[~≤≥<>±+\-–]*\s*[\d.]|–?$|unknown$|-$")

Tell = Callable[[str, int, "int | None"], None]


def quantity(value: float, dimension: str) -> str:
    """A quantity in a person's unit; a dash where it is unknown."""
    return "–" if value != value else format_quantity(value, dimension, digits=4)


def seconds(value: float) -> str:
    """Seconds in a person's unit."""
    return quantity(value, "time")


def size(value: float) -> str:
    """Bytes in decimal units."""
    return quantity(value, "bytes")


def joules(value: float) -> str:
    """Joules in a person's unit; a dash where unknown."""
    return quantity(value, "energy")


def spread(intervals: Mapping[str, tuple[float, float]]) -> str:
    """Where nine of ten measurements lie, as multiples; nothing where that is not known."""
    if not intervals:
        return ""
    each = ", ".join(f"{name} {low:.2f} to {high:.2f}" for name, (low, high) in intervals.items())
    return f" Nine of ten measurements lie within these multiples of the prediction: {each}."


def between(low: float, high: float, dimension: str) -> str:
    """An interval in a person's units; nothing where it is unknown."""
    if low != low or high != high or low == high:
        return ""
    return f"{quantity(low, dimension)} to {quantity(high, dimension)}"


def count(value: float) -> str:
    """A count with a decimal suffix: 494.0 M, 1.24 B."""
    for scale, suffix in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if value >= scale:
            return f"{value / scale:.4g}{suffix}"
    return f"{value:.4g}"


def console(error: bool = False) -> Console:
    """A console: as wide as the terminal, or as wide as its text where a program reads it.

    No escape code reaches a program, a dumb terminal, or a person who has set NO_COLOR.
    """
    from rich.console import Console

    screen = Console(stderr=error)
    if not screen.is_terminal:
        return Console(stderr=error, width=_UNBOUNDED, color_system=None)
    if os.environ.get("NO_COLOR"):  # rich would leave bold and dim
        return Console(stderr=error, color_system=None)
    return screen


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, columns of numbers to the right; on a narrow terminal, one row after another.

    Cells are folded where the terminal asks for it, words broken last, and nothing is cut.
    """
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    screen = console()
    screen.print(Text(title, style="bold"))
    cells = list(zip(columns, *rows, strict=True))
    widths = _widths(cells, screen.width - 3 * len(columns) - 1)
    if widths is None:
        for first, *others in rows:
            screen.print(Text(" ".join(first.split()), style="bold cyan"))
            said = [f"{name}: {cell}" for name, cell in zip(columns[1:], others, strict=True)]
            said = [each for each, cell in zip(said, others, strict=True) if cell]
            whole = "; ".join(said)
            for line in [whole] if len(whole) < _SHORT * screen.width else said:
                screen.print(Padding(Text(line), (0, 0, 0, 2)))
        return
    grid = Table(header_style="bold cyan")
    for position, (name, *column) in enumerate(cells):
        number = position > 0 and all(_NUMBER.match(cell) for cell in column)
        grid.add_column(
            Text(name),
            justify="right" if number else "left",
            style="cyan" if position == 0 else "",
            overflow="fold",
            width=widths[position],
        )
    for row in rows:
        grid.add_row(*map(Text, row))  # as text: a cell may hold [brackets]
    screen.print(grid)


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """Widths of columns within a room: whole cells, else whole words; None where both are broken.

    What is left beyond the least is shared by what each column lacks.
    """
    from rich.cells import cell_len

    whole = [max(cell_len(line) for cell in c for line in cell.split("\n")) for c in columns]
    words = [max((cell_len(w) for cell in c for w in cell.split()), default=0) for c in columns]
    least = [min(width, _BREAKABLE) for width in words]
    if sum(least) > room:
        return None
    for low, high in ((least, words), (words, whole)):
        lacking = sum(high) - sum(low)
        spare = room - sum(low)
        if spare < lacking:
            return [a + spare * (b - a) // lacking for a, b in zip(low, high, strict=True)]
    return whole


def note(sentence: str, error: bool = False) -> None:
    """Print a sentence as it stands."""
    console(error).print(sentence, highlight=False, markup=False)


UNITS = {"ttft": "s", "tpot": "s", "latency": "s", "energy": "J", "memory": "bytes"}
"""Of objectives, limits and costs, where a document names them without a unit."""
RATIOS = {"intervals": "multiples of the prediction"}


def print_json(document: object, units: Mapping[str, str] | None = None) -> None:
    """Print one JSON document, in SI units; what is not a finite number is null.

    units: of what stands under a key that does not say its own, and of all below that key; joins
    the document, which then is a mapping, as its field `units`.
    """
    import json

    import typer

    if units and isinstance(document, Mapping):
        document = {**document, "units": dict(units)}
    typer.echo(json.dumps(_finite(document), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


@contextmanager
def progress() -> Iterator[Tell]:
    """A progress bar on standard error, with the time that is left; none where no person looks.

    Yields tell(step, done, total). The bar, which draws itself from a thread, starts at the first
    call: by then a search has forked its workers.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    screen = console(error=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    )
    task = bar.add_task("")

    def tell(step: str, done: int, total: int | None) -> None:
        bar.start()
        bar.update(task, description=step, completed=done, total=total)

    try:
        yield tell
    finally:
        bar.stop()
