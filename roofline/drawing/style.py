"""The look of every figure: one style for matplotlib, colours that all eyes tell apart.

Colours are those of Okabe and Ito, which every common form of colour vision tells apart
(jfly.uni-koeln.de/color, 2008).
"""

from __future__ import annotations

from typing import Any

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PINK, YELLOW, SKY = "#CC79A7", "#E69F00", "#56B4E9"
INK, GREY, FAINT = "#222222", "#6B6B6B", "#B8B8B8"

STYLE: dict[str, Any] = {
    "font.size": 9,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
}
