"""The weight tensors of a decoder: the one place that says which matrices a model has.

Parameter counts, stored bytes, FLOPs and traffic all read this inventory, so they cannot disagree.
"""

from dataclasses import dataclass

import numpy as np

from arch_space.architectures import Architectures, once
from arch_space.formats import bits_per_element, finer_share, is_mixed
from arch_space.layers import (
    attention_layers,
    caching_full_layers,
    caching_sliding_layers,
    full_attention,
    full_layers,
    moe_layers,
    sliding_layers,
    unlike,
)

Array = np.ndarray


@dataclass(frozen=True)
class Tensor:
    """One kind of weight matrix, for N candidates.

    inputs, outputs: (N,) its shape; copies: (N,) how many the model stores; bytes_each: (N,) stored
    bytes of one, scales and sparsity included.
    """

    inputs: Array
    outputs: Array
    copies: Array
    bytes_each: Array

    @property
    def elements(self) -> Array:
        """Weights of one copy, zeros counted, (N,)."""
        return self.inputs * self.outputs

    @property
    def parameters(self) -> Array:
        """Weights of all copies, zeros counted, (N,)."""
        return self.elements * self.copies

    @property
    def stored_bytes(self) -> Array:
        """Bytes of all copies, (N,)."""
        return self.bytes_each * self.copies


Inventory = dict[str, Tensor]

_PLAIN_BYTES = 2.0  # norms, biases and routers stay at 16 bits in every recipe here


@once
def ffn_matrices(arch: Architectures) -> Array:
    """Count the matrices of a feed-forward network: three where gated, else two."""
    return np.where(arch.gated, 3.0, 2.0)


@once
def value_size(arch: Architectures) -> Array:
    """Return the size of a value head."""
    return np.where(arch.value_size > 0, arch.value_size, arch.head_size)


@once
def expert_outer(arch: Architectures) -> Array:
    """Return the width that routed experts read and write: the model's, or that of a latent."""
    if not arch.expert_latent.any():
        return arch.width
    return np.where(arch.expert_latent > 0, arch.expert_latent, arch.width)


@once
def state_width(arch: Architectures) -> Array:
    """Return the inner width of a recurrent mixer: its heads side by side."""
    return arch.state_heads * arch.state_head_size


@once
def state_channels(arch: Architectures) -> Array:
    """Return how many channels a recurrent mixer convolves.

    x, B and C of Mamba-2; values, keys and queries of a delta net.
    """
    return state_width(arch) + 2.0 * arch.state_groups * arch.state_size


@once
def routed_width(arch: Architectures) -> Array:
    """Return the inner width of one routed expert; of the only one where the model is dense."""
    return np.where(arch.experts > 1, arch.expert_width, arch.ffn_width)


class _Formats:
    """What a tensor of a given shape takes in the formats and the sparsity of the candidates."""

    def __init__(self, arch: Architectures):
        self.arch = arch
        self.width_bits = self._sparse(self.bits(arch.width, "body"))  # of most matrices
        self.mixed = is_mixed(arch.weight_format)

    def bits(self, row: Array, role: str, finer: bool = False) -> Array:
        table = role in ("embedding", "head")
        codes = self.arch.embedding_format if table else self.arch.weight_format
        return bits_per_element(codes, row, role, finer)

    def _sparse(self, dense: Array) -> Array:
        sparsity = self.arch.weight_sparsity
        if not sparsity.any():
            return dense
        # A bitmap, or for 2:4 two bits for each of the two that stay: one bit a weight either way.
        return np.minimum(dense, (1 - sparsity) * dense + 1.0)

    def matrix(self, inputs: Array, outputs: Array, copies: Array, role: str = "body") -> Tensor:
        """A weight matrix in the format of the layers, or what that has for matrices of a role."""
        arch = self.arch
        if self.mixed and role != "body":
            each = self._sparse(self.bits(inputs, role))
            sharing = arch.query_heads / arch.kv_heads
            share = finer_share(arch.weight_format, role, arch.layers, sharing)
            if share.any():
                each = each + (self._sparse(self.bits(inputs, role, finer=True)) - each) * share
        else:
            at_width = inputs is arch.width
            each = self.width_bits if at_width else self._sparse(self.bits(inputs, "body"))
        return Tensor(inputs, outputs, copies, inputs * outputs * each / 8)

    def table(self, rows: Array, row: Array, copies: Array) -> Tensor:
        """A table that is looked up."""
        return Tensor(rows, row, copies, rows * row * self.bits(row, "embedding") / 8)

    def plain(self, inputs: Array, outputs: Array, copies: Array) -> Tensor:
        """A tensor that every recipe leaves at 16 bits."""
        return Tensor(inputs, outputs, copies, inputs * outputs * _PLAIN_BYTES)


_ONE = np.ones(1)


@once
def tensors(arch: Architectures) -> Inventory:
    """Return the inventory of weight tensors, by name, in the order in which a token meets them."""
    arch = arch.as_float()
    width = arch.width
    formats = _Formats(arch)
    plain = formats.plain
    found: Inventory = {}

    table = arch.vocabulary * width
    tied_role = formats.bits(width, "head")
    look_up = np.where(arch.tied_embedding, tied_role, formats.bits(width, "embedding"))
    found["embedding"] = Tensor(arch.vocabulary, width, _ONE, table * look_up / 8)
    if arch.learned_positions.any():
        found["positions"] = plain(arch.learned_positions, width, _ONE)
    if arch.layer_embedding.any():
        found |= _layer_embeddings(arch, formats)
    if arch.streams.any() or arch.laurel_rank.any():
        found |= _residuals(arch, formats)

    full = full_attention(arch)
    if full is arch:
        layers, own = attention_layers(arch), caching_sliding_layers(arch)
        own = own + caching_full_layers(arch) if arch.shared_kv_layers.any() else layers
        found |= _attention(arch, formats, layers, own)
    else:
        apart = unlike(arch)
        layers, own = full_layers(arch), caching_full_layers(arch)
        sliding, sliding_own = sliding_layers(arch), caching_sliding_layers(arch)
        alike, alike_own = np.where(apart, 0.0, layers), np.where(apart, 0.0, own)
        found |= _attention(arch, formats, sliding + alike, sliding_own + alike_own)
        groups = _attention(full, formats, layers - alike, own - alike_own, arch.value_is_key)
        found |= {f"full_{name}": tensor for name, tensor in groups.items()}
    if arch.mamba_layers.any():
        found |= _mamba(arch, formats)
    if arch.delta_layers.any():
        found |= _delta(arch, formats)
    if arch.convolution_layers.any():
        copies = arch.convolution_layers
        found["convolution_in"] = formats.matrix(width, 3.0 * width, copies)
        found["convolution_out"] = formats.matrix(width, width, copies)
        found["convolution_taps"] = plain(arch.kernel, width, copies)
    norm_size = width * (1.0 + arch.norm_bias) if arch.norm_bias.any() else width
    found["norm"] = plain(_ONE, norm_size, arch.layers * arch.norms + 1)

    found |= _networks(arch, formats)
    found["head"] = Tensor(
        width, arch.vocabulary, np.where(arch.tied_embedding, 0.0, 1.0), table * tied_role / 8
    )
    if arch.head_bias.any():
        found["head_bias"] = plain(_ONE, np.where(arch.head_bias, arch.vocabulary, 0.0), _ONE)
    return found


def _attention(
    arch: Architectures,
    formats: _Formats,
    layers: Array,
    own: Array,
    value_is_key: Array | None = None,
) -> Inventory:
    """Attention of `layers` layers, of which `own` have keys and values of their own."""
    width, heads = arch.width, arch.query_heads
    matrix, plain = formats.matrix, formats.plain
    values = value_size(arch)
    queries_out = heads * arch.head_size
    asked = queries_out * (1.0 + arch.output_gate) if arch.output_gate.any() else queries_out
    keys_out = arch.kv_heads * arch.head_size
    values_out = arch.kv_heads * values
    given = own if value_is_key is None else np.where(value_is_key, 0.0, own)
    found: Inventory = {}
    latent = arch.kv_rank > 0
    if latent.any():
        low_rank = latent & (arch.query_rank > 0)
        found["query"] = matrix(np.where(low_rank, arch.query_rank, width), asked, layers, "query")
        found["query_down"] = matrix(width, np.where(low_rank, arch.query_rank, 0.0), layers)
        found["key"] = matrix(width, np.where(latent, 0.0, keys_out), own, "query")
        found["value"] = matrix(width, np.where(latent, 0.0, values_out), given, "value")
        found["latent_down"] = matrix(
            width, np.where(latent, arch.kv_rank + arch.rope_size, 0.0), own
        )
        expanded = heads * (arch.head_size - arch.rope_size + values)
        found["latent_up"] = matrix(
            np.where(latent, arch.kv_rank, 1.0), np.where(latent, expanded, 0.0), own
        )
        found["latent_norm"] = plain(
            _ONE, arch.kv_rank + np.where(low_rank, arch.query_rank, 0.0), layers
        )
    else:
        found["query"] = matrix(width, asked, layers, "query")
        found["key"] = matrix(width, keys_out, own, "query")
        found["value"] = matrix(width, values_out, given, "value")
    found["output"] = matrix(heads * values, width, layers, "output")
    if arch.qkv_bias.any():
        biased = np.where(arch.qkv_bias, 1.0, 0.0)
        found["query_bias"] = plain(_ONE, biased * asked, layers)
        found["key_bias"] = plain(_ONE, biased * keys_out, own)
        found["value_bias"] = plain(_ONE, biased * values_out, given)
    if arch.qk_norm.any():
        kinds = [arch.qk_norm == 1, arch.qk_norm == 2]
        queries = np.select(kinds, [arch.head_size, queries_out], 0.0)
        found["query_norm"] = plain(_ONE, queries, layers)
        found["key_norm"] = plain(_ONE, np.select(kinds, [arch.head_size, keys_out], 0.0), own)
    if arch.sinks.any():
        found["sinks"] = plain(_ONE, np.where(arch.sinks, heads, 0.0), layers)
    if arch.output_bias.any():
        found["output_bias"] = plain(_ONE, np.where(arch.output_bias, width, 0.0), layers)
    return found


def _mamba(arch: Architectures, formats: _Formats) -> Inventory:
    """Mamba-2: gate, x, B, C and dt from one matrix; the small ones are taps, A, D, dt and norm."""
    width, copies = arch.width, arch.mamba_layers
    inner, channels = state_width(arch), state_channels(arch)
    small = (arch.kernel + 1.0) * channels + 3.0 * arch.state_heads + inner
    return {
        "mamba_in": formats.matrix(width, inner + channels + arch.state_heads, copies),
        "mamba_out": formats.matrix(inner, width, copies),
        "mamba_small": formats.plain(_ONE, small, copies),
    }


def _delta(arch: Architectures, formats: _Formats) -> Inventory:
    """A gated delta net: queries, keys, values, gate and two numbers a head from one matrix."""
    width, copies = arch.width, arch.delta_layers
    inner, channels = state_width(arch), state_channels(arch)
    small = arch.kernel * channels + 2.0 * arch.state_heads + arch.state_head_size
    return {
        "delta_in": formats.matrix(width, channels + inner + 2.0 * arch.state_heads, copies),
        "delta_out": formats.matrix(inner, width, copies),
        "delta_small": formats.plain(_ONE, small, copies),
    }


def _layer_embeddings(arch: Architectures, formats: _Formats) -> Inventory:
    """Embeddings that each layer has of its own (Gemma 3n): one table, one row of it a token."""
    width, layers, size = arch.width, arch.layers, arch.layer_embedding
    present = 1.0 * (size > 0)
    rows = np.where(arch.layer_vocabulary > 0, arch.layer_vocabulary, arch.vocabulary)
    return {
        "layer_embedding": formats.table(rows, layers * size, present),
        "layer_projection": formats.matrix(width, layers * size, present),
        "layer_norm": formats.plain(_ONE, size, present),
        "layer_gate": formats.matrix(width, size, layers * present),
        "layer_up": formats.matrix(size, width, layers * present),
    }


def _residuals(arch: Architectures, formats: _Formats) -> Inventory:
    """AltUp's streams (into them, out of them, their mixing) and LAuReL's low-rank residual."""
    width, layers, streams = arch.width, arch.layers, arch.streams
    more = np.maximum(streams - 1.0, 0.0)
    return {
        "stream_in": formats.matrix(width, width, more),
        "stream_out": formats.matrix(width, width, more),
        "stream_router": formats.plain(width, streams, layers),
        "stream_mix": formats.plain(streams, streams**2 + streams, layers),
        "laurel_down": formats.matrix(width, arch.laurel_rank, layers),
        "laurel_up": formats.matrix(arch.laurel_rank, width, layers),
    }


def _networks(arch: Architectures, formats: _Formats) -> Inventory:
    """The feed-forward networks: dense, routed, shared, and the router."""
    width = arch.width
    matrix, plain = formats.matrix, formats.plain
    extra = ffn_matrices(arch) - 1
    biased = bool(arch.ffn_bias.any())
    found: Inventory = {}

    def network(name: str, outer: Array, inner: Array, copies: Array) -> None:
        found[f"{name}_up"] = matrix(outer, inner, copies * extra, "up")
        found[f"{name}_down"] = matrix(inner, outer, copies, "down")
        if biased:
            found[f"{name}_bias"] = plain(
                _ONE, np.where(arch.ffn_bias, inner * extra + outer, 0.0), copies
            )

    if arch.dense_layers.any():
        network("dense", width, arch.ffn_width, arch.dense_layers)
    if arch.wide_layers.any():
        network("wide", width, arch.wide_width, arch.wide_layers)
    inner = routed_width(arch)
    routed = moe_layers(arch)
    network("expert", expert_outer(arch), inner, routed * arch.experts)
    if arch.expert_latent.any():
        found["expert_latent_in"] = matrix(width, arch.expert_latent, routed)
        found["expert_latent_out"] = matrix(arch.expert_latent, width, routed)
    if arch.shared_experts.any():
        network("shared", width, inner, routed * arch.shared_experts)
    if arch.shared_gate.any():
        found["shared_gate"] = plain(width, 1.0 * (arch.shared_gate > 0), routed)
    if (arch.experts > 1).any():
        scored = np.where(arch.experts > 1, arch.experts, 0.0)
        found["router"] = plain(width, scored, routed)
        if arch.router_bias.any():
            found["router_bias"] = plain(_ONE, np.where(arch.router_bias, scored, 0.0), routed)
    return found


def parameter_count(arch: Architectures, inventory: Inventory | None = None) -> Array:
    """Parameters stored, embeddings included, a tied one counted once; (N,)."""
    total = sum(t.parameters for t in (inventory or tensors(arch)).values())
    return np.broadcast_to(total, (len(arch),))


def active_parameter_count(arch: Architectures, inventory: Inventory | None = None) -> Array:
    """Parameters of which a token meets the routed experts it activates, and all the rest; (N,)."""
    inventory = inventory or tensors(arch)
    idle = 1 - arch.experts_per_token / arch.experts
    routed = ("expert_up", "expert_down", "expert_bias")
    unused = sum(inventory[name].parameters * idle for name in routed if name in inventory)
    return parameter_count(arch, inventory) - unused


def weight_bytes(arch: Architectures, inventory: Inventory | None = None) -> Array:
    """Bytes of all stored weights, (N,)."""
    total = sum(t.stored_bytes for t in (inventory or tensors(arch)).values())
    return np.broadcast_to(total, (len(arch),))


@once
def cache_bytes_per_token(arch: Architectures) -> Array:
    """KV-cache bytes that one token adds to one layer, (N,).

    Keys and values of the KV heads; for MLA the latent and the shared rotary key.
    """
    keys = arch.kv_heads * arch.head_size
    values = arch.kv_heads * value_size(arch)
    elements = np.where(arch.kv_rank > 0, arch.kv_rank + arch.rope_size, keys + values)
    row = np.where(arch.kv_rank > 0, arch.kv_rank, arch.head_size)
    return elements * bits_per_element(arch.kv_format, row) / 8


STATE_BYTES = 4.0
"""Bytes of a number of a recurrent state: engines keep it in single precision."""


@once
def recurrent_state(arch: Architectures) -> Array:
    """Numbers in the state of one recurrent layer and sequence, whatever the context, (N,)."""
    return state_width(arch) * arch.state_size


@once
def convolution_state(arch: Architectures) -> Array:
    """Numbers that the convolution before a recurrence keeps: the inputs of its past taps, (N,)."""
    return np.maximum(arch.kernel - 1.0, 0.0) * state_channels(arch)
