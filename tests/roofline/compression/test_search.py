"""The search among recipes against brute force, and what the command says of it."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from arch_space.library import load_model
from hardware_specs import load_device
from roofline import Workload
from roofline.cli import run
from roofline.compression import account, beside
from roofline.compression.outcome import outcome
from roofline.compression.recipe import load_recipe, published
from roofline.compression.search import (
    RESOLUTION,
    default_teacher,
    objectives,
    quantisations,
    recipes,
    search,
)
from roofline.compression.subject import Subject
from roofline.laws import load_law

SUBJECT = Subject(load_model("llama-3.2-3b"), 9.0, load_law("supervised"))
BASE = ["compress", "-m", "llama-3.2-3b", "-d", "phone", "--max-memory", "3GB"]


@pytest.fixture(scope="module")
def judged():
    found = [*recipes(SUBJECT), published("llama-3.1-70b")]
    return outcome(found, SUBJECT, load_device("phone"), Workload(prompt=512, generate=128))


def roofline(capsys, *words):
    assert run(list(words)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_the_front_is_that_of_brute_force(judged):
    found = search(judged, {"memory": 3e9})
    points = objectives(judged)
    allowed = np.flatnonzero(found.allowed)
    kept = [
        row
        for row in allowed
        if not any(
            (points[o] <= points[row]).all() and ((points[o] < points[row]).any() or o < row)
            for o in allowed
            if o != row
        )
    ]
    assert sorted(found.front) == kept
    assert found.chosen == min(kept, key=lambda row: tuple(points[row]))
    assert (judged.cost.memory_bytes[found.front] <= 3e9).all()


def test_all_recipes_are_judged_in_one_table(judged):
    assert len(judged) == len(recipes(SUBJECT)) + 1 > 1000
    assert len(judged.architectures) == len(judged)
    names = {str(step) for step in quantisations(SUBJECT)}
    assert {"gptq:4:g128", "awq:3:g128", "omniquant:2:g64", "gguf:q4_k_m", "rtn:8:channel"} <= names
    assert "gptq:2:g128" not in names


def test_what_is_searched_could_be_asked_for(judged):
    texts = {str(recipe) for recipe in judged.recipes}
    assert not [text for text in texts if "prune" in text and "gguf" in text]
    for text in sorted(texts)[::50]:
        assert str(load_recipe(text)) == text


def test_a_pruned_model_says_that_no_runtime_was_measured(judged):
    for recipe, notes in zip(judged.recipes, judged.notes, strict=True):
        assert any("bit mask" in note for note in notes) == ("prune" in str(recipe))


def test_the_untouched_model_wins_where_nothing_binds():
    some = [load_recipe(text) for text in ("none", "gptq:4:g128", "q8_0")]
    on_a_card = outcome(some, SUBJECT, load_device("a100"), Workload(prompt=512, generate=128))
    found = search(on_a_card, {})
    assert str(on_a_card.recipes[found.chosen]) == "none"
    assert found.binds == ("decoding is bound by memory",)


def test_a_model_that_does_not_fit_is_bound_by_the_device(judged):
    found = search(judged, {})
    assert not judged.cost.fits[0]
    assert found.binds[0].startswith("the device's memory: without it none would lose")


def test_what_binds_is_what_better_recipes_break(judged):
    found = search(judged, {"memory": 3e9})
    (memory,) = (line for line in found.binds if line.startswith("memory"))
    best = np.flatnonzero(judged.cost.fits)[np.argmin(judged.nats[judged.cost.fits])]
    assert str(judged.recipes[best]) in memory
    saved = judged.nats[found.chosen] - judged.nats[best]
    assert f"would lose {saved:.4f} less" in memory


def test_the_published_recipe_is_placed(judged):
    found = search(judged, {"memory": 3e9}, len(judged) - 1)
    better = found.beaten_by(found.published)
    points = objectives(judged)
    assert better is not None
    assert (points[better] <= points[found.published]).all()
    twin = [str(recipe) for recipe in judged.recipes].index("gptq:4:g128")
    assert abs(judged.nats[twin] - judged.nats[found.published]) < RESOLUTION
    assert any("arXiv 2601.09865" in line for line in account.sentences(found))


def test_a_teacher_shares_the_vocabulary():
    assert default_teacher(SUBJECT) == "llama-3.1-70b"
    assert default_teacher(Subject(load_model("qwen2.5-0.5b"), 18.0, SUBJECT.law)) is None


def test_the_command_prints_front_choice_runner_up_and_the_published_recipe(capsys):
    printed = roofline(capsys, *BASE)
    for word in ("chosen", "runner-up", "arXiv 2601.09865", "What binds: memory", "Of the chosen"):
        assert word in printed


def test_json_folder_and_recipe_agree(capsys, tmp_path):
    mine = "distil:llama-3.1-70b,lora,muon:0.17,gptq:4:g128,kv:int8"
    folder = tmp_path / "out"
    words = [*BASE, "--recipe", mine, "--accuracy", "arc-easy=0.74", "--json", "-o", str(folder)]
    said = json.loads(roofline(capsys, *words))
    assert said["asked"]["recipe"] == mine
    assert said["asked"]["nats"] == pytest.approx(0.17 * said["published"]["nats"], rel=0.02)
    assert said["asked"]["optimiser_state_bytes"] > 0
    assert said["asked"]["training_hours"] > 0
    accuracy = said["asked"]["accuracy"]["arc-easy"]
    assert 0.25 < accuracy["low"] < accuracy["after"] < accuracy["before"] == 0.74
    assert said["limits"] == {"memory": 3e9}
    front = pd.read_csv(folder / "front.csv")
    assert len(front) == len(said["front"])
    assert front["nats"].is_monotonic_increasing
    assert len(pd.read_csv(folder / "recipes.csv")) == said["judged"]
    again = load_recipe(str(folder / "recipe.yaml"))
    assert str(again) == said["chosen"]["recipe"]
    said.pop("units")
    assert json.loads((folder / "compress.json").read_text()) == said
    assert (folder / "front.png").stat().st_size > 10_000
    assert run([*BASE, "-o", str(folder)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err


def test_a_zero_has_no_sign(capsys):
    words = ["compress", "-m", "llama-3.2-3b", "-d", "a100", "--recipe"]
    printed = roofline(capsys, *words, "distil:llama-3.1-70b,lora")
    assert "0.0000" in printed
    assert "-0.0000" not in printed


def test_a_recipe_that_breaks_a_limit_says_which(capsys):
    words = ["compress", "-m", "llama-3.2-3b", "-d", "phone", "--recipe", "none"]
    assert "Yours, none, breaks a limit: the device's memory." in roofline(capsys, *words)
    words = [*words, "--max-memory", "3GB", "--max-loss", "0.1"]
    assert "breaks a limit: memory, the device's memory." in roofline(capsys, *words)
    words[6] = "gptq:3"
    assert "Yours, gptq:3:channel, breaks a limit: nats." in roofline(capsys, *words)


def test_precision_laws_stand_beside(capsys):
    said = json.loads(roofline(capsys, *BASE, "--json"))
    laws = said["laws_beside_chosen"]
    assert set(laws) == {"rounding-kumar", "rounding-ouyang", "precision"}
    # by hand, Ouyang: .017 D^.5251 / N^.2261 / P^5.4967
    n, d = SUBJECT.matrix_parameters, 9e12
    bits = {"gguf:q6_k": 6}[said["chosen"]["recipe"]]
    assert laws["rounding-ouyang"] == pytest.approx(0.017 * d**0.5251 / n**0.2261 / bits**5.4967)


def test_the_laws_errors_are_what_the_tables_say():
    """Llama-2-7B, GPTQ at 4 bits in groups of 128: ln(5.61 / 5.47) measured, Ouyang's law by hand:
    .017 D^.5251 / N^.2261 / 4^5.4967 at 2T tokens and 6.476B parameters in the layers."""
    found = beside.errors()
    one = np.log(5.61 / 5.47) / (0.017 * 2e12**0.5251 / 6.476e9**0.2261 / 4**5.4967)
    low, high = found["rounding-ouyang"]
    assert low <= one <= high
    assert 0.1 < low < 0.2
    assert 0.9 < high < 1.2
    assert 3 < found["rounding-kumar"][1] < 4.5
    assert found["precision"][0] > 1, "training in few bits loses less than rounding"


@pytest.mark.parametrize("law", beside.LAWS)
def test_what_a_law_says_of_its_trust_is_what_the_tables_say(law):
    (ends,) = re.findall(r"lose ([\d.]+) to ([\d.]+) times as much", load_law(law).trust)
    assert ends == tuple(f"{end:.2g}" for end in beside.errors()[law])


def test_a_task_is_read_off_its_curve(capsys):
    said = json.loads(roofline(capsys, *BASE, "--task", "piqa", "--loss", "2.6", "--json"))
    from roofline.laws.accuracy import load_curve

    before = said["chosen"]["accuracy"]["piqa"]["before"]
    assert before == pytest.approx(float(load_curve("piqa").at(2.6)))
    assert said["loss_before"] == {"loss": 2.6, "from": "given"}


def test_a_task_without_a_decay_is_read_off_its_curve_after_too(capsys):
    from roofline.laws.accuracy import load_curve

    said = json.loads(roofline(capsys, *BASE, "--task", "mmlu", "--loss", "2.6", "--json"))
    published, curve = said["published"], load_curve("mmlu")
    found = published["accuracy"]["mmlu"]
    assert found["before"] == pytest.approx(float(curve.at(2.6)))
    assert found["after"] == pytest.approx(float(curve.at(2.6 + published["nats"])))
    assert found["low"] < found["after"] < found["high"]
    assert "mmlu" in roofline(capsys, *BASE, "--task", "mmlu")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--max-memory", "100MB"], "no recipe keeps the limits; nearest is"),
        (["--max-memory", "3"], "--max-memory"),
        (["--max-memory", "-3GB"], "--max-memory"),
        (["--max-loss", "0"], "positive nats"),
        (["--teacher", "llama-3.2-1b"], "a teacher is no smaller"),
        (["--accuracy", "piqa=1.7"], "write TASK=SHARE"),
        (["--accuracy", "piqaa=0.7"], "nearest is 'piqa'"),
        (["--accuracy", "piqa=0.2"], "from 0.5, a guess, to 1"),
        (["--accuracy", "piqa=0.7", "--accuracy", "piqa=0.8"], "piqa is given twice"),
        (["--accuracy", "piqa=0.7", "--task", "piqa"], "given already; keep one"),
        (["--loss", "nan"], "--loss: read nan; write nats above 0 and up to 11.8"),
        (["--loss", "-1"], "--loss: read -1"),
        (["--loss", "12"], "a guess among 128256 tokens"),
        (["--tokens", "1"], "--tokens: read '1'; write a count such as 9T"),
        (["--tokens", "1e40"], "--tokens: read '1e40'"),
        (["--task", "mmluu"], "nearest is 'mmlu'"),
        (["--utilisation", "2"], "a share lies in 0 to 1"),
        (["--tokens", "many"], "--tokens"),
        (["--train-on", "hailo10h"], "no bf16 or fp16 peak"),
        (["--prompt", "0"], "at least 1"),
    ],
)
def test_bad_options_are_one_sentence(words, sentence, capsys):
    assert run(["compress", "-m", "llama-3.2-3b", "-d", "phone", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert printed.err.count("\n") == 1


def test_a_model_whose_tokens_are_unknown_says_so(capsys):
    words = ["compress", "-m", "phi-3-mini", "-d", "phone", "--max-memory", "3GB", "--json"]
    said = json.loads(roofline(capsys, *words))
    assert said["training_tokens"] is None
    assert any("taken as Llama-3-8B's" in note for note in said["chosen"]["notes"])
    assert said["published"] is None  # no teacher of its vocabulary
