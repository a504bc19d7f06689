"""What the paper's theory charges a model on a device: matrices and cache, at one rate each.

A device enters by four numbers: the rate of products, the bandwidth, and a fixed time of a prompt
and of a step. They are the data sheet's, or what the calibrated device reaches of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofline.budgets.closed_forms import XI_PREFILL, Xi, mean_context, xi_decode, xi_stored
from spec_files import SpecError

if TYPE_CHECKING:
    from hardware_specs import Device
    from roofline.laws.law import Array, Value

BUDGETS = ("ttft", "tpot", "latency", "memory")
"""What can be limited: seconds to the first token, a decoded token, of the whole answer; bytes."""

_LIKE = 2048  # width of the layer whose matrices say what a weight takes in a number format


class Shape(NamedTuple):
    """A model as the theory sees it; numbers or arrays that broadcast, fractions allowed.

    layers l; width d; expansion r, of the FFNs that a token meets together; gqa, query heads a
    head of keys; activation rho, the share of the stored FFN that a token meets.
    """

    layers: Value
    width: Value
    expansion: Value
    gqa: Value
    activation: Value

    @property
    def cached_width(self) -> Value:
        """d_m: width of the cached keys."""
        return self.width / self.gqa


@dataclass(frozen=True)
class Rates:
    """A device as the theory sees it.

    peak: FLOP/s of products with weights; bandwidth: bytes/s of streaming weights; b_w, b_kv: bytes
    of a weight and of a cached element, the latter in units of traffic at `bandwidth`, which the
    cache may not reach; prompt, step: seconds that a prompt and a decoded token take whatever the
    model. basis: where they come from, in words.
    """

    peak: float
    bandwidth: float
    b_w: float = 2.0
    b_kv: float = 2.0
    prompt: float = 0.0
    step: float = 0.0
    basis: str = ""


class Charge(NamedTuple):
    """One cost of a model, `fixed + layers d^2 unit xi(r, gqa)`; per_rho: r counts as r / rho."""

    xi: Xi
    unit: float
    fixed: float = 0.0
    per_rho: bool = False

    def layer(self, shape: Shape) -> Value:
        """Cost of one layer."""
        r = shape.expansion / shape.activation if self.per_rho else shape.expansion
        return np.square(shape.width) * self.unit * self.xi.at(r, shape.gqa)


@dataclass(frozen=True)
class Theory:
    """Costs of models for one workload at batch 1: `prompt` tokens read, `generate` decoded."""

    rates: Rates
    prompt: int
    generate: int

    @property
    def context(self) -> float:
        """Sbar: keys that a decode step attends to, on average."""
        return float(mean_context(self.prompt, self.generate))

    def charge(self, budget: str, d: Value) -> Charge:
        """Return how a budget is charged at a width, by its name of `BUDGETS`.

        The latency of the whole answer is one prefill and all steps, for which the paper prints no
        optimum; its cost has the form of the others', so that their conditions hold for it too.
        """
        rates = self.rates
        decode = xi_decode(d, self.context, rates.b_w, rates.b_kv)
        prefill_unit = self.prompt / rates.peak
        decode_unit = rates.b_w / rates.bandwidth
        if budget == "ttft":
            return Charge(XI_PREFILL, prefill_unit, rates.prompt)
        if budget == "tpot":
            return Charge(decode, decode_unit, rates.step)
        if budget == "memory":
            return Charge(xi_stored(1.0), rates.b_w, per_rho=True)
        steps = self.generate * decode_unit
        both = Xi(
            prefill_unit * XI_PREFILL.fixed + steps * decode.fixed,
            prefill_unit * XI_PREFILL.shared + steps * decode.shared,
            prefill_unit * XI_PREFILL.ffn + steps * decode.ffn,
        )
        return Charge(both, 1.0, rates.prompt + self.generate * rates.step)

    def cost(self, budget: str, shape: Shape) -> Array:
        """Return seconds or bytes that models take of a budget."""
        charge = self.charge(budget, shape.width)
        return np.asarray(charge.fixed + shape.layers * charge.layer(shape))

    def share(self, budget: str, shape: Shape, limit: float) -> Array:
        """Return what models take of a budget's variable part; 1 uses it up."""
        charge = self.charge(budget, shape.width)
        return np.asarray(shape.layers * charge.layer(shape) / (limit - charge.fixed))

    def within(self, shape: Shape, limits: Mapping[str, float], slack: float = 1e-9) -> Array:
        """Return which models stay within all limits, booleans."""
        inside = [self.cost(name, shape) <= limit * (1 + slack) for name, limit in limits.items()]
        return np.asarray(np.logical_and.reduce(np.broadcast_arrays(*inside)))

    def eta(self, budget: str, limits: Mapping[str, float]) -> float:
        """F_p / M in FLOP per byte (ttft) or M_d / M (tpot): a latency budget over that of memory.

        NaN where either is not limited. Raises KeyError for a budget without an eta.
        """
        rate = {"ttft": self.rates.peak / self.prompt, "tpot": self.rates.bandwidth}[budget]
        if budget not in limits or "memory" not in limits:
            return float("nan")
        fixed = self.charge(budget, 1.0).fixed
        return (limits[budget] - fixed) * rate / limits["memory"]


def theory_of(
    device: Device,
    prompt: int,
    generate: int,
    *,
    weights: str = "fp16",
    kv: str = "fp16",
    activations: str | None = None,
    processor: str | None = None,
    runtime: str | None = None,
    ideal: bool = False,
) -> Theory:
    """Return the theory of a device in given number formats.

    ideal: the data sheet's rates; else what the calibrated device reaches of them in large kernels
    of such weights, and its fixed times.
    Raises SpecError for unknown formats, processors and runtimes, and where no peak is published
    and only the data sheet is asked.
    """
    from arch_space.architectures import Architectures
    from arch_space.formats import STORAGES, bits_per_element, storage
    from arch_space.tensors import tensors
    from roofline.efficiency.arithmetic import arithmetic, peak_of
    from roofline.efficiency.calibrated import calibrated, say_basis
    from roofline.runtimes import runtime as runtime_named

    known = calibrated(device, processor, runtime)
    unit = known.processor(processor)
    heads = _LIKE // 64
    sizes: dict[str, Any] = {
        "layers": 32, "width": _LIKE, "query_heads": heads, "kv_heads": heads // 4, "head_size": 64,
        "ffn_width": 2 * _LIKE, "vocabulary": 32,
    }  # fmt: skip
    like = Architectures(**sizes)
    like = like.with_formats(weights, kv=kv, activations=activations)
    matrices = [
        tensor
        for name, tensor in tensors(like).items()
        if name not in ("embedding", "head") and np.all(tensor.inputs > 1)
    ]
    b_w = sum(float(t.stored_bytes[0]) for t in matrices) / sum(
        float(t.parameters[0]) for t in matrices
    )
    keys = like.kv_heads * like.head_size
    b_kv = float(bits_per_element(like.kv_format, keys.astype(float))[0]) / 8

    software = runtime_named(unit.calibration.runtime) if unit.calibration else None
    operands = int(like.activation_format[0]), int(like.weight_format[0])
    name = arithmetic(unit, software, *operands)
    if name is None and ideal:
        raise SpecError(
            f"device {device.name}: no peak is published ({unit.peaks_unknown}), so its data sheet "
            "tells no time to first token; leave --ideal out"
        )
    peak, bandwidth = peak_of(unit, name), known.memory.dram.bandwidth.value
    basis = say_basis(unit, ideal)
    efficiency = unit.efficiency
    if ideal or efficiency is None:
        return Theory(Rates(peak, bandwidth, b_w, b_kv, basis=basis), prompt, generate)
    stored = STORAGES[int(storage(like.weight_format, like.width, "body")[0])]
    memory = efficiency.memory_value(stored)
    rates = Rates(
        peak=peak * efficiency.compute_value(stored),
        bandwidth=bandwidth * memory,
        b_w=b_w,
        b_kv=b_kv * memory / efficiency.cache_value,
        prompt=unit.prompt_seconds,
        step=unit.step_seconds,
        basis=basis,
    )
    return Theory(rates, prompt, generate)
