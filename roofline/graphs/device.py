"""What a graph costs on a device: seconds, joules and bytes, by the engine.

One accelerator runs everything, level after level. The nodes of a level that use one model decode
as one batch, which streams the weights once a step for all; prompts of one length are read
together. Different models take turns. A model that is not in memory is swapped in from storage, and
whatever is needed last makes room; it is the state that the question before left that counts, as
for a device that answers one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arch_space.tensors import weight_bytes
from roofline.engine import decode, forward, memory
from roofline.engine.memory import kept_cache
from roofline.workload import Pass
from spec_files import SpecError

if TYPE_CHECKING:
    from arch_space.architectures import Architectures
    from hardware_specs import Device
    from roofline.graphs.graph import Graphs
    from roofline.graphs.pool import Pool, Task

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class DeviceCosts:
    """Costs of G graphs, each (G,): seconds, joules (NaN where not known) and bytes.

    latency: all of a question, `swapping` seconds of it to bring `swapped` bytes of weights in.
    memory: weights in memory, cache and activations at the fullest moment; fits: it never exceeds
    what the device can give. A graph that does not fit has no latency and energy: both infinite.
    """

    latency: Array
    energy: Array
    memory: Array
    fits: Array
    swapping: Array
    swapped: Array


@dataclass(frozen=True, eq=False)
class _Steps:
    """Turns of the accelerator, by graph, level and model, each (G, levels, models)."""

    used: Array
    seconds: Array
    joules: Array
    bytes: Array


class DeviceCost:
    """Prices graphs of one pool and task on one device."""

    def __init__(
        self,
        pool: Pool,
        task: Task,
        device: Device,
        *,
        processor: str | None = None,
        runtime: str | None = None,
        formats: Sequence[str | None] = (None, None, None, None),
        swap_bandwidth: float | None = None,
        fan_in: int | None = None,
    ) -> None:
        """Calibrate the device and load the models.

        formats: of weights, embedding, cache and activations. swap_bandwidth: bytes a second from
        storage; without it, models that do not fit together do not fit. fan_in: how many answers a
        node reads at most. Raises SpecError for a model without an architecture.
        """
        from arch_space.library import load_model
        from roofline.efficiency.calibrated import calibrated

        self.device = calibrated(device, processor, runtime)
        self.unit = processor
        self.prompt, self.answer, self.fan_in = task.prompt, task.answer, fan_in
        dram = self.device.memory.dram
        self.usable = dram.usable_bytes
        self.swap_bandwidth = (
            None if swap_bandwidth is None else min(swap_bandwidth, dram.bandwidth.value)
        )
        names: list[str] = []
        for model, architecture in zip(pool.names, pool.architectures, strict=True):
            if architecture is None:
                raise SpecError(
                    f"model {model!r} has no architecture, so no device can price it; give one in "
                    "the file of models"
                )
            names.append(architecture)
        # The sink is one of the pool's models as often as not: then both share their weights.
        distinct = list(dict.fromkeys(names))
        self.weights_of = np.array([distinct.index(name) for name in names])
        self.models = [load_model(name).with_formats(*formats) for name in distinct]
        self.weights = np.array([weight_bytes(arch.as_float())[0] for arch in self.models])

    def __call__(self, graphs: Graphs) -> DeviceCosts:
        """Price graphs."""
        steps = self._steps(graphs)
        swapped, memory, fits = self._residence(steps)
        swapping = np.zeros(len(graphs))
        if self.swap_bandwidth is not None:
            swapping = swapped / self.swap_bandwidth
        latency = steps.seconds.sum(axis=(1, 2)) + swapping
        energy = steps.joules.sum(axis=(1, 2)) + self._swap_energy(swapping, swapped)
        return DeviceCosts(
            latency=np.where(fits, latency, np.inf),
            energy=np.where(fits, energy, np.inf),
            memory=memory,
            fits=fits,
            swapping=swapping,
            swapped=swapped,
        )

    def _swap_energy(self, seconds: Array, swapped: Array) -> Array:
        """Joules of swapping: the traffic into memory while all else idles, or a power's time."""
        per_byte, power = self.device.memory.dram.energy_per_byte, self.device.power
        if per_byte is not None:
            return swapped * per_byte.value + (power.idle.value if power.idle else 0.0) * seconds
        busy = self.device.processor(self.unit).active_power or power.active
        return seconds * busy.value if busy else np.where(swapped > 0, np.nan, 0.0)

    def _steps(self, graphs: Graphs) -> _Steps:
        """Time and energy of each turn: look-ups of batches that the engine prices once."""
        row, node = np.nonzero(graphs.present)
        level = graphs.levels()[row, node]
        model = self.weights_of[graphs.models[row, node]]
        degree = graphs.in_degree()[row, node]
        if self.fan_in is not None:
            degree = np.minimum(degree, self.fan_in)
        shape = (len(graphs), graphs.places, len(self.models))
        turn = np.ravel_multi_index((row, level, model), shape)
        size = int(np.prod(shape))
        batch = np.bincount(turn, minlength=size)
        reads = np.bincount(turn, weights=degree, minlength=size)

        # Prompts of one length in one turn are read together.
        prompts, batches = np.unique(turn * graphs.places + degree, return_counts=True)
        at, length = np.divmod(prompts, graphs.places)
        read = self._look_up(at % shape[2], batches, length, self._reading)
        turns = np.flatnonzero(batch)
        write = self._look_up(
            turns % shape[2], batch[turns], reads[turns].astype(int), self._writing
        )

        totals = np.zeros((3, size))
        np.add.at(totals[0], at, read[0])
        np.add.at(totals[1], at, read[1])
        np.maximum.at(totals[2], at, read[2])
        totals[:, turns] += write
        seconds, joules, work = totals.reshape(3, *shape)
        return _Steps(batch.reshape(shape) > 0, seconds, joules, work)

    def _reading(self, arch: Architectures, batch: Array, degree: Array) -> Array:
        """Prefill of batches of prompts of one length: seconds, joules, bytes of activations."""
        prompt = self.prompt + degree * self.answer
        work = forward(
            arch, self.device, Pass(batch, prompt, prompt), overhead="prompt",
            processor=self.unit, resident=self._resident(arch, batch, prompt),
        )  # fmt: skip
        held = memory(arch, sequences=batch, shared=0.0, each=0.0, queries=prompt)
        return np.stack([work.seconds, work.joules, held - weight_bytes(arch.as_float())])

    def _writing(self, arch: Architectures, batch: Array, degrees: Array) -> Array:
        """Decoding of batches of answers side by side: seconds, joules, bytes of the cache.

        A step's traffic and products are linear in the tokens that it attends to, so a batch of
        unlike prompts takes as long as one of their mean; where a model has sliding windows that is
        near rather than exact.
        """
        mean = self.prompt + degrees / batch * self.answer
        resident = self._resident(arch, batch, mean)
        work = decode(
            arch, self.device, Pass(batch, 1.0, mean + 1.0), float(self.answer),
            processor=self.unit, resident=resident,
        )  # fmt: skip
        return np.stack([work.seconds, work.joules, resident - weight_bytes(arch.as_float())])

    def _resident(self, arch: Architectures, batch: Array, prompt: Array) -> Array:
        """Bytes of the weights and of the cache when the answers are written."""
        each = prompt + self.answer
        return weight_bytes(arch.as_float()) + kept_cache(arch.as_float(), batch, each, 0.0)

    def _look_up(
        self,
        model: Array,
        batch: Array,
        read: Array,
        priced: Callable[[Architectures, Array, Array], Array],
    ) -> Array:
        """Seconds, joules and bytes of batches, (3, K); each distinct one is priced once."""
        keys, back = np.unique(np.stack([model, batch, read]), axis=1, return_inverse=True)
        table = np.zeros((3, keys.shape[1]))
        for number, arch in enumerate(self.models):
            rows = keys[0] == number
            if rows.any():
                table[:, rows] = priced(arch, keys[1, rows].astype(float), keys[2, rows])
        return table[:, np.ravel(back)]

    def _residence(self, steps: _Steps) -> tuple[Array, Array, Array]:
        """Bytes swapped in for one question, the fullest moment, and whether it fits, (G,)."""
        together = (steps.used.any(axis=1) * self.weights).sum(axis=1)
        memory = together + steps.bytes.max(axis=(1, 2))
        swapped = np.zeros(len(memory))
        if self.swap_bandwidth is None:
            return swapped, memory, memory <= self.usable
        alone = np.where(steps.used, self.weights + steps.bytes, 0.0).max(axis=(1, 2))
        fits = alone <= self.usable
        rows = np.flatnonzero(fits & (memory > self.usable))
        if len(rows):
            swapped[rows], memory[rows] = self._swaps(steps.used[rows], steps.bytes[rows])
        return swapped, np.where(fits, memory, alone), fits

    def _swaps(self, used: Array, needs: Array) -> tuple[Array, Array]:
        """Bytes swapped in and the fullest moment, where not all models stay, each (G,).

        Within a level, models that are in memory go first. What is needed last makes room. The
        question is run twice and the second counts.
        """
        count, levels, models = used.shape
        wait = _next_use(used)
        resident = np.zeros((count, models), dtype=bool)
        for _ in range(2):
            swapped, fullest = np.zeros((2, count))
            for level in range(levels):
                waiting = used[:, level].copy()
                here = resident.copy()
                for first in (True, False):
                    for model in range(models):
                        turn = waiting[:, model] & (here[:, model] | (not first))
                        waiting[:, model] &= ~turn
                        swapped += np.where(turn & ~resident[:, model], self.weights[model], 0.0)
                        resident[:, model] |= turn
                        need = np.where(turn, needs[:, level, model], 0.0)
                        later = np.where(waiting, 0, wait[:, level])
                        self._make_room(resident, turn, model, need, later)
                        held = (resident * self.weights).sum(axis=1)
                        fullest = np.maximum(fullest, np.where(turn, held + need, 0.0))
        return swapped, fullest

    def _make_room(
        self, resident: Array, turn: Array, model: int, need: Array, later: Array
    ) -> None:
        """Drop models until what runs has its room, those needed latest first."""
        for _ in range(resident.shape[1]):
            over = turn & ((resident * self.weights).sum(axis=1) + need > self.usable)
            if not over.any():
                return
            latest = np.where(resident, later, -1)
            latest[:, model] = -1
            drop = latest.argmax(axis=1)
            rows = np.flatnonzero(over)
            resident[rows, drop[rows]] = False


def _next_use(used: Array) -> Array:
    """Levels until each model is used again after a level, into the next question, same shape."""
    levels = used.shape[1]
    ahead = np.concatenate([used, used], axis=1)
    wait = np.full(used.shape, 2 * levels)
    for gap in range(levels, 0, -1):
        wait = np.where(ahead[:, gap : gap + levels], gap, wait)
    return wait
