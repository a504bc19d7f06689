"""A plain table in CSV: the columns of the published table, or names that people give them.

A synonym is one that leaves no doubt of the unit; any other is for the reader to map.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hardware_specs.measurements.importers.contents import Contents, Row
from hardware_specs.measurements.rows import (
    COLUMNS,
    METRICS,
    NUMBERS,
    read_number,
    read_table,
    refuse_misspelt,
)
from spec_files import SpecError, did_you_mean, short

# Ours, and by how much theirs is multiplied.
SYNONYMS: dict[str, tuple[str, float]] = {
    "hardware": ("device", 1), "gpu": ("device", 1), "device_name": ("device", 1),
    "model_name": ("model", 1), "model_id": ("model", 1),
    "quant": ("weight_format", 1), "quantization": ("weight_format", 1),
    "quantisation": ("weight_format", 1), "precision": ("weight_format", 1),
    "dtype": ("weight_format", 1), "engine": ("framework", 1), "runtime": ("framework", 1),
    "batch_size": ("batch", 1), "bs": ("batch", 1), "concurrency": ("batch", 1),
    "input_len": ("prompt_tokens", 1), "input_tokens": ("prompt_tokens", 1),
    "isl": ("prompt_tokens", 1), "prompt_length": ("prompt_tokens", 1),
    "n_prompt": ("prompt_tokens", 1),
    "output_len": ("gen_tokens", 1), "output_tokens": ("gen_tokens", 1), "osl": ("gen_tokens", 1),
    "n_gen": ("gen_tokens", 1), "depth": ("context_depth", 1), "n_depth": ("context_depth", 1),
    "prefill_tps": ("prefill_tok_s", 1), "prefill_tokens_per_second": ("prefill_tok_s", 1),
    "prefill_tokens_s": ("prefill_tok_s", 1), "pp_tps": ("prefill_tok_s", 1),
    "decode_tps": ("decode_tok_s", 1), "decode_tokens_per_second": ("decode_tok_s", 1),
    "decode_tokens_s": ("decode_tok_s", 1), "tg_tps": ("decode_tok_s", 1),
    "generation_tps": ("decode_tok_s", 1),
    "ttft_s": ("ttft_ms", 1e3), "time_to_first_token_ms": ("ttft_ms", 1),
    "time_to_first_token_s": ("ttft_ms", 1e3),
    "output_throughput": ("e2e_tok_s", 1), "power_mw": ("power_w", 1e-3),
    "avg_power_w": ("power_w", 1), "j_per_token": ("energy_j_per_tok", 1),
    "joules_per_token": ("energy_j_per_tok", 1), "energy_mj_per_tok": ("energy_j_per_tok", 1e-3),
    "file_size_bytes": ("file_bytes", 1), "file_gb": ("file_bytes", 1e9),
    "file_gib": ("file_bytes", 2**30),
}  # fmt: skip


def matches(contents: Contents, columns: Mapping[str, str]) -> bool:
    """Whether this is a table with a column that is known."""
    if contents.objects:
        return False
    head = re.split(r"[,;\t]", next(line for line in contents.text.splitlines() if line.strip()))
    words = [word.strip().strip('"') for word in head]
    known = {columns.get(word) or our_column(word)[0] for word in words}
    return bool(known & set(COLUMNS)) or bool(set(columns) & set(words))


def rows(contents: Contents, columns: Mapping[str, str], defaults: Mapping[str, Any]) -> list[Row]:
    """Return a row a line of the table; columns that mean nothing here are kept as they are."""
    name = contents.name
    header, lines, cells, comma = read_table(contents.text, name)
    for theirs, ours in columns.items():
        if theirs not in header:
            raise SpecError(f"{name}: has no column {short(theirs)}{did_you_mean(theirs, header)}.")
        if ours not in COLUMNS:
            raise SpecError(f"unknown column {short(ours)}{did_you_mean(ours, COLUMNS)}.")
    meant = [(columns[word], 1.0) if word in columns else our_column(word) for word in header]
    names = [ours for ours, _ in meant]
    if twice := next((word for i, word in enumerate(names) if word in names[:i]), None):
        both = [short(word) for word, ours in zip(header, names, strict=True) if ours == twice]
        raise SpecError(f"{name}: columns {' and '.join(both)} both mean {twice!r}.")
    refuse_misspelt(names, name)
    if not set(names) & set(METRICS):
        raise SpecError(f"{name}: no column of what was measured: one of {', '.join(METRICS)}.")
    found = []
    for line, row in zip(lines, cells, strict=True):
        place = f"{name}:{line}"
        read: Row = {}
        for (ours, factor), cell in zip(meant, row, strict=True):
            if ours not in NUMBERS:
                read[ours] = cell
                continue
            value = read_number(cell, ours, place, comma)
            read[ours] = None if value != value else value * factor
        found.append(read)
    return found


def our_column(word: str) -> tuple[str, float]:
    """Return our column for a header's word and the factor; the word itself where none is."""
    plain = re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_")
    return (plain, 1.0) if plain in COLUMNS else SYNONYMS.get(plain, (word, 1.0))
