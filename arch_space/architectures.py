"""N candidate architectures as columns: one frozen table, one array a field.

One model is N = 1; there is no scalar twin. A column that is the same for every candidate may have
length one and is broadcast, so what does not vary costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from arch_space.formats import (
    ACTIVATION_FORMATS,
    CACHE_FORMATS,
    FORMATS,
    default_embedding_format,
    format_code,
)
from spec_files import SpecError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray
T = TypeVar("T")

FORMAT_COLUMNS = ("weight_format", "embedding_format", "kv_format", "activation_format")
LARGEST = 2**31
"""What no count of a model exceeds; products of two still fit 64 bits."""
QK_NORMS = ("none", "head", "projection")
WORDS: dict[str, tuple[str, ...]] = {
    **{name: tuple(f.name for f in FORMATS) for name in FORMAT_COLUMNS},
    "qk_norm": QK_NORMS,
}
"""Columns that hold codes, with the word that each code stands for; people read and write words."""


def _column(default: float | None = None, about: str = "") -> Any:
    metadata = {"about": about}
    if default is None:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, eq=False)
class Architectures:
    """A frozen table of N decoder-only transformers.

    Every field is an array of shape (N,) or (1,); scalars and lists are converted. Sizes are counts
    of elements, shares are fractions of one.
    Raises SpecError for a table that no model could have (heads that KV heads do not divide, more
    active experts than experts, a share outside [0, 1], columns of different lengths).
    """

    layers: Array = _column(about="decoder layers (depth)")
    width: Array = _column(about="hidden size")
    query_heads: Array = _column(about="query heads")
    kv_heads: Array = _column(about="key/value heads: fewer than query heads is GQA, one is MQA")
    head_size: Array = _column(about="size of a query and key head, rotary part included")
    ffn_width: Array = _column(about="inner width of the dense feed-forward network")
    vocabulary: Array = _column(about="rows of the embedding")
    gated: Array = _column(True, "three matrices (SwiGLU, GeGLU) rather than two")
    tied_embedding: Array = _column(True, "the output projection is the embedding transposed")
    qkv_bias: Array = _column(False, "biases on the query, key and value projections")
    output_bias: Array = _column(False, "a bias on the attention's output projection")
    ffn_bias: Array = _column(False, "biases on the matrices of the feed-forward networks")
    norm_bias: Array = _column(False, "the width-sized norms have a bias (LayerNorm)")
    head_bias: Array = _column(False, "a bias on the output projection to the vocabulary")
    learned_positions: Array = _column(0, "rows of a learned position embedding; 0 for none")
    output_gate: Array = _column(False, "queries come with a gate of the attention's output")
    sinks: Array = _column(False, "a learned attention sink a query head")
    experts: Array = _column(1, "routed experts; one is a dense model, with no router")
    experts_per_token: Array = _column(1, "routed experts that a token activates (top_k)")
    expert_width: Array = _column(0, "inner width of one routed expert; 0 where dense")
    shared_experts: Array = _column(0, "experts of the same width that every token activates")
    dense_layers: Array = _column(0, "leading layers with the dense network in a MoE model")
    shared_gate: Array = _column(False, "a gate decides how much the shared experts count")
    router_bias: Array = _column(False, "a learned bias or scale an expert, beside the router")
    expert_latent: Array = _column(0, "width that routed experts work in; 0 for the model's")
    wide_layers: Array = _column(0, "layers whose dense network has the inner width wide_width")
    wide_width: Array = _column(0, "inner width of the dense network in those layers")
    window: Array = _column(0, "tokens that a sliding-window layer attends to; 0 for none")
    window_share: Array = _column(0.0, "share of the layers that slide")
    full_head_size: Array = _column(0, "head size where attention is full; 0 for head_size")
    full_kv_heads: Array = _column(0, "KV heads where attention is full; 0 for kv_heads")
    value_is_key: Array = _column(False, "there, the key projection gives the values as well")
    shared_kv_layers: Array = _column(0, "last layers, which attend to the cache of earlier ones")
    query_rank: Array = _column(0, "MLA: rank of the query projection; 0 for a full one")
    kv_rank: Array = _column(0, "MLA: rank of the cached latent; 0 for plain attention")
    rope_size: Array = _column(0, "MLA: part of a key head that is rotary and shared by all heads")
    value_size: Array = _column(0, "size of a value head; 0 for head_size")
    mamba_layers: Array = _column(0, "layers with a Mamba-2 mixer instead of attention")
    delta_layers: Array = _column(0, "layers with a gated delta net instead of attention")
    convolution_layers: Array = _column(0, "layers with a gated short convolution instead")
    ffn_layers: Array = _column(
        0, "layers that are a feed-forward network alone, the others a mixer alone; 0: all are both"
    )
    state_heads: Array = _column(0, "heads of a recurrent state: Mamba-2's, a delta net's values")
    state_head_size: Array = _column(0, "size of such a head")
    state_groups: Array = _column(0, "Mamba-2: groups that share B and C; delta net: key heads")
    state_size: Array = _column(0, "rows of a head's state: Mamba-2's N, a delta net's key size")
    kernel: Array = _column(0, "taps of the causal convolution in a recurrent or conv layer")
    layer_embedding: Array = _column(0, "size of the embedding each layer has of its own; 0: none")
    layer_vocabulary: Array = _column(0, "rows of that embedding; 0 for vocabulary")
    streams: Array = _column(0, "AltUp: residual streams; 0 for the plain one")
    laurel_rank: Array = _column(0, "LAuReL: rank of the learned residual; 0 for none")
    norms: Array = _column(2, "width-sized norm vectors in a layer")
    qk_norm: Array = _column(0, "norms on queries and keys: none, of a head, of the projection")
    weight_sparsity: Array = _column(0.0, "share of zero weights in the layers' matrices")
    two_four: Array = _column(False, "the zeros are 2 in every 4 (structured)")
    ffn_sparsity: Array = _column(0.0, "share of FFN neurons that a token leaves inactive")
    weight_format: Array = _column(format_code("fp16"), "number format of the layers' matrices")
    embedding_format: Array = _column(
        format_code("fp16"), "number format of the embedding and the head"
    )
    kv_format: Array = _column(format_code("fp16"), "number format of the KV cache")
    activation_format: Array = _column(format_code("fp16"), "number format of the activations")
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Convert every column to a read-only array and check that the table can exist."""
        length = 1
        for name in columns():
            column = getattr(self, name)
            if hasattr(column, "__array_function__") and not isinstance(column, np.ndarray):
                continue  # what stands in for an array, to follow what formulas do with it
            checked = type(column) is np.ndarray and column.ndim and not column.flags.writeable
            if not checked:
                column = np.atleast_1d(np.asarray(column))
            if column.dtype.kind not in "biuf":
                raise SpecError(f"{name}: {column.ravel()[0]!r} is not a number")
            if column.ndim != 1:
                raise SpecError(f"{name}: a column has one dimension, not {column.ndim}")
            if len(column) != 1:
                if length not in (1, len(column)):
                    raise SpecError(f"{name}: {len(column)} rows beside columns of {length}")
                length = len(column)
            if not checked:
                column = column.view()
                column.flags.writeable = False
                object.__setattr__(self, name, column)
        object.__setattr__(self, "_length", length)
        if self.names and len(self.names) != length:
            raise SpecError(f"names: {len(self.names)} for {length} candidates")

    @classmethod
    def checked(cls, **values: Any) -> Architectures:
        """Build a table from outside data, refusing rows that no model could have."""
        unknown = [name for name in values if name not in columns() and name != "names"]
        if unknown:
            hint = did_you_mean(unknown[0], list(columns()))
            raise SpecError(f"unknown architecture field {unknown[0]!r}{hint}")
        table = cls(**values)
        table.check()
        return table

    def check(self) -> None:
        """Raise SpecError if a row describes a model that cannot exist."""

        def refuse(wrong: Array, what: str) -> None:
            if np.any(wrong):
                row = int(np.argmax(np.broadcast_to(wrong, (len(self),))))
                who = self.names[row] if self.names else f"candidate {row}"
                raise SpecError(f"{who}: {what}")

        for name in ("layers", "width", "query_heads", "kv_heads", "head_size", "vocabulary"):
            refuse(getattr(self, name) < 1, f"{name} must be at least 1")
        for name in ("weight_sparsity", "ffn_sparsity"):
            column = getattr(self, name)
            refuse((column < 0) | (column >= 1), f"{name} must lie in [0, 1)")
        for name in columns():
            column = getattr(self, name)
            refuse(column < 0, f"{name} must not be negative")
            refuse(~np.isfinite(column), f"{name} must be a finite number")
            refuse(column > LARGEST, f"{name} must be at most {LARGEST}")
        refuse(self.window_share > 1, "window_share must lie in [0, 1]")
        refuse((self.window_share > 0) & (self.window < 1), "window_share needs a window")
        refuse(self.query_heads % self.kv_heads != 0, "query_heads must divide by kv_heads")
        refuse(self.experts < 1, "experts must be at least 1 (1 is a dense model)")
        refuse(self.experts_per_token < 1, "experts_per_token must be at least 1")
        refuse(self.experts_per_token > self.experts, "experts_per_token exceeds experts")
        moe = self.experts > 1
        refuse(moe & (self.expert_width < 1), "a MoE model needs an expert_width")
        networks = np.where(self.ffn_layers > 0, self.ffn_layers, self.layers)
        refuse(self.dense_layers + self.wide_layers > networks, "dense_layers exceeds layers")
        refuse(~moe & (self.dense_layers > 0), "dense_layers belongs to a MoE model")
        refuse(~moe & (self.shared_experts > 0), "shared_experts belongs to a MoE model")
        dense = ~moe | (self.dense_layers > 0)
        refuse(dense & (self.ffn_width < 1), "a dense layer needs an ffn_width")
        refuse(self.rope_size > self.head_size, "rope_size exceeds head_size")
        refuse(self.qk_norm >= len(QK_NORMS), f"qk_norm must be 0 to {len(QK_NORMS) - 1}")
        latent = self.kv_rank > 0
        refuse(~latent & (self.query_rank > 0), "query_rank belongs to latent attention (kv_rank)")
        refuse(~latent & (self.rope_size > 0), "rope_size belongs to latent attention (kv_rank)")
        refuse(latent & (self.qkv_bias > 0), "latent attention has no qkv_bias")
        refuse(latent & (self.qk_norm > 0), "latent attention has no qk_norm")
        refuse(latent & (self.output_gate > 0), "latent attention has no output_gate")
        self._check_kinds_of_layers(refuse)
        refuse(self.two_four & (self.weight_sparsity != 0.5), "two_four means weight_sparsity 0.5")
        for name in FORMAT_COLUMNS:
            refuse(getattr(self, name) >= len(FORMATS), f"{name} is not a known format code")

    def _check_kinds_of_layers(self, refuse: Callable[[Array, str], None]) -> None:
        """Refuse layers of kinds that do not add up, and kinds that lack their sizes."""
        recurrent = self.mamba_layers + self.delta_layers
        others = recurrent + self.convolution_layers + self.ffn_layers
        refuse(others > self.layers, "the layers of other kinds exceed layers")
        attending = self.layers - others
        refuse(
            np.rint(self.window_share * self.layers) > attending, "more layers slide than attend"
        )
        refuse(
            (self.shared_kv_layers > 0) & (self.shared_kv_layers >= attending),
            "shared_kv_layers must leave a layer that has a cache",
        )
        for name in ("state_heads", "state_head_size", "state_groups", "state_size"):
            refuse((recurrent > 0) & (getattr(self, name) < 1), f"a recurrent layer needs {name}")
        groups = np.maximum(self.state_groups, 1)
        refuse(self.state_heads % groups != 0, "state_heads must divide by state_groups")
        convolves = recurrent + self.convolution_layers > 0
        refuse(convolves & (self.kernel < 1), "a recurrent or convolution layer needs a kernel")
        full_kv_heads = np.maximum(self.full_kv_heads, 1)
        refuse(self.query_heads % full_kv_heads != 0, "query_heads must divide by full_kv_heads")
        unlike = (self.full_head_size > 0) | (self.full_kv_heads > 0) | (self.value_is_key > 0)
        refuse((self.kv_rank > 0) & unlike, "latent attention is alike in all layers")
        refuse((self.wide_layers > 0) & (self.wide_width < 1), "wide_layers needs a wide_width")
        moe = self.experts > 1
        refuse(moe & (self.wide_layers > 0), "wide_layers belongs to a dense model")
        for name in ("router_bias", "expert_latent"):
            refuse(~moe & (getattr(self, name) > 0), f"{name} belongs to a MoE model")
        gated = self.shared_gate > 0
        refuse(gated & (self.shared_experts < 1), "shared_gate belongs to shared_experts")
        refuse(
            (self.layer_vocabulary > 0) & (self.layer_embedding < 1),
            "layer_vocabulary belongs to layer_embedding",
        )

    def __len__(self) -> int:
        return self._length  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[Architectures]:
        return (self[i : i + 1] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Architectures:
        """Return the candidates that a slice, an index array or a mask selects."""
        if isinstance(index, (int, np.integer)):
            index = [range(len(self))[index]]
        rows = np.arange(len(self))[index]
        values = {
            name: column if len(column := getattr(self, name)) == 1 else column[index]
            for name in columns()
        }
        if len(rows) != 1:  # a table of constants keeps its length
            values["layers"] = np.broadcast_to(values["layers"], rows.shape)
        names = tuple(self.names[i] for i in rows) if self.names else ()
        return Architectures(**values, names=names)

    def with_formats(
        self,
        weights: str | None = None,
        embedding: str | None = None,
        kv: str | None = None,
        activations: str | None = None,
    ) -> Architectures:
        """Return the same candidates in other number formats, given by name.

        Where only `weights` is given, the embedding and the head follow the recipe of that name
        (int4 leaves them at 16 bits; a GGUF type stores them in the type it prescribes).
        """
        changes: dict[str, Any] = {}
        if weights is not None:
            changes["weight_format"] = format_code(weights)
            embedding = embedding or default_embedding_format(weights)
        if embedding is not None:
            changes["embedding_format"] = format_code(embedding)
        if kv is not None:
            changes["kv_format"] = format_code(kv, CACHE_FORMATS)
        if activations is not None:
            changes["activation_format"] = format_code(activations, ACTIVATION_FORMATS)
        return replace(self, **changes)

    def as_float(self) -> Architectures:
        """Return the table with counts as floats, ready for arithmetic that must not convert."""
        return _with_floats(self) if _counts(self) else self

    def to_frame(self) -> pd.DataFrame:
        """Return a pandas DataFrame of N rows, codes as words."""
        import pandas as pd

        data: dict[str, Any] = {"name": list(self.names)} if self.names else {}
        for name in columns():
            column = np.broadcast_to(getattr(self, name), (len(self),))
            data[name] = np.array(WORDS[name], dtype=object)[column] if name in WORDS else column
        return pd.DataFrame(data)

    def row(self, index: int = 0) -> dict[str, Any]:
        """Return one candidate as a plain dictionary, codes as words."""
        one = self[index]
        result: dict[str, Any] = {}
        for name in columns():
            value = getattr(one, name)[0].item()
            result[name] = WORDS[name][value] if name in WORDS else value
        return result

    @classmethod
    def from_rows(
        cls, rows: Sequence[Mapping[str, Any]], names: tuple[str, ...] = ()
    ) -> Architectures:
        """Build a table from dictionaries, words or codes; absent fields take their defaults."""
        if not rows:
            raise SpecError("no architectures were given")
        values: dict[str, list[Any]] = {}
        for name in {key for row in rows for key in row}:
            default = defaults().get(name)
            cells = [row.get(name, default) for row in rows]
            if name in WORDS:
                cells = [_code(name, cell) if isinstance(cell, str) else cell for cell in cells]
            if any(cell is None for cell in cells):
                raise SpecError(f"architecture {cells.index(None)}: {name} is missing")
            values[name] = cells
        missing = [name for name in columns() if name not in values and name not in defaults()]
        if missing:
            raise SpecError(f"architecture: {missing[0]} is missing")
        return cls.checked(**values, names=names)


def once(quantity: Callable[[Architectures], T]) -> Callable[[Architectures], T]:
    """Work out a quantity of a table once, and keep it with the table, which never changes."""

    @wraps(quantity)
    def kept(arch: Architectures) -> T:
        store: dict[Any, T] = arch.__dict__.setdefault("_derived", {})
        if quantity not in store:
            store[quantity] = quantity(arch)
        return store[quantity]

    return kept


@once
def _with_floats(arch: Architectures) -> Architectures:
    return replace(arch, **{name: getattr(arch, name).astype(float) for name in _counts(arch)})


def _counts(arch: Architectures) -> list[str]:
    """Return the columns that hold whole numbers as such; codes are not numbers."""
    numbers = (name for name in columns() if name not in FORMAT_COLUMNS)
    return [name for name in numbers if getattr(arch, name).dtype.kind in "iu"]


def _code(column: str, word: str) -> int:
    if column in FORMAT_COLUMNS:
        return format_code(word)
    if word not in WORDS[column]:
        raise SpecError(f"unknown {column} {word!r}{did_you_mean(word, WORDS[column])}")
    return WORDS[column].index(word)


def concatenate(tables: list[Architectures]) -> Architectures:
    """Stack tables of candidates into one, (sum of N,); names are kept where all have them."""
    values = {
        name: np.concatenate([np.broadcast_to(getattr(t, name), (len(t),)) for t in tables])
        for name in columns()
    }
    named = all(t.names for t in tables)
    return Architectures(
        **values, names=tuple(name for t in tables for name in t.names) if named else ()
    )


_COLUMNS = tuple(f.name for f in fields(Architectures) if f.name != "names")
_DEFAULTS = {
    f.name: f.default for f in fields(Architectures) if isinstance(f.default, (int, float))
}


def columns() -> tuple[str, ...]:
    """Return the names of the table's columns, in order."""
    return _COLUMNS


def defaults() -> dict[str, Any]:
    """Return the columns that need not be given, with the value each then has."""
    return dict(_DEFAULTS)


def meanings() -> dict[str, str]:
    """Return what each column is, in words."""
    fields = Architectures.__dataclass_fields__
    return {name: fields[name].metadata["about"] for name in columns()}
