"""Energy: what a data sheet alone says of a device's power."""

import numpy as np
import pytest

from arch_space.library import load_model
from hardware_specs import load_device, shipped_devices
from roofline import Workload, estimate
from roofline.calibration.energy import BANDWIDTH_POWER, LIMIT_SHARE, device_priors
from roofline.efficiency.calibrated import calibrated


@pytest.fixture(scope="module")
def devices():
    return {name: load_device(name) for name in shipped_devices()}


def limited(device, watts):
    """The device with another stated limit."""
    active = device.power.active.model_copy(update={"value": watts})
    return device.model_copy(update={"power": device.power.model_copy(update={"active": active})})


def test_a_higher_limit_of_a_gpu_is_more_power(devices):
    before = device_priors(devices)
    after = device_priors({**devices, "rtx3060-12": limited(devices["rtx3060-12"], 340.0)})
    ratio = 340.0 / devices["rtx3060-12"].power.active.value
    others = [name for name in devices if name != "rtx3060-12"]
    # The median of all limits may move by a hair; the device's own by its share.
    assert after["rtx3060-12"] - before["rtx3060-12"] == pytest.approx(
        LIMIT_SHARE * np.log(ratio), abs=0.05
    )
    assert max(abs(after[n] - before[n]) for n in others) < 0.05


def test_small_and_unlimited_processors_go_by_bandwidth(devices):
    priors = device_priors(devices)
    a, b = devices["intel-n150"], devices["m4-10"]
    bandwidths = [each.memory.dram.bandwidth.value for each in (a, b)]
    assert priors["m4-10"] - priors["intel-n150"] == pytest.approx(
        BANDWIDTH_POWER * np.log(bandwidths[1] / bandwidths[0])
    )


def test_a_measured_power_is_not_a_limit(devices):
    gpu = devices["rtx3060-12"]
    assert gpu.power.active.basis == "nominal"
    measured = gpu.power.active.model_copy(update={"basis": "measured"})
    told = gpu.model_copy(update={"power": gpu.power.model_copy(update={"active": measured})})
    alone = device_priors({"a": told})["a"]
    assert alone == pytest.approx(BANDWIDTH_POWER * np.log(gpu.memory.dram.bandwidth.value / 1e11))


def test_a_power_that_a_profile_knows_goes_before_that_of_other_devices():
    """No row tells the shipped phone's power; its profile has that of a phone, 4.7 W."""
    phone = calibrated(load_device("phone"))
    assert phone.processor().active_power is None
    model = load_model("qwen2.5-0.5b").with_formats("q4_0")
    found = estimate(model, load_device("phone"), Workload(prompt=128, generate=64))
    assert found.energy[0] == pytest.approx(4.7 * found.latency[0])
    orin = calibrated(load_device("jetson-agx-orin-64gb"))  # measured, and so are its rows
    assert orin.processor().active_power.value != orin.power.active.value
