"""What the engine says of one batch of nodes: reading their prompts, writing their answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from arch_space.tensors import tensors as weight_tensors
from arch_space.tensors import weight_bytes
from roofline.engine.energy import phase_energy
from roofline.engine.memory import activation_peak, cache_bytes
from roofline.engine.roof import build_roof
from roofline.engine.timing import pass_time, present, time_decoding, time_pass, total
from roofline.workload import Workload

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device

Array = np.ndarray


@dataclass(frozen=True)
class Phase:
    """One phase of a batch: seconds, joules (NaN where not known), and bytes beside the weights.

    Those are the activations of reading, and the cache of writing.
    """

    seconds: float
    joules: float
    bytes: float


@dataclass(frozen=True, eq=False)
class Phases:
    """Phases of one model on a device, each priced once.

    device: calibrated. processor: which of the device's.
    """

    arch: Architectures
    device: Device
    processor: str | None = None
    _known: dict[tuple[str, int, float, int], Phase] = field(default_factory=dict)

    @property
    def weights(self) -> float:
        """Bytes of the weights."""
        return float(weight_bytes(self.arch.as_float())[0])

    def reading(self, batch: int, prompt: int) -> Phase:
        """Prefill of `batch` prompts of one length."""
        return self._priced("reading", batch, prompt, 1)

    def writing(self, batch: int, prompt: float, answer: int) -> Phase:
        """Decoding of `answer` tokens each, `batch` answers side by side.

        prompt: mean tokens before the answers. A step's traffic and products are linear in the
        tokens that it attends to, so a batch of unlike prompts takes as long as one of their mean;
        where a model has sliding windows that is near rather than exact.
        """
        return self._priced("writing", batch, prompt, answer)

    def _priced(self, phase: str, batch: int, prompt: float, answer: int) -> Phase:
        key = (phase, batch, prompt, answer)
        if key not in self._known:
            self._known[key] = self._price(phase, batch, prompt, answer)
        return self._known[key]

    def _price(self, phase: str, batch: int, prompt: float, answer: int) -> Phase:
        arch, device = self.arch.as_float(), self.device
        processor = device.processor(self.processor)
        inventory = weight_tensors(arch)
        work = Workload(batch, max(1, round(prompt)), answer)
        cache = cache_bytes(arch, work)
        roof = build_roof(arch, device, processor, weight_bytes(arch, inventory) + cache)
        operators = present(arch)
        if phase == "reading":
            read = time_pass(operators, arch, inventory, work.prefill(), roof)
            seconds = pass_time(read, roof, roof.prompt)
            idle = total(read, "launch") + roof.prompt
            moved, joules = total(read, "bytes"), total(read, "joules")
            energy = phase_energy(device, processor, roof, seconds, idle, moved, joules)
            return _phase(seconds, energy, activation_peak(arch, work))
        first = work.decode(np.array([prompt + 1.0]))
        steps = time_decoding(operators, arch, inventory, first, answer, roof)
        idle = answer * (total(steps.timings, "launch") + roof.step)
        energy = phase_energy(
            device, processor, roof, steps.time, idle, steps.bytes, steps.joules, decoding=True
        )
        return _phase(steps.time, energy, cache)


def _phase(seconds: Array, joules: Array, size: Array) -> Phase:
    return Phase(*(float(np.ravel(value)[0]) for value in (seconds, joules, size)))
