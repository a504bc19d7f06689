"""Labels of number formats as people write them, read as formats of this package.

A label is taken for what its own words say: the bits, the groups, the recipe. What a runtime adds
(how it groups a "4-bit" model, in what it multiplies) is the runtime's to say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

from arch_space.formats import FORMATS
from spec_files import SpecError, did_you_mean, short

__all__ = ["ParsedFormat", "parse_format"]


@dataclass(frozen=True)
class ParsedFormat:
    """What a label says.

    weights: name of a number format. activations: the format that the label itself implies; None
    where it says nothing, as with GGUF, whose runtimes decide. embedding: of embedding and head
    where the label names it; None for what the recipe of `weights` does. presumed: the label is
    vague, or the format is the nearest that is known: a file's size says more.
    """

    weights: str
    activations: str | None = None
    embedding: str | None = None
    presumed: bool = False


_NAMES = {f.name for f in FORMATS}

# Words of a label that say nothing of how a weight is stored.
_NOISE = re.compile(
    r"\b(ollama|default|quantis|quantiz|quantized|quantised|legacy|kernel|own|official|mostly|"
    r"supplementary|weights?|only|litert|community|awq|gptq|autoround|auto|round|woq|gguf|mlx|"
    r"bnb|bitsandbytes|hqq|qat|spinquant|qlora|dynamic|channelwise|marlin)\b"
)
_VAGUE = re.compile(r"presumed|class|mix(ed)?\b|\?|~")
_SIZES = {"small": "s", "medium": "m", "large": "l"}
_SIGNED = re.compile(r"\bsym(metric)?\b")
_GROUP = re.compile(r"\b(?:g|gs|b|block|block ?wise|group|groupsize)[ _:=]*(\d+)\b")
_HEAD = re.compile(r"\b(fp16|bf16|int8|fp8|q8_0|q6_k)[ -]*(?:lm[ -]?head|embed\w*)")

_SIXTEEN = {
    "fp32": "fp32", "f32": "fp32", "float32": "fp32", "single": "fp32",
    "fp16": "fp16", "f16": "fp16", "float16": "fp16", "half": "fp16", "q0f16": "fp16",
    "bf16": "bf16", "bfloat16": "bf16",
}  # fmt: skip
_INT4_GROUPS = (32, 64, 128, 256)


def parse_format(label: str, model: str = "") -> ParsedFormat:
    """Return the formats that a label such as "Q4_K_M", "W4A16 g128" or "INT4 AWQ" means.

    model: the model's name, where known. gpt-oss is published in MXFP4, and every other format of
    it is a name for what surrounds its experts; "UD" in a name marks a file without a fixed recipe.
    SpecError where a label is not known.
    """
    found = _parse(label)
    if re.search(r"gpt[-_ ]?oss", model.lower()):
        weights = "mxfp4-experts" if found.weights in ("fp16", "bf16") else "mxfp4_moe"
        return ParsedFormat(weights, found.activations)
    if re.search(r"\bud[-_]", model.lower()):
        return replace(found, presumed=True)
    return found


@cache
def _parse(label: str) -> ParsedFormat:
    text = " ".join(label.lower().replace("\u2013", "-").split())
    if not text:
        raise SpecError("the weight format is blank; write e.g. 'Q4_K_M' or 'int4-g128'")
    if text in _NAMES:
        return _named(text)
    for read in (_gguf, _mlc, _float, _four_bit_floats, _widths, _integer):
        if (found := read(text)) is not None:
            return found
    nearest = did_you_mean(text.replace(" ", "-"), sorted(_NAMES))
    raise SpecError(f"unknown weight format {short(label)}{nearest}")


def _named(name: str) -> ParsedFormat:
    if name in ("fp16", "bf16", "fp32", "fp8", "nvfp4", "mxfp4"):
        return ParsedFormat(name, "bf16" if name == "mxfp4" else name)
    return ParsedFormat(name)


def _gguf(text: str) -> ParsedFormat | None:
    """GGUF mixtures: "Q4_K_M", "30B.A3B Q4_K - Medium", "UD-Q4_K_XL", "IQ2 mix"."""
    if re.search(r"\bmxfp4[ _-]moe\b", text):
        return ParsedFormat("mxfp4_moe")
    if re.search(r"\biq2[ _-]*mix", text):
        return ParsedFormat("iq2_m", presumed=True)
    if (ternary := re.search(r"\btq([12])_0\b", text)) is not None:
        return ParsedFormat(f"tq{ternary[1]}_0")
    found = re.search(
        r"\b(i?q)(\d)[ _-](k|0|1|xxs|xs|s|m|nl)(?:[ _-]+(xl|small|medium|large|[sml])\b)?(?!\w)",
        text,
    )
    if found is None:
        return None
    series, bits, kind, size = found[1], found[2], found[3], found[4] or ""
    unfixed = size == "xl"  # Unsloth's dynamic files: no fixed recipe
    size = _SIZES.get(size, size)
    name = f"{series}{bits}_{kind}"
    if name == "iq3_s" and "mix" in text:  # how llama.cpp prints IQ3_M
        return ParsedFormat("iq3_m")
    if kind == "k":
        size = "" if (bits, size) == ("2", "m") else size
        if unfixed:
            size, name = {"3": "l"}.get(bits, ""), "q8_0" if bits == "8" else name
        plain = {"3": "m", "4": "m", "5": "m"}.get(bits, "")
        unfixed |= bool(size) and f"{name}_{size}" not in _NAMES
        size = size if f"{name}_{size}" in _NAMES else plain
        name = f"{name}_{size}" if size else name
    if name not in _NAMES:
        return None
    vague = unfixed or bool(re.match(r"ud-", text)) or bool(_VAGUE.search(text))
    return ParsedFormat(name, presumed=vague)


def _mlc(text: str) -> ParsedFormat | None:
    """MLC LLM: q4f16_1 is groups of 32 without zero points; _ft FasterTransformer's layout."""
    found = re.search(r"\bq([0348])(bf16|f16|f32)(?:_(\w+))?\b", text)
    if found is None:
        return None
    activations = _SIXTEEN[found[2]]
    if found[1] == "0":
        return ParsedFormat(activations, activations)
    if found[1] == "3":
        return ParsedFormat("int3-g128", activations, presumed=True)
    if found[1] == "8":
        return ParsedFormat("int8-g32", activations, presumed=True)
    if found[3] == "ft":
        return ParsedFormat("int4-channel", activations)
    return ParsedFormat("int4-g32-sym", activations, "int4-g32-sym")


def _float(text: str) -> ParsedFormat | None:
    """16- and 32-bit floats: "BF16", "?B F16", "q0f16 (FP16)"."""
    if re.search(r"\d-?bit|\bint\d|\bw[1-7]|palett", text):
        return None
    if re.search(r"fp8|e4m3|e5m2", text):
        return ParsedFormat("fp8", "bf16" if re.search(r"a16\b", text) else "fp8")
    if re.search(r"\bw\d", text):
        return None
    for word in re.findall(r"[a-z]+\d+", text):
        if word in _SIXTEEN:
            return ParsedFormat(_SIXTEEN[word], _SIXTEEN[word])
    return None


def _four_bit_floats(text: str) -> ParsedFormat | None:
    """NVFP4 multiplies in FP4; NVFP4A16 only stores in it; MXFP4 is how gpt-oss is stored."""
    spaced = text.replace("_", " ")
    found = re.search(r"\b(nv|mx)?fp4(?:[ -]*(?:w4)?a(16|8|4))?\b", spaced)
    if found is None:
        return None
    name = "mxfp4" if found[1] == "mx" else "nvfp4"
    implied = {"16": "bf16", "8": "fp8", "4": name, None: "bf16" if name == "mxfp4" else name}
    return ParsedFormat(name, implied[found[2]], presumed=found[1] is None)


def _widths(text: str) -> ParsedFormat | None:
    """Widths of weights and activations: "w4a16_g128", "a16w4", "W8A16 + FP16 lm-head", "W2"."""
    if re.search(r"\bw1\.58|\bternary|\b1\.58[ -]?bit|\bi2_s\b|bitnet", text):
        return ParsedFormat("ternary", presumed="/" in text)
    spaced = text.replace("_", " ").replace("8da4w", "w4a8")
    found = re.search(r"\bw(\d)(?:[ -]*a(\d+))?(?:kv\d+)?\b", spaced) or re.search(
        r"\ba(?P<act>\d+)[ -]*w(?P<bits>\d)\b", spaced
    )
    if found is None:
        return None
    groups = found.groupdict()
    bits, acts = (groups["bits"], groups["act"]) if groups else (found[1], found[2])
    implied = {"16": "fp16", "8": "int8", "4": "int4", "32": "fp32", None: None}
    if acts not in implied:
        return None
    return _grouped(int(bits), spaced, implied[acts], bool(re.search("awq|gptq", spaced)))


def _integer(text: str) -> ParsedFormat | None:
    """Integers by their width: "4bit", "INT4 AWQ", "GPTQ-Int8", "Q4 b64", "3.7 bpw palettised"."""
    spaced = re.sub(r"[()_,;+/]", " ", text)
    if "palett" in spaced or "apple-quant" in spaced:
        average = re.search(r"(\d(?:\.\d+)?)[ -]*bpw", spaced)
        if average is not None or "apple-quant" in spaced:
            exact = average is not None and float(average[1]) == 3.7
            return ParsedFormat("palette-3.7", "fp16", presumed=not exact)
        return ParsedFormat("palette-4", "fp16")
    found = (
        re.search(r"\bint-?(\d)(?!\d)", spaced)
        or re.search(r"\b(\d)[ -]?bits?\b", spaced)
        or re.search(r"\b(\d)bit-float(?:16|32)\b", spaced)
        or re.search(r"\bq(\d)\b(?! [k01]\b)", spaced)
        or re.search(r"\b(?:awq|gptq)-?(\d)?\b", spaced)
    )
    if re.search(r"\bnf4\b", spaced):
        return ParsedFormat("int4-g64", "bf16", presumed=True)
    if found is None:
        return None
    mixture = {"3": "q3_k_m", "4": "q4_k_m", "5": "q5_k_m", "6": "q6_k", "8": "q8_0"}
    if "gguf" in spaced and found[1] in mixture:
        return ParsedFormat(mixture[found[1]], presumed=True)
    known = re.search(r"awq|gptq|\bwoq\b", spaced) is not None
    half = re.search(r"awq|gptq|woq|float16", spaced) is not None
    bits = int(found[1] or 4)
    if bits == 4 and "woq" in spaced:
        return ParsedFormat("int4-channel", "fp16")
    return _grouped(bits, spaced, "fp16" if half else None, known)


def _grouped(
    bits: int, text: str, activations: str | None, known: bool = False
) -> ParsedFormat | None:
    """Integers of a width in the groups that the label names; without, in the usual ones.

    known: a method whose groups are of 128 where a label does not say otherwise.
    """
    group = _GROUP.search(_NOISE.sub(" ", text))
    size = int(group[1]) if group is not None else 0
    head = _HEAD.search(text)
    embedding = head[1] if head is not None else None
    vague = bool(_VAGUE.search(text))
    if bits == 8:
        name = "int8-g32" if size else "int8"
    elif bits == 4:
        nearest = min(_INT4_GROUPS, key=lambda each: abs(each - size)) if size else 128
        vague |= bool(size) and nearest != size
        name = f"int4-g{nearest}" if size or known else "int4"
        if size and _SIGNED.search(text) and f"{name}-sym" in _NAMES:
            name = f"{name}-sym"
    elif bits == 3:
        name, vague = "int3-g128", vague or size != 128
    elif bits == 2:
        name = "int2-g64" if size == 64 else "int2-g128"
        vague |= size not in (64, 128)
    else:
        return None
    return ParsedFormat(name, activations, embedding, vague)
