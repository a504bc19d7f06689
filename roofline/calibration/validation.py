"""Predictions beside a table of measurements: how far apart, by class, backend and metric."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hardware_specs.measurements.importers import read_measurements
from hardware_specs.measurements.importers.plain import our_column
from hardware_specs.measurements.rows import COLUMNS, METRICS, NUMBERS, load_rows, row_flags
from roofline.calibration import energy
from roofline.calibration.cases import Cases, NothingToPredict, read_cases
from roofline.calibration.demand import work_of
from roofline.calibration.gates import Floor, floor, gate
from roofline.calibration.own import predict_stated, profiles_of, states_efficiencies
from roofline.calibration.predict import predict
from roofline.efficiency.basis import basis_of, interval
from roofline.efficiency.effects import Effects, shipped_effects
from spec_files import SpecError
from spec_files.reading import read_text

if TYPE_CHECKING:
    import pandas as pd

    from hardware_specs import Device

Array = np.ndarray

PREDICTED = {
    "prefill": "predicted_prefill_tok_s",
    "decode": "predicted_decode_tok_s",
    "energy": "predicted_energy_j_per_tok",
}
ADDED = (
    *(f"{name}{end}" for name in PREDICTED.values() for end in ("", "_low", "_high")),
    "basis", "left_out",
)  # fmt: skip
_REPORTED = {
    "prefill": ("prefill_tok_s", "ttft_ms"),
    "decode": ("decode_tok_s", "e2e_tok_s"),
    "energy": ("energy_j_per_tok",),
}
_CLASH = "column {0!r} is one that predictions add: rename it"


@dataclass(frozen=True)
class Measurements:
    """A file of measurements: its rows, and its own columns as they stand in it."""

    rows: pd.DataFrame
    header: list[str]
    cells: list[list[str]]
    sha256: str


@dataclass(frozen=True)
class Validation:
    """What a table says of the predictions.

    predictions: (M,) every row of the file, its own columns first, as text. compared: a line a
    row and metric that the row reports: class, backend, measured, predicted, low, high, basis,
    self_consistent, left_out (the reason, "" where it counts).
    """

    predictions: pd.DataFrame
    compared: pd.DataFrame

    def summary(self, self_consistent: bool = False) -> pd.DataFrame:
        """Return errors by class, backend and metric, and of each metric in all ("all", "all").

        Of predicted over measured less one: median and mean of its size, and its median as `bias`.
        """
        import pandas as pd

        part = self.compared
        if self_consistent:
            part = part[part["self_consistent"].astype(bool)]
        lines = []
        for (kind, backend, metric), group in part.groupby(["class", "backend", "metric"]):
            lines.append({"class": kind, "backend": backend, "metric": metric, **_errors(group)})
        for metric, group in part.groupby("metric"):
            lines.append({"class": "all", "backend": "all", "metric": metric, **_errors(group)})
        return pd.DataFrame(lines, columns=_SUMMED)

    def reasons(self) -> pd.DataFrame:
        """Return why rows are left out, and how many, by metric; most first."""
        part = self.compared[self.compared["left_out"] != ""]
        counts = part.groupby(["metric", "left_out"]).size().reset_index(name="rows")
        return counts.sort_values(["rows", "metric", "left_out"], ascending=[False, True, True])


def _errors(group: pd.DataFrame) -> dict[str, Any]:
    used = group[group["left_out"] == ""]
    error = used["predicted"] / used["measured"] - 1.0
    inside = used["measured"].between(used["low"], used["high"])
    return {
        "rows": len(used),
        "left_out": len(group) - len(used),
        "median_error": float(error.abs().median()) if len(used) else np.nan,
        "mean_error": float(error.abs().mean()) if len(used) else np.nan,
        "bias": float(error.median()) if len(used) else np.nan,
        "inside": float(inside.mean()) if len(used) else np.nan,
    }


def read_file(path: str | Path, defaults: Mapping[str, str] | None = None) -> Measurements:
    """Read a table of measurements, or the file of a benchmark that `read_measurements` knows.

    defaults: columns for what a benchmark's file does not say.
    """
    text = read_text(Path(path))
    sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    header, cells = _raw(text)
    ours = {"model", "weight_format"} <= set(header) and bool(set(METRICS) & set(header))
    # A number under another name, which a table of our own columns would carry along unread.
    ours &= not ({our_column(word)[0] for word in header} - set(header)) & set(NUMBERS)
    if ours and not defaults:
        rows = load_rows(path)
    else:
        rows = read_measurements(path, None, **(defaults or {}))
        if not ours or len(cells) != len(rows):
            shown = rows.map(_as_text)
            header = [name for name in rows.columns if (shown[name] != "").any()]
            cells = shown[header].to_numpy().tolist()
        else:
            _give(header, cells, rows, defaults or {})
    if clash := next((name for name in header if name in ADDED), None):
        raise SpecError(f"{path}: {_CLASH.format(clash)}.")
    return Measurements(rows, header, cells, sha256)


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.15g}"
    return str(value)


def _give(
    header: list[str], cells: list[list[str]], rows: pd.DataFrame, defaults: Mapping[str, str]
) -> None:
    """Put what was given for a table of our own columns into its cells, where it counts."""
    for name in defaults:
        if name not in header:
            header.append(name)
        at = header.index(name)
        for line, value in zip(cells, rows[name], strict=True):
            line += [""] * (len(header) - len(line))
            if name not in NUMBERS or not line[at].strip():
                line[at] = _as_text(value)


def _raw(text: str) -> tuple[list[str], list[list[str]]]:
    """The header and the cells of a CSV file as they stand; blank lines are skipped."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    try:
        lines = [
            line
            for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
            if any(cell.strip() for cell in line)
        ]
    except csv.Error:
        return [], []
    if not lines:
        return [], []
    header = [name.strip() for name in lines[0]]
    while header and not header[-1]:
        header.pop()
    return header, [line[: len(header)] for line in lines[1:]]


def validate(
    found: Measurements | pd.DataFrame,
    effects: Effects | None = None,
    device: Device | None = None,
) -> Validation:
    """Predict every row that can be, and compare with what it measured.

    found: a file's measurements, or a table as `load_rows` returns it. effects: the shipped if
    None. device: a profile of one's own, whose rows are predicted by it (`profiles_of`).
    """
    effects = shipped_effects() if effects is None else effects
    rows = found.rows if isinstance(found, Measurements) else found
    own: dict[str, Device] = {}
    if device is not None:
        rows, own = profiles_of(rows, device)
    try:
        cases = read_cases(rows, own)
    except NothingToPredict as nothing:
        return _none_predicted(found, rows, nothing.left_out)
    limits = floor(cases)
    values = _values(cases, effects, limits)
    reasons = _reasons(cases, rows, limits)
    every = {name: np.full(len(rows), "", dtype=object) for name in ADDED}
    for metric, name in PREDICTED.items():
        for end in ("", "_low", "_high"):
            numbers = values[f"{metric}{end}"]
            every[name + end][cases.at] = [f"{x:.6g}" if np.isfinite(x) else "" for x in numbers]
    every["basis"][cases.at] = values["basis"]
    every["left_out"] = np.array(
        [
            reason or "; ".join(f"{m}: {texts[i]}" for m, texts in reasons.items() if texts[i])
            for i, reason in enumerate(cases.left_out)
        ],
        dtype=object,
    )
    return Validation(_beside(found, every), _compared(cases, rows, values, reasons))


def _beside(found: Measurements | pd.DataFrame, every: Mapping[str, Array]) -> pd.DataFrame:
    """The table as it stands, as text, and the predicted columns, (M,) each."""
    import pandas as pd

    if isinstance(found, Measurements):
        given = pd.DataFrame(found.cells, columns=found.header, dtype=object)
    else:
        given = found.astype(object).where(found.notna(), "")
    return pd.concat([given.reset_index(drop=True), pd.DataFrame(every)], axis=1)


def _none_predicted(
    found: Measurements | pd.DataFrame, rows: pd.DataFrame, left_out: Array
) -> Validation:
    """What a table says of which every row is left out."""
    import pandas as pd

    every = {name: np.full(len(rows), "", dtype=object) for name in ADDED}
    every["left_out"] = left_out
    lines = [
        {
            "row": int(at) + 1,
            "class": rows["class"].iloc[at] or "unknown",
            "backend": _backend(rows["backend"].iloc[at]),
            "metric": metric,
            "basis": "",
            "self_consistent": False,
            "left_out": left_out[at],
        }
        for metric, names in _REPORTED.items()
        for at in np.flatnonzero(rows[list(names)].notna().any(axis=1))
    ]
    numbers = ["measured", "predicted", "low", "high"]
    compared = pd.DataFrame(lines, columns=_COMPARED).astype(dict.fromkeys(numbers, float))
    return Validation(_beside(found, every), compared)


def _values(cases: Cases, effects: Effects, limits: Floor) -> dict[str, Array]:
    """Rates and joules of each case, with the ends of their intervals, and the basis.

    No interval reaches beyond what the data sheet allows.
    """
    log_seconds = predict(work_of(cases), effects)
    settings = energy.power_settings(cases, effects.about.get("power_scope", {}))
    power = effects.values.get("power", {})
    watts = energy.predict_log_watts(power, settings)
    stated = energy.stated_log_watts(cases.devices, settings, power)
    watts = np.where(np.isfinite(stated), stated, watts)
    joules = np.exp(watts + log_seconds["decode"])
    if states_efficiencies(cases).any():
        own = predict_stated(cases)
        for phase, seconds in own.log_seconds.items():
            log_seconds[phase] = np.where(np.isfinite(seconds), seconds, log_seconds[phase])
        joules = np.where(np.isfinite(own.log_seconds["decode"]), own.joules, joules)
    values = {
        "prefill": cases.batch * cases.prompt / np.exp(log_seconds["prefill"]),
        "decode": cases.batch / np.exp(log_seconds["decode"]),
        "energy": joules / cases.batch,
    }
    basis, ends_of = _provenance(cases, effects)
    for metric, ends in ends_of.items():
        low, high = ends.T if metric == "energy" else (1.0 / ends[:, 1], 1.0 / ends[:, 0])
        values[f"{metric}_low"], values[f"{metric}_high"] = (
            values[metric] * low,
            values[metric] * high,
        )
    for phase, tokens in (("prefill", cases.batch * cases.prompt), ("decode", cases.batch)):
        seconds = np.maximum(limits.products[phase], limits.traffic[phase])
        with np.errstate(divide="ignore", invalid="ignore"):
            most = np.maximum(tokens / seconds, values[phase])
        values[f"{phase}_high"] = np.fmin(values[f"{phase}_high"], most)
    return {**values, "basis": basis}


def _provenance(cases: Cases, effects: Effects) -> tuple[Array, dict[str, Array]]:
    """The basis of each case, (N,), and by metric the ends of its interval, (N, 2).

    A profile's own efficiencies bring both along, where a fit made them. What was entered or probed
    is the basis "profile", and its errors are expected to be those of an unmeasured device.
    """
    basis: list[str] = []
    ends: dict[str, list[tuple[float, float]]] = {metric: [] for metric in PREDICTED}
    for device, key, entry in zip(cases.devices, cases.processors, cases.runtimes, strict=True):
        unit = device.processors[key]
        if unit.efficiency is None:
            known, usual = None, basis_of(device, unit, entry.name, effects)
        else:
            known, usual = unit.calibration, "class"
        own = "profile" if known is None else known.basis
        basis.append(usual if unit.efficiency is None else own)
        for metric, found in ends.items():
            told = None if known is None else getattr(known, metric)
            fitted = interval(effects, metric, usual, device.kind)
            found.append(fitted if told is None else (told.low, told.high))
    return np.array(basis, dtype=object), {m: np.array(e, dtype=float) for m, e in ends.items()}


def _reasons(cases: Cases, rows: pd.DataFrame, limits: Floor) -> dict[str, Array]:
    """By metric why a row does not count, (M,) texts; "" where it does or reports none."""
    gated = gate(cases, limits)
    flags = row_flags(rows)
    reported = {m: rows[list(names)].notna().any(axis=1) for m, names in _REPORTED.items()}
    reasons = {
        metric: np.where((cases.left_out != "") & reported[metric], cases.left_out, "")
        for metric in _REPORTED
    }
    unusable = {
        "prefill": ~np.isfinite(cases.ttft),
        "decode": ~np.isfinite(cases.tpot),
        "energy": ~np.isfinite(cases.energy),
    }
    for metric, texts in reasons.items():
        for i, at in enumerate(cases.at):
            if not reported[metric].iloc[at]:
                continue
            if unusable[metric][i]:
                texts[at] = _why(metric, rows.iloc[at], bool(flags["no_prefill"].iloc[at]))
            else:
                texts[at] = gated["decode" if metric == "energy" else metric][i]
    return reasons


def _why(metric: str, row: pd.Series, no_prefill: bool) -> str:
    if metric == "decode":
        return "the only rate counts the prompt's time too"
    if no_prefill:
        return "prefill rate and TTFT do not tell the prompt's cost"
    if row["prompt_tokens"] != row["prompt_tokens"]:
        return "the length of the prompt is not stated"
    return f"{metric} cannot be read"


def _compared(
    cases: Cases, rows: pd.DataFrame, values: Mapping[str, Array], reasons: Mapping[str, Array]
) -> pd.DataFrame:
    import pandas as pd

    place = np.full(len(rows), -1)
    place[cases.at] = np.arange(len(cases))
    consistent = row_flags(rows)["self_consistent"].to_numpy()
    measured = {
        "prefill": cases.batch * cases.prompt / cases.ttft,
        "decode": cases.batch / cases.tpot,
        "energy": cases.energy,
    }
    said, backends = rows["class"].to_numpy(), rows["backend"].to_numpy()
    lines = []
    for metric, names in _REPORTED.items():
        for at in np.flatnonzero(rows[list(names)].notna().any(axis=1)):
            i = place[at]
            case = i >= 0
            lines.append(
                {
                    "row": int(at) + 1,
                    "class": said[at] or (cases.devices[i].kind if case else "unknown"),
                    "backend": str(cases.settings["type"][i]) if case else _backend(backends[at]),
                    "metric": metric,
                    "measured": measured[metric][i] if case else np.nan,
                    "predicted": values[metric][i] if case else np.nan,
                    "low": values[f"{metric}_low"][i] if case else np.nan,
                    "high": values[f"{metric}_high"][i] if case else np.nan,
                    "basis": values["basis"][i] if case else "",
                    "self_consistent": bool(consistent[at]),
                    "left_out": reasons[metric][at],
                }
            )
    return pd.DataFrame(lines, columns=_COMPARED)


_COMPARED = [
    "row", "class", "backend", "metric", "measured", "predicted", "low", "high", "basis",
    "self_consistent", "left_out",
]  # fmt: skip


_SUMMED = [
    "class", "backend", "metric", "rows", "left_out", "median_error", "mean_error", "bias",
    "inside",
]  # fmt: skip


def _backend(said: str) -> str:
    words = str(said).lower()
    if re.search(r"npu|\bane\b|hexagon|htp", words):
        return "npu"
    return "cpu" if words.startswith("cpu") else "gpu" if "gpu" in words else "unknown"


__all__ = ["ADDED", "COLUMNS", "Measurements", "Validation", "read_file", "validate"]
