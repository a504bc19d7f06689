"""How numbers look to a person: units, tables, progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from spec_files import format_quantity

if TYPE_CHECKING:
    from rich.console import Console

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
    """A console that keeps whole lines where its output is read by a program."""
    from rich.console import Console

    probe = Console(stderr=error)
    return probe if probe.is_terminal else Console(stderr=error, width=160)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column is text and whose others are numbers."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=Text(title), title_justify="left", title_style="bold")
    for position, name in enumerate(columns):
        justify: Literal["left", "right"] = "left" if position == 0 else "right"
        grid.add_column(Text(name), justify=justify, overflow="fold")
    for row in rows:
        grid.add_row(*map(Text, row))  # as text: a cell may hold [brackets]
    console().print(grid)


def note(sentence: str, error: bool = False) -> None:
    """Print a sentence as it stands."""
    console(error).print(sentence, highlight=False, markup=False)


def print_json(document: object) -> None:
    """Print one JSON document, in SI units; what is not a finite number is null."""
    import json

    import typer

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
