"""What rows that measure the same tell of each other."""

import numpy as np
import pytest

from hardware_specs.measurements.rows import load_rows
from roofline.calibration.cases import read_cases
from roofline.calibration.demand import work_of
from roofline.calibration.repeats import look_up, repeats_table


@pytest.fixture(scope="module")
def rows():
    """Three that measure one thing, and one each of another prompt, format and option."""
    published = load_rows()
    alike = published["model"].eq("Llama-2-7B") & published["device_key"].eq("rtx4090")
    one = published[alike & published["prefill_tok_s"].notna()].iloc[:1]
    table = one.loc[one.index.repeat(6)].reset_index(drop=True)
    table["prefill_tok_s"] = [1000.0, 1100.0, 1300.0, 1000.0, 1000.0, 1000.0]
    table["decode_tok_s"] = [100.0, 100.0, 80.0, 100.0, 100.0, 100.0]
    table.loc[3, "prompt_tokens"] += 1.0
    table["weight_format"] = ["Q4_K_M"] * 4 + ["Q4_K_S", "Q4_K_M"]  # alike in most layers
    table.loc[5, "caveat"] = "FA on"
    return table


def test_each_row_is_told_by_the_median_of_the_others(rows):
    cases = read_cases(rows)
    found = look_up(cases, work_of(cases))
    between = np.sqrt([1100 * 1300, 1000 * 1300, 1000 * 1100])  # half-way on the logarithm
    expected = np.log(between / np.array([1000, 1100, 1300]))
    np.testing.assert_allclose(found["prefill"][:3], expected, rtol=1e-9)
    assert np.isnan(found["prefill"][3:]).all()
    # What was generated was the same after a longer prompt, for decoding starts without it.
    np.testing.assert_allclose(found["decode"][:4], [0, 0, np.log(100 / 80), 0], atol=1e-9)
    assert np.isnan(found["decode"][4:]).all()


def test_both_errors_are_of_the_same_rows():
    looked = {"decode": np.log([1.1, 0.8, 2.0, np.nan])}
    held = {"decode": np.log([1.2, np.nan, 3.0, 1.5])}
    (row,) = repeats_table(looked, held, np.array([True, True, False, True]))
    assert row["rows"] == 1
    assert row["another's measurement"] == pytest.approx(0.1)
    assert row["roofline"] == pytest.approx(0.2)
