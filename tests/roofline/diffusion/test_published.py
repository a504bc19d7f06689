"""Published tables, and every ratio that the papers print about them."""

import pytest

from roofline.diffusion.published import (
    METHODS,
    benefit,
    speed_ups,
    tokens_at,
    tokens_curve,
    voting_table,
)
from spec_files import SpecError

MATHS = ("GSM8K", "MATH500")


def test_benefit_per_cost_of_the_first_row():
    """7.66 / 1.331 = 5.75 for dVoting, 2.46 for the majority vote, .76 for HEX."""
    row = voting_table().rows[0]
    assert (row.model, row.task, row.length) == ("llada-8b", "GSM8K", 128)
    found = benefit(row.dvoting, row.base)
    assert found.gain == pytest.approx(7.66)
    assert found.cost == pytest.approx(1.331, abs=5e-4)
    assert found.per_cost == pytest.approx(5.75, abs=5e-3)
    assert benefit(row.majority, row.base).per_cost == pytest.approx(2.46, abs=5e-3)
    assert benefit(row.hex, row.base).per_cost == pytest.approx(0.76, abs=6e-3)


@pytest.mark.parametrize(
    ("rival", "least", "most"), [("majority", 1.10, 4.42), ("rfg", 1.08, 2.16), ("hex", 5.48, 22.1)]
)
def test_speed_ups_on_the_maths_of_llada(rival, least, most):
    found = speed_ups("llada-8b", MATHS, rival)
    assert found.min() == pytest.approx(least, abs=6e-3)
    assert found.max() == pytest.approx(most, abs=6e-3 if most < 10 else 0.05)


def test_passes_of_the_rivals_are_what_their_definitions_say():
    rows = voting_table().rows
    assert len(rows) == 13
    for row in rows:
        assert row.base.steps == row.length
        assert row.majority.steps == 2.5 * row.length
        assert row.hex.steps == 12.5 * row.length
        if row.rfg is not None:
            assert row.rfg.steps == 2 * row.length


def test_dvoting_has_the_best_benefit_per_cost_wherever_it_was_published():
    for row in voting_table().rows:
        each = {
            name: benefit(score, row.base).per_cost
            for name in METHODS[1:]
            if (score := getattr(row, name)) is not None
        }
        assert max(each, key=each.get) == "dvoting"


def test_tokens_per_step_at_and_between_thresholds():
    assert tokens_at(0.9) == pytest.approx(3.25)
    assert tokens_at(1.0) == pytest.approx(1.0)
    assert 3.25 < tokens_at(0.85) < 4.24
    fallen = [row.tokens_per_step for row in tokens_curve().rows]
    assert fallen == sorted(fallen, reverse=True)


@pytest.mark.parametrize("confidence", [0.0, -0.1, 1.1, 0.3, float("nan")])
def test_a_threshold_that_nobody_measured_is_refused(confidence):
    with pytest.raises(SpecError, match="confidence threshold"):
        tokens_at(confidence)


def test_an_unknown_rival_is_refused():
    with pytest.raises(SpecError, match="nearest is 'hex'"):
        speed_ups("llada-8b", MATHS, "hexx")
