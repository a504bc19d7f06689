"""A device: its processors, its memory, its power, and where each number comes from."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, PrivateAttr, WithJsonSchema, field_validator, model_validator

from hardware_specs.figures import (
    Bandwidth,
    Bytes,
    Duration,
    EnergyPerByte,
    EnergyPerFlop,
    Figure,
    Peak,
    Power,
    Ratio,
    Share,
    Work,
)
from spec_files import SpecError, did_you_mean, yaml_text
from spec_files.model import Spec

Format = Literal["fp32", "fp16", "fp16acc", "bf16", "fp8", "int8", "int4", "fp4"]
"""fp16acc: fp16 operands accumulated in fp16, twice the fp16 rate on GeForce cards; fp16 means
accumulation in fp32."""
FORMATS: tuple[str, ...] = get_args(Format)

Kind = Literal["phone", "jetson", "sbc", "laptop", "desktop", "desktop_gpu", "datacentre"]
KINDS: tuple[str, ...] = get_args(Kind)

_NAME = r"^[a-z0-9][a-z0-9.-]*$"

_DATE = "(19|20)[0-9]{2}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?"
_DATE_SCHEMA = {"anyOf": [{"type": "string", "pattern": f"^{_DATE}$"}, {"type": "integer"}]}


class Source(Spec):
    """Where numbers come from."""

    title: str = Field(min_length=1)
    """Name of the document."""
    where: str = Field(min_length=1)
    """Its address, repository or publisher."""
    date: Annotated[str, WithJsonSchema(_DATE_SCHEMA)]
    """Date of the document: a year, a month or a day, as in 2022-12."""

    @field_validator("date", mode="before")
    @classmethod
    def _is_iso(cls, date: object) -> str:
        if not re.fullmatch(_DATE, str(date)):
            raise SpecError(f"{date!r} is not a date; write e.g. 2022, 2022-12 or 2022-12-05")
        return str(date)


class Efficiency(Spec):
    """Fractions of the peaks that large kernels reach, under one runtime."""

    compute: Share
    """Of the dense peak, in matrix products."""
    compute_in: dict[str, Share] = Field({})
    """The same by how the weights are stored (Q4_K, int4-row, 16-bit, ...), where it differs."""
    attention: Share | None = None
    """Of the dense peak, in products over the keys and values; as `compute` where not given."""
    expert_compute: Share | None = None
    """Of the dense peak, in products of routed experts; as `compute` where not given."""
    recurrence: Share | None = None
    """Of the dense peak, in the scans of recurrent mixers; as `attention` where not given."""
    memory: Share
    """Of the DRAM bandwidth, streaming weights."""
    memory_in: dict[str, Share] = Field({})
    """The same by how the weights are stored: unpacking some formats takes longer than reading."""
    experts: Share | None = None
    """Of the DRAM bandwidth, streaming experts that tokens pick; as `memory` where not given."""
    cache: Share | None = None
    """Of the DRAM bandwidth, reading the KV cache; as `memory` where not given."""
    spill: Ratio | None = None
    """Of the traffic of activations between kernels, what reaches DRAM, at its whole bandwidth; all
    of it, at the efficiency of `memory`, where not given."""
    state: Share | None = None
    """Of the DRAM bandwidth, reading and writing the states of recurrent mixers; as `cache` where
    not given."""
    cache_repeats: Ratio | None = None
    """0: a key head is read once for all the query heads that share it; 1: once for each of them;
    between, the group's size to this power. 0 where not given."""

    def compute_value(self, storage: str) -> float:
        """Fraction of the dense peak reached in products with weights stored in this way."""
        return self.compute_in.get(storage, self.compute).value

    def memory_value(self, storage: str) -> float:
        """Fraction of the DRAM bandwidth reached in streaming weights stored in this way."""
        return self.memory_in.get(storage, self.memory).value

    @property
    def attention_factor(self) -> float:
        """What products over the cache reach of what products with weights do."""
        return (self.attention or self.compute).value / self.compute.value

    @property
    def recurrence_factor(self) -> float:
        """What the scans of recurrent mixers reach of what products with weights do."""
        return (self.recurrence or self.attention or self.compute).value / self.compute.value

    @property
    def expert_compute_factor(self) -> float:
        """What products of routed experts reach of what products with weights do."""
        return (self.expert_compute or self.compute).value / self.compute.value

    @property
    def expert_factor(self) -> float:
        """What streaming routed experts reaches of what streaming weights does."""
        return (self.experts or self.memory).value / self.memory.value

    @property
    def cache_value(self) -> float:
        """Fraction of the DRAM bandwidth reached in reading the KV cache."""
        return (self.cache or self.memory).value

    @property
    def spill_value(self) -> float:
        """Bytes at the whole DRAM bandwidth that take as long as a byte of activations."""
        return 1.0 / self.memory.value if self.spill is None else self.spill.value

    @property
    def state_value(self) -> float:
        """Fraction of the DRAM bandwidth reached in reading and writing recurrent states."""
        return self.cache_value if self.state is None else self.state.value

    @property
    def repeats_value(self) -> float:
        """Power of the group of query heads with which the reads of a key head grow."""
        return 0.0 if self.cache_repeats is None else self.cache_repeats.value


class Interval(Spec):
    """Where nine of ten measurements lie, as multiples of the prediction."""

    low: float = Field(gt=0, le=1)
    """One in twenty measurements is below this multiple."""
    high: float = Field(ge=1)
    """One in twenty is above this multiple."""


class Calibration(Spec):
    """Where a processor's efficiencies were fitted, and how far they can be trusted."""

    runtime: str
    """The runtime whose kernels they describe."""
    basis: Literal["device", "class", "roofline"]
    """device: fitted to rows of this device; class: to its family's and class's; roofline: neither
    had rows, and only the data sheet speaks."""
    rows: int = Field(ge=0)
    """Measurements of this device and processor under this runtime among those fitted."""
    not_fitted: tuple[str, ...] = ()
    """What this device's rows did not settle, and so is that of its family and class."""
    prefill: Interval
    """Measured over predicted time, 90 %."""
    decode: Interval
    """The same of a token."""
    energy: Interval
    """The same of the energy."""


class Cores(Spec):
    """Like cores of a CPU that has several kinds."""

    count: int = Field(gt=0, le=1024)
    """How many."""
    rate: Peak
    """In fp32, of each."""


class Processor(Spec):
    """One unit that can run a model: a CPU, GPU or NPU."""

    type: Literal["cpu", "gpu", "npu"]
    """What it is; a device with several lists each, with peaks of its own."""
    family: str = Field(pattern=_NAME)
    """Microarchitecture, vendor first: processors of one family behave alike, and a calibration of
    one holds for the others. GPUs by generation: nvidia-ampere, amd-rdna3.5, intel-xe2; Apple's by
    line, apple-gpu-a for phones and apple-gpu-m for Macs, with -matrix where the cores have matrix
    units (A19 Pro, M5); others by name: qualcomm-adreno, arm-mali. CPUs by design: x86-cpu,
    arm-cortex, apple-cpu, qualcomm-oryon. NPUs by maker: intel-npu, amd-xdna2, apple-ane."""
    title: str
    """Name of the part, with what fixes its speed: cores, clock, power mode."""
    peaks: dict[Format, Peak] = Field(default_factory=dict)
    """Dense peak per number format that the processor computes in; empty where none is known. In
    the data sheet, or units times operations per cycle times clock; clpeak, mixbench and cpufp
    measure it."""
    peaks_unknown: str | None = Field(None, min_length=1)
    """Why no peak is known; given exactly where `peaks` is empty."""
    cores: tuple[Cores, ...] = ()
    """Of a CPU with unlike cores, each kind, which make up the fp32 peak together: a runtime that
    gives every thread as much work waits for the slowest. Not given where all are alike."""
    structured_sparsity: Ratio | None = None
    """Speed-up of weights that are 2:4 sparse; none where not given."""
    efficiency: Efficiency | None = None
    """None, as in all shipped profiles, which are data sheets: filled from the calibration. A
    profile that states its own is taken at its word."""
    compute_half_size: Work | None = None
    """Operations of a kernel that reaches half of the compute efficiency; 0 where not given."""
    tile: Ratio | None = None
    """Tokens that each product of a prompt with weights is padded with: half a tile of its kernel;
    0 where not given."""
    memory_half_size: Bytes | None = None
    """Bytes of a kernel that reaches half of the memory efficiency; 0 where not given."""
    kernel_launch: Duration | None = None
    """Time that each kernel adds to its roofline; filled with `efficiency`."""
    step_overhead: Duration | None = None
    """Time that each forward pass adds, whatever the model: in decode, once per token; filled with
    `efficiency`."""
    prefill_overhead: Duration | None = None
    """Time that a prompt adds before its first token; as `step_overhead` where not given."""
    state_launch: Duration | None = None
    """Time that each kernel of a recurrent mixer adds; as `kernel_launch` where not given."""
    handover: dict[str, Duration] = Field({})
    """Time that each product adds whose weights are stored in this way (Q2_K, IQ4_XS, ...), since
    the runtime has no kernel for it and another processor runs it; none where not given."""
    calibration: Calibration | None = None
    """Where the efficiencies were fitted; none where they were entered by hand."""
    active_power: Power | None = None
    """While a model runs on this processor; where given, energy is this times time. tegrastats,
    nvidia-smi, powermetrics or a meter shows it."""
    energy_per_flop: dict[Format, EnergyPerFlop] = Field(default_factory=dict)
    """Energy of one operation per number format."""

    _label: str = PrivateAttr("processor")

    @model_validator(mode="after")
    def _is_consistent(self) -> "Processor":
        if not self.peaks and self.peaks_unknown is None:
            raise SpecError("no peak: give at least one, or say why in peaks_unknown")
        if self.peaks and self.peaks_unknown is not None:
            raise SpecError("there are peaks, so none is unknown", at=("peaks_unknown",))
        sparse = self.structured_sparsity
        if sparse is not None and sparse.value < 1:
            raise SpecError(
                f"a speed-up of {sparse.value:g} is a slow-down; it must be at least 1",
                at=("structured_sparsity", "value"),
            )
        return self

    @property
    def vendor(self) -> str:
        """The maker, with whose name the family begins."""
        return self.family.split("-")[0]

    def peak(self, number_format: str) -> float:
        """Return the dense peak, operations per second; SpecError names the formats there are."""
        figure = self.peaks.get(number_format)  # type: ignore[call-overload]
        if not self.peaks:
            why = str(self.peaks_unknown).removesuffix(".")
            raise SpecError(f"{self._label}: no peak is published: {why}")
        if figure is None:
            known = ", ".join(self.peaks)
            raise SpecError(f"{self._label}: no peak for {number_format}; it has {known}")
        return float(figure.value)

    def energy_per_flop_in(self, number_format: str) -> float | None:
        """Joules per operation in a format; None where not known."""
        figure = self.energy_per_flop.get(number_format)  # type: ignore[call-overload]
        return None if figure is None else float(figure.value)

    @property
    def launch_seconds(self) -> float:
        """Seconds that each kernel adds."""
        return 0.0 if self.kernel_launch is None else self.kernel_launch.value

    @property
    def state_launch_seconds(self) -> float:
        """Seconds that each kernel of a recurrent mixer adds."""
        return self.launch_seconds if self.state_launch is None else self.state_launch.value

    def handover_seconds(self, storage: str) -> float:
        """Seconds that each product adds with weights stored in this way."""
        return self.handover[storage].value if storage in self.handover else 0.0

    @property
    def step_seconds(self) -> float:
        """Seconds that each decode step adds."""
        return 0.0 if self.step_overhead is None else self.step_overhead.value

    @property
    def prompt_seconds(self) -> float:
        """Seconds that a prefill adds."""
        return self.step_seconds if self.prefill_overhead is None else self.prefill_overhead.value

    @property
    def structured_sparsity_speedup(self) -> float:
        """Speed-up of 2:4 sparse weights; 1 where the processor has none."""
        return 1.0 if self.structured_sparsity is None else self.structured_sparsity.value

    @property
    def compute_half_size_flops(self) -> float:
        """Operations of a kernel at half of the compute efficiency; 0 for no such effect."""
        return 0.0 if self.compute_half_size is None else self.compute_half_size.value

    @property
    def tile_tokens(self) -> float:
        """Tokens that each product of a prompt is padded with; 0 for no such effect."""
        return 0.0 if self.tile is None else self.tile.value

    @property
    def memory_half_size_bytes(self) -> float:
        """Bytes of a kernel at half of the memory efficiency; 0 for no such effect."""
        return 0.0 if self.memory_half_size is None else self.memory_half_size.value


class Dram(Spec):
    """Main memory: the GPU's own where it has its own."""

    capacity: Bytes
    """What is built in, in the data sheet; memory is sold by the GiB, 2^30 bytes."""
    usable_share: Share
    """Fraction that a model, its cache and its buffers may take."""
    bandwidth: Bandwidth
    """Nominal: transfers per second times the bus's width in bytes, in the data sheet."""
    measured_bandwidth: Bandwidth | None = None
    """What a bandwidth test such as STREAM reached, for the reader; efficiencies refer to the
    nominal one."""
    energy_per_byte: EnergyPerByte | None = None
    """Energy of a byte that decoding moves: measured power over measured traffic."""

    @property
    def usable_bytes(self) -> float:
        """Bytes that a model, its cache and its buffers may take."""
        return self.capacity.value * self.usable_share.value

    @model_validator(mode="after")
    def _is_possible(self) -> "Dram":
        measured = self.measured_bandwidth
        if measured is not None and measured.value > self.bandwidth.value:
            raise SpecError(
                f"measured {measured} is above the nominal {self.bandwidth}",
                at=("measured_bandwidth", "value"),
            )
        return self


class OnChip(Spec):
    """One level of on-chip memory."""

    name: str
    """L2, L3, system-level cache, ..."""
    size: Bytes
    """Of all its parts together."""
    bandwidth: Bandwidth | None = None
    """A level without one is listed, and predictions leave it out."""


class Memory(Spec):
    """DRAM and the levels above it."""

    dram: Dram
    """Main memory: the GPU's own where it has its own."""
    on_chip: tuple[OnChip, ...] = ()
    """From the outermost and largest to the innermost."""

    @model_validator(mode="after")
    def _shrinks_inwards(self) -> "Memory":
        outer, size, speed = "DRAM", self.dram.capacity.value, self.dram.bandwidth.value
        for i, level in enumerate(self.on_chip):
            if level.size.value > size:
                raise SpecError(
                    f"{level.name} is larger than {outer}, which is outside it",
                    at=("on_chip", i, "size", "value"),
                )
            if level.bandwidth is not None and level.bandwidth.value < speed:
                raise SpecError(
                    f"{level.name} is slower than {outer}, which is outside it",
                    at=("on_chip", i, "bandwidth", "value"),
                )
            outer, size = level.name, level.size.value
            speed = speed if level.bandwidth is None else level.bandwidth.value
        return self


class DevicePower(Spec):
    """Power of the device; both may be unknown."""

    idle: Power | None = None
    """While nothing runs, the screen on or off as the source says."""
    active: Power | None = None
    """While a model runs; a nominal limit is an upper bound of it."""


class Device(Spec):
    """A device profile: what it is, and every number of it with its unit, basis, source and date.

    A figure's `value` is in SI units: bytes, bytes per second, FLOP per second, seconds, watts,
    joules; shares are of one. Raises SpecError for a figure whose source is not among `sources`,
    and for a default processor that there is not.
    """

    name: str = Field(pattern=_NAME)
    """Lower case; the file's name without `.yaml`."""
    aliases: tuple[Annotated[str, Field(pattern=_NAME)], ...] = ()
    """Other names that load the same profile; in the file, a list on one line."""
    title: str
    """Name of the product, as its maker writes it."""
    kind: Kind
    """Class of the device, whose efficiencies it has where its own are unknown. sbc: a board with a
    system on a chip, or an accelerator for one; desktop_gpu: the card alone."""
    year: int = Field(ge=1990, le=2100)
    """When it went on sale."""
    default_processor: str
    """Key of the processor that is meant where none is named."""
    sources: dict[str, Source]
    """Documents that the numbers below name by these keys."""
    processors: dict[str, Processor] = Field(min_length=1)
    """Units that can run a model, by a key of your own: gpu, cpu, npu."""
    memory: Memory
    """Main memory and the caches above it."""
    power: DevicePower = DevicePower()
    """Power of the whole device; that of a processor stands with the processor."""
    hand_over: Duration | None = None
    """Time that handing work from one processor to another takes; 0 where not given."""

    @model_validator(mode="after")
    def _refers_to_what_exists(self) -> "Device":
        if self.default_processor not in self.processors:
            hint = did_you_mean(self.default_processor, self.processors)
            raise SpecError(
                f"no processor {self.default_processor!r}{hint}", at=("default_processor",)
            )
        for path, figure in self.figures():
            if figure.source not in self.sources:
                hint = did_you_mean(figure.source, self.sources)
                raise SpecError(f"no source {figure.source!r}{hint}", at=(*path, "source"))
        for name, processor in self.processors.items():
            processor._label = f"device {self.name}, processor {name}"
        return self

    def processor(self, name: str | None = None) -> Processor:
        """Return a processor, the default one where none is named; SpecError names the nearest."""
        key = self.default_processor if name is None else name
        if key not in self.processors:
            hint = did_you_mean(key, self.processors)
            raise SpecError(f"device {self.name}: no processor {key!r}{hint}")
        return self.processors[key]

    @property
    def hand_over_seconds(self) -> float:
        """Seconds that handing work from one processor to another takes."""
        return 0.0 if self.hand_over is None else self.hand_over.value

    def figures(self) -> Iterator[tuple[tuple[str | int, ...], Figure]]:
        """Every number of the profile with its key path."""
        return _figures_in(self, ())

    def to_yaml(self) -> str:
        """Return a profile that loads as an equal device."""
        data = self.model_dump(mode="json", exclude_none=True)
        return yaml_text(data, allow_unicode=True, width=100)


def _figures_in(
    value: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Figure]]:
    if isinstance(value, Figure):
        yield path, value
    elif isinstance(value, Spec | dict):
        for key, inner in value.items() if isinstance(value, dict) else value:
            yield from _figures_in(inner, (*path, key))
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from _figures_in(inner, (*path, index))
