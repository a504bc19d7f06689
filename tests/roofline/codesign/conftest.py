"""A small space, a phone and a workload that the tests of this room share."""

from __future__ import annotations

import pytest

from arch_space.spaces import Space
from hardware_specs import Device, load_device
from roofline.efficiency.calibrated import calibrated
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


@pytest.fixture(scope="session")
def phone() -> Device:
    return calibrated(load_device("phone"))


@pytest.fixture(scope="session")
def mix() -> Mix:
    return Mix.single(1, 256, 32)
