"""What a strategy is: settings, a schedule of passes for each, and the accuracy of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from roofline.strategies.schedule import Number, Stage, read, write

if TYPE_CHECKING:
    from roofline.strategies.population import Population
    from roofline.strategies.task import Task
    from roofline.strategies.verifier import Verifier

Array = np.ndarray

SAMPLES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Numbers of answers that are tried."""
MOST_SAMPLES = SAMPLES[-1]


@dataclass(frozen=True, eq=False)
class Settings:
    """Columns over the S settings of a strategy.

    samples: answers in all. waves: groups of equal size that they are decoded in, one after the
    other. detail: columns of the strategy's own (beam width, chains, ...).
    """

    samples: Array
    waves: Array
    detail: dict[str, Array]

    def __len__(self) -> int:
        return len(self.samples)

    @classmethod
    def of(cls, rows: Sequence[tuple[int, ...]], *names: str) -> Settings:
        """Build from rows of (samples, waves, *detail)."""
        table = np.array(rows, dtype=float).reshape(len(rows), 2 + len(names))
        detail = {name: table[:, 2 + i] for i, name in enumerate(names)}
        return cls(table[:, 0], table[:, 1], detail)


class Strategy(ABC):
    """A way to spend computation on one question.

    name: unique; title: for people; source: who published it. verified: whether it asks a
    verifier; stepwise: about unfinished answers. counted: whether it must tell which answers are
    the same. decodes: which models it is of, those that write token by token or by diffusion.
    assumes: what its accuracy rests on beyond the model of difficulty; empty for nothing.
    """

    name: str
    title: str
    source: str
    verified: bool = False
    stepwise: bool = False
    counted: bool = False
    decodes: Literal["autoregressive", "diffusion"] = "autoregressive"
    assumes: str = ""

    @abstractmethod
    def settings(self, most: int) -> Settings:
        """Return the settings of at most so many answers."""

    @abstractmethod
    def schedule(self, settings: Settings, task: Task) -> tuple[Stage, ...]:
        """Return the stages, with columns over the settings."""

    @abstractmethod
    def accuracy(
        self, settings: Settings, people: Population, verifier: Verifier | None, task: Task
    ) -> Array:
        """Return the share of questions answered right, (S, M) for M models."""


def splits(most: int, least: int = 2) -> Settings:
    """Return numbers of answers, each in every number of waves that divides it."""
    rows = [(n, w) for n in SAMPLES if least <= n <= most for w in range(1, n + 1) if n % w == 0]
    return Settings.of(rows)


def sampling(task: Task, samples: Number, waves: Number) -> tuple[Stage, ...]:
    """Read the prompt once, then write the answers, wave by wave, all from its one cache."""
    return (
        read("policy", 1.0, float(task.prompt)),
        write(
            "policy", np.divide(samples, waves), task.prompt, task.answer,
            shared=float(task.prompt), times=waves,
        ),
    )  # fmt: skip


def judging(task: Task, samples: Number, waves: Number) -> tuple[Stage, ...]:
    """Let the verifier read the prompt once and every answer once, in the same waves."""
    return (
        read("verifier", 1.0, float(task.prompt)),
        read(
            "verifier", np.divide(samples, waves), float(task.answer),
            keys=float(task.prompt + task.answer), shared=float(task.prompt), times=waves,
        ),
    )  # fmt: skip
