"""The model of difficulty against enumeration, simulation, brute force and published curves."""

from itertools import combinations, product
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import beta as beta_function

from roofline.strategies import Difficulty, Verifier, difficulty_names, load_difficulty
from roofline.strategies.difficulty import pass_at_k, right_counts
from roofline.strategies.selection import plurality
from roofline.strategies.tournament import best_score, weighted_vote
from spec_files import SpecError

PUBLISHED = [load_difficulty(name) for name in difficulty_names()]


def enumerated_plurality(k: int, right: int, c: float, options: int) -> float:
    """Walk every way that k - right wrong answers fall on the options, by the Polya urn."""
    chance = 0.0
    for counts in product(range(k - right + 1), repeat=options):
        if sum(counts) != k - right:
            continue
        ways = factorial(k - right)
        for i in counts:
            ways /= factorial(i)
            for drawn in range(i):
                ways *= c + drawn
        for drawn in range(k - right):
            ways /= options * c + drawn
        if max(counts) < right:
            chance += ways
        elif max(counts) == right:
            chance += ways / (1 + counts.count(right))
    return chance


@pytest.mark.parametrize(("c", "options"), [(0.2, 3), (1.0, 2), (5.0, 3), (0.05, 4), (50.0, 3)])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6, 7])
def test_plurality_against_every_multinomial_outcome(k: int, c: float, options: int) -> None:
    expected = [0.0] + [enumerated_plurality(k, m, c, options) for m in range(1, k + 1)]
    assert plurality(k, c, options) == pytest.approx(expected, abs=1e-10)


def test_majority_of_three_by_hand() -> None:
    # p certain: Beta of huge alpha, beta; two wrong answers of equal shares: Dirichlet of huge c
    p = 0.4
    sure = Difficulty(alpha=4e5, beta=6e5, concentration=1e4, wrong_answers=2)
    # 3 or 2 right; 1 right and the wrong ones on different answers: a draw of three
    expected = p**3 + 3 * p**2 * (1 - p) + 3 * p * (1 - p) ** 2 * 0.5 / 3
    assert float(sure.majority(3)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("k", [321, 500])
def test_interpolated_plurality_keeps_its_word(k: int) -> None:
    from roofline.strategies.selection import _plurality_at

    right = np.arange(max(1, -(-k // 31)), k // 2 + 1, 3)
    for c in (0.1, 0.2, 2.0):
        exact = _plurality_at(right, k, c, 30)
        assert np.abs(plurality(k, c, 30)[right] - exact).max() < 1e-4


def draw_answers(generator: np.random.Generator, d: Difficulty, k: int, draws: int) -> np.ndarray:
    """Answers of `draws` questions, (draws, k); 0 is right."""
    p = generator.beta(d.alpha, d.beta, draws)
    wrong = generator.dirichlet(np.full(d.wrong_answers, d.concentration), draws)
    shares = np.concatenate([p[:, None], (1 - p)[:, None] * wrong], axis=1)
    return (generator.random((draws, k, 1)) > np.cumsum(shares, axis=1)[:, None, :-1]).sum(axis=2)


@pytest.mark.parametrize("shared", [0.0, 0.5])
@pytest.mark.parametrize("quality", [0.65, 0.9])
def test_rules_of_a_verifier_against_simulation(quality: float, shared: float) -> None:
    d = Difficulty(alpha=0.5, beta=1.0, concentration=0.3, wrong_answers=8)
    verifier = Verifier(quality=quality, shared=shared)
    generator = np.random.default_rng(0)
    k, draws = 12, 40_000
    answers = draw_answers(generator, d, k, draws)
    common = np.take_along_axis(generator.standard_normal((draws, 9)), answers, axis=1)
    noise = shared**0.5 * common + (1 - shared) ** 0.5 * generator.standard_normal((draws, k))
    scores = noise + verifier.distance * (answers == 0)
    best = np.take_along_axis(answers, scores.argmax(axis=1)[:, None], axis=1)[:, 0] == 0
    totals = np.zeros((draws, 9))
    np.add.at(totals, (np.arange(draws)[:, None], answers), verifier.weight(scores))
    assert float(d.best_of(k, verifier)) == pytest.approx(best.mean(), abs=0.006)
    assert float(d.weighted(k, verifier)) == pytest.approx(
        (totals.argmax(axis=1) == 0).mean(), abs=0.006
    )


def test_majority_against_simulation() -> None:
    d = load_difficulty("llama-3-8b-instruct-math")
    answers = draw_answers(np.random.default_rng(1), d, 40, 20_000)
    counts = np.array([np.bincount(row, minlength=31) for row in answers])
    top = counts == counts.max(axis=1, keepdims=True)
    assert float(d.majority(40)) == pytest.approx((top[:, 0] / top.sum(axis=1)).mean(), abs=0.008)


def test_ends_of_the_quality_of_a_verifier() -> None:
    d, k = PUBLISHED[0], np.array([1, 2, 8, 33])
    coin, oracle = Verifier(quality=0.5), Verifier(quality=1.0)
    assert d.best_of(k, coin) == pytest.approx(np.full(4, d.pass_at_1))
    assert d.weighted(k, coin) == pytest.approx(d.majority(k))
    assert d.best_of(k, oracle) == pytest.approx(d.coverage(k))
    near = Verifier(quality=1 - 1e-9)
    assert d.best_of(k, near) == pytest.approx(d.coverage(k), abs=1e-3)
    assert d.weighted(k, near) == pytest.approx(d.coverage(k), abs=1e-3)
    assert d.best_of(1, Verifier(quality=0.8)) == pytest.approx(d.pass_at_1, abs=1e-4)


def test_quality_is_the_area_under_the_curve() -> None:
    generator = np.random.default_rng(2)
    verifier = Verifier(quality=0.77)
    right = generator.standard_normal(200_000) + verifier.distance
    assert (right > generator.standard_normal(200_000)).mean() == pytest.approx(0.77, abs=0.004)


@settings(deadline=None, max_examples=40)
@given(
    alpha=st.floats(0.05, 5), beta=st.floats(0.05, 20), k=st.integers(1, 40),
    quality=st.floats(0.5, 1.0),
)  # fmt: skip
def test_no_rule_beats_coverage_and_better_verifiers_choose_better(
    alpha: float, beta: float, k: int, quality: float
) -> None:
    d = Difficulty(alpha=alpha, beta=beta)
    worse, better = Verifier(quality=quality), Verifier(quality=min(1.0, quality + 0.1))
    ceiling = float(d.coverage(k)) + 2e-3
    for rule in (d.best_of, d.weighted):
        assert float(rule(k, worse)) <= float(rule(k, better)) + 4e-3 <= ceiling + 4e-3
    assert float(d.majority(k)) <= ceiling
    assert d.counts(k) @ np.arange(k + 1) / k == pytest.approx(d.pass_at_1, rel=1e-6)


def test_coverage_is_the_published_sum() -> None:
    for d in PUBLISHED:
        for k in (1, 2, 7, 30):
            ratio = beta_function(d.alpha, d.beta + k) / beta_function(d.alpha, d.beta)
            assert float(d.coverage(k)) == pytest.approx(1 - ratio, rel=1e-9)
            assert d.counts(k)[0] == pytest.approx(ratio, rel=1e-9)


def test_pass_at_k_against_every_subset() -> None:
    for n, right in [(5, 0), (5, 2), (6, 6), (7, 1), (8, 5)]:
        for k in range(1, n + 1):
            hits = [any(i < right for i in chosen) for chosen in combinations(range(n), k)]
            assert float(pass_at_k(n, right, k)) == pytest.approx(np.mean(hits), abs=1e-12)
    assert float(pass_at_k(10_000, 17, 100)) == pytest.approx(
        1 - comb(9983, 100) / comb(10_000, 100), rel=1e-9
    )
    with pytest.raises(SpecError):
        pass_at_k(5, 1, 6)


def test_fits_to_the_published_power_laws_are_within_a_point_and_a_half() -> None:
    k = np.unique(np.geomspace(1, 10_000, 40).round().astype(int))
    laws = [d for d in PUBLISHED if d.power_law]
    assert len(laws) == 6
    for d in laws:
        a, b = d.power_law
        curve = np.exp(a * k**b)
        assert Difficulty.fit(k, curve).mean_error["coverage"] < 0.015
        # those fitted to the paper's curves differ from its power laws, which are fits themselves
        assert np.abs(d.coverage(k) - curve).mean() < (0.015 if d.errors else 0.025), d.name


@pytest.mark.parametrize(
    ("name", "k", "majority", "covered"),
    [  # arXiv 2407.21787: votes at 1, about 83 and many samples, coverage of 10,000
        ("llama-3-8b-instruct-math", (1, 83, 2227), (0.267, 0.402, 0.415), 0.985),
        ("llama-3-70b-instruct-math", (1, 83, 2227), (0.475, 0.575, 0.575), 0.985),
    ],
)
def test_votes_saturate_as_published(
    name: str, k: tuple[int, ...], majority: tuple[float, ...], covered: float
) -> None:
    d = load_difficulty(name)
    assert d.majority(np.array(k)) == pytest.approx(majority, abs=0.02)
    assert float(d.coverage(10_000)) == pytest.approx(covered, abs=0.025)


def test_bins_join_to_the_whole() -> None:
    d, k = load_difficulty("llama-3-8b-instruct-math"), np.array([1, 4, 16])
    bins = d.question_quantiles()
    for rule in ("coverage", "majority"):
        parts = np.mean([getattr(b, rule)(k) for b in bins], axis=0)
        assert parts == pytest.approx(getattr(d, rule)(k), abs=1e-9)
    verifier = Verifier(quality=0.8)
    parts = np.mean([b.best_of(k, verifier) for b in bins], axis=0)
    assert parts == pytest.approx(d.best_of(k, verifier), abs=1e-6)
    drawn = np.sort(np.random.default_rng(3).beta(d.alpha, d.beta, 200_000))[::-1].reshape(5, -1)
    assert [b.pass_at_1 for b in bins] == pytest.approx(drawn.mean(axis=1), abs=0.004)
    assert np.mean(1 - (1 - drawn[2]) ** 16) == pytest.approx(float(bins[2].coverage(16)), abs=0.01)


def test_a_fit_finds_what_made_the_curves() -> None:
    true = Difficulty(alpha=0.5, beta=1.5, concentration=0.4)
    k = np.array([1, 2, 4, 8, 16, 32, 64])
    found = Difficulty.fit(
        np.tile(k, 2), np.concatenate([true.coverage(k), true.majority(k)]),
        ["coverage"] * 7 + ["majority"] * 7, name="mine",
    )  # fmt: skip
    assert found.wrong_fitted
    assert (found.alpha, found.beta, found.concentration) == pytest.approx(
        (0.5, 1.5, 0.4), rel=0.01
    )
    assert not Difficulty.fit(k, true.coverage(k)).wrong_fitted


def test_errors_of_a_fit_hold_what_made_the_curve() -> None:
    generator = np.random.default_rng(4)
    true, k = Difficulty(alpha=0.5, beta=1.5), np.unique(np.geomspace(1, 1000, 25).astype(int))
    inside = 0
    for _ in range(30):
        seen = np.clip(true.coverage(k) + 0.01 * generator.standard_normal(len(k)), 0, 1)
        found = Difficulty.fit(k, seen)
        inside += abs(found.alpha - 0.5) < 1.96 * found.errors["alpha"]
    assert inside >= 24


def test_right_counts_of_many_models_are_those_of_each() -> None:
    many = right_counts(np.array([0.3, 2.0]), np.array([1.0, 0.4]), 9)
    assert many.shape == (2, 10)
    assert many[1] == pytest.approx(Difficulty(alpha=2.0, beta=0.4).counts(9))


@pytest.mark.parametrize(
    ("k", "accuracy", "kind", "said"),
    [
        ([1, 2], [0.1, 0.2], "coverage", "do not settle"),
        ([1, 1, 1], [0.1, 0.2, 0.1], "coverage", "do not settle"),
        ([1, 2, 4], [0.1, 0.2, 30], "coverage", "read 30"),
        ([1, 2.5, 4], [0.1, 0.2, 0.3], "coverage", "read 2.5"),
        ([1, 2, 4], [0.1, 0.2, 0.3], "majorty", "nearest is 'majority'"),
        ([1, 2, 4], [0.1, 0.2], "coverage", "same length"),
        ([1, 2, 4], [1.0, 1.0, 1.0], "coverage", "flat curve"),
    ],
)
def test_points_that_say_too_little(k: list, accuracy: list, kind: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        Difficulty.fit(k, accuracy, kind)


@pytest.mark.parametrize("k", [0, -1, 1.5, np.nan, 10**9])
def test_samples_that_are_none(k: float) -> None:
    with pytest.raises(SpecError, match="samples: read"):
        PUBLISHED[0].coverage(k)


def test_unknown_difficulty_names_the_nearest() -> None:
    with pytest.raises(SpecError, match="llama-3-8b-instruct-math"):
        load_difficulty("llama-3-8b-instruct-mth")


def test_rows_are_probabilities() -> None:
    for row in (plurality(30, 0.2, 30), best_score(30, 0.2, 30, Verifier(quality=0.8)),
                weighted_vote(30, 0.2, 30, Verifier(quality=0.8))):  # fmt: skip
        assert ((row >= 0) & (row <= 1)).all()
        assert np.diff(row).min() > -1e-6  # more right samples never hurt
