"""dVoting among the strategies: its accuracy, its passes, and which models it is of."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import brentq

from arch_space.library import decodes_by_diffusion, load_models, shipped_models
from hardware_specs import load_device
from roofline.diffusion.cost import generate
from roofline.diffusion.expectation import votes
from roofline.diffusion.published import voting_table
from roofline.diffusion.schedules import Schedule
from roofline.strategies import Difficulty
from roofline.strategies.forms.diffusion import (
    CERTAIN,
    HASTY,
    TOKENS_PER_PASS,
    DVoting,
    OneText,
    TextVote,
    hasty_votes,
    stopped_votes,
)
from roofline.strategies.options import build_options
from roofline.strategies.population import Population
from roofline.strategies.reached import task_curve
from roofline.strategies.selection import plurality
from roofline.strategies.strategy import Settings
from roofline.strategies.task import load_task
from roofline.workload import Workload

H100 = load_device("h100-sxm")
TASK = load_task("math")


@pytest.mark.parametrize("samples", [3, 5, 7])
def test_all_votes_drawn_are_the_majority_of_the_model_of_difficulty(samples):
    """Two derivations: enumerated standings, and the rows over the number of right answers."""
    hard = Difficulty(alpha=0.7, beta=1.1, concentration=0.3, wrong_answers=6)
    found = votes(hard, most=samples, stopping=False)
    assert found.accuracy[0] == pytest.approx(float(hard.majority(samples)), abs=1e-9)


def test_accuracy_over_a_population_is_that_of_its_beta():
    people = Population(np.array([0.4, 2.0]), np.array([0.7, 0.5]), 0.2, 30)
    found = stopped_votes(np.array([5, 3]), people, 1.0)
    for row, most in enumerate((5, 3)):
        exact = votes(
            SimpleNamespace(
                alpha=people.alpha, beta=people.beta, concentration=0.2, wrong_answers=30
            ),
            most=most,
        )
        np.testing.assert_allclose(found[row], exact.accuracy, atol=2e-3)
    plain = hasty_votes(np.array([3, 5]), people, 1.0)
    c, v = people.concentration, people.options
    rows = people.by_samples(np.array([3, 5]), lambda k: plurality(k, c, v))
    np.testing.assert_allclose(plain, rows, atol=2e-3)
    by_bin = [stopped_votes(np.array([5]), each, 1.0) for each in people.bins()]
    np.testing.assert_allclose(np.mean(by_bin, axis=0)[0], found[0], atol=1e-9)
    assert (np.diff(by_bin, axis=0) <= 1e-12).all()


@pytest.mark.parametrize(
    ("rule", "method", "quality", "least", "most"),
    [(hasty_votes, "majority", HASTY, 0.59, 0.82), (stopped_votes, "dvoting", CERTAIN, 0.72, 1.08)],
)
def test_how_often_texts_are_right_is_solved_for_on_published_votes(
    rule, method, quality, least, most
):
    found = []
    for row in voting_table().rows:
        if row.task == "MATH500":
            mean, a = row.base.accuracy / 100, TASK.alpha
            people = Population(np.array([a]), np.array([a * (1 - mean) / mean]),
                                TASK.concentration, TASK.wrong_answers)  # fmt: skip
            target = getattr(row, method).accuracy / 100
            found.append(
                brentq(lambda q, p=people, t=target: rule(np.array([5]), p, q)[0, 0] - t, 0.1, 4)
            )
    assert len(found) == 5
    assert np.exp(np.mean(np.log(found))) == pytest.approx(quality, abs=0.006)
    assert min(found) == pytest.approx(least, abs=0.01)
    assert max(found) == pytest.approx(most, abs=0.01)


@pytest.fixture(scope="module")
def options():
    models = load_models(["llada-8b", "llama-3.1-8b"])
    chosen = [OneText(), TextVote(), DVoting()]
    from roofline.strategies.forms import strategy

    return build_options(models, ["fp16"], H100, TASK, [*chosen, strategy("greedy")], [], 9)


def test_one_text_costs_what_the_schedule_of_passes_costs(options):
    """As many passes as tokens over prompt and text, as `roofline estimate` prices them."""
    models = load_models(["llada-8b"])
    made = generate(models, H100, Schedule("none", 275, 1.0), Workload(1, TASK.prompt, TASK.answer))
    here = options.strategy == "diffusion"
    assert options.cost.seconds[0, here][0] == pytest.approx(made.latency[0])
    assert options.cost.memory[0, here][0] == pytest.approx(made.memory_bytes[0])
    vote = (options.strategy == "diffusion-majority") & (options.samples == 4)
    whole = vote & (options.waves == 4)
    assert options.cost.seconds[0, whole][0] == pytest.approx(2 * made.latency[0])


def test_dvoting_takes_the_passes_that_were_published():
    """LLaDA on MATH500: 473.7 over texts of 256 tokens, at the difficulty that its rows imply."""
    from roofline.cli.diffusion_report import expectation

    row = expectation().query("model == 'llada-8b' and task == 'MATH500' and length == 256")
    assert row["tokens_per_pass"].item() == pytest.approx(TOKENS_PER_PASS, abs=0.005)
    (stage,) = DVoting().schedule(Settings.of([(5, 5)]), TASK)
    assert stage.times[0] / TASK.answer == pytest.approx(473.7 / 256, rel=0.1)


def test_each_model_decodes_its_own_way(options):
    """A diffusion model neither writes token by token, nor the other way round."""
    own = np.array([[s != "greedy" for s in options.strategy]])
    able = np.concatenate([own, ~own])
    assert (options.accuracy[able] > 0).all()
    assert np.isfinite(options.cost.seconds[able]).all()
    assert (options.accuracy[~able] == 0).all()
    assert np.isnan(options.cost.memory[~able]).all()


def test_strategies_that_no_model_can_do_are_skipped_with_the_reason():
    found = build_options(load_models(["llama-3.1-8b"]), ["fp16"], H100, TASK,
                          [DVoting(), *_greedy()], [], 9)  # fmt: skip
    assert found.skipped == {"dvoting": "no model here is a diffusion model"}
    found = build_options(load_models(["dream-7b"]), ["fp16"], H100, TASK,
                          [DVoting(), *_greedy()], [], 9)  # fmt: skip
    assert found.skipped == {"greedy": "no model here is autoregressive"}


def _greedy():
    from roofline.strategies.forms import strategy

    return [strategy("greedy")]


def test_diffusion_models_are_no_points_of_the_curve():
    assert {n for n in shipped_models() if decodes_by_diffusion(n)} == {"llada-8b", "dream-7b"}
    assert not decodes_by_diffusion("./config.json")
    assert task_curve(TASK).models == len(TASK.models) - 2
