"""Which recipes there are for a model, and which no other beats within limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from arch_space.formats import FORMATS
from roofline.compression.outcome import Outcome
from roofline.compression.recipe import Optimiser, Recipe
from roofline.compression.steps import Cache, Distil, Lora, Prune, Quantise, Step
from roofline.compression.steps.quantise import GROUPS
from roofline.compression.subject import Subject
from roofline.degradation import gguf, methods, pruning
from roofline.engine.estimate import BOUNDS
from roofline.search.fronts import non_dominated
from spec_files import SpecError

Array = np.ndarray

OBJECTIVES = ("nats", "latency", "memory")
CACHES = ("int8", "int4-g32")
RESOLUTION = 1e-4
"""Nats: finer differences no table resolves."""
_NAMES = {f.name for f in FORMATS}


def quantisations(subject: Subject) -> list[Quantise]:
    """Return every way of quantising the model's weights that has a table and a number format."""
    found: list[Quantise] = []
    for method in methods.METHODS:
        for bits, group in product(methods.BITS[method], (0, *GROUPS)):
            try:
                step = Quantise(method=method, bits=bits, group=group)
                step.effect(subject)
            except ValueError:  # no number format, no table, or a group that does not divide
                continue
            found.append(step)
    found += [Quantise(method="gguf", type=name) for name in gguf.types()]
    found += [
        Quantise(method="gguf", type=name, imatrix=True)
        for name, row in gguf.types(imatrix=True).items()
        if row.imatrix and not gguf.types()[name].imatrix
    ]
    return found


def recipes(subject: Subject, teacher: str | None = None) -> list[Recipe]:
    """Return the recipes that a search looks at, the untouched model first.

    Every quantisation, with and without pruning by SparseGPT or Wanda, an 8- or 4-bit cache, and,
    where there is a teacher, distillation into adapters by Muon.
    """
    trains: list[tuple[Step, ...]] = [()]
    if teacher is not None:
        trains.append((Distil(teacher=teacher), Lora()))
    prunes: list[tuple[Step, ...]] = [()]
    prunes += [(Prune(method=m, pattern=p),) for m in pruning.METHODS[:2] for p in pruning.PATTERNS]
    weights: list[tuple[Step, ...]] = [(), *((step,) for step in quantisations(subject))]
    caches: list[tuple[Step, ...]] = [(), *((Cache(format=name),) for name in CACHES)]
    muon = Optimiser(name="muon")
    return [
        Recipe.model_construct(
            name="",
            steps=train + prune + weight + cache,
            optimiser=muon if train else None,
        )
        for train, prune, weight, cache in product(trains, prunes, weights, caches)
    ]


@dataclass(frozen=True, eq=False)
class Found:
    """The answer: what was judged, and which recipes stand out; rows of the outcome.

    front: (F,) rows that no other allowed one beats in nats, latency and memory, least nats first.
    chosen: the front's least nats; runner_up: the next whose weights differ. published, asked: rows
    of the recipe of arXiv 2601.09865 and of the user's. limits: in SI units. binds: what keeps
    better recipes out, in words.
    """

    outcome: Outcome
    allowed: Array
    front: Array
    chosen: int
    runner_up: int | None
    published: int | None
    asked: int | None
    limits: Mapping[str, float]
    binds: tuple[str, ...]

    def beaten_by(self, row: int) -> int | None:
        """Return the front's row of least nats that beats a row, None where none does."""
        points = objectives(self.outcome)
        for better in self.front:
            worse = points[better] <= points[row]
            if better != row and worse.all() and (points[better] < points[row]).any():
                return int(better)
        return None


def objectives(outcome: Outcome) -> Array:
    """Return what is minimised, (R, 3): nats, seconds, bytes.

    Nats in steps of `RESOLUTION`: of recipes that lose the same the first stays, which has fewer
    steps.
    """
    cost = outcome.cost
    nats = np.round(outcome.nats / RESOLUTION) * RESOLUTION
    return np.stack([nats, cost.latency, cost.memory_bytes], axis=1)


def search(
    outcome: Outcome,
    limits: Mapping[str, float],
    published_row: int | None = None,
    asked: int | None = None,
) -> Found:
    """Choose among judged recipes.

    limits: upper bounds on `memory`, `latency`, `tpot`, `ttft` and `nats`. published_row, asked: of
    recipes to be told apart. Raises SpecError where no recipe keeps the limits, with the nearest.
    """
    cost = outcome.cost
    columns = {
        "memory": cost.memory_bytes,
        "latency": cost.latency,
        "tpot": cost.tpot,
        "ttft": cost.ttft,
        "nats": outcome.nats,
    }
    within = {name: columns[name] <= limit for name, limit in limits.items()}
    within["the device's memory"] = cost.fits
    allowed = np.logical_and.reduce(list(within.values()))
    if not allowed.any():
        raise SpecError(_nothing(columns, limits, cost.fits, outcome))
    points = objectives(outcome)
    rows = np.flatnonzero(allowed)
    front = rows[non_dominated(points[rows])]
    front = front[np.lexsort(points[front].T[::-1])]
    chosen = int(front[0])
    binds = []
    for name, kept in within.items():
        others = [held for other, held in within.items() if other != name]
        free = np.logical_and.reduce(others) if others else np.ones(len(outcome), dtype=bool)
        best = np.flatnonzero(free)[np.argmin(outcome.nats[free])]
        if outcome.nats[best] < outcome.nats[chosen] and not kept[best]:
            saved = outcome.nats[chosen] - outcome.nats[best]
            binds.append(f"{name}: without it {outcome.recipes[best]} would lose {saved:.4f} less")
    binds.append(f"decoding is bound by {BOUNDS[int(cost.decode_bound[chosen])]}")
    return Found(
        outcome=outcome,
        allowed=allowed,
        front=front,
        chosen=chosen,
        runner_up=_next(outcome, front),
        published=published_row,
        asked=asked,
        limits=dict(limits),
        binds=tuple(binds),
    )


def _next(outcome: Outcome, front: Array) -> int | None:
    """The front's next row that treats the weights otherwise than its first does, or any next."""

    def weights(row: int) -> tuple[object, object]:
        recipe = outcome.recipes[row]
        return recipe.step(Prune), recipe.step(Quantise)

    others = [int(row) for row in front[1:] if weights(int(row)) != weights(int(front[0]))]
    return next(iter([*others, *map(int, front[1:])]), None)


def _nothing(
    columns: Mapping[str, Array], limits: Mapping[str, float], fits: Array, outcome: Outcome
) -> str:
    from spec_files import format_quantity

    dimension = {"memory": "bytes", "nats": "ratio"}

    def written(name: str, row: int) -> str:
        value = float(columns[name][row])
        return f"{name} {format_quantity(value, dimension.get(name, 'time'), digits=3)}"

    over = np.zeros(len(outcome))
    for name, limit in limits.items():
        over = np.maximum(over, columns[name] / limit)
    over = np.where(fits, over, np.maximum(over, 1e9))
    near = int(np.argmin(over))
    told = ", ".join(written(name, near) for name in limits)
    if not fits.any():
        return "no recipe fits the device's memory"
    return f"no recipe keeps the limits; nearest is {outcome.recipes[near]} with {told}"


def default_teacher(subject: Subject) -> str | None:
    """Return the 70B model that arXiv 2601.09865 distils, where it can teach this one."""
    try:
        Distil(teacher="llama-3.1-70b").effect(subject)
    except SpecError:
        return None
    return "llama-3.1-70b"
