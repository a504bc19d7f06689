"""A small space, a phone and a workload that the tests of this room share."""

from __future__ import annotations

import pytest

from arch_space.spaces import Space
from hardware_specs import Device, load_device
from roofline.mixes import Mix
from spec_files import validate_spec


@pytest.fixture(scope="session")
def space() -> Space:
    """Some 250 candidates, dense and of experts."""
    return validate_spec(
        {
            "name": "small",
            "fixed": {"vocabulary": 32000, "tied_embedding": True, "ffn_multiple": 64},
            "dimensions": {
                "layers": [4, 8, 16, 28],
                "width": [768, 1536, 3072],
                "head_size": [64],
                "kv_heads": [2, "all"],
                "ffn_ratio": [0.5, 2, 5.33],
                "experts, experts_per_token": [[1, 1], [8, 1], [16, 2]],
                "weight_format": ["q4_k_m"],
            },
        },
        Space,
        "small",
    )


# What kernels reach of the phone's peaks: what a fit of November 2026 said, kept as it was, so that
# the next fit moves no limit of a test to where nothing binds.
SHARES = {
    "compute": 0.577, "attention": 0.38, "expert_compute": 0.291, "recurrence": 0.024,
    "memory": 0.597, "experts": 0.588, "cache": 0.556, "state": 0.526, "spill": 1.31,
    "cache_repeats": 0.234,
}  # fmt: skip
IN_Q4_K, IN_Q6_K = {"compute": 0.167, "memory": 0.425}, {"compute": 0.165, "memory": 0.494}
TIMES = {
    "kernel_launch": "9.81 us", "step_overhead": "178 us", "prefill_overhead": "138 ms",
    "state_launch": "1.7 us",
}  # fmt: skip
BETWEEN = {"low": 0.42, "high": 7.5}


@pytest.fixture(scope="session")
def phone() -> Device:
    def figure(value: object) -> dict[str, object]:
        return {"value": value, "basis": "prior", "source": "assumption"}

    plain = load_device("phone").model_dump(mode="json", exclude_none=True)
    stored = {"Q4_K": IN_Q4_K, "Q6_K": IN_Q6_K}
    plain["processors"]["gpu"] |= {
        "efficiency": {name: figure(share) for name, share in SHARES.items()}
        | {
            f"{side}_in": {name: figure(shares[side]) for name, shares in stored.items()}
            for side in ("compute", "memory")
        },
        "compute_half_size": figure("180 MFLOP"),
        "tile": figure(52.9),
        "calibration": {
            "runtime": "llama.cpp-opencl", "basis": "class", "rows": 0,
            "prefill": BETWEEN, "decode": BETWEEN, "energy": BETWEEN,
        },
    } | {name: figure(seconds) for name, seconds in TIMES.items()}  # fmt: skip
    return validate_spec(plain, Device, "the phone")


@pytest.fixture(scope="session")
def mix() -> Mix:
    return Mix.single(1, 256, 32)
