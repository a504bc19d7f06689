"""Answers that revise earlier ones: in one chain, in parallel chains, or in one long thought.

A revision sees up to four earlier answers (arXiv 2408.03314). The model of accuracy, for a question
that a sample solves with probability p:

- a wrong answer is mended with probability FIX p: as by a fresh sample where FIX is 1;
- a right answer is lost with probability FLIP (1 - p), a fresh sample's with FLIP = 1. The paper's
  revisions lose LOST = 38 % of right answers on average; with the difficulty of Llama-3-8B-Instruct
  on MATH that is FLIP = .84;
- LOST and FIX are the task's, and with it the user's, to state;
- all answers of all chains are voted on, or weighed by a verifier as if they were on their own (the
  best one is taken where answers cannot be counted); of budget forcing the last answer counts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from roofline.strategies.population import SUCCESS
from roofline.strategies.schedule import read, write
from roofline.strategies.selection import frozen, plurality
from roofline.strategies.strategy import SAMPLES, Settings, Strategy, judging
from roofline.strategies.tournament import best_score, weighted_vote

if TYPE_CHECKING:
    from roofline.strategies.population import Population
    from roofline.strategies.schedule import Stage
    from roofline.strategies.task import Task
    from roofline.strategies.verifier import Verifier

Array = np.ndarray

SEEN = 4
"""Earlier answers in a revision's context, at most (arXiv 2408.03314)."""
_ALPHA, _BETA = 0.38, 1.134
FLIP_OF_LOST = (_ALPHA + _BETA + 1) / _BETA
"""FLIP over LOST: the mean of 1 - p among right answers is beta / (alpha + beta + 1)."""


class Revisions(Strategy):
    """Chains of revisions, chosen from by a vote or by a verifier."""

    source = "arXiv 2408.03314"
    assumes = (
        "a revision loses a right answer in 38 % of cases on average, in proportion to 1 - p, and "
        "mends a wrong one as often as a fresh sample is right"
    )

    def __init__(self, parallel: bool, verified: bool = False) -> None:
        self.parallel, self.verified, self.counted = parallel, verified, not verified
        self.name = ("sequential-parallel" if parallel else "revisions") + "-weighted" * verified
        kind = "Chains of revisions" if parallel else "Revisions"
        self.title = f"{kind}, weighed by a verifier" if verified else f"{kind}, voted on"

    def settings(self, most: int) -> Settings:
        """Answers in all, waves of one, and how many chains they are in."""
        rows = [
            (n, 1, chains)
            for n in SAMPLES
            if 2 <= n <= most
            for chains in (range(2, n // 2 + 1) if self.parallel else (1,))
            if n % chains == 0 and (n > 2 or self.verified)
        ]
        return Settings.of(rows, "chains")

    def schedule(self, settings: Settings, task: Task) -> tuple[Stage, ...]:
        """Write the answers of all chains at once, each after those that it sees.

        The first five follow on in one context; later ones drop the oldest answer, and so read the
        others anew.
        """
        chains = settings.detail["chains"]
        length, shared = settings.samples / chains, float(task.prompt)
        seen = float(SEEN * task.answer)
        stages = [read("policy", 1.0, shared)]
        for earlier in range(SEEN + 1):
            stages.append(
                write(
                    "policy",
                    chains,
                    task.prompt + earlier * task.answer,
                    task.answer,
                    shared=shared,
                    times=(length > earlier).astype(float),
                )
            )
        later = np.maximum(length - SEEN - 1, 0.0)
        stages += [
            read("policy", chains, seen, keys=shared + seen, shared=shared, times=later),
            write("policy", chains, shared + seen, task.answer, shared=shared, times=later),
        ]
        if self.verified:
            stages += judging(task, settings.samples, length)
        return tuple(stages)

    def accuracy(
        self, settings: Settings, people: Population, verifier: Verifier | None, task: Task
    ) -> Array:
        """By the number of right answers in the chains, (S, M)."""
        c, v = people.concentration, people.options

        def rule(k: int) -> Array:
            if verifier is None:
                return plurality(k, c, v)
            return (weighted_vote if task.votes else best_score)(k, c, v, verifier)

        solved = np.array(
            [
                right_in_chains(
                    int(n // chains), int(chains), task.revision_lost, task.revision_mended
                )
                @ rule(int(n))
                for n, chains in zip(settings.samples, settings.detail["chains"], strict=True)
            ]
        )
        return people.mean(solved)


class BudgetForcing(Strategy):
    """One thought that is made to go on: its end is replaced by `Wait` (arXiv 2501.19393)."""

    name = "budget-forcing"
    title = "Budget forcing"
    source = "arXiv 2501.19393"
    assumes = (
        "each continuation is as long as the first answer and revises it, which loses a right "
        "answer in 38 % of cases on average"
    )

    def settings(self, most: int) -> Settings:
        """Continuations, counted as answers."""
        return Settings.of([(n, 1) for n in SAMPLES if 2 <= n <= min(most, 16)])

    def schedule(self, settings: Settings, task: Task) -> tuple[Stage, ...]:
        """Read once, write on."""
        tokens = settings.samples * task.answer
        return (read("policy", 1.0, float(task.prompt)), write("policy", 1.0, task.prompt, tokens))

    def accuracy(
        self, settings: Settings, people: Population, verifier: Verifier | None, task: Task
    ) -> Array:
        """Success of the last answer, (S, M)."""
        lost, mended = _changes(task.revision_lost, task.revision_mended)
        settled = mended / np.maximum(mended + lost, 1e-300)
        left = (1 - mended - lost) ** (settings.samples[:, None] - 1)
        return people.mean(settled + (SUCCESS - settled) * left)


def _changes(lost: float, mended: float) -> tuple[Array, Array]:
    """Chances to lose a right answer and to mend a wrong one, at every success, (nodes,) each."""
    flip, fix = lost * FLIP_OF_LOST, mended
    return np.minimum(flip * (1 - SUCCESS), 1.0), np.minimum(fix * SUCCESS, 1.0)


@lru_cache(maxsize=512)
def right_in_chains(length: int, chains: int, lost: float, mended: float) -> Array:
    """Distribution of right answers among all of the chains, (nodes, length * chains + 1)."""
    from scipy.fft import irfft, next_fast_len, rfft

    drop, mend = (each[:, None] for each in _changes(lost, mended))
    state = np.zeros((2, len(SUCCESS), length + 1))  # last answer wrong or right, by right so far
    state[0, :, 0], state[1, :, 1] = 1 - SUCCESS, SUCCESS
    for _ in range(length - 1):
        wrong = state[0] * (1 - mend) + state[1] * drop
        right = state[0] * mend + state[1] * (1 - drop)
        state = np.stack([wrong, np.roll(right, 1, axis=1)])
    total = length * chains + 1
    size = int(next_fast_len(total, real=True))
    found = irfft(rfft(state.sum(axis=0), size, axis=1) ** chains, size, axis=1)[:, :total]
    return frozen(np.clip(found, 0.0, 1.0))


STRATEGIES = (
    Revisions(parallel=False),
    Revisions(parallel=False, verified=True),
    Revisions(parallel=True),
    Revisions(parallel=True, verified=True),
    BudgetForcing(),
)
