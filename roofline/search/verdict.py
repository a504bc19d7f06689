"""What a front's table and summary gain: how sure each member is, and which laws keep it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.search.evolution import ALGORITHMS
from roofline.search.fronts import beaten
from roofline.search.problem import Problem
from roofline.search.result import SearchResult
from roofline.search.uncertainty import Confidence, Errors

if TYPE_CHECKING:
    import pandas as pd

    from roofline.laws import Law

SURE = 0.95
"""Share of draws from which one of two candidates is said to be better."""


def add_confidence(front: pd.DataFrame, found: Confidence, errors: Errors) -> dict[str, Any]:
    """Add to a front what the draws say of each member; return what they say of the whole.

    Columns: loss_low and loss_high behind loss, p_front, p_ and the name of each limit, and
    p_feasible where there are limits.
    """
    at = int(front.columns.get_loc("loss")) + 1
    front.insert(at, "loss_low", found.loss_low)
    front.insert(at + 1, "loss_high", found.loss_high)
    front["p_front"] = found.p_front
    for name, share in found.p_meets.items():
        front[f"p_{name}"] = share
    if found.p_meets:
        front["p_feasible"] = found.p_feasible
    return {
        "decision": decision(found.knee_better, errors),
        "knee_beats_runner_up": found.knee_better,
        "errors": errors.say(),
        "draws": found.draws,
        "contenders": found.contenders,
        "more_rivals_than_drawn": found.cut,
    }


def decision(knee_better: float | None, errors: Errors) -> str:
    """Say whether the knee and the runner-up differ by more than what is not known.

    knee_better: share of draws in which the knee is nearer to the best of everything.
    """
    if knee_better is None:
        return "No member of another shape is there to be the runner-up."
    if not errors.any_known:
        return "No error is known against which the knee and the runner-up could be held."
    said = f"The knee beats the runner-up in {100 * knee_better:.0f} % of draws"
    sure = max(knee_better, 1 - knee_better) >= SURE
    return f"{said}: the difference is {'beyond' if sure else 'inside'} the error."


def add_survival(
    front: pd.DataFrame,
    knee: int,
    laws: Sequence[Law],
    result: SearchResult,
    others: Sequence[tuple[Problem, SearchResult]],
) -> dict[str, Any]:
    """Add to a front which members each law keeps; return that in numbers and words.

    laws: the front's own first. others: the problem and the front under each of the others. A law
    keeps a member that is allowed under it and that no candidate beats. Columns: on_front_ of each
    law, loss_under_ of each other one, in that law's own unit, and survives.
    """
    survives = np.ones(len(front), dtype=bool)
    front[f"on_front_{laws[0].name}"] = survives
    counts = {laws[0].name: {"unit": laws[0].unit, "front_size": len(front), "kept": len(front)}}
    for law, (problem, found) in zip(laws[1:], others, strict=True):
        judged = problem.evaluate(result.architectures)
        kept = judged.feasible & ~beaten(judged.points, found.points)
        kept |= np.isin(result.indices, found.indices)
        front[f"loss_under_{law.name}"] = judged.quantities["loss"]
        front[f"on_front_{law.name}"] = kept
        counts[law.name] = {"unit": law.unit, "front_size": len(found), "kept": int(kept.sum())}
        survives = survives & kept
    front["survives"] = survives
    names = [law.name for law in laws]
    beats = [name for name in names if not front.at[knee, f"on_front_{name}"]]
    fate = f"is beaten under {' and '.join(beats)}" if beats else "survives every law"
    how = ALGORITHMS.get(result.method)
    how = f"{how} has" if how else "it has been"
    searched = "" if result.exact else f", as far as {how} searched"
    return {
        "survival": f"{survives.sum()} of the {len(front)} members survive every law: no candidate "
        f"beats them under {', '.join(names[:-1])} or {names[-1]}{searched}. The knee {fate}.",
        "survivors": int(survives.sum()),
        "laws": counts,
    }
