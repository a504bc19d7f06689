"""The folder of a search among recipes, and its figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.outputs import FIGURE_DPI, whole_folder, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from roofline.compression.search import Found


def write(found: Found, answer: dict[str, Any], path: Path) -> list[str]:
    """Write the answer; return the names of the files."""
    frame = found.outcome.to_frame()
    with whole_folder(path) as folder:
        frame.iloc[found.front].to_csv(folder / "front.csv", index=False)
        frame.to_csv(folder / "recipes.csv", index=False)
        write_text(folder / "recipe.yaml", found.outcome.recipes[found.chosen].to_yaml())
        write_text(folder / "compress.json", json.dumps(answer, indent=2) + "\n")
        front_figure(found, answer["device"]).savefig(folder / "front.png", dpi=FIGURE_DPI)
    return ["front.csv", "recipes.csv", "recipe.yaml", "compress.json", "front.png"]


def front_figure(found: Found, device: str) -> Figure:
    """Draw the loss that recipes add against memory, coloured by latency."""
    import matplotlib.style
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    from roofline.drawing.style import BLUE, FAINT, GREY, INK, ORANGE, STYLE
    from roofline.drawing.titles import write_title
    from roofline.report.points import limits

    outcome, cost = found.outcome, found.outcome.cost
    floor = 1e-4
    nats = outcome.nats.clip(floor)
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(7.0, 4.9), layout="constrained")
        axes = figure.add_subplot()
        gigabytes = cost.memory_bytes / 1e9
        axes.scatter(gigabytes, nats, s=4, color=FAINT, label="Other recipes", linewidths=0)
        drawn = axes.scatter(
            gigabytes[found.front], nats[found.front], s=22, c=cost.latency[found.front],
            norm=LogNorm(), cmap="viridis", label="Front", zorder=3, lw=0.4, edgecolors="white",
        )  # fmt: skip
        for at, mark, colour, label in (
            (found.chosen, "o", ORANGE, "Chosen"),
            (found.published, "D", BLUE, "Recipe of arXiv 2601.09865"),
            (found.asked, "s", INK, "Yours"),
        ):
            if at is not None:
                axes.scatter(
                    gigabytes[at], nats[at], s=90, marker=mark, facecolors="none",
                    edgecolors=colour, linewidths=1.6, label=label, zorder=4,
                )  # fmt: skip
        if "memory" in found.limits:
            most = found.limits["memory"] / 1e9
            axes.axvline(most, color=GREY, lw=1, ls="--", zorder=1, label="Limit")
            right = axes.get_xlim()[1]
            axes.axvspan(most, max(most, right), color=GREY, alpha=0.12, lw=0, zorder=0)
            axes.set_xlim(right=max(most, right))
        axes.set_yscale("log")
        axes.set_xlabel("Memory: weights, cache and activations (GB)")
        axes.set_ylabel("Loss added (nats per token)")
        axes.grid(color=FAINT, alpha=0.35, lw=0.5)
        bar = figure.colorbar(drawn, ax=axes, label="Latency of the answer (s)", pad=0.01)
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        bar.ax.yaxis.set_major_formatter("{x:g}")
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
        figure.legend(loc="outside lower left", ncols=3, handletextpad=0.3)
        told = ", ".join(limits(found.limits))
        write_title(
            figure,
            f"Recipes of compression for {outcome.subject.arch.names[0]} on {device}\n"
            f"{len(outcome):,} recipes judged" + (f"; {told}" if told else "") + "; what lies at "
            f"{floor:g} adds no more than the tables resolve",
        )
    return figure
