"""llama-bench of llama.cpp: JSON, JSON lines, CSV and the Markdown table that it prints.

Fields and forms: tools/llama-bench/README.md and llama-bench.cpp in ggml-org/llama.cpp, read
2026-11. A test is a prompt (n_prompt), generation (n_gen), or both after one another, at a depth;
avg_ts counts the tokens of prompt and generation together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from hardware_specs.measurements.importers.contents import Contents, Row, needed, number
from hardware_specs.measurements.rows import read_table
from spec_files import SpecError, short

_TEST = re.compile(r"(?:pp\s*(\d+))?(?:\s*\+?\s*tg\s*(\d+))?(?:\s*@\s*d\s*(\d+))?")
_TYPE = re.compile(
    r"(?P<model>.*?)\s+(?:mostly\s+|all\s+)?"
    r"(?P<format>(?:I?Q\d|TQ\d|BF16|F16|F32|MXFP4|NVFP4)\S*(?:\s+(?:-|mix|MoE|\().*)?)"
)
_UNITS = {
    "B": 1e9, "M": 1e6, "K": 1e3, "T": 1e12, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10,
    "TiB": 2**40, "GB": 1e9, "MB": 1e6,
}  # fmt: skip
_GPU = ("CUDA", "ROCm", "HIP", "Metal", "MTL", "Vulkan", "SYCL", "OpenCL", "MUSA", "WebGPU", "RPC")


def matches(contents: Contents, columns: Mapping[str, str]) -> bool:
    """Whether this is a file of llama-bench."""
    if contents.have("avg_ts") or contents.have("n_prompt", "n_gen"):
        return True
    head = contents.text.lstrip().splitlines()[0]
    return "avg_ts" in head or _header(contents.text.splitlines()) is not None


def rows(contents: Contents, columns: Mapping[str, str], defaults: Mapping[str, Any]) -> list[Row]:
    """Return a row a test."""
    name = contents.name
    if contents.objects:
        tests = [(f"{name}: result {i}", each) for i, each in enumerate(contents.objects, 1)]
    elif _header(contents.text.splitlines()) is not None:
        tests = _markdown(contents)
    else:
        header, lines, cells, _ = read_table(contents.text, name)
        tests = [
            (f"{name}:{line}", dict(zip(header, row, strict=True)))
            for line, row in zip(lines, cells, strict=True)
        ]
    return [_row(test, place, name) for place, test in tests]


def _row(test: Mapping[str, Any], place: str, name: str) -> Row:
    prompt, gen = (number(test, key, place) or 0.0 for key in ("n_prompt", "n_gen"))
    rate = needed(number(test, "avg_ts", place), "decode_tok_s", "avg_ts, the rate", place)
    if not prompt and not gen:
        raise SpecError(f"{place}: measures neither a prompt (n_prompt) nor generation (n_gen).")
    kind = _TYPE.fullmatch(str(test.get("model_type") or ""))
    model = kind["model"] if kind else str(test.get("model_type") or "")
    if file := str(test.get("model_filename") or ""):
        model = PurePosixPath(file.replace("\\", "/")).name.removesuffix(".gguf")
    offloaded = number(test, "n_gpu_layers", place)
    backend = _backend(test, offloaded)
    spread = number(test, "stddev_ts", place)
    said = ["llama-bench"]
    said += [f"+- {spread:g}"] if spread else []
    if backend == "CPU" and (threads := number(test, "n_threads", place)):
        said.append(f"{threads:.0f} threads")
    if backend != "CPU" and offloaded is not None and offloaded > 0:
        said.append(f"-ngl {offloaded:.0f}")
    said += {"1": ["FA on"], "0": ["FA off"], "True": ["FA on"], "False": ["FA off"]}.get(
        str(test.get("flash_attn")), []
    )
    for option, key in (("-b", "n_batch"), ("-ub", "n_ubatch")):
        said += [f"{option} {tokens:.0f}"] if (tokens := number(test, key, place)) else []
    types = [str(test[key]) for key in ("type_k", "type_v") if test.get(key)]
    parameters = number(test, "model_n_params", place)
    row: Row = {
        "device": str(test.get("cpu_info" if backend == "CPU" else "gpu_info") or ""),
        "backend": backend,
        "framework": "llama.cpp",
        "framework_version": str(test.get("build_commit") or ""),
        "model": model,
        "params_b": None if parameters is None else parameters / 1e9,
        "file_bytes": number(test, "model_size", place),
        "weight_format": kind["format"].removesuffix("(guessed)").strip() if kind else "",
        "kv_format": "/".join(dict.fromkeys(types)),
        "batch": 1.0,
        "prompt_tokens": prompt or None,
        "gen_tokens": gen or None,
        "context_depth": number(test, "n_depth", place),
        "source": name,
        "source_kind": "primary",
        "date": str(test.get("test_time") or "")[:10],
    }
    if prompt and gen:
        row["e2e_tok_s"] = rate * gen / (prompt + gen)
        said.append("e2e_tok_s derived from tokens of prompt and generation together")
    else:
        row["prefill_tok_s" if prompt else "decode_tok_s"] = rate
    return row | {"caveat": "; ".join(said)}


def _backend(test: Mapping[str, Any], offloaded: float | None) -> str:
    """The processor as the published table names it; no layer offloaded means the CPU."""
    names = [each for each in re.split(r"[,\s/+]+", str(test.get("backends") or "")) if each]
    if any(re.match(r"HTP|Hexagon|QNN", each, re.I) for each in names) and offloaded != 0:
        return "NPU (Hexagon)"
    used = [g for each in names for g in _GPU if each.lower().startswith(g.lower())]
    if used and offloaded != 0:
        return f"GPU ({'Metal' if used[0] == 'MTL' else used[0]})"
    return "CPU" if names else ""


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _header(lines: list[str]) -> list[str] | None:
    for line in lines:
        if line.lstrip().startswith("|") and {"test", "t/s"} <= set(cells := _cells(line)):
            return cells
    return None


def _markdown(contents: Contents) -> list[tuple[str, Row]]:
    """Rows of all the tables of a text; a line `build: HASH (N)` ends the tables above it."""
    header: list[str] = []
    found: list[tuple[str, Row]] = []
    unbuilt = 0
    for i, line in enumerate(contents.text.splitlines(), 1):
        place = f"{contents.name}:{i}"
        if built := re.match(r"\s*build:\s*(\w+)", line):
            for _, row in found[unbuilt:]:
                row["build_commit"] = built[1]
            unbuilt = len(found)
        if not line.lstrip().startswith("|"):
            continue
        cells = _cells(line)
        if {"test", "t/s"} <= set(cells):
            header = cells
        elif header and not set("".join(cells)) <= set("-: "):
            if len(cells) != len(header):
                raise SpecError(
                    f"{place}: has {len(cells)} cells where the header has {len(header)}."
                )
            found.append((place, _from_cells(dict(zip(header, cells, strict=True)), place)))
    return found


def _from_cells(cells: dict[str, str], place: str) -> Row:
    """The fields of JSON from the cells of the Markdown table."""
    test = _TEST.fullmatch(cells["test"])
    if test is None or not (test[1] or test[2]):
        raise SpecError(f"{place}: test: read {short(cells['test'])}; known are pp512 and tg128.")
    rate, _, spread = cells["t/s"].replace("+/-", "±").partition("±")
    row: Row = {
        "model_type": cells.get("model"),
        "model_size": _quantity(cells.get("size"), place),
        "model_n_params": _quantity(cells.get("params"), place),
        "backends": cells.get("backend"),
        "n_gpu_layers": cells.get("ngl"),
        "n_threads": cells.get("threads"),
        "type_k": cells.get("type_k"),
        "type_v": cells.get("type_v"),
        "flash_attn": cells.get("fa"),
        "n_batch": cells.get("n_batch"),
        "n_ubatch": cells.get("n_ubatch"),
        "n_prompt": test[1] or 0,
        "n_gen": test[2] or 0,
        "n_depth": test[3] or 0,
        "avg_ts": rate.strip(),
        "stddev_ts": spread.strip(),
    }
    return row


def _quantity(text: str | None, place: str) -> float | None:
    """3.56 GiB, 6.74 B."""
    if not text:
        return None
    found = re.fullmatch(r"([\d.]+)\s*(\w+)", text)
    if found is None or found[2] not in _UNITS:
        raise SpecError(f"{place}: read {short(text)} where a size such as '3.56 GiB' belongs.")
    return float(found[1]) * _UNITS[found[2]]
