"""Number formats: how many bits a tensor really takes, its scales and zero points included.

A format is more than a width. Grouped integers carry a scale (and a zero point) per group; the GGUF
types of llama.cpp quantise some tensors more finely than others and fall back to another type
where a row does not divide into their blocks. Both decide what a small model weighs.

Sources: block layouts from ggml's `ggml-common.h` (bytes per block of 32 or 256 weights); the
choice of type per tensor from llama.cpp's `llama-quant.cpp` (`llama_tensor_get_type`), read 2025.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spec_files import SpecError, did_you_mean

__all__ = [
    "ACTIVATION_FORMATS",
    "CACHE_FORMATS",
    "FORMATS",
    "NumberFormat",
    "bits_per_element",
    "boosted_layers",
    "compute_format",
    "default_embedding_format",
    "format_code",
    "format_name",
    "has_boosted",
]

Array = np.ndarray


@dataclass(frozen=True)
class Block:
    """One way to store a row of numbers.

    bits: per value, whatever is stored per block of a fixed size included.
    metadata_bits: per group (a scale, and a zero point where there is one).
    group: values that share them; 0 for none, -1 for the whole row.
    multiple: a row must divide by this, else `fallback` stores it.
    """

    bits: float
    metadata_bits: float = 0.0
    group: int = 0
    multiple: int = 1
    fallback: str = ""


# ggml blocks: bytes per block x 8 / values per block.
_BLOCKS: dict[str, Block] = {
    "fp32": Block(32),
    "16-bit": Block(16),
    "8-bit": Block(8),
    "4-bit": Block(4),
    "int8-row": Block(8, metadata_bits=16, group=-1),
    "int4-row": Block(4, metadata_bits=16, group=-1),
    "int4-g32": Block(4, metadata_bits=20, group=32),
    "int4-g64": Block(4, metadata_bits=20, group=64),
    "int4-g128": Block(4, metadata_bits=20, group=128),
    "int4-g32-sym": Block(4, metadata_bits=16, group=32),
    "int4-g128-sym": Block(4, metadata_bits=16, group=128),
    "int8-g32": Block(8, metadata_bits=16, group=32),
    "Q4_0": Block(18 * 8 / 32, multiple=32, fallback="16-bit"),
    "Q5_0": Block(22 * 8 / 32, multiple=32, fallback="16-bit"),
    "Q5_1": Block(24 * 8 / 32, multiple=32, fallback="16-bit"),
    "Q8_0": Block(34 * 8 / 32, multiple=32, fallback="16-bit"),
    "Q4_K": Block(144 * 8 / 256, multiple=256, fallback="Q5_0"),
    "Q5_K": Block(176 * 8 / 256, multiple=256, fallback="Q5_1"),
    "Q6_K": Block(210 * 8 / 256, multiple=256, fallback="Q8_0"),
}


@dataclass(frozen=True)
class NumberFormat:
    """A named number format and the block that each kind of tensor gets in it.

    value_bits: width of one value, without scales: what arithmetic sees.
    arithmetic: the peak of a device that a product of two such operands runs at.
    body: block of the matrices in the layers; `boosted` of those that the format treats better
    (value and FFN-down projections, in some of the layers); `embedding` of the look-up table;
    `head` of the output projection, and of the look-up table where the two are tied.
    embedding_format: the format that a recipe of this name leaves embedding and head in.
    """

    name: str
    value_bits: int
    arithmetic: str
    body: str
    boosted: str
    embedding: str
    head: str
    embedding_format: str
    about: str


def _plain(
    name: str, bits: int, arithmetic: str, block: str, embedding: str, about: str
) -> NumberFormat:
    return NumberFormat(
        name, bits, arithmetic, block, block, block, block, embedding or name, about
    )


def _gguf(
    name: str, bits: int, body: str, boosted: str, embedding: str, head: str, about: str
) -> NumberFormat:
    arithmetic = "int4" if bits <= 4 else "int8"
    return NumberFormat(name, bits, arithmetic, body, boosted, embedding, head, name, about)


FORMATS: tuple[NumberFormat, ...] = (
    _plain("fp32", 32, "fp32", "fp32", "", "IEEE single"),
    _plain("fp16", 16, "fp16", "16-bit", "", "IEEE half"),
    _plain("bf16", 16, "bf16", "16-bit", "", "bfloat16"),
    _plain("fp8", 8, "fp8", "8-bit", "fp16", "E4M3 with a scale per tensor"),
    _plain("int8", 8, "int8", "int8-row", "fp16", "a 16-bit scale per output channel"),
    _plain("int8-g32", 8, "int8", "int8-g32", "fp16", "groups of 32 with a 16-bit scale"),
    _plain("int4", 4, "int4", "int4-g128", "fp16", "as int4-g128"),
    _plain("int4-g128", 4, "int4", "int4-g128", "fp16", "16-bit scale, 4-bit zero point per 128"),
    _plain("int4-g64", 4, "int4", "int4-g64", "fp16", "16-bit scale, 4-bit zero point per 64"),
    _plain("int4-g32", 4, "int4", "int4-g32", "fp16", "16-bit scale, 4-bit zero point per 32"),
    _plain("int4-g128-sym", 4, "int4", "int4-g128-sym", "fp16", "16-bit scale per 128, no zero"),
    _plain("int4-g32-sym", 4, "int4", "int4-g32-sym", "fp16", "16-bit scale per 32, no zero"),
    _plain("int4-channel", 4, "int4", "int4-row", "fp16", "a 16-bit scale per output channel"),
    _gguf("q4_0", 4, "Q4_0", "Q4_0", "Q4_0", "Q6_K", "GGUF Q4_0; output in Q6_K"),
    _gguf(
        "q4_k_m", 4, "Q4_K", "Q6_K", "Q4_K", "Q6_K",
        "GGUF Q4_K_M; half of the value and FFN-down tensors and the output in Q6_K",
    ),
    _gguf(
        "q5_k_m", 5, "Q5_K", "Q6_K", "Q5_K", "Q6_K",
        "GGUF Q5_K_M; half of the value and FFN-down tensors and the output in Q6_K",
    ),
    _gguf("q6_k", 6, "Q6_K", "Q6_K", "Q6_K", "Q6_K", "GGUF Q6_K"),
    _gguf("q8_0", 8, "Q8_0", "Q8_0", "Q8_0", "Q8_0", "GGUF Q8_0"),
)  # fmt: skip

ACTIVATION_FORMATS = ("fp32", "fp16", "bf16", "fp8", "int8", "int4")
"""Formats that arithmetic takes; the others only store."""
CACHE_FORMATS = (
    *ACTIVATION_FORMATS, "int8-g32", "int4-g128", "int4-g64", "int4-g32", "q8_0", "q4_0",
)  # fmt: skip
"""Formats of a KV cache: none whose blocks are longer than a head."""

_CODES = {f.name: code for code, f in enumerate(FORMATS)}
_ROLES = ("body", "boosted", "embedding", "head")
_MULTIPLES = (256, 32)  # that rows of the GGUF types must divide by, the stricter first


def _stored(block: Block, divides_by: int) -> Block:
    """Return the block that stores a row with this divisor: the wanted one or a fallback."""
    while divides_by % block.multiple:
        block = _BLOCKS[block.fallback]
    return block


def _table(role: str, field: str) -> Array:
    """A field of the block, by format and by what the row divides by: 256, 32 only, neither."""
    return np.array(
        [
            getattr(_stored(_BLOCKS[getattr(f, role)], divisor), field)
            for f in FORMATS
            for divisor in (*_MULTIPLES, 1)
        ],
        dtype=float,
    )


_BITS = {role: _table(role, "bits") for role in _ROLES}
_METADATA = {role: _table(role, "metadata_bits") for role in _ROLES}
_GROUP = {role: _table(role, "group") for role in _ROLES}
_BOOSTED = np.array([f.boosted != f.body for f in FORMATS])


def format_code(name: str, among: Sequence[str] | None = None) -> int:
    """Return the code of a format in the columns; SpecError names the nearest.

    among: the formats that are possible here, all if None.
    """
    known = _CODES if among is None else among
    if name.lower() not in known:
        unfit = "unknown number format" if name.lower() not in _CODES else "not a format for this:"
        raise SpecError(f"{unfit} {name!r}{did_you_mean(name.lower(), list(known))}")
    return _CODES[name.lower()]


def format_name(code: int) -> str:
    """Return the name that belongs to a code."""
    return FORMATS[int(code)].name


def default_embedding_format(weights: str) -> str:
    """Return the format that a recipe of this name leaves the embedding and the head in."""
    return FORMATS[format_code(weights)].embedding_format


def bits_per_element(codes: Array, row: Array, role: str = "body") -> Array:
    """Bits that one weight takes, scales and zero points included.

    codes: (N,) format codes; row: (N,) length of the dimension that blocks run along (a matrix's
    inputs); role: body, boosted, embedding or head. Returns (N,).
    A row that does not divide into blocks is stored in the block's fallback, as llama.cpp does.
    """
    if len(codes) > 1 and (codes == codes[0]).all():
        codes = codes[:1]  # one format for all: the common case, and much the faster
    kind = codes * (len(_MULTIPLES) + 1)
    for multiple in _MULTIPLES:
        blocks = row / multiple  # exact: a power of two
        if (short := blocks != np.floor(blocks)).any():
            kind = kind + short
    bits = _BITS[role][kind]
    metadata = _METADATA[role][kind]
    if not metadata.any():
        return bits
    group = _GROUP[role][kind]
    groups = np.where(group > 0, np.ceil(row / np.maximum(group, 1.0)), 1.0)
    return bits + metadata * groups / np.maximum(row, 1.0)


def has_boosted(codes: Array) -> bool:
    """Whether any of these formats stores some tensors more finely than the rest."""
    return bool(_BOOSTED[codes].any())


def boosted_layers(layers: Array) -> Array:
    """Count the layers whose value and FFN-down projections Q4_K_M and Q5_K_M store in Q6_K.

    The first and last eighth, and every third layer between (llama.cpp, `use_more_bits`).
    """
    first = np.floor(layers / 8)
    last = np.floor(7 * layers / 8)
    return first + np.floor((last - first) / 3) + (layers - last)


def compute_format(left: int, right: int) -> str:
    """Return the format in which a product of two operands runs: that of the wider one.

    An int4 weight that meets an fp16 activation is expanded to fp16; one that meets an int8
    activation runs on the int8 units. The left operand (the activation) decides where widths are
    equal.
    """
    a, b = FORMATS[int(left)], FORMATS[int(right)]
    return a.arithmetic if a.value_bits >= b.value_bits else b.arithmetic
