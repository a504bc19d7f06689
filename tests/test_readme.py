"""The README's numbers are those of the reports that they come from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COLUMNS = ("rule of thumb", "two-term fit", "roofline")


def fidelity() -> list[tuple[str, str, list[str]]]:
    """Return what is held out, the metric and the cells of each row of the table of fidelity."""
    table = README[README.index("| held out |") :].split("\n\n")[0].splitlines()[2:]
    rows, held = [], ""
    for line in table:
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        held = cells[0].split(",")[0] or held
        rows.append((held, cells[1].split()[0], cells[2:]))
    return rows


def test_the_table_of_fidelity_is_that_of_the_report() -> None:
    report = pd.read_csv(ROOT / "reports" / "calibration" / "cross_validation.csv")
    report = report[(report["class"] == "all") & (report["rows of"] != "all")]
    known = report.set_index(["held out", "metric"])
    rows = fidelity()
    assert {row[:2] for row in rows} == set(known.index), "every line of the report, good or bad"
    for held, metric, cells in rows:
        for column, cell in zip(COLUMNS, cells, strict=True):
            value = 100 * known.loc[(held, metric), column]
            if cell == "–":
                assert pd.isna(value)
                continue
            said = re.match(r"[\d.]+", cell)
            assert said, cell
            digits = len(said[0].partition(".")[2])
            assert said[0] == f"{value:.{digits}f}", (held, metric, column)


def test_devices_counted_once_are_those_of_the_report() -> None:
    report = pd.read_csv(ROOT / "reports" / "calibration" / "cross_validation.csv")
    report = report[(report["class"] == "all") & (report["rows of"] != "all")]
    once = report.set_index(["held out", "metric"])["each once"]
    said = re.search(r"half are predicted within (\d+) % \(decode\)\s+and (\d+) %", README)
    assert said
    for text, metric in zip(said.groups(), ("decode", "prefill"), strict=True):
        assert text == f"{100 * once['whole devices', metric]:.0f}", metric


def test_the_fit_rests_on_as_many_rows_as_it_says() -> None:
    fitted = json.loads((ROOT / "roofline" / "efficiency" / "effects.json").read_text())
    rows = sum(fitted["rows"].values())
    devices = len({key.split("|")[0] for key in fitted["rows"]})  # device|processor
    pages = ("README.md", "CHANGELOG.md", "docs/peers.md")
    told = re.compile(r"([\d,]+) (?:published measurements|rows) of (\d+)\s+devices")
    for page in pages:
        found = told.findall((ROOT / page).read_text())
        assert found == [(f"{rows:,}", str(devices))], page


def test_repeats_are_those_of_the_report() -> None:
    repeats = pd.read_csv(ROOT / "reports" / "calibration" / "repeats.csv").set_index("metric")
    of = {column: [f"{100 * repeats[column][m]:.0f}" for m in ("prefill", "decode")]
          for column in ("another's measurement", "roofline")}  # fmt: skip
    told = README[README.index("How near can one come?") :]
    by_another, by_us = (re.search(pattern, told) for pattern in (
        r"miss a row by (\d+) % \(median\) in prefill and by (\d+) % in decode",
        r"misses the same rows by (\d+) and\s+(\d+) %",
    ))  # fmt: skip
    assert by_another
    assert list(by_another.groups()) == of["another's measurement"]
    assert by_us
    assert list(by_us.groups()) == of["roofline"]
    method = (ROOT / "docs" / "method.md").read_text()
    assert f"{repeats['rows']['prefill']} of prefill and {repeats['rows']['decode']} of" in method
