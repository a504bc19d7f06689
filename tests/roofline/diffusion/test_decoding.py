"""Decoding against exact conditionals, brute force, and the published rules."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roofline.diffusion.decoding import MASK, decode, masked_texts
from roofline.diffusion.rules import (
    ConfidenceAbove,
    EntropyBelow,
    FixedTokens,
    SafeTogether,
    parallel_equals_sequential,
)
from spec_files import SpecError

from .toy import BASE, STATES, RunningSums

ONE = FixedTokens(1)


class Table:
    """A joint distribution over texts of n tokens, written out."""

    def __init__(self, joint):
        self.joint = joint

    def logits(self, tokens):
        length, kinds = self.joint.ndim, self.joint.shape[0]
        said = np.zeros((len(tokens), tokens.shape[1], kinds))
        for row, text in enumerate(tokens[:, -length:]):
            given_seen = self.joint[tuple(slice(None) if t == MASK else t for t in text)]
            unseen = np.flatnonzero(text == MASK)
            for axis, position in enumerate(unseen):
                others = tuple(a for a in range(len(unseen)) if a != axis)
                said[row, position - length] = given_seen.sum(axis=others)
        with np.errstate(divide="ignore"):
            return np.log(said)


def test_the_toy_knows_its_own_conditionals():
    """Forward and backward recursion against the sum over all texts."""
    model = RunningSums(2, 3, hard=0.5, seed=4)
    text = np.array([[1, MASK, 2, MASK, MASK, 3, 0]])
    joint = np.zeros((STATES,) * 3)
    for sums in itertools.product(range(STATES), repeat=3):
        chance, before = 1.0, model.start[1]
        for step, after in enumerate(sums):
            chance *= model.chain[1, step, before, after]
            before = after
        joint[sums] = chance
    joint = joint * (np.arange(STATES) % BASE == 2)[:, None, None]
    joint = joint * (np.arange(STATES) == 12)[None, None, :]
    exact = np.stack([joint.sum(axis=(1, 2)), joint.sum(axis=(0, 2)), joint.sum(axis=(0, 1))])
    np.testing.assert_allclose(model.posterior(text)[0], exact / exact.sum(axis=1)[:, None],
                               atol=1e-6)  # fmt: skip


def test_one_token_a_pass_draws_from_the_joint_distribution():
    """At temperature 1, in an order that what was drawn does not choose."""
    joint = np.random.default_rng(0).dirichlet(np.full(8, 0.5)).reshape(2, 2, 2)
    count = 40_000
    made = decode(Table(joint), masked_texts(np.zeros((count, 1), int), 3), 3, block=1, rule=ONE,
                  temperature=1.0, random=np.random.default_rng(1))  # fmt: skip
    assert (made.passes == 3).all()
    codes = made.tokens[:, 1:] @ [4, 2, 1]
    found = np.bincount(codes, minlength=8) / count
    np.testing.assert_allclose(found, joint.ravel(), atol=4 * 0.5 / np.sqrt(count))


def test_temperature_sharpens_as_a_power():
    """Gumbel noise times T draws from p^(1/T): the single position of one token."""
    p = np.array([0.6, 0.3, 0.1])
    made = decode(Table(p), masked_texts(np.zeros((30_000, 1), int), 1), 1, block=1, rule=ONE,
                  temperature=0.6, random=np.random.default_rng(2))  # fmt: skip
    sharp = p ** (1 / 0.6) / (p ** (1 / 0.6)).sum()
    np.testing.assert_allclose(np.bincount(made.tokens[:, 1]) / 30_000, sharp, atol=0.01)


@pytest.mark.parametrize(("tokens", "block", "passes"), [(1, 8, 32), (2, 16, 16), (3, 8, 12)])
def test_fixed_tokens_take_the_steps_that_they_must(tokens, block, passes):
    model = RunningSums(5, 16)
    made = decode(model, masked_texts(model.prompts, 32), 32, block=block, rule=FixedTokens(tokens))
    assert (made.passes == passes).all()
    assert (made.tokens >= 0).all()


def test_blocks_are_filled_in_order():
    """A model that is asked of a block has all earlier ones before it."""
    model, seen = RunningSums(4, 16, hard=0.4), []
    asked = model.logits

    def watch(tokens):
        seen.append(tokens[:, 1:] == MASK)
        return asked(tokens)

    model.logits = watch
    decode(model, masked_texts(model.prompts, 32), 32, block=8, rule=EntropyBelow())
    for masked in np.concatenate(seen):
        first = masked.argmax() // 8 * 8
        assert masked[first + 8 :].all()


def test_a_batch_is_its_texts_alone():
    model = RunningSums(6, 16, hard=0.4)
    texts = masked_texts(model.prompts, 32)
    together = decode(model, texts, 32, block=16, rule=EntropyBelow())
    for i in range(6):
        alone = decode(model, texts[i : i + 1], 32, block=16, rule=EntropyBelow())
        assert alone.passes[0] == together.passes[i]
        assert (alone.tokens[0] == together.tokens[i]).all()


def test_what_stands_already_stays_and_costs_nothing():
    model = RunningSums(3, 16)
    texts = masked_texts(model.prompts, 32)
    texts[:, 1:17] = 0
    made = decode(model, texts, 32, block=16, rule=ONE)
    assert (made.tokens[:, 1:17] == 0).all()
    assert (made.passes == 16).all()


def test_the_entropy_rule_commits_what_is_below_it_or_the_one_most_confident():
    chosen = np.array([[0.9, 0.5, 0.99, 0.4], [0.5, 0.6, 0.7, 0.2]])
    entropy = np.array([[0.2, 0.7, 0.01, 0.9], [0.7, 0.6, 0.5, 0.9]])
    masked = np.array([[True, True, False, True], [True, True, False, True]])
    assert EntropyBelow(0.3).commits(chosen, entropy, masked).tolist() == [
        [True, False, False, False],
        [False, True, False, False],
    ]
    assert ConfidenceAbove(0.5).commits(chosen, entropy, masked).tolist() == [
        [True, True, False, False],
        [True, True, False, False],
    ]


def test_confidence_of_one_is_one_token_a_pass():
    model = RunningSums(4, 8, hard=0.5)
    made = decode(model, masked_texts(model.prompts, 16), 16, block=16, rule=ConfidenceAbove(1.0))
    assert (made.passes == 16).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(2, 3))
def test_parallel_greedy_is_sequential_greedy_within_the_bound(seed, length, kinds):
    """(n + 1) e <= 1: the theorem of arXiv 2505.22618, on joint distributions at random."""
    random = np.random.default_rng(seed)
    joint = random.dirichlet(np.full(kinds**length, 0.3)).reshape((kinds,) * length)
    best = np.unravel_index(random.integers(kinds**length), joint.shape)
    joint *= 1 - (weight := random.uniform(0.3, 1.0))
    joint[best] += weight
    axes = range(length)
    marginals = [joint.sum(axis=tuple(a for a in axes if a != k)) for k in axes]
    doubt = 1 - min(m.max() for m in marginals)
    if parallel_equals_sequential(length, doubt):
        product = tuple(int(m.argmax()) for m in marginals)
        assert product == np.unravel_index(joint.argmax(), joint.shape)
        made = decode(Table(joint), masked_texts([[0]], length), length, block=length,
                      rule=SafeTogether())  # fmt: skip
        assert made.passes[0] == 1


def test_the_safe_rule_takes_the_largest_number_that_it_may():
    chosen = np.array([[0.99, 0.98, 0.80, 0.76, 0.5]])
    masked = np.ones((1, 5), dtype=bool)
    # n = 2: 3 x .02; n = 3: 4 x .2 = .8; n = 4: 5 x .24 = 1.2.
    assert SafeTogether().commits(chosen, chosen, masked).sum() == 3
    assert SafeTogether(0.5).commits(chosen, chosen, masked).sum() == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: EntropyBelow(0.0), "entropy threshold"),
        (lambda: ConfidenceAbove(1.01), "above 0 and up to 1"),
        (lambda: ConfidenceAbove(0.0), "above 0 and up to 1"),
        (lambda: FixedTokens(0), "at least 1"),
        (lambda: SafeTogether(-1.0), "above 0"),
        (lambda: decode(Table(np.ones(2)), masked_texts([[0]], 12), 12, block=5, rule=ONE),
         "nearest that does is"),
        (lambda: decode(Table(np.ones(2)), masked_texts([[0]], 12), 12, block=0, rule=ONE),
         "at least 1"),
        (lambda: decode(Table(np.ones(2)), masked_texts([[0]], 4), 4, block=4, rule=ONE,
                        temperature=0.6), "source of noise"),
        (lambda: decode(Table(np.ones(2)), masked_texts([[MASK]], 4), 4, block=4, rule=ONE),
         "prompt"),
    ],
)  # fmt: skip
def test_nonsense_is_one_sentence(call, words):
    with pytest.raises(SpecError, match=words) as said:
        call()
    assert "\n" not in str(said.value)
