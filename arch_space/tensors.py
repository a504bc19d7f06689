"""The weight tensors of a decoder: the one place that says which matrices a model has.

Parameter counts, stored bytes, FLOPs and traffic all read this inventory, so they cannot disagree.
"""

from dataclasses import dataclass

import numpy as np

from arch_space.architectures import Architectures, once
from arch_space.formats import bits_per_element, boosted_layers, has_boosted

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
def moe_layers(arch: Architectures) -> Array:
    """Count the layers whose feed-forward network follows `experts` (one expert is a dense one)."""
    return arch.layers - arch.dense_layers


@once
def ffn_matrices(arch: Architectures) -> Array:
    """Count the matrices of a feed-forward network: three where gated, else two."""
    return np.where(arch.gated, 3.0, 2.0)


@once
def value_size(arch: Architectures) -> Array:
    """Return the size of a value head."""
    return np.where(arch.value_size > 0, arch.value_size, arch.head_size)


@once
def routed_width(arch: Architectures) -> Array:
    """Return the inner width of one routed expert; of the only one where the model is dense."""
    return np.where(arch.experts > 1, arch.expert_width, arch.ffn_width)


@once
def tensors(arch: Architectures) -> Inventory:
    """Return the inventory of weight tensors, by name, in the order in which a token meets them."""
    arch = arch.as_float()
    width, heads, layers = arch.width, arch.query_heads, arch.layers
    latent = arch.kv_rank > 0
    any_latent = bool(latent.any())
    values = value_size(arch)
    keys_out = arch.kv_heads * arch.head_size
    values_out = arch.kv_heads * values
    found: Inventory = {}

    def bits(row: Array, role: str) -> Array:
        codes = arch.weight_format if role in ("body", "boosted") else arch.embedding_format
        return bits_per_element(codes, row, role)

    def sparse(bits_dense: Array) -> Array:
        if not arch.weight_sparsity.any():
            return bits_dense
        # A bitmap, or for 2:4 two bits for each of the two that stay: one bit a weight either way.
        return np.minimum(bits_dense, (1 - arch.weight_sparsity) * bits_dense + 1.0)

    width_bits = sparse(bits(width, "body"))  # of every matrix that reads the residual stream
    boosts = has_boosted(arch.weight_format)
    boosted_share = boosted_layers(arch.layers) / arch.layers if boosts else None

    def matrix(inputs: Array, outputs: Array, copies: Array, boosted: bool = False) -> Tensor:
        each = width_bits if inputs is width else sparse(bits(inputs, "body"))
        if boosted and boosted_share is not None:
            each = each + (sparse(bits(inputs, "boosted")) - each) * boosted_share
        return Tensor(inputs, outputs, copies, inputs * outputs * each / 8)

    def plain(inputs: Array, outputs: Array, copies: Array) -> Tensor:
        return Tensor(inputs, outputs, copies, inputs * outputs * _PLAIN_BYTES)

    one = np.ones(1)
    table = arch.vocabulary * width
    tied_role = bits(width, "head")
    look_up = np.where(arch.tied_embedding, tied_role, bits(width, "embedding"))
    found["embedding"] = Tensor(arch.vocabulary, width, one, table * look_up / 8)

    queries_out = heads * arch.head_size
    if any_latent:
        low_rank = latent & (arch.query_rank > 0)
        found["query"] = matrix(np.where(low_rank, arch.query_rank, width), queries_out, layers)
        found["query_down"] = matrix(width, np.where(low_rank, arch.query_rank, 0.0), layers)
        found["key"] = matrix(width, np.where(latent, 0.0, keys_out), layers)
        found["value"] = matrix(width, np.where(latent, 0.0, values_out), layers, boosted=True)
        found["latent_down"] = matrix(
            width, np.where(latent, arch.kv_rank + arch.rope_size, 0.0), layers
        )
        expanded = heads * (arch.head_size - arch.rope_size + values)
        found["latent_up"] = matrix(
            np.where(latent, arch.kv_rank, 1.0), np.where(latent, expanded, 0.0), layers
        )
        found["latent_norm"] = plain(
            one, arch.kv_rank + np.where(low_rank, arch.query_rank, 0.0), layers
        )
    else:
        found["query"] = matrix(width, queries_out, layers)
        found["key"] = matrix(width, keys_out, layers)
        found["value"] = matrix(width, values_out, layers, boosted=True)
    found["output"] = matrix(heads * values, width, layers)
    if arch.qkv_bias.any():
        biases = np.where(arch.qkv_bias, queries_out + keys_out + values_out, 0.0)
        found["qkv_bias"] = plain(one, biases, layers)
    if arch.qk_norm.any():
        per_head = 2 * arch.head_size
        whole = queries_out + keys_out
        sizes = np.select([arch.qk_norm == 1, arch.qk_norm == 2], [per_head, whole], 0.0)
        found["qk_norm"] = plain(one, sizes, layers)
    found["norm"] = plain(one, width, layers * arch.norms + 1)

    extra = ffn_matrices(arch) - 1
    if arch.dense_layers.any():
        found["dense_up"] = matrix(width, arch.ffn_width, arch.dense_layers * extra)
        found["dense_down"] = matrix(arch.ffn_width, width, arch.dense_layers, boosted=True)
    inner = routed_width(arch)
    routed = moe_layers(arch)
    found["expert_up"] = matrix(width, inner, routed * arch.experts * extra)
    found["expert_down"] = matrix(inner, width, routed * arch.experts, boosted=True)
    if arch.shared_experts.any():
        shared = routed * arch.shared_experts
        found["shared_up"] = matrix(width, inner, shared * extra)
        found["shared_down"] = matrix(inner, width, shared, boosted=True)
    if (arch.experts > 1).any():
        found["router"] = plain(width, np.where(arch.experts > 1, arch.experts, 0.0), routed)
    found["head"] = Tensor(
        width, arch.vocabulary, np.where(arch.tied_embedding, 0.0, 1.0), table * tied_role / 8
    )
    return found


def parameter_count(arch: Architectures, inventory: Inventory | None = None) -> Array:
    """Parameters stored, embeddings included, a tied one counted once; (N,)."""
    total = sum(t.parameters for t in (inventory or tensors(arch)).values())
    return np.broadcast_to(total, (len(arch),))


def active_parameter_count(arch: Architectures, inventory: Inventory | None = None) -> Array:
    """Parameters of which a token meets the routed experts it activates, and all the rest; (N,)."""
    inventory = inventory or tensors(arch)
    idle = 1 - arch.experts_per_token / arch.experts
    unused = sum(inventory[name].parameters * idle for name in ("expert_up", "expert_down"))
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
