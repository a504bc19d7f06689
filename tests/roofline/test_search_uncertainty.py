"""How sure a front is: draws against plain loops, every candidate, and formulas of the normal."""

from dataclasses import replace
from math import erf, exp, log, sqrt

import numpy as np
import pytest

from arch_space.spaces import Space
from hardware_specs import load_device
from roofline.efficiency.calibrated import calibrated
from roofline.laws import interval, load_law
from roofline.laws.law import Uncertainty
from roofline.search import (
    Constraint,
    Problem,
    RooflineEvaluator,
    enumerate_exactly,
    non_dominated,
)
from roofline.search.sweep import Sweep
from roofline.search.uncertainty import (
    Errors,
    Spread,
    assess,
    contenders,
    distance,
    draw,
    on_front,
    own_intervals,
)
from roofline.search.verdict import decision
from roofline.workload import Workload
from spec_files import parse_spec

SMALL = """
name: small
fixed: {vocabulary: 32000, head_size: 64, ffn_multiple: 64}
dimensions:
  layers: {from: 4, to: 24, step: 4}
  width: [768, 1024, 1536, 2048]
  kv_heads: [1, 4]
  ffn_ratio: [1, 2, 4]
  weight_format: [fp16, int8]
"""
MEASURED, UNMEASURED = "jetson-agx-orin-64gb", "sd8gen3"
WORK = Workload(prompt=512, generate=64)


def law(**changes):
    """Return the shipped law with errors of the caller's choice, none by default."""
    return load_law("codesign").model_copy(update={"sd": None, "uncertainty": None} | changes)


def evaluator(device=MEASURED, ideal=False, **changes):
    return RooflineEvaluator(calibrated(load_device(device)), WORK, law(**changes), ideal=ideal)


def small(judge, space=SMALL, **changes):
    return Problem(parse_spec(space, Space, "small.yaml"), judge, **changes)


def errors_of(judge):
    own = own_intervals(judge.device)
    return Errors.of(judge.law, judge.device, ideal=judge.ideal, own=own)


def everything(judge, arch, errors, names, draws=1000, seed=0):
    parts = list(draw(judge, arch, errors, names, draws, seed))
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


# ---- fronts of draws ---------------------------------------------------------------------------


@pytest.mark.parametrize("objectives", [1, 2, 3])
@pytest.mark.parametrize("values", [5, 10**9])
def test_fronts_of_all_draws_are_those_of_each(objectives, values):
    points = np.random.default_rng(1).integers(values, size=(40, 60, objectives)).astype(float)
    found = on_front([points[..., i] for i in range(objectives)])
    for row, mask in zip(points, found, strict=True):
        kept = {tuple(point) for point in row[non_dominated(row)]}
        assert {tuple(point) for point in row[mask]} == kept
        assert mask.sum() == len(kept)  # of equal points one stays


# ---- what is drawn -----------------------------------------------------------------------------


def test_a_spread_holds_nine_of_ten_between_its_ends():
    normal = np.random.default_rng(0).standard_normal(200_000)
    logs = Spread.of((0.5, 3.0)).logs(normal)
    np.testing.assert_allclose(np.exp(np.quantile(logs, [0.05, 0.5, 0.95])), [0.5, 1, 3], rtol=0.02)


@pytest.mark.parametrize(("device", "tolerance"), [(MEASURED, 0.05), (UNMEASURED, 0.12)])
def test_draws_fill_the_published_intervals(device, tolerance):
    judge = evaluator(device)
    known = judge.device.processor(None).calibration
    arch = small(judge).space.at([100, 200])
    drawn = everything(judge, arch, errors_of(judge), ["ttft", "tpot", "energy"], draws=20_000)
    said, floor = judge(arch), replace(judge, ideal=True)(arch)
    for name, known_ends in (
        ("ttft", known.prefill),
        ("tpot", known.decode),
        ("energy", known.energy),
    ):
        low, high = np.quantile(drawn[name], [0.05, 0.95], axis=0)
        expected = np.maximum(known_ends.low * said[name], floor[name])
        np.testing.assert_allclose(low, expected, rtol=tolerance)
        np.testing.assert_allclose(high, known_ends.high * said[name], rtol=tolerance)
        assert (drawn[name] >= floor[name]).all()


def test_candidates_of_a_measured_device_err_alone_and_those_of_another_together():
    names = ["tpot"]
    together = {}
    for device in (MEASURED, UNMEASURED):
        judge = evaluator(device)
        arch = small(judge).space.at([100, 200])
        logs = np.log(everything(judge, arch, errors_of(judge), names, draws=4000)["tpot"])
        together[device] = np.corrcoef(logs.T)[0, 1]
    assert abs(together[MEASURED]) < 0.05
    assert together[UNMEASURED] > 0.4


def test_a_floor_has_no_error_of_time():
    judge = evaluator(ideal=True)
    arch = small(judge).space.at([100, 200])
    drawn = everything(judge, arch, errors_of(judge), ["ttft", "tpot", "latency"], draws=3)
    for name, values in drawn.items():
        np.testing.assert_array_equal(values, np.tile(judge(arch)[name], (3, 1)))


def test_latency_is_drawn_from_its_two_phases():
    judge = evaluator()
    arch = small(judge).space.at([100, 200])
    together = everything(judge, arch, errors_of(judge), ["ttft", "tpot", "latency"])
    alone = everything(judge, arch, errors_of(judge), ["latency"])
    np.testing.assert_array_equal(together["latency"], alone["latency"])
    said = judge(arch)
    decode = (said["latency"] - said["ttft"]) / said["tpot"]
    np.testing.assert_allclose(
        together["latency"], together["ttft"] + decode * together["tpot"], rtol=1e-9
    )


def coefficients_of(name, sd, residual=0.0):
    return Uncertainty(
        coefficients=(name,), scale=("linear",), covariance=((sd**2,),), residual=residual,
        basis="made for a test",
    )  # fmt: skip


def test_an_error_of_a_format_is_shared_by_those_held_in_it():
    judge = evaluator()
    arch = small(judge).space.at([101, 201, 100])  # two in int8, one in fp16
    assert arch.weight_format[0] == arch.weight_format[1] != arch.weight_format[2]
    loss = everything(judge, arch, errors_of(judge), ["loss"])["loss"]
    assert np.ptp(loss[:, 0] - loss[:, 1]) < 1e-12
    assert np.ptp(loss[:, 2]) == 0
    from roofline.laws import penalty

    assert loss[:, 0].std() == pytest.approx(penalty(arch).sd[0], rel=0.1)


def test_losses_of_single_candidates_differ_by_the_sd_of_a_difference():
    judge = evaluator(sd=0.03)
    arch = small(judge).space.at([100, 200])
    loss = everything(judge, arch, errors_of(judge), ["loss"], draws=20_000)["loss"]
    assert (loss[:, 0] - loss[:, 1]).std() == pytest.approx(0.03, rel=0.03)
    judge = evaluator(uncertainty=coefficients_of("l_inf", 0.0, residual=0.01))
    loss = everything(judge, arch, errors_of(judge), ["loss"], draws=20_000)["loss"]
    np.testing.assert_allclose(loss.std(axis=0), 0.01 * judge(arch)["loss"], rtol=0.03)


# ---- the front ---------------------------------------------------------------------------------


def test_an_error_that_all_share_moves_losses_and_no_one_off_the_front():
    judge = evaluator(ideal=True, uncertainty=coefficients_of("l_inf", 0.05))
    asked = small(judge, space=SMALL.replace("[fp16, int8]", "[fp16]"))
    front = enumerate_exactly(asked)
    found = assess(asked, front.indices, errors_of(judge), 0, 1)
    assert (found.p_front == 1).all()
    np.testing.assert_allclose(found.loss_high - found.loss_low, 2 * 1.645 * 0.05, rtol=0.1)


def test_a_coefficient_that_candidates_feel_unlike_moves_some_off_the_front():
    judge = evaluator(ideal=True, uncertainty=coefficients_of("k_m", 0.1))
    asked = small(judge, space=SMALL.replace("[fp16, int8]", "[fp16]"))
    found = assess(asked, enumerate_exactly(asked).indices, errors_of(judge))
    assert found.p_front.min() < 1 <= found.p_front.max()


def test_a_slow_device_misses_limits_and_reorders_nobody():
    judge = evaluator(UNMEASURED, sd=0.02)
    asked = small(judge, constraints=(Constraint("tpot", 0.03),))
    front = enumerate_exactly(asked)
    errors = errors_of(judge)
    slow = {"decode": Spread(0.0, 1.0)}
    alone, shared = (
        assess(asked, front.indices, replace(errors, shared=some)) for some in ({}, slow)
    )
    # Floors hold fewer draws where the device is slow, so that the order is not quite the same.
    np.testing.assert_allclose(shared.p_front, alone.p_front, atol=0.03)
    assert shared.p_feasible.mean() < alone.p_feasible.mean() - 0.05


@pytest.mark.parametrize("objectives", ["loss,tpot", "loss,ttft,memory", "tpot"])
@pytest.mark.parametrize("device", [MEASURED, UNMEASURED])
def test_contenders_give_the_odds_that_every_candidate_gives(objectives, device):
    """Within .025: what 16,000 draws leave to chance, twice, and rivals beyond the allowance."""
    judge = evaluator(device, sd=0.022)
    asked = small(judge, objectives=objectives)
    front = enumerate_exactly(asked)
    found = assess(asked, front.indices, errors_of(judge), draws=16_000)
    arch, indices = asked.space.candidates()
    allowed = asked.evaluate(arch).feasible
    arch, indices = asked.space.at(indices[allowed]), indices[allowed]
    drawn = everything(judge, arch, errors_of(judge), asked.objectives, draws=16_000, seed=99)
    points = np.stack([drawn[name] for name in asked.objectives], axis=-1)
    odds = np.mean([non_dominated(each) for each in points], axis=0)
    np.testing.assert_allclose(
        found.p_front, odds[np.searchsorted(indices, front.indices)], atol=0.025
    )
    assert found.contenders < len(indices) or objectives == "loss,ttft,memory"
    assert found.p_front.min() < 0.5


def test_counts_are_those_of_a_loop_over_the_draws():
    judge = evaluator(sd=0.022)
    limits = (Constraint("ttft", 0.2), Constraint("tpot", 0.02))
    asked = small(judge, constraints=limits)
    front = enumerate_exactly(asked)
    found = assess(asked, front.indices, errors_of(judge), 2, 4, draws=50, seed=3)
    everyone, _ = contenders(asked, front.indices, errors_of(judge), seed=3)
    names = ("loss", "tpot", "ttft")
    drawn = everything(judge, asked.space.at(everyone), errors_of(judge), names, 50, seed=3)
    member = np.searchsorted(everyone, front.indices)
    on_it, within, nearer = np.zeros(len(front)), np.zeros(len(front)), 0
    for row in range(50):
        points = np.stack([drawn["loss"][row], drawn["tpot"][row]], axis=1)
        on_it += non_dominated(points)[member]
        within += ((drawn["ttft"][row] <= 0.2) & (drawn["tpot"][row] <= 0.02))[member]
        logs = [[log(x) for x in point] for point in points[member]]
        best = [min(column) for column in zip(*logs, strict=True)]
        worst = [max(column) for column in zip(*logs, strict=True)]
        knee, other = (
            sum(((x - b) / (w - b)) ** 2 for x, b, w in zip(logs[i], best, worst, strict=True))
            for i in (2, 4)
        )
        nearer += knee < other
    np.testing.assert_array_equal(found.p_front, on_it / 50)
    np.testing.assert_array_equal(found.p_feasible, within / 50)
    assert found.knee_better == nearer / 50
    assert 0 < found.knee_better < 1


def test_the_odds_of_a_limit_are_those_of_the_two_halves_of_a_normal():
    judge = evaluator()
    asked = small(judge, constraints=(Constraint("tpot", 0.02),))
    front = enumerate_exactly(asked)
    found = assess(asked, front.indices, errors_of(judge), draws=10_000)
    spread = errors_of(judge).own["decode"]
    for tpot, odds in zip(front.quantities["tpot"], found.p_meets["tpot"], strict=True):
        deviations = log(0.02 / tpot) / spread.above
        assert odds == pytest.approx((1 + erf(deviations / sqrt(2))) / 2, abs=0.02)
    np.testing.assert_array_equal(found.p_meets["tpot"], found.p_feasible)


def test_rivals_beyond_the_number_asked_for_are_the_farther_ones():
    judge = evaluator(sd=0.022)
    asked = small(judge)
    members = enumerate_exactly(asked).indices
    errors = errors_of(judge)
    few, cut = contenders(asked, members, errors, rivals=5)
    most, whole = contenders(asked, members, errors)
    assert cut
    assert not whole
    assert len(few) == len(members) + 5 < len(most)
    assert set(members) < set(few) < set(most)
    assert (np.diff(most) > 0).all()
    assert asked.evaluate(asked.space.at(most)).feasible.all()


def test_the_nearest_rivals_stay():
    judge = evaluator()
    asked = small(judge, objectives="tpot")
    (best,) = enumerate_exactly(asked).indices
    few, cut = contenders(asked, np.array([best]), errors_of(judge), rivals=2)
    _, indices = asked.space.candidates()
    steps = np.abs(asked.space.choices(indices) - asked.space.choices(np.array([best])))
    around = indices[steps.sum(axis=1) == 1]
    times = judge(asked.space.at(around))["tpot"]
    assert cut
    assert len(around) > 3
    assert set(few) == {best, *around[np.argsort(times)[:2]]}


@pytest.mark.parametrize("known", [{"sd": 0.022}, {"uncertainty": coefficients_of("k_m", 0.1)}])
def test_draws_repeat_for_a_seed(known):
    judge = evaluator(ideal="uncertainty" in known, **known)
    asked = small(judge)
    members = enumerate_exactly(asked).indices
    one, two, other = (assess(asked, members, errors_of(judge), 1, 2, seed=s) for s in (1, 1, 2))
    assert one.p_front.tobytes() == two.p_front.tobytes()
    assert one.loss_low.tobytes() == two.loss_low.tobytes()
    assert one.p_front.tobytes() != other.p_front.tobytes()


def test_where_no_error_is_known_nothing_moves_and_that_is_said():
    judge = evaluator(ideal=True)
    asked = small(judge, space=SMALL.replace("[fp16, int8]", "[fp16]"))
    front = enumerate_exactly(asked)
    errors = errors_of(judge)
    found = assess(asked, front.indices, errors, 0, 1, draws=20)
    assert (found.p_front == 1).all()
    assert np.isnan(found.loss_low).all()
    assert decision(found.knee_better, errors).startswith("No error is known")
    assert errors.say() == (
        "Hardware co-design law publishes no error of its losses; no error of times and energy is "
        "stated."
    )


@pytest.mark.parametrize(
    ("share", "words"), [(0.714, "71 % of draws: the difference is inside"), (0.97, "beyond")]
)
def test_the_decision_is_a_plain_sentence(share, words):
    said = decision(share, errors_of(evaluator(sd=0.02)))
    assert said.startswith("The knee beats the runner-up in ")
    assert words in said
    assert "No member of another shape" in decision(None, errors_of(evaluator(sd=0.02)))


def test_the_knee_is_nearest_to_the_best_of_everything():
    e = exp(1)
    points = np.array([[1.0, e**4], [e, e], [e**4, 1.0]])
    np.testing.assert_allclose(distance(points), [1, 1 / 8, 1])
    below_zero = np.array([[-5.0, 1.0], [-4.0, 1.0]])  # a law may count from another zero
    np.testing.assert_allclose(distance(below_zero), [0, 1])


def test_a_sweep_holds_all_that_its_draws_rest_on(tmp_path):
    """The part of an interval that is each candidate's own is saved, whatever is fitted later."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    jobs = [
        Sweep.prepare(device=load_device(device), space=path, references=["none"], ideal=ideal)
        for device, ideal in ((MEASURED, False), (UNMEASURED, False), (UNMEASURED, True))
    ]
    assert [set(job.own_intervals) for job in jobs] == [
        set(),
        {"prefill", "decode", "energy"},
        set(),
    ]
    (tmp_path / "sweep.yaml").write_text(jobs[1].to_yaml())
    assert Sweep.load(tmp_path / "sweep.yaml").own_intervals == jobs[1].own_intervals


def test_a_front_tells_how_sure_each_member_is(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    job = Sweep.prepare(
        device=load_device(UNMEASURED), space=path, references=["none"],
        constraints={"tpot": "30 ms", "memory": "2 GB"},
    )  # fmt: skip
    problem = job.problem()
    run = job.run(problem)
    front, summary = run.front, run.summary
    errors = Errors.of(job.law, job.calibrated(), own=job.own_intervals)
    found = assess(problem, front["index"].to_numpy(), errors, run.knee, run.runner_up)
    np.testing.assert_array_equal(front["p_front"], found.p_front)
    np.testing.assert_array_equal(front["p_tpot"], found.p_meets["tpot"])
    np.testing.assert_array_equal(front["p_feasible"], front["p_tpot"])  # memory is counted
    assert (front["p_memory"] == 1).all()
    low, high = interval(job.law, run.architectures())
    np.testing.assert_array_equal(front[["loss_low", "loss_high"]].to_numpy().T, [low, high])
    assert ((low < front["loss"]) & (front["loss"] < high)).all()
    assert summary["knee_beats_runner_up"] == found.knee_better
    assert summary["decision"] == decision(found.knee_better, errors)
    assert (summary["draws"], summary["contenders"]) == (1000, found.contenders)
