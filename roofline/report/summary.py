"""What a run says in plain words: what to train, what binds it, what comes next, how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.report.points import NATS, PHASES, Axis, Roofline, axis, percent, say
from roofline.search.objectives import COLUMNS, OBJECTIVES
from spec_files import format_quantity

if TYPE_CHECKING:
    import pandas as pd

    from hardware_specs.figures import Figure
    from roofline.search.run import SweepRun

_BOUNDS = {"compute": "computation", "memory": "memory traffic", "overhead": "fixed overheads"}
_HELPS = {
    "compute": "more arithmetic, a faster number format or fewer active parameters would help; "
    "more bandwidth would not",
    "memory": "more bandwidth or fewer bytes of weights and cache would help; more arithmetic "
    "would not",
    "overhead": "fewer layers or leaner software would help; neither arithmetic nor bandwidth "
    "would",
}


def summary_html(run: SweepRun, knee_roofline: Roofline | None) -> str:
    """Say what to train, what binds it, what comes next, and what to be wary of; HTML.

    knee_roofline: the operators of the member to train, of which the shares of time are told.
    That the recommendation itself is an extrapolation is said before all else.
    """
    knee = run.front.loc[run.knee]
    first, warned = [], []
    if not knee["in_range"]:
        first.append(
            "The knee lies beyond the data of the loss law: its loss, and with it the choice, is "
            f"an extrapolation. Out of range: {knee['out_of_range']}."
        )
    beyond = int((~run.front["in_range"].astype(bool)).sum())
    basis, has_priors = _basis(run)
    sure = [run.summary[name] for name in ("decision", "survival") if name in run.summary]
    sure.append(_sureness(run, knee))
    if not has_priors:
        sure.append(basis)
    if run.runner_up is not None and not run.front.loc[run.runner_up, "in_range"]:
        why = run.front.loc[run.runner_up, "out_of_range"]
        warned.append(f"The runner-up lies beyond the data of the loss law: {why}.")
    if beyond:
        of = f"{beyond} of the {len(run.front)} members lie"
        warned.append(f"{of} beyond the data of the loss law; the front marks them.")
    if has_priors:
        warned.append(basis)
    cards = [
        _card("What to train", [_lead(run, knee), _train(run, knee)], _tiles(run, knee), "lead"),
        _card("What binds it", [_bounds(knee)], _phases(knee, knee_roofline)),
    ]
    if run.runner_up is not None:
        cards.append(_card("The runner-up", [_runner_up(run, knee)]))
    cards.append(_card("How sure this is", sure, _paragraphs(warned, "warning")))
    return "\n".join([_paragraphs(first, "warning first"), *cards])


def _card(title: str, said: list[str], more: str = "", kind: str = "") -> str:
    """One part of the summary; HTML. kind: of its first paragraph."""
    told = _paragraphs(said[:1], kind) + "\n" + _paragraphs(said[1:])
    return f"<div><h2>{escape(title)}</h2>\n{told}\n{more}</div>"


def _paragraphs(texts: list[str], kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return "\n".join(f"<p{attribute}>{escape(text)}</p>" for text in texts)


def _lead(run: SweepRun, knee: pd.Series) -> str:
    """The recommendation in one sentence."""
    size = f"{_count(knee['parameters'])} parameters"
    if knee["active_parameters"] < knee["parameters"]:
        size += f", {_count(knee['active_parameters'])} of them active per token"
    kind = "mixture of experts" if knee["experts"] > 1 else "dense model"
    stored = f"weights in {knee['weight_format']}"
    return f"Train a {kind} of {size}, {stored}: {knee['tokens_per_s']:.3g} tokens per second."


def _train(run: SweepRun, knee: pd.Series) -> str:
    return (
        f"It is member {run.knee}, the knee of the front{_beyond(knee)}: {shape(knee)}. The knee "
        "is the member that is nearest to the best of everything at once."
    )


def _tiles(run: SweepRun, knee: pd.Series) -> str:
    """What is predicted of the knee, each with its interval; HTML."""
    usable = run.device.memory.dram.usable_bytes
    tiles = []
    for shown in axes_of(run):
        low, high = (knee.get(f"{shown.column}_{end}", math.nan) for end in ("low", "high"))
        ends = ""
        if low < high:
            ends = f"{shown.say(low)} to {shown.say(high)}"
        if shown.objective == "memory":
            ends = f"of the {say('memory', usable)} that a model may take"
        value = shown.say(knee[shown.column])
        if shown.objective == "loss":
            value, unit = f"{knee['loss']:.4g}", run.loss_unit
            ends = f"{unit}; {low:.4g} to {high:.4g}" if ends else unit
        tiles.append((shown.title, value, ends))
    return '<dl class="tiles">' + "".join(
        f"<div><dt>{escape(name)}</dt><dd><b>{escape(value)}</b> <small>{escape(ends)}</small>"
        "</dd></div>"
        for name, value, ends in tiles
    ) + "</dl>"  # fmt: skip


def _bounds(knee: pd.Series) -> str:
    """Say what binds each phase and the whole request."""
    binds = [_BOUNDS[knee[column]] for column in ("prefill_bound", "decode_bound", "bound")]
    said = "{} in prefill, {} in decode, {} over the whole request.".format(*binds)
    return said[:1].upper() + said[1:]


def _phases(knee: pd.Series, found: Roofline | None) -> str:
    """Say of each phase what would make it faster, and draw what its time goes to; HTML."""
    parts = []
    for phase in PHASES:
        bound = str(knee[f"{phase}_bound"])
        helps, drawn = _HELPS[bound], ""
        if found is not None:
            shares = _shares(found, phase)
            most = next(iter(shares))
            if most != bound:
                helps = (
                    f"{_BOUNDS[bound]} and {_BOUNDS[most]} are close, so that relief of one of "
                    "them alone would help little"
                )
            drawn = _bar(found, phase, shares)
        parts.append(_paragraphs([f"In {phase}, {helps}."]) + drawn)
    return "\n".join(parts)


def _shares(found: Roofline, phase: str) -> dict[str, float]:
    """Shares of a phase's time by what binds each operator, the greatest first."""
    rows = found.operators[found.operators["phase"] == phase]
    shares = rows.groupby("bound")["share"].sum().to_dict()
    shares["overhead"] = shares.get("overhead", 0.0) + found.fixed_share(phase)
    return dict(sorted(shares.items(), key=lambda pair: -pair[1]))


def _bar(found: Roofline, phase: str, shares: Mapping[str, float]) -> str:
    """Draw the shares of a phase's time as a bar, and say them; HTML."""
    kept = {name: share for name, share in shares.items() if share >= 0.005}
    pieces = "".join(
        f'<span class="{name}" style="flex-grow:{share:.3f}"></span>'
        for name, share in kept.items()
    )
    each = ", ".join(
        f'<i class="{name}"></i>{_BOUNDS[name]} {percent(share)}' for name, share in kept.items()
    )
    rows = found.operators[found.operators["phase"] == phase]
    longest = ""
    if len(rows):
        row = rows.loc[rows["share"].idxmax()]
        name = escape(str(row["operator"]).replace("_", " "))
        longest = f"; the longest operator is {name} with {percent(float(row['share']))}"
    return (
        f'<div class="bar" aria-hidden="true">{pieces}</div>'
        f'<p class="key">Time of {phase} by what binds each operator: {each}{longest}.</p>'
    )


def _runner_up(run: SweepRun, knee: pd.Series) -> str:
    other = run.front.loc[run.runner_up]
    changes = ", ".join(_change(a, knee, other) for a in axes_of(run))
    return (
        f"Runner-up, member {run.runner_up}{_beyond(other)}: {shape(other)}. "
        f"From the knee: {changes}."
    )


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


def _sureness(run: SweepRun, knee: pd.Series) -> str:
    """Say how often the knee is on the front and within the limits."""
    text = f"In {percent(knee['p_front'])} of draws no contender beats the knee"
    if run.constraints:
        each = ", ".join(f"{name} in {percent(knee[f'p_{name}'])}" for name in run.constraints)
        text += f"; it meets every limit in {percent(knee['p_feasible'])} ({each})"
    return f"{text}. Where many candidates are as good, each is on the front in few draws."


def _beyond(member: pd.Series) -> str:
    return "" if member["in_range"] else " (beyond the law's data)"


def _change(shown: Axis, before: pd.Series, after: pd.Series) -> str:
    """Say how one objective changes from one candidate to another."""
    old, new = float(before[shown.column]), float(after[shown.column])
    if shown.unit == NATS:
        return f"loss {new - old:+.3g} {NATS}"
    change = new / old - 1
    return f"{shown.title.lower()} " + (f"{change:+.1%}" if abs(change) >= 5e-4 else "the same")


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
        said = ", ".join(
            f"{n} {figure_value(figure)} ({figure.basis})" for n, figure in stated.items()
        )
        text += f" Efficiencies of the device: {said}."
        if not any(figure.basis == "prior" for figure in stated.values()):
            return text, False
    elif known is None or known.basis == "device" or run.sweep.ideal:
        return text, False
    return (
        f"{text} A prior is typical of the device's class and was not measured on it: trust the "
        "order of the members more than their times."
    ), True


def figure_value(figure: Figure) -> str:
    """Write a figure of a device for people."""
    return format_quantity(figure.value, figure.dimension)


def _count(number: float) -> str:
    for scale, word in ((1e9, "billion"), (1e6, "million")):
        if number >= scale:
            return f"{number / scale:.3g} {word}"
    return f"{number:,.0f}"


def axes_of(run: SweepRun) -> list[Axis]:
    """Return an axis for every objective that is known of the members, the run's own first."""
    names = dict.fromkeys((*run.objectives, *OBJECTIVES))
    return [
        axis(n, run.front, run.loss_unit) for n in names if np.isfinite(run.front[COLUMNS[n]]).any()
    ]
