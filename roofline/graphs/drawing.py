"""A graph as a person sees it: a few lines of text, or a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roofline.graphs.files import nodes_of
from roofline.graphs.graph import ROLES, SINK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofline.graphs.graph import Graphs
    from roofline.graphs.pool import Pool

COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")
SINK_COLOUR = "#DDDDDD"


def text_drawing(graphs: Graphs, pool: Pool, row: int = 0) -> str:
    """One graph as text: a line a level, each node with whom it reads."""
    order = nodes_of(graphs, row)
    number = {node: position + 1 for position, node in enumerate(order)}
    levels = graphs.levels()[row]
    lines = []
    for level in range(int(levels[order[-1]]) + 1):
        cells = []
        for node in (each for each in order if levels[each] == level):
            role, model = int(graphs.roles[row, node]), pool.names[graphs.models[row, node]]
            reads = sorted(number[int(i)] for i in np.flatnonzero(graphs.edges[row, :, node]))
            called = f"sink {model}" if role == SINK else f"[{number[node]}] {ROLES[role]} {model}"
            cells.append(f"{called} <- {' '.join(map(str, reads))}" if reads else called)
        lines.append("   ".join(cells))
    return "\n  |\n".join(lines)


def picture(graphs: Graphs, pool: Pool, title: str, row: int = 0) -> Figure:
    """Draw one graph, its levels from left to right, its models by colour."""
    import matplotlib as mpl
    import matplotlib.style
    from matplotlib.figure import Figure

    from roofline.drawing.style import STYLE
    from roofline.drawing.titles import write_title

    order = nodes_of(graphs, row)
    levels = graphs.levels()[row]
    at = {}
    for level in range(int(levels[order[-1]]) + 1):
        nodes = [node for node in order if levels[node] == level]
        # A half step aside on every other level, so that no edge runs through a node.
        for position, node in enumerate(nodes):
            shift = 0.18 * (-1) ** level if len(nodes) == 1 and 0 < level < levels[order[-1]] else 0
            at[node] = (1.0 * level, (len(nodes) - 1) / 2.0 - position + shift)
    tall = max(y for _, y in at.values()) - min(y for _, y in at.values())
    with mpl.style.context(["default", STYLE]):
        figure = Figure(
            figsize=(2.2 + 1.5 * len({x for x, _ in at.values()}), 1.9 + 0.75 * tall),
            dpi=150,
            layout="constrained",
        )
        panel = figure.subplots()
        for source in order:
            for target in np.flatnonzero(graphs.edges[row, source]):
                bend = 0.0 if levels[target] - levels[source] == 1 else -0.25
                panel.annotate(
                    "", at[int(target)], at[source],
                    arrowprops=dict(
                        arrowstyle="-|>", color="#6B6B6B", shrinkA=17, shrinkB=17, lw=1.2,
                        connectionstyle=f"arc3,rad={bend}",
                    ),
                )  # fmt: skip
        for position, node in enumerate(order):
            x, y = at[node]
            role, model = int(graphs.roles[row, node]), int(graphs.models[row, node])
            last = role == SINK
            colour = SINK_COLOUR if last else COLOURS[model % len(COLOURS)]
            panel.scatter([x], [y], s=900, color=colour, edgecolors="#222222", zorder=3)
            panel.text(x, y, pool.names[model], ha="center", va="center", fontsize=9, zorder=4)
            called = "sink" if last else f"{position + 1} {ROLES[role]}"
            panel.annotate(
                called, (x, y), (0, -29), textcoords="offset points", ha="center", fontsize=8,
                zorder=5, bbox=dict(boxstyle="square,pad=0.1", color="white", alpha=0.85),
            )  # fmt: skip
        ys = [y for _, y in at.values()]
        panel.set_xlim(-0.5, max(x for x, _ in at.values()) + 0.5)
        panel.set_ylim(min(ys) - 0.8, max(ys) + 0.55)
        panel.set_axis_off()
        write_title(figure, title)
    return figure
