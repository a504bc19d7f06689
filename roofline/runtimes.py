"""Runtimes: the software that runs a model, and what it decides about the arithmetic.

A runtime, with the programming interface that it drives the processor through, fixes in which
number format products run, how it stores the embedding and the head beside quantised layers, and
in how large pieces it reads a prompt. Those are facts of its code, read in 2025 and 2026; how fast
its kernels are is fitted (`roofline.efficiency`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from spec_files import SpecError, did_you_mean

__all__ = ["RUNTIMES", "Runtime", "runtime", "runtime_of"]


@dataclass(frozen=True)
class Runtime:
    """One runtime on one programming interface.

    name: unique; title: for people; processors: types of processor that it runs on. pattern: what
    its name matches in a table of measurements, lower case. interface: the same for the backend's
    name; empty for any. arithmetic: formats in which products of quantised weights run, best first,
    of which a processor uses the first that it has a peak for; empty where operands decide.
    head: format of embedding and head beside 4-bit layers whose label says nothing about them;
    empty for 16 bits. group: format of 4-bit layers whose label states no group; empty for groups
    of 128. chunk: prompt tokens per forward pass; 0 for all at once. empty_cache: whether its
    benchmark measures decoding from an empty cache, apart from the prompt. lacks: families of
    stored blocks (`roofline.efficiency.form.path`) that no kernel of its unpacks, so that the CPU
    runs their products. even: whether every thread gets as much work as every other, so that all
    wait for the slowest core. skips: whether only the last token of a prompt runs through layers
    that share the cache of earlier ones. floats: label of 4-bit weights that are unpacked for
    products of floats, where others meet integers. cache: format of the cache beside those others;
    empty for 16 bits. vendors: makers of the processors that it runs on, as families begin; empty
    for any.
    """

    name: str
    title: str
    processors: tuple[str, ...]
    pattern: str
    interface: str = ""
    arithmetic: tuple[str, ...] = ()
    half: tuple[str, ...] = ()
    head: str = ""
    group: str = ""
    chunk: int = 0
    empty_cache: bool = False
    lacks: tuple[str, ...] = ()
    even: bool = False
    skips: bool = False
    floats: str = ""
    cache: str = ""
    vendors: tuple[str, ...] = ()


_LLAMA = r"llama\.cpp|llama\.rn|ollama|llamafile|lm studio|ik_llama"


def _llama(
    interface: str,
    pattern: str,
    kind: str,
    *arithmetic: str,
    half: str = "",
    lacks: tuple[str, ...] = (),
    vendors: tuple[str, ...] = (),
) -> Runtime:
    return Runtime(
        name=f"llama.cpp-{interface.lower()}",
        title=f"llama.cpp, {interface}",
        processors=(kind,),
        pattern=_LLAMA,
        interface=pattern,
        arithmetic=arithmetic,
        half=(half,) if half else (),
        chunk=512,
        empty_cache=True,
        lacks=lacks,
        even=kind == "cpu",
        vendors=vendors,
    )


RUNTIMES: tuple[Runtime, ...] = (
    # llama.cpp multiplies quantised weights with activations in 8 bits on CPUs and CUDA.
    _llama("CPU", r"^cpu|^gpu/cpu", "cpu", "int8"),
    _llama("Hexagon", r"npu|hexagon|htp", "npu", lacks=("rare", "k"), vendors=("qualcomm",)),
    _llama("Vulkan", r"vulkan|igpu", "gpu"),
    _llama("ROCm", r"rocm|hip", "gpu", vendors=("amd",)),
    _llama("Metal", r"metal", "gpu", vendors=("apple",)),
    _llama("OpenCL", r"opencl|adreno", "gpu", lacks=("rare",)),
    _llama("SYCL", r"sycl", "gpu", vendors=("intel",)),
    _llama("CUDA", r"cuda", "gpu", "int8", half="fp16acc", vendors=("nvidia",)),
    Runtime("vllm", "vLLM", ("gpu",), r"vllm", vendors=("nvidia", "amd", "intel")),
    Runtime("sglang", "SGLang", ("gpu",), r"sglang", vendors=("nvidia", "amd")),
    Runtime(
        "tensorrt-edge-llm",
        "TensorRT Edge-LLM",
        ("gpu",),
        r"tensorrt edge|trt.?edge",
        vendors=("nvidia",),
    ),
    Runtime("tensorrt-llm", "TensorRT-LLM", ("gpu",), r"tensorrt|trt", vendors=("nvidia",)),
    Runtime("lmdeploy", "LMDeploy (TurboMind)", ("gpu",), r"lmdeploy", vendors=("nvidia",)),
    Runtime("mlc", "MLC LLM", ("gpu",), r"\bmlc", head="int4-g32-sym", group="int4-g32-sym"),
    Runtime("tinychat", "TinyChat (AWQ)", ("gpu",), r"tinychat", vendors=("nvidia",)),
    Runtime("gpt-fast", "gpt-fast", ("gpu",), r"gpt-fast", vendors=("nvidia", "amd")),
    Runtime("exllamav2", "ExLlamaV2", ("gpu",), r"exllama", vendors=("nvidia", "amd")),
    Runtime(
        "openvino", "OpenVINO", ("gpu", "cpu", "npu"), r"openvino", head="int8", vendors=("intel",)
    ),
    Runtime("transformers", "Transformers", ("gpu", "cpu"), r"^hf\b|transformers"),
    Runtime("tinygrad", "tinygrad", ("gpu",), r"tinygrad"),
    Runtime("ds4", "ds4", ("gpu",), r"^ds4"),
    Runtime(
        "mlx",
        "MLX",
        ("gpu",),
        r"\bmlx",
        head="int4-g64",
        group="int4-g64",
        skips=True,  # what no cache needs is never evaluated: mlx_lm/generate.py, read 2026-11
        vendors=("apple", "nvidia"),
    ),
    Runtime(
        "core-ai",
        "Core AI",
        ("gpu", "npu"),
        r"core.?ai",
        head="int4-g32",
        group="int4-g32",
        vendors=("apple",),
    ),
    Runtime("core-ml", "Core ML", ("npu",), r"core.?ml|anemll", head="int8", vendors=("apple",)),
    Runtime(
        "apple-fm",
        "Apple Foundation Models",
        ("npu",),
        r"apple.?(fm|foundation)",
        vendors=("apple",),
    ),
    Runtime(
        "litert",
        "LiteRT-LM",
        ("gpu", "cpu", "npu"),
        r"litert",
        head="int4-g32",
        group="int4-g32",
        skips=True,  # as Google describes Gemma 3n, developers.googleblog.com, 2025-06
    ),
    Runtime("mnn", "MNN", ("cpu", "gpu", "npu"), r"\bmnn", head="int8"),
    Runtime(
        "executorch", "ExecuTorch", ("cpu", "npu"), r"executorch", head="int8", group="int4-g32"
    ),
    Runtime("t-mac", "T-MAC", ("cpu",), r"t-mac", empty_cache=True),
    Runtime(
        "genie",
        "Qualcomm Genie",
        ("npu",),
        r"genie|qnn",
        head="int8",
        group="int4-channel",
        floats="w4",  # qai_hub_models/models/_shared/llm of quic/ai-hub-models, read 2026-11
        cache="int8",
        chunk=128,
        vendors=("qualcomm",),
    ),
    Runtime("qhexrt", "QHexRT", ("npu",), r"qhexrt", vendors=("qualcomm",)),
    Runtime("nexa", "NexaML", ("npu",), r"nexa"),
    Runtime("rkllm", "RKLLM", ("npu",), r"rkllm", head="int8", vendors=("rockchip",)),
    Runtime("hailo", "HailoRT GenAI", ("npu",), r"hailo", head="int8", vendors=("hailo",)),
    Runtime("fastflowlm", "FastFlowLM", ("npu",), r"fastflow", head="q8_0", vendors=("amd",)),
    Runtime("ryzen-ai", "Ryzen AI", ("npu",), r"ryzen ai", head="int8", vendors=("amd",)),
)

_BY_NAME = {entry.name: entry for entry in RUNTIMES}

# What llama.cpp runs on where a row only says GPU, by the vendor of the GPU.
_LLAMA_INTERFACE = {
    "nvidia": "llama.cpp-cuda",
    "apple": "llama.cpp-metal",
    "qualcomm": "llama.cpp-opencl",
}


def runtime(name: str) -> Runtime:
    """Return a runtime by name; SpecError names the nearest."""
    if name not in _BY_NAME:
        raise SpecError(f"unknown runtime {name!r}{did_you_mean(name, _BY_NAME)}")
    return _BY_NAME[name]


def runtime_of(framework: str, backend: str, vendor: str) -> Runtime:
    """Return the runtime that a row of measurements means.

    framework, backend: as the row writes them; vendor: of the processor, which decides the
    interface of llama.cpp where the row only says GPU. SpecError where no runtime matches.
    """
    said, interface = framework.lower(), backend.lower()
    for entry in RUNTIMES:
        if re.search(entry.pattern, said):
            if not entry.interface:
                return entry
            if re.search(entry.interface, interface) or (
                not interface.startswith("cpu") and re.search(entry.interface, said)
            ):
                return entry
    if re.search(_LLAMA, said):
        return runtime(_LLAMA_INTERFACE.get(vendor, "llama.cpp-vulkan"))
    raise SpecError(f"no runtime is known by the name {framework!r}")
