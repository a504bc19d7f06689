"""Rows of measurements: the published table or a user's own, validated, and what their words imply.

A row is one run of one model on one device. Blank is not stated; nothing is interpolated.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spec_files import SpecError, nearest, short
from spec_files.reading import read_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CHECKSUM",
    "COLUMNS",
    "FLAGS",
    "METRICS",
    "NUMBERS",
    "PUBLISHED",
    "VERSION",
    "load_rows",
    "row_flags",
]

PUBLISHED = Path(__file__).parent / "published.csv"
VERSION = "2026-11-22"
"""Of the published table; with every change of it a new one."""
CHECKSUM = "a97764bef47cdb6b3e099bb2a516933c3b1f6eb9d549e0d1e2dd4e11213d145c"
"""SHA-256 of the published table of that version."""

COLUMNS = (
    "class", "device_key", "device", "backend", "power_mode", "framework", "framework_version",
    "model", "params_b", "active_params_b", "file_bytes", "weight_format", "kv_format", "batch",
    "prompt_tokens", "gen_tokens", "context_depth", "prefill_tok_s", "ttft_ms", "decode_tok_s",
    "e2e_tok_s", "power_w", "power_kind", "energy_j_per_tok", "source", "source_kind", "date",
    "caveat",
)  # fmt: skip
METRICS = ("prefill_tok_s", "ttft_ms", "decode_tok_s", "e2e_tok_s", "energy_j_per_tok")
_SMALLEST = {"batch": 1.0, "prompt_tokens": 0.0, "gen_tokens": 0.0, "context_depth": 0.0}
_POSITIVE = ("params_b", "active_params_b", "file_bytes", "power_w", *METRICS)
NUMBERS = tuple(name for name in COLUMNS if name in _POSITIVE or name in _SMALLEST)
_LARGEST = 1e18

_NOT_STATED = {"", "nan", "na", "n/a", "none", "-"}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")


def load_rows(path: str | Path | None = None) -> pd.DataFrame:
    """Load the published table, or a CSV file with its columns.

    Needed are `model`, `weight_format`, `device_key` or `device`, and one of METRICS; other known
    columns are added blank, and unknown ones kept behind the known, as text. Numbers are float64,
    NaN for not stated; text is "" there. `frame.attrs["notes"]` says what the table leaves open.
    SpecError, one sentence: file, line, column, what was read, what is nearest.
    """
    file = PUBLISHED if path is None else Path(path)
    return parse_rows(read_text(file), str(path) if path is not None else file.name)


def parse_rows(text: str, name: str) -> pd.DataFrame:
    """Do as `load_rows` does, on a text; name stands for the file in errors."""
    header, lines, cells, comma = read_table(text, name)
    _check_header(header, name)
    columns = dict(zip(header, map(list, zip(*cells, strict=True)), strict=True))
    return build_rows(columns, name, lines, thousands=comma)


def read_table(text: str, name: str) -> tuple[list[str], list[int], list[list[str]], bool]:
    """Return the header, the line of each row, the rows, and whether commas separate the cells.

    Blank lines are skipped. Semicolons and tabs separate too, where the header has them.
    """
    if not text.strip():
        raise SpecError(f"{name}: the file is empty.")
    if "\0" in text:
        raise SpecError(f"{name}: is not a CSV file: it holds binary data.")
    first = next(line for line in text.splitlines() if line.strip())
    separator = max(",;\t", key=first.count)  # the comma where none is there
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] = []
    lines: list[int] = []
    rows: list[list[str]] = []
    start = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                if not header:
                    header = stripped
                else:
                    rows.append(_fit(stripped, header, f"{name}:{start}"))
                    lines.append(start)
            start = reader.line_num + 1
    except csv.Error as broken:
        raise SpecError(f"{name}:{reader.line_num}: is not CSV: {broken}.") from None
    while header and not header[-1]:
        header.pop()
    if twice := next((word for i, word in enumerate(header) if word in header[:i]), None):
        raise SpecError(f"{name}: column {short(twice)} is given twice.")
    if not all(header):
        raise SpecError(f"{name}: column {header.index('') + 1} of the header has no name.")
    if not rows:
        raise SpecError(f"{name}: has a header but no rows.")
    return header, lines, [row[: len(header)] for row in rows], separator == ","


def build_rows(
    columns: dict[str, list[Any]],
    name: str,
    lines: list[int] | None = None,
    thousands: bool = True,
) -> pd.DataFrame:
    """Return the validated table of these columns; cells are text, numbers, or None."""
    import pandas as pd

    count = max((len(cells) for cells in columns.values()), default=0)
    places = [f"{name}: row {i + 1}" for i in range(count)]
    if lines:
        places = [f"{name}:{line}" for line in lines]
    data: dict[str, Any] = {}
    for column in (*COLUMNS, *(extra for extra in columns if extra not in COLUMNS)):
        cells = columns.get(column)
        if column in NUMBERS:
            data[column] = (
                [math.nan] * count
                if cells is None
                else [
                    read_number(cell, column, place, thousands)
                    for cell, place in zip(cells, places, strict=True)
                ]
            )
        else:
            given = [""] * count if cells is None else cells
            data[column] = ["" if cell is None else str(cell) for cell in given]
    numbers = dict.fromkeys(NUMBERS, "float64")
    frame = pd.DataFrame(data).astype(numbers)
    frame.attrs["notes"] = _notes(frame, name)
    return frame


def _fit(cells: list[str], header: list[str], place: str) -> list[str]:
    """A row as long as the header; blank cells beyond it are let go."""
    while len(cells) > len(header) and not cells[-1]:
        cells = cells[:-1]
    if len(cells) != len(header):
        raise SpecError(f"{place}: has {len(cells)} cells where the header has {len(header)}.")
    return cells


def _check_header(header: list[str], name: str) -> None:
    if not set(header) & set(COLUMNS) and not any(_meant(word, COLUMNS) for word in header):
        raise SpecError(
            f"{name}: is not a table of measurements: none of its columns is known, "
            f"the first reads {short(header[0])}."
        )
    refuse_misspelt(header, name)
    for column in ("model", "weight_format"):
        if column not in header:
            raise SpecError(f"{name}: column {column!r} is missing.")
    if not {"device", "device_key"} & set(header):
        raise SpecError(f"{name}: column 'device_key' or 'device' is missing.")
    if not set(METRICS) & set(header):
        raise SpecError(f"{name}: no column of what was measured: one of {', '.join(METRICS)}.")


def refuse_misspelt(header: list[str], name: str) -> None:
    """Refuse an unknown column that is surely a known one which the header does not have."""
    missing = [column for column in COLUMNS if column not in header]
    for word in header:
        if word not in COLUMNS and (known := _meant(word, missing)):
            raise SpecError(f"{name}: unknown column {short(word)}; nearest is {known!r}.")


def _meant(word: str, known: Iterable[str]) -> str | None:
    """The known column that an unknown one is surely a misspelling of, or a short form."""
    from difflib import SequenceMatcher

    plain = word.lower().replace(" ", "_")
    for column in known:
        if plain == column or column.startswith(f"{plain}_"):
            return column
    close = nearest(plain, known)
    sure = close is not None and SequenceMatcher(None, plain, close).ratio() >= 0.8
    return close if sure else None


def read_number(cell: Any, column: str, place: str, thousands: bool = True) -> float:
    """Return a cell of a column of numbers; NaN where it is not stated.

    thousands: whether one comma before three digits may be a thousands separator.
    """
    if cell is None or (text := str(cell).strip()).lower() in _NOT_STATED:
        return math.nan
    where = f"{place}: {column}: read {short(text)}"
    if _THOUSANDS.fullmatch(text) and (thousands or text.count(",") > 1 or "." in text):
        text = text.replace(",", "")
    if not _NUMBER.fullmatch(text):
        if re.fullmatch(r"\d+,\d+", text):
            raise SpecError(f"{where}: write {text.replace(',', '.')}, or no comma.")
        found = _NUMBER.search(text.replace(",", ""))
        hint = f"; write {found[0]}" if found and text[:1].isdigit() else ""
        raise SpecError(f"{where} where a number belongs{hint}.")
    value = float(text)
    if not abs(value) <= _LARGEST:
        raise SpecError(f"{where}, beyond what is plausible.")
    if column in _POSITIVE and value <= 0:
        raise SpecError(f"{where} where a number above zero belongs.")
    if column in _SMALLEST and value < _SMALLEST[column]:
        raise SpecError(f"{where} where a number of {_SMALLEST[column]:.0f} or more belongs.")
    return value


def _notes(frame: pd.DataFrame, name: str) -> tuple[str, ...]:
    """What a table leaves open, a sentence each."""
    found = []
    for column, what in (("date", "date"), ("source", "source"), ("weight_format", "format")):
        blank = int((frame[column] == "").sum())
        if blank:
            found.append(f"{name}: {blank} of {len(frame)} rows state no {what}.")
    return tuple(found)


FLAGS = {
    "low_power": "a power mode below the device's highest, stated or suspected by the source",
    "power_unstated": "a Jetson whose power mode the source does not give",
    "throttled": "an average over a run long enough to throttle",
    "full_power": "neither of low_power and throttled",
    "single_stream": "one sequence at a time; batch 1, or none stated",
    "speculative": "tokens proposed by a draft model or by extra heads",
    "single_thread": "one or two threads, fewer than any processor here has cores",
    "inconsistent": "contradicted by a sibling, or doubted as a whole by its source",
    "duplicate": "one measurement listed again under another name",
    "format_presumed": "how the weights are stored is presumed: the source does not say it",
    "derived": "arithmetic on stated figures: prompt / TTFT, 1000 / TPOT",
    "several_devices": "several devices share the work of one model",
    "prefill_included": "the only rate of generation counts the prompt's time too",
    "no_prefill": "prefill rate and TTFT do not tell the prompt's cost; decoding may be good",
    "no_energy": "power was not measured over what was generated",
    "undated": "no date is known",
    "self_consistent": "full power, one stream, and nothing above that speaks against the row",
}
"""Flags of a row, and what each says."""

# Boards without a MAXN mode, whose highest mode is one of watts (Jetson Linux developer guides).
_HIGHEST_MODE = {"jetson_nano": "10", "jetson_orin_nano_8": "15"}
_LOW = r"not MAXN\b|low[- ]power|power mode is the whole gap|power[- ]?sav|battery saver|eco mode"
_THROTTLED = r"(?<!not )(?<!un)throttl|\bsustained\b"
_SPECULATIVE = (
    r"(?-i:\bSPECULATIVE\b)|(?<!no )(?<!without )(?<!before )speculative decod|"
    r"(?<!no )(?<!without )\b(?:MTP|EAGLE-?\d?|Medusa)\b|\bdraft n=|with lookahead"
)
_FEW_THREADS = r"(?<![\d.])[12] threads?\b|\bsingle[- ]thread"
_INCONSISTENT = (
    r"looks inconsistent|\blow vs other\b|\d vs llama-bench|effective throughput 1/\d|"
    r"contradict(?:s|ed)\b"
)
_UNREPRODUCED = r"could not reproduce (\w+)"
_NO_PREFILL = (
    r"do not use TTFT|do not use for FLOPS|prefill anomalous|prefix-cached|looks inconsistent|"
    r"TTFT includes vision|image prompt|TTFT min=max|overhead[- ]dominated|short chat"
)
_SEVERAL = r"\b(?:[2-9]|\d{2,}) (?:GPUs|devices) together\b"
_PRESUMED = r"\bpresumed\b|\d-bit class\b"
_DERIVED = r"\bderived\b|1000/TPOT|\bms/token\b|gen tokens/e2e"
_NO_ENERGY = r"undersampled|peak wall power|power peak"


def row_flags(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what the words of each row imply, a column of booleans for each of FLAGS.

    Comparisons that are slow on purpose (other backends, kernels or build options) are consistent
    with themselves, and are not flagged.
    """
    import pandas as pd

    caveat, mode = frame["caveat"], frame["power_mode"]
    said = mode + " | " + caveat + " | " + frame["power_kind"]
    jetson = frame["class"].eq("jetson") | frame["device_key"].str.startswith("jetson")

    def says(pattern: str, text: pd.Series = said) -> pd.Series:
        return text.str.contains(pattern, case=False, regex=True)

    flags = pd.DataFrame(index=frame.index)
    watts = mode.str.extract(r"\b(\d+) ?W\b", expand=False)
    highest = watts == frame["device_key"].map(_HIGHEST_MODE)
    flags["low_power"] = says(_LOW) | (jetson & watts.notna() & ~says("MAXN", mode) & ~highest)
    flags["power_unstated"] = jetson & says(r"^$|^not stated", mode) & ~flags["low_power"]
    flags["throttled"] = says(_THROTTLED)
    flags["full_power"] = ~flags["low_power"] & ~flags["throttled"]
    flags["single_stream"] = frame["batch"].fillna(1.0).eq(1.0)
    flags["speculative"] = says(_SPECULATIVE)
    flags["single_thread"] = says(_FEW_THREADS, frame["backend"] + " | " + caveat)
    named = caveat.str.extract(_UNREPRODUCED, expand=False).fillna("").str.lower()
    doubted = [
        bool(word) and word in model
        for word, model in zip(named, frame["model"].str.lower(), strict=True)
    ]
    flags["inconsistent"] = says(_INCONSISTENT) | pd.Series(doubted, index=frame.index)
    flags["duplicate"] = says(r"(?-i:\bDUPLICATE\b)")
    flags["format_presumed"] = says(_PRESUMED, frame["weight_format"])
    flags["derived"] = says(_DERIVED)
    flags["several_devices"] = says(_SEVERAL, caveat)
    flags["prefill_included"] = frame["e2e_tok_s"].notna() & frame["decode_tok_s"].isna()
    flags["no_prefill"] = says(_NO_PREFILL)
    flags["no_energy"] = says(_NO_ENERGY)
    flags["undated"] = frame["date"].eq("")
    against = [
        "speculative", "single_thread", "several_devices", "inconsistent", "duplicate",
        "format_presumed",
    ]  # fmt: skip
    flags["self_consistent"] = (
        flags["full_power"] & flags["single_stream"] & ~flags[against].any(axis=1)
    )
    return flags[list(FLAGS)]
