"""Runtimes: each row of the published table names one that runs on its processor."""

import pytest

from hardware_specs import load_device, shipped_devices
from hardware_specs.measurements.rows import load_rows
from roofline.efficiency.calibrated import default_runtime, runtimes_of
from roofline.efficiency.effects import shipped_effects
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
    assert runtime_of("OpenVINO", "GPU (OpenVINO)", "intel").name == "openvino"
    assert runtime_of("LMDeploy", "GPU (CUDA)", "nvidia").name == "lmdeploy"
    assert runtime_of("llama.cpp CUDA", "GPU", "amd").name == "llama.cpp-cuda"


def test_refusals_are_one_sentence():
    with pytest.raises(SpecError, match="no runtime is known by the name 'abacus'"):
        runtime_of("abacus", "GPU", "nvidia")
    with pytest.raises(SpecError, match=r"'vlm'.*vllm"):
        runtime("vlm")


def test_rows_were_measured_where_their_runtimes_run():
    """Each triple of the shipped fit, and a usual runtime for every processor that there is."""
    strange = []
    for triple in shipped_effects().runtimes:
        name, kind, entry = triple.split("|")
        units = [u for u in load_device(name).processors.values() if u.type == kind]
        if units and entry not in {able for unit in units for able in runtimes_of(unit)}:
            strange.append(triple)
    assert strange == ["strix-halo|gpu|llama.cpp-cpu"]  # written as "GPU/CPU (hybrid)"
    for name in shipped_devices():
        device = load_device(name)
        for unit in device.processors.values():
            assert default_runtime(device, unit) in runtimes_of(unit), name
