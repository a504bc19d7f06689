"""The enumerated stop rule against simulation, a closed form, and the algorithm that runs."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofline.diffusion.expectation import expect, votes
from roofline.diffusion.voting import NO_ANSWER, dvoting, stops, tally
from spec_files import SpecError

from .toy import RunningSums


@dataclass(frozen=True)
class Hard:
    alpha: float = 2.0
    beta: float = 1.0
    concentration: float = 0.2
    wrong_answers: int = 10


def simulate(questions, most, invalid, count, seed):
    """Draw questions, answers and stops one by one: accuracy and samples of each."""
    random = np.random.default_rng(seed)
    right = random.beta(questions.alpha, questions.beta, size=count)
    kinds = questions.wrong_answers
    shares = random.dirichlet(np.full(kinds, questions.concentration), size=count)
    edges = np.cumsum(shares, axis=1)
    drawn = (random.random((count, most, 1)) > edges[:, None, :]).sum(axis=2).clip(max=kinds - 1)
    answers = np.where(random.random((count, most)) < right[:, None], 0, 1 + drawn)
    answers = np.where(random.random((count, most)) < invalid, NO_ANSWER, answers)
    samples = np.full(count, most)
    for i in range(most - 1, 1, -1):
        _, top, valid = tally(answers[:, :i])
        samples = np.where(stops(top, valid, most), i, samples)
    seen = np.where(np.arange(most) < samples[:, None], answers, NO_ANSWER)
    return tally(seen)[0] == 0, samples


@pytest.mark.parametrize(
    ("questions", "most", "invalid"),
    [
        (Hard(), 5, 0.0),
        (Hard(0.5, 0.7, 1.0, 3), 5, 0.0),
        (Hard(6.0, 2.0, 0.05, 30), 5, 0.15),
        (Hard(1.0, 3.0, 0.5, 1), 7, 0.0),
        (Hard(2.0, 2.0, 0.3, 4), 4, 0.3),
        (Hard(2.0, 2.0, 0.3, 4), 3, 0.0),
    ],
)
def test_enumeration_is_what_simulation_finds(questions, most, invalid):
    count = 200_000
    right, samples = simulate(questions, most, invalid, count, seed=11)
    exact = votes(questions, most=most, invalid=invalid)
    for expected, drawn in ((exact.accuracy[0], right), (exact.samples[0], samples)):
        assert drawn.mean() == pytest.approx(expected, abs=4 * drawn.std() / np.sqrt(count))
    reached = [(samples > i).mean() for i in range(most)]
    np.testing.assert_allclose(reached, exact.drawn[:, 0], atol=4 * 0.5 / np.sqrt(count))


@settings(max_examples=40, deadline=None)
@given(st.floats(0.2, 9), st.floats(0.2, 9), st.floats(0.05, 3))
def test_two_answers_and_three_samples_by_hand(alpha, beta, concentration):
    """One wrong answer: three samples stop after two that agree; the moments of a Beta say when."""
    total = alpha + beta
    p1, p2 = alpha / total, alpha * (alpha + 1) / (total * (total + 1))
    p3 = p2 * (alpha + 2) / (total + 2)
    found = votes(Hard(alpha, beta, concentration, 1), most=3)
    agree = 1 - 2 * (p1 - p2)
    # floor(3 / 2) = 1: two that agree are both valid answers, and stop; so do 1 + 1 never.
    assert found.samples[0] == pytest.approx(2 * agree + 3 * (1 - agree))
    assert found.accuracy[0] == pytest.approx(p3 + 3 * (p2 - p3))


def test_probabilities_add_up_and_arrays_are_their_rows():
    alpha = np.array([0.3, 2.0, 8.0])
    together = votes(Hard(alpha, 1.5, 0.2, 10), invalid=0.1)
    for i, each in enumerate(alpha):
        alone = votes(Hard(each, 1.5, 0.2, 10), invalid=0.1)
        assert together.accuracy[i] == pytest.approx(alone.accuracy[0], rel=1e-12)
        assert together.samples[i] == pytest.approx(alone.samples[0], rel=1e-12)
    assert together.drawn[:2] == pytest.approx(1.0)
    assert (np.diff(together.drawn, axis=0) <= 1e-12).all()


def test_without_stopping_it_is_a_plain_majority():
    """All five drawn; and stopping early never gains accuracy of its own."""
    plain, early = votes(Hard(), stopping=False), votes(Hard())
    assert plain.samples[0] == pytest.approx(5.0)
    assert early.samples[0] < 4
    assert early.accuracy[0] < plain.accuracy[0]


def test_expected_passes_by_hand():
    """Certain questions take two samples; hopeless ones five, of which the later are short."""
    sure = expect(Hard(1e9, 1e-3), length=256, tokens_per_pass=4, consistency=0.8)
    assert sure.passes[0] == pytest.approx(2 * 64, rel=1e-6)
    never = Hard(1e-9, 1.0, 1e9, 10**9)  # no two answers alike
    lost = expect(never, length=256, tokens_per_pass=4, consistency=0.8)
    later = sum(64 * (1 - 0.75 * 0.8**k) for k in (2, 3))
    assert lost.samples[0] == pytest.approx(5)
    assert lost.passes[0] == pytest.approx(3 * 64 + later, rel=1e-6)


def fitted(model, texts, random):
    """Difficulty of a table of questions, from many samples, by the method of moments."""
    answers = np.stack([model.answer(t) for t in texts])
    right = (answers == model.truth).mean(axis=0)
    n = len(texts)
    mean = right.mean()
    spread = (right.var() - mean * (1 - mean) / n) / (1 - 1 / n)
    size = mean * (1 - mean) / spread - 1
    pair = random.permutation(n)
    one, two = answers, answers[pair]
    both = (one != model.truth) & (two != model.truth) & (pair != np.arange(n))[:, None]
    same = (one == two)[both].mean()  # (c + 1) / (V c + 1)
    kinds = 15
    each = (1 - same) / (same * kinds - 1)
    return Hard(mean * size, (1 - mean) * size, each, kinds)


def test_the_twin_foretells_the_algorithm_that_runs():
    """Samples, passes and accuracy of dVoting on the toy, from single samples alone."""
    from roofline.diffusion.decoding import decode, masked_texts
    from roofline.diffusion.rules import EntropyBelow

    model = RunningSums(150, 16, error=(0.3, 0.6), seed=77)
    random = np.random.default_rng(6)
    texts, passes = [], []
    for _ in range(24):
        made = decode(model, masked_texts(model.prompts, 32), 32, block=16, rule=EntropyBelow(),
                      temperature=0.6, random=random)  # fmt: skip
        texts.append(made.tokens[:, 1:])
        passes.append(made.passes)
    questions = fitted(model, texts, random)
    inner = np.stack(texts)[:, :, :24]
    consistency = (inner[:-1] == inner[1:]).mean()
    twin = expect(questions, length=32, tokens_per_pass=32 / np.mean(passes),
                  consistency=consistency)  # fmt: skip
    runs = [dvoting(model, model.prompts, 32, model.answer, seed=s) for s in range(6)]
    assert np.mean([r.samples for r in runs]) == pytest.approx(twin.samples[0], rel=0.06)
    assert np.mean([r.passes for r in runs]) == pytest.approx(twin.passes[0], rel=0.12)
    accuracy = np.mean([(r.answers == model.truth).mean() for r in runs])
    assert accuracy == pytest.approx(twin.accuracy[0], abs=0.04)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: votes(Hard(alpha=0.0)), "alpha"),
        (lambda: votes(Hard(concentration=-1.0)), "concentration"),
        (lambda: votes(Hard(wrong_answers=0)), "wrong_answers"),
        (lambda: votes(Hard(), most=0), "most samples"),
        (lambda: votes(Hard(), invalid=1.0), "without an answer"),
        (lambda: expect(Hard(), length=8, tokens_per_pass=0.5, consistency=0.5), "at least one"),
        (lambda: expect(Hard(), length=8, tokens_per_pass=2, consistency=1.5), "consistency"),
    ],
)
def test_nonsense_is_one_sentence(call, words):
    with pytest.raises(SpecError, match=words):
        call()
