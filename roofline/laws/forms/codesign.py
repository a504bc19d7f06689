"""The hardware co-design law: loss from depth, width, FFN expansion, sparsity of experts and GQA.

    L = k_l / l^a_l + k_rho rho^a_rho / (r^a_r d^b1) + k_d / (r^a_r d^b2) + k_m / d_m^a_m + L_inf

Source: arXiv 2602.10377. The only law here that sees every knob that the roofline sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np

from arch_space.architectures import Architectures
from roofline.laws.law import Coefficient, Interval, Law, Limit, Value, between
from roofline.laws.variables import cached_width, expansion
from spec_files.model import Spec


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

    variables: ClassVar[tuple[str, ...]] = (
        "layers", "width", "expansion", "activation", "cached_width",
    )  # fmt: skip

    k_l: Annotated[float, Coefficient((0.1, 100.0), (1e-4, 1e5))]
    a_l: Annotated[float, Coefficient((0.2, 3.0), (1e-3, 6.0))]
    k_rho: Annotated[float, Coefficient((1e-3, 1.0), (1e-6, 1e3))]
    a_rho: Annotated[float, Coefficient((0.2, 3.0), (1e-3, 6.0))]
    b1: Annotated[float, Coefficient((-1.0, 1.0), (-3.0, 3.0), log=False)]
    k_d: Annotated[float, Coefficient((1.0, 5e3), (1e-3, 1e7))]
    b2: Annotated[float, Coefficient((0.2, 2.0), (1e-3, 4.0))]
    a_r: Annotated[float, Coefficient((0.03, 1.0), (1e-3, 4.0))]
    k_m: Annotated[float, Coefficient((0.01, 5.0), (1e-4, 1e3))]
    a_m: Annotated[float, Coefficient((0.01, 1.0), (1e-3, 4.0))]
    l_inf: Annotated[float, Coefficient((0.5, 3.5), (1e-2, 10.0))]
    range: Range

    def at(
        self, layers: Value, width: Value, expansion: Value, activation: Value, cached: Value
    ) -> Value:
        """Return the loss at the law's own variables; they broadcast."""
        ffn = self.k_rho * activation**self.a_rho * width**-self.b1 + self.k_d * width**-self.b2
        depth = self.k_l * layers**-self.a_l
        return depth + expansion**-self.a_r * ffn + self.k_m * cached**-self.a_m + self.l_inf

    def limits(self, arch: Architectures) -> Iterator[Limit]:
        """Yield the edges of the paper's grid, and the parts that no model of it had."""
        width, cached = arch.width, cached_width(arch)
        grid = self.range
        yield from between("layers", arch.layers, grid.layers)
        yield from between("width", width, grid.width)
        yield from between("FFN expansion", expansion(arch), grid.expansion)
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
