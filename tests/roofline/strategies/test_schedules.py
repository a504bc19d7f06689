"""Schedules against passes of the engine added up by hand, and accuracies against simulation."""

import numpy as np
import pytest

from arch_space.library import load_model, load_models
from hardware_specs import load_device
from roofline.engine import decode, forward, memory
from roofline.strategies import Verifier
from roofline.strategies.difficulty import Difficulty
from roofline.strategies.forms import strategies, strategy
from roofline.strategies.forms.revisions import right_in_chains
from roofline.strategies.forms.search import searched, selected
from roofline.strategies.population import SUCCESS, Population
from roofline.strategies.schedule import cost, read, write
from roofline.strategies.strategy import sampling
from roofline.strategies.task import Task, load_task, task_names
from roofline.strategies.verifier import load_verifier, verifier_names
from roofline.workload import Pass
from spec_files import SpecError

PHONE = load_device("phone")
MATH = load_task("math")
MODEL = load_model("qwen3-0.6b").with_formats("int8")
JUDGE = Verifier(quality=0.8, shared=0.3)


def people(alpha: float = 0.38, beta: float = 0.6, low: float = 0.0, high: float = 1.0):
    return Population(np.array([alpha]), np.array([beta]), 0.2, 30, low, high)


def test_sampling_is_one_prompt_and_waves_of_decode_steps_added_one_by_one() -> None:
    found = cost(MODEL, PHONE, sampling(MATH, 12.0, 3.0), 1)
    prompt = forward(MODEL, PHONE, Pass(1, 202, 202), overhead="prompt")
    seconds, joules = float(prompt.seconds[0]), float(prompt.joules[0])
    for step in range(275):
        passed = forward(MODEL, PHONE, Pass(4, 1, 203 + step, shared=202), overhead="step")
        seconds += 3 * float(passed.seconds[0])
        joules += 3 * float(passed.joules[0])
    assert found.seconds[0, 0] == pytest.approx(seconds, rel=1e-9)
    assert found.joules[0, 0] == pytest.approx(joules, rel=1e-9)
    assert found.reading[0, 0] == pytest.approx(float(prompt.seconds[0]))
    kept = memory(MODEL, sequences=4, shared=202, each=275)
    prefill = memory(MODEL, sequences=1, shared=0, each=202, queries=202)
    assert found.memory[0, 0] == pytest.approx(max(kept[0], prefill[0]))


def test_columns_of_settings_and_models_are_what_each_alone_is() -> None:
    models = load_models(["qwen3-0.6b", "llama-3.2-1b"]).with_formats("q4_k_m")
    samples, waves = np.array([2.0, 8.0, 8.0]), np.array([1.0, 1.0, 4.0])
    together = cost(models, PHONE, sampling(MATH, samples, waves), 3)
    for i in range(2):
        for j in range(3):
            alone = cost(models[i], PHONE, sampling(MATH, samples[j], waves[j]), 1)
            for name in ("seconds", "joules", "flops", "bytes", "memory"):
                assert getattr(together, name)[i, j] == pytest.approx(
                    getattr(alone, name)[0, 0], rel=1e-12
                )


def test_waves_trade_memory_for_time_and_the_prompt_is_stored_once() -> None:
    at_once, split = (cost(MODEL, PHONE, sampling(MATH, 16.0, w), 1) for w in (1.0, 4.0))
    assert split.memory < at_once.memory
    assert split.seconds > at_once.seconds
    # 16 samples with a prompt each would hold 15 more
    apart = memory(MODEL, sequences=16, shared=0, each=202 + 275)
    cache = memory(MODEL, sequences=1, shared=0, each=202) - memory(
        MODEL, sequences=1, shared=0, each=0
    )
    assert apart[0] - at_once.memory[0, 0] == pytest.approx(15 * cache[0], rel=1e-6)


def test_a_verifier_costs_its_passes_and_its_memory() -> None:
    form = strategy("best-of-n")
    settings = form.settings(8)
    stages = form.schedule(settings, MATH)
    judge = load_model("qwen2.5-1.5b").with_formats("int8")
    at = np.flatnonzero((settings.samples == 8) & (settings.waves == 2))[0]
    added = cost(judge, PHONE, stages, len(settings), "verifier")
    prompt = forward(judge, PHONE, Pass(1, 202, 202), overhead="prompt")
    answers = forward(judge, PHONE, Pass(4, 275, 477, shared=202), overhead="prompt")
    assert added.seconds[0, at] == pytest.approx(
        float(prompt.seconds[0]) + 2 * float(answers.seconds[0]), rel=1e-12
    )
    weights = memory(judge, sequences=1, shared=0, each=0)
    assert added.memory[0, at] > weights[0]


def test_revisions_follow_on_and_then_read_the_four_they_see() -> None:
    form = strategy("revisions")
    settings = form.settings(8)
    at = np.flatnonzero(settings.samples == 8)[0]
    found = cost(MODEL, PHONE, form.schedule(settings, MATH), len(settings))
    seconds = float(forward(MODEL, PHONE, Pass(1, 202, 202), overhead="prompt").seconds[0])
    for revision in range(8):
        seen = min(revision, 4)
        if revision > 4:  # the oldest is dropped: what is seen is read anew
            again = Pass(1, 4 * 275, 202 + 4 * 275, shared=202)
            seconds += float(forward(MODEL, PHONE, again, overhead="prompt").seconds[0])
        first = Pass(1, 1, 202 + seen * 275 + 1, shared=202)
        seconds += float(decode(MODEL, PHONE, first, 275).seconds[0])
    assert found.seconds[0, at] == pytest.approx(seconds, rel=1e-9)


def test_beams_write_what_sampling_writes_and_are_read_step_by_step() -> None:
    form = strategy("beam-search")
    settings = form.settings(16)
    stages = form.schedule(settings, MATH)
    found = cost(MODEL, PHONE, stages, len(settings))
    plain = cost(MODEL, PHONE, sampling(MATH, 16.0, 1.0), 1)
    assert found.seconds[0, -1] == pytest.approx(plain.seconds[0, 0], rel=1e-12)
    judged = cost(MODEL, PHONE, stages, len(settings), "verifier")
    by_hand = float(forward(MODEL, PHONE, Pass(1, 202, 202), overhead="prompt").seconds[0])
    step = 275 / 8
    for r in range(8):
        passed = Pass(16, step, 202 + (r + 1) * step, shared=202)
        by_hand += float(forward(MODEL, PHONE, passed, overhead="prompt").seconds[0])
    assert judged.seconds[0, -1] == pytest.approx(by_hand, rel=0.01)
    ahead = strategy("lookahead-1")
    more = cost(MODEL, PHONE, ahead.schedule(ahead.settings(16), MATH), len(settings))
    decoding = found.seconds - found.reading
    assert (more.seconds - more.reading)[0] == pytest.approx(2 * decoding[0], rel=0.02)


def test_budget_forcing_is_one_long_answer() -> None:
    form = strategy("budget-forcing")
    found = cost(MODEL, PHONE, form.schedule(form.settings(4), MATH), len(form.settings(4)))
    alone = cost(MODEL, PHONE, (read("policy", 1, 202), write("policy", 1, 202, 4 * 275)), 1)
    assert found.seconds[0, -1] == pytest.approx(alone.seconds[0, 0], rel=1e-12)


@pytest.mark.parametrize("name", sorted(strategies()))
def test_every_strategy_gives_shares_and_costs_for_all_its_settings(name: str) -> None:
    form = strategy(name)
    settings = form.settings(64)
    assert len(settings)
    assert (settings.samples <= 64).all()
    judge = JUDGE if form.verified else None
    right = form.accuracy(settings, people(), judge, MATH)
    assert right.shape == (len(settings), 1)
    assert ((right > 0) & (right < 1)).all()
    spent = cost(MODEL, PHONE, form.schedule(settings, MATH), len(settings))
    assert (spent.seconds > 0).all()
    assert (spent.memory > 0).all()
    oracle = Difficulty(alpha=0.38, beta=0.6).coverage(settings.samples)[:, None]
    if name.startswith(("majority", "best", "weighted", "greedy")):  # independent answers
        assert (right <= oracle + 2e-3).all()


def test_means_over_success_are_those_of_the_beta() -> None:
    generator = np.random.default_rng(0)
    for low, high in ((0.0, 1.0), (0.4, 0.6)):
        drawn = np.sort(generator.beta(0.38, 0.6, 400_000))
        kept = drawn[int(low * 400_000) : int(high * 400_000)]
        here = people(low=low, high=high)
        found = here.mean(np.stack([SUCCESS, SUCCESS**3, np.ones_like(SUCCESS)]))[:, 0]
        assert found == pytest.approx([kept.mean(), (kept**3).mean(), 1.0], abs=0.004)


def test_selection_of_beams_against_simulation() -> None:
    generator = np.random.default_rng(1)
    beams, kept, distance = 8, 2, 1.1
    table = selected(beams, kept, distance)
    for x in (0, 1, 3, 8):
        scores = generator.standard_normal((40_000, beams))
        scores[:, :x] += distance
        top = np.argsort(-scores, axis=1)[:, :kept]
        share = np.bincount((top < x).sum(axis=1), minlength=kept + 1) / 40_000
        assert table[x] == pytest.approx(share, abs=0.01)


def test_search_against_simulation() -> None:
    generator = np.random.default_rng(2)
    beams, width, rounds, draws = 8, 4, 4, 20_000
    judge = Verifier(quality=0.8)
    found = searched(beams, width, rounds, 0, judge, 0.2, 30)
    at = len(SUCCESS) // 2 - 3
    step = SUCCESS[at] ** (1 / rounds)
    right = generator.random((draws, beams)) < step
    for r in range(1, rounds):
        apart = judge.distance * (r / rounds) ** 0.5
        scores = generator.standard_normal((draws, beams)) + apart * right
        top = np.argsort(-scores, axis=1)[:, : beams // width]
        right = np.repeat(np.take_along_axis(right, top, axis=1), width, axis=1)
        right &= generator.random((draws, beams)) < step
    from roofline.strategies.tournament import weighted_vote

    row = weighted_vote(beams, 0.2, 30, judge)
    assert found[at] == pytest.approx(row[right.sum(axis=1)].mean(), abs=0.01)


def test_search_gains_what_rebase_gained_over_sampling() -> None:
    """arXiv 2408.00724: 32 against 256 samples; the share that gains is fitted to it."""
    from scipy.optimize import brentq

    judge = load_verifier("skywork-prm-1.5b")
    form = strategy("beam-search")
    settings = form.settings(32)
    at = np.flatnonzero((settings.samples == 32) & (settings.detail["width"] == 4))[0]
    for sampled, reached in ((0.428, 0.450), (0.455, 0.468)):
        mean = brentq(
            lambda m, goal=sampled: float(
                Difficulty(alpha=0.38, beta=0.38 * (1 - m) / m).weighted(256, judge)
            ) - goal, 0.05, 0.5,
        )  # fmt: skip
        here = people(beta=0.38 * (1 - mean) / mean)
        assert form.accuracy(settings, here, judge, MATH)[at, 0] == pytest.approx(
            reached, abs=0.012
        )


def test_chains_of_revisions_against_simulation() -> None:
    generator = np.random.default_rng(3)
    length, chains, draws = 3, 2, 60_000
    at = len(SUCCESS) // 2 + 4
    p = SUCCESS[at]
    found = right_in_chains(length, chains, 0.38, 1.0)[at]
    lost = 0.38 * 2.514 / 1.134 * (1 - p)
    right = generator.random((draws, chains)) < p
    total = right.sum(axis=1)
    for _ in range(length - 1):
        luck = generator.random((draws, chains))
        right = np.where(right, luck >= lost, luck < p)
        total = total + right.sum(axis=1)
    share = np.bincount(total, minlength=length * chains + 1) / draws
    assert found == pytest.approx(share, abs=0.008)


def test_a_naive_revision_loses_38_percent_on_average() -> None:
    from roofline.strategies.forms.revisions import _changes

    here = people(alpha=0.38, beta=1.134)
    lost, _ = _changes(0.38, 1.0)
    assert here.mean(SUCCESS * lost)[0] / here.mean(SUCCESS)[0] == pytest.approx(0.38, abs=0.002)


def test_revisions_that_lose_nothing_are_better_and_fresh_samples_are_samples() -> None:
    form = strategy("revisions")
    settings = form.settings(16)
    kept = MATH.model_copy(update={"revision_lost": 0.0})
    assert (
        form.accuracy(settings, people(), None, kept)
        > form.accuracy(settings, people(), None, MATH)
    ).all()
    # FLIP = 1 and FIX = 1: every revision is a fresh sample, so a chain is a majority vote
    fresh = MATH.model_copy(update={"revision_lost": 1.134 / 2.514})
    vote = Difficulty(alpha=0.38, beta=0.6).majority(settings.samples)
    assert form.accuracy(settings, people(), None, fresh)[:, 0] == pytest.approx(vote, abs=2e-3)


def test_hard_questions_gain_by_search_and_easy_ones_by_a_vote() -> None:
    settings = strategy("beam-search").settings(16)
    hard, easy = people(low=0.2, high=0.4), people(low=0.8, high=1.0)

    def at_16(name: str, who: Population) -> float:
        form = strategy(name)
        found = form.settings(16)
        judge = JUDGE if form.verified else None
        return float(form.accuracy(found, who, judge, MATH)[found.samples == 16].max())

    assert len(settings)
    assert at_16("beam-search", hard) > at_16("majority", hard) + 0.05
    assert at_16("majority", easy) > 0.99


@pytest.mark.parametrize("name", task_names())
def test_tasks_carry_their_sources(name: str) -> None:
    task = load_task(name)
    assert all((task.source, task.lengths_source, task.difficulty_source))
    for model, reports in task.models.items():
        load_model(model)
        assert all(report.source and report.date for report in reports)


def test_lengths_are_the_published_ones() -> None:
    lengths = {n: (load_task(n).prompt, load_task(n).answer) for n in ("math", "mmlu", "humaneval")}
    assert lengths == {"math": (202, 275), "mmlu": (213, 215), "humaneval": (180, 115)}


@pytest.mark.parametrize("name", verifier_names())
def test_verifiers_carry_their_sources(name: str) -> None:
    judge = load_verifier(name)
    assert all((judge.source, judge.date, judge.tasks))
    if judge.model:
        load_model(judge.model)


def test_unknown_names_say_what_is_nearest() -> None:
    for load, name, near in (
        (strategy, "majorty", "majority"), (load_task, "maths", "math"),
        (load_verifier, "unit-test", "unit-tests"),
    ):  # fmt: skip
        with pytest.raises(SpecError, match=near):
            load(name)


def test_a_strategy_is_one_file(tmp_path, monkeypatch) -> None:
    """A module with STRATEGIES is found, costed and judged with no other change."""
    import roofline.strategies.forms as forms

    (tmp_path / "twice.py").write_text(
        "from roofline.strategies.forms.majority import Majority\n"
        "class Twice(Majority):\n    name = 'twice'\n"
        "STRATEGIES = (Twice(),)\n"
    )
    monkeypatch.setattr(forms, "__path__", [*forms.__path__, str(tmp_path)])
    forms.strategies.cache_clear()
    try:
        assert strategy("twice").settings(8).samples.max() == 8
    finally:
        monkeypatch.undo()
        forms.strategies.cache_clear()


def test_a_task_of_ones_own(tmp_path) -> None:
    text = (
        "title: mine\nprompt: 10\nanswer: 20\nlengths_source: counted\nquestions: 50\nalpha: 0.4\n"
        "difficulty_source: fitted\nsource: mine\ndate: 2026-11\n"
    )
    (tmp_path / "mine.yaml").write_text(text)
    assert isinstance(load_task(tmp_path / "mine.yaml"), Task)
    (tmp_path / "bad.yaml").write_text(text.replace("answer", "anwser"))
    with pytest.raises(SpecError, match="answer"):
        load_task(tmp_path / "bad.yaml")
