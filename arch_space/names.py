"""Which reference model a name means, as people write names in benchmark tables.

A name is cut into words; what says how the model was packed (number format, file type, chat tuning,
publisher) is dropped, and the words that stay must be exactly those of a model's name or of one of
its aliases. Nothing is guessed: a name that lacks its size, or has another, is an error.
"""

import math
import re
from functools import cache
from pathlib import Path

from spec_files import SpecError, nearest, short

__all__ = ["FOLDER", "resolve_model"]

FOLDER = Path(__file__).parent / "models"

_TOLERANCE = 0.12
"""How far a stated parameter count may be from the model's, or from the size that its name says:
sources round to whole billions, and some count a vision tower or not the embedding. The sizes of a
family are further apart."""
_LABEL_TOLERANCE = 0.01
"""The same for llama.cpp's labels, which stand beside a count with two decimals."""

Words = tuple[str, ...]

_ENDINGS = re.compile(r"\.(gguf|ggml|bin|litertlm|task|onnx|mlpackage|safetensors|pte|yaml|yml)$")
_FORMATS = re.compile(
    r"""(?<![a-z0-9])(?:
      \d{5}-of-\d{5}                                            # a part of a split file
    | (?:ud[-_])?(?:iq|tq|q)[1-8](?:_(?:k|nl|xxs|xs|s|m|l|xl|[0148]))*
        (?:\s+-\s+(?:small|medium|large|[\d.]+\s*bpw))?         # llama.cpp: Q4_K_M, 'Q4_K - Medium'
    | q\df(?:16|32)(?:_\w+)?                                    # MLC: q4f16_1
    | (?:mx|nv)?(?:bf|fp|nf|float|f)(?:4|6|8|16|32)(?:a16)?(?:[-_]dynamic|[-_\s]+moe)?
    | u?int[248] | w\d+a\d+(?:_g\d+)?
    | (?<!\.)\d(?:\.\d+)?[-_]?bits?
    )(?!\.?[a-z0-9])""",
    re.VERBOSE,
)
_NOISE = frozenset({
    "instruct", "inst", "it", "chat", "base", "pt", "hf", "thinking", "think", "reasoning",
    "text", "llm", "class", "gguf", "ggml", "mlx", "mlc", "onnx", "litert", "lm", "openvino",
    "qnn", "coreml", "executorch", "awq", "gptq", "dwq", "bnb", "qat", "autoround", "imatrix",
    "dynamic", "unsloth", "quantized", "cpu", "gpu", "npu", "ane", "all", "mostly", "v",
})  # fmt: skip
"""Words after the first that say nothing of the shape: tuning, packing, the v of a version."""
_PUBLISHERS = frozenset(
    {"meta", "google", "microsoft", "nvidia", "ibm", "mistralai", "alibaba", "huggingface"}
)
_YEAR_AND_MONTH = re.compile(r"\d{4}")
_WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)?[a-z]*")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([bm])")

# llama.cpp names a model by its loader and by a size that it takes from the number of layers, so
# several models share a label; the count that is printed beside it tells them apart.
_LABELS: dict[str, tuple[str, ...]] = {
    "llama 1b": ("llama-3.2-1b", "tinyllama-1.1b"),
    "llama 3b": ("llama-3.2-3b", "openllama-3b", "falcon3-7b"),
    "llama 7b": ("llama-2-7b", "mistral-7b", "mistral-7b-v0.3"),
    "llama 8b": ("llama-3.1-8b", "yi-6b"),
    "llama 13b": ("llama-2-13b", "mistral-nemo-12b", "mistral-small-3.1-24b"),
    "llama 30b": ("llama-33b",),
    "llama 70b": ("llama-3.1-70b", "llama-2-70b"),
    "llama 405b": ("llama-3.1-405b",),
    "llama 8x7b": ("mixtral-8x7b",),
    "mistral3 3b": ("ministral-3-3b",),
    "mistral3 14b": ("ministral-3-14b",),
    "qwen2 1b": ("qwen2.5-0.5b", "qwen1.5-1.8b"),
    "qwen2 0.5b": ("qwen2.5-0.5b", "qwen1.5-0.5b"),
    "qwen2 1.5b": ("qwen2.5-1.5b", "deepseek-r1-distill-qwen-1.5b"),
    "qwen2 3b": ("qwen2.5-3b",),
    "qwen2 14b": ("qwen2.5-14b",),
    "qwen2 32b": ("qwen2.5-32b",),
    "qwen2 70b": ("qwen2.5-72b",),
    "qwen2vl 3b": ("qwen2.5-3b",),
    "qwen3vl 1.7b": ("qwen3-1.7b",),
    "qwen3vl 4b": ("qwen3-4b",),
    "qwen3vl 8b": ("qwen3-8b",),
    "qwen3moe 30b.a3b": ("qwen3-30b-a3b",),
    "qwen3moe 235b.a22b": ("qwen3-235b-a22b",),
    "phi2 3b": ("phi-2",),
    "phi3 3b": ("phi-3-mini", "phi-3.5-mini", "phi-4-mini"),
    "deepseek2 16b": ("deepseek-v2-lite",),
    "granite 3b": ("granite-3.1-8b",),
    "granite 8b": ("granite-3.1-8b",),
    "chatglm 6b": ("chatglm3-6b",),
    "baichuan 7b": ("baichuan2-7b",),
}


def resolve_model(name: str, parameters: float | None = None) -> str:
    """Return the name of the reference model that a name means.

    name: as a benchmark row has it: `unsloth/Qwen3-8B-GGUF/Q4_K_M`, `Llama 3.1 8B`.
    parameters: the count that the source states beside it, if any; NaN is none. It chooses among
    the models that share a label of llama.cpp, and must agree with the model otherwise.
    Raises SpecError for a name that no model has, with the nearest, and for a count that is not
    the model's.
    """
    stated = None if parameters is None or math.isnan(parameters) else float(parameters)
    if stated is not None and not 0 < stated < math.inf:
        raise SpecError(f"model {short(name)}: {parameters} is not a parameter count.")
    found, words, hint = _resolved(name)
    sharing = _labels().get(words, ())
    if stated is not None and sharing:
        likely = _of_count(sharing, stated)
        if len(likely) == 1:
            return likely[0]
        if likely:
            which = " or ".join(likely)
            raise SpecError(
                f"model {short(name)} of {_billions(stated)} parameters may be {which}."
            )
    if found is None and not sharing:
        raise SpecError(f"no reference model is called {short(name)}{hint}.")
    if stated is None:
        if found is None:
            raise SpecError(
                f"model {short(name)} needs its parameter count: llama.cpp calls "
                f"{', '.join(sharing)} so."
            )
        return found
    meant = (found,) if found else sharing
    counts = [_catalogue()[1].get(model) for model in meant]
    stands = [*counts, _size_in(words)] if found else []
    if not any(count and abs(stated / count - 1) <= _TOLERANCE for count in stands):
        have = ", ".join(f"{m} has {_billions(c)}" for m, c in zip(meant, counts, strict=True) if c)
        raise SpecError(f"model {short(name)}: read {_billions(stated)} parameters, but {have}.")
    return meant[0]


@cache
def _resolved(name: str) -> tuple[str | None, Words, str]:
    """Return the model of a name if there is one, its words, and how an error sentence ends."""
    index = _catalogue()[0]
    words: Words = ()
    for part in reversed(re.split(r"[/\\]", name)):
        words = _words(part)
        if words:  # else a part that names only a format, as in `.../Q4_K_M`
            break
    found = index.get(words)
    if found is not None:
        return found, words, ""
    spoken = {" ".join(known): model for known, model in index.items()}
    close = nearest(" ".join(words), spoken) if words else None
    return None, words, f"; nearest is {spoken[close]!r}" if close else ""


def _words(text: str) -> Words:
    """Cut a name into the words that say which model it is.

    A number keeps the letters behind it and is never joined to another: `Gemma2-2B` and `Gemma 2
    2B` are gemma, 2, 2b, and `Gemma-27B` is gemma, 27b.
    """
    text = _FORMATS.sub(" ", _ENDINGS.sub("", text.strip().lower()))
    found = _WORD.findall(text)
    while len(found) > 1 and (found[0] in _PUBLISHERS or found[0] == found[1]):
        found = found[1:]  # `Qwen_Qwen3-8B`, `Meta-Llama-3-8B`, `meta-llama_Llama-3-8B`
    return tuple(
        word
        for place, word in enumerate(found)
        if not place or not (word in _NOISE or _YEAR_AND_MONTH.fullmatch(word))
    )


def _size_in(words: Words) -> float | None:
    """Return the largest size that a name states: 30e9 of qwen, 3, 30b, a, 3b."""
    sizes = [_SIZE.fullmatch(word) for word in words]
    scale = {"b": 1e9, "m": 1e6}
    return max((float(size[1]) * scale[size[2]] for size in sizes if size), default=None)


def _of_count(models: tuple[str, ...], stated: float) -> list[str]:
    """Return those of a label's models that a stated count may mean, the nearest first.

    One, unless another is less than three times as far from the count: 7.24 B is Mistral 7B v0.1
    (7.242) rather than v0.3 (7.248), but 3.82 B is both Phi-3-mini and Phi-3.5-mini.
    """
    counts = _catalogue()[1]
    far = {model: abs(stated / counts[model] - 1) for model in models if model in counts}
    nearby = sorted((m for m in far if far[m] <= _LABEL_TOLERANCE), key=lambda m: far[m])
    return [model for model in nearby if far[model] <= 3 * far[nearby[0]]]


def _billions(count: float) -> str:
    return f"{count / 1e9:.4g} B"


@cache
def _labels() -> dict[Words, tuple[str, ...]]:
    return {_words(label): models for label, models in _LABELS.items()}


@cache
def _catalogue() -> tuple[dict[Words, str], dict[str, int]]:
    """Return the model of each name's words, and the models' parameter counts.

    Read from the text of the files: to parse and validate them all takes a hundred times as long.
    Raises SpecError where two models have names that read alike.
    """
    index: dict[Words, str] = {}
    counts: dict[str, int] = {}
    for file in sorted(FOLDER.glob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        listed = re.search(r"^aliases: *\[([^\]]*)\]", text, re.M)
        aliases = [word.strip(" \"'\n") for word in listed[1].split(",")] if listed else []
        for alias in filter(None, [file.stem, *aliases]):
            owner = index.setdefault(_words(alias), file.stem)
            if owner != file.stem:
                raise SpecError(f"{file}: aliases: {alias!r} reads as a name of {owner}.")
        if count := re.search(r"^parameters: *(\d+)", text, re.M):
            counts[file.stem] = int(count[1])
    return index, counts
