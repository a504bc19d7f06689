"""One model of difficulty behind all strategies: how likely a sample is right on each question.

A question's success p is drawn from Beta(alpha, beta); k samples are right or wrong on their own; a
wrong one falls on one of V answers, with shares drawn from Dirichlet(c, ..., c). So the number of
right samples is beta-binomial, and every strategy is a row over that number
(`roofline.strategies.selection`). Coverage (pass@k) needs alpha and beta alone:

    pass@k = 1 - B(alpha, beta + k) / B(alpha, beta)

Bins of difficulty, five in arXiv 2408.03314, are quantiles of p: the same, with a truncated Beta.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from roofline.strategies.selection import plurality
from roofline.strategies.tournament import MOST, best_score, weighted_vote
from spec_files import SpecError, find_spec, read_yaml, validate_spec
from spec_files.model import Spec

if TYPE_CHECKING:
    from roofline.strategies.verifier import Verifier

Array = np.ndarray
Kind = Literal["coverage", "majority"]

FOLDER = Path(__file__).parent / "published"
CONCENTRATION, WRONG_ANSWERS = 0.2, 30
"""c and V where no majority vote is known: those of Llama-3-8B-Instruct on MATH."""
MOST_COVERED = 10_000_000
"""Most samples of a coverage: far beyond any that were drawn."""
MOST_VOTES = 4096
"""Most samples of a majority vote."""


class Difficulty(Spec):
    """How hard a task is for a model: success of questions, and the spread of wrong answers.

    Methods take k, samples a question, as a whole number or an array of them, and return shares of
    one of that shape. SpecError for k below 1, not whole, or beyond what a method says.
    """

    name: str = ""
    alpha: float = Field(gt=0, le=1e6)
    """Of the Beta of success per question and sample."""
    beta: float = Field(gt=0, le=1e6)
    """Of the Beta of success per question and sample."""
    concentration: float = Field(default=CONCENTRATION, gt=0, le=1e4)
    """c of the Dirichlet over wrong answers; small where a question has one favourite mistake."""
    wrong_answers: int = Field(default=WRONG_ANSWERS, ge=1, le=1000)
    """V, wrong answers that a question offers."""
    wrong_fitted: bool = False
    """Whether c was fitted to a majority vote, or taken from another model's."""
    model: str = ""
    task: str = ""
    source: str = ""
    date: str = ""
    samples: tuple[int, int] | None = None
    """Least and most samples of the curve that it was fitted to."""
    mean_error: dict[str, float] = Field(default_factory=dict)
    """Mean absolute error of the fit, by kind of curve, as a share of one."""
    errors: dict[str, float] = Field(default_factory=dict)
    """Standard errors of alpha, beta and the concentration, where a fit gave them."""
    power_law: tuple[float, float] | None = None
    """Published (a, b) of coverage = exp(a k^b) (arXiv 2407.21787)."""

    @property
    def pass_at_1(self) -> float:
        """Mean success of one sample."""
        return self.alpha / (self.alpha + self.beta)

    def counts(self, k: int) -> Array:
        """Probability that m of k samples are right, (k + 1,)."""
        return Bin(self).counts(k)

    def coverage(self, k: Array | int) -> Array:
        """Probability that at least one of k samples is right: pass@k, best-of-N with an oracle."""
        return Bin(self).coverage(k)

    def majority(self, k: Array | int) -> Array:
        """Probability that the most frequent of k answers is right, ties broken at random.

        Exact up to 320 samples, within 1e-4 above; at most 4096.
        """
        return Bin(self).majority(k)

    def best_of(self, k: Array | int, verifier: Verifier) -> Array:
        """Probability that the sample of the highest score is right; at most 512 samples."""
        return Bin(self).best_of(k, verifier)

    def weighted(self, k: Array | int, verifier: Verifier) -> Array:
        """Probability that the answer with the largest sum of scores is right; at most 512."""
        return Bin(self).weighted(k, verifier)

    def question_quantiles(self, bins: int = 5) -> tuple[Bin, ...]:
        """Return bins of equally many questions, the easiest first as in arXiv 2408.03314."""
        if isinstance(bins, bool) or not isinstance(bins, int) or not 1 <= bins <= 100:
            raise SpecError(
                f"bins of difficulty: read {bins!r}; write a whole number from 1 to 100"
            )
        return tuple(Bin(self, i / bins, (i + 1) / bins) for i in reversed(range(bins)))

    def at_pass_at_1(self, mean: float) -> Difficulty:
        """Return the same task at another mean success, alpha kept.

        Over the fits to six models of arXiv 2407.21787 on MATH, alpha is .26 to .41 while beta goes
        from .49 to 14: on one task, models differ in beta.
        """
        if not 0 < mean < 1:
            raise SpecError(f"pass@1: read {mean:g}; a mean success lies between 0 and 1")
        return self.model_copy(update={"beta": float(beta_at(self.alpha, mean))})

    @classmethod
    def fit(
        cls,
        k: Array | Sequence[int],
        accuracy: Array | Sequence[float],
        kind: Kind | Sequence[Kind] = "coverage",
        **about: Any,
    ) -> Difficulty:
        """Fit to a curve of (samples, accuracy), by least squares; see `roofline.strategies.fit`.

        kind: of all points, or of each: `coverage` or `majority`. about: other fields (name, ...).
        """
        from roofline.strategies.fit import fit_difficulty

        return fit_difficulty(k, accuracy, kind, **about)


@dataclass(frozen=True)
class Bin:
    """The questions of a difficulty whose success lies between two of its quantiles.

    Methods are those of `Difficulty`: of the shape of k.
    """

    difficulty: Difficulty
    low: float = 0.0
    high: float = 1.0

    @property
    def pass_at_1(self) -> float:
        """Mean success of one sample."""
        return float(self.coverage(1))

    def counts(self, k: int) -> Array:
        """Probability that m of k samples are right, (k + 1,)."""
        here = self.difficulty
        return right_counts(here.alpha, here.beta, k, self.low, self.high)

    def coverage(self, k: Array | int) -> Array:
        """Probability that at least one of k samples is right."""
        here = self.difficulty
        return coverage(here.alpha, here.beta, k, self.low, self.high)

    def majority(self, k: Array | int) -> Array:
        """Probability that the most frequent of k answers is right, ties broken at random."""
        c, v = self.difficulty.concentration, self.difficulty.wrong_answers
        return self._mean(k, MOST_VOTES, lambda n: plurality(n, c, v))

    def best_of(self, k: Array | int, verifier: Verifier) -> Array:
        """Probability that the sample of the highest score is right."""
        c, v = self.difficulty.concentration, self.difficulty.wrong_answers
        return self._mean(k, MOST, lambda n: best_score(n, c, v, verifier))

    def weighted(self, k: Array | int, verifier: Verifier) -> Array:
        """Probability that the answer with the largest sum of scores is right."""
        c, v = self.difficulty.concentration, self.difficulty.wrong_answers
        return self._mean(k, MOST, lambda n: weighted_vote(n, c, v, verifier))

    def _mean(self, k: Array | int, most: int, rule: Callable[[int], Array]) -> Array:
        samples = _samples(k, most)
        found = {n: float(self.counts(n) @ rule(n)) for n in map(int, np.unique(samples))}
        return np.vectorize(found.__getitem__, otypes=[float])(samples)


def beta_at(alpha: Array | float, mean: Array | float) -> Array:
    """Return the beta that gives a mean success, of the shape that both make."""
    return np.asarray(alpha) * (1 - np.asarray(mean)) / np.asarray(mean)


def right_counts(
    alpha: Array | float,
    beta: Array | float,
    k: int,
    low: float = 0.0,
    high: float = 1.0,
) -> Array:
    """Probability that m of k samples are right, (..., k + 1) for alpha and beta of shape (...).

    low, high: quantiles of success that the questions lie between.
    """
    from scipy.special import betainc, betaincinv, betaln, gammaln, xlog1py, xlogy

    a, b = np.asarray(alpha, float)[..., None], np.asarray(beta, float)[..., None]
    m = np.arange(k + 1)
    ways = gammaln(k + 1) - gammaln(m + 1) - gammaln(k - m + 1)
    found = np.exp(ways + betaln(a + m, b + k - m) - betaln(a, b))
    if (low, high) != (0.0, 1.0):
        ends = (betaincinv(a, b, end) for end in (high, low))
        upper, lower = (betainc(a + m, b + k - m, end) for end in ends)
        found = found * (upper - lower) / (high - low)
    total = found.sum(axis=-1, keepdims=True)
    if np.any(total == 0.0):  # all questions of the bin have one success, to the last digit
        at = betaincinv(a, b, (low + high) / 2)
        sure = np.exp(ways + xlogy(m, at) + xlog1py(k - m, -at))
        found, total = np.where(total == 0.0, sure, found), np.where(total == 0.0, 1.0, total)
    return found / total


def coverage(
    alpha: Array | float,
    beta: Array | float,
    k: Array | int,
    low: float = 0.0,
    high: float = 1.0,
) -> Array:
    """Probability that one of k samples is right, of the shape that alpha, beta and k make."""
    from scipy.special import betainc, betaincinv, betaln

    samples = _samples(k, MOST_COVERED)
    none = np.exp(betaln(alpha, beta + samples) - betaln(alpha, beta))
    if (low, high) != (0.0, 1.0):
        ends = (betaincinv(alpha, beta, end) for end in (high, low))
        upper, lower = (betainc(alpha, beta + samples, end) for end in ends)
        none = none * (upper - lower) / (high - low)
    return np.clip(1.0 - none, 0.0, 1.0)


def pass_at_k(samples: Array | int, right: Array | int, k: Array | int) -> Array:
    """Unbiased pass@k of questions with `right` right ones of `samples`: 1 - C(n-c, k) / C(n, k).

    Broadcast; arXiv 2107.03374. SpecError where k is more than the samples, or right ones are.
    """
    from scipy.special import gammaln

    n, c, k = (np.asarray(value, float) for value in (samples, right, k))
    if np.any((k < 1) | (k > n) | (c < 0) | (c > n)):
        raise SpecError("pass@k needs 1 <= k <= samples and 0 <= right <= samples")
    wrong = n - c
    with np.errstate(invalid="ignore"):
        none = gammaln(wrong + 1) - gammaln(wrong - k + 1) - gammaln(n + 1) + gammaln(n - k + 1)
    return np.where(wrong < k, 1.0, 1.0 - np.exp(np.where(wrong < k, 0.0, none)))


def _samples(k: Array | int, most: int) -> Array:
    """Samples as floats; SpecError for what is no whole number from 1 to `most`."""
    samples = np.asarray(k, float)
    bad = ~((samples >= 1) & (samples <= most) & (samples == np.floor(samples)))
    if np.any(bad):
        wrong = samples[bad].flat[0] if samples.ndim else float(samples)
        raise SpecError(f"samples: read {wrong:g}; write a whole number from 1 to {most:,}")
    return samples


def difficulty_names() -> list[str]:
    """Return the names of the shipped difficulties, in alphabetical order."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def load_difficulty(name: str | Path) -> Difficulty:
    """Return a difficulty by its shipped name, or from the YAML file that a path leads to.

    Raises SpecError for an unknown name (with the nearest) or field.
    """
    path = find_spec(name, FOLDER, "difficulty")
    data, lines = read_yaml(path)
    if isinstance(data, dict):
        data = {"name": path.stem} | data
    return validate_spec(data, Difficulty, str(path), lines)
