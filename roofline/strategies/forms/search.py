"""Search over steps of an answer, guided by a process reward model: beam search and lookahead.

N beams write a step each; the verifier scores them; the best N / M are kept, and each is continued
M ways. Lookahead writes k steps further at temperature 0 before it scores, which costs N (k + 1)
samples (arXiv 2408.03314). The model of accuracy:

- a question that a sample solves with probability p needs R steps, each right with p^(1/R) on its
  own, and a beam that took a wrong step stays wrong;
- evidence comes evenly with the steps: after r of R, the scores of right and wrong beams are
  d sqrt(r / R) apart, where d is the verifier's distance for whole answers;
- k steps of lookahead add their evidence, and a right beam shows it if they are right too, so that
  the distance is d sqrt(min(r + k, R) / R) p^(k/R);
- the answers of the last beams are weighed as in weighted best-of-N.

The number of right beams is then a Markov chain, worked out at every success p. That is what a
search could gain where steps go wrong evenly. Most questions have one step on which all hangs, and
there a search is weighted best-of-N: only a share of the questions, the task's `searchable`, gains.
For MATH it is .09, with which 32 beams are as good against 256 samples as REBASE was (arXiv
2408.00724: 45.0 against 42.8 with Mistral-7B, 46.8 against 45.5 with Llemma-7B).
"""

from __future__ import annotations

from functools import lru_cache
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np

from roofline.strategies.population import SUCCESS
from roofline.strategies.schedule import read, write
from roofline.strategies.selection import frozen
from roofline.strategies.strategy import Settings, Strategy
from roofline.strategies.tournament import weighted_vote

if TYPE_CHECKING:
    from roofline.strategies.population import Population
    from roofline.strategies.schedule import Stage
    from roofline.strategies.task import Task
    from roofline.strategies.verifier import Verifier

Array = np.ndarray

BEAMS = (4, 8, 16, 32, 64)
_FARTHEST = 8.0  # distance of scores beyond which a verifier as good as never errs
_TABLES = 9  # distances at which selections are worked out, linear in between


class BeamSearch(Strategy):
    """N beams, of which the best N / M are continued M ways after every step."""

    source = "arXiv 2408.03314"
    verified = True
    stepwise = True
    assumes = (
        "search gains on the share of questions whose steps go wrong evenly (9 % on MATH, fitted "
        "to REBASE against sampling), and is weighted best-of-N on the others"
    )

    def __init__(self, ahead: int = 0) -> None:
        self.ahead = ahead
        self.name = f"lookahead-{ahead}" if ahead else "beam-search"
        self.title = f"Lookahead by {ahead} step{'s' * (ahead > 1)}" if ahead else "Beam search"

    def settings(self, most: int) -> Settings:
        """Beams with M = 4 and M = sqrt(N), all at once: a search has no waves."""
        pairs = {(n, m) for n in BEAMS if n <= most for m in (4, isqrt(n)) if n % m == 0 and m > 1}
        return Settings.of([(n, 1, m) for n, m in sorted(pairs)], "width")

    def schedule(self, settings: Settings, task: Task) -> tuple[Stage, ...]:
        """Write a step of every beam and have it read, round after round.

        Passes of the verifier are costed at the middle round's context, times the rounds.
        """
        n, rounds = settings.samples, float(task.steps)
        step, shared = task.answer / rounds, float(task.prompt)
        middle = task.prompt + (task.answer - step) / 2
        written = (
            write("policy", n, task.prompt, task.answer, shared=shared)
            if not self.ahead
            else write("policy", n, middle, step * (1 + self.ahead), shared=shared, times=rounds)
        )
        new = step * (1 + self.ahead)
        return (
            read("policy", 1.0, shared),
            written,
            read("verifier", 1.0, shared),
            read("verifier", n, new, keys=middle + new, shared=shared, times=rounds),
        )

    def accuracy(
        self, settings: Settings, people: Population, verifier: Verifier | None, task: Task
    ) -> Array:
        """By the chain of right beams, (S, M)."""
        assert verifier is not None
        c, v = people.concentration, people.options
        sizes = zip(settings.samples, settings.detail["width"], strict=True)
        solved = [
            searched(int(n), int(m), task.steps, self.ahead, verifier, c, v) for n, m in sizes
        ]
        flat = people.by_samples(settings.samples, lambda k: weighted_vote(k, c, v, verifier))
        return flat + task.searchable * (people.mean(np.array(solved)) - flat)


@lru_cache(maxsize=256)
def searched(
    beams: int, width: int, rounds: int, ahead: int, verifier: Verifier, c: float, options: int
) -> Array:
    """Probability that a search ends on a right answer, at every success, (nodes,)."""
    kept = beams // width
    d = min(verifier.distance, _FARTHEST)
    grid = np.linspace(0.0, d, _TABLES)
    tables = np.array([selected(beams, kept, float(each)) for each in grid])
    right = SUCCESS ** (1.0 / rounds)
    count = np.arange(beams + 1)
    state = _binomial(count, beams, right[:, None])
    grow = _binomial(count, width * np.arange(kept + 1)[:, None], right[:, None, None])
    for r in range(1, rounds):
        apart = d * np.sqrt(min(r + ahead, rounds) / rounds) * right ** min(ahead, rounds - r)
        at = apart / d * (_TABLES - 1) if d else np.zeros_like(apart)
        below = np.minimum(at.astype(int), _TABLES - 2)
        share = (at - below)[:, None, None]
        chosen = (1 - share) * tables[below] + share * tables[below + 1]
        state = np.einsum("px,pxj,pjy->py", state, chosen, grow, optimize=True)
    return frozen(state @ weighted_vote(beams, c, options, verifier))


@lru_cache(maxsize=1024)
def selected(beams: int, kept: int, distance: float) -> Array:
    """Distribution of right ones among the best `kept` of N beams, x of them right, (N+1, kept+1).

    By the score t of the worst that is kept: j right and the others wrong are above it.
    """
    from scipy.special import log_ndtr

    t = np.linspace(-6.0, distance + 6.0, int(12 * (12 + distance)))[:, None, None]
    x = np.arange(beams + 1)[:, None]
    j = np.arange(kept + 1)
    wrong, others = beams - x, kept - j

    above = log_ndtr(distance - t), log_ndtr(-t)
    below = log_ndtr(t - distance), log_ndtr(t)
    common = (x - j) * below[0] + (wrong - others) * below[1] - t * t / 2
    tilt = distance * t - distance * distance / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        one = np.log(x) + _log_ways(x - 1, j - 1) + _log_ways(wrong, others) + tilt
        one = one + (j - 1) * above[0] + others * above[1]
        two = np.log(wrong) + _log_ways(wrong - 1, others - 1) + _log_ways(x, j)
        two = two + j * above[0] + (others - 1) * above[1]
        terms = np.exp(one + common) + np.exp(two + common)
    found = np.nan_to_num(terms).sum(axis=0)
    return frozen(found / found.sum(axis=1, keepdims=True))


def _log_ways(n: Array | int, r: Array) -> Array:
    """Logarithm of n choose r; minus infinity where there is no way."""
    from scipy.special import gammaln

    n, r = np.broadcast_arrays(np.asarray(n, float), np.asarray(r, float))
    fine = (r >= 0) & (r <= n)
    n, r = np.where(fine, n, 0.0), np.where(fine, r, 0.0)
    return np.where(fine, gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1), -np.inf)


def _binomial(count: Array, of: Array | int, chance: Array) -> Array:
    """Binomial probabilities, broadcast."""
    from scipy.special import xlog1py, xlogy

    few = np.minimum(count, of)
    logs = xlogy(few, chance) + xlog1py(of - few, -chance) + _log_ways(of, count)
    return np.exp(logs)


STRATEGIES = (BeamSearch(), BeamSearch(ahead=1), BeamSearch(ahead=3))
