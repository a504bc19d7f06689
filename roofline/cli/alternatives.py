"""What `roofline estimate` shows of placements and draft lengths: a table, the best marked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from roofline.cli import show

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.engine import Estimate
    from roofline.engine.draft_length import DraftLengths
    from roofline.workload import Workload

SHOWN = 12
"""Placements that a table lists, the fastest first; JSON has all."""


def every_placement(
    arch: Architectures, device: Device, workload: Workload, runtime: str | None, ideal: bool
) -> dict[str, Estimate]:
    """Return the estimate of one model under every placement, by its text."""
    from roofline.engine import estimate
    from roofline.engine.placement import choose_from

    known, options = choose_from(arch, device, "best", runtime, ideal)
    return {
        str(option): estimate(arch, known, workload, placement=option, ideal=ideal)
        for option in options
    }


def best_of(found: dict[str, Estimate]) -> dict[str, str | None]:
    """Return the best placement by each criterion, of those that fit if any does.

    None where the criterion is not known; of equal ones the simplest.
    """
    from roofline.engine.placement import CRITERIA

    fitting = {name: each for name, each in found.items() if each.fits[0]} or found
    best: dict[str, str | None] = {}
    for criterion in CRITERIA:
        known = {n: float(getattr(each, criterion)[0]) for n, each in fitting.items()}
        known = {name: value for name, value in known.items() if value == value}
        best[criterion] = min(known, key=lambda name: known[name]) if known else None
    return best


def placements_as_dict(found: dict[str, Estimate]) -> dict[str, Any]:
    """Return every placement and the best under the names of the JSON output."""
    from roofline.cli.options import known

    rows = [
        {
            "placement": name,
            "runtime": each.runtime,
            "ttft_s": known(float(each.ttft[0])),
            "tpot_s": known(float(each.tpot[0])),
            "latency_s": known(float(each.latency[0])),
            "energy_j": known(float(each.energy[0])),
            "memory_bytes": float(each.memory_bytes[0]),
            "fits": bool(each.fits[0]),
        }
        for name, each in found.items()
    ]
    return {"placements": rows, "best_placement": best_of(found)}


def show_placements(found: dict[str, Estimate]) -> None:
    """Print the fastest placements, and those that are best by some criterion."""

    best = best_of(found)
    order = sorted(found, key=lambda n: (not found[n].fits[0], float(found[n].latency[0])))
    listed = [n for i, n in enumerate(order) if i < SHOWN or n in best.values()]
    show.table(
        "Placements",
        ["placement", "TTFT", "TPOT", "latency", "energy", "memory", "best for"],
        [
            [
                name,
                show.seconds(found[name].ttft[0]),
                show.seconds(found[name].tpot[0]),
                show.seconds(found[name].latency[0]),
                show.joules(found[name].energy[0]),
                show.size(found[name].memory_bytes[0])
                + ("" if found[name].fits[0] else "  [DOES NOT FIT]"),
                ", ".join(what for what, which in best.items() if which == name),
            ]
            for name in listed
        ],
    )
    left = len(found) - len(listed)
    if left:
        show.note(f"{left} slower placements are left out; --json has all.")


def lengths_as_dict(lengths: DraftLengths, workload: Workload) -> dict[str, Any]:
    """Return the draft lengths that were tried under the names of the JSON output."""
    rows = [
        {
            "draft_length": length,
            "expected_tokens": replace(workload, draft_length=length).expected_tokens,
            "tpot_s": float(found.tpot[0]),
            "latency_s": float(found.latency[0]),
            "speedup": float(lengths.plain.tpot[0] / found.tpot[0]),
        }
        for length, found in enumerate(lengths.tried, 1)
    ]
    return {
        "draft_lengths": rows,
        "best_draft_length": int(lengths.best[0]),
        "tpot_s_without_draft": float(lengths.plain.tpot[0]),
    }


def show_lengths(lengths: DraftLengths, workload: Workload) -> None:
    """Print the draft lengths that were tried, and decoding without a draft."""

    plain, best = lengths.plain, int(lengths.best[0])
    rows = [["none", "1", show.seconds(plain.tpot[0]), show.joules(plain.energy[0]), "1.00"]]
    for length, found in enumerate(lengths.tried, 1):
        tokens = replace(workload, draft_length=length).expected_tokens
        rows.append(
            [
                str(length),
                f"{tokens:.3g}",
                show.seconds(found.tpot[0]),
                show.joules(found.energy[0]),
                f"{plain.tpot[0] / found.tpot[0]:.2f}" + ("  best" if length == best else ""),
            ]
        )
    show.table("Draft lengths", ["drafted", "tokens a round", "TPOT", "energy", "speed-up"], rows)
    if not best:
        show.note("No draft length is faster than decoding without a draft.")


def chosen_length(
    text: str | None, arch: Architectures, device: Device, workload: Workload, **options: Any
) -> tuple[Workload, DraftLengths | None]:
    """Return the workload with its draft length: the number that was given, or the best."""
    from roofline.engine.draft_length import best_draft_length
    from spec_files import SpecError

    if text is None:
        return workload, None
    if workload.draft is None:
        raise SpecError("--draft-length: there is no draft; write --draft, too")
    if text == "best":
        lengths = best_draft_length(arch, device, workload, **options)
        # Where no draft pays, the shortest shows by how much it does not.
        return replace(workload, draft_length=max(1, int(lengths.best[0]))), lengths
    if not text.isdecimal():
        raise SpecError(f"--draft-length: read {text!r}; write a number of tokens, or best")
    return replace(workload, draft_length=int(text)), None
