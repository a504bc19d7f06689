"""What a shell offers as the value of an option: names of what is shipped, and fixed words.

A shell asks at each press of a key, so nothing heavy is imported: names are those of files. Words
whose home would load numpy are written out here; a test holds them against their homes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typer.core import TyperArgument, TyperOption

Words = Callable[[], Iterable[str]]

HOUSE = Path(__file__).parents[2]
"""Where the packages lie."""

WORDS: dict[str, tuple[str, ...]] = {
    "formats": (
        "fp16", "q4_k_m", "q8_0", "int8", "int4", "fp32", "bf16", "fp8", "nvfp4", "mxfp4",
        "mxfp4-experts", "mxfp4_moe", "int8-g32", "int8-g128", "int4-g256", "int4-g128", "int4-g64",
        "int4-g32", "int4-g128-sym", "int4-g32-sym", "int4-channel", "int3-channel", "int3-g32",
        "int3-g64", "int3-g128", "int2-g128", "int2-g64", "ternary", "palette-4", "palette-3.7",
        "q4_0", "q4_1", "q5_0", "q5_1", "q2_k_s", "q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_k_s",
        "q5_k_s", "q5_k_m", "q6_k", "tq1_0", "tq2_0", "iq1_s", "iq1_m", "iq2_xxs", "iq2_xs",
        "iq2_s", "iq2_m", "iq3_xxs", "iq3_xs", "iq3_s", "iq3_m", "iq4_xs", "iq4_nl",
    ),
    "cache formats": (
        "fp32", "fp16", "bf16", "fp8", "int8", "int4", "nvfp4", "mxfp4", "int8-g32", "int4-g128",
        "int4-g64", "int4-g32", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl",
    ),
    "activation formats": ("fp32", "fp16", "bf16", "fp8", "int8", "int4", "nvfp4", "mxfp4"),
    "objectives": ("loss", "ttft", "tpot", "latency", "energy", "memory"),
    "methods": ("auto", "exact", "pruned", "nsga2", "nsga3"),
    "methods of graphs": ("agent", "reinforce", "random", "bayesian", "exhaustive"),
    "objectives of graphs": ("flops", "latency", "energy"),
    "kinds of device": (
        "phone", "jetson", "sbc", "laptop", "desktop", "desktop_gpu", "datacentre",
    ),
    "kinds of space": ("dense", "moe"),
    "ways": ("autoregressive", "diffusion"),
    "caches": ("none", "prefix", "dual"),
    "masks": ("causal", "full"),
    "logits": ("last", "all"),
    "attentions": ("fused", "unfused"),
    "strategies": (
        "best-of-n", "weighted", "diffusion", "diffusion-majority", "dvoting", "greedy", "majority",
        "revisions", "revisions-weighted", "sequential-parallel", "sequential-parallel-weighted",
        "budget-forcing", "beam-search", "lookahead-1", "lookahead-3",
    ),
    "axes": ("latency", "energy"),
    "processor types": ("cpu", "gpu", "npu"),
    "picks": ("knee",),
}  # fmt: skip


def _files(*folder: str, ending: str = ".yaml") -> Words:
    """Stems of the files of a folder, private ones aside."""

    def stems() -> list[str]:
        files = HOUSE.joinpath(*folder).glob(f"*{ending}")
        return sorted(file.name.removesuffix(ending) for file in files if file.name[0] != "_")

    return stems


def _fixed(name: str) -> Words:
    return lambda: WORDS[name]


def _devices() -> Iterable[str]:
    from hardware_specs.library import shipped_aliases

    return [*_files("hardware_specs")(), *sorted(shipped_aliases())]


def _runtimes() -> Iterable[str]:
    from roofline.runtimes import RUNTIMES

    return [each.name for each in RUNTIMES]


def _forms() -> Iterable[str]:
    modules = _files("roofline", "laws", "forms", ending=".py")()
    return [*(name.replace("_", "-") for name in modules), *_laws()]


_models = _files("arch_space", "models")
_spaces = _files("arch_space", "spaces")
_laws = _files("roofline", "laws", "published")
_mixes = _files("roofline", "mixes")

VALUES: dict[str, Words] = {
    "device": _devices,
    "devices": _devices,
    "cluster": _devices,
    "train_on": _devices,
    "model": _models,
    "teacher": _models,
    "baseline": _models,
    "reference": _models,
    "draft": _models,
    "space": _spaces,
    "law": _laws,
    "form": _forms,
    "task": _files("roofline", "laws", "curves"),
    "runtime": _runtimes,
    "mix": _mixes,
    "workload": _mixes,
    "verifier": _files("roofline", "strategies", "verifiers"),
    "difficulty": _files("roofline", "strategies", "published"),
    "example": _files("roofline", "budgets", "examples"),
    "to": _files("roofline", "export", "stacks", ending=".py"),
    "weights": _fixed("formats"),
    "embedding": _fixed("formats"),
    "kv": _fixed("cache formats"),
    "activations": _fixed("activation formats"),
    "objectives": _fixed("objectives"),
    "method": _fixed("methods"),
    "decode": _fixed("ways"),
    "cache": _fixed("caches"),
    "mask": _fixed("masks"),
    "logits": _fixed("logits"),
    "attention": _fixed("attentions"),
    "strategy": _fixed("strategies"),
    "axis": _fixed("axes"),
    "pick": _fixed("picks"),
    "processor": _fixed("processor types"),
    "kind": _fixed("kinds of device"),
}
"""By the name of an option or argument."""

OF_COMMAND: dict[tuple[str, str], Words] = {
    ("new-device", "like"): _devices,
    ("new-space", "like"): _spaces,
    ("new-space", "kind"): _fixed("kinds of space"),
    ("devices show", "name"): _devices,
    ("models show", "name"): _models,
    ("spaces show", "name"): _spaces,
    ("laws show", "name"): _laws,
    ("graph", "task"): _files("roofline", "graphs", "published"),
    ("graph", "method"): _fixed("methods of graphs"),
    ("graph", "objective"): _fixed("objectives of graphs"),
    ("strategies", "task"): _files("roofline", "strategies", "tasks"),
}
"""By command and name, where a command means something of its own."""

LISTS = {"objectives", "devices", "mix", "workload"}
"""Options that take several values with commas between."""


def offer(command: str, parameter: TyperOption | TyperArgument) -> None:
    """Give a parameter the values that a shell offers for it, where they are known."""
    name = parameter.name or ""
    words = OF_COMMAND.get((command, name), VALUES.get(name))
    several = name in LISTS or "FILE,..." in str(parameter.metavar)
    if words is not None:
        parameter._custom_shell_complete = _completing(words, several)  # typer has no public way


def _completing(words: Words, several: bool) -> Callable[..., Any]:
    """The words that begin as what was typed does; after a comma, those not yet said."""

    def complete(context: Any, parameter: Any, incomplete: str) -> list[str]:
        said, comma, last = incomplete.rpartition(",") if several else ("", "", incomplete)
        before = said.split(",")
        return [
            f"{said}{comma}{word}"
            for word in words()
            if word.startswith(last) and word not in before
        ]

    return complete
