"""What `roofline codesign` prints of its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofline.cli import show

if TYPE_CHECKING:
    from roofline.codesign.fleet import FleetAnswer
    from roofline.codesign.inverse import Answer
    from roofline.codesign.library import Found


def print_answer(found: Answer, devices: list[Found] | None) -> None:
    """Print the least hardware that does, and which shipped devices do."""
    from roofline.codesign.account import NEED_TITLES, need_row, say_need, sentences
    from roofline.codesign.fleet import say_limits
    from roofline.codesign.survey import NEEDS

    question, template = found.question, found.template
    rows = []
    everyone = [found.needs] if found.own is None else [found.needs, found.own_needs]
    for needs in everyone:
        known = {need.what: need for need in needs}
        for kind, title in NEED_TITLES.items():
            if kind in known:
                said = need_row(found, known[kind])
                factor = f"{said['times_template']:.3g} x"
                rows.append([title, say_need(known[kind]), factor, said["candidate"]])
            elif kind in NEEDS:
                whose = "any candidate" if needs is found.needs else question.model_name
                rows.append([title, "no amount is enough", "", f"for {whose}"])
    whose = f"as {found.model.names[0]}" if found.model is not None else "asked for"
    show.table(
        f"Least hardware like {template.device.title} for a loss of {found.loss:.4f}, {whose}, "
        f"with {say_limits(question.values())}; {found.survey.looked_at:,} candidates",
        ["least", "needed", "of the template", "by"],
        rows,
    )
    if not found.needs:
        show.note("No hardware like it meets this: launches and fixed times alone take longer.")
    if devices is not None:
        _print_devices(devices)
    for line in sentences(found, devices):
        show.note(line)


_SHOWN = 12


def _print_devices(devices: list[Found]) -> None:

    stated = [each for each in devices if each.meets and each.watts == each.watts]
    unstated = [each for each in devices if each.meets and each.watts != each.watts]
    others = [each for each in devices if not each.meets]
    show.table(
        f"Devices that meet it, the least stated power first: {min(_SHOWN, len(stated))} of "
        f"{len(stated)}",
        ["device", "power", "of the", "share of limit", "tightest", "basis"],
        [
            [
                each.device,
                show.quantity(each.watts, "power"),
                each.scope,
                f"{each.excess:.0%}",
                each.tight,
                each.basis,
            ]
            for each in stated[:_SHOWN]
        ],
    )
    if unstated:
        names = ", ".join(each.device for each in unstated)
        show.note(f"Without a stated power {len(unstated)} more meet it: {names}.")
    if others:
        show.table(
            f"Devices that do not, the nearest first: {min(_SHOWN, len(others))} of {len(others)}",
            ["device", "why"],
            [[each.device, each.reason] for each in others[:_SHOWN]],
        )


def print_fleet(found: FleetAnswer) -> None:
    """Print the choices for a fleet, and what each takes of every device's limits."""
    from roofline.codesign.account import fleet_sentences
    from roofline.report.points import brief

    question = found.question
    names = [device.name for device in question.devices]
    frame = found.architectures().to_frame() if found.choices else None
    rows = []
    for place, choice in enumerate(found.choices.values()):
        cells = []
        for name in names:
            share = choice.shares[name]
            cells.append("does not fit" if share == float("inf") else f"{share:.0%}")
        shape = "" if frame is None else brief(frame.iloc[place])
        own = "" if choice.name not in names else "'s own best"
        beyond = "" if choice.in_range else " *"
        rows.append([f"{choice.name}{own}", f"{choice.loss:.4f}", *cells, shape + beyond])
    show.table(
        f"One architecture for {len(names)} devices; {found.looked_at:,} candidates of "
        f"{question.space.name}",
        ["choice", "loss", *(f"limit of {name}" for name in names), "architecture"],
        rows,
    )
    for line in fleet_sentences(found):
        show.note(line)
