"""TensorRT-LLM: reports of `trtllm-bench`, and what its older benchmarks printed.

Fields: tensorrt_llm/bench/dataclasses/reporting.py (`--report_json`), benchmarks/python/README.md
(one line a case) and benchmarks/cpp/gptManagerBenchmark.cpp (one line a figure, or CSV) in
NVIDIA/TensorRT-LLM, read 2026-11. The last writes down neither lengths nor concurrency.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hardware_specs.measurements.importers.contents import (
    Contents,
    Row,
    given,
    needed,
    number,
    part,
)
from hardware_specs.measurements.rows import read_table

_LINE = re.compile(r"\[BENCHMARK\]\s+(.*)")
_RATE = "token_throughput(token/sec)"


def matches(contents: Contents, columns: Mapping[str, str]) -> bool:
    """Whether this is a file of TensorRT-LLM's benchmarks."""
    return (
        contents.have("engine", "performance", "request_info")
        or _LINE.search(contents.text) is not None
        or _RATE in contents.text.lstrip().splitlines()[0]
    )


def rows(contents: Contents, columns: Mapping[str, str], defaults: Mapping[str, Any]) -> list[Row]:
    """Return a row a report, a line of `benchmark.py`, or a run of gptManagerBenchmark."""
    name = contents.name
    found: list[Row] = []
    if contents.objects:
        found = [_report(each, name) for each in contents.objects]
    elif _LINE.search(contents.text):
        run: Row = {}
        for i, line in enumerate(contents.text.splitlines(), 1):
            words = said[1].split() if (said := _LINE.search(line)) else []
            if words[:1] == ["model_name"]:
                pairs = dict(zip(words[::2], words[1::2], strict=False))
                found.append(_case(pairs, f"{name}:{i}"))
            elif len(words) == 2:
                if words[0] == "num_samples" and _RATE in run:
                    found.append(_manager(run, defaults, name))
                    run = {}
                run[words[0]] = words[1]
        if _RATE in run:
            found.append(_manager(run, defaults, name))
    else:
        header, lines, cells, _ = read_table(contents.text, name)
        for at, row in zip(lines, cells, strict=True):
            found.append(_manager(dict(zip(header, row, strict=True)), defaults, f"{name}:{at}"))
    shared = {"framework": "TensorRT-LLM", "source": name, "source_kind": "primary"}
    return [shared | row for row in found]


def _report(report: Row, name: str) -> Row:
    engine, asked, reached, machine, world, stream = (
        part(report, key, name)
        for key in (
            "engine", "request_info", "performance", "machine", "world_info", "streaming_metrics"
        )
    )  # fmt: skip
    batch = number(asked, "avg_num_concurrent_requests", name)
    # A single client is a whisker below one.
    batch = needed(batch, "batch", "how many requests ran at a time", name)
    batch = 1.0 if batch < 1.05 else batch
    prompt, ttft = number(asked, "avg_input_length", name), number(stream, "avg_ttft_ms", name)
    tpot = number(stream, "avg_tpot_ms", name)
    said = ["trtllm-bench; e2e = output throughput"]
    said += ["decode_tok_s derived: batch*1000/TPOT"] if tpot else []
    if drafting := part(report, "decoding_stats", name):
        said.append(f"speculative decoding ({drafting.get('mode')})")
    if batch > 1 and ttft:
        said.append("TTFT includes waiting: do not use TTFT for FLOPS")
    gpus = number(world, "world_size", name) or 1.0
    said += [f"{gpus:.0f} GPUs together"] if gpus > 1 else []
    return {
        "device": str(machine.get("name") or ""),
        "framework_version": str(engine.get("version") or ""),
        "model": str(engine.get("model") or ""),
        "weight_format": str(engine.get("quantization") or engine.get("dtype") or ""),
        "kv_format": str(engine.get("kv_cache_dtype") or ""),
        "batch": batch,
        "prompt_tokens": prompt,
        "gen_tokens": number(asked, "avg_output_length", name),
        "ttft_ms": ttft,
        "prefill_tok_s": 1000 * prompt / ttft if batch == 1 and prompt and ttft else None,
        "decode_tok_s": batch * 1000 / tpot if tpot else None,
        "e2e_tok_s": number(reached, "system_output_throughput_tok_s", name),
        "caveat": "; ".join(said),
    }


def _case(pairs: Row, place: str) -> Row:
    """A line of benchmark.py; generation excludes the first token, latency includes all."""
    latency, after = (number(pairs, key, place) for key in ("latency(ms)", "generation_time(ms)"))
    prompt, batch = (number(pairs, key, place) for key in ("input_length", "batch_size"))
    ttft = latency - after if latency and after and latency > after else None
    quantised = pairs.get("quantization", "")
    formats = {"FP8_QDQ": "FP8", "QuantMode.0": pairs.get("precision"), "": pairs.get("precision")}
    wanted = next((value for key, value in formats.items() if key and key in quantised), None)
    return {
        "model": "" if pairs["model_name"] in ("dec", "enc_dec") else pairs["model_name"],
        "weight_format": wanted or ("" if quantised else formats[""]),
        "batch": batch,
        "prompt_tokens": prompt,
        "gen_tokens": number(pairs, "output_length", place),
        "ttft_ms": ttft,
        "prefill_tok_s": 1000 * prompt * batch / ttft if ttft and prompt and batch else None,
        "decode_tok_s": number(pairs, "generation_tokens_per_second", place),
        "e2e_tok_s": number(pairs, "tokens_per_sec", place),
        "caveat": "benchmark.py; TTFT derived: latency less generation_time",
    }


def _manager(run: Row, defaults: Mapping[str, Any], place: str) -> Row:
    batch = given(defaults, "batch", place)
    batch = needed(batch, "batch", "how many requests ran at a time", place)
    tpot = number(run, "avg_inter_token_latency(ms)", place)
    return {
        "batch": batch,
        "ttft_ms": number(run, "avg_time_to_first_token(ms)", place),
        "decode_tok_s": batch * 1000 / tpot if tpot else None,
        "e2e_tok_s": number(run, _RATE, place),
        "caveat": "gptManagerBenchmark; TTFT includes waiting: do not use TTFT for FLOPS",
    }
