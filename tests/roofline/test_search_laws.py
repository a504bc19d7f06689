"""Several laws over one space: which members no candidate beats under any, and how that is told."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hardware_specs import load_device
from roofline.cli import run
from roofline.laws import load_law, predict
from roofline.search.fronts import beaten
from roofline.search.sweep import Sweep
from spec_files import SpecError

SMALL = """
name: small
fixed: {vocabulary: 32000, head_size: 64, ffn_multiple: 64, kv_heads: 2}
dimensions:
  layers: {from: 4, to: 24, step: 4}
  width: [768, 1024, 1536, 2048]
  ffn_ratio: [1, 2, 4]
  experts, experts_per_token: [[1, 1], [8, 1]]
"""
RATIO = "conditional"
COMMAND = ["sweep", "--device", "phone", "--space", "small.yaml", "--reference", "none"]


@pytest.fixture(autouse=True)
def _small_space(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL)


def prepared(law, **changes):
    return Sweep.prepare(
        device=load_device("phone"), space="small.yaml", law=law, references=["none"], **changes
    )


def found(law, **changes):
    job = prepared(law, **changes)
    return job.run(job.problem())


@pytest.mark.parametrize("objectives", [2, 3])
def test_who_is_beaten_is_who_a_loop_says(objectives):
    random = np.random.default_rng(0)
    points = random.integers(6, size=(80, objectives)).astype(float)
    front = random.integers(6, size=(30, objectives)).astype(float)
    points[3, 1] = np.nan
    slow = [
        any((f <= p).all() and (f < p).any() for f in front) and not np.isnan(p).any()
        for p in points
    ]
    assert beaten(points, front).tolist() == slow
    assert not beaten(points, front[:0]).any()


@pytest.mark.parametrize("objectives", ["loss,tpot", "loss,ttft,memory"])
def test_a_member_survives_a_law_under_which_no_candidate_beats_it(objectives):
    result = found("codesign,chinchilla,kaplan", objectives=objectives)
    job = result.sweep
    front = result.front
    arch, indices = job.space.candidates()
    rows = np.searchsorted(indices, front["index"])
    said = job.problem().evaluator(arch)
    survivors = set(range(len(front)))
    for name in ("codesign", "chinchilla", "kaplan"):
        quantities = {**said, "loss": predict(load_law(name), arch).loss}
        points = [tuple(quantities[o][i] for o in job.objectives) for i in range(len(arch))]
        kept = {
            member
            for member, row in enumerate(rows)
            if not any(
                other != points[row]
                and all(a <= b for a, b in zip(other, points[row], strict=True))
                for other in points
            )
        }
        assert set(np.flatnonzero(front[f"on_front_{name}"])) == kept
        assert kept
        survivors &= kept
    assert set(np.flatnonzero(front["survives"])) == survivors
    summary = result.summary
    assert summary["survivors"] == len(survivors) < len(front)
    assert summary["survival"].startswith(f"{len(survivors)} of the {len(front)} members survive")
    assert "under codesign, chinchilla or kaplan" in summary["survival"]
    fate = "survives every law" if result.knee in survivors else "is beaten under"
    assert f"The knee {fate}" in summary["survival"]
    assert summary["laws"]["kaplan"]["kept"] == front["on_front_kaplan"].sum()


@pytest.mark.parametrize("routing", ["[1, 2]", "[2, 1]"])
def test_a_tie_under_a_law_that_sees_sizes_only_beats_nobody(routing):
    """Whichever of two equal sizes comes first in the space, the one chosen for shape survives."""
    Path("small.yaml").write_text(
        "name: two\nfixed: {vocabulary: 32000, head_size: 64, kv_heads: 2, layers: 8, width: 1024, "
        "experts: 8, expert_width: 1024}\n"
        f"dimensions: {{experts_per_token: {routing}}}\n"
    )
    front = found("codesign,chinchilla", objectives="loss").front
    assert len(front) == 1
    assert front["on_front_chinchilla"].all()


def test_a_law_searched_by_nsga2_says_that_it_looked_only_so_far():
    result = found("codesign,chinchilla", method="nsga2", evaluations=500)
    assert "as far as NSGA-II has searched" in result.summary["survival"]
    assert "NSGA-II" not in found("codesign,chinchilla").summary["survival"]


def test_losses_of_other_laws_stand_in_columns_of_their_own():
    front = found(f"codesign,{RATIO}").front
    arch = prepared("codesign").space.at(front["index"].to_numpy())
    np.testing.assert_allclose(front["loss"], predict(load_law("codesign"), arch).loss)
    np.testing.assert_allclose(front[f"loss_under_{RATIO}"], predict(load_law(RATIO), arch).loss)


def test_one_law_adds_no_columns():
    result = found("codesign")
    assert not [c for c in result.front if "under" in c or c.startswith("on_front")]
    assert "survives" not in result.front
    assert "survival" not in result.summary


def test_the_command_line_writes_and_repeats_it(capsys):
    assert run([*COMMAND, "--law", "codesign,chinchilla", "-o", "one"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    front = pd.read_csv("one/front.csv")
    summary = json.loads(Path("one/summary.json").read_text())["summary"]
    assert summary["survivors"] == front["survives"].sum()
    assert {"on_front_codesign", "on_front_chinchilla", "loss_under_chinchilla"} <= set(front)
    assert summary["survival"] in printed
    assert summary["decision"] in printed
    page = Path("one/report.html").read_text()
    assert summary["survival"] in page
    assert summary["decision"] in page
    assert Path("one/laws.png").stat().st_size > 10_000
    assert run(["sweep", "--repeat", "one/sweep.yaml", "-o", "two"]) == 0
    for name in ("front.csv", "sweep.yaml"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


def test_an_interrupted_search_under_the_second_law_resumes(capsys, monkeypatch):
    command = [*COMMAND, "--law", "codesign,chinchilla", "--method", "exact"]
    assert run([*command, "-o", "whole"]) == 0
    from roofline.search import enumeration

    monkeypatch.setattr(
        enumeration.enumerate_exactly,
        "__kwdefaults__",
        {**enumeration.enumerate_exactly.__kwdefaults__, "chunk": 20},
    )
    original, calls = enumeration.merge, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 11:  # eight chunks of the first law are done
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(enumeration, "merge", interrupted)
    assert run([*command, "-o", "cut"]) == 130
    assert {p.name for p in Path("cut").iterdir()} == {
        "sweep.yaml", ".checkpoint.npz", ".checkpoint-1.npz",
    }  # fmt: skip
    assert run(["sweep", "--resume", "cut"]) == 0
    assert Path("cut/front.csv").read_bytes() == Path("whole/front.csv").read_bytes()
    assert not list(Path("cut").glob(".checkpoint*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--law", "codesign,chinchila"], ["chinchila", "chinchilla"]),
        (["--law", "codesign,chinchilla,codesign"], ["'codesign'", "twice"]),
        (["--law", "codesign,chinchilla", "--objectives", "tpot,memory"], ["loss", "objectives"]),
        (["--law", "codesign,chinchilla", "--max-loss", "3"], ["one law"]),
        (["--law", "codesign,kaplan", "--in-range-only", "--max-tpot", "1us"], ["no candidate"]),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(capsys, options, words):
    assert run([*COMMAND, *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.strip().count("\n") == 0
    assert all(word in printed.err for word in words), printed.err
    assert [p.name for p in Path().iterdir()] == ["small.yaml"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda law: [law | {"form": "chinchila"}], ["other_laws.0", "'chinchila'", "chinchilla"]),
        (lambda law: "chinchilla", ["other_laws", "a list of laws", "chinchilla"]),
    ],
)
def test_a_sweep_file_with_wrong_laws_is_refused(capsys, wrong, words):
    import yaml

    data = yaml.safe_load(prepared("codesign,chinchilla").to_yaml())
    data["other_laws"] = wrong(data["other_laws"][0])
    Path("odd.yaml").write_text(yaml.safe_dump(data))
    assert run(["sweep", "--repeat", "odd.yaml"]) == 2
    said = capsys.readouterr().err
    assert "odd.yaml:" in said
    assert all(word in said for word in words), said


def test_a_list_of_laws_may_be_given_as_a_list():
    names = [law.name for law in prepared(["codesign", "chinchilla"]).laws]
    assert names == [law.name for law in prepared("codesign, chinchilla").laws]
    with pytest.raises(SpecError, match="twice"):
        prepared(["codesign", "codesign"])


def test_the_unit_of_a_ratio_is_said_wherever_its_losses_stand(capsys):
    unit = load_law(RATIO).unit
    assert unit != load_law("codesign").unit
    assert run([*COMMAND, "--law", f"{RATIO},codesign", "-o", "one"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "loss (ratio" in printed
    assert json.loads(Path("one/summary.json").read_text())["loss_unit"] == unit
    page = Path("one/report.html").read_text()
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    axes = {axis["objective"]: axis["unit"] for axis in data["axes"]}
    assert axes["loss"] == unit
    from roofline.report.figures import front_figure
    from roofline.report.laws import laws_figure

    result = found(f"{RATIO},codesign")
    assert front_figure(result).axes[0].get_ylabel() == f"Loss ({unit})"
    labels = [panel.get_ylabel() for panel in laws_figure(result).axes]
    assert labels == [f"Loss ({unit})", "Loss (nats per token)"]


def test_the_figure_of_laws_shows_each_in_its_own_losses():
    from roofline.report.laws import laws_figure

    result = found("codesign,chinchilla")
    panels = laws_figure(result).axes
    assert [panel.get_title(loc="left").split(":")[0] for panel in panels] == [
        "codesign", "chinchilla",
    ]  # fmt: skip
    for panel, column in zip(panels, ("loss", "loss_under_chinchilla"), strict=True):
        drawn = np.concatenate(
            [np.asarray(c.get_offsets()) for c in panel.collections if c.get_label() != "Knee"]
        )
        np.testing.assert_allclose(np.sort(drawn[:, 1]), np.sort(result.front[column]))
    green = next(c for c in panels[1].collections if c.get_label() == "Not beaten under any law")
    assert len(green.get_offsets()) == result.front["survives"].sum()
