"""The planner against a plain loop over its options, and what it says where nothing fits."""

from itertools import pairwise

import numpy as np
import pytest
import yaml

from arch_space.library import decodes_by_diffusion, load_model, load_models
from hardware_specs import load_device
from roofline.strategies import account
from roofline.strategies.forms import strategies, strategy
from roofline.strategies.plan import SAME, plan
from roofline.strategies.reached import reached, task_curve
from roofline.strategies.schedule import cost
from roofline.strategies.task import load_task
from roofline.strategies.verifier import load_verifier
from spec_files import SpecError

PHONE = load_device("phone")
MATH = load_task("math")
JUDGES = [load_verifier("skywork-prm-1.5b"), load_verifier("prm-8b")]
NAMES, FORMATS = ["qwen2.5-1.5b", "gemma-3-4b", "llama-3.2-1b"], ["fp16", "int4-g128"]
LIMITS = {"latency": 25.0, "memory": 4e9}


@pytest.fixture(scope="module")
def found():
    return plan(PHONE, MATH, load_models(NAMES), FORMATS, LIMITS, verifiers=JUDGES, most=16)


def test_options_are_what_a_loop_over_them_gives(found) -> None:
    """Costs and accuracies of some options, worked out one at a time."""
    o = found.options
    generator = np.random.default_rng(0)
    for _ in range(40):
        r, t = int(generator.integers(len(o.models))), int(generator.integers(len(o.strategy)))
        form = strategy(str(o.strategy[t]))
        settings = form.settings(16)
        same = o.strategy == o.strategy[t]
        s = int(np.flatnonzero(np.flatnonzero(same & (o.verifier == o.verifier[t])) == t)[0])
        stages = form.schedule(settings, MATH)
        model = load_model(str(o.models[r])).with_formats(str(o.formats[r]))
        seconds = cost(model, PHONE, stages, len(settings)).seconds[0, s]
        held = cost(model, PHONE, stages, len(settings)).memory[0, s]
        if o.verifier[t]:
            judge = load_verifier(str(o.verifier[t]))
            other = load_model(judge.model).with_formats(str(o.formats[r]))
            added = cost(other, PHONE, stages, len(settings), "verifier")
            seconds, held = seconds + added.seconds[0, s], held + added.memory[0, s]
        assert o.cost.seconds[r, t] == pytest.approx(seconds, rel=1e-12)
        assert o.cost.memory[r, t] == pytest.approx(held, rel=1e-12)
        assert o.samples[t] == settings.samples[s]


def test_front_best_and_runner_up_are_those_of_a_plain_search(found) -> None:
    o = found.options
    all_of_them = [
        (float(o.cost.seconds[r, t]), float(o.accuracy[r, t]), (r, t))
        for r in range(len(o.models))
        for t in range(len(o.strategy))
        if o.cost.seconds[r, t] <= 25 and o.cost.memory[r, t] <= 4e9
    ]
    assert len(all_of_them) == found.fits.sum()
    front, top = [], -1.0
    for seconds, right, pick in sorted(all_of_them, key=lambda each: (each[0], -each[1])):
        if right > top:
            top = right
            front.append((seconds, right, pick))
    assert [pick for _, _, pick in front] == list(found.front)
    near = [each for each in all_of_them if each[1] >= top - SAME]
    assert found.value(found.best, "seconds") == min(each[0] for each in near)
    others = [
        each for each in all_of_them
        if (o.models[each[2][0]], o.strategy[each[2][1]])
        != (o.models[found.best[0]], o.strategy[found.best[1]])
    ]  # fmt: skip
    assert found.value(found.runner_up, "accuracy") >= max(e[1] for e in others) - SAME


def test_front_rises_and_budgets_never_fall(found) -> None:
    rows = [found.row(pick) for pick in found.front]
    assert all(a["latency_s"] < b["latency_s"] and a["accuracy"] < b["accuracy"]
               for a, b in pairwise(rows))  # fmt: skip
    reached_by = [found.value(picks[0], "accuracy") for picks in found.by_budget]
    assert all(b >= a - SAME for a, b in pairwise(reached_by))
    assert all(found.value(picks[0], "seconds") <= budget * (1 + 1e-9)
               for budget, picks in zip(found.budgets, found.by_budget, strict=True))  # fmt: skip
    assert len(found.by_bin) == 5
    bins = [found.options.by_bin[i][pick] for i, pick in enumerate(found.by_bin)]
    assert all(a > b - SAME for a, b in pairwise(bins))


def test_the_binding_limit_is_the_one_whose_removal_gains_most() -> None:
    limits = {"latency": 25.0, "energy": 500.0, "memory": 2e9}
    models = load_models(NAMES)

    def top(within: dict) -> tuple:
        found = plan(PHONE, MATH, models, FORMATS, within, verifiers=JUDGES, most=16)
        return found, float(found.options.accuracy[found.fits].max())

    found, reached_within = top(limits)
    gains = {
        name: top({k: v for k, v in limits.items() if k != name})[1] - reached_within
        for name in ("latency", "energy")
    }
    assert {name: found.gains[name] for name in gains} == pytest.approx(gains)
    assert found.gains["memory"] >= 0
    assert found.binding == max(found.gains, key=found.gains.get)


def test_bins_are_of_all_questions(found) -> None:
    o = found.options
    assert o.by_bin.mean(axis=0) == pytest.approx(o.accuracy, abs=2e-3)
    assert (o.low <= o.accuracy + 1e-12).all()
    assert (o.accuracy <= o.high + 1e-12).all()


def test_the_optimum_by_difficulty_needs_a_quarter_of_the_answers() -> None:
    """arXiv 2408.03314: 16 answers by difficulty match best-of-N with 64; easy ones are revised."""
    o = plan(
        load_device("a100-80-sxm"), MATH, load_models(["llama-3.1-8b"]), ["fp16"], {},
        verifiers=[JUDGES[1]],
    ).options  # fmt: skip
    within = o.samples <= 16
    picks = [int(np.argmax(np.where(within, each[0], -1.0))) for each in o.by_bin]
    optimal = np.mean([each[0, t] for each, t in zip(o.by_bin, picks, strict=True)])
    for name in ("best-of-n", "weighted"):
        at_64 = o.accuracy[0, (o.strategy == name) & (o.samples == 64)].max()
        assert optimal >= at_64
        assert optimal - at_64 < 0.08
    assert str(o.strategy[picks[0]]).startswith(("revisions", "majority", "sequential"))
    assert o.strategy[picks[4]] in ("best-of-n", "beam-search", "lookahead-1", "lookahead-3")


def test_small_models_that_vote_pass_a_larger_one_that_answers_once() -> None:
    """The claim that on a device answers decoded together are nearly free."""
    both = plan(PHONE, MATH, load_models(["qwen2.5-1.5b", "qwen2.5-3b"]), ["int8"], {}, most=8)
    o = both.options
    small = np.flatnonzero((o.strategy == "majority") & (o.samples == 8) & (o.waves == 1))[0]
    large = np.flatnonzero(o.strategy == "greedy")[0]
    assert o.cost.seconds[0, small] < o.cost.seconds[1, large]
    assert o.accuracy[0, small] > o.accuracy[1, large]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"latency": 0.1}, r"nearest is .* needs .* of latency.*least of each alone is latency"),
        ({"memory": 1e8}, r"least of each alone is memory [\d.]+ GB"),
        ({"latency": 20.0, "energy": 1e-3}, r"of energy"),
    ],
)
def test_impossible_limits_say_what_is_nearest(limits: dict, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        plan(PHONE, MATH, load_models(["llama-3.2-1b"]), ["int8"], limits, most=4)


def test_a_device_without_energy_says_so(monkeypatch) -> None:
    """Every shipped device has a power; a user's profile need not."""

    def unknown(*columns, **more) -> np.ndarray:
        return np.full(np.shape(columns[3]), np.nan)

    monkeypatch.setattr("roofline.engine.work.phase_energy", unknown)
    one = load_models(["llama-3.2-1b"])
    with pytest.raises(SpecError, match="leave energy out"):
        plan(PHONE, MATH, one, ["int8"], {"energy": 5.0}, most=1)
    found = plan(PHONE, MATH, one, ["int8"], {}, most=1)
    assert account.to_dict(found)["best"]["energy_j"] is None


def test_programs_are_judged_by_tests_and_not_voted_on() -> None:
    task = load_task("humaneval")
    found = plan(
        PHONE, task, load_models(["llama-3.2-1b", "qwen2.5-1.5b"]), ["q4_k_m"], {},
        verifiers=[load_verifier("unit-tests")], most=8,
    )  # fmt: skip
    assert {"majority", "weighted", "beam-search"} <= set(found.options.skipped)
    assert found.options.strategy[found.best[1]] in ("best-of-n", "revisions-weighted",
                                                      "sequential-parallel-weighted")  # fmt: skip
    from roofline.strategies import Difficulty

    o = found.options
    t = np.flatnonzero((o.strategy == "best-of-n") & (o.samples == 8))[0]
    mean = o.accuracy[0, np.flatnonzero(o.strategy == "greedy")[0]]
    exact = Difficulty(alpha=task.alpha, beta=task.alpha * (1 - mean) / mean).coverage(8)
    assert o.accuracy[0, t] == pytest.approx(float(exact), abs=1e-9)


def test_bins_of_questions_that_are_all_but_certain() -> None:
    """With alpha .19 and nine in ten right, quintiles of success are one to the last digit."""
    from roofline.strategies.population import Population

    mean = np.array([0.9, 0.3])
    beta = 0.19 * (1 - mean) / mean
    people = Population(np.array([0.19, 0.19]), beta, 0.2, 30)
    for form in strategies().values():
        judge = JUDGES[0] if form.verified else None
        settings = form.settings(8)
        bins = [form.accuracy(settings, each, judge, MATH) for each in people.bins()]
        assert np.isfinite(bins).all()
        assert bins[0][:, 0] == pytest.approx(np.ones(len(settings)), abs=1e-3)
        whole = form.accuracy(settings, people, judge, MATH)
        assert np.mean(bins, axis=0) == pytest.approx(whole, abs=3e-3)


def test_what_models_reach_is_published_or_the_curve() -> None:
    models = load_models(["llama-3.2-1b", "qwen3-0.6b"])
    found = reached(MATH, models, ["fp16", "int4-g128"])
    assert found.pass_at_1[0, 0] == pytest.approx((0.306 + 0.31) / 2)
    assert found.basis == ("published", "curve of 21 models")
    assert (found.pass_at_1[:, 1] < found.pass_at_1[:, 0]).all()
    assert found.sd[1, 0] > found.sd[0, 0]
    curve = task_curve(MATH)
    assert curve.models == 21
    assert 0.03 < curve.rmse < 0.2
    # along the curve: from a model on it, nats of format are nats of loss
    loss = np.array([2.5])
    assert curve.worse(curve.at(loss), np.array([0.1])) == pytest.approx(curve.at(loss + 0.1))


def test_intervals_hold_held_out_models() -> None:
    """Of the published models, left out one by one, nine of ten lie in the curve's interval."""
    inside = 0
    curved = [name for name in MATH.models if not decodes_by_diffusion(name)]
    for name in curved:
        rest = MATH.model_copy(
            update={"models": {k: v for k, v in MATH.models.items() if k != name}}
        )
        found = reached(rest, load_models([name]), ["fp16"])
        low, high = found.ends()
        truth = np.mean([report.pass_at_1 for report in MATH.models[name]])
        inside += bool(low[0, 0] <= truth <= high[0, 0])
    assert inside >= 0.8 * len(curved)


def test_a_task_with_too_few_models_says_so() -> None:
    code = load_task("code")
    with pytest.raises(SpecError, match="nothing is published of model"):
        reached(code, load_models(["llama-3.2-1b"]), ["fp16"])
    assert reached(code, load_models(["llama-3-8b"]), ["fp16"]).pass_at_1[0, 0] < 0.1
    with pytest.raises(SpecError, match="write --weights fp16"):
        reached(code, load_models(["llama-3-8b"]), ["int4-g128"])


def test_said_and_saved_are_the_same(found, tmp_path) -> None:
    import json

    import pandas as pd
    import yaml

    from roofline.outputs import check_folder
    from roofline.strategies.folder import write_plan

    write_plan(found, tmp_path / "plan")
    table = pd.read_csv(tmp_path / "plan" / "front.csv")
    assert list(table["accuracy"]) == pytest.approx(
        [found.value(pick, "accuracy") for pick in found.front]
    )
    said = yaml.safe_load((tmp_path / "plan" / "plan.yaml").read_text())
    assert said["best"] == json.loads(json.dumps(account.to_dict(found)["best"]))
    assert (tmp_path / "plan" / "front.png").stat().st_size > 10_000
    with pytest.raises(SpecError, match="nothing is overwritten"):
        check_folder(tmp_path / "plan")


def test_a_full_plan() -> None:
    """20 models x 4 formats x all strategies x answers to 64 (benchmarks/strategies_speed.py)."""
    models = load_models(sorted(MATH.models)[:20])
    found = plan(PHONE, MATH, models, ["fp16", "int8", "int4-g128", "q4_k_m"], {}, verifiers=JUDGES)
    assert set(found.options.strategy) == set(strategies())
    assert found.options.samples.max() == 64
    assert found.options.count > 30_000


def test_numbers_that_nobody_confirmed_are_said_to_be() -> None:
    """HumanEval of Phi-4-mini is unconfirmed, of Qwen2.5-1.5B it was read in the report."""
    task = load_task("humaneval")
    for name, unconfirmed in (("phi-4-mini", 1), ("qwen2.5-1.5b", 0)):
        said = account.assumptions(plan(PHONE, task, load_models([name]), ["int8"], {}, most=4))
        found = [line for line in said if line.endswith("is unconfirmed")]
        assert len(found) == unconfirmed
        assert all(line.startswith("pass@1 of phi-4-mini, 74.4%") for line in found)


@pytest.mark.parametrize(
    ("task", "model", "source", "published"),
    [
        ("math", "qwen2.5-0.5b", "2412.15115", 0.344),  # table 10
        ("math", "qwen2.5-1.5b", "2412.15115", 0.552),
        ("math", "llama-3.2-3b", "Llama 3.2 model card", 0.473),
        ("humaneval", "phi-3.5-mini", "Phi-3.5-mini model card", 0.628),
        ("mmlu", "qwen2.5-72b", "2412.15115", 0.861),  # table 2
    ],
)
def test_reports_are_those_of_their_source(task, model, source, published) -> None:
    found = [each for each in load_task(task).models[model] if source in each.source]
    assert [each.pass_at_1 for each in found] == [published]
    assert found[0].checked


@pytest.mark.parametrize("field", ["alpha", "concentration"])
def test_a_task_beyond_what_a_beta_can_hold_is_refused(field, tmp_path) -> None:
    """Of an alpha of 1e300 every success is one half to a float: no accuracy can come of it."""
    kept = MATH.model_dump(mode="json", exclude={"models"}) | {field: 1e300}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(kept))
    with pytest.raises(SpecError, match=f"{field}: read 1e"):
        load_task(tmp_path / "mine.yaml")
