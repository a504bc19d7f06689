"""dVoting against its published rules, its rivals and, for the ratios, its own tables."""

import numpy as np
import pytest

from roofline.diffusion.decoding import MASK
from roofline.diffusion.voting import (
    NO_ANSWER,
    Guided,
    agreed,
    dvoting,
    hex_vote,
    majority_vote,
    stops,
    tally,
)
from spec_files import SpecError

from .toy import RunningSums

SEEDS = 20


@pytest.fixture(scope="module")
def runs():
    """Both votes on 20 tables of 60 questions each."""
    found = []
    for seed in range(SEEDS):
        model = RunningSums(60, 16, error=(0.3, 0.6), seed=1000 + seed)
        asked = (model, model.prompts, model.length, model.answer)
        found.append((model, dvoting(*asked, seed=seed), majority_vote(*asked, seed=seed)))
    return found


def test_dvoting_takes_fewer_passes_than_a_majority_vote_and_is_no_worse(runs):
    """Over 20 seeds; five samples at length / 2 passes are 2.5 lengths."""
    ours = np.array([(d.answers == m.truth).mean() for m, d, _ in runs])
    theirs = np.array([(v.answers == m.truth).mean() for m, _, v in runs])
    assert all((v.passes == 2.5 * m.length).all() for m, _, v in runs)
    assert all(d.passes.mean() < v.passes.mean() / 2 for _, d, v in runs)
    assert ours.mean() > theirs.mean()
    assert (ours >= theirs).sum() >= SEEDS - 1


def test_voting_itself_helps(runs):
    """The vote is better than the first of its samples."""
    first = np.mean([(d.ballots[:, 0] == m.truth).mean() for m, d, _ in runs])
    voted = np.mean([(d.answers == m.truth).mean() for m, d, _ in runs])
    assert voted > first + 0.02


def test_samples_stop_where_the_published_rule_says(runs):
    """Replayed by hand from the ballots, question by question."""
    for _, d, _ in runs[:5]:
        for ballots, samples in zip(d.ballots.tolist(), d.samples.tolist(), strict=True):
            for i in range(1, 6):
                so_far = [b for b in ballots[:i] if b != NO_ANSWER]
                top = max((so_far.count(b) for b in so_far), default=0)
                over = i >= 2 and (top > 2 or (top == len(so_far) and top >= 2))
                if over or i == 5:
                    break
            assert i == samples


@pytest.mark.parametrize(
    ("top", "valid", "over"),
    [(1, 2, False), (2, 2, True), (2, 3, False), (3, 3, True), (3, 4, True), (2, 4, False),
     (0, 2, False), (1, 1, False)],
)  # fmt: skip
def test_two_that_agree_or_any_three(top, valid, over):
    assert bool(stops(top, valid, 5)) is over


def test_the_leader_is_the_first_among_equals_and_invalid_answers_do_not_count():
    ballots = np.array([[7, 3, 3, 7, NO_ANSWER], [NO_ANSWER] * 5, [NO_ANSWER, 1, 2, 2, NO_ANSWER]])
    answers, top, valid = tally(ballots)
    assert answers.tolist() == [7, NO_ANSWER, 2]
    assert top.tolist() == [2, 0, 2]
    assert valid.tolist() == [4, 0, 3]


def test_a_position_is_kept_only_where_all_agree_and_never_in_the_last_quarter():
    """A sample in the middle that differs is enough to decode a position anew."""
    texts = np.tile(np.arange(8), (1, 4, 1))
    texts[0, 1, 1] = 9
    texts[0, 3, 4] = 9
    assert agreed(texts)[0].tolist() == [True, False, True, True, False, True, False, False]
    assert agreed(texts, 0.5)[0].tolist() == [True, False, True, True] + [False] * 4
    assert agreed(texts, 0.0)[0].tolist()[6:] == [True, True]


def test_samples_one_to_three_start_masked_and_later_ones_from_what_is_agreed():
    """Watched from the model's side: the first text that each sample shows it."""
    model = RunningSums(40, 16, error=(0.5, 0.6), hard=0.4, seed=3)
    begun = []
    asked = model.logits

    def watch(tokens):
        begun.append(tokens.copy())
        return asked(tokens)

    model.logits = watch
    found = dvoting(model, model.prompts, 32, model.answer, seed=5)
    assert (found.samples > 3).any()
    fresh = [t for t in begun if (t[:, 1:] == MASK).all()]
    assert len(fresh) == 3
    late = found.samples > 3
    assert (found.kept[late, 3] > 0).any()
    assert (found.kept[late, 3] <= 0.75).all()
    assert (np.nan_to_num(found.kept[:, :3]) == 0).all()
    assert np.isnan(found.kept[~late, 3]).all()
    assert found.each[late, 3].mean() < found.each[late, 2].mean()


def test_hex_takes_five_times_the_passes_of_the_majority_vote():
    """12.5 lengths, with five block sizes and five seeds."""
    model = RunningSums(10, 16, seed=1)
    found = hex_vote(model, model.prompts, 32, model.answer, blocks=(2, 4, 8, 16, 32))
    assert (found.passes == 12.5 * 32).all()
    assert (found.samples == 25).all()


def test_guidance_costs_two_passes_and_steers_away_from_the_reference():
    """RFG with a reference that errs more: better than the model alone, at twice the passes."""
    better = RunningSums(300, 16, error=(0.3, 0.5), seed=2)
    worse = RunningSums(300, 16, error=(0.4, 0.6), seed=2)
    plain, guided = (
        majority_vote(m, better.prompts, 32, better.answer, samples=1, tokens=1)
        for m in (better, Guided(better, worse, 1.0))
    )
    assert (guided.passes == 2 * plain.passes).all()
    assert (guided.answers == better.truth).mean() > (plain.answers == better.truth).mean()


def test_no_weight_guides_nothing():
    model, other = RunningSums(4, 8, seed=2), RunningSums(4, 8, hard=0.6, seed=2)
    texts = np.full((4, 17), MASK)
    texts[:, 0] = np.arange(4)
    said = Guided(model, other, 0.0).logits(texts)[:, 1:]
    np.testing.assert_allclose(np.exp(said), np.exp(model.logits(texts))[:, 1:], atol=1e-9)


def test_the_same_seed_votes_the_same():
    model = RunningSums(20, 16, hard=0.4, seed=8)
    one, two = (dvoting(model, model.prompts, 32, model.answer, seed=4) for _ in range(2))
    assert (one.ballots == two.ballots).all()
    assert (one.passes == two.passes).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"most": 0}, "most samples"), ({"remasked": 1.5}, "remasked"), ({"block": 7}, "divide"),
     ({"temperature": -1.0}, "temperature")],
)  # fmt: skip
def test_nonsense_is_one_sentence(options, words):
    model = RunningSums(2, 16)
    with pytest.raises(SpecError, match=words):
        dvoting(model, model.prompts, 32, model.answer, **options)
