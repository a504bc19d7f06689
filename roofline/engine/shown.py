"""How an estimate looks in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofline.engine.work import BOUNDS
from roofline.html_table import html_table, spread_rows
from spec_files import format_quantity

if TYPE_CHECKING:
    from roofline.engine.estimate import Estimate

COLUMNS = {"ttft": "time", "tpot": "time", "energy": "energy", "memory_bytes": "bytes"}
HEADS = ("TTFT", "TPOT", "energy", "memory", "bound", "fits")


def estimate_html(found: Estimate) -> str:
    """Return what most ask of each candidate, and what the predictions rest on."""
    shown = spread_rows(len(found))
    rows = []
    for i in shown:
        values = [(float(getattr(found, name)[i]), kind) for name, kind in COLUMNS.items()]
        cells = ["–" if v != v else format_quantity(v, kind) for v, kind in values]
        fits = "yes" if found.fits[i] else "no"
        rows.append([*found.names[i : i + 1], *cells, BOUNDS[int(found.bound[i])], fits])
    under = f" under {found.runtime}" if found.runtime else ""
    notes = [f"Basis: {found.basis}{under}. to_frame() has every column, in SI units."]
    if len(shown) < len(found):
        notes.insert(0, f"{len(shown)} of {len(found):,} candidates.")
    return html_table(["model", *HEADS] if found.names else HEADS, rows, notes=notes)
