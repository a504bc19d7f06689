"""What 4 bits do to memory and latency by the engine, beside what was published.

OmniQuant's table is of MLC-LLM on an A100 (arXiv 2308.13137), llama.cpp's of a computer that its
page does not name; of the shipped devices an Apple M4 Max decodes F16 most like it, and stands in.
The claim of arXiv 2601.09865 is of a model of 3B: half the memory, up to half the latency a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from arch_space.library import load_model
from hardware_specs import load_device
from roofline.degradation import tables
from roofline.engine import estimate
from roofline.workload import Workload

if TYPE_CHECKING:
    import pandas as pd

_A100 = ("a100-80-sxm", "mlc", Workload(prompt=1, generate=512))
_MAC = ("m4max-40", "llama.cpp-metal", Workload(prompt=1, generate=128))
_MLC_MODELS = {"LLaMA-7B": "llama-7b", "LLaMA-13B": "llama-13b", "LLaMA-30B": "llama-33b"}
_MLC_FORMATS = {"FP16": "fp16", "W4A16g128": "int4-g128", "W3A16g128": "int3-g128"}
_GGUF = ("F16", "Q8_0", "Q6_K", "Q4_K_M", "Q4_K_S")


@dataclass(frozen=True)
class Speed:
    """One model in one format, decoding alone.

    published: tokens a second, and memory in bytes; None where not published. tokens_per_s,
    memory_bytes: the engine's. floor: tokens a second where nothing but reading the stored bytes
    took time. launch_share: of a step, what is neither products nor traffic.
    """

    where: str
    model: str
    format: str
    tokens_per_s: float
    memory_bytes: float
    floor: float
    published: float | None = None
    published_bytes: float | None = None


def _speed(
    where: tuple[str, str | None, Workload],
    model: str,
    weights: str,
    published: float | None = None,
    published_bytes: float | None = None,
) -> Speed:
    device, runtime, workload = where
    arch, profile = load_model(model).with_formats(weights), load_device(device)
    real = estimate(arch, profile, workload, runtime=runtime)
    ideal = estimate(arch, profile, workload, runtime=runtime, ideal=True)
    return Speed(
        f"{device}, {real.runtime}",
        model,
        weights,
        float(real.tokens_per_s[0]),
        float(real.memory_bytes[0]),
        float(ideal.tokens_per_s[0]),
        published,
        published_bytes,
    )


def beside_published() -> list[Speed]:
    """Return every published row with the engine's number."""
    found = []
    for row in tables.read("omniquant_mlc_a100.csv"):
        if row["model"] in _MLC_MODELS and row["scheme"] in _MLC_FORMATS:
            found.append(
                _speed(
                    _A100,
                    _MLC_MODELS[row["model"]],
                    _MLC_FORMATS[row["scheme"]],
                    float(row["tok_per_s"]),
                    1e9 * float(row["RM_GB"]),
                )
            )
    for row in tables.read("llamacpp_llama31_8b_bpw.csv"):
        if row["quant"] in _GGUF:
            weights = "fp16" if row["quant"] == "F16" else row["quant"].lower()
            size = 2.0**30 * float(row["size_GiB"])
            found.append(_speed(_MAC, "llama-3.1-8b", weights, float(row["tg128_tps"]), size))
    return found


def halves(model: str) -> list[tuple[Speed, Speed]]:
    """Return a model at 16 and at 4 bits (int4-g128) where it is served and where it is carried."""
    wheres: tuple[tuple[str, str | None, Workload], ...] = (
        _A100,
        ("a100-80-sxm", None, _A100[2]),
        ("jetson-agx-orin-64", None, Workload(prompt=1, generate=128)),
        ("sd8elite", None, Workload(prompt=1, generate=128)),
    )
    return [(_speed(w, model, "fp16"), _speed(w, model, "int4-g128")) for w in wheres]


def change(before: Speed, after: Speed) -> tuple[float, float, float]:
    """Return the ratio of memory, the change of latency a token, and that of the floor."""
    return (
        before.memory_bytes / after.memory_bytes,
        before.tokens_per_s / after.tokens_per_s - 1,
        before.floor / after.floor - 1,
    )


def frame() -> pd.DataFrame:
    """Return the rows beside what was published, as a table."""
    import pandas as pd

    rows = []
    for each in beside_published():
        assert each.published is not None
        error = each.tokens_per_s / each.published - 1
        rows.append(vars(each) | {"error": error})
    return pd.DataFrame(rows)
