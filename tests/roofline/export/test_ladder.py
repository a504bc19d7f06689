"""The ladder taken back: refits against a general optimiser, verdicts against made-up losses."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from arch_space.architectures import Architectures, concatenate
from hardware_specs import load_device
from roofline.cli import run
from roofline.export import Cluster, Front, check_ladder, make_plan, write_plan
from roofline.export.refit import LEVEL_SD, refit
from roofline.laws import load_law
from roofline.laws.variables import variable
from roofline.search.sweep import Sweep


@pytest.fixture(scope="module")
def front():
    job = Sweep.prepare(device=load_device("phone"), space="paper-grid", references=["none"])
    found = job.run(job.problem())
    return Front(found.front, "front.csv", job, found.to_dict())


def planned(front, path, picked, law):
    cluster = Cluster.of(load_device("h100-sxm"), 8, 0.4)
    plan, files = make_plan(front, picked, "huggingface", law, cluster, 4096)
    write_plan(path, plan, files, law, front)
    return plan


def filled(path, losses):
    """Fill in ladder.csv by a function of what was expected; return its path."""
    table = pd.read_csv(path / "ladder.csv")
    table["loss"] = losses(table["expected_loss"].to_numpy())
    table.to_csv(path / "back.csv", index=False)
    return path / "back.csv"


@pytest.fixture(scope="module")
def knee(front, tmp_path_factory):
    path = tmp_path_factory.mktemp("team") / "knee"
    plan = planned(front, path, "4", front.sweep.law)
    return path, plan


def test_losses_as_expected_change_nothing(knee):
    path, plan = knee
    found = check_ladder(path / "plan.yaml", filled(path, lambda loss: loss))
    assert all(each.within for each in found.rungs)
    assert found.stands
    assert found.on_front_before
    assert found.form_holds
    assert found.level == pytest.approx(1, abs=1e-4)
    assert found.expected.value == pytest.approx(plan.choice.loss.value, rel=1e-4)
    # A ladder tells something: beside the law's own interval stands what another text may shift.
    law = plan.choice.loss.high - plan.choice.loss.low
    text = 2 * 1.645 * LEVEL_SD * plan.choice.loss.value
    assert found.expected.high - found.expected.low < 0.6 * np.hypot(law, text)
    assert found.decision.startswith("The choice stands: member 4 is still on the front")


def test_another_text_shifts_the_level_and_not_the_choice(knee):
    path, plan = knee
    found = check_ladder(path / "plan.yaml", filled(path, lambda loss: 1.08 * loss))
    assert not any(each.within for each in found.rungs)
    assert found.form_holds
    assert found.stands
    assert found.level == pytest.approx(1.08, abs=0.01)
    assert found.expected.value == pytest.approx(1.08 * plan.choice.loss.value, rel=0.01)


def test_losses_that_no_coefficients_explain_are_said_to_be_so(knee):
    path, _ = knee

    def wild(loss):
        return loss * np.where(np.arange(len(loss)) % 2, 1.2, 0.85)

    found = check_ladder(path / "plan.yaml", filled(path, wild))
    assert found.form_holds is False
    assert "its form does not hold" in found.holds
    assert "as far as a law that does not fit" in found.decision


def test_the_refit_is_the_most_likely_one():
    """A general optimiser finds no likelier coefficients and level than the closed steps do."""
    law = load_law("codesign")
    base = load_law("codesign")
    arch = concatenate(
        [
            Architectures(
                layers=layers,
                width=width,
                query_heads=width // 64,
                kv_heads=2,
                head_size=64,
                ffn_width=3 * width,
                vocabulary=151936,
            )
            for layers, width in ((4, 768), (8, 1024), (12, 1536), (20, 2048))
        ]
    )
    measured = base.loss(arch) * np.array([1.03, 0.99, 1.05, 1.02])
    found = refit(law, arch, np.full(4, 10e9), measured)
    spread = law.uncertainty
    logs = np.array([scale == "log" for scale in spread.scale])
    mean = np.array([law.coefficients()[name] for name in spread.coefficients])
    weight = np.linalg.inv(np.array(spread.covariance))

    def cost(point):
        values = np.where(logs, mean * np.exp(point[:-1]), mean + point[:-1])
        now = law.with_coefficients(dict(zip(spread.coefficients, values, strict=True)))
        rest = np.log(measured) - np.log(now.loss(arch)) - point[-1]
        prior = point[:-1] @ weight @ point[:-1] + (point[-1] / LEVEL_SD) ** 2
        return prior + (rest**2).sum() / spread.residual**2

    mine = np.array([found.law.coefficients()[name] for name in spread.coefficients])
    point = np.append(np.where(logs, np.log(np.abs(mine / mean)), mean - mean), np.log(found.level))
    point[:-1] = np.where(logs, point[:-1], mine - mean)
    other = minimize(cost, np.zeros(len(point)), method="BFGS", options={"maxiter": 2000})
    assert cost(point) <= other.fun * (1 + 1e-5) + 1e-9
    assert cost(point) < cost(np.zeros(len(point)))


@pytest.mark.parametrize("name", ["olmo-ladder", "gadre-c4", "gemstones-refit"])
def test_laws_of_every_kind_of_errors_refit(front, name):
    """Replicates of a bootstrap in place of a covariance, and formulas of one's own."""
    law = load_law(name)
    arch = front.architectures()[[0, 20, 60]]
    tokens = np.array([1e10, 2e10, 3e10])
    at = [[variable(v, arch[i], tokens[i])[0] for i in range(3)] for v in law.variables]
    expected = law.at(*map(np.array, at))
    found = refit(law, arch, tokens, 1.05 * expected)
    # From the law towards what was measured, and never past it.
    assert (found.fitted > expected).all()
    assert (found.fitted < 1.05 * expected * 1.01).all()
    assert found.draws is not None


def test_a_law_without_errors_gets_its_level(front):
    """Chinchilla states none: its e, the same for all runs, takes up a shift of all losses."""
    law = load_law("chinchilla")
    arch = front.architectures()[:3]
    tokens = np.array([5e9, 8e9, 10e9])
    size = [variable("parameters", arch[i], 1.0)[0] for i in range(3)]
    measured = np.array([law.at(n, d) for n, d in zip(size, tokens, strict=True)]) + 0.2
    found = refit(law, arch, tokens, measured)
    assert found.law.e == pytest.approx(law.e + 0.2, rel=1e-4)
    assert found.law.alpha == law.alpha
    assert found.draws is None
    alone = refit(law, arch[:1], tokens[:1], measured[:1])
    assert alone.law == law
    assert alone.level == pytest.approx(measured[0] / law.at(size[0], tokens[0]))


def test_many_runs_refit_every_coefficient(front):
    law = load_law("chinchilla")
    true = law.with_coefficients({"e": 1.9, "a": 500.0, "alpha": 0.36})
    arch = front.architectures()[:30]
    tokens = np.geomspace(2e9, 50e9, 30)[::-1]
    size = np.array([variable("parameters", arch[i], 1.0)[0] for i in range(30)])
    found = refit(law, arch, tokens, true.at(size, tokens))
    assert found.scatter < 1e-4


def test_a_ladder_may_change_the_choice(front, tmp_path):
    """Deep models worth less than the law says: the refit brings other members forward."""
    law = front.sweep.law
    plan = planned(front, tmp_path / "team", "tpot<40ms", law)
    deep = law.with_coefficients({"k_l": 3 * law.k_l, "k_d": 0.5 * law.k_d})
    arch = concatenate([Architectures.from_rows([r.architecture]) for r in plan.ladder])
    found = check_ladder(
        tmp_path / "team" / "plan.yaml", filled(tmp_path / "team", lambda _: deep.loss(arch))
    )
    losses = found.level * law.with_coefficients(found.coefficients).loss(front.architectures())
    met = front.table["tpot_s"].to_numpy() < 0.04
    assert found.best == np.flatnonzero(met)[np.argmin(losses[met])]
    assert found.stands == (found.on_front and found.best == plan.member)


def test_a_beaten_member_does_not_stand(front, tmp_path):
    """One more member, equal in time to the pick and better by another law than the front's."""
    law = load_law("chinchilla")
    plan = planned(front, tmp_path / "team", "30", law)
    members = front.architectures()
    loss = np.array([law.at(variable("parameters", a, 1.0)[0], law.tokens) for a in members])
    tpot = front.table["tpot_s"].to_numpy()
    beats = (loss <= loss[30]) & (tpot <= tpot[30]) & ((loss < loss[30]) | (tpot < tpot[30]))
    found = check_ladder(tmp_path / "team" / "plan.yaml", filled(tmp_path / "team", lambda x: x))
    assert found.on_front == (not beats.any())
    assert found.on_front_before == found.on_front
    if beats.any():
        assert "before the ladder" in found.decision
    assert plan.choice.loss.low is None
    assert "no interval" in found.holds


def test_a_fit_of_the_command_line(knee, capsys, tmp_path):
    path, _ = knee
    back = filled(path, lambda loss: loss * np.array([1.0] + [np.nan] * (len(loss) - 1)))
    assert run(["fit", str(back), "--ladder", str(path / "plan.yaml"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rungs"]) == 1
    assert run(["fit", str(back), "--ladder", str(path / "plan.yaml")]) == 0
    assert "The choice stands" in " ".join(capsys.readouterr().out.split())

    bad = {
        "is empty; write in": "rung,loss\nrung-1,\n",
        "'rung-9' is not a rung": "rung,loss\nrung-9,3.0\n",
        "no column 'rung'": "runs,loss\nrung-1,3.0\n",
        "no column of losses": "rung,lost\nrung-1,3.0\n",
        "a loss is above zero": "rung,loss\nrung-1,-3.0\n",
        "where a number belongs": "rung,loss\nrung-1,three\n",
    }
    for said, text in bad.items():
        (tmp_path / "bad.csv").write_text(text)
        assert run(["fit", str(tmp_path / "bad.csv"), "--ladder", str(path / "plan.yaml")]) == 2
        assert said in capsys.readouterr().err
    assert run(["fit", str(back), "--ladder", str(tmp_path / "no.yaml")]) == 2
