"""The report of a run: one page that needs no network, with data, figures and sources inside."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.architectures import Architectures, columns, defaults
from arch_space.formats import STORAGES, storage
from roofline.report.points import NATS, PHASES, Axis, Roofline, axis, limits, percent, say
from roofline.search.objectives import OBJECTIVES
from roofline.search.sweep import COLUMNS
from spec_files import format_quantity

if TYPE_CHECKING:
    import pandas as pd

    from hardware_specs.figures import Figure
    from roofline.search.run import SweepRun

_HERE = Path(__file__).parent
_DIGITS = 6  # significant ones that the page keeps of a float

_KEPT = (
    "tokens_per_s", "parameters", "active_parameters", "weight_bytes", "kv_cache_bytes",
    "prefill_bound", "decode_bound", "bound", "in_range", "out_of_range",
)  # fmt: skip
_ALWAYS = ("layers", "width", "query_heads", "kv_heads", "experts", "weight_format")


def report_html(run: SweepRun, points: Mapping[int, Roofline]) -> str:
    """Return a page that shows a run: what to train, the front, its members, and every input.

    points: rooflines by row of the front; members without one are shown without it. The page
    carries plotly.js and loads nothing.
    """
    from plotly.offline import get_plotlyjs

    told = limits(run.constraints, run.loss_unit)
    allowed = f" Limits: {', '.join(told)}." if told else ""
    return Template(_text("template.html")).substitute(
        title=escape(f"What to train for: {run.device.title}"),
        subtitle=escape(
            f"{run.space_title}. Processor {run.processor}{_under(run)}; "
            f"{run.asked_briefly}. "
            f"Minimised: {', '.join(run.objectives)}.{allowed} Losses by: {run.law_title}."
        ),
        summary=_summary(run),
        inputs=_inputs(run),
        data=_json(_data(run, points)),
        style=_text("report.css"),
        script=_text("report.js"),
        plotly=get_plotlyjs(),
    )


def _under(run: SweepRun) -> str:
    return f" under {run.runtime}" if run.runtime else ""


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def shape(row: Mapping[str, Any]) -> str:
    """Say in words what a candidate is."""
    parts = [
        f"{row['layers']} layers of width {row['width']}",
        f"{row['query_heads']} query heads over {row['kv_heads']} KV heads",
        f"head size {row['head_size']}",
    ]
    if row["kv_rank"] > 0:
        parts.append(f"a latent cache of rank {row['kv_rank']}")
    if row["window_share"] > 0:
        parts.append(f"{row['window_share']:.0%} of the layers within {row['window']} tokens")
    if row["experts"] > 1:
        experts = f"{row['experts']} experts of width {row['expert_width']}"
        shared = f" and {row['shared_experts']} shared" if row["shared_experts"] else ""
        parts.append(f"{experts} of which a token uses {row['experts_per_token']}{shared}")
    else:
        parts.append(f"a feed-forward network of width {row['ffn_width']}")
    return ", ".join([*parts, f"weights in {row['weight_format']}"])


def _summary(run: SweepRun) -> str:
    """Say what to train, what binds it, what comes next, and what to be wary of; HTML.

    That the recommendation itself is an extrapolation is said before all else.
    """
    knee = run.front.loc[run.knee]
    quantities = [
        f"{a.title.lower()} {a.say(knee[a.column])}{_ends(a, knee)}"
        for a in _axes(run)
        if a.objective != "memory"
    ]
    size = f"{_count(knee['parameters'])} parameters"
    if knee["active_parameters"] < knee["parameters"]:
        size += f", {_count(knee['active_parameters'])} of them active per token"
    memory, usable = knee["memory_bytes"], run.device.memory.dram.usable_bytes
    binds = [_BOUNDS[knee[column]] for column in ("prefill_bound", "decode_bound", "bound")]
    said = [
        f"Train member {run.knee}, the knee of the front{_beyond(knee)}: {shape(knee)}. "
        f"That is {size}.",
        f"Predicted: {', '.join(quantities)}; {knee['tokens_per_s']:.3g} tokens per second; "
        f"{say('memory', memory)} of the {say('memory', usable)} of memory that a model may take.",
        "What binds: {} in prefill, {} in decode, {} over the whole request.".format(*binds),
    ]
    if run.runner_up is not None:
        other = run.front.loc[run.runner_up]
        changes = ", ".join(_change(a, knee, other) for a in _axes(run))
        said.append(
            f"Runner-up, member {run.runner_up}{_beyond(other)}: {shape(other)}. "
            f"From the knee: {changes}."
        )
    said += [run.summary[name] for name in ("decision", "survival") if name in run.summary]
    said.append(_sureness(run, knee))
    first, warned = [], []
    if not knee["in_range"]:
        first.append(
            "The knee lies beyond the data of the loss law: its loss, and with it the choice, is "
            f"an extrapolation. Out of range: {knee['out_of_range']}."
        )
    if run.runner_up is not None and not other["in_range"]:
        why = other["out_of_range"]
        warned.append(f"The runner-up lies beyond the data of the loss law: {why}.")
    beyond = int((~run.front["in_range"].astype(bool)).sum())
    if beyond:
        of = f"{beyond} of the {len(run.front)} members lie"
        warned.append(f"{of} beyond the data of the loss law; the front marks them.")
    basis, has_priors = _basis(run)
    (warned if has_priors else said).append(basis)
    kinds = ((first, ' class="warning first"'), (said, ""), (warned, ' class="warning"'))
    return "\n".join(f"<p{kind}>{escape(text)}</p>" for texts, kind in kinds for text in texts)


def _sureness(run: SweepRun, knee: pd.Series) -> str:
    """Say how often the knee is on the front and within the limits."""
    text = f"In {percent(knee['p_front'])} of draws no contender beats the knee"
    if run.constraints:
        each = ", ".join(f"{name} in {percent(knee[f'p_{name}'])}" for name in run.constraints)
        text += f"; it meets every limit in {percent(knee['p_feasible'])} ({each})"
    return f"{text}. Where many candidates are as good, each is on the front in few draws."


def _ends(shown: Axis, member: pd.Series) -> str:
    """The interval of one quantity of a candidate, in brackets; nothing where it is not known."""
    low, high = (member.get(f"{shown.column}_{end}", math.nan) for end in ("low", "high"))
    if not low < high:
        return ""
    return f" ({shown.say(low)} to {shown.say(high)})"


def _beyond(member: pd.Series) -> str:
    return "" if member["in_range"] else " (beyond the law's data)"


_BOUNDS = {"compute": "computation", "memory": "memory traffic", "overhead": "fixed overheads"}


def _change(shown: Axis, before: pd.Series, after: pd.Series) -> str:
    """Say how one objective changes from one candidate to another."""
    old, new = float(before[shown.column]), float(after[shown.column])
    if shown.unit == NATS:
        return f"loss {new - old:+.3g} {NATS}"
    return f"{shown.title.lower()} {new / old - 1:+.1%}"


def _basis(run: SweepRun) -> tuple[str, bool]:
    """Say what the device's efficiencies rest on, and whether that is less than its own rows."""
    chip = run.device.processor(run.processor)
    text = f"Basis: {run.basis}."
    if run.intervals:
        each = ", ".join(
            f"{low:.2f} to {high:.2f} in {n}" for n, (low, high) in run.intervals.items()
        )
        text += f" Nine of ten measurements lie within these multiples of the prediction: {each}."
    efficiency, known = chip.efficiency, chip.calibration
    if known is None and efficiency is not None:
        figures = {
            "compute": efficiency.compute,
            "memory": efficiency.memory,
            "KV cache": efficiency.cache,
            "kernel launch": chip.kernel_launch,
            "fixed time of a pass": chip.step_overhead,
        }
        stated = {name: figure for name, figure in figures.items() if figure is not None}
        said = ", ".join(f"{n} {_value(figure)} ({figure.basis})" for n, figure in stated.items())
        text += f" Efficiencies of the device: {said}."
        if not any(figure.basis == "prior" for figure in stated.values()):
            return text, False
    elif known is None or known.basis == "device" or run.sweep.ideal:
        return text, False
    return (
        f"{text} A prior is typical of the device's class and was not measured on it: trust the "
        "order of the members more than their times."
    ), True


def _inputs(run: SweepRun) -> str:
    """Every input of the run, and every figure of the device with its source; HTML."""
    inputs = {
        "space": run.space_title,
        "loss law": run.law_title,
        "device": f"{run.device.title}, processor {run.processor}",
        **({"placement": run.placement} if run.placement else {}),
        "runtime": run.runtime or "none named",
        "basis": run.basis,
        **{
            f"90 % interval, {name}": f"{low:.2f} to {high:.2f} times the prediction"
            for name, (low, high) in run.intervals.items()
        },
        **{f"workload: {name}": value for name, value in run.asked.items()},
        "minimised": ", ".join(run.objectives),
        **{
            f"limit on {name}": say(name, limit, run.loss_unit)
            for name, limit in run.constraints.items()
        },
        **{f"search: {name.replace('_', ' ')}": value for name, value in run.summary.items()},
    }
    sources = run.device.sources
    rows = []
    stored = {STORAGES[i] for i in storages(run.architectures())}
    for path, figure in run.device.figures():
        if path[0] == "processors" and path[1] != run.processor:
            continue
        if {"compute_in", "memory_in"} & set(path) and path[-1] not in stored:
            continue
        source = sources[figure.source]
        name = " ".join(str(part).replace("_", " ") for part in path if part != "processors")
        rows.append((name, _value(figure), _interval(figure), figure.basis, source.title,
                     source.where, source.date, figure.note or ""))  # fmt: skip
    heads = (
        "Figure of the device",
        "Value",
        "Interval",
        "Basis",
        "Source",
        "Where",
        "Date",
        "Note",
    )
    return "\n".join(
        [
            "<details open><summary>The run</summary>",
            _table(("Input", "Value"), [(name, _plain(value)) for name, value in inputs.items()]),
            "</details><details open><summary>The device</summary>",
            _table(heads, rows),
            "</details>",
        ]
    )


def storages(arch: Architectures) -> set[int]:
    """Positions in STORAGES of how the layers and the heads of candidates are stored."""
    floats = arch.as_float()
    body = storage(floats.weight_format, floats.width, "body")
    head = storage(floats.embedding_format, floats.width, "head")
    return {int(i) for i in np.unique(np.concatenate([body, head]))}


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col" class="text">{escape(name)}</th>' for name in heads)
    body = "\n".join(
        "<tr>" + "".join(f'<td class="text">{escape(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value)
    return str(value)


def _value(figure: Figure) -> str:
    return format_quantity(figure.value, figure.dimension)


def _interval(figure: Figure) -> str:
    if figure.low is None and figure.high is None:
        return ""
    ends = [
        "…" if end is None else format_quantity(end, figure.dimension)
        for end in (figure.low, figure.high)
    ]
    return " to ".join(ends)


def _count(number: float) -> str:
    for scale, word in ((1e9, "billion"), (1e6, "million")):
        if number >= scale:
            return f"{number / scale:.3g} {word}"
    return f"{number:,.0f}"


def _axes(run: SweepRun) -> list[Axis]:
    """Return an axis for every objective that is known of the members, the run's own first."""
    names = dict.fromkeys((*run.objectives, *OBJECTIVES))
    return [
        axis(n, run.front, run.loss_unit) for n in names if np.isfinite(run.front[COLUMNS[n]]).any()
    ]


def _data(run: SweepRun, points: Mapping[int, Roofline]) -> dict[str, Any]:
    """Gather what the page's script shows, columns as lists."""
    front, references = run.front, run.references
    axes = _axes(run)
    names = [shown.objective for shown in axes]
    about = {f.name: f.metadata.get("about", "") for f in fields(Architectures)}
    told = [
        name for name in columns() if name in front and (name in _ALWAYS or _varies(front, name))
    ]
    measured = [shown.column for shown in axes]
    ends = [f"{column}_{end}" for column in measured for end in ("low", "high")]
    shares = ["p_front", "p_feasible", *(f"p_{name}" for name in run.constraints), "survives"]
    shares += [f"on_front_{law.name}" for law in run.laws]
    ends = [name for name in [*ends, *shares] if name in front]
    known = references[references["fits"].astype(bool)]
    return {
        "axes": [asdict(shown) for shown in axes],
        "objectives": [*run.objectives, *(n for n in names if n not in run.objectives)][:2],
        "limits": dict(run.constraints),
        "laws": [law.name for law in run.laws],
        "basis": run.basis,
        "knee": run.knee,
        "runner_up": run.runner_up,
        "fields": [{"column": name, "about": about[name]} for name in told],
        "front": front[[*dict.fromkeys([*measured, *ends, *_KEPT, *told])]].to_dict("list")
        | {"shape": [shape(row) for row in front.to_dict("records")]},
        "references": known[
            ["name", *measured, "weight_format", "in_range", "out_of_range"]
        ].to_dict("list"),
        "rooflines": {
            row: {
                "operators": found.operators.to_dict("records"),
                "peaks": found.peaks.to_dict("records"),
                "bandwidths": found.bandwidths.to_dict("records"),
                "fixed": {phase: found.fixed_share(phase) for phase in PHASES},
            }
            for row, found in points.items()
        },
    }


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
    if isinstance(value, list | tuple):
        return [_short(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
