"""Costs, budgets and optima of the co-design law in closed form (arXiv 2602.10377).

The theory that the search is held against: it charges a layer's matrices and its cache, and leaves
out norms, router, embedding, head and the scores of prefill, which the engine counts.
Pure functions; arguments are numbers or arrays that broadcast.

Symbols: d width, r FFN expansion over active experts, gqa query heads per KV head, rho share of the
stored FFN that a token meets; b_w and b_kv bytes of a weight and of a cached element. Budgets, each
linear in depth: F_p FLOPs a prompt token, M_d bytes a decode step, M bytes of weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from roofline.laws.forms.codesign import CodesignLaw
from roofline.laws.law import Array, Value


@dataclass(frozen=True)
class Xi:
    """Cost of one layer in units of d^2: fixed + shared / gqa + ffn r.

    Every budget of the paper has this form, so one set of optimality conditions serves all three.
    """

    fixed: Value
    shared: Value
    ffn: Value

    def at(self, r: Value, gqa: Value) -> Value:
        """Return the cost at an expansion and a ratio of query heads to KV heads."""
        return self.fixed + self.shared / gqa + self.ffn * r

    def slope_r(self) -> Value:
        """Return the derivative by r."""
        return self.ffn

    def slope_gqa(self, gqa: Value) -> Value:
        """Return the derivative by gqa."""
        return -self.shared / np.square(gqa)


XI_PREFILL = Xi(4.0, 4.0, 6.0)
"""xi_F: FLOPs of a token in a layer, attention scores left out."""

XI_ACTIVE = Xi(2.0, 2.0, 3.0)
"""xi_Wdec: weights that a decoded token reads."""


def xi_stored(rho: Value) -> Xi:
    """xi_Wall: weights that the layer stores; d/drho is `-3 r / rho^2`."""
    return Xi(2.0, 2.0, 3.0 / rho)


def xi_decode(d: Value, context: Value, b_w: Value = 2.0, b_kv: Value = 2.0) -> Xi:
    """xi_Weff: what a decoded token reads, its cache in units of weights; d/dd is `-delta / d`."""
    return Xi(2.0, 2.0 + cache_weight(d, 1.0, context, b_w, b_kv), 3.0)


def cache_weight(
    d: Value, gqa: Value, context: Value, b_w: Value = 2.0, b_kv: Value = 2.0
) -> Value:
    """Delta: reading the cache of a layer, in units of d^2 weights."""
    return 2.0 * context * b_kv / (gqa * d * b_w)


def sensitivities(
    d: Value,
    r: Value,
    gqa: Value,
    rho: Value,
    context: Value,
    b_w: Value = 2.0,
    b_kv: Value = 2.0,
) -> dict[str, Value]:
    """Every derivative of a layer's cost that the paper lists, in units of d^2, by name.

    `prefill`, `active`, `stored` and `decode` are xi_F, xi_Wdec, xi_Wall and xi_Weff: the FLOPs of
    a token, the weights that it reads, those that are stored, and what it reads with its cache.
    """
    stored, decode = xi_stored(rho), xi_decode(d, context, b_w, b_kv)
    return {
        "prefill by r": XI_PREFILL.slope_r(),
        "prefill by gqa": XI_PREFILL.slope_gqa(gqa),
        "active by r": XI_ACTIVE.slope_r(),
        "active by gqa": XI_ACTIVE.slope_gqa(gqa),
        "stored by r": stored.slope_r(),
        "stored by gqa": stored.slope_gqa(gqa),
        "stored by rho": -3.0 * r / np.square(rho),
        "decode by r": decode.slope_r(),
        "decode by gqa": decode.slope_gqa(gqa),
        "decode by d": -cache_weight(d, gqa, context, b_w, b_kv) / d,
    }


def mean_context(prompt: Value, generate: Value) -> Value:
    """Sbar: keys that a decode step attends to, on average over the steps."""
    return prompt + (generate + 1.0) / 2.0


def prefill_time(
    layers: Value, d: Value, r: Value, gqa: Value, batch: Value, prompt: Value, peak: Value
) -> Value:
    """T_prefill in seconds, bound by computation; peak in FLOP/s."""
    return layers * batch * prompt * np.square(d) * XI_PREFILL.at(r, gqa) / peak


def decode_time(
    layers: Value,
    d: Value,
    r: Value,
    gqa: Value,
    prompt: Value,
    generate: Value,
    bandwidth: Value,
    b_w: Value = 2.0,
    b_kv: Value = 2.0,
) -> Value:
    """T_decode in seconds, of all steps at batch 1, bound by traffic; bandwidth in bytes/s."""
    xi = xi_decode(d, mean_context(prompt, generate), b_w, b_kv)
    return layers * generate * np.square(d) * b_w * xi.at(r, gqa) / bandwidth


def stored_bytes(
    layers: Value, d: Value, r: Value, gqa: Value, rho: Value, b_w: Value = 2.0
) -> Value:
    """M_weights: bytes of the layers' matrices."""
    return layers * np.square(d) * b_w * xi_stored(rho).at(r, gqa)


def prefill_budget(time: Value, peak: Value, batch: Value, prompt: Value) -> Value:
    """F_p: FLOPs that a time to first token leaves each prompt token."""
    return time * peak / (batch * prompt)


def decode_budget(time: Value, bandwidth: Value, generate: Value) -> Value:
    """M_d: bytes that a decoding time leaves each step."""
    return time * bandwidth / generate


@dataclass(frozen=True)
class Budget:
    """A binding budget: l d^2 unit xi(r, gqa) = amount."""

    amount: Value
    xi: Xi
    unit: Value

    @classmethod
    def prefill(cls, flops: Value) -> Budget:
        """F_p: FLOPs a prompt token."""
        return cls(flops, XI_PREFILL, 1.0)

    @classmethod
    def decode(
        cls, traffic: Value, d: Value, context: Value, b_w: Value = 2.0, b_kv: Value = 2.0
    ) -> Budget:
        """M_d: bytes a decode step."""
        return cls(traffic, xi_decode(d, context, b_w, b_kv), b_w)

    @classmethod
    def memory(cls, stored: Value, rho: Value, b_w: Value = 2.0) -> Budget:
        """M: bytes of weights."""
        return cls(stored, xi_stored(rho), b_w)

    def layers(self, d: Value, r: Value, gqa: Value) -> Value:
        """l*: depth always takes what the budget leaves."""
        return self.amount / (self.unit * np.square(d) * self.xi.at(r, gqa))


class Optimum(NamedTuple):
    """The shape of least loss under one budget, at given d and rho."""

    layers: Value
    r: Value
    gqa: Value
    loss: Value


def best_expansion(law: CodesignLaw, budget: Budget, d: Value, rho: Value, cost: Value) -> Value:
    """r* under one binding budget, given the layer's cost C at the optimum.

    r*^(a_r + 1) = a_r Dt X^a_l / (a_l k_l C_r C^(a_l - 1) u^a_l d^b2), where X is the budget, u its
    bytes or FLOPs a unit of C, and Dt = k_rho rho^a_rho d^(b2 - b1) + k_d. With C_r = 6, 3 and
    3 / rho these are the paper's three forms, for prefill, decode and memory.
    """
    dt = law.k_rho * rho**law.a_rho * d ** (law.b2 - law.b1) + law.k_d
    price = _price(law, budget, d, cost)
    return (law.a_r * dt * cost / (price * budget.xi.ffn * d**law.b2)) ** (1 / (law.a_r + 1))


def best_grouping(law: CodesignLaw, budget: Budget, d: Value, cost: Value) -> Value:
    """gqa* under one binding budget, given the layer's cost C at the optimum; may be below 1.

    gqa*^(a_m + 1) = a_l k_l C_gqa C^(a_l - 1) u^a_l d^a_m / (a_m k_m X^a_l); C_gqa is 4, 2 + delta
    (the cache at gqa 1) and 2 for prefill, decode and memory.
    """
    price = _price(law, budget, d, cost)
    scale = price * budget.xi.shared * d**law.a_m / (cost * law.a_m * law.k_m)
    return scale ** (1 / (law.a_m + 1))


def _price(law: CodesignLaw, budget: Budget, d: Value, cost: Value) -> Value:
    """Nats that one part in e of the budget is worth: a_l k_l / l*^a_l, for depth takes it all."""
    layers = budget.amount / (np.square(d) * budget.unit * cost)
    return law.a_l * law.k_l * layers**-law.a_l


def optimum(law: CodesignLaw, budget: Budget, d: Value, rho: Value) -> Optimum:
    """Return l*, r*, gqa* and their loss under a binding budget, at a width and activation rate.

    r* and gqa* are implicit through the cost of a layer alone, so one iteration over it settles
    both; each step shrinks the error by (a_l - 1) / (a_m + 1) = .6 or better. gqa is unconstrained
    and may come out below 1.
    """
    cost = budget.xi.at(1.0, 1.0)
    for _ in range(100):
        r = best_expansion(law, budget, d, rho, cost)
        gqa = best_grouping(law, budget, d, cost)
        last, cost = cost, budget.xi.at(r, gqa)
        if np.allclose(cost, last, rtol=1e-14, atol=0.0):
            break
    layers = budget.layers(d, r, gqa)
    return Optimum(layers, r, gqa, law.at(layers, d, r, rho, d / gqa))


def rho_memory(law: CodesignLaw, d: Value) -> Value:
    """rho* where memory alone binds: the same for every r, gqa, depth and budget.

    Needs a_rho > a_r. Above 1 the best model is dense.
    """
    scale = law.a_r * law.k_d / ((law.a_rho - law.a_r) * law.k_rho)
    return np.power(scale * d ** (law.b1 - law.b2), 1 / law.a_rho)


def rho_prefill_memory(r: Value, gqa: Value, eta: Value, b_w: Value = 2.0) -> Value:
    """rho* where prefill and memory both bind, eta = F_p / M; above 1, prefill never binds."""
    attention = XI_ACTIVE.at(0.0, gqa)
    return _rate(3.0 * eta * b_w * r, attention * (2.0 - eta * b_w) + 6.0 * r)


def rho_decode_memory(r: Value, gqa: Value, eta: Value, delta: Value) -> Value:
    """rho* where decode and memory both bind, eta = M_d / M, delta from `cache_weight`.

    Both binding means xi_Weff = eta xi_Wall, so rho* = 3 r eta / (a (1 - eta) + 3 r + delta) with
    a = 2 + 2 / gqa. The paper prints a quadratic, which divides delta by xi_Wall twice and misses
    the constraint (a ratio of .150 for .125, at gqa 1, r 2, d 1024): this is the corrected form.
    """
    attention = XI_ACTIVE.at(0.0, gqa)
    return _rate(3.0 * r * eta, attention * (1.0 - eta) + 3.0 * r + delta)


def _rate(above: Value, below: Value) -> Value:
    """The activation rate that meets both budgets; infinite where no rate uses up the latency."""
    above, below = np.asarray(above), np.asarray(below)
    shape = np.broadcast_shapes(above.shape, below.shape)
    rate: Array = np.divide(above, below, out=np.full(shape, np.inf), where=below > 0)
    return rate


def rho_optimum(dual: Value, memory: Value, rho_min: Value) -> tuple[Array, Array]:
    """Return (rho*, regime) of a pair of budgets, a latency and memory.

    dual: rho where both bind, which grows with eta = latency budget / memory; memory: `rho_memory`;
    rho_min: least that the space offers (most experts). Regime: 'latency' where eta is so small
    that rho_min still leaves memory over, 'memory' where it is so large that the optimum under
    memory alone leaves latency over, 'dual' between.
    """
    memory = np.minimum(memory, 1.0)
    rho = np.maximum(np.minimum(dual, memory), rho_min)
    regime = np.where(dual < rho_min, "latency", np.where(dual > memory, "memory", "dual"))
    return rho, regime
