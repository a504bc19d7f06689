"""The shipped tables, llama.cpp's types, pruning and tasks against numbers copied by hand."""

from math import exp, log

import numpy as np
import pytest
import yaml

from roofline.degradation import gguf, pruning, tables, tasks
from spec_files import SpecError


def test_every_table_says_where_it_comes_from():
    said = yaml.safe_load((tables.FOLDER / "sources.yaml").read_text())
    assert set(said) == {file.name for file in tables.FOLDER.glob("*.csv")}
    for entry in said.values():
        assert set(entry) == {"source", "date", "about"}
        assert all(str(value).strip() for value in entry.values())


def test_rows_by_hand():
    rows = {(r.method, r.model, r.bits, r.group): r for r in tables.weight_only()}
    row = rows["gptq", "llama-2-70b", 4, 128]
    assert row.nats == pytest.approx(log(3.42 / 3.31))
    assert (row.parameters, row.tokens, row.stored) == (68.977, 2.0, 4.25)
    step = 0.01 / np.sqrt(12)
    assert row.error == pytest.approx(np.hypot(step / 3.42, step / 3.31))
    assert rows["rtn", "llama-3-8b", 3, 0].nats == pytest.approx(log(2200 / 6.1))
    assert rows["efficientqat", "llama-3-70b", 2, 64].nats == pytest.approx(log(6.08 / 2.85))
    assert ("awq", "llama-2-70b", 4, 128) not in rows  # not published
    assert sum(r.method == "efficientqat" for r in rows.values()) == 20  # base models


def test_loss_change_and_divergence_are_one_below_q6():
    """llama.cpp on Llama-3-8B: dNLL is .85 to 1.02 of the mean KL divergence below Q6_K."""
    found = gguf.divergence()
    assert len(found) == 33 + 4
    below = [
        ratio
        for row, ratio in found
        if row.model == "llama-3-8b" and row.name not in ("q6_k", "q8_0")
    ]
    assert len(below) == 31
    assert 0.845 <= min(below) <= max(below) <= 1.02
    (q4,) = (ratio for row, ratio in found if (row.name, row.imatrix, row.model)
             == ("q4_k_m", False, "llama-3-8b"))  # fmt: skip
    assert q4 == pytest.approx(log(6.407115 / 6.231636) / 0.031273)


def test_types_at_home_are_what_was_measured():
    home = gguf.gguf("q4_k_m", 8.030, 15)
    assert home.nats == pytest.approx(log(6.407115 / 6.231636))
    assert home.spread == pytest.approx(0.004620 / 6.407115 / home.nats)
    assert gguf.gguf("q4_k_m", 8.030, 15, imatrix=True).nats < home.nats
    assert gguf.gguf("iq3_s", 8.030, 15).notes == ("iq3_s was measured with an importance matrix",)


def test_intervals_of_types_on_other_models_hold_nine_of_ten():
    """Llama-2-70B, percent of perplexity as llama.cpp's page prints it, copied by hand."""
    percent = {
        "q4_0": 3.61, "q4_1": 2.37, "q5_0": 1.26, "q2_k": 8.82, "q3_k_s": 7.89, "q3_k_m": 4.72,
        "q3_k_l": 3.80, "q4_k_s": 1.57, "q4_k_m": 1.20, "q5_k_s": 0.50, "q5_k_m": 0.40,
        "q6_k": 0.16,
    }  # fmt: skip
    changes = {name: gguf.gguf(name, 68.977, 2.0) for name in percent}
    held = [c.low < log(1 + percent[name] / 100) < c.high for name, c in changes.items()]
    assert 10 <= sum(held) <= 12
    ratios = np.log([changes[name].nats / log(1 + p / 100) for name, p in percent.items()])
    assert abs(ratios.mean()) < 0.2


def test_unknown_types_name_the_nearest():
    with pytest.raises(SpecError, match=r"'q4_k'.*nearest is 'q4_k_s'"):
        gguf.gguf("q4_k", 8, 15)
    with pytest.raises(SpecError, match="q8_0 was not measured with an importance matrix"):
        gguf.gguf("q8_0", 8, 15, imatrix=True)


@pytest.mark.parametrize(
    ("method", "pattern", "size", "dense", "after"),
    [
        ("sparsegpt", "2:4", 6.738, 5.12, 10.17),
        ("wanda", "2:4", 6.738, 5.12, 11.02),
        ("wanda", "2:4", 68.977, 3.12, 5.16),
        ("wanda", "0.5", 13.016, 4.57, 5.56),
        ("magnitude", "2:4", 6.738, 5.12, 54.59),
    ],
)
def test_pruning_reads_its_rows_back(method, pattern, size, dense, after):
    change = pruning.pruned(method, pattern, size)
    assert change.low < log(after / dense) < change.high


def test_pruning_refuses_what_no_table_has():
    with pytest.raises(SpecError, match=r"'0\.7'; known: 0\.5, 4:8, 2:4"):
        pruning.pruned("wanda", "0.7", 7)
    with pytest.raises(SpecError, match="'wandda'; nearest is 'wanda'"):
        pruning.pruned("wandda", "2:4", 7)


@pytest.mark.parametrize(
    ("task", "kappa"),
    [("piqa", 0.71), ("arc-easy", 0.85), ("hellaswag", 0.71), ("winogrande", 0.73)],
)
def test_kappas_are_those_that_others_fitted(task, kappa):
    found = tasks.decay(task)
    assert found.kappa == pytest.approx(kappa, abs=0.011)
    assert 0.065 < found.rms < 0.115


def test_accuracy_by_hand():
    """GPTQ at 4 bits in groups of 128: PIQA 79.9 to 78.4 at ln(6.5 / 6.1) nats."""
    found = tasks.decay("piqa")
    nats = log(6.5 / 6.1)
    assert found.accuracy(0.799, nats) == pytest.approx(0.5 + 0.299 * exp(-found.kappa * nats))
    assert found.accuracy(0.799, nats) == pytest.approx(0.784, abs=0.01)
    least, most = found.ends(nats, nats, nats)
    assert least < found.kept(nats) < most <= 1
    assert found.ends(nats, 0.5 * nats, 2 * nats)[0] < least
    # GPTQ, AWQ and RTN at 4 bits on PIQA: 78.4, 79.1 and 76.6 of 79.9, at ln of 6.5, 6.6, 8.5 / 6.1
    for perplexity, accuracy in ((6.5, 0.784), (6.6, 0.791), (8.5, 0.766)):
        lost = log(perplexity / 6.1)
        low, high = found.ends(lost, lost, lost)
        assert low < (accuracy - 0.5) / 0.299 < high
    assert found.kept(0.0) == 1
    assert found.kept(-0.1) == 1
    with pytest.raises(SpecError, match="nearest is 'piqa'"):
        tasks.decay("pica")
