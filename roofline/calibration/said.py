"""What is known of a row's run beyond its columns: the options of its benchmark.

A row's own words come first. Published tables often leave out what the script that made them says
for all of its rows; `SCRIPTS` holds that, so that it counts for every row of such a source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SCRIPTS = (
    # benchmark/run_benchmarks.sh of kyuz0/amd-strix-halo-toolboxes: -ub 2048 behind a long context,
    # and -ub 512 there on Vulkan; read 2026-11.
    (r"kyuz0/amd-strix-halo-toolboxes.*longctx", r"rocm", "-ub 2048"),
    # benches/dgx-spark/dgx-spark.md of ggml-org/llama.cpp: llama-bench and llama-batched-bench with
    # -fa 1 -ub 2048, as those who repeat it quote the command; 2026-11.
    (r"llama\.cpp\S* benches/", r"", "FA on; -ub 2048"),
    # ggml-org/llama.cpp discussion 15396: llama-bench -t 1 -fa 1 -b 2048 -ub 2048; read 2026-11.
    (r"llama\.cpp discussion #15396", r"", "FA on; -ub 2048"),
)
"""By source and backend, what a benchmark's script or page says of all its rows."""

_PIECE = re.compile(r"(?:-ub|\bub=|\bn_ubatch[= ])\s*(?:-ub )?(\d+)")
_BATCH = re.compile(r"(?:(?<!\S)-b|\bb=|\bn_batch[= ])\s*(?:-b )?(\d+)")

_OFFLOADED = re.compile(r"(?<!\S)-ngl (\d+)\b")

_THREADS = re.compile(r"\b(\d+)[ -]threads?\b")


def words(row: Mapping[str, str]) -> str:
    """Return what a row, and the script of its source, say of how it was run."""
    said = [str(row[c]) for c in ("framework", "framework_version", "backend", "caveat")]
    for source, backend, text in SCRIPTS:
        if re.search(source, row["source"]) and re.search(backend, row["backend"], re.IGNORECASE):
            said.append(text)
    return " ".join(said)


def piece(said: str, usual: int) -> int:
    """Return the prompt tokens that llama.cpp reads at a time, as a row's words say, or as usual.

    A logical batch (-b) smaller than the physical one (-ub) bounds it.
    """
    found = _PIECE.search(said)
    tokens = int(found[1]) if found else usual
    batch = _BATCH.search(said)
    return min(tokens, int(batch[1])) if batch and int(batch[1]) > 0 else tokens


def offloaded(said: str) -> int:
    """Return how many layers llama.cpp was to run beside the CPU; 0 where a row does not say."""
    found = _OFFLOADED.search(said)
    return int(found[1]) if found else 0


def threads(said: str) -> int:
    """Return the threads that a row's words say it ran on; 0 where they do not."""
    found = _THREADS.search(said)
    return int(found[1]) if found else 0
