"""Texts of a diffusion model: one, several that are voted on, and dVoting (arXiv 2602.12153).

Each pass computes prompt and text without a cache, as in the paper. Of a text drawn for a vote two
tokens are committed a pass; dVoting commits what is certain, and takes as many samples as its stop
rule asks for, summed over exactly (`roofline.diffusion.expectation`).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from arch_space.library import decodes_by_diffusion
from roofline.diffusion.expectation import expect, votes
from roofline.strategies.population import SUCCESS
from roofline.strategies.schedule import fill
from roofline.strategies.selection import plurality
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
MOST = (3, 5, 7, 9)
"""Samples at most; 5 in the paper."""
_CERTAIN = 1e9  # how sharply a Beta stands for one success
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
    assumes = "texts of two tokens a pass are as often right as those of one"

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
        c, v = people.concentration, people.options
        return people.by_samples(settings.samples, lambda k: plurality(k, c, v))


class DVoting(Strategy):
    """Samples until they agree, the later ones from what earlier ones agree on."""

    name = "dvoting"
    title = "dVoting"
    source = "arXiv 2602.12153"
    decodes = "diffusion"
    counted = True
    assumes = (
        f"a pass commits or keeps {TOKENS_PER_PASS} tokens, later samples are as often right as "
        "fresh ones, and samples are those of the diffusion models reported on the task"
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
        success = np.clip(SUCCESS, 1e-12, 1.0 - 1e-12)
        certain = _questions(
            _CERTAIN * success, _CERTAIN * (1.0 - success), people.concentration, people.options
        )
        return people.mean(
            np.array([votes(certain, most=int(n)).accuracy for n in settings.samples])
        )


def _positions(task: Task) -> float:
    return float(task.prompt + task.answer)


def _questions(alpha: Array | float, beta: Array | float, c: float, v: int) -> SimpleNamespace:
    return SimpleNamespace(alpha=alpha, beta=beta, concentration=c, wrong_answers=v)


STRATEGIES = (OneText(), TextVote(), DVoting())
