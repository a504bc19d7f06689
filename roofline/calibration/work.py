"""What each row asks of the processor, and how long that takes under given effects.

The same formula as the engine's, over rows instead of candidates: each row has its own device, so
rates are arrays over rows. A test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from roofline.efficiency.form import FORM, paths
from roofline.efficiency.hosting import PACE_OF_READS, hosted

Array = np.ndarray


@dataclass(frozen=True)
class Demand:
    """One phase of N rows over K operators; arrays (N, K).

    flops; half: instances with products, for the size effect; padding:
    operations that one more token in each product would add; weights, cache, activations: bytes;
    launches: kernels; state_launches: of recurrent mixers, (N, K).
    """

    flops: Array
    products: Array
    padding: Array
    weights: Array
    cache: Array
    activations: Array
    launches: Array
    state_launches: Array


@dataclass(frozen=True)
class Work:
    """N rows, ready for a fit.

    peak: (N, K) operations per second that shares refer to; bandwidth: (N,) bytes per second;
    vague: (N,) by how much, on the logarithm, the profile leaves open what it is.
    group: (N,) query heads per KV head. demand, measured (log seconds, NaN where not measured): by
    phase. routed: (N, K) which operators stream routed experts; head, cached, shared: (K,) which
    read the head, a cache or a state, a cache that grouped queries share. hosted: (N, K) which
    operators the CPU runs for another processor; pace: (N, K) at what share of the peak its unlike
    cores share them. settings: (N,) words by attribute; `storage` is that of the layers,
    `head_storage` that of the head.
    """

    peak: Array
    bandwidth: Array
    vague: Array
    group: Array
    demand: dict[str, Demand]
    measured: dict[str, Array]
    routed: Array
    head: Array
    cached: Array
    shared: Array
    hosted: Array
    pace: Array
    settings: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.peak)

    def parts(self, quantity: str) -> dict[str, Mapping[str, Array]]:
        """Return the settings under which a quantity acts: of the layers, and of the head."""
        if quantity not in ("compute", "memory"):
            return {"layers": self.settings}
        head = self._stored(self.settings["head_storage"])
        parts: dict[str, Mapping[str, Array]] = {
            "layers": hosted(self.settings),
            "head": hosted(head),
        }
        if quantity == "compute":  # what is not a product with weights knows nothing of them
            parts["cache"] = self._stored(np.full(len(self), CACHE_STORAGE))
        return parts

    def _stored(self, storage: Array) -> Mapping[str, Array]:
        return {
            **self.settings,
            "storage": storage,
            "path": paths(storage, self.settings["options"]),
        }


CACHE_STORAGE = "16-bit"
"""How a cache is stored, for the kernels that read it."""


def log_times(
    work: Work, phase: str, eta: Mapping[str, Array], at: Array, blend: float | None = None
) -> tuple[Array, dict[str, Array]]:
    """Return log seconds of the rows `at`, (n,), and its slope by each effect, (n,) each.

    blend: the sides of an operator are joined by the norm of this power, in place of the larger:
    for a fit under way, to which the shorter side would otherwise be flat.
    """
    demand = work.demand[phase]
    peak = work.peak[at] * work.pace[at]
    bandwidth = work.bandwidth[at, None] * work.pace[at] ** PACE_OF_READS
    flops, weights, cache = demand.flops[at], demand.weights[at], demand.cache[at]
    routed, head, cached = work.routed[at], work.head[None], work.cached[None]
    value = {name: FORM[name.split(".")[0]].value(e)[:, None] for name, e in eta.items()}
    fall = {
        name: FORM[name.split(".")[0]].slope(v)  # d log(value) / d eta
        for name, v in value.items()
    }

    compute = np.where(head, value["compute.head"], value["compute.layers"])
    scan = cached & ~work.shared[None]
    over_cache = value["compute.cache"]
    compute = np.where(work.shared[None], over_cache * value["attention.layers"], compute)
    compute = np.where(scan, over_cache * value["recurrence.layers"], compute)
    compute = np.where(routed, compute * value["expert_compute.layers"], compute)
    half = value["half_size.layers"] * demand.products[at]
    products = flops / (peak * compute)
    small = half / (peak * compute)
    padded = value["tile.layers"] * demand.padding[at] / (peak * compute)
    compute_time = products + small + padded

    memory = np.where(head, value["memory.head"], value["memory.layers"])
    memory = np.where(routed, memory * value["experts.layers"], memory)
    repeat = value["repeats.layers"]
    grouped = work.shared[None] * np.log(np.maximum(work.group[at, None], 1.0))
    cache_share = np.where(scan, value["state.layers"], value["cache.layers"])
    weight_time = weights / (bandwidth * memory)
    cache_time = cache * np.exp(repeat * grouped) / (bandwidth * cache_share)
    spill_time = value["spill.layers"] * demand.activations[at] / work.bandwidth[at, None]
    memory_time = weight_time + cache_time + spill_time

    seconds_of, by_compute, by_memory = _join(compute_time, memory_time, blend)
    launch = demand.launches[at].sum(axis=1) * value["launch.layers"][:, 0]
    state = demand.state_launches[at].sum(axis=1) * value["state_launch.layers"][:, 0]
    handed = (demand.launches[at] * work.hosted[at]).sum(axis=1) * value["handover.layers"][:, 0]
    fixed_name = "step.layers" if phase == "decode" else "prefill.layers"
    fixed = value[fixed_name][:, 0]
    total = seconds_of.sum(axis=1) + launch + state + handed + fixed

    on = by_compute * compute_time
    off = by_memory * weight_time
    off_cache = by_memory * cache_time
    seconds = {
        "compute.layers": -((on * ~head * ~cached).sum(axis=1)),
        "compute.cache": -((on * cached).sum(axis=1)),
        "compute.head": -((on * head).sum(axis=1)),
        "attention.layers": -((on * work.shared[None]).sum(axis=1)),
        "recurrence.layers": -((on * scan).sum(axis=1)),
        "expert_compute.layers": -((on * routed).sum(axis=1)),
        "half_size.layers": (by_compute * small).sum(axis=1),
        "tile.layers": (by_compute * padded).sum(axis=1),
        "memory.layers": -((off * ~head).sum(axis=1)),
        "memory.head": -((off * head).sum(axis=1)),
        "experts.layers": -((off * routed).sum(axis=1)),
        "cache.layers": -((off_cache * ~scan).sum(axis=1)),
        "state.layers": -((off_cache * scan).sum(axis=1)),
        "spill.layers": (by_memory * spill_time).sum(axis=1),
        "repeats.layers": (off_cache * repeat * grouped).sum(axis=1),
        "launch.layers": launch,
        "state_launch.layers": state,
        "handover.layers": handed,
        fixed_name: fixed,
    }
    slopes = {name: d * fall[name][:, 0] / total for name, d in seconds.items()}
    return np.log(total), slopes


def _join(compute: Array, memory: Array, blend: float | None) -> tuple[Array, Array, Array]:
    """Return the seconds of operators by their sides, (n, K), and its slope by each side."""
    longer = np.maximum(compute, memory)
    if blend is None:
        by_compute = compute > memory
        return longer, by_compute, ~by_compute
    scale = np.where(longer > 0, longer, 1.0)
    c, m = compute / scale, memory / scale
    joined = (c**blend + m**blend) ** (1.0 / blend)
    across = np.where(joined > 0, joined, 1.0)
    return longer * joined, (c / across) ** (blend - 1.0), (m / across) ** (blend - 1.0)
