"""The hardware co-design law: loss from depth, width, FFN expansion, sparsity of experts and GQA.

    L = k_l / l^a_l + k_rho rho^a_rho / (r^a_r d^b1) + k_d / (r^a_r d^b2) + k_m / d_m^a_m + L_inf

Source: arXiv 2602.10377. The only law here that sees every knob that the roofline sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from arch_space.architectures import Architectures
from roofline.laws.law import Array, Interval, Law, Limit, Value, between
from spec_files.model import Spec


class Variables(NamedTuple):
    """What the law sees of a candidate, each (N,) or (1,)."""

    layers: Array
    width: Array
    expansion: Array
    """r: inner width of the FFN that a token meets, all its experts together, over the width."""
    activation: Array
    """rho: share of the stored FFN that a token meets; 1 where dense."""
    cached: Array
    """d_m: width of the cached keys (and of the values)."""


def variables(arch: Architectures) -> Variables:
    """Return the law's five variables.

    Shared experts count as active and as stored: rho is activated over stored width. Leading dense
    layers enter by the mean over layers. An FFN of two matrices counts for 2/3 of its width, which
    equates parameters: the law was fitted on three. MLA enters by its cached width, rotary part
    included. The last four lie outside the fitted data and are flagged by `CodesignLaw.limits`.
    """
    width = arch.width.astype(float)
    active, activation = arch.ffn_width.astype(float), np.ones(1)
    moe = arch.experts > 1
    if moe.any():
        met = np.add(arch.experts_per_token, arch.shared_experts, dtype=float)
        stored = np.add(arch.experts, arch.shared_experts, dtype=float)
        routed = met * arch.expert_width
        activation = np.where(moe, met / stored, 1.0)
        if arch.dense_layers.any():
            dense = arch.dense_layers / arch.layers
            routed = routed + dense * (arch.ffn_width - routed)
            held = stored * arch.expert_width
            held = np.where(moe, held + dense * (arch.ffn_width - held), 1.0)
            activation = np.where(moe, routed / held, 1.0)
        active = np.where(moe, routed, active)
    expansion = active / width
    if not arch.gated.all():
        expansion = expansion * np.where(arch.gated, 1.0, 2 / 3)
    cached = np.multiply(arch.kv_heads, arch.head_size, dtype=float)
    if (latent := arch.kv_rank > 0).any():
        cached = np.where(latent, arch.kv_rank + arch.rope_size, cached)
    return Variables(arch.layers, width, expansion, activation, cached)


class Range(Spec):
    """Intervals that the fitted grid spans."""

    layers: Interval
    width: Interval
    expansion: Interval
    experts: Interval
    experts_per_token: Interval
    head_size: Interval
    least_cached_width: float


class CodesignLaw(Law):
    """The law of arXiv 2602.10377, 11 parameters.

    Inside the fitted data means: within the intervals that the paper's grid spans, points between
    those of the grid included, and no part that the grid lacked. A dense model's loss is least at a
    width of 3952 and rises past it, since b1 < 0: an artefact, so nothing past 3072 is inside. The
    paper publishes no head size: 64 to 128 is assumed, and so keys of 64 up to the width.

    sd comes from four MoE configurations of one other team (StepLaw). Differences between dense
    models are overstated: measured ones are .45 of them on Gemstones in range, .34 on all of it.
    """

    k_l: float
    a_l: float
    k_rho: float
    a_rho: float
    b1: float
    k_d: float
    b2: float
    a_r: float
    k_m: float
    a_m: float
    l_inf: float
    range: Range

    def loss(self, arch: Architectures) -> Array:
        """Return nats per token, (N,)."""
        return np.broadcast_to(self.at(*variables(arch)), (len(arch),))

    def at(
        self, layers: Value, width: Value, expansion: Value, activation: Value, cached: Value
    ) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        ffn = self.k_rho * activation**self.a_rho * width**-self.b1 + self.k_d * width**-self.b2
        depth = self.k_l * layers**-self.a_l
        return depth + expansion**-self.a_r * ffn + self.k_m * cached**-self.a_m + self.l_inf

    def limits(self, arch: Architectures) -> Iterator[Limit]:
        """Yield the edges of the paper's grid, and the parts that no model of it had."""
        _, width, expansion, _, cached = variables(arch)
        grid = self.range
        yield from between("layers", arch.layers, grid.layers)
        yield from between("width", width, grid.width)
        yield from between("FFN expansion", expansion, grid.expansion)
        yield from between("experts", arch.experts, grid.experts)
        yield from between("experts per token", arch.experts_per_token, grid.experts_per_token)
        yield from between("head size", arch.head_size, grid.head_size)
        least = grid.least_cached_width
        yield Limit(~(cached >= least), f"cached width {{}} below {least:g}", cached)
        yield Limit(cached > width, "cached width {} above the width", cached)
        queries = np.multiply(arch.query_heads, arch.head_size, dtype=float)
        uneven = abs(queries - width) > 1e-6 * width
        yield Limit(uneven, "query heads x head size {} is not the width", queries)
        yield Limit((arch.value_size > 0) & (arch.value_size != arch.head_size), "own value size")
        yield Limit((arch.kv_rank > 0) | (arch.query_rank > 0), "latent attention (MLA)")
        yield Limit(arch.window_share > 0, "sliding-window layers")
        yield Limit(np.logical_not(arch.gated), "FFN of two matrices")
        yield Limit(arch.shared_experts > 0, "shared experts")
        yield Limit(arch.dense_layers > 0, "leading dense layers")
