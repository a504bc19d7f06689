"""What a search found, in columns and in words: the front's table, and why nothing is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.architectures import Architectures, concatenate
from roofline.engine import BOUNDS
from roofline.laws import out_of_range_reasons, predict
from roofline.search.objectives import COLUMNS, DIMENSIONS
from roofline.search.problem import Problem
from roofline.search.result import SearchResult
from roofline.search.run import SweepRun
from roofline.search.uncertainty import Errors, assess, distance
from roofline.search.verdict import add_confidence, add_survival
from spec_files import SpecError, format_quantity

if TYPE_CHECKING:
    import pandas as pd

    from roofline.search.sweep import Sweep

FORMAT_PARTS = ("weight", "kv", "activation")


class Unfinished(SpecError):
    """Nothing was found so far, and the search can go on."""


def nothing_left(sweep: Sweep, problem: Problem, result: SearchResult) -> SpecError:
    """Say what no candidate meets, and what one does; Unfinished where more may come."""
    so_far = (
        f"no candidate of {sweep.space.name} that meets all limits on {sweep.device.name} was "
        "found so far"
    )
    if result.pruning is not None:
        if result.pruning.open:
            still = f"{result.pruning.open:,} of {result.pruning.boxes:,} boxes are open"
            return Unfinished(f"{so_far}: {still}; give it more --max-seconds")
    elif result.evaluated < result.valid:
        return SpecError(
            f"{so_far}, of {result.evaluated:,} judged of {result.valid:,}; --method exact judges "
            "all"
        )
    sample = sweep.space.at(problem.sample(2**14))
    if not len(sample):
        return SpecError(
            f"no candidate of {sweep.space.name} meets all limits on {sweep.device.name}"
        )
    said = problem.evaluate(sample).quantities
    hints = []
    for limit in sweep.limits():
        kind = DIMENSIONS[limit.objective]
        best = float(np.nanmin(said[limit.objective]))
        if best > limit.limit:
            hints.append(
                f"{limit.objective} at most {format_quantity(limit.limit, kind)}, where "
                f"the least of a sample is {format_quantity(best, kind)}"
            )
    if not np.any(said["fits"]):
        usable = format_quantity(sweep.device.memory.dram.usable_bytes, "bytes")
        least = format_quantity(float(np.min(said["memory"])), "bytes")
        hints.append(f"none of a sample fits the usable {usable}, the smallest needs {least}")
    if sweep.in_range_only and not np.any(said["in_range"]):
        hints.append("none of a sample lies within the law's data, and only such are asked for")
    why = "; ".join(hints) or "the limits exclude each other"
    return SpecError(
        f"no candidate of {sweep.space.name} meets all limits on {sweep.device.name}: {why}"
    )


def describe(
    sweep: Sweep,
    problem: Problem,
    result: SearchResult,
    others: Sequence[tuple[Problem, SearchResult]],
    summary: dict[str, Any],
) -> SweepRun:
    """Return a front with its knee, the known models beside it, and how sure all of that is.

    others: the searches under other laws. summary: how the search went; gains what is said of it.
    """
    front = _table(sweep, result.architectures)
    front.insert(0, "index", result.indices)
    references = front.iloc[:0].assign(name="")
    if sweep.references:
        # References stand beside candidates of their kind: in the front's commonest formats.
        usual = [str(front[f"{part}_format"].mode()[0]) for part in FORMAT_PARTS]
        models = concatenate([model.architectures() for model in sweep.references])
        weights, kv, activations = usual
        models = models.with_formats(weights, kv=kv, activations=activations)
        references = _table(sweep, models)
    apart = distance(front[[COLUMNS[name] for name in sweep.objectives]].to_numpy())
    order = np.argsort(apart, kind="stable")
    knee = int(order[0])
    shape = ["layers", "width", "query_heads", "kv_heads", "ffn_width", "experts"]
    other = (front[shape] != front.loc[knee, shape]).any(axis=1).to_numpy()
    rest = [int(row) for row in order[1:] if other[row]]
    runner_up = rest[0] if rest else None
    errors = Errors.of(
        sweep.law, sweep.calibrated(), sweep.main_processor, sweep.ideal, sweep.own_intervals
    )
    found = assess(problem, result.indices, errors, knee, runner_up, seed=sweep.seed)
    summary |= add_confidence(front, found, errors)
    if others:
        summary |= add_survival(front, knee, sweep.laws, result, others)
    return SweepRun(sweep, front, references, knee, runner_up, summary)


def _table(sweep: Sweep, arch: Architectures) -> pd.DataFrame:
    """Return everything that is known of some candidates, a row each."""
    import pandas as pd

    law = sweep.law
    found = sweep.estimate(arch)
    floor = found if sweep.ideal else sweep.estimate(arch, ideal=True)
    ends = {name: found.interval(name, floor) for name in ("ttft", "tpot", "latency", "energy")}
    loss = predict(law, arch)
    words = np.array(BOUNDS)
    table = pd.DataFrame(
        {
            "loss": loss.loss,
            "loss_penalty": loss.penalty,
            "ttft_s": found.ttft,
            "ttft_s_low": ends["ttft"][0],
            "ttft_s_high": ends["ttft"][1],
            "tpot_s": found.tpot,
            "tpot_s_low": ends["tpot"][0],
            "tpot_s_high": ends["tpot"][1],
            "latency_s": found.latency,
            "latency_s_low": ends["latency"][0],
            "latency_s_high": ends["latency"][1],
            "energy_j": found.energy,
            "energy_j_low": ends["energy"][0],
            "energy_j_high": ends["energy"][1],
            "memory_bytes": found.memory_bytes,
            "tokens_per_s": found.tokens_per_s,
            "parameters": found.parameters.astype(np.int64),
            "active_parameters": found.active_parameters.astype(np.int64),
            "weight_bytes": found.weight_bytes,
            "kv_cache_bytes": found.kv_cache_bytes,
            "prefill_bound": words[found.prefill_bound],
            "decode_bound": words[found.decode_bound],
            "bound": words[found.bound],
            "fits": found.fits,
            "in_range": loss.in_range,
            "out_of_range": out_of_range_reasons(law, arch),
        }
    )
    if found.placement is not None:
        placed = np.array([str(option) for option in found.placements], dtype=object)
        table["placement"] = placed[found.placement]
    return pd.concat([arch.to_frame(), table], axis=1)
