"""The report of a run: one page that needs no network, with data, figures and sources inside."""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.architectures import Architectures, columns, defaults
from roofline.engine import BOUNDS
from roofline.report.inputs import inputs_html
from roofline.report.points import PHASES, Axis, axis, limits
from roofline.report.summary import axes_of, shape, summary_html

if TYPE_CHECKING:
    import pandas as pd

    from roofline.report.rooflines import Rooflines
    from roofline.search.run import SweepRun

_HERE = Path(__file__).parent
_DIGITS = 6  # significant ones that the page keeps of a float
_SCRIPTS = ("words.js", "front.js", "roofline.js", "members.js", "report.js")

_KEPT = (
    "tokens_per_s", "parameters", "active_parameters", "weight_bytes", "kv_cache_bytes",
    "prefill_bound", "decode_bound", "bound", "in_range", "out_of_range",
)  # fmt: skip
_ALWAYS = ("layers", "width", "query_heads", "kv_heads", "experts", "weight_format")

_CHOICES = {
    "network": "Network",
    "weight_format": "Weights",
    "prefill_bound": "Bound in prefill",
    "decode_bound": "Bound in decode",
    "placement": "Placement",
}
"""Columns that members are filtered by, where they differ in them."""


def report_html(run: SweepRun, found: Rooflines, rows: Sequence[int]) -> str:
    """Return a page that shows a run: what to train, the front, its members, and every input.

    found: rooflines of some members; rows: which of the front they are. Members without one are
    shown without it. The page carries plotly.js and loads nothing.
    """
    told = limits(run.constraints, run.loss_unit)
    allowed = f" Limits: {', '.join(told)}." if told else ""
    at = {row: position for position, row in enumerate(rows)}
    return Template(_text("template.html")).substitute(
        title=escape(f"What to train for: {run.device.title}"),
        subtitle=escape(
            f"{run.space_title}. Processor {run.processor}{_under(run)}; "
            f"{run.asked_briefly}. "
            f"Minimised: {', '.join(run.objectives)}.{allowed} "
            f"Losses by: {', '.join(law.title for law in run.laws)}."
        ),
        summary=summary_html(run, found.at(at[run.knee]) if run.knee in at else None),
        inputs=inputs_html(run),
        data=_json(_data(run, found, rows)),
        style=_text("report.css"),
        script="\n".join(_text(name) for name in _SCRIPTS),
        plotly=_plotly(),
    )


@cache
def _plotly() -> str:
    """Plotly's script, compressed: two fifths of its size, base64 included."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def _under(run: SweepRun) -> str:
    placed = f", placement {run.sweep.placement}" if run.sweep.placement else ""
    return (f" under {run.runtime}" if run.runtime else "") + placed


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _data(run: SweepRun, found: Rooflines, rows: Sequence[int]) -> dict[str, Any]:
    """Gather what the page's script shows, columns as lists."""
    front, references = run.front, run.references
    front = front.assign(network=np.where(front["experts"] > 1, "experts", "dense"))
    axes = axes_of(run)
    names = [shown.objective for shown in axes]
    about = {f.name: f.metadata.get("about", "") for f in fields(Architectures)}
    told = [
        name for name in columns() if name in front and (name in _ALWAYS or _varies(front, name))
    ]
    others = [law for law in run.laws[1:] if f"loss_under_{law.name}" in front]
    measured = [shown.column for shown in axes]
    ends = [f"{column}_{end}" for column in measured for end in ("low", "high")]
    shares = ["p_front", "p_feasible", *(f"p_{name}" for name in run.constraints), "survives"]
    shares += [f"on_front_{law.name}" for law in run.laws]
    shares += [f"loss_under_{law.name}" for law in others]
    choices = {name: sorted(front[name].unique()) for name in _CHOICES if name in front}
    choices = {name: values for name, values in choices.items() if len(values) > 1}
    extra = [name for name in [*ends, *shares, *choices, "placement"] if name in front]
    known = references[references["fits"].astype(bool)]
    return {
        "axes": [asdict(shown) for shown in [*axes, *_sizes(front)]],
        "law_axes": [asdict(_law_axis(law.name, law.unit, front)) for law in others],
        "objectives": [*run.objectives, *(n for n in names if n not in run.objectives)][:2],
        "colour": run.objectives[2] if len(run.objectives) > 2 else "",
        "limits": dict(run.constraints),
        "laws": [law.name for law in run.laws],
        "choices": [
            {"column": name, "title": _CHOICES[name], "values": values}
            for name, values in choices.items()
        ],
        "basis": run.basis,
        "knee": run.knee,
        "runner_up": run.runner_up,
        "fields": [{"column": name, "about": about[name]} for name in told],
        "front": front[[*dict.fromkeys([*measured, *extra, *_KEPT, *told])]].to_dict("list")
        | {"shape": [shape(row) for row in front.to_dict("records")]},
        "references": known[
            ["name", *measured, "parameters", "active_parameters", "weight_format", "in_range",
             "out_of_range"]
        ].to_dict("list"),
        "rooflines": _packed(found, rows),
    }  # fmt: skip


def _sizes(front: pd.DataFrame) -> list[Axis]:
    """Axes of the sizes of members, which have budgets as the objectives have."""
    shown = []
    for name, title in (("parameters", "Parameters"), ("active_parameters", "Active parameters")):
        values = front[name].to_numpy(dtype=float)
        unit, scale = ("B", 1e9) if np.median(values) >= 1e9 else ("M", 1e6)
        shown.append(Axis(name, name, title, unit, scale, bool(values.max() > 10 * values.min())))
    same = bool((front["parameters"] == front["active_parameters"]).all())
    return shown[:1] if same else shown


def _law_axis(name: str, unit: str, front: pd.DataFrame) -> Axis:
    """The axis of the losses that another law gives the same members."""
    column = f"loss_under_{name}"
    plain = axis("loss", front.assign(loss=front[column]), unit)
    return Axis(column, column, f"Loss by {name}", plain.unit, plain.scale, plain.log)


def _packed(found: Rooflines, rows: Sequence[int]) -> dict[str, Any]:
    """Rooflines for the script: numbers as base64 of 32-bit floats, roofs once."""
    return {
        "rows": list(rows),
        "operators": [list(pair) for pair in zip(found.phases, found.names, strict=True)],
        "phases": list(PHASES),
        "bounds": list(BOUNDS),
        **{name: _base64(getattr(found, name), "<f4") for name in ("flops", "bytes", "time")},
        "whole": _base64(found.whole, "<f4"),
        "bound": _base64(found.bound, "u1"),
        "roof": found.roof,
        "formats": [list(names) for names in found.formats],
        "roofs": [
            [
                {
                    "processor": roof.processor,
                    "peaks": roof.peaks.to_dict("records"),
                    "bandwidths": roof.bandwidths.to_dict("records"),
                }
                for roof in group
            ]
            for group in found.roofs
        ],
    }


def _base64(values: np.ndarray, kind: str) -> str:
    finite = np.where(np.isfinite(values), values, 0)
    return base64.b64encode(np.ascontiguousarray(finite, dtype=kind).tobytes()).decode()


def _varies(front: pd.DataFrame, name: str) -> bool:
    """Tell whether a column says more than that every member has its default value."""
    if name not in defaults() or name.endswith("_format"):
        return True
    return bool((front[name] != defaults()[name]).any())


def _json(data: Any) -> str:
    """Write data so that it can stand inside a script element: no `<`, no NaN, short floats."""
    text = json.dumps(_short(data), allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _short(value: Any) -> Any:
    """Return plain values with floats rounded; None for what is not a finite number."""
    if isinstance(value, Mapping):
        return {str(key): _short(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_short(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
