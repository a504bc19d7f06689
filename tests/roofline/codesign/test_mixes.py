"""Mixes of workloads, and evaluators over mixes and fleets, by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hardware_specs import load_device
from roofline.engine import estimate
from roofline.laws import load_law
from roofline.mixes import Mix, load_mix, shipped_mixes
from roofline.search import Problem, RooflineEvaluator, enumerate_exactly
from roofline.search.many import TIMES, FleetEvaluator, MixEvaluator
from roofline.workload import Workload
from spec_files import SpecError

LAW = load_law("codesign")


@pytest.mark.parametrize("name", shipped_mixes())
def test_every_length_has_a_source_and_a_date(name) -> None:
    mix = load_mix(name)
    assert mix.title
    for part in mix.workloads:
        assert re.search(r"arXiv \d{4}\.\d{5}|doi 10\.", part.source), part.name
        assert re.fullmatch(r"20\d\d(-\d\d)?", part.date), part.name
    if len(mix.workloads) > 1:
        assert mix.weights


def test_published_numbers() -> None:
    """As printed in the papers: medians, averages, and words at 4/3 tokens."""
    lengths = {
        part.name: (part.prompt, part.generate)
        for name in shipped_mixes()
        for part in load_mix(name).workloads
    }
    assert lengths["conversation-service"] == (1020, 129)
    assert lengths["completion"] == (1500, 13)
    assert lengths["tools-and-agents"] == (7590, 182)
    assert lengths["open-chat"] == (round(69.5 + 1e-9), round(214.5 + 1e-9))
    words = {
        "news-in-a-sentence": (431.07, 23.26), "news": (781, 56),
        "several-articles": (2103.49, 263.66), "paper": (4938, 220), "question": (4.2, 29),
    }  # fmt: skip
    for name, pair in words.items():
        assert lengths[name] == tuple(round(4 / 3 * count) for count in pair), name


def test_joined_mixes_keep_their_weights() -> None:
    mix = load_mix("chat=3,summarise=1")
    assert sum(mix.shares[:3]) == pytest.approx(0.75)
    assert mix.shares[3:] == pytest.approx((0.0625,) * 4)
    assert load_mix("chat").shares == pytest.approx((1 / 3,) * 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("chot", "nearest is 'chat'"),
        ("chat=-1", "positive weight"),
        ("chat=no", "positive weight"),
        ("chat=1e308,voice=1e308", "positive weight"),
        ("chat,chat", "given twice"),
        ("", "no mix was named"),
        ("chat,", "no mix was named"),
    ],
)
def test_names_that_are_none(text, words) -> None:
    with pytest.raises(SpecError, match=words):
        load_mix(text)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("{name: a, prompt: 10, generate: 5, weight: -2}", "no weight"),
        ("{name: a, prompt: 10, generate: 5, weight: 1e308}", "no weight"),
        ("{name: a, prompt: true, generate: 5}", "read true where a number belongs"),
        ("{name: a, prompt: 0, generate: 5}", "at least 1"),
        ("{name: a, prompt: 10, generate: 5, wieght: 2}", "nearest is 'weight'"),
        ("{name: a, generate: 5}", "prompt"),
    ],
)
def test_files_that_are_none(part, words, tmp_path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"workloads:\n  - {part}\n")
    with pytest.raises(SpecError, match=words) as refused:
        load_mix(file)
    assert "mine.yaml" in str(refused.value)


@pytest.mark.parametrize("how", ["mean", "worst"])
def test_a_mix_by_hand(how, space) -> None:
    arch = space.candidates()[0][:40]
    device = load_device("jetson-agx-orin-64gb")
    mix = load_mix("chat=3,agent=1")
    said = MixEvaluator(device, mix, LAW, how=how)(arch)
    each = [estimate(arch, device, part.workload()) for part in mix.workloads]
    for name in TIMES:
        columns = [getattr(one, name) for one in each]
        wanted = (
            0.25 * sum(columns[:3]) + 0.25 * columns[3]
            if how == "mean"
            else np.max(columns, axis=0)
        )
        np.testing.assert_allclose(said[name], wanted, rtol=1e-12)
    np.testing.assert_array_equal(said["memory"], np.max([e.memory_bytes for e in each], axis=0))
    np.testing.assert_array_equal(said["fits"], np.all([e.fits for e in each], axis=0))


def test_a_mix_of_one_is_the_plain_evaluator(space) -> None:
    arch = space.candidates()[0]
    device = load_device("phone")
    alone = RooflineEvaluator(device, Workload(2, 100, 10), LAW)(arch)
    said = MixEvaluator(device, Mix.single(2, 100, 10), LAW)(arch)
    for name, column in alone.items():
        np.testing.assert_array_equal(said[name], column)


def test_a_fleet_by_hand(space) -> None:
    arch = space.candidates()[0]
    one, other = (
        RooflineEvaluator(load_device(name), Workload(1, 100, 10), LAW)
        for name in ("phone", "rpi5")
    )
    budgets = {"tpot": (0.02, 0.2)}
    shares = one(arch)["tpot"] / 0.02, other(arch)["tpot"] / 0.2
    worst = FleetEvaluator((one, other), "worst", budgets=budgets)(arch)
    np.testing.assert_array_equal(worst["tpot"], np.maximum(*shares))
    mean = FleetEvaluator((one, other), "mean", weights=(3, 1), budgets=budgets)(arch)
    np.testing.assert_allclose(mean["tpot"], 0.75 * shares[0] + 0.25 * shares[1], rtol=1e-12)
    np.testing.assert_array_equal(mean["fits"], one(arch)["fits"] & other(arch)["fits"])
    with pytest.raises(SpecError, match="no weight"):
        FleetEvaluator((one, other), weights=(1, 0))
    with pytest.raises(SpecError, match="2 devices"):
        FleetEvaluator((one, other), weights=(1,))


def test_both_are_searched_as_any_evaluator(space) -> None:
    """The exact front over a mix and for a fleet, against sorting all candidates."""
    mix = load_mix("chat,voice")
    evaluators = [MixEvaluator(load_device(name), mix, LAW) for name in ("phone", "rpi5")]
    for evaluator in (evaluators[0], FleetEvaluator(evaluators)):
        found = enumerate_exactly(Problem(space, evaluator), workers=1)
        said = evaluator(space.candidates()[0])
        points = np.column_stack([said["loss"], said["tpot"]])[said["fits"]]
        order = np.lexsort((points[:, 1], points[:, 0]))
        best, front = np.inf, []
        for loss, tpot in points[order]:
            if tpot < best:
                best, front = tpot, [*front, (loss, tpot)]
        assert sorted(map(tuple, found.points)) == front


def test_a_sweep_over_a_mix(tmp_path, monkeypatch, capsys) -> None:
    """Its table holds the mix's means, its page names the mix, and its file repeats it."""
    import pandas as pd

    from arch_space.spaces import load_space
    from roofline.cli import run

    monkeypatch.chdir(tmp_path)
    words = ["sweep", "-d", "phone", "--space", "paper-grid", "--mix", "chat=1,agent=2"]
    assert run([*words, "--reference", "none", "-o", "one"]) == 0
    assert run(["sweep", "--repeat", "one/sweep.yaml", "-o", "two"]) == 0
    one, two = (tmp_path / name / "front.csv" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    front = pd.read_csv(one)
    arch = load_space("paper-grid").at(front["index"].to_numpy())
    mix, device = load_mix("chat=1,agent=2"), load_device("phone")
    each = [estimate(arch, device, part.workload()) for part in mix.workloads]
    for column, name in (("tpot_s", "tpot"), ("ttft_s", "ttft"), ("energy_j", "energy")):
        wanted = sum(s * getattr(e, name) for s, e in zip(mix.shares, each, strict=True))
        np.testing.assert_allclose(front[column], wanted, rtol=1e-9)
    np.testing.assert_allclose(
        front["memory_bytes"], np.max([e.memory_bytes for e in each], axis=0)
    )
    assert "agent/tools-and-agents 7,590+182" in (tmp_path / "one" / "report.html").read_text()
    capsys.readouterr()
    assert run([*words, "--prompt", "5", "-o", "three"]) == 2
    assert "has its own lengths" in capsys.readouterr().err
