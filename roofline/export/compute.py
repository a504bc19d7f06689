"""What it takes to train a candidate: FLOPs, GPU-hours, memory on a cluster's device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from arch_space.tensors import active_parameter_count, parameter_count, tensors
from roofline.engine.timing import present
from roofline.laws.variables import active_matrix_parameters
from roofline.workload import Pass
from spec_files import Spec, SpecError, format_quantity

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device

Array = np.ndarray

BYTES_A_PARAMETER = 16
"""bf16 weights and gradients, fp32 weights and two moments of Adam: 2 + 2 + 4 + 4 + 4 bytes
(arXiv 1910.02054, section 3.1)."""
BACKWARD = 2
"""A backward pass multiplies twice what the forward pass does: gradients of inputs and weights."""
FORMAT = "bf16"


def forward_flops(arch: Architectures, sequence: int) -> Array:
    """Return FLOPs of matrix products of one sequence forward, (N,), whatever runs it.

    Causal attention, logits of every token: what a training step computes once.
    """
    step = Pass(1, sequence, sequence, "causal", "all")
    arch = arch.as_float()
    inventory = tensors(arch)
    total: Array = np.zeros(len(arch))
    for operator in present(arch):
        if operator.operands != "none":
            total = total + operator.cost(arch, inventory, step).flops * operator.copies(arch)
    return total


def training_flops(arch: Architectures, tokens: Array | float, sequence: int) -> Array:
    """Return FLOPs of training, forward and backward, nothing recomputed, (N,)."""
    return forward_flops(arch, sequence) / sequence * tokens * (1 + BACKWARD)


def rule_flops(arch: Architectures, tokens: Array | float) -> Array:
    """Return 6 N_active D, (N,): N_active with the embedding, which as a tied head is a product."""
    return 6.0 * active_parameter_count(arch.as_float()) * tokens


def deepseek_compute(arch: Architectures, tokens: Array | float, sequence: int) -> Array:
    """Return M D as arXiv 2401.02954 counts it, (N,): no embedding or head, the whole square."""
    width = np.multiply(arch.query_heads, arch.head_size, dtype=float)
    each = 6.0 * active_matrix_parameters(arch) + 12.0 * arch.layers * width * sequence
    return each * tokens


class Cluster(Spec):
    """The devices that a model is trained on, and what is reached of them."""

    device: str
    title: str
    gpus: int = Field(ge=1)
    utilisation: float = Field(gt=0, le=1)
    """Model FLOPs over dense peak (MFU): stated, not predicted."""
    peak: float
    """Dense peak in bf16, FLOP/s of one."""
    peak_source: str
    usable_bytes: float

    @classmethod
    def of(cls, device: Device, gpus: int, utilisation: float) -> Cluster:
        """Return a cluster of a profile's devices.

        Raises SpecError for a utilisation outside 0 to 1, no device at all, or no peak in bf16.
        """
        if not 0 < utilisation <= 1:
            raise SpecError(
                f"--utilisation: read {utilisation:g}; it is above 0 and at most 1, as in 0.4"
            )
        if gpus < 1:
            raise SpecError(f"--gpus: read {gpus}; at least one device trains")
        processor = device.processor(None)
        peak = processor.peak(FORMAT)
        figure = processor.peaks[FORMAT]  # type: ignore[index]
        return cls(
            device=device.name,
            title=device.title,
            gpus=gpus,
            utilisation=utilisation,
            peak=peak,
            peak_source=f"{figure.basis}, {figure.source}",
            usable_bytes=device.memory.dram.usable_bytes,
        )

    def gpu_hours(self, flops: float) -> float:
        """Return device-hours of so many FLOPs."""
        return flops / (self.peak * self.utilisation) / 3600


class Memory(Spec):
    """Bytes on each device with everything sharded over all of them (ZeRO-3, FSDP)."""

    states: float
    """16 bytes a parameter, over the devices."""
    gathered: float
    """bf16 weights of the largest layer, whole."""
    checkpoints: float
    """bf16 inputs of each layer, one sequence; the rest is recomputed."""
    logits: float
    """bf16 logits of one sequence and their fp32 softmax."""
    usable: float

    @classmethod
    def of(cls, arch: Architectures, sequence: int, cluster: Cluster) -> Memory:
        """Return what one candidate takes, one sequence a device at once."""
        whole = float(parameter_count(arch.as_float())[0])
        width, layers = int(arch.width[0]), int(arch.layers[0])
        vocabulary = int(arch.vocabulary[0])
        table = vocabulary * width
        tables = table if bool(arch.tied_embedding[0]) else 2 * table
        return cls(
            states=BYTES_A_PARAMETER * whole / cluster.gpus,
            gathered=2.0 * max((whole - tables) / layers, table),
            checkpoints=2.0 * sequence * width * layers,
            logits=6.0 * sequence * vocabulary,
            usable=cluster.usable_bytes,
        )

    @property
    def total(self) -> float:
        """Bytes of all parts."""
        return self.states + self.gathered + self.checkpoints + self.logits

    @property
    def fits(self) -> bool:
        """Whether one device holds it."""
        return self.total <= self.usable

    def say(self) -> str:
        """Say whether it fits, in a sentence part."""
        need, have = (format_quantity(n, "bytes") for n in (self.total, self.usable))
        return f"{need} a device, {'within' if self.fits else 'MORE THAN'} the usable {have}"
