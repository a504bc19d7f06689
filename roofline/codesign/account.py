"""An answer in words and in plain types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.codesign.best import NOBODY
from roofline.codesign.fleet import MEAN, WORST, FleetAnswer, say_limits
from roofline.codesign.hardware import SAID
from roofline.codesign.inverse import Answer, Need, say
from roofline.codesign.library import Found, library_table
from roofline.codesign.margins import UNITS, Margin, margins
from roofline.report.points import brief
from spec_files import format_quantity

if TYPE_CHECKING:
    import pandas as pd

    from roofline.codesign.question import Common

NEED_TITLES = {
    "bandwidth": "bandwidth, at the template's peak",
    "peak": "peak, at the template's bandwidth",
    "both": "both, in the template's proportion",
    "bandwidth_alone": "bandwidth, were the peak no obstacle",
    "peak_alone": "peak, were the bandwidth no obstacle",
    "capacity": "memory, at the template's speed",
    "power": "power that may be drawn, at the template's speed",
}
"""What each kind of need is the least of; of power, the most."""


def need_row(answer: Answer, need: Need) -> dict[str, Any]:
    """Return a need as plain numbers: the hardware, the factor over the template, the candidate."""
    own = answer.template.hardware
    arch = answer.model if need.index is None else answer.question.space.at(np.array([need.index]))
    assert arch is not None
    axis = {"bandwidth_alone": "bandwidth", "peak_alone": "peak", "both": "bandwidth"}.get(
        need.what, need.what
    )
    value = float(getattr(need.hardware, axis))
    return {
        "need": need.what,
        "bandwidth_bytes_per_s": need.hardware.bandwidth,
        "peak_flop_per_s": need.hardware.peak,
        "capacity_bytes": need.hardware.capacity,
        "power_w": need.hardware.power,
        "times_template": value / float(getattr(own, axis)),
        "index": need.index,
        "candidate": answer.model.names[0]
        if need.index is None and answer.model is not None
        else brief(arch.to_frame().iloc[0]),
    }


def say_need(need: Need) -> str:
    """Write the hardware of a need for people."""
    if need.what in ("capacity", "power"):
        return say(need.what, getattr(need.hardware, need.what))
    return f"{say('bandwidth', need.hardware.bandwidth)}, {say('peak', need.hardware.peak)}"


def here(answer: Answer) -> pd.DataFrame:
    """Describe the best candidate on the template as it is: one row, or none."""
    best = answer.survey.tables["line_bandwidth"]
    place = int(np.searchsorted(answer.plan.lines["bandwidth"], 1.0))
    if best.index[place] == NOBODY:
        return answer.table(best.index[[place]], np.ones(1), np.ones(1)).iloc[:0]
    return answer.table(best.index[[place]], np.ones(1), np.ones(1))


def sentences(answer: Answer, library: Sequence[Found] | None = None) -> list[str]:
    """Say what was found, what it rests on and where it stops, a sentence or two each."""
    question, template = answer.question, answer.template
    lines = []
    found = here(answer)
    name = template.device.name
    if len(found):
        row = found.iloc[0]
        verdict = "meets it already" if row["loss"] <= answer.loss else "does not reach it"
        lines.append(
            f"The template, {name} as it is, {verdict}: the best candidate within the limits has a "
            f"loss of {row['loss']:.4f} ({brief(row)})."
        )
    else:
        closest = answer.survey.tables["closest"]
        share = float(closest.value[0])
        near = f"; of those that are good enough the nearest takes {share:.3g} times a limit"
        lines.append(
            f"On the template, {name} as it is, no candidate keeps the limits"
            + (near if closest.known[0] else "")
            + "."
        )
    lines += answer.notes
    for margin in margins(answer):
        lines.append(say_margin(margin))
    if library is not None:
        lines += say_library(library)
    lines.append(
        f"Scaled from {template.device.title} ({template.processor}), whose efficiencies are kept: "
        f"{answer.basis}. Peaks are in {template.number_format}; the others scale with it. "
        f"On-chip memory is tried at {_on_chip_said(answer)}."
    )
    if answer.intervals:
        each = ", ".join(
            f"{n} {low:.2f} to {high:.2f}" for n, (low, high) in answer.intervals.items()
        )
        lines.append(
            f"Nine of ten measurements lie within these multiples of the prediction: {each}; what "
            "is needed moves with them."
        )
    lines.append(f"Workloads: {question.mix.describe()}; limits on the {question.how} of them.")
    return lines


def _on_chip_said(answer: Answer) -> str:
    """Say how fast the on-chip memory is that was tried."""
    template = answer.template
    if template.hardware.on_chip > 0:
        return "the bandwidth of the template's own"
    rate = format_quantity(template.on_chip_bandwidth, "bandwidth")
    return f"{rate}, for the template states none"


def say_margin(margin: Margin) -> str:
    """Say what one more is worth."""
    unit, _ = UNITS[margin.axis]
    parts = []
    if margin.one_more == margin.one_more:
        parts.append(f"one more {unit} changes the least loss by {margin.one_more:+.5f} nats")
    if margin.slope == margin.slope:
        falls = "falls" if margin.slope < 0 else "rises"
        slope = f"nearby it {falls} on average by {abs(margin.slope):.3g} nats a {unit}"
        if margin.slope == 0:
            slope = "nearby it is worth nothing, for something else binds"
        if margin.analytic == margin.analytic and margin.slope != 0:
            slope += f" ({abs(margin.analytic):.3g} by the envelope theorem)"
        parts.append(slope)
    if margin.next_at == margin.next_at:
        parts.append(
            f"the next step is at {say(margin.axis, margin.next_at)}, to {margin.next_loss:.4f}"
        )
    elif not parts:
        parts.append("no amount that was tried is worth anything")
    value = say(margin.axis, margin.value) if margin.value > 0 else "none"
    name = SAID[margin.axis]
    return f"{name[0].upper()}{name[1:]} ({value}): {'; '.join(parts)}."


def say_library(library: Sequence[Found]) -> list[str]:
    """Say which devices meet the question."""
    meeting = [each for each in library if each.meets]
    stated = [each for each in meeting if each.watts == each.watts]
    lines = [
        f"{len(meeting)} of {len(library)} shipped devices meet it, {len(stated)} of them with a "
        "stated power, whose scopes (module, board, package, wall) do not compare exactly."
    ]
    if stated:
        best = stated[0]
        lines.append(
            f"Cheapest in watts: {best.title} ({best.device}), {best.watts:.3g} W ({best.scope}), "
            f"at {best.excess:.0%} of its tightest limit, {best.tight}."
        )
    return lines


def to_dict(
    answer: Answer, library: Sequence[Found] | None = None, grid: bool = False
) -> dict[str, Any]:
    """Return an answer in plain types; None for what is not known. grid: every point too."""
    question, own = answer.question, answer.template.hardware
    said: dict[str, Any] = {
        "template": {
            "device": answer.template.device.name,
            "processor": answer.template.processor,
            "number_format": answer.template.number_format,
            **vars(own),
        },
        "basis": answer.basis,
        "intervals": answer.intervals,
        **_asked(question),
        "limits": question.values(),
        "target_loss": answer.loss,
        "model": None if answer.model is None else answer.model.names[0],
        "candidates": answer.survey.looked_at,
        "least_loss": float(answer.survey.tables["least_loss"].value[0]),
        "on_template": _records(here(answer)),
        "needs": [need_row(answer, need) for need in answer.needs],
        "model_needs": [need_row(answer, need) for need in answer.own_needs],
        "margins": [vars(margin) for margin in margins(answer)],
        "notes": list(answer.notes),
    }
    if library is not None:
        said["library"] = _records(library_table(library))
    if grid:
        said["hardware"] = _records(answer.hardware)
    return _plain(said)


def fleet_sentences(answer: FleetAnswer) -> list[str]:
    """Say what was found for a fleet."""
    lines = [f"{name}: no architecture, {why}." for name, why in answer.missing.items()]
    for name in (WORST, MEAN):
        if name not in answer.choices:
            continue
        costs = [
            f"{device} {nats:+.4f} nats and {ratio:.2f} times the time"
            for device, (nats, ratio) in answer.sharing(name).items()
            if np.isfinite(ratio)
        ]
        if costs:
            lines.append(f"Sharing ({name}) costs, against each device's own: {'; '.join(costs)}.")
    outside = [choice.name for choice in answer.choices.values() if not choice.in_range]
    if outside:
        lines.append(f"Outside the data behind the law: {', '.join(outside)}.")
    lines += [f"Basis of {name}: {basis}." for name, basis in answer.basis().items()]
    question = answer.question
    lines.append(f"Workloads: {question.mix.describe()}; limits on the {question.how} of them.")
    for device in question.devices:
        lines.append(f"Limits of {device.name}: {say_limits(question.limits_of(device))}.")
    return lines


def fleet_dict(answer: FleetAnswer) -> dict[str, Any]:
    """Return a fleet's answer in plain types."""
    question = answer.question
    architectures = answer.architectures() if answer.choices else None
    said = {
        "devices": [device.name for device in question.devices],
        "weights": question.shares(),
        "basis": answer.basis(),
        "intervals": answer.intervals(),
        **_asked(question),
        "limits": {device.name: question.limits_of(device) for device in question.devices},
        "target_loss": question.loss,
        "candidates": answer.looked_at,
        "choices": [
            vars(choice) | {"architecture": architectures[place].row()}
            for place, choice in enumerate(answer.choices.values())
            if architectures is not None
        ],
        "sharing": {
            name: {
                device: {"nats": nats, "time": ratio}
                for device, (nats, ratio) in answer.sharing(name).items()
            }
            for name in (WORST, MEAN)
            if name in answer.choices
        },
        "missing": answer.missing,
    }
    return _plain(said)


def _asked(question: Common) -> dict[str, Any]:
    return {
        "space": question.space.name,
        "law": question.law.name,
        "mix": question.mix.model_dump(mode="json", exclude_defaults=True),
        "how": question.how,
        "ideal": question.ideal,
    }


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(table.to_json(orient="records", double_precision=15))


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: what is not finite is not known."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
