"""Options of workloads and placements on the command line: what is printed, what is refused."""

import json
import shlex
from dataclasses import replace

import pytest

from roofline.cli import run

BASE = "estimate --model llama-3.1-8b --device phone --weights q4_k_m"


def said(words: str, capsys) -> dict:
    assert run([*shlex.split(words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_best_says_every_placement_and_which_is_best_for_what(capsys):
    found = said(f"{BASE} --placement best", capsys)
    assert len(found["placements"]) == 33
    rows = {row["placement"]: row for row in found["placements"]}
    fitting = [row for row in rows.values() if row["fits"]]
    assert 0 < len(fitting) < 33  # two kinds of software keep the weights twice
    for criterion, unit in (("ttft", "s"), ("tpot", "s"), ("latency", "s"), ("energy", "j")):
        key = f"{criterion}_{unit}"
        least = min(row[key] for row in fitting)
        assert rows[found["best_placement"][criterion]][key] == least
    assert found["placement"] == found["best_placement"]["latency"]
    assert found["latency_s"] == rows[found["placement"]]["latency_s"]


def test_best_length_is_the_one_that_is_estimated(capsys):
    options = "--draft llama-3.2-1b --acceptance 0.8"
    found = said(f"{BASE} {options} --draft-length best", capsys)
    rows = {row["draft_length"]: row for row in found["draft_lengths"]}
    assert found["tpot_s"] == rows[found["best_draft_length"]]["tpot_s"]
    assert found["tpot_s"] == min(row["tpot_s"] for row in rows.values())
    given = said(f"{BASE} {options} --draft-length {found['best_draft_length']}", capsys)
    assert given["tpot_s"] == found["tpot_s"] < found["tpot_s_without_draft"]


def test_where_no_draft_pays_it_says_so(capsys):
    assert run(shlex.split(f"{BASE} --draft 0.2 --acceptance 0.05 --draft-length best")) == 0
    assert "No draft length is faster" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--cached 1024", "at least one must be new"),
        ("--draft llama-3.2-1b", "a draft needs it"),
        ("--draft llama-3.2-1b --acceptance 1.2", "at least 0 and below 1"),
        ("--draft qwen2.5-0.5b --acceptance 0.5", "a draft must speak the model's own"),
        ("--draft gemma-3-27b --acceptance 0.5", "vocabulary"),
        ("--draft llama-3.1-70b --acceptance 0.5", "must be smaller than what verifies it"),
        ("--draft lama-3.2-1b --acceptance 0.5", "llama-3.2-1b"),
        ("--draft-length 3", "there is no draft"),
        ("--draft 0.1 --acceptance 0.5 --draft-length few", "a number of tokens, or best"),
        ("--placement prefill=tpu", "no processor 'tpu'"),
        ("--placement prefill=npu --runtime vllm", "vLLM does not run on a npu"),
        ("--placement experts=cpu", "has no experts to place"),
        ("--placement best --processor cpu", "a placement, which names them"),
    ],
)
def test_what_cannot_be_is_one_sentence(options, words, capsys):
    assert run(shlex.split(f"{BASE} {options}")) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.strip().splitlines()) == 1
    assert "Traceback" not in error


def test_a_sweep_with_options_repeats(tmp_path, capsys):
    """A sweep file of a draft and a placement gives the front again."""
    import yaml

    out = tmp_path / "run"
    space = "--device phone --space paper-grid --placement prefill=npu,decode=cpu"
    assert run(shlex.split(f"sweep {space} -o {out}")) == 0
    data = yaml.safe_load((out / "sweep.yaml").read_text())
    assert data["placement"] == "prefill=npu,decode=cpu"
    data["workload"] |= {"cached": 512, "prefill_chunk": 128, "draft": 0.1, "acceptance": 0.7}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(data))
    for name in ("first", "second"):
        assert (
            run(["sweep", "--repeat", str(tmp_path / "other.yaml"), "-o", str(tmp_path / name)])
            == 0
        )
    fronts = [(tmp_path / name / "front.csv").read_text() for name in ("first", "second")]
    assert fronts[0] == fronts[1] != (out / "front.csv").read_text()
    assert "prefill=npu,decode=cpu" in fronts[0]
    capsys.readouterr()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--draft-length 9", "there is no --draft: --draft-length"),
        ("--acceptance 0.5", "there is no --draft: --acceptance"),
        ("--method exact --evaluations 200", "--evaluations beside it would have no effect"),
        ("--certify --max-seconds 1", "--max-seconds may cut it short"),
    ],
)
def test_a_sweep_refuses_what_it_would_not_heed(options, words, tmp_path, capsys):
    place = tmp_path / "run"
    base = f"sweep --device phone --space paper-grid -o {place}"
    assert run(shlex.split(f"{base} {options}")) == 2
    assert words in capsys.readouterr().err
    assert not place.exists()


def test_breeding_that_found_nothing_proves_nothing(tmp_path, capsys):
    """A few candidates of thousands meet these limits."""
    place = tmp_path / "run"
    limits = "--max-loss 3.415403 --max-tpot 16.581035ms"
    base = f"sweep --device phone --space number-formats {limits} --reference none -o {place}"
    assert run(shlex.split(f"{base} --method nsga2 --evaluations 100")) == 2
    told = capsys.readouterr().err
    assert "was found so far, of 100 judged of " in told
    assert "exclude each other" not in told
    assert not place.exists()


def test_pruning_that_was_stopped_before_it_found_something_goes_on(tmp_path, capsys, monkeypatch):
    from roofline.search.sweep import Sweep

    place = tmp_path / "run"
    search = Sweep._search

    def stopped(self, *arguments):
        found = search(self, *arguments)
        none = found.indices[:0]
        left = replace(found.pruning, open=3)
        return replace(found, indices=none, points=found.points[:0], pruning=left)

    monkeypatch.setattr(Sweep, "_search", stopped)
    words = f"sweep --device phone --space paper-grid --method pruned --reference none -o {place}"
    assert run(shlex.split(words)) == 2
    told = capsys.readouterr().err
    assert "was found so far: 3 of " in told
    assert f"--resume {place}" in told
    monkeypatch.undo()
    assert run(["sweep", "--resume", str(place)]) == 0
