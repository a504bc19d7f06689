"""What was published: tables of dVoting and Fast-dLLM, and the ratios that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from spec_files import Spec, SpecError, did_you_mean, read_spec

Array = np.ndarray

FOLDER = Path(__file__).parent / "published"


class Origin(Spec):
    """Where numbers were published, and when they were read."""

    where: str
    date: str


class Score(Spec):
    """Accuracy in percent, and forward passes a question takes."""

    accuracy: float
    steps: float


class VotingRow(Spec):
    """One model, task and length: every method's accuracy and passes."""

    model: str
    task: str
    length: int
    base: Score
    majority: Score
    hex: Score
    dvoting: Score
    rfg: Score | None = None


class VotingTable(Spec):
    """The tables of dVoting."""

    source: Origin
    rows: tuple[VotingRow, ...]


class TokensRow(Spec):
    """Tokens that a pass commits at a threshold of confidence."""

    confidence: float
    tokens_per_step: float


class TokensCurve(Spec):
    """Tokens per step by threshold, and what they were measured on."""

    source: Origin
    setting: str
    block: int
    rows: tuple[TokensRow, ...]


class Timed(Spec):
    """A generation that was timed: its cache, its steps, seconds a step and in all.

    step: seconds of one pass of the kind that the cache leaves, where it is known; `derived` says
    whether it is read off a mean over passes of two kinds.
    """

    name: str
    cache: str
    steps: float
    step: float
    total: float
    derived: bool = False


class TimedTable(Spec):
    """Generations that were timed on one device."""

    source: Origin
    model: str
    device: str
    runtime: str
    prompt: int
    generate: int
    block: int
    rows: tuple[Timed, ...]


@cache
def voting_table() -> VotingTable:
    """Tables of arXiv 2602.12153."""
    return read_spec(FOLDER / "dvoting.yaml", VotingTable)


@cache
def tokens_curve() -> TokensCurve:
    """Tokens per step by confidence threshold, arXiv 2505.22618."""
    return read_spec(FOLDER / "tokens_per_step.yaml", TokensCurve)


@cache
def timed_table() -> TimedTable:
    """Generations of LLaDA 8B timed on an A100, arXiv 2505.22618."""
    return read_spec(FOLDER / "fast_dllm_a100.yaml", TimedTable)


def tokens_at(confidence: Array | float) -> Array:
    """Tokens per step at a confidence threshold, by lines between the published ones.

    Raises SpecError outside (0, 1], and below the lowest published threshold.
    """
    from roofline.diffusion.rules import check_confidence

    curve = tokens_curve()
    at = np.array([row.confidence for row in curve.rows])
    asked = np.asarray(confidence, dtype=float)
    for each in np.atleast_1d(asked):
        check_confidence(float(each))
        if each < at.min():
            raise SpecError(
                f"confidence threshold: read {each:g}; tokens per step were published from "
                f"{at.min():g} to {at.max():g}, so give --tokens-per-step"
            )
    return np.interp(asked, at, [row.tokens_per_step for row in curve.rows])


@dataclass(frozen=True)
class Benefit:
    """One method beside the base model. gain: percentage points; cost: times the base's passes."""

    gain: float
    cost: float

    @property
    def per_cost(self) -> float:
        """Benefit per cost of arXiv 2602.12153: points gained per multiple of the base's passes."""
        return self.gain / self.cost


def benefit(score: Score, base: Score) -> Benefit:
    """Return what a method gains and costs beside the base model."""
    if not base.steps > 0 or not score.steps > 0:
        raise SpecError("benefit per cost needs passes above 0")
    return Benefit(score.accuracy - base.accuracy, score.steps / base.steps)


def speed_ups(model: str, tasks: tuple[str, ...], rival: str) -> Array:
    """Return how many times fewer passes dVoting takes than a rival, one for each published row."""
    if rival not in RIVALS:
        raise SpecError(f"unknown method {rival!r}{did_you_mean(rival, RIVALS)}")
    pairs = [
        (getattr(row, rival), row.dvoting)
        for row in voting_table().rows
        if row.model == model and row.task in tasks
    ]
    return np.array([one.steps / other.steps for one, other in pairs if one is not None])


RIVALS = ("base", "majority", "hex", "rfg")
METHODS = ("base", "majority", "hex", "rfg", "dvoting")
