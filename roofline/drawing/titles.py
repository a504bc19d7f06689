"""The title of a figure: what it shows in bold, how it was made below, broken to its width."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import text_to_path

from roofline.drawing.style import INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUIET = "#555555"
_HEAD = FontProperties(family="DejaVu Sans", size=10, weight="bold")
_BODY = FontProperties(family="DejaVu Sans", size=8)
_SPACING = {_HEAD: 1.3, _BODY: 1.4}  # lines in multiples of the size of letters
_EDGE = 5.0  # points above the title, and between it and the panels


def write_title(figure: Figure, title: str) -> None:
    """Write a title over the panels, its lines broken to the figure, between parts where they fit.

    title: its first line is the head, the others stand below it; `; ` parts them. The figure is of
    a constrained layout, which leaves the title its room.
    """
    FigureCanvasAgg(figure)  # without one, each text that is measured draws the figure anew
    room = 0.95 * 72 * figure.get_figwidth()
    head, *body = title.split("\n")
    used = _EDGE
    for font, colour, lines in ((_HEAD, INK, [head]), (_BODY, QUIET, body)):
        broken = [piece for line in lines for piece in _pack(line.split("; "), room, font)]
        if broken:
            text = figure.text(
                0.01, 1 - used / (72 * figure.get_figheight()), "\n".join(broken), ha="left",
                va="top", fontproperties=font, color=colour, linespacing=_SPACING[font],
                parse_math=False,
            )  # fmt: skip
            used += text.get_window_extent().height * 72 / figure.dpi + _EDGE
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine), "a title needs a constrained layout"
    engine.set(rect=(0, 0, 1, 1 - (used + 0.6 * _EDGE) / (72 * figure.get_figheight())))


def title_of(figure: Figure) -> str:
    """Return what `write_title` wrote, its lines as they are broken."""
    return "\n".join(text.get_text() for text in figure.texts)


def _pack(parts: list[str], room: float, font: FontProperties) -> list[str]:
    """Fill lines of a width in points with parts; one that is longer than a line is wrapped."""
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]}; {part}" if lines[-1] else part
        if _width(joined, font) <= room:
            lines[-1] = joined
        elif (width := _width(part, font)) <= room:
            lines.append(part[:1].upper() + part[1:])
        else:
            letters = max(1, int(0.95 * len(part) * room / width))
            lines += textwrap.wrap(part, letters, max_lines=3, placeholder=" …")
    return [line for line in lines if line]


def _width(words: str, font: FontProperties) -> float:
    """Width of words in points."""
    return float(text_to_path.get_text_width_height_descent(words, font, False)[0])
