"""Texts of a diffusion model: one, several that are voted on, and dVoting (arXiv 2602.12153).

Each pass computes prompt and text without a cache, as in the paper. Of a text drawn for a vote two
tokens are committed a pass; dVoting commits what is certain, and takes as many samples as its stop
rule asks for, summed over exactly (`roofline.diffusion.expectation`).
"""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from arch_space.library import decodes_by_diffusion
from roofline.diffusion.expectation import expect, votes
from roofline.strategies.population import SUCCESS
from roofline.strategies.schedule import fill
from roofline.strategies.selection import frozen, plurality
from roofline.strategies.strategy import Settings, Strategy, splits

if TYPE_CHECKING:
    from roofline.strategies.population import Population
    from roofline.strategies.schedule import Stage
    from roofline.strategies.task import Task
    from roofline.strategies.verifier import Verifier

Array = np.ndarray

TOKENS_PER_PASS = 1.97
"""Of dVoting, tokens kept from earlier samples included: LLaDA 8B on MATH500 with texts of 256
tokens, 473.7 passes (arXiv 2602.12153) for the samples that its stop rule is expected to take."""
HASTY, CERTAIN = 0.65, 0.87
"""The odds that a text that is voted on is right, over those of one drawn a token a pass: at two
tokens a pass, and by dVoting. Geometric means over five rows of MATH500 in arXiv 2602.12153, each
solved for so that the published vote is what the difficulty of MATH gives (.59 to .82, and .72 to
1.08)."""
MOST = (3, 5, 7)
"""Samples at most; 5 in the paper."""
_SHARP = 1e9  # how sharply a Beta stands for one success
_UNREPORTED = 0.5


class OneText(Strategy):
    """One text, a token a pass."""

    name = "diffusion"
    title = "One text by diffusion"
    source = "arXiv 2502.09992"
    decodes = "diffusion"

    def settings(self, most: int) -> Settings:
        """One answer."""
        return Settings.of([(1, 1)])

    def schedule(self, settings: Settings, task: Task) -> tuple[Stage, ...]:
        """As many passes as tokens."""
        return (fill("policy", 1.0, _positions(task), times=float(task.answer)),)

    def accuracy(
        self, settings: Settings, people: Population, verifier: Verifier | None, task: Task
    ) -> Array:
        """Success of a sample, (1, M)."""
        return people.mean(SUCCESS[None])


class TextVote(Strategy):
    """Majority vote over texts of two tokens a pass."""

    name = "diffusion-majority"
    title = "Majority vote by diffusion"
    source = "arXiv 2602.12153"
    decodes = "diffusion"
    counted = True
    assumes = (
        f"the odds that a text of two tokens a pass is right are {HASTY} times those of one token "
        "a pass (MATH500)"
    )

    def settings(self, most: int) -> Settings:
        """Three answers or more, in waves."""
        return splits(most, least=3)

    def schedule(self, settings: Settings, task: Task) -> tuple[Stage, ...]:
        """Half as many passes as tokens, over all the texts of a wave."""
        batch = settings.samples / settings.waves
        return (fill("policy", batch, _positions(task), times=settings.waves * task.answer / 2.0),)

    def accuracy(
        self, settings: Settings, people: Population, verifier: Verifier | None, task: Task
    ) -> Array:
        """Exact in the model of difficulty, (S, M)."""
        return hasty_votes(settings.samples, people, HASTY)


class DVoting(Strategy):
    """Samples until they agree, the later ones from what earlier ones agree on."""

    name = "dvoting"
    title = "dVoting"
    source = "arXiv 2602.12153"
    decodes = "diffusion"
    counted = True
    assumes = (
        f"a pass commits or keeps {TOKENS_PER_PASS} tokens, the odds of its texts are {CERTAIN} "
        "times those of one token a pass (MATH500), and as many samples are drawn as of the "
        "diffusion models reported on the task"
    )

    def settings(self, most: int) -> Settings:
        """Samples at most, one after the other."""
        return Settings.of([(n, n) for n in MOST if n <= most])

    def schedule(self, settings: Settings, task: Task) -> tuple[Stage, ...]:
        """The passes that the stop rule is expected to leave."""
        reports = [
            report.pass_at_1
            for name, told in task.models.items()
            if decodes_by_diffusion(name)
            for report in told
        ]
        mean = float(np.mean(reports)) if reports else _UNREPORTED
        people = _questions(
            task.alpha, task.alpha * (1 - mean) / mean, task.concentration, task.wrong_answers
        )
        passes = [
            expect(
                people,
                length=task.answer,
                tokens_per_pass=TOKENS_PER_PASS,
                consistency=0.0,
                most=int(n),
            ).passes[0]
            for n in settings.samples
        ]
        return (fill("policy", 1.0, _positions(task), times=np.array(passes)),)

    def accuracy(
        self, settings: Settings, people: Population, verifier: Verifier | None, task: Task
    ) -> Array:
        """Exact in the model of difficulty, (S, M), by enumeration at every success."""
        return stopped_votes(settings.samples, people, CERTAIN)


def hasty_votes(samples: Array, people: Population, quality: float) -> Array:
    """Accuracy of plain votes over texts whose odds to be right are `quality` times, (S, M)."""
    from scipy.stats import binom

    c, v = people.concentration, people.options
    success = _moved(quality)[:, None]
    distinct, which = np.unique(samples.astype(int), return_inverse=True)
    rows = [binom.pmf(np.arange(k + 1), k, success) @ plurality(k, c, v) for k in distinct.tolist()]
    return people.mean(np.array(rows)[which])


def stopped_votes(samples: Array, people: Population, quality: float) -> Array:
    """Accuracy of dVoting over texts whose odds to be right are `quality` times, (S, M)."""
    c, v = people.concentration, people.options
    return people.mean(np.array([_stopped(int(n), c, v, quality) for n in samples]))


@lru_cache(maxsize=256)
def _stopped(most: int, c: float, v: int, quality: float) -> Array:
    """Accuracy of dVoting at every success, (nodes,)."""
    success = np.clip(_moved(quality), 1e-12, 1.0 - 1e-12)
    sure = _questions(_SHARP * success, _SHARP * (1.0 - success), c, v)
    return frozen(votes(sure, most=most).accuracy)


def _moved(odds: float) -> Array:
    """Success of every question when its odds change by a factor, (nodes,)."""
    return odds * SUCCESS / (1.0 - SUCCESS + odds * SUCCESS)


def _positions(task: Task) -> float:
    return float(task.prompt + task.answer)


def _questions(alpha: Array | float, beta: Array | float, c: float, v: int) -> SimpleNamespace:
    return SimpleNamespace(alpha=alpha, beta=beta, concentration=c, wrong_answers=v)


STRATEGIES = (OneText(), TextVote(), DVoting())
