"""vLLM's benchmarks: the JSON of `vllm bench serve`, `latency` and `throughput`.

Fields: vllm/benchmarks/serve.py, latency.py and throughput.py in vllm-project/vllm, read 2026-11.
latency and throughput write down neither lengths nor batch: the reader must give them. Tokens per
second of `throughput` count the prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hardware_specs.measurements.importers.contents import Contents, Row, given, needed, number

_BATCH = "how many requests ran at a time"
_PROMPT, _GENERATED = "the length of the prompts", "how many tokens were generated"


def matches(contents: Contents, columns: Mapping[str, str]) -> bool:
    """Whether this is a file of vLLM's benchmarks."""
    return any(contents.have(*keys) for keys in _KEYS.values())


def rows(contents: Contents, columns: Mapping[str, str], defaults: Mapping[str, Any]) -> list[Row]:
    """Return a row a run."""
    read = next(read for read, keys in _KEYS.items() if contents.have(*keys))
    found = []
    for i, result in enumerate(contents.objects, 1):
        place = contents.name if len(contents.objects) == 1 else f"{contents.name}: result {i}"
        row = read(result, defaults, place)
        found.append({"framework": "vLLM", "source": contents.name, "source_kind": "primary"} | row)
    return found


def _serve(result: Row, defaults: Mapping[str, Any], place: str) -> Row:
    completed = needed(
        number(result, "completed", place), "gen_tokens", "completed requests", place
    )
    batch = (
        given(defaults, "batch", place)
        or number(result, "max_concurrency", place)
        or number(result, "max_concurrent_requests", place)
    )
    batch = needed(batch, "batch", _BATCH, place)
    inputs, outputs = (
        number(result, f"total_{each}_tokens", place) for each in ("input", "output")
    )
    ttft, tpot = (_middle(result, each, place) for each in ("ttft", "tpot"))
    prompt = inputs / completed if inputs and completed else None
    said = ["vllm bench serve; decode_tok_s derived: batch*1000/TPOT; e2e = output throughput"]
    if batch == 1 and prompt and ttft:
        said.append("prefill_tok_s derived from TTFT")
    elif batch > 1:
        said.append("TTFT includes waiting: do not use TTFT for FLOPS")
    failed = (number(result, "num_prompts", place) or completed) - completed
    if failed > 0:
        said.append(f"{failed:.0f} requests failed")
    day = str(result.get("date") or "")[:8]
    return {
        "model": str(result.get("model_id") or ""),
        "batch": batch,
        "prompt_tokens": prompt,
        "gen_tokens": outputs / completed if outputs and completed else None,
        "ttft_ms": ttft,
        "prefill_tok_s": 1000 * prompt / ttft if batch == 1 and prompt and ttft else None,
        "decode_tok_s": batch * 1000 / tpot if tpot else None,
        "e2e_tok_s": number(result, "output_throughput", place),
        "date": f"{day[:4]}-{day[4:6]}-{day[6:]}" if day.isdigit() and len(day) == 8 else "",
        "caveat": "; ".join(said),
    }


def _middle(result: Row, metric: str, place: str) -> float | None:
    """The median, which a slow first request does not move, else the mean."""
    return number(result, f"median_{metric}_ms", place) or number(
        result, f"mean_{metric}_ms", place
    )


def _latency(result: Row, defaults: Mapping[str, Any], place: str) -> Row:
    seconds = needed(number(result, "avg_latency", place), "e2e_tok_s", "avg_latency", place)
    batch = needed(given(defaults, "batch", place), "batch", _BATCH, place)
    gen = needed(given(defaults, "gen_tokens", place), "gen_tokens", _GENERATED, place)
    needed(given(defaults, "prompt_tokens", place), "prompt_tokens", _PROMPT, place)
    return {
        "batch": batch,
        "e2e_tok_s": batch * gen / seconds if seconds > 0 else 0.0,
        "caveat": "vllm bench latency; e2e_tok_s derived from the latency of a batch",
    }


def _throughput(result: Row, defaults: Mapping[str, Any], place: str) -> Row:
    rate = needed(number(result, "tokens_per_second", place), "e2e_tok_s", "the rate", place)
    batch = needed(given(defaults, "batch", place), "batch", _BATCH, place)
    gen = needed(given(defaults, "gen_tokens", place), "gen_tokens", _GENERATED, place)
    prompt = needed(given(defaults, "prompt_tokens", place), "prompt_tokens", _PROMPT, place)
    return {
        "batch": batch,
        "e2e_tok_s": rate * gen / (prompt + gen) if prompt + gen > 0 else 0.0,
        "caveat": "vllm bench throughput; e2e_tok_s derived from tokens of prompt and generation",
    }


_KEYS = {
    _serve: ("completed", "total_output_tokens"),
    _latency: ("avg_latency", "latencies"),
    _throughput: ("elapsed_time", "num_requests", "tokens_per_second"),
}
