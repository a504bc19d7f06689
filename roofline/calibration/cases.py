"""From rows of published measurements to cases: which device, model, formats and workload each is.

A row that cannot be a case is left out with its reason; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from arch_space.architectures import Architectures, concatenate
from arch_space.format_labels import parse_format
from arch_space.formats import CACHE_FORMATS, default_embedding_format
from arch_space.library import load_model
from arch_space.names import resolve_model
from hardware_specs import Device, load_device, shipped_devices
from hardware_specs.library import shipped_aliases
from hardware_specs.measurements.rows import row_flags
from roofline.calibration.said import offloaded, piece, threads, words
from roofline.efficiency.calibrated import default_runtime
from roofline.efficiency.form import paths
from roofline.efficiency.hosting import host_of
from roofline.runtimes import Runtime, runtime_of
from roofline.runtimes import runtime as runtime_named
from spec_files import SpecError, nearest

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray

SHORT_ANSWER = 128.0
"""Tokens generated where a row does not say: what most benchmarks generate."""
SHORT_PROMPT = 128.0
"""Context of a decode rate where a row says neither prompt nor depth; the cache of so short a
context is a few per cent of what is read."""
FILE_SIZES = (0.6, 1.7)
"""A file this many times the size of the model's weights holds those weights; any other holds
something else beside them."""


@dataclass(frozen=True)
class Cases:
    """N rows that can be predicted, and what was left out of the table they come from.

    at: (N,) positions of the rows in the table. left_out: (M,) reason for each of the table's M
    rows, "" for a case. devices: device of each case; processors: key of its processor. arch: N
    candidates, one a case. batch, prompt, depth (tokens in the cache before the prompt of a
    prefill), context (before the first decode step), generate: (N,). size_ratio: (N,) stored size
    over that of the format's recipe. ttft, tpot, energy: (N,) measured, seconds and joules a token
    of all sequences together, NaN where not. settings: (N,) words for the effects. chunk: (N,)
    tokens per pass of a prefill, 0 for all. threads: (N,) that a row says, 0 where it does not.
    presumed: (N,) whether it is presumed, not said, how the weights are stored.
    """

    at: Array
    left_out: Array
    devices: list[Device]
    processors: list[str]
    runtimes: list[Runtime]
    arch: Architectures
    batch: Array
    prompt: Array
    depth: Array
    context: Array
    generate: Array
    size_ratio: Array
    ttft: Array
    tpot: Array
    energy: Array
    chunk: Array
    threads: Array
    presumed: Array
    settings: dict[str, Array]

    def __len__(self) -> int:
        return len(self.at)


class NothingToPredict(SpecError):
    """No row of a table is a case. left_out: (M,) the reason of each."""

    def __init__(self, left_out: Array):
        super().__init__(f"no row can be predicted; the first was left out since {left_out[0]}")
        self.left_out = left_out


@cache
def _device(name: str) -> Device:
    return load_device(name)


@cache
def _model(name: str, parameters: float | None) -> Architectures:
    return load_model(resolve_model(name, parameters))


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Remember refusals too, so that a thousand rows of one unknown name cost one look-up."""
    found: dict[Hashable, Any] = {}

    def ask(*key: Hashable) -> Any:
        if key not in found:
            try:
                found[key] = function(*key)
            except SpecError as refusal:
                found[key] = refusal
        if isinstance(found[key], SpecError):
            raise found[key]
        return found[key]

    return ask


def _processor(device: Device, backend: str) -> str:
    """Return the key of the processor that a backend's name means."""
    said = backend.lower()
    wanted = "npu" if re.search(r"npu|\bane\b|hexagon|htp", said) else "gpu"
    if said.startswith("cpu") and "gpu" not in said:
        wanted = "cpu"
    if not said:
        return device.default_processor
    found = [key for key, unit in device.processors.items() if unit.type == wanted]
    if not found:
        raise SpecError(f"{device.name} has no {wanted}")
    return found[0]


_OPTIONS = (
    ("fa", r"fa=-fa 1|\bFA on\b|flash attention on|\+FA\b|CUDA FA"),
    ("nofa", r"\bFA off\b|fa= "),
    ("wmma", r"rocwmma|WMMA"),
    ("hipblaslt", r"hblt=1|hipblaslt"),
    ("amdvlk", r"amdvlk"),
    ("rocm7", r"rocm-7"),
    # Hexagon's matrix unit, by the code of May 2026.
    ("hmx", r"hmx-rework"),
    # An app's own build of the kernels for phones' CPUs.
    ("rn", r"llama\.rn\s+(\S+\s+)?CPU\b"),
    # Set for speed: the matrix products of larger batches run in slower kernels there.
    ("b256", r"b=-b 256"),
)


def _options(said: str, label: str, runtime: Runtime) -> str:
    """What a row's words and format say of the runtime's options that change its kernels."""
    found = [name for name, pattern in _OPTIONS if re.search(pattern, said)]
    if runtime.floats and label.strip().lower() == runtime.floats:
        found.append("float")
    return "+".join(found)


def _formats(row: Any, runtime: Runtime) -> tuple[str, str, str, str, bool]:
    """Formats of weights, embedding, cache and activations; whether the recipe is exact."""
    parsed = parse_format(row["weight_format"], row["model"])
    weights, exact = parsed.weights, not parsed.presumed
    if weights == "int4":  # the label states no group
        weights, exact = runtime.group or weights, False
    if weights == "iq1_s" and "substituted by IQ2_M" in row["caveat"]:
        weights = "iq2_m"
    embedding = parsed.embedding
    if embedding is None:
        embedding = default_embedding_format(weights)
        if embedding == "fp16" and weights not in ("fp16", "bf16", "fp32") and runtime.head:
            embedding = runtime.head
    cache = "fp16"
    if runtime.cache and weights.startswith("int4") and parsed.activations:
        cache = runtime.cache
    if said := str(row["kv_format"]).lower():
        known = next((name for name in CACHE_FORMATS if name in said.replace("-", "")), None)
        cache = known or cache
    activations = parsed.activations or ("bf16" if weights == "bf16" else "fp16")
    return weights, embedding, cache, activations, exact


def read_cases(rows: pd.DataFrame, devices: Mapping[str, Device] | None = None) -> Cases:
    """Resolve every row of a table that `load_rows` returned.

    devices: profiles that stand for a `device_key` in place of the shipped ones.
    """
    own = devices or {}
    flags = row_flags(rows)
    said = rows.to_dict("records")
    left_out = np.full(len(rows), "", dtype=object)
    model = _remembered(_model)
    device = _remembered(lambda name: own[name] if name in own else _device(name))
    kept: list[dict[str, Any]] = []
    for i, row in enumerate(said):
        try:
            kept.append(_case(i, row, flags, device, model))
        except SpecError as reason:
            left_out[i] = str(reason)
    columns = {name: [case[name] for case in kept] for name in kept[0]} if kept else {}
    return _table(columns, left_out)


def _plain(device: str) -> str:
    """A chip's name without its maker's words: NVIDIA GeForce RTX 4090 is rtx4090."""
    return re.sub(r"[\W_]|nvidia|geforce|amd|apple|radeon|snapdragon", "", device.lower())


def named(device: str) -> str | None:
    """Return the shipped profile that a chip's name, as people write it, surely means."""
    known = {_plain(alias): name for alias, name in shipped_aliases().items()}
    return (known | {_plain(name): name for name in shipped_devices()}).get(_plain(device))


def _unknown(device: str) -> str:
    """Why a row without a device_key is left out: a chip's name may stand for several profiles."""
    close = named(device) or nearest(_plain(device), [*shipped_devices(), *shipped_aliases()])
    hint = f"; nearest is {close!r}, to be given as device_key" if close else ""
    return f"no profile is known for {device!r}{hint}"


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def _case(i: int, row: Any, flags: Any, device: Any, model: Any) -> dict[str, Any]:
    if not (row["device_key"] or row["device"]):
        raise SpecError("the row names no device")
    if not row["device_key"]:
        raise SpecError(_unknown(row["device"]))
    profile = device(row["device_key"])
    key = _processor(profile, row["backend"])
    unit = profile.processors[key]
    if row["framework"]:
        runtime = runtime_of(row["framework"], row["backend"], unit.vendor)
    else:  # as an estimate does that names none
        own = unit.calibration.runtime if unit.calibration else default_runtime(profile, unit)
        runtime = runtime_named(own)
    held = unit.calibration.runtime if unit.efficiency and unit.calibration else runtime.name
    if held != runtime.name:
        raise SpecError(f"{profile.name} states efficiencies of {held}, not of {runtime.name}")
    count = _number(row["params_b"])
    arch = model(row["model"], None if count is None else count * 1e9)
    weights, embedding, kv, activations, exact = _formats(row, runtime)
    arch = arch.with_formats(weights, embedding, kv, activations)
    for flag, reason in (
        ("low_power", "the device ran below full power"),
        ("throttled", "a throttled or sustained average"),
        ("speculative", "speculative decoding"),
        ("single_thread", "fewer threads than the processor has"),
        ("several_devices", "several devices shared the work"),
        ("inconsistent", "its source or a sibling contradicts it"),
    ):
        if flags[flag].iloc[i]:
            raise SpecError(reason)
    there, layers = offloaded(row["caveat"]), int(arch.layers[0])
    if unit.type != "cpu" and 0 < there < layers:
        raise SpecError(f"only {there} of its {layers} layers ran on the {unit.type} (-ngl)")
    batch = _number(row["batch"]) or 1.0
    prompt = _number(row["prompt_tokens"])
    if prompt is not None and "total over the batch" in row["caveat"]:
        prompt /= batch
    depth = _number(row["context_depth"])
    generate = _number(row["gen_tokens"]) or SHORT_ANSWER
    prefill, ttft_ms = _number(row["prefill_tok_s"]), _number(row["ttft_ms"])
    ttft = ttft_ms / 1e3 if ttft_ms else np.nan
    if prefill and prompt:
        ttft = batch * prompt / prefill
    if prompt is None or flags["no_prefill"].iloc[i]:
        ttft = np.nan
    decode = _number(row["decode_tok_s"])
    context = depth if depth is not None else 0.0 if runtime.empty_cache else prompt
    said = words(row)
    return {
        "at": i,
        "devices": profile,
        "processors": key,
        "runtimes": runtime,
        "arch": arch,
        "batch": batch,
        "prompt": prompt or SHORT_PROMPT,
        # A prompt as long as the depth is the depth: decoding was measured behind it.
        "depth": depth if depth and runtime.empty_cache and depth != prompt else 0.0,
        "context": SHORT_PROMPT if context is None else context,
        "generate": generate,
        "file_bytes": (_number(row["file_bytes"]) or np.nan) if not exact else np.nan,
        "ttft": ttft,
        "tpot": batch / decode if decode else np.nan,
        "energy": _number(row["energy_j_per_tok"]) or np.nan,
        "options": _options(said, row["weight_format"], runtime),
        "chunk": piece(said, runtime.chunk) if runtime.empty_cache else runtime.chunk,
        "era": str(row["date"])[:4],
        "scope": str(row["power_kind"]),
        "threads": threads(said),
        "presumed": bool(flags["format_presumed"].iloc[i]),
    }


def _table(columns: dict[str, list[Any]], left_out: Array) -> Cases:
    from arch_space.formats import stored_names
    from arch_space.tensors import weight_bytes

    if not columns:
        raise NothingToPredict(left_out)
    arch = concatenate([replace(model, names=()) for model in columns["arch"]])
    numbers = {
        name: np.array(columns[name], dtype=float)
        for name in (
            "batch",
            "prompt",
            "depth",
            "context",
            "generate",
            "ttft",
            "tpot",
            "energy",
            "chunk",
            "threads",
        )
    }
    ratio = np.array(columns["file_bytes"], dtype=float) / weight_bytes(arch)
    low, high = FILE_SIZES
    ratio = np.where((ratio > low) & (ratio < high), ratio, 1.0)
    units = [
        d.processors[p] for d, p in zip(columns["devices"], columns["processors"], strict=True)
    ]
    body, head = stored_names(arch.as_float())
    settings = {
        "type": [unit.type for unit in units],
        "kind": [device.kind for device in columns["devices"]],
        "vendor": [unit.vendor for unit in units],
        "family": [unit.family for unit in units],
        "host": [unit.family if unit else "" for unit in map(host_of, columns["devices"])],
        "device": [device.name for device in columns["devices"]],
        "runtime": [entry.name for entry in columns["runtimes"]],
        "options": columns["options"],
        "era": columns["era"],
        "storage": body,
        "path": paths(body, columns["options"]),
        "head_storage": head,
        "scope": columns["scope"],
    }
    return Cases(
        at=np.array(columns["at"]),
        left_out=left_out,
        devices=columns["devices"],
        processors=columns["processors"],
        runtimes=columns["runtimes"],
        arch=arch,
        size_ratio=ratio,
        presumed=np.array(columns["presumed"], dtype=bool),
        settings={name: np.array(words, dtype=str) for name, words in settings.items()},
        **numbers,
    )
