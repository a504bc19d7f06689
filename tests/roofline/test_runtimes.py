"""Runtimes: each row of the published table names one that runs on its processor."""

import pytest

from hardware_specs.measurements.rows import load_rows
from roofline.runtimes import RUNTIMES, runtime, runtime_of
from spec_files import SpecError

PAIRS = sorted(
    {(r.framework, r.backend) for r in load_rows()[["framework", "backend"]].itertuples()}
)


@pytest.mark.parametrize(("framework", "backend"), PAIRS)
def test_every_published_row_names_a_runtime(framework: str, backend: str):
    found = runtime_of(framework, backend, "nvidia")
    said = backend.lower()
    if said.startswith("cpu") and "gpu" not in said:
        assert "cpu" in found.processors
    elif any(word in said for word in ("npu", "ane", "hexagon")):
        assert "npu" in found.processors
    else:
        assert set(found.processors) & {"gpu", "cpu"}


def test_names_are_unique():
    assert len({entry.name for entry in RUNTIMES}) == len(RUNTIMES)


@pytest.mark.parametrize(
    ("vendor", "name"),
    [("nvidia", "cuda"), ("apple", "metal"), ("qualcomm", "opencl"), ("amd", "vulkan")],
)
def test_a_gpu_that_says_no_more_goes_by_its_vendor(vendor: str, name: str):
    assert runtime_of("llama.cpp/Ollama", "GPU", vendor).name == f"llama.cpp-{name}"


def test_the_more_special_framework_wins():
    assert runtime_of("TensorRT Edge-LLM", "GPU", "nvidia").name == "tensorrt-edge-llm"
    assert runtime_of("TensorRT-LLM", "GPU", "nvidia").name == "tensorrt-llm"
    assert runtime_of("llama.cpp CUDA", "GPU", "amd").name == "llama.cpp-cuda"


def test_refusals_are_one_sentence():
    with pytest.raises(SpecError, match="no runtime is known by the name 'abacus'"):
        runtime_of("abacus", "GPU", "nvidia")
    with pytest.raises(SpecError, match=r"'vlm'.*vllm"):
        runtime("vlm")
