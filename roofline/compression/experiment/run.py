"""The experiment: each optimiser at the learning rate that suits it best, ten seeds, three widths.

Rates are chosen by held-out loss at full precision, on seeds of their own; embedding and head are
Adam's in both. What is reported is the loss on text that no run was trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from roofline.compression.experiment import network, text
from roofline.compression.experiment.network import Shape, Weights
from roofline.compression.experiment.rounding import peakedness, rounded
from roofline.compression.muon import Adam, Muon

Array = np.ndarray
Tell = Callable[[str], None]

OPTIMISERS = ("adam", "muon")
BITS = (8, 4, 3)
GROUPS = (0, 32)
RATES = {
    "adam": (4e-3, 8e-3, 1.6e-2, 3.2e-2, 6.4e-2),
    "muon": (1e-2, 2e-2, 4e-2, 8e-2, 0.16),
}


@dataclass(frozen=True)
class Plan:
    """How much is trained."""

    steps: int = 700
    batch: int = 256
    characters: int = 200_000
    held_out: int = 20_000
    seeds: int = 10
    tuning_seeds: int = 2
    width: int = 128


@dataclass(frozen=True, eq=False)
class Result:
    """What came out; arrays over optimisers, seeds, groups and widths as their names say.

    rates: chosen; tuning: held-out loss by optimiser and rate, (2, rates). full: held-out loss at
    full precision, (2, seeds). given_up: nats that rounding adds, (2, seeds, groups, bits).
    peaks: largest over root-mean-square weight, (2, seeds).
    """

    plan: Plan
    rates: dict[str, float]
    tuning: Array
    full: Array
    given_up: Array
    peaks: Array


@dataclass(frozen=True, eq=False)
class Data:
    """Stretches of text with what follows: to train on, and to judge by."""

    contexts: Array
    targets: Array
    held_contexts: Array
    held_targets: Array


def data(plan: Plan, shape: Shape) -> Data:
    """Make the texts: one for all runs, its last part held out."""
    letters = text.alphabet()
    codes = text.encoded(text.corpus(plan.characters + plan.held_out, seed=2026), letters)
    learn = text.windows(codes[: plan.characters], shape.context)
    held = text.windows(codes[plan.characters :], shape.context)
    return Data(*learn, *held)


def train(
    optimiser: str, rate: float, table_rate: float, seed: int, plan: Plan, shape: Shape, given: Data
) -> Weights:
    """Train one network; table_rate: Adam's for embedding and head.

    The rate rises over the first twentieth of the steps and falls in a straight line to zero.
    """
    weights = network.initial(shape, seed)
    random = np.random.default_rng([seed, 1])
    hidden = Muon(rate) if optimiser == "muon" else Adam(rate)
    tables = Adam(table_rate)
    for step in range(plan.steps):
        rows = random.integers(0, len(given.targets), plan.batch)
        _, gradients = network.loss_and_gradients(
            weights, shape, given.contexts[rows], given.targets[rows]
        )
        share = min(1.0, (step + 1) / (plan.steps / 20)) * (1 - step / plan.steps)
        hidden.step(weights, {name: gradients[name] for name in shape.hidden}, share)
        tables.step(weights, {name: gradients[name] for name in ("embedding", "head")}, share)
    return weights


def run(plan: Plan | None = None, tell: Tell = lambda _: None) -> Result:
    """Tune both optimisers, train them over the seeds, round what they found."""
    plan = plan or Plan()
    shape = Shape(len(text.alphabet()), width=plan.width)
    given = data(plan, shape)

    def judged(weights: Weights) -> float:
        return network.loss(weights, shape, given.held_contexts, given.held_targets)

    tuning = np.full((len(OPTIMISERS), max(map(len, RATES.values()))), np.nan)
    rates: dict[str, float] = {}
    for i, optimiser in enumerate(OPTIMISERS):
        for j, rate in enumerate(RATES[optimiser]):
            table_rate = rates.get("adam", rate)
            losses = [
                judged(train(optimiser, rate, table_rate, 1000 + seed, plan, shape, given))
                for seed in range(plan.tuning_seeds)
            ]
            tuning[i, j] = float(np.mean(losses))
            tell(f"{optimiser} at {rate:g}: {tuning[i, j]:.4f} nats")
        rates[optimiser] = RATES[optimiser][int(np.nanargmin(tuning[i]))]
    full = np.zeros((len(OPTIMISERS), plan.seeds))
    peaks = np.zeros_like(full)
    given_up = np.zeros((*full.shape, len(GROUPS), len(BITS)))
    for i, optimiser in enumerate(OPTIMISERS):
        for seed in range(plan.seeds):
            weights = train(optimiser, rates[optimiser], rates["adam"], seed, plan, shape, given)
            full[i, seed] = judged(weights)
            peaks[i, seed] = np.mean([peakedness(weights[name]) for name in shape.hidden])
            for g, group in enumerate(GROUPS):
                for b, bits in enumerate(BITS):
                    narrow = {name: rounded(weights[name], bits, group) for name in shape.hidden}
                    given_up[i, seed, g, b] = judged(weights | narrow) - full[i, seed]
            tell(f"{optimiser}, seed {seed}: {full[i, seed]:.4f} nats, {given_up[i, seed, 0]}")
    return Result(plan, rates, tuning, full, given_up, peaks)


def mean_and_error(values: Array) -> tuple[float, float]:
    """Return the mean over seeds and its standard error; values (seeds,)."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
