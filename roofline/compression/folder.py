"""The folder of a search among recipes, and its figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.outputs import whole_folder, write_text

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
        front_figure(found).savefig(folder / "front.png", dpi=200)
    return ["front.csv", "recipes.csv", "recipe.yaml", "compress.json", "front.png"]


def front_figure(found: Found) -> Figure:
    """Draw the loss that recipes add against memory, coloured by latency."""
    import matplotlib.style
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    from roofline.report.figures import BLUE, FAINT, ORANGE, STYLE

    outcome, cost = found.outcome, found.outcome.cost
    floor = 1e-4
    nats = outcome.nats.clip(floor)
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        gigabytes = cost.memory_bytes / 1e9
        axes.scatter(gigabytes, nats, s=4, color=FAINT, label="recipes judged", linewidths=0)
        drawn = axes.scatter(
            gigabytes[found.front], nats[found.front], s=26, c=cost.latency[found.front],
            norm=LogNorm(), cmap="viridis", label="front", zorder=3,
        )  # fmt: skip
        for at, mark, colour, label in (
            (found.chosen, "o", ORANGE, "chosen"),
            (found.published, "D", BLUE, "arXiv 2601.09865"),
            (found.asked, "s", "black", "yours"),
        ):
            if at is not None:
                axes.scatter(
                    gigabytes[at], nats[at], s=90, marker=mark, facecolors="none",
                    edgecolors=colour, linewidths=1.6, label=label, zorder=4,
                )  # fmt: skip
        if "memory" in found.limits:
            axes.axvline(found.limits["memory"] / 1e9, color=ORANGE, lw=1, ls="--")
        axes.set_yscale("log")
        axes.set_xlabel("memory, GB: weights, cache and activations")
        axes.set_ylabel("loss added, nats per token")
        axes.set_title(f"Recipes for {outcome.subject.arch.names[0]}")
        axes.legend(loc="upper right")
        figure.colorbar(drawn, ax=axes, label="latency, s", pad=0.01)
    return figure
