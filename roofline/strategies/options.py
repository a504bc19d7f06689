"""Every option of a plan: model x number format x strategy x answers x waves x verifier, as arrays.

Settings of all strategies (with each verifier that judges the task) stand side by side as columns,
models in all formats as rows; costs and accuracies are matrices. No loop over models, formats or
settings: what repeats is worked out once per strategy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.strategies.difficulty import beta_at
from roofline.strategies.population import Population
from roofline.strategies.reached import Reached, reached
from roofline.strategies.schedule import COST, Cost, Stage, cost
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.strategies.strategy import Settings, Strategy
    from roofline.strategies.task import Task
    from roofline.strategies.verifier import Verifier

Array = np.ndarray
BINS = 5


@dataclass(frozen=True, eq=False)
class Options:
    """R rows (models in formats) by T settings.

    Of a model that cannot do what a setting asks the costs are NaN and the accuracies 0.
    models, formats: (R,) words; strategy, verifier: (T,) words; samples, waves: (T,); detail: (T,)
    words for people. cost: (R, T) each. accuracy, low, high: (R, T), shares of one, with ends that
    hold nine of ten of what models are reported to reach. by_bin: (5, R, T), the easiest first.
    reached: of one answer. judges: the verifiers, by name. skipped: strategies that the task or its
    verifiers do not allow, with the reason.
    """

    models: Array
    formats: Array
    strategy: Array
    verifier: Array
    samples: Array
    waves: Array
    detail: Array
    cost: Cost
    accuracy: Array
    low: Array
    high: Array
    by_bin: Array
    reached: Reached
    judges: dict[str, Verifier]
    skipped: dict[str, str]

    @property
    def count(self) -> int:
        """How many options there are."""
        return int(self.accuracy.size)


def build_options(
    models: Architectures,
    formats: list[str],
    device: Device,
    task: Task,
    chosen: list[Strategy],
    verifiers: list[Verifier],
    most: int,
    **how: Any,
) -> Options:
    """Cost and judge every option.

    models: M, named. formats: of the weights, of policy and verifier alike. most: answers, at
    most. how: processor, runtime and ideal of the engine.
    """
    from arch_space.architectures import concatenate
    from arch_space.library import decodes_by_diffusion

    # rows of one model stand together: (model 0, format 0), (model 0, format 1), ...
    tables = concatenate([models.with_formats(each) for each in formats])
    order = np.arange(len(tables)).reshape(len(formats), len(models)).T.ravel()
    rows = tables[order]
    found = reached(task, models, formats)
    diffuses = np.array([decodes_by_diffusion(name) for name in models.names])
    blocks, skipped = _blocks(chosen, verifiers, task, most, diffuses)
    if not blocks:
        raise SpecError(f"no strategy is left for task {task.name}: {_said(skipped)}")

    costs = _policies(rows, device, blocks, task, how)
    costs = _with_verifiers(costs, formats, device, blocks, task, how)
    able = _able(blocks, np.repeat(diffuses, len(formats)))
    costs = Cost(*(np.where(able, getattr(costs, name), np.nan) for name in COST))
    whole, low, high = (_people(task, each.ravel()) for each in (found.pass_at_1, *found.ends()))
    return Options(
        models=np.repeat(np.array(models.names, dtype=object), len(formats)),
        formats=np.tile(np.array(formats, dtype=object), len(models)),
        strategy=_column(blocks, lambda b: b.strategy.name),
        verifier=_column(blocks, lambda b: b.verifier.name if b.verifier else ""),
        samples=np.concatenate([b.settings.samples for b in blocks]).astype(int),
        waves=np.concatenate([b.settings.waves for b in blocks]).astype(int),
        detail=np.concatenate([_details(b.settings) for b in blocks]),
        cost=costs,
        accuracy=able * _judged(blocks, whole, task),
        low=able * _judged(blocks, low, task),
        high=able * _judged(blocks, high, task),
        by_bin=np.array([able * _judged(blocks, each, task) for each in whole.bins(BINS)]),
        reached=found,
        judges={each.name: each for each in verifiers},
        skipped=skipped,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Block:
    """One strategy, with one verifier or none."""

    strategy: Strategy
    verifier: Verifier | None
    settings: Settings
    stages: tuple[Stage, ...]


def _blocks(
    chosen: list[Strategy],
    verifiers: list[Verifier],
    task: Task,
    most: int,
    diffuses: Array,
) -> tuple[list[Block], dict[str, str]]:
    blocks, skipped = [], {}
    for each in chosen:
        able = [v for v in verifiers if v.stepwise or not each.stepwise]
        judges: list[Verifier | None] = [*able] if each.verified else [None]
        if not np.any(diffuses == (each.decodes == "diffusion")):
            skipped[each.name] = f"no model here is {_WAYS[each.decodes]}"
        elif each.counted and not task.votes:
            skipped[each.name] = "answers to this task cannot be counted"
        elif not judges:
            skipped[each.name] = "no verifier judges this task" + ", step by step" * each.stepwise
        else:
            settings = each.settings(most)
            if not len(settings):
                skipped[each.name] = f"it needs more than {most} answers"
                continue
            stages = each.schedule(settings, task)
            blocks += [Block(each, judge, settings, stages) for judge in judges]
    return blocks, skipped


_WAYS = {"autoregressive": "autoregressive", "diffusion": "a diffusion model"}


def _able(blocks: list[Block], diffuses: Array) -> Array:
    """Which models can do what a setting asks, (R, T): write token by token, or by diffusion."""
    asked = np.concatenate([[b.strategy.decodes == "diffusion"] * len(b.settings) for b in blocks])
    return np.equal(diffuses[:, None], asked[None, :])


def _said(skipped: dict[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in skipped.items()) or "none was named"


def _people(task: Task, mean: Array) -> Population:
    alpha = np.full(len(mean), task.alpha)
    return Population(alpha, beta_at(alpha, mean), task.concentration, task.wrong_answers)


def _judged(blocks: list[Block], people: Population, task: Task) -> Array:
    """Accuracies of all settings, (R, T)."""
    parts = [b.strategy.accuracy(b.settings, people, b.verifier, task) for b in blocks]
    return np.clip(np.concatenate(parts).T, 0.0, 1.0)


def _policies(
    rows: Architectures, device: Device, blocks: list[Block], task: Task, how: dict[str, Any]
) -> Cost:
    """Cost the policy's stages of all blocks in one call of the engine, (R, T)."""
    ends = np.cumsum([0] + [len(b.settings) for b in blocks])
    stages = [
        stage
        for block, start in zip(blocks, ends, strict=False)
        for stage in _placed(block, start, int(ends[-1]), "policy")
    ]
    return cost(rows, device, stages, int(ends[-1]), "policy", **how)


def _placed(block: Block, start: int, total: int, role: str) -> list[Stage]:
    """Stages of a block as columns over the settings of all blocks, absent elsewhere."""
    here = slice(start, start + len(block.settings))
    placed = []
    for stage in block.stages:
        if stage.role == role:
            table = np.tile([1.0, 1.0, 1.0, 1.0, 0.0, 0.0], (total, 1))
            table[here] = stage.columns(len(block.settings))
            placed.append(Stage(stage.role, stage.kind, *table.T))
    return placed


def _with_verifiers(
    costs: Cost,
    formats: list[str],
    device: Device,
    blocks: list[Block],
    task: Task,
    how: dict[str, Any],
) -> Cost:
    """Add what verifiers cost, in the format of the policy's weights."""
    from arch_space.architectures import concatenate
    from arch_space.library import load_model

    totals = {name: getattr(costs, name).copy() for name in COST}
    which = np.arange(costs.seconds.shape[0]) % len(formats)
    start = 0
    for block in blocks:
        here = slice(start, start := start + len(block.settings))
        if block.verifier is None or block.verifier.model is None:
            continue
        judge = load_model(block.verifier.model)
        table = concatenate([judge.with_formats(each) for each in formats])
        added = cost(table, device, block.stages, len(block.settings), "verifier", **how)
        for name in COST:
            totals[name][:, here] += getattr(added, name)[which]
    return Cost(**totals)


def _column(blocks: list[Block], word: Any) -> Array:
    parts = [np.full(len(b.settings), word(b), dtype=object) for b in blocks]
    return np.concatenate(parts)


def _details(settings: Settings) -> Array:
    words = np.full(len(settings), "", dtype=object)
    for name, column in settings.detail.items():
        words += np.array([f"{name} {value:g}" for value in column], dtype=object)
    return words
