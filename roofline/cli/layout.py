"""How help is laid out: the options of large commands in panels, the same ones everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typer._click.core import Command

MANY = 13
"""Options from which on a command's are put into panels."""

PANELS: dict[str, tuple[str, ...]] = {
    "What is asked": (
        "device", "devices", "model", "models", "space", "task", "example", "exchange", "kinetics",
        "baseline", "form", "file", "pool", "loss", "library", "repeat", "resume", "recipe",
        "listing", "list_datasets",
    ),
    "Limits": (
        "max_loss", "max_ttft", "max_tpot", "max_latency", "max_energy", "max_memory",
        "device_limit", "budget",
    ),
    "Workload": (
        "prompt", "generate", "batch", "cached", "prefill_chunk", "draft", "acceptance",
        "draft_length", "mix", "workload", "worst",
    ),
    "Number formats": ("weights", "embedding", "kv", "activations", "sparsity", "ffn_sparsity"),
    "Hardware": (
        "processor", "runtime", "placement", "swap_bandwidth", "ideal", "mask", "logits",
        "attention", "anyway",
    ),
    "Loss and accuracy": ("law", "tokens", "in_range_only", "accuracy", "teacher"),
    "Diffusion": (
        "decode", "cache", "block", "tokens_per_step", "confidence", "refresh", "pass_overhead",
    ),
    "Grid of devices": (
        "bandwidth", "peak", "capacity", "power", "on_chip", "on_chip_bandwidth", "points",
    ),
    "Search": (
        "objectives", "objective", "method", "evaluations", "seed", "max_seconds", "certify",
        "scheduler", "reference", "nodes", "fan_in", "strategy", "verifier", "quality", "most",
        "axis",
    ),
    "Assumptions": (
        "difficulty", "revision_lost", "revision_mended", "train_on", "utilisation", "starts",
        "replicates",
    ),
    "A benchmark of yours": ("utility", "utility_timeout", "on_utility_failure"),
    "A language model that proposes": (
        "endpoint", "endpoint_model", "endpoint_timeout", "key_variable", "on_failure",
    ),
    "Data": ("holdout", "where", "best_of", "column", "give", "fix", "ladder"),
    "Output": ("out", "report", "name", "force", "all_candidates", "as_json"),
}  # fmt: skip
"""By panel, in the order in which they are shown: names of options."""

_PANEL = {name: panel for panel, names in PANELS.items() for name in names}


def arrange(command: Command, path: str = "") -> None:
    """Lay out a command and those under it, and say what a shell completes their values to."""
    from typer.core import TyperArgument, TyperOption

    from roofline.cli.completion import offer

    own: list[Any] = [p for p in command.params if isinstance(p, TyperOption | TyperArgument)]
    for parameter in own:
        offer(path, parameter)
    options = [p for p in own if isinstance(p, TyperOption)]
    if len(options) >= MANY:
        for option in options:
            option.rich_help_panel = _PANEL.get(option.name or "", "Options")
        order = list(PANELS)
        command.params.sort(key=lambda p: _rank(p, order))
    for name, inner in getattr(command, "commands", {}).items():
        arrange(inner, f"{path} {name}".strip())


def _rank(parameter: Any, order: list[str]) -> int:
    panel = getattr(parameter, "rich_help_panel", None)
    return order.index(panel) if panel in order else -1
