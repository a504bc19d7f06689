"""Smaller siblings to train first: the same proportions at a fraction of the compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from arch_space.tensors import active_parameter_count
from roofline.export.compute import training_flops
from roofline.laws.prediction import ranges
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from roofline.laws import Law

Array = np.ndarray

FRACTIONS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
_COMPUTE = np.log(1.1)  # how far compute may miss, and proportions bend, for the same penalty
_SHAPE = np.log(1.4)
_EVEN = np.log(2.0)  # a shape bent further is no sibling
_HIGHEST = 0.8  # share of the compute of the last rung, where small fractions are out of reach
_MOST = 1.5  # of the choice's compute that such a ladder costs together, beyond two rungs
_TRIED = 64  # of the best shapes, until the stack can say one
_APART = (
    "mamba_layers", "delta_layers", "convolution_layers", "ffn_layers", "wide_layers",
    "shared_kv_layers", "full_kv_heads", "full_head_size", "layer_embedding", "expert_latent",
    "streams", "laurel_rank",
)  # fmt: skip


@dataclass(frozen=True)
class Sibling:
    """One rung: an architecture of one, the tokens it trains on, its share of the compute."""

    architecture: Architectures
    tokens: float
    share: float


def siblings(
    arch: Architectures,
    law: Law,
    sequence: int,
    fractions: Sequence[float] = FRACTIONS,
    accept: Callable[[Architectures], bool] = lambda _: True,
) -> list[Sibling]:
    """Return a sibling for each fraction of the compute, ascending, none twice.

    Width, heads and depth shrink together; head size, ratio of the networks to the width, experts
    and vocabulary stay. A law of free tokens shrinks those with the parameters, so that tokens per
    parameter stay, but not below its data; another keeps them. Where the choice lies within the
    law's data, so do its siblings, and fractions that none of them reaches give way to steps from
    the least that one does. accept: whether a stack can say a shape.
    Raises SpecError for a model of several kinds of layers, whose proportions nothing states.
    """
    if not fractions or not all(0 < f < 1 for f in fractions):
        raise SpecError(f"fractions of the compute lie between 0 and 1, read {list(fractions)}")
    for name in _APART:
        if getattr(arch, name)[0]:
            raise SpecError(f"a model with {name} has no siblings of plainly the same proportions")
    grid, apart = _shapes(arch)
    tokens = np.full(len(grid), law.tokens)
    inside = bool(law.in_range(arch)[0])
    if law.free_tokens:
        tokens = tokens * active_parameter_count(grid.as_float()) / _active(arch)
        least = ranges(law).get("tokens", (0.0, np.inf))[0] if inside else 0.0
        tokens = np.clip(tokens, least, law.tokens)
    whole = training_flops(arch, law.tokens, sequence)[0]
    share = training_flops(grid, tokens, sequence) / whole
    keep = np.flatnonzero((share < 1) & (law.in_range(grid) if inside else True))
    if not len(keep):
        raise SpecError("no smaller shape of its proportions lies within the law's data")
    grid, apart, tokens, share = grid[keep], apart[keep], tokens[keep], share[keep]
    score = (apart / _SHAPE) ** 2
    even = apart <= _EVEN
    least = float(share[even].min() if even.any() else share.min())
    wanted = _reachable(sorted(fractions), least)
    found: dict[int, Sibling] = {}
    for fraction in wanted:
        order = np.argsort(score + (np.log(share / fraction) / _COMPUTE) ** 2, kind="stable")
        row = next((int(i) for i in order[:_TRIED] if accept(grid[int(i)])), None)
        if row is not None and row not in found:
            found[row] = Sibling(grid[row], float(tokens[row]), float(share[row]))
    return sorted(found.values(), key=lambda each: each.share)


def _reachable(fractions: list[float], least: float) -> list[float]:
    """Return the fractions, or steps from the least that a sibling reaches."""
    if least <= 1.1 * fractions[0]:
        return fractions
    for count in range(len(fractions), 2, -1):
        steps = np.geomspace(least, max(_HIGHEST, fractions[-1]), count)
        if steps.sum() <= _MOST:
            return [float(step) for step in steps]
    return [least, max(_HIGHEST, fractions[-1])]


def _shapes(arch: Architectures) -> tuple[Architectures, Array]:
    """Return every smaller depth and width, and how far each bends their ratio, (N,) of logs."""
    row = arch.row()
    layers, heads = (
        axis.ravel()
        for axis in np.meshgrid(
            np.arange(1, row["layers"] + 1), np.arange(1, row["query_heads"] + 1), indexing="ij"
        )
    )
    scale = heads / row["query_heads"]
    exact = row["width"] % row["query_heads"] == 0
    width = _multiple(row["width"] * scale, 1 if exact else 8)
    moe = row["experts"] > 1
    step = {name: 32 if row[name] % 32 == 0 else 1 for name in ("ffn_width", "expert_width")}
    changes = {
        "layers": layers,
        "width": width,
        "query_heads": heads,
        "kv_heads": heads if row["kv_rank"] else _kv_heads(row)[heads],
        "ffn_width": _multiple(row["ffn_width"] * scale, step["ffn_width"]),
        "expert_width": _multiple(row["expert_width"] * scale, step["expert_width"]),
    }
    if moe and row["dense_layers"]:
        changes["dense_layers"] = np.maximum(
            1, np.rint(row["dense_layers"] * layers / row["layers"])
        ).astype(int)
    if row["window_share"]:
        changes["window_share"] = np.rint(row["window_share"] * layers) / layers
    for name in ("kv_rank", "query_rank"):
        if row[name]:
            changes[name] = _multiple(row[name] * scale, 32)
    grid = replace(arch, **changes, names=())
    fits = changes.get("dense_layers", 0) <= layers
    bend = np.abs(np.log(scale) - np.log(layers / row["layers"]))
    keep = np.flatnonzero(np.broadcast_to(fits, layers.shape))
    return grid[keep], bend[keep]


def _kv_heads(row: dict[str, int]) -> Array:
    """Return KV heads by query heads, 0 to all: the divisor nearest to the same group."""
    found = np.zeros(row["query_heads"] + 1, dtype=int)
    for heads in range(1, row["query_heads"] + 1):
        divisors = np.array([d for d in range(1, heads + 1) if heads % d == 0])
        wanted = heads * row["kv_heads"] / row["query_heads"]
        found[heads] = divisors[np.argmin(np.abs(np.log(divisors / wanted)))]
    if row["kv_heads"] == 1:
        found[1:] = 1
    return found


def _multiple(value: Array, of: int) -> Array:
    """Return the nearest multiple; of what is above zero at least one."""
    return np.where(value > 0, np.maximum(np.rint(value / of), 1) * of, 0).astype(int)


def _active(arch: Architectures) -> float:
    return float(active_parameter_count(arch.as_float())[0])
