"""The report of this room: what bandwidth buys on a phone, and one model for three devices."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roofline.codesign.account import (
    NEED_TITLES,
    fleet_sentences,
    need_row,
    say_need,
    sentences,
)
from roofline.codesign.fleet import FleetAnswer, answer_fleet, say_limits
from roofline.codesign.folder import write_answer, write_fleet
from roofline.codesign.inverse import Answer, answer
from roofline.codesign.library import Found, survey_library
from roofline.codesign.margins import UNITS, margins
from roofline.codesign.question import Fleet, Inverse, prepare
from roofline.codesign.survey import NEEDS
from roofline.report.points import brief

if TYPE_CHECKING:
    from hardware_specs import Device

SPACE = "on-device"
WEIGHTS = "q4_k_m"
MODEL = "qwen2.5-0.5b"
DEVICE = "iphone-17-pro"
LIMITS: dict[str, str | float] = {"tpot": "10 ms", "ttft": "1 s"}
FLEET = ("phone", "jetson-agx-orin-64gb", "raspberry-pi-5")
FLEET_LIMITS: dict[str, str | float] = {"tpot": "50 ms"}
OWN_LIMITS: dict[str, dict[str, str | float]] = {"rpi5": {"tpot": "200 ms"}}
MIX = "chat"
POINTS = 100
SHOWN = 12
KEPT = ("hardware.csv",)
"""Left out of the report: the same as hardware.parquet, and four times as large."""


def write_report(folder: Path, space: str = SPACE, points: int = POINTS) -> list[str]:
    """Answer both questions and write the folder anew; return the files' names."""
    from hardware_specs import load_device
    from roofline.efficiency.calibrated import calibrated
    from roofline.mixes import load_mix

    def device(name: str) -> Device:
        return calibrated(load_device(name))

    common: dict[str, Any] = {
        "space": space,
        "mix": load_mix(MIX),
        "formats": {"weight_format": WEIGHTS},
    }
    question = prepare(
        Inverse, device=device(DEVICE), model=MODEL, limits=LIMITS, points=points, **common
    )
    fleet = prepare(
        Fleet,
        devices=[device(n) for n in FLEET],
        limits=FLEET_LIMITS,
        own_limits=OWN_LIMITS,
        **common,
    )
    assert isinstance(question, Inverse)
    assert isinstance(fleet, Fleet)
    found = answer(question)
    library = survey_library(question, found.loss)
    shared = answer_fleet(fleet)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        write_answer(found, library, draft / "one")
        write_fleet(shared, draft / "fleet")
        folder.mkdir(exist_ok=True)
        for file in sorted((draft / "one").iterdir()):
            if file.name not in KEPT:
                os.replace(file, folder / file.name)
        for file in sorted((draft / "fleet").iterdir()):
            name = file.name if file.stem == "fleet" else f"fleet{file.suffix}"
            os.replace(file, folder / name)
        (folder / "README.md").write_text(report(found, library, shared), encoding="utf-8")
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return sorted(file.name for file in folder.iterdir())


def report(found: Answer, library: Sequence[Found], shared: FleetAnswer) -> str:
    """Return the report as Markdown; every number is computed here."""
    question, template = found.question, found.template
    limits = say_limits(question.values())
    lines = [
        "# What bandwidth buys on a phone",
        "",
        f"`python -m roofline.codesign` writes this folder; `roofline codesign --repeat "
        f"codesign.yaml` and `fleet.yaml` ask each half again. Template: {template.device.title} "
        f"({template.processor}); {found.survey.looked_at:,} candidates of `{question.space.name}` "
        f"in {WEIGHTS}, losses by law `{question.law.name}`. Workloads: "
        f"{question.mix.title.lower()} ({question.mix.describe()}); {limits}, on average over the "
        "requests.",
        "",
        f"The loss that is good enough is that of {question.model_name} by the same law, "
        f"{found.loss:.4f}: what must a phone be to run it, and what to run a model as good?",
        "",
        "![Contours of loss and of time over bandwidth and peak](contours.png)",
        "",
        "## What is needed",
        "",
        f"| least | {question.model_name} itself | any candidate as good | by |",
        "|---|---|---|---|",
        *_needs(found),
        "",
        "## What one more is worth",
        "",
        "At the template, with all else as it is. Losses over whole layers and heads fall in "
        "steps: `one more` is exact, `slope` that of a line through the steps within a fifth, "
        "`envelope` the same slope from how much of the time waits for DRAM or for computation "
        "(`roofline/codesign/margins.py`).",
        "",
        "| of | unit | one more, nats | slope, nats a unit | envelope | next step at |",
        "|---|---|---|---|---|---|",
        *_margins(found),
        "",
        "![Least loss along each axis](lines.png)",
        "",
        "## Which devices do",
        "",
        *(f"- {line}" for line in sentences(found, library) if not line.startswith("Workloads")),
        "",
        f"The {SHOWN} of least stated power; `devices.csv` has all {len(library)}, with the reason "
        "of each that does not.",
        "",
        "| device | W | of the | share of its tightest limit | basis |",
        "|---|---|---|---|---|",
        *_devices(library),
        "",
        "![Stated power of the devices that meet it](devices.png)",
        "",
        "## One architecture for three devices",
        "",
        f"{_fleet_limits(shared)}: the least loss within them.",
        "",
        *_fleet(shared),
        "",
        "![Losses and shares of the limits](fleet.png)",
        "",
        *(f"- {line}" for line in fleet_sentences(shared)),
        "",
        "## How far to trust it",
        "",
        "- Needs are those of a device *like* the template: what its kernels reach of their peaks, "
        "and what a launch takes, are kept, and a need moves with the interval of its predictions."
        + _small_kernels(found),
        "- Peaks and bandwidths are nominal. A device of the library with the same two numbers may "
        "do better or worse, by its own efficiencies: the marks in the figure are filled by its "
        "own estimate, wherever they stand.",
        "- Powers are as the profiles state them, of a rail, a module, a board or a package, "
        "mostly limits and not measured while a model ran.",
        "- The law was fitted to 170 small models and overstates differences between dense ones.",
        "",
    ]
    return "\n".join(lines)


def _small_kernels(found: Answer) -> str:
    """Say how much computation small kernels waste on the template, if it is known."""
    half = found.template.unit.compute_half_size_flops
    if not half or found.question.ideal:
        return ""
    return (
        f" A kernel of {half / 1e6:.3g} MFLOP reaches half of its efficiency there, so that a deep "
        "model of many small kernels waits for the peak even while it decodes."
    )


def _needs(found: Answer) -> list[str]:
    own = {need.what: need for need in found.own_needs}
    best = {need.what: need for need in found.needs}
    rows = []
    for kind, title in NEED_TITLES.items():
        if kind not in own and kind not in best and kind not in NEEDS:
            continue
        one = say_need(own[kind]) if kind in own else "no amount is enough"
        other = say_need(best[kind]) if kind in best else "no amount is enough"
        who = need_row(found, best[kind])["candidate"] if kind in best else ""
        if kind not in NEEDS:
            one = one if kind in own else "too slow"
            other = other if kind in best else "too slow"
        rows.append(f"| {title} | {one} | {other} | {who} |")
    return rows


def _margins(found: Answer) -> list[str]:
    rows = []
    for each in margins(found):
        unit, size = UNITS[each.axis]

        def say(value: float, form: str = ".3g") -> str:
            return "" if value != value else format(value, form)

        at = "" if each.next_at != each.next_at else f"{each.next_at / size:.4g} {unit}"
        rows.append(
            f"| {each.axis.replace('_', '-')} | {unit} | {say(each.one_more, '+.5f')} | "
            f"{say(each.slope)} | {say(each.analytic)} | {at} |"
        )
    return rows


def _devices(library: Sequence[Found]) -> list[str]:
    stated = [each for each in library if each.meets and each.watts == each.watts]
    return [
        f"| {each.title} (`{each.device}`) | {each.watts:.3g} | {each.scope} | {each.excess:.0%}, "
        f"{each.tight} | {each.basis} |"
        for each in stated[:SHOWN]
    ]


def _fleet_limits(shared: FleetAnswer) -> str:
    question = shared.question
    return "; ".join(f"{d.name}: {say_limits(question.limits_of(d))}" for d in question.devices)


def _fleet(shared: FleetAnswer) -> list[str]:
    names = [device.name for device in shared.question.devices]
    frame = shared.architectures().to_frame()
    rows = [
        "| choice | loss | "
        + " | ".join(f"limit of {name}" for name in names)
        + " | architecture |",
        "|---|---|" + "---|" * (len(names) + 1),
    ]
    for place, choice in enumerate(shared.choices.values()):
        cells = [
            "does not fit" if choice.shares[name] == float("inf") else f"{choice.shares[name]:.0%}"
            for name in names
        ]
        own = "'s own best" if choice.name in names else ""
        rows.append(
            f"| {choice.name}{own} | {choice.loss:.4f} | {' | '.join(cells)} | "
            f"{brief(frame.iloc[place])} |"
        )
    return rows
