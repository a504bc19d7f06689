"""Times at other hardware, against the engine on a device of that hardware."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from arch_space.library import load_model, shipped_models
from hardware_specs import load_device
from roofline.codesign.hardware import Template
from roofline.codesign.sides import both_sides
from roofline.efficiency.calibrated import calibrated
from roofline.engine import estimate
from roofline.workload import Workload

COSTS = ("ttft", "tpot", "latency", "energy")


def template_of(name: str, arch, processor: str | None = None) -> Template:
    return Template.of(calibrated(load_device(name), processor), processor, arch)


def worst_difference(arch, template, workload, on_chip, ideal, rng, tries=4) -> float:
    own = replace(template.hardware, on_chip=on_chip)
    known = both_sides(arch, template.to(own), workload, template.processor, ideal)
    worst = 0.0
    for _ in range(tries):
        b, p, w = np.exp(rng.uniform(-3, 3, 3))
        hardware = replace(own, bandwidth=own.bandwidth * b, peak=own.peak * p, power=own.power * w)
        said = estimate(
            arch, template.to(hardware), workload, processor=template.processor, ideal=ideal
        )
        found = known.costs(COSTS, b, p, w)
        for name in COSTS:
            wanted = getattr(said, name)
            np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(wanted))
            gaps = np.abs(found[name] / wanted - 1)
            worst = max(worst, float(np.nanmax(gaps, initial=0.0)))
        np.testing.assert_array_equal(known.memory, said.memory_bytes)
    return worst


@pytest.mark.parametrize("ideal", [False, True])
@pytest.mark.parametrize("workload", [Workload(1, 1024, 128), Workload(3, 37, 5)])
@pytest.mark.parametrize("name", ["phone", "a100", "raspberry-pi-5", "jetson-agx-orin-64gb"])
def test_it_is_the_engine_at_any_hardware(name, workload, ideal, space) -> None:
    arch = space.candidates()[0]
    template = template_of(name, arch)
    rng = np.random.default_rng(len(name))
    for on_chip in (0.0, 5e6, 3e8, 2e9):  # activations on the chip, then whole models
        assert worst_difference(arch, template, workload, on_chip, ideal, rng) < 1e-12


@pytest.mark.parametrize("ideal", [False, True])
def test_windows_states_and_latents_too(ideal: bool) -> None:
    """Every shipped model: sliding windows, recurrences, latent attention, shared experts."""
    rng = np.random.default_rng(0)
    workload = Workload(2, 500, 3000)  # windows fill on the way
    for name in shipped_models():
        arch = load_model(name)
        template = template_of("jetson-agx-orin-64gb", arch)
        assert worst_difference(arch, template, workload, 0.0, ideal, rng, 1) < 1e-12, name


def test_a_template_is_its_own_device(phone, space) -> None:
    arch = space.candidates()[0]
    template = Template.of(phone, None, arch)
    workload = Workload(1, 300, 20)
    again = estimate(arch, template.to(template.hardware), workload)
    np.testing.assert_array_equal(again.latency, estimate(arch, phone, workload).latency)


def test_two_levels_on_the_chip_are_told_apart(space) -> None:
    """Two levels of different pace, the DRAM slower than both, between them, and the fastest."""
    from hardware_specs.device import OnChip
    from hardware_specs.figures import Bandwidth, Bytes

    arch = space.candidates()[0]
    base = calibrated(load_device("raspberry-pi-5"))
    said = {"basis": "prior", "source": next(iter(base.sources))}
    levels = tuple(
        OnChip(
            name=name,
            size=Bytes.model_validate({"value": size, **said}),
            bandwidth=Bandwidth.model_validate({"value": rate, **said}),
        )
        for name, size, rate in (("outer", "400 MB", "30 GB/s"), ("inner", "2 MB", "90 GB/s"))
    )
    device = base.model_copy(update={"memory": base.memory.model_copy(update={"on_chip": levels})})
    template = Template.of(device, None, arch)
    assert template.hardware.on_chip == 4e8
    rng = np.random.default_rng(5)
    gap = worst_difference(arch, template, Workload(1, 200, 10), 4e8, False, rng, 8)
    assert gap < 1e-12


def test_some_of_the_candidates(phone, space) -> None:
    arch = space.candidates()[0]
    known = both_sides(arch, phone, Workload(1, 64, 8))
    rows = np.array([3, 0, 50])
    part = known[rows].costs(["latency"], 2.0, 0.5)["latency"]
    np.testing.assert_array_equal(part, known.costs(["latency"], 2.0, 0.5)["latency"][rows])
    many = known.costs(["latency"], np.full(len(arch), 2.0), np.full(len(arch), 0.5))["latency"]
    np.testing.assert_array_equal(many[rows], part)
