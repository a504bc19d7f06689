"""What dVoting is expected to do, by exact enumeration of its stop rule.

A question is answered right with a probability drawn from a Beta distribution; a wrong answer is
one of several, whose shares are drawn from a Dirichlet distribution. Given the answers so far,
the next answer then follows Polya's urn, so the tree of all votes that the rule can see is small
and is summed over whole. Later samples are taken to answer like fresh ones; what they decode anew
is priced by how many positions earlier samples agree on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from roofline.diffusion.voting import FRESH, stops
from spec_files import SpecError

Array = np.ndarray
Number = Array | float


class Questions(Protocol):
    """How hard questions are.

    alpha, beta: of the Beta distribution of the probability to be right. concentration: of the
    Dirichlet distribution over wrong answers, the same for each of the `wrong_answers`.
    """

    @property
    def alpha(self) -> Number: ...  # noqa: D102
    @property
    def beta(self) -> Number: ...  # noqa: D102
    @property
    def concentration(self) -> Number: ...  # noqa: D102
    @property
    def wrong_answers(self) -> Number: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Votes:
    """What a stop rule is expected to do. Arrays are (N,) unless said otherwise.

    accuracy: probability that the vote is right. samples: texts written. drawn: (most, N),
    probability that each sample is drawn at all. states: ways for a vote to stand that were summed
    over.
    """

    accuracy: Array
    samples: Array
    drawn: Array
    states: int


@dataclass(frozen=True)
class _Standing:
    """How a vote stands: votes of each answer in the order of its first, and which is right."""

    votes: tuple[int, ...] = ()
    right: int = -1

    def leader(self) -> int:
        """Index of the answer that leads, the first among equals; -1 where there is none."""
        return int(np.argmax(self.votes)) if self.votes else -1

    def plus(self, index: int) -> _Standing:
        """Add a vote to an answer that has some."""
        votes = (*self.votes[:index], self.votes[index] + 1, *self.votes[index + 1 :])
        return _Standing(votes, self.right)


def votes(
    questions: Questions, *, most: int = 5, stopping: bool = True, invalid: Number = 0.0
) -> Votes:
    """Expect accuracy and samples of a vote over at most `most` samples.

    stopping: by dVoting's rule, from the second sample on; else all are drawn and a plain majority
    decides, ties going to the answer that came first. invalid: probability that a sample holds no
    answer. Fields of `questions` and `invalid` may be arrays (N,).
    Raises SpecError for a distribution that does not exist.
    """
    alpha, beta, each, kinds, none = np.broadcast_arrays(
        *(
            np.atleast_1d(np.asarray(each, dtype=float))
            for each in (
                questions.alpha,
                questions.beta,
                questions.concentration,
                questions.wrong_answers,
                invalid,
            )
        )
    )
    _check(alpha, beta, each, kinds, none, most)
    urn = _Urn(alpha, beta, each, kinds, none)
    accuracy = np.zeros_like(alpha)
    drawn = np.zeros((most, *alpha.shape))
    reached: dict[_Standing, Array] = {_Standing(): np.ones_like(alpha)}
    states = 0
    for sample in range(most):
        going: dict[_Standing, Array] = {}
        for standing, chance in reached.items():
            drawn[sample] += chance
            for after, share in _next(standing, urn):
                going[after] = going.get(after, 0.0) + chance * share
        states += len(going)
        reached = {}
        for standing, chance in going.items():
            last = sample + 1 == most
            enough = sample >= 1 and bool(
                stops(max(standing.votes, default=0), sum(standing.votes), most)
            )
            if last or (stopping and enough):
                accuracy += chance * (standing.right >= 0 and standing.leader() == standing.right)
            else:
                reached[standing] = chance
        if not reached:
            break
    return Votes(accuracy, drawn.sum(axis=0), drawn, states)


@dataclass(frozen=True, eq=False)
class _Urn:
    """Where answers come from: Beta, Dirichlet, and the chance of none; each (N,)."""

    alpha: Array
    beta: Array
    each: Array
    kinds: Array
    none: Array


def _next(standing: _Standing, urn: _Urn) -> list[tuple[_Standing, Array]]:
    """How a vote may stand after one more sample, with probabilities (N,)."""
    found, right = standing.votes, standing.right
    known_right = found[right] if right >= 0 else 0
    known_wrong = sum(found) - known_right
    correct = (1.0 - urn.none) * (urn.alpha + known_right) / (urn.alpha + urn.beta + sum(found))
    wrong = (1.0 - urn.none - correct) / (urn.each * urn.kinds + known_wrong)
    unseen = urn.kinds - (len(found) - (right >= 0))
    after = [(standing, urn.none)]
    after += [
        (standing.plus(i), correct if i == right else wrong * (urn.each + count))
        for i, count in enumerate(found)
    ]
    if right < 0:
        after.append((_Standing((*found, 1), len(found)), correct))
    fresh = wrong * urn.each * np.maximum(unseen, 0.0)
    after.append((_Standing((*found, 1), right), fresh))
    return [(place, share) for place, share in after if np.any(share > 0)]


def _check(alpha: Array, beta: Array, each: Array, kinds: Array, none: Array, most: int) -> None:
    for name, values in (("alpha", alpha), ("beta", beta), ("concentration", each)):
        if not (values > 0).all():
            raise SpecError(f"difficulty {name}: read {values.min():g}; it must be above 0")
    if not (kinds >= 1).all():
        raise SpecError(f"difficulty wrong_answers: read {kinds.min():g}; it must be at least 1")
    if not ((none >= 0) & (none < 1)).all():
        raise SpecError("the share of samples without an answer must lie in [0, 1)")
    if isinstance(most, bool) or most != int(most) or not 1 <= most <= 15:
        raise SpecError(f"most samples: read {most!r}; write a whole number from 1 to 15")


@dataclass(frozen=True, eq=False)
class Expected:
    """What dVoting costs. accuracy, samples, passes: (N,). fresh, later: passes of one sample.

    fresh: of one that starts fully masked; later: (most - 3, N), of samples 4, 5, ...
    """

    accuracy: Array
    samples: Array
    passes: Array
    fresh: Array
    later: Array


def expect(
    questions: Questions,
    *,
    length: Number,
    tokens_per_pass: Number,
    consistency: Number,
    most: int = 5,
    remasked: float = 0.25,
    invalid: Number = 0.0,
) -> Expected:
    """Expect accuracy, samples and passes of dVoting.

    length: tokens of a text. tokens_per_pass: that a pass commits, on average. consistency: share
    of positions outside the last part on which a further sample agrees with all before it, so that
    k samples agree on consistency^(k - 1). remasked: last share of a text, decoded by all samples.
    A sample that keeps positions takes passes for the others only.
    Raises SpecError where a share lies outside [0, 1] or a pass commits less than one token.
    """
    rate = np.atleast_1d(np.asarray(consistency, dtype=float))
    if not ((rate >= 0) & (rate <= 1)).all():
        raise SpecError(f"consistency: read {consistency!r}; write a share from 0 to 1")
    speed = np.atleast_1d(np.asarray(tokens_per_pass, dtype=float))
    if not (speed >= 1).all():
        raise SpecError(f"tokens per pass: read {tokens_per_pass!r}; a pass commits at least one")
    found = votes(questions, most=most, invalid=invalid)
    fresh = np.asarray(length, dtype=float) / speed
    earlier = np.arange(FRESH, max(most, FRESH))[:, None]
    later = fresh * (1.0 - (1.0 - remasked) * rate ** (earlier - 1))
    passes = found.drawn[:FRESH].sum(axis=0) * fresh
    if most > FRESH:
        passes = passes + (found.drawn[FRESH:] * later).sum(axis=0)
    return Expected(found.accuracy, found.samples, passes, fresh, later)
