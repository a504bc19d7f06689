"""Number formats: how many bits a tensor really takes, its scales and zero points included.

A format is more than a width. Grouped integers carry a scale (and a zero point) per group; the GGUF
types of llama.cpp quantise some tensors more finely than others and fall back to another type
where a row does not divide into their blocks. Both decide what a small model weighs.

Sources: block layouts from ggml's `ggml-common.h` (bytes per block of 32 or 256 weights); the
choice of type per tensor from llama.cpp's `llama-quant.cpp` (`llama_tensor_get_type`), read 2025
and 2026; NVFP4 and MXFP4 from NVIDIA's and the OCP's descriptions. Of llama.cpp's choices those for
Falcon, for models of eight experts and for one of 80 layers are left out: under 1 % of a file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from spec_files import SpecError, did_you_mean

if TYPE_CHECKING:
    from arch_space.architectures import Architectures

__all__ = [
    "ACTIVATION_FORMATS",
    "CACHE_FORMATS",
    "FORMATS",
    "STORAGES",
    "NumberFormat",
    "bits_per_element",
    "compute_format",
    "default_embedding_format",
    "finer_share",
    "format_code",
    "format_name",
    "is_mixed",
    "storage",
    "stored_names",
]

Array = np.ndarray


@dataclass(frozen=True)
class Block:
    """One way to store a row of numbers.

    bits: per value, whatever is stored per block of a fixed size included.
    metadata_bits: per group (a scale, and a zero point where there is one).
    group: values that share them; 0 for none, -1 for the whole row.
    multiple: a row must divide by this, else `fallback` stores it. kernel: the block whose kernels
    read this one, which differs in its fallback only.
    """

    bits: float
    metadata_bits: float = 0.0
    group: int = 0
    multiple: int = 1
    fallback: str = ""
    kernel: str = ""


def _ggml(size: int, values: int, fallback: str) -> Block:
    """A block of ggml: its bytes, and how many values it holds."""
    return Block(size * 8 / values, multiple=values, fallback=fallback)


_BLOCKS: dict[str, Block] = {
    "fp32": Block(32),
    "16-bit": Block(16),
    "8-bit": Block(8),
    "4-bit": Block(4),
    "3.7-bit": Block(3.7),
    "2-bit": Block(2),
    "int8-row": Block(8, metadata_bits=16, group=-1),
    "int8-g32": Block(8, metadata_bits=16, group=32),
    "int4-row": Block(4, metadata_bits=16, group=-1),
    "int4-g32": Block(4, metadata_bits=20, group=32),
    "int4-g64": Block(4, metadata_bits=20, group=64),
    "int4-g128": Block(4, metadata_bits=20, group=128),
    "int4-g256": Block(4, metadata_bits=20, group=256),
    "int4-g32-sym": Block(4, metadata_bits=16, group=32),
    "int4-g128-sym": Block(4, metadata_bits=16, group=128),
    "int8-g128": Block(8, metadata_bits=16, group=128),
    "int3-row": Block(3, metadata_bits=16, group=-1),
    "int3-g32": Block(3, metadata_bits=19, group=32),
    "int3-g64": Block(3, metadata_bits=19, group=64),
    "int3-g128": Block(3, metadata_bits=19, group=128),
    "int2-g64": Block(2, metadata_bits=18, group=64),
    "int2-g128": Block(2, metadata_bits=18, group=128),
    "nvfp4": Block(4, metadata_bits=8, group=16),
    "mxfp4": Block(4, metadata_bits=8, group=32),
    "Q4_0": _ggml(18, 32, "16-bit"),
    "Q4_1": _ggml(20, 32, "16-bit"),
    "Q5_0": _ggml(22, 32, "16-bit"),
    "Q5_1": _ggml(24, 32, "16-bit"),
    "Q8_0": _ggml(34, 32, "16-bit"),
    "IQ4_NL": _ggml(18, 32, "16-bit"),
    "Q2_K": _ggml(84, 256, "Q4_0"),
    "Q3_K": _ggml(110, 256, "Q4_0"),
    "Q4_K": _ggml(144, 256, "Q5_0"),
    "Q5_K": _ggml(176, 256, "Q5_1"),
    "Q6_K": _ggml(210, 256, "Q8_0"),
    "TQ1_0": _ggml(54, 256, "Q4_0"),
    "TQ2_0": _ggml(66, 256, "Q4_0"),
    "IQ1_S": _ggml(50, 256, "IQ4_NL"),
    "IQ1_M": _ggml(56, 256, "IQ4_NL"),
    "IQ2_XXS": _ggml(66, 256, "IQ4_NL"),
    "IQ2_XS": _ggml(74, 256, "IQ4_NL"),
    "IQ2_S": _ggml(82, 256, "IQ4_NL"),
    "IQ3_XXS": _ggml(98, 256, "IQ4_NL"),
    "IQ3_S": _ggml(110, 256, "IQ4_NL"),
    "IQ4_XS": _ggml(136, 256, "IQ4_NL"),
    "head in Q5_K": replace(_ggml(176, 256, "Q8_0"), kernel="Q5_K"),
}

_MIXED_ROLES = ("query", "value", "output", "up", "down")
_ROLES = ("body", "embedding", "head", *_MIXED_ROLES)
_WHERE = ("more bits", "first 2", "first 4", "first 8th", "first 16th", "outer 8ths", "shared by 4")
"""Which layers a mixture stores more finely: see `finer_share`."""


@dataclass(frozen=True)
class Choice:
    """What a mixture stores the matrices of one role in: `usual`, and `finer` in some layers."""

    usual: str
    finer: str = ""
    where: str = ""


@dataclass(frozen=True)
class NumberFormat:
    """A named number format and the block that each kind of tensor gets in it.

    value_bits: width of one value, without scales: what arithmetic sees.
    arithmetic: the peak of a device that a product of two such operands runs at.
    body: block of the matrices in the layers; choices: of those of some roles, where they differ:
    query (and key), value, output, up (and gate), down. embedding: of the look-up table; head: of
    the output projection, and of the look-up table where the two are tied.
    embedding_format: the format that a recipe of this name leaves embedding and head in.
    """

    name: str
    value_bits: int
    arithmetic: str
    body: str
    embedding: str
    head: str
    embedding_format: str
    about: str
    choices: Mapping[str, Choice] = field(default_factory=dict)

    def choice(self, role: str) -> Choice:
        """Return what the matrices of a role are stored in."""
        plain = {"embedding": self.embedding, "head": self.head}.get(role, self.body)
        return self.choices.get(role, Choice(plain))


def _plain(
    name: str, bits: int, arithmetic: str, block: str, embedding: str, about: str
) -> NumberFormat:
    return NumberFormat(name, bits, arithmetic, block, block, block, embedding or name, about)


def _gguf(
    name: str, bits: int, body: str, head: str, about: str, embedding: str = "", **choices: Choice
) -> NumberFormat:
    arithmetic = "int4" if bits <= 4 else "int8"
    return NumberFormat(name, bits, arithmetic, body, embedding or body, head, name, about, choices)


def _tiny(name: str, body: str, first: str, embedding: str, output: str) -> NumberFormat:
    """A mixture of llama.cpp around 2 bits: finer values and outputs, and a finer first eighth."""
    return _gguf(
        name, int(name[2]), body, "head in Q5_K", f"GGUF {name.upper()}; output in Q5_K",
        embedding,
        value=Choice(first, "Q4_K", "shared by 4"),
        output=Choice(output),
        down=Choice(body, first, "first 8th"),
    )  # fmt: skip


def _halved(name: str, bits: int, block: str) -> NumberFormat:
    """Q4_K_M and Q5_K_M: about half of the value and FFN-down matrices in Q6_K."""
    half = Choice(block, "Q6_K", "more bits")
    about = f"GGUF {name.upper()}; half of the value and FFN-down tensors and the output in Q6_K"
    return _gguf(name, bits, block, "Q6_K", about, value=half, down=half)


_MIXED_IN_MXFP4 = {"up": Choice("mxfp4"), "down": Choice("mxfp4")}

FORMATS: tuple[NumberFormat, ...] = (
    _plain("fp32", 32, "fp32", "fp32", "", "IEEE single"),
    _plain("fp16", 16, "fp16", "16-bit", "", "IEEE half"),
    _plain("bf16", 16, "bf16", "16-bit", "", "bfloat16"),
    _plain("fp8", 8, "fp8", "8-bit", "fp16", "E4M3 with a scale per tensor"),
    _plain("nvfp4", 4, "fp4", "nvfp4", "fp16", "E2M1, an 8-bit scale per 16"),
    _plain("mxfp4", 4, "fp4", "mxfp4", "fp16", "E2M1, an 8-bit exponent per 32"),
    NumberFormat(
        "mxfp4-experts", 4, "fp4", "16-bit", "16-bit", "16-bit", "mxfp4-experts",
        "feed-forward networks in MXFP4, all else at 16 bits: how gpt-oss is published",
        _MIXED_IN_MXFP4,
    ),
    _plain("int8", 8, "int8", "int8-row", "fp16", "a 16-bit scale per output channel"),
    _plain("int8-g32", 8, "int8", "int8-g32", "fp16", "groups of 32 with a 16-bit scale"),
    _plain("int4", 4, "int4", "int4-g128", "fp16", "as int4-g128"),
    _plain("int4-g256", 4, "int4", "int4-g256", "fp16", "16-bit scale, 4-bit zero point per 256"),
    _plain("int4-g128", 4, "int4", "int4-g128", "fp16", "16-bit scale, 4-bit zero point per 128"),
    _plain("int4-g64", 4, "int4", "int4-g64", "fp16", "16-bit scale, 4-bit zero point per 64"),
    _plain("int4-g32", 4, "int4", "int4-g32", "fp16", "16-bit scale, 4-bit zero point per 32"),
    _plain("int4-g128-sym", 4, "int4", "int4-g128-sym", "fp16", "16-bit scale per 128, no zero"),
    _plain("int4-g32-sym", 4, "int4", "int4-g32-sym", "fp16", "16-bit scale per 32, no zero"),
    _plain("int4-channel", 4, "int4", "int4-row", "fp16", "a 16-bit scale per output channel"),
    _plain("int8-g128", 8, "int8", "int8-g128", "fp16", "groups of 128 with a 16-bit scale"),
    _plain("int3-channel", 3, "int4", "int3-row", "fp16", "a 16-bit scale per output channel"),
    _plain("int3-g32", 3, "int4", "int3-g32", "fp16", "16-bit scale, 3-bit zero point per 32"),
    _plain("int3-g64", 3, "int4", "int3-g64", "fp16", "16-bit scale, 3-bit zero point per 64"),
    _plain("int3-g128", 3, "int4", "int3-g128", "fp16", "16-bit scale, 3-bit zero point per 128"),
    _plain("int2-g128", 2, "int4", "int2-g128", "fp16", "16-bit scale, 2-bit zero point per 128"),
    _plain("int2-g64", 2, "int4", "int2-g64", "fp16", "16-bit scale, 2-bit zero point per 64"),
    _plain("ternary", 2, "int4", "2-bit", "fp16", "three values in two bits, a scale per tensor"),
    _plain("palette-4", 16, "fp16", "4-bit", "fp16", "look-up tables of 16 values: 16 bits to use"),
    _plain("palette-3.7", 16, "fp16", "3.7-bit", "", "2- and 4-bit look-up tables, 3.7 on average"),
    _gguf("q4_0", 4, "Q4_0", "Q6_K", "GGUF Q4_0; output in Q6_K"),
    _gguf("q4_1", 4, "Q4_1", "Q6_K", "GGUF Q4_1; output in Q6_K"),
    _gguf("q5_0", 5, "Q5_0", "Q6_K", "GGUF Q5_0; output in Q6_K"),
    _gguf("q5_1", 5, "Q5_1", "Q6_K", "GGUF Q5_1; output in Q6_K"),
    _gguf(
        "q2_k_s", 2, "Q2_K", "Q6_K", "GGUF Q2_K_S; finer values and first FFN-down",
        value=Choice("Q2_K", "Q4_K", "shared by 4"), down=Choice("Q2_K", "Q4_K", "first 8th"),
    ),
    _gguf(
        "q2_k", 2, "Q2_K", "Q6_K", "GGUF Q2_K; values, outputs and FFN-down in Q3_K or Q4_K",
        value=Choice("Q3_K", "Q4_K", "shared by 4"), output=Choice("Q3_K"), down=Choice("Q3_K"),
    ),
    _gguf("q3_k_s", 3, "Q3_K", "Q6_K", "GGUF Q3_K_S; output in Q6_K"),
    _gguf(
        "q3_k_m", 3, "Q3_K", "Q6_K", "GGUF Q3_K_M; values, outputs and FFN-down in Q4_K or Q5_K",
        value=Choice("Q4_K", "Q5_K", "first 2"), output=Choice("Q4_K"),
        down=Choice("Q4_K", "Q5_K", "first 16th"),
    ),
    _gguf(
        "q3_k_l", 3, "Q3_K", "Q6_K", "GGUF Q3_K_L; values, outputs and FFN-down in Q5_K",
        value=Choice("Q5_K"), output=Choice("Q5_K"), down=Choice("Q5_K"),
    ),
    _gguf(
        "q4_k_s", 4, "Q4_K", "Q6_K", "GGUF Q4_K_S; first values and FFN-down in Q5_K",
        value=Choice("Q4_K", "Q5_K", "first 4"), down=Choice("Q4_K", "Q5_K", "first 8th"),
    ),
    _halved("q4_k_m", 4, "Q4_K"),
    _gguf("q5_k_s", 5, "Q5_K", "Q6_K", "GGUF Q5_K_S; output in Q6_K"),
    _halved("q5_k_m", 5, "Q5_K"),
    _gguf("q6_k", 6, "Q6_K", "Q6_K", "GGUF Q6_K"),
    _gguf("q8_0", 8, "Q8_0", "Q8_0", "GGUF Q8_0"),
    _gguf(
        "mxfp4_moe", 4, "Q8_0", "Q8_0", "GGUF MXFP4; feed-forward networks in MXFP4, else Q8_0",
        up=Choice("mxfp4"), down=Choice("mxfp4"),
    ),
    _gguf("tq1_0", 2, "TQ1_0", "Q6_K", "GGUF TQ1_0, ternary; output in Q6_K", "Q4_K"),
    _gguf("tq2_0", 2, "TQ2_0", "Q6_K", "GGUF TQ2_0, ternary; output in Q6_K", "Q4_K"),
    _tiny("iq1_s", "IQ1_S", "Q2_K", "Q2_K", "IQ2_XXS"),
    _tiny("iq1_m", "IQ1_M", "Q2_K", "Q2_K", "IQ2_XXS"),
    _tiny("iq2_xxs", "IQ2_XXS", "Q2_K", "Q2_K", "IQ2_XXS"),
    _tiny("iq2_xs", "IQ2_XS", "Q2_K", "Q2_K", "IQ2_XS"),
    _tiny("iq2_s", "IQ2_XS", "IQ3_S", "IQ3_S", "IQ3_S"),
    _tiny("iq2_m", "IQ2_S", "IQ3_S", "IQ3_S", "IQ3_S"),
    _gguf(
        "iq3_xxs", 3, "IQ3_XXS", "head in Q5_K", "GGUF IQ3_XXS; output in Q5_K", "IQ3_S",
        query=Choice("IQ2_S"), value=Choice("IQ3_XXS", "Q4_K", "shared by 4"),
        output=Choice("IQ3_S"),
    ),
    _gguf(
        "iq3_xs", 3, "IQ3_S", "Q6_K", "GGUF IQ3_XS; output in Q6_K",
        query=Choice("IQ3_XXS"), value=Choice("IQ3_S", "Q4_K", "shared by 4"),
        up=Choice("IQ3_XXS", "IQ3_S", "outer 8ths"),
    ),
    _gguf(
        "iq3_s", 3, "IQ3_S", "Q6_K", "GGUF IQ3_S; output in Q6_K",
        value=Choice("IQ3_S", "Q4_K", "shared by 4"),
    ),
    _gguf(
        "iq3_m", 3, "IQ3_S", "Q6_K", "GGUF IQ3_M; values, outputs and first FFN-down in Q4_K",
        value=Choice("Q4_K"), output=Choice("Q4_K"), down=Choice("IQ3_S", "Q4_K", "first 8th"),
    ),
    _gguf(
        "iq4_xs", 4, "IQ4_XS", "Q6_K", "GGUF IQ4_XS; values shared by four heads in Q5_K",
        value=Choice("IQ4_XS", "Q5_K", "shared by 4"),
    ),
    _gguf(
        "iq4_nl", 4, "IQ4_NL", "Q6_K", "GGUF IQ4_NL; values shared by four heads in Q5_K",
        value=Choice("IQ4_NL", "Q5_K", "shared by 4"),
    ),
)  # fmt: skip

ACTIVATION_FORMATS = ("fp32", "fp16", "bf16", "fp8", "int8", "int4", "nvfp4", "mxfp4")
"""Formats that arithmetic takes; the others only store."""
CACHE_FORMATS = (
    "fp32", "fp16", "bf16", "fp8", "int8", "int4", "nvfp4", "mxfp4", "int8-g32",
    "int4-g128", "int4-g64", "int4-g32", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl",
)  # fmt: skip
"""Formats of a KV cache: none whose blocks are longer than a head."""

_CODES = {f.name: code for code, f in enumerate(FORMATS)}
_MULTIPLES = (256, 32)  # that rows of the GGUF types must divide by, the stricter first


def _stored(name: str, divides_by: int) -> str:
    """Return the block that stores a row with this divisor: the wanted one or a fallback."""
    while divides_by % _BLOCKS[name].multiple:
        name = _BLOCKS[name].fallback
    return name


def _blocks(role: str, finer: bool) -> list[str]:
    """Names of blocks, by format and by what the row divides by: 256, 32 only, neither."""
    choices = [f.choice(role) for f in FORMATS]
    wanted = [(finer and choice.finer) or choice.usual for choice in choices]
    return [_stored(name, divisor) for name in wanted for divisor in (*_MULTIPLES, 1)]


_Table = tuple[Array, Array, Array]


def _table(role: str, finer: bool = False) -> _Table:
    """Bits, metadata bits and group by format and divisor."""
    found = [_BLOCKS[name] for name in _blocks(role, finer)]
    fields = [[b.bits, b.metadata_bits, b.group] for b in found]
    bits, metadata, group = np.array(fields, dtype=float).T.copy()
    return bits, metadata, group


_USUAL = {role: _table(role) for role in _ROLES}
_FINER = {role: _table(role, finer=True) for role in _ROLES}
_MIXED = np.array([bool(f.choices) for f in FORMATS])
_LAYERS = {  # by role: which layers, a position in _WHERE; -1 for none
    role: np.array(
        [_WHERE.index(where) if (where := f.choice(role).where) else -1 for f in FORMATS]
    )
    for role in _ROLES
}


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


def _kinds(codes: Array, row: Array) -> Array:
    """Positions in the tables: by format, and by what the row divides by."""
    if len(codes) > 1 and (codes == codes[0]).all():
        codes = codes[:1]  # one format for all: the common case, and much the faster
    kind = codes * (len(_MULTIPLES) + 1)
    for multiple in _MULTIPLES:
        blocks = row / multiple  # exact: a power of two
        if (short := blocks != np.floor(blocks)).any():
            kind = kind + short
    return kind


def bits_per_element(codes: Array, row: Array, role: str = "body", finer: bool = False) -> Array:
    """Bits that one weight takes, scales and zero points included.

    codes: (N,) format codes; row: (N,) length of the dimension that blocks run along (a matrix's
    inputs); role: body, embedding, head, query, value, output, up or down; finer: in the layers
    that a mixture stores more finely. Returns (N,).
    A row that does not divide into blocks is stored in the block's fallback, as llama.cpp does.
    """
    kind = _kinds(codes, row)
    bits, metadata, group = (
        np.take_along_axis(table, kind, axis=0) for table in (_FINER if finer else _USUAL)[role]
    )
    if not metadata.any():
        return bits
    groups = np.where(group > 0, np.ceil(row / np.maximum(group, 1.0)), 1.0)
    return bits + metadata * groups / np.maximum(row, 1.0)


def is_mixed(codes: Array) -> bool:
    """Whether any of these formats stores matrices of some roles otherwise than the rest."""
    return bool(_MIXED[codes].any())


def finer_share(codes: Array, role: str, layers: Array, sharing: Array) -> Array:
    """Share of the layers in which a mixture stores the matrices of a role more finely, (N,).

    sharing: query heads that share a head of keys and values. The layers are llama.cpp's: "more
    bits" the first and last eighth and every third between (`use_more_bits`); "shared by 4" all
    layers of a model whose KV heads serve four query heads or more.
    """
    where = _LAYERS[role][codes]
    if (where < 0).all():
        return np.zeros(1)
    eighth, last = np.floor(layers / 8), np.floor(7 * layers / 8)
    counts = [
        eighth + np.floor((last - eighth) / 3) + (layers - last),
        np.minimum(layers, 2.0),
        np.minimum(layers, 4.0),
        eighth,
        np.floor(layers / 16),
        eighth + (layers - last),
        np.where(sharing >= 4, layers, 0.0),
    ]
    return np.select([where == i for i in range(len(_WHERE))], counts, 0.0) / layers


STORAGES = tuple(dict.fromkeys(_BLOCKS[name].kernel or name for name in _BLOCKS))
"""The ways of storing weights, by name."""


def storage(codes: Array, row: Array, role: str = "body") -> Array:
    """Positions in STORAGES of how matrices are stored, (N,) or (1,).

    role: body, most matrices of the layers (of mixtures of formats those of the feed-forward
    networks), or another of `bits_per_element`.
    """
    return _STORED[role][_kinds(codes, row)]


def stored_names(arch: Architectures) -> tuple[Array, Array]:
    """Names of how most matrices of the layers, and the head, are stored; (N,) each."""
    body = storage(arch.weight_format, arch.width, "body")
    head = storage(arch.embedding_format, arch.width, "head")
    names = np.array(STORAGES)
    return np.broadcast_to(names[body], (len(arch),)), np.broadcast_to(names[head], (len(arch),))


def _positions(role: str) -> Array:
    stored = [_BLOCKS[name].kernel or name for name in _blocks(role, finer=False)]
    return np.array([STORAGES.index(name) for name in stored])


_STORED = {role: _positions("up" if role == "body" else role) for role in _ROLES}


def compute_format(left: int, right: int) -> str:
    """Return the format in which a product of two operands runs: that of the wider one.

    An int4 weight that meets an fp16 activation is expanded to fp16; one that meets an int8
    activation runs on the int8 units. The left operand (the activation) decides where widths are
    equal.
    """
    a, b = FORMATS[int(left)], FORMATS[int(right)]
    return a.arithmetic if a.value_bits >= b.value_bits else b.arithmetic
