"""Every input of a run with its source: the run, the law, the space, the models, the device."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.formats import STORAGES, storage
from roofline.report.points import say
from roofline.report.summary import figure_value
from spec_files import format_quantity

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs.figures import Figure
    from roofline.laws import Law
    from roofline.search.run import SweepRun

_LINK = re.compile(
    r"https?://[^\s<>\"'),;]+|arXiv[ :]\d{4}\.\d{4,5}"
    r"|(?<![\w@/.-])(?:[a-z0-9-]+\.)+(?:com|org|net|io|ai|dev|gov|edu|co)/[^\s<>\"'),;]+"
)


def inputs_html(run: SweepRun) -> str:
    """Write every input of the run, and every figure of the device with its source; HTML."""
    parts = [("The run", _run(run))]
    parts += [(f"The loss law: {law.title}", _law(law)) for law in run.laws]
    if run.sweep.mix is not None:
        parts.append(("The mix of workloads", _mix(run)))
    parts += [
        ("The space", _space(run)),
        ("Known models", _models(run)),
        ("The device", _device(run)),
    ]
    return "\n".join(
        f"<details{' open' if number == 0 else ''}><summary>{escape(name)}</summary>\n{text}\n"
        "</details>"
        for number, (name, text) in enumerate(parts)
        if text
    )


def _run(run: SweepRun) -> str:
    inputs = {
        "space": run.space_title,
        "loss law": ", ".join(law.title for law in run.laws),
        "device": f"{run.device.title}, processor {run.processor}",
        **({"placement": run.sweep.placement} if run.sweep.placement else {}),
        "runtime": run.runtime or "none named",
        "basis": run.basis,
        **{
            f"90 % interval, {name}": f"{low:.2f} to {high:.2f} times the prediction"
            for name, (low, high) in run.intervals.items()
        },
        **{f"workload: {n}": value for n, value in run.asked.items() if value not in (None, "")},
        "minimised": ", ".join(run.objectives),
        **{
            f"limit on {name}": say(name, limit, run.loss_unit)
            for name, limit in run.constraints.items()
        },
        **{f"search: {name.replace('_', ' ')}": value for name, value in run.summary.items()},
        **{f"version: {name}": value for name, value in run.sweep.versions.items()},
    }
    return _table(
        "The run", ("Input", "Value"), [(name, _plain(value)) for name, value in inputs.items()]
    )


def _law(law: Law) -> str:
    given = law.model_dump(mode="json", exclude_none=True)
    spread = given.pop("uncertainty", None) or {}
    names = {"sd": "error of a difference", "data": "fitted on", "range": "range of the data"}
    rows = [
        (names.get(name, name.replace("_", " ")), _plain(value))
        for name, value in given.items()
        if name not in ("name", "title") and value not in ("", [], {})
    ]
    if basis := spread.get("basis"):
        rows.append(("spread of the coefficients", str(basis)))
    return _table(f"The law {law.name}", ("Of the law", "Value"), rows)


def _mix(run: SweepRun) -> str:
    mix = run.sweep.mix
    assert mix is not None
    heads = ("Workload", "Weight", "Prompt", "Generated", "Batch", "Source", "Date")
    rows = [
        (p.name, _plain(p.weight), _plain(p.prompt), _plain(p.generate), _plain(p.batch),
         p.source, p.date)
        for p in mix.workloads
    ]  # fmt: skip
    return _table("The mix", heads, rows)


def _space(run: SweepRun) -> str:
    space = run.sweep.space
    given = space.model_dump(mode="json", exclude_defaults=True)
    rows = [("source", space.source)] if space.source else []
    rows += [(f"{name}, fixed", _plain(value)) for name, value in given.get("fixed", {}).items()]
    rows += [(name, _plain(value)) for name, value in given.get("dimensions", {}).items()]
    rows += [("rule", str(rule)) for rule in given.get("rules", ())]
    return _table("The space", ("Field", "Values"), rows)


def _models(run: SweepRun) -> str:
    """The known models that stand on the front, each with where its shape was published."""
    fitting = run.references[run.references["fits"].astype(bool)]
    shown = set(fitting["name"])
    rows = [
        (model.title or model.name, "" if model.parameters is None else f"{model.parameters:,}",
         *(("", "") if model.source is None else (model.source.where, model.source.date)))
        for model in run.sweep.references
        if model.name in shown
    ]  # fmt: skip
    heads = ("Model", "Parameters", "Source", "Date")
    return _table("Known models", heads, rows) if rows else ""


def _device(run: SweepRun) -> str:
    sources = run.device.sources
    rows = []
    stored = {STORAGES[i] for i in storages(run.architectures())}
    used = used_processors(run)
    for path, figure in run.device.figures():
        if path[0] == "processors" and path[1] not in used:
            continue
        if {"compute_in", "memory_in", "handover"} & set(path) and path[-1] not in stored:
            continue
        source = sources[figure.source]
        name = " ".join(str(part).replace("_", " ") for part in path if part != "processors")
        rows.append((name, figure_value(figure), _interval(figure), figure.basis, source.title,
                     source.where, source.date, figure.note or ""))  # fmt: skip
    heads = ("Figure of the device", "Value", "Interval", "Basis", "Source", "Where", "Date",
             "Note")  # fmt: skip
    return _table("The device", heads, rows)


def used_processors(run: SweepRun) -> set[str]:
    """Keys of the processors that run something: the main one, and those of a placement."""
    if "placement" not in run.front:
        return {run.processor}
    told = ",".join(run.front["placement"].unique()).split(",")
    return {run.processor} | {part.split("=")[1].split(":")[0] for part in told}


def storages(arch: Architectures) -> set[int]:
    """Positions in STORAGES of how the layers and the heads of candidates are stored."""
    floats = arch.as_float()
    body = storage(floats.weight_format, floats.width, "body")
    head = storage(floats.embedding_format, floats.width, "head")
    return {int(i) for i in np.unique(np.concatenate([body, head]))}


def _table(label: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col" class="text">{escape(name)}</th>' for name in heads)
    body = "\n".join(
        "<tr>" + "".join(f'<td class="text">{_linked(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
    region = f'tabindex="0" role="region" aria-label="{escape(label)}"'
    return f'<div class="scroll" {region}>{table}</div>'


def _linked(text: str) -> str:
    """Escape a text, and make links of the addresses in it; nothing loads before one follows it."""
    parts, end = [], 0
    for found in _LINK.finditer(text):
        words = found[0].rstrip(".")
        address = words
        if words.startswith("arXiv"):
            address = f"https://arxiv.org/abs/{words[6:]}"
        elif not words.startswith("http"):
            address = f"https://{words}"
        parts.append(escape(text[end : found.start()]))
        parts.append(f'<a href="{escape(address)}" rel="noreferrer">{escape(words)}</a>')
        end = found.start() + len(words)
    return "".join([*parts, escape(text[end:])])


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_plain(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        joined = [f"({_plain(v)})" if isinstance(v, list | tuple) else _plain(v) for v in value]
        return ", ".join(joined)
    return str(value)


def _interval(figure: Figure) -> str:
    if figure.low is None and figure.high is None:
        return ""
    ends = [
        "…" if end is None else format_quantity(end, figure.dimension)
        for end in (figure.low, figure.high)
    ]
    return " to ".join(ends)
