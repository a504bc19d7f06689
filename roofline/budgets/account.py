"""An answer in words and in plain types: which budget binds, and why the optima differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.budgets.case import SAID, say
from roofline.budgets.closed_forms import sensitivities
from roofline.budgets.discrete import ENGINE, Candidate

if TYPE_CHECKING:
    from roofline.budgets.answer import Answer
    from roofline.budgets.theory import Shape
    from roofline.engine import Estimate

TITLES = {
    "closed form": "closed form",
    "continuous": "continuous (SLSQP)",
    "theory": "best of the space, theory's costs",
    "ideal": "best of the space, engine's floor",
    "calibrated": "best of the space, calibrated engine",
}

_UNPAID = {
    "prefill": ("attention", "head", "normalisation", "router", "embedding"),
    "decode": ("head", "normalisation", "router", "embedding"),
}
"""Operators that the theory charges nothing for; of a prefill's attention, the scores."""

_WORDS = {"attention": "scores", "normalisation": "norms"}


def rows(answer: Answer) -> list[tuple[str, Shape, float, dict[str, float]]]:
    """Return way, shape, loss and what is taken of each budget, for each way that found a model.

    Costs are the theory's for the first three ways, and the engine's for the others.
    """
    found: list[tuple[str, Shape, float, dict[str, float]]] = []
    if answer.closed is not None:
        shape = answer.closed.shape
        found.append(("closed form", shape, float(answer.closed.loss), _costs(answer, shape)))
    shape = answer.optimum.shape
    found.append(("continuous", shape, answer.optimum.loss, _costs(answer, shape)))
    for way, each in answer.candidates.items():
        if each is None:
            continue
        costs = _costs(answer, each.shape)
        if way != "theory":
            costs = _engine_costs(answer, answer.estimates[way])
        found.append((way, each.shape, each.loss, costs))
    return found


def sentences(answer: Answer) -> list[str]:
    """Say what binds, the regime, and how far and why the optima differ."""
    return [
        *answer.notes,
        _binding(answer),
        *_regimes(answer),
        *_closed_and_continuous(answer),
        *_grid(answer),
        *_engine(answer),
        *_penalty(answer),
        f"Rates: {_rates(answer)}.",
    ]


def to_dict(answer: Answer) -> dict[str, Any]:
    """Return the answer in plain types, ready for JSON; SI units."""
    shape, theory = answer.shape, answer.theory
    return {
        "case": answer.case.model_dump(exclude_none=True),
        "law": answer.law.name,
        "basis": theory.rates.basis,
        "peak_flop_s": theory.rates.peak,
        "bandwidth_bytes_s": theory.rates.bandwidth,
        "bytes_per_weight": theory.rates.b_w,
        "limits": answer.limits,
        "binding": list(answer.binding),
        "shares": answer.shares,
        "regime": answer.regime,
        "eta": [
            {
                "budget": eta.budget,
                "eta": eta.value,
                "both_bind_from": eta.low,
                "both_bind_to": eta.high,
                "regime": eta.regime,
            }
            for eta in answer.etas
        ],
        "saved_by_a_tenth_more": answer.worth,
        "at_the_end_of_the_range": answer.at_ends(),
        "sensitivities": {
            name: float(value)
            for name, value in sensitivities(
                shape.width, shape.expansion, shape.gqa, shape.activation, theory.context,
                theory.rates.b_w, theory.rates.b_kv,
            ).items()
        },
        "optima": [
            {
                "way": way,
                **{name: float(value) for name, value in found._asdict().items()},
                "loss": loss,
                "costs": costs,
                "architecture": _row(answer.candidates.get(way)),
            }
            for way, found, loss, costs in rows(answer)
        ],
        "candidates": answer.looked_at,
        "candidates_in_range": answer.inside,
        "said": sentences(answer),
    }  # fmt: skip


def _row(candidate: Candidate | None) -> dict[str, Any] | None:
    return None if candidate is None else candidate.arch.row()


def _costs(answer: Answer, shape: Shape) -> dict[str, float]:
    return {name: float(answer.theory.cost(name, shape)) for name in answer.limits}


def _engine_costs(answer: Answer, found: Estimate) -> dict[str, float]:
    return {name: float(getattr(found, ENGINE[name])[0]) for name in answer.limits}


def _binding(answer: Answer) -> str:
    if not answer.binding:
        held = "; ".join(answer.at_ends())
        return f"No budget binds: the range of law {answer.law.name} ends first ({held})."
    bound = []
    for name in answer.binding:
        worth = answer.worth[name]
        bound.append(
            f"{SAID[name]} ({say(name, answer.limits[name])}; a tenth more would save "
            f"{worth:.4f} nats)"
        )
    slack = [
        f"{SAID[name]} is used to {share:.0%}"
        for name, share in answer.shares.items()
        if name not in answer.binding
    ]
    ends = answer.at_ends()
    return (
        f"Binding: {' and '.join(bound)}; regime: {_REGIMES[answer.regime]}."
        + (f" Not binding: {', '.join(slack)}." if slack else "")
        + (f" The law's range holds back {', '.join(ends)}." if ends else "")
    )


_REGIMES = {
    "memory": "memory-constrained",
    "latency": "latency-constrained",
    "dual": "dual, memory and latency together",
    "range": "none",
}


def _regimes(answer: Answer) -> list[str]:
    """Say eta of each latency, and between which values both bind."""
    said = []
    for eta in answer.etas:
        letter, unit = {"ttft": ("F_p / M", "FLOP/byte"), "tpot": ("M_d / M", "byte/byte")}[
            eta.budget
        ]
        line = f"eta = {letter} = {eta.value:.4g} {unit} for {SAID[eta.budget]}"
        if eta.low is None or eta.high is None:
            said.append(f"{line}.")
            continue
        place = {
            "latency": f"below {eta.low:.3g}, where latency alone binds",
            "memory": f"above {eta.high:.3g}, where memory alone binds",
            "dual": f"between {eta.low:.3g} and {eta.high:.3g}, where both bind",
        }[eta.regime]
        said.append(f"{line}, {place}.")
    return said


def _closed_and_continuous(answer: Answer) -> list[str]:
    ended = answer.optimum.ended
    starts = (
        f"{len(ended)} starts end within {ended[-1] - ended[0]:.1g} nats of each other"
        if len(ended) > 1
        else "one start ended within the budgets"
    )
    if answer.closed is None:
        return [
            f"The closed forms are those of the co-design law, and {answer.law.name} has none; "
            f"the continuous optimum stands alone ({starts})."
        ]
    gap = float(answer.closed.loss) - answer.optimum.loss
    pairs = zip(answer.closed.shape, answer.optimum.shape, strict=True)
    apart = max(abs(float(a) / float(b) - 1) for a, b in pairs)
    line = (
        f"Closed form and continuous optimum differ by {gap:+.1g} nats and at most {apart:.1g} of "
        f"a variable: the same problem, solved twice ({starts})."
    )
    if "latency" in answer.limits:
        line += (
            " The paper prints no optimum under latency as a whole; its conditions are applied to "
            "prefill and steps added up."
        )
    return [line]


def _grid(answer: Answer) -> list[str]:
    """Say what the steps of the space cost."""
    best = answer.candidates["theory"]
    where = f"{answer.looked_at:,} candidates of {answer.space.name}"
    if best is None:
        return [f"None of the {where} is within the budgets and the law's data."]
    gap = best.loss - answer.optimum.loss
    rho, least = best.shape.activation, answer.optimum.shape.activation
    return [
        f"The best of {where} by the same costs is {gap:+.4f} nats away: depths, widths, heads and "
        f"experts come in steps (activation rate {rho:.3g} for {least:.3g}, depth "
        f"{best.shape.layers:g} for {answer.optimum.shape.layers:.1f})."
    ]


def _engine(answer: Answer) -> list[str]:
    """Say what the engine charges for what the theory leaves out, and what that costs."""
    best = answer.candidates["theory"]
    if best is None:
        return []
    lines = []
    found = answer.estimates["theory"]
    taken, theirs = _engine_costs(answer, found), _costs(answer, best.shape)
    compared = ", ".join(
        f"{SAID[name]} {say(name, taken[name])} where the theory says {say(name, theirs[name])}"
        for name in answer.limits
    )
    parts = [f"{phase} {_shares(found, phase)}" for phase in _UNPAID]
    rest = max(0.0, float(found.weight_bytes[0] - answer.theory.cost("memory", best.shape)))
    cache, activations = float(found.kv_cache_bytes[0]), float(found.activation_bytes[0])
    lines.append(
        f"For that candidate the calibrated engine finds {compared}. The theory leaves out, as "
        f"shares of the engine's time: {'; '.join(parts)}; and in memory embedding, norms and "
        f"router ({say('memory', rest)}), cache ({say('memory', cache)}) and "
        f"activations ({say('memory', activations)}). It also takes a prefill "
        "to be bound by computation, while the engine reads every expert that the prompt meets, "
        "and one rate for all kernels, while those of experts and of the cache reach less."
    )
    for way, words in (("ideal", "floor"), ("calibrated", "calibrated costs")):
        other = answer.candidates[way]
        if other is None:
            lines.append(f"By the engine's {words} no candidate is within the budgets.")
            continue
        lines.append(
            f"By the engine's {words} the best candidate is {other.loss - best.loss:+.4f} nats "
            f"from the theory's: {_moves(best, other)}."
        )
    return lines


def _shares(found: Estimate, phase: str) -> str:
    """Say what share of a phase's time each operator takes that the theory leaves out."""
    whole = float((found.ttft if phase == "prefill" else found.tpot_first)[0])
    times = {row.name: float(row.time[0]) / whole for row in found.operators if row.phase == phase}
    told = [
        f"{_WORDS.get(name, name)} {times[name]:.1%}"
        for name in _UNPAID[phase]
        if times.get(name, 0.0) > 5e-4
    ]
    fixed = 1 - sum(times.values())
    return ", ".join([*told, f"fixed time {fixed:.1%}"] if fixed > 5e-4 else told)


def _moves(one: Candidate, other: Candidate) -> str:
    """Say how one candidate differs from another."""
    names = {
        "layers": "depth",
        "width": "width",
        "expansion": "FFN ratio",
        "gqa": "GQA ratio",
        "activation": "activation rate",
    }
    said = [
        f"{words} {getattr(other.shape, name):.3g} for {getattr(one.shape, name):.3g}"
        if name != "width"
        else f"{words} {other.shape.width:g} for {one.shape.width:g}"
        for name, words in names.items()
        if not np.isclose(getattr(one.shape, name), getattr(other.shape, name), rtol=1e-6)
    ]
    return ", ".join(said) or "the same"


def _penalty(answer: Answer) -> list[str]:
    """Say what the number format adds to the loss, which no budget changes."""
    from roofline.laws import predict

    best = answer.candidates["calibrated"] or answer.candidates["theory"]
    if best is None:
        return []
    added = float(predict(answer.law, best.arch).penalty[0])
    if added == 0:
        return []
    return [
        f"Losses are before compression: weights in {answer.case.weights} add {added:.4f} nats to "
        "the best candidate."
    ]


def _rates(answer: Answer) -> str:
    from spec_files import format_quantity

    rates = answer.theory.rates
    fixed = (
        f", {say('ttft', rates.prompt)} fixed a prompt and {say('tpot', rates.step)} a token"
        if rates.prompt or rates.step
        else ""
    )
    return (
        f"{format_quantity(rates.peak, 'compute')}, "
        f"{format_quantity(rates.bandwidth, 'bandwidth')}{fixed} ({rates.basis})"
    )
