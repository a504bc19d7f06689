"""The report of `python -m roofline.diffusion`: tables, a figure, and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spec_files import SpecError, format_quantity

if TYPE_CHECKING:
    import pandas as pd

    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.diffusion.evidence import Held, VoteCost
    from roofline.diffusion.intensity import Map
    from roofline.strategies import Difficulty

MODEL = "llada-8b"
WEIGHTS = "int4"
PROMPT, ANSWER = 128, 256
"""Tokens of a question without examples, an assumption, and of the published text."""
OTHERS = ("jetson-agx-orin-64gb", "rtx4090", "a100", "h100-sxm")
MARKS = {
    "Pi 5": "rpi5",
    "M4 Max": "m4max-40",
    "phone": "phone",
    "RTX 4090": "rtx4090",
    "Jetson Orin": "jetson-agx-orin-64gb",
    "H100": "h100-sxm",
}
INTENSITIES = np.geomspace(8.0, 1024.0, 29)
CONTEXTS = np.unique(np.geomspace(64, 16384, 25).round()).astype(int)
TITLES = {
    "base": "one text",
    "majority": "majority vote",
    "hex": "HEX",
    "rfg": "RFG",
    "dvoting": "dVoting",
}


def write_report(folder: Path, device: str) -> list[Path]:
    """Write README.md, the tables and the map; return the files."""
    import pandas as pd

    from arch_space.library import load_model
    from hardware_specs import load_device
    from roofline.diffusion.evidence import fitted_pass_seconds, hold, vote_costs
    from roofline.diffusion.intensity import break_even_map, intensity_of
    from roofline.diffusion.published import voting_table
    from roofline.diffusion.schedules import CACHES
    from roofline.outputs import FIGURE_DPI, write_text
    from roofline.report.diffusion import break_even_figure

    profile = load_device(device)
    arch = load_model(MODEL)
    small = arch.with_formats(WEIGHTS)
    row = next(
        r for r in voting_table().rows if (r.model, r.task, r.length) == (MODEL, "GSM8K", ANSWER)
    )
    votes = {
        name: vote_costs(small, profile, row, prompt=PROMPT, processor=name)
        for name in _processors(profile)
    }
    held = {"runtime": hold(), "fitted": hold(fitted_pass_seconds())}
    reference = load_device("a100")
    maps = [
        break_even_map(arch, reference, INTENSITIES, CONTEXTS, cache=cache, generate=ANSWER)
        for cache in CACHES
    ]
    marks = {title: intensity_of(load_device(name), arch) for title, name in MARKS.items()}
    tables = {
        "fast_dllm.csv": _held_table(held),
        "votes.csv": pd.DataFrame(
            [
                {"device": profile.name, "processor": name} | vars(vote)
                for name, told in votes.items()
                for vote in told
            ]
        ),
        "ratios.csv": ratios(),
        "expectation.csv": expectation(),
        "devices.csv": devices([device, *OTHERS]),
        "map.csv": _map_table(maps),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise SpecError(f"--out: {folder} is a file; name a folder") from None
    for name, table in tables.items():
        write_text(folder / name, table.to_csv(index=False, float_format="%.6g"))
    figure = break_even_figure(maps, marks, "LLaDA 8B")
    figure.savefig(folder / "break-even.png", dpi=FIGURE_DPI)
    alone = {name: _one_text(small, profile, name) for name in votes}
    text = report(held, votes, profile, tables, alone)
    write_text(folder / "README.md", text)
    return [*(folder / name for name in tables), folder / "break-even.png", folder / "README.md"]


def _held_table(held: dict[str, list[Held]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "fixed_time": how,
                "schedule": one.published.name,
                "steps": one.published.steps,
                "step_s": one.published.step,
                "step_predicted_s": one.step,
                "step_error": one.step_error,
                "total_s": one.published.total,
                "total_predicted_s": one.total,
                "total_error": one.total_error,
            }
            for how, rows in held.items()
            for one in rows
        ]
    )


def _map_table(maps: list[Map]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        [
            {"cache": m.cache, "prompt": c, "flop_per_byte": i, "tokens_per_pass": m.tokens[y, x]}
            for m in maps
            for y, c in enumerate(m.context)
            for x, i in enumerate(m.intensity)
        ]
    )


def ratios() -> pd.DataFrame:
    """Benefit per cost of every published method, and passes over those of dVoting."""
    import pandas as pd

    from roofline.diffusion.published import METHODS, benefit, voting_table

    rows = []
    for row in voting_table().rows:
        for method in METHODS[1:]:
            score = getattr(row, method)
            if score is None:
                continue
            found = benefit(score, row.base)
            rows.append(
                {
                    "model": row.model,
                    "task": row.task,
                    "length": row.length,
                    "method": method,
                    "accuracy": score.accuracy,
                    "steps": score.steps,
                    "gain": found.gain,
                    "cost": found.cost,
                    "benefit_per_cost": found.per_cost,
                    "steps_over_dvoting": score.steps / row.dvoting.steps,
                }
            )
    return pd.DataFrame(rows)


def expectation() -> pd.DataFrame:
    """What the stop rule is expected to do on each published row.

    The spread of difficulty is solved for, so that a majority of five reaches what was published;
    dVoting's accuracy and samples are then expected, and tokens per pass follow from its passes.
    """
    import pandas as pd

    from roofline.diffusion.expectation import votes
    from roofline.diffusion.published import voting_table

    rows = []
    for row in voting_table().rows:
        people = solve_difficulty(row.base.accuracy / 100, row.majority.accuracy / 100)
        found = votes(people)
        samples = float(found.samples[0])
        rows.append(
            {
                "model": row.model,
                "task": row.task,
                "length": row.length,
                "alpha": people.alpha,
                "beta": people.beta,
                "samples": samples,
                "accuracy": 100 * float(found.accuracy[0]),
                "published": row.dvoting.accuracy,
                "majority": row.majority.accuracy,
                "tokens_per_pass": samples * row.length / row.dvoting.steps,
            }
        )
    return pd.DataFrame(rows)


def solve_difficulty(one: float, majority: float) -> Difficulty:
    """Return the difficulty at which one sample and a majority of five have these accuracies.

    The wrong answers are spread as the room of strategies assumes where nothing was fitted.
    Raises SpecError where no spread of difficulty gives that majority.
    """
    from scipy.optimize import brentq

    from roofline.diffusion.expectation import votes
    from roofline.strategies import Difficulty

    def at(log_size: float) -> Difficulty:
        size = float(np.exp(log_size))
        return Difficulty(alpha=one * size, beta=(1.0 - one) * size)

    def missed(log_size: float) -> float:
        return float(votes(at(log_size), stopping=False).accuracy[0]) - majority

    low, high = -5.0, 8.0
    if missed(low) * missed(high) > 0:
        raise SpecError(
            f"no spread of difficulty lifts {one:.1%} to {majority:.1%} by a majority of five"
        )
    return at(float(brentq(missed, low, high)))


def devices(names: list[str]) -> pd.DataFrame:
    """Break-even on real devices, calibrated, at two contexts."""
    import pandas as pd

    from arch_space.library import load_model
    from hardware_specs import load_device
    from roofline.diffusion.cost import break_even
    from roofline.diffusion.schedules import CACHES, Schedule
    from roofline.workload import Workload

    arch, rows = load_model(MODEL), []
    for device, unit in ((d, p) for d in map(load_device, names) for p in _processors(d)):
        table = arch.with_formats(WEIGHTS) if device.kind in ("phone", "jetson", "sbc") else arch
        for prompt in (128, 1024, 8192):
            workload = Workload(1, prompt, ANSWER)
            found = {
                cache: break_even(
                    table, device, Schedule(cache, 32, 3.25), workload, processor=unit
                )
                for cache in CACHES
            }
            first = found["none"]
            rows.append(
                {
                    "device": f"{device.name} {unit}",
                    "runtime": first.autoregressive.runtime,
                    "weights": table.row()["weight_format"],
                    "prompt": prompt,
                    "autoregressive_s": first.autoregressive.latency[0],
                }
                | {f"{c}_s": each.diffusion.latency[0] for c, each in found.items()}
                | {f"{c}_break_even": each.tokens_per_step[0] for c, each in found.items()}
            )
    return pd.DataFrame(rows)


def _processors(device: Device) -> list[str]:
    """The device's own choice, and its NPU if it has one."""
    return list(dict.fromkeys([device.default_processor, *({"npu"} & set(device.processors))]))


def _one_text(arch: Architectures, device: Device, processor: str) -> float:
    """Seconds of one text of the same length by the same model token by token."""
    from roofline.engine import estimate
    from roofline.workload import Workload

    return float(
        estimate(arch, device, Workload(1, PROMPT, ANSWER), processor=processor).latency[0]
    )


def _seconds(value: float) -> str:
    return str(format_quantity(value, "time", digits=3))


def report(
    held: dict[str, list[Held]],
    votes: dict[str, list[VoteCost]],
    device: Device,
    tables: dict[str, pd.DataFrame],
    alone: dict[str, float],
) -> str:
    """Return the report as Markdown; every number is computed here."""
    from roofline.diffusion.evidence import fitted_pass_seconds
    from roofline.diffusion.published import timed_table, voting_table

    timed = timed_table()
    layers = 32
    fixed = fitted_pass_seconds()
    lines = [
        "# Diffusion decoding and voting",
        "",
        "`python -m roofline.diffusion` writes this folder; docs/diffusion.md says what is "
        "modelled.",
        "",
        "## Fast-dLLM on an A100: published and predicted",
        "",
        f"LLaDA 8B, {timed.prompt} + {timed.generate} tokens, blocks of {timed.block}, batch 1, "
        f"16 bits. Published: {timed.source.where}. Numbers of steps are the published ones. "
        "Seconds; predicted twice: with the fixed time of a pass that the engine knows of "
        "Transformers on such a card, which no number of this table was used for; and with the one "
        "number that was fitted to it.",
        "",
        *_held_lines(held),
        "",
        f"Fitted: {fixed * 1e3:.1f} ms a pass whatever it computes, read off the dual cache's step "
        f"alone, whose 32 positions are {_share(held, fixed):.0%} overhead. That is PyTorch run "
        f"eagerly, {fixed / layers * 1e3:.2f} ms a layer: several dozen small kernels, keys and "
        "values written at positions that are looked up on the host, and a loop in Python that "
        "asks the GPU for the confidence of each masked token. The full pass is compute-bound at "
        "the efficiency that was fitted to other rows. The step of the prefix cache stays "
        f"{-_error(held, 'prefix cache'):.0%} too short: a published mean of rounded numbers; a "
        "bias that keeps attention from the flash kernel, copies of the cache and a softmax over "
        "the vocabulary in double precision, none of which is modelled.",
        "",
        f"## dVoting and its rivals on {device.title}",
        "",
        f"LLaDA 8B in {WEIGHTS}, GSM8K with texts of {ANSWER} tokens after a prompt of {PROMPT} "
        f"(assumed). Accuracy and passes: {voting_table().source.where}. Every pass computes all "
        "positions, as published; nobody has published the accuracy of these votes with caches. "
        "BPC: points gained over one text, by multiples of its passes.",
        "",
        *(line for name in votes for line in _on_processor(device, name, votes[name], alone[name])),
        "RFG keeps two models in memory. Every ratio of the paper's tables, recomputed: "
        "ratios.csv.",
        "",
        "## What the stop rule alone explains",
        "",
        "The spread of difficulty is solved for from the accuracy of one text and of a majority of "
        "five; dVoting is then expected by enumeration of its stop rule (expectation.csv).",
        "",
        *_expected_lines(tables["expectation.csv"]),
        "",
        _what_is_left(tables["expectation.csv"]),
        "",
        "## Break-even with autoregression",
        "",
        "![Break-even tokens per pass over device intensity and context](break-even.png)",
        "",
        "Without a cache a pass over T positions costs as much as T / (FLOP per byte) tokens one "
        "by one in 16 bits, so that is what it must commit; in b bits, 16 / b times as much. A "
        "dual cache needs little more than one token a pass until the passes that refresh it, one "
        "a block, outweigh the block: prompt and text over about block x FLOP per byte.",
        "",
        f"On devices, calibrated, {ANSWER} tokens, blocks of 32, 3.25 tokens a pass (confidence "
        ".9); break-even tokens a pass in brackets:",
        "",
        *_device_lines(tables["devices.csv"]),
        "",
    ]
    return "\n".join(lines)


def _held_lines(held: dict[str, list[Held]]) -> list[str]:
    from roofline.report.diffusion import markdown_table

    return markdown_table(
        ["", "steps", "step", "predicted", "fitted", "total", "predicted", "fitted"],
        [
            [
                one.published.name,
                f"{one.published.steps:g}",
                f"{one.published.step:g}",
                f"{one.step:.3f} ({one.step_error:+.1%})",
                f"{two.step:.3f} ({two.step_error:+.1%})",
                f"{one.published.total:g}",
                f"{one.total:.1f} ({one.total_error:+.1%})",
                f"{two.total:.1f} ({two.total_error:+.1%})",
            ]
            for one, two in zip(held["runtime"], held["fitted"], strict=True)
        ],
    )


def _error(held: dict[str, list[Held]], name: str) -> float:
    return next(one.step_error for one in held["fitted"] if one.published.name == name)


def _share(held: dict[str, list[Held]], fixed: float) -> float:
    return fixed / next(one.step for one in held["fitted"] if one.published.name == "dual cache")


def _on_processor(device: Device, name: str, votes: list[VoteCost], alone: float) -> list[str]:
    """One processor's costs, and what they rest on."""
    from roofline.efficiency.calibrated import calibrated, say_basis

    unit = calibrated(device, name).processor(name)
    return [
        f"{unit.title}: {say_basis(unit)}. The same model token by token would write one such text "
        f"in {_seconds(alone)}.",
        "",
        *_vote_lines(votes, device.memory.dram.usable_bytes),
        "",
    ]


def _vote_lines(votes: list[VoteCost], usable: float) -> list[str]:
    from roofline.report.diffusion import markdown_table

    return markdown_table(
        ["method", "accuracy", "passes", "time", "energy", "memory", "BPC", "points a minute",
         "points a kJ"],
        [
            [
                TITLES[v.method],
                f"{v.accuracy:.2f} %",
                f"{v.passes:g}",
                _seconds(v.seconds),
                str(format_quantity(v.joules, "energy", digits=3)),
                str(format_quantity(v.memory_bytes, "bytes", digits=3))
                + (", does not fit" if v.memory_bytes > usable else ""),
                "" if v.method == "base" else f"{v.per_cost:.2f}",
                "" if v.method == "base" else f"{v.per_minute:.3f}",
                "" if v.method == "base" else f"{v.per_kilojoule:.3f}",
            ]
            for v in votes
        ],
    )  # fmt: skip


def _expected_lines(table: pd.DataFrame) -> list[str]:
    from roofline.report.diffusion import markdown_table

    return markdown_table(
        ["", "length", "expected samples", "accuracy expected", "published", "tokens a pass"],
        [
            [
                f"{row.model} {row.task}",
                str(row.length),
                f"{row.samples:.2f}",
                f"{row.accuracy:.1f} %",
                f"{row.published:.1f} %",
                f"{row.tokens_per_pass:.2f}",
            ]
            for row in table.itertuples()
        ],
    )


def _what_is_left(table: pd.DataFrame) -> str:
    gain = table["published"] - table["accuracy"]
    lost = table["majority"] - table["accuracy"]
    return (
        f"Stopping early costs {lost.mean():.1f} points of a majority of five on average (at most "
        f"{lost.max():.1f}). What was published lies {gain.min():.1f} to {gain.max():.1f} points "
        "above. So in this model most of what dVoting gains over the majority vote is not of the "
        "vote: its texts are better, for the majority's commit two tokens a pass whatever their "
        "entropy, and dVoting's more than one only where they are certain. Tokens a pass are an "
        "upper estimate, for later samples keep positions."
    )


def _device_lines(table: pd.DataFrame) -> list[str]:
    from roofline.report.diffusion import markdown_table

    def cell(row: pd.Series, cache: str) -> str:
        even = row[f"{cache}_break_even"]
        return f"{_seconds(row[f'{cache}_s'])} ({'never' if even != even else f'{even:.3g}'})"

    return markdown_table(
        ["device", "runtime", "weights", "prompt", "token by token", "none", "prefix", "dual"],
        [
            [
                row["device"],
                row["runtime"],
                row["weights"],
                str(row["prompt"]),
                _seconds(row["autoregressive_s"]),
                *(cell(row, cache) for cache in ("none", "prefix", "dual")),
            ]
            for _, row in table.iterrows()
        ],
    )
