"""FLOPs, bytes and parameters against a decoder written out by hand.

The reference below knows nothing of the engine: plain integers, one layer, one token, one expert at
a time. Bytes of a format are counted per row: its values, then its scales.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_space import Architectures, concatenate
from arch_space.formats import format_code
from arch_space.tensors import active_parameter_count, parameter_count, tensors, weight_bytes
from roofline import Workload
from roofline.operators import OPERATORS
from roofline.operators.attention import score_pairs, sliding_layers
from roofline.operators.feed_forward import touched
from roofline.workload import Pass

FORMATS = ("fp16", "int8", "int4")


def row_bits(values, name):
    """Bits of one row of weights: int8 has a 16-bit scale a row, int4 20 bits a group of 128."""
    if name == "int8":
        return 8 * values + 16
    if name == "int4":
        return 4 * values + 20 * math.ceil(values / 128)
    return 16 * values


class Decoder:
    """A decoder by hand: a list of layers, each a list of (inputs, outputs) matrices."""

    def __init__(self, **fields):
        self.__dict__.update(
            dict.fromkeys(
                (
                    "kv_rank",
                    "query_rank",
                    "rope_size",
                    "value_size",
                    "shared_experts",
                    "dense_layers",
                    "window",
                    "window_share",
                    "qkv_bias",
                    "qk_norm",
                ),
                0,
            )
            | {"experts": 1, "experts_per_token": 1, "norms": 2, "expert_width": 0}
            | {"gated": True, "tied_embedding": True, "weights": "fp16", "kv": "fp16"}
            | fields
        )
        self.values = self.value_size or self.head_size

    def table(self):
        fields = {k: v for k, v in vars(self).items() if k not in ("weights", "kv", "values")}
        formats = {"weight_format": format_code(self.weights), "kv_format": format_code(self.kv)}
        return Architectures.checked(**fields, **formats)

    def attention_matrices(self):
        d, heads, size = self.width, self.query_heads, self.head_size
        if self.kv_rank:
            if self.query_rank:
                yield d, self.query_rank
                yield self.query_rank, heads * size
            else:
                yield d, heads * size
            yield d, self.kv_rank + self.rope_size
            for _ in range(heads):  # keys without the rotary part, then values
                yield self.kv_rank, size - self.rope_size
                yield self.kv_rank, self.values
        else:
            yield d, heads * size
            yield d, self.kv_heads * size
            yield d, self.kv_heads * self.values
        yield heads * self.values, d

    def network(self, inner):
        for _ in range(2 if self.gated else 1):
            yield self.width, inner
        yield inner, self.width

    def small_vectors(self):
        """Elements of the norms and biases of one layer."""
        size = self.norms * self.width
        outputs = self.query_heads * self.head_size
        keys = self.kv_heads * self.head_size
        if self.qkv_bias:
            size += outputs + keys + self.kv_heads * self.values
        if self.kv_rank:
            size += self.kv_rank + self.query_rank
        return size + {0: 0, 1: 2 * self.head_size, 2: outputs + keys}[self.qk_norm]

    def experts_of(self, layer):
        """Networks that a layer stores and that a token meets, and their inner width."""
        if self.experts == 1 or layer < self.dense_layers:
            return 1, 1, self.ffn_width
        shared = self.shared_experts
        return self.experts + shared, self.experts_per_token + shared, self.expert_width

    def slides(self, layer):
        return layer < round(self.window_share * self.layers)

    def router(self, layer):
        return self.width * self.experts if self.experts > 1 and layer >= self.dense_layers else 0

    def parameters(self, active=False):
        count = self.vocabulary * self.width * (1 if self.tied_embedding else 2) + self.width
        for layer in range(self.layers):
            count += sum(i * o for i, o in self.attention_matrices())
            count += self.small_vectors() + self.router(layer)
            stored, met, inner = self.experts_of(layer)
            for _ in range(met if active else stored):
                count += sum(i * o for i, o in self.network(inner))
        return count

    def layer_bits(self, layer, networks):
        """Bits of a layer's weights of which `networks` feed-forward networks count."""
        matrices = list(self.attention_matrices())
        for _ in range(networks):
            matrices += self.network(self.experts_of(layer)[2])
        plain = 16 * (self.small_vectors() + self.router(layer))
        return plain + sum(o * row_bits(i, self.weights) for i, o in matrices)

    def stored_bytes(self):
        bits = 16 * self.vocabulary * self.width * (1 if self.tied_embedding else 2)
        bits += 16 * self.width
        return (
            bits + sum(self.layer_bits(n, self.experts_of(n)[0]) for n in range(self.layers))
        ) / 8

    def seen(self, layer, position):
        return min(position, self.window) if self.slides(layer) else position

    def attention_flops(self, layer, queries, keys, full=False):
        positions = range(keys - queries + 1, keys + 1)
        pairs = sum(self.seen(layer, p) for p in positions)
        in_sight = min(keys, self.window + queries - 1) if self.slides(layer) else keys
        if full:
            pairs = queries * in_sight
        heads, nope = self.query_heads, self.head_size - self.rope_size
        scores = 2 * heads * pairs * (self.head_size + self.values)
        if not self.kv_rank:
            return scores
        rank = self.kv_rank
        expanded = scores + in_sight * 2 * heads * rank * (nope + self.values)
        into, out = queries * 2 * heads * nope * rank, queries * 2 * heads * rank * self.values
        on_latents = pairs * 2 * heads * ((rank + self.rope_size) + rank)
        return min(expanded, into + on_latents + out)

    def flops(self, queries, keys, batch=1, logits=1, full=False):
        total = batch * logits * 2 * self.width * self.vocabulary
        for layer in range(self.layers):
            _, met, inner = self.experts_of(layer)
            matrices = list(self.attention_matrices())
            if self.kv_rank:  # the expansion of latents is counted with the attention
                matrices = [m for m in matrices if m not in self.expansions()]
            per_token = 2 * sum(i * o for i, o in matrices)
            per_token += 2 * met * sum(i * o for i, o in self.network(inner))
            per_token += 2 * self.router(layer)
            for _ in range(batch):
                total += queries * per_token + self.attention_flops(layer, queries, keys, full)
        return total

    def expansions(self):
        return [(self.kv_rank, self.head_size - self.rope_size), (self.kv_rank, self.values)]

    def cached_bits(self):
        """Bits of the cache of one token in one layer."""
        if self.kv_rank:
            rows, scaled = self.kv_rank + self.rope_size, self.kv_rank
        else:
            rows, scaled = self.kv_heads * (self.head_size + self.values), self.head_size
        return rows * row_bits(scaled, self.kv) / scaled

    def read_bytes(self, keys):
        """Weights and cache that decoding one token of one sequence moves."""
        bits = 16 * (self.vocabulary * self.width + self.width + self.width)  # head, norm, one row
        for layer in range(self.layers):
            bits += self.layer_bits(layer, self.experts_of(layer)[1])
            bits += self.seen(layer, keys) * self.cached_bits()
        return bits / 8


sizes = st.integers(1, 40)
heads = st.sampled_from([(1, 1), (2, 1), (4, 2), (6, 2), (3, 3)])


@st.composite
def decoders(draw):
    query_heads, kv_heads = draw(heads)
    layers = draw(st.integers(1, 6))
    fields = dict(
        layers=layers,
        width=draw(st.integers(1, 300)),
        query_heads=query_heads,
        kv_heads=kv_heads,
        head_size=draw(st.integers(4, 32)),
        ffn_width=draw(st.integers(1, 300)),
        vocabulary=draw(st.integers(1, 500)),
        norms=draw(st.integers(1, 4)),
        gated=draw(st.booleans()),
        tied_embedding=draw(st.booleans()),
        value_size=draw(st.one_of(st.just(0), st.integers(4, 32))),
        weights=draw(st.sampled_from(FORMATS)),
        kv=draw(st.sampled_from(FORMATS[:2])),
    )
    if draw(st.booleans()):
        fields |= dict(window=draw(sizes), window_share=draw(st.integers(0, layers)) / layers)
    if draw(st.booleans()):
        experts = draw(st.integers(2, 9))
        fields |= dict(
            experts=experts,
            experts_per_token=draw(st.integers(1, experts)),
            expert_width=draw(sizes),
            shared_experts=draw(st.integers(0, 2)),
            dense_layers=draw(st.integers(0, layers)),
        )
    if draw(st.booleans()):
        rope = draw(st.integers(0, fields["head_size"] - 1))
        # Ranks that no head size equals keep the reference's list of expansions unambiguous.
        fields |= dict(kv_rank=draw(st.integers(301, 320)), rope_size=rope)
        fields |= dict(query_rank=draw(st.sampled_from([0, 17])))
    else:
        fields |= dict(qkv_bias=draw(st.booleans()), qk_norm=draw(st.integers(0, 2)))
    return Decoder(**fields)


def passed(table, step, field):
    """Sum one kind of cost over the operators of a forward pass."""
    inventory, columns = tensors(table), table.as_float()
    return sum(
        float((getattr(operator.cost(columns, inventory, step), field) * copies)[0])
        for operator in OPERATORS
        if (copies := operator.copies(columns)).any()
    )


@given(decoders())
def test_parameters(model):
    table = model.table()
    assert parameter_count(table)[0] == model.parameters()
    assert active_parameter_count(table)[0] == pytest.approx(model.parameters(active=True), 1e-12)
    assert weight_bytes(table)[0] == pytest.approx(model.stored_bytes(), rel=1e-12)


@given(decoders(), sizes, st.integers(1, 3), st.sampled_from(["causal", "full"]))
def test_prefill_flops(model, prompt, batch, mask):
    full = mask == "full"
    step = Workload(batch=batch, prompt=prompt, mask=mask).prefill()
    assert passed(model.table(), step, "flops") == model.flops(prompt, prompt, batch, 1, full)
    step = Workload(batch=batch, prompt=prompt, mask=mask, logits="all").prefill()
    assert passed(model.table(), step, "flops") == model.flops(prompt, prompt, batch, prompt, full)


@given(decoders(), st.integers(2, 60), st.integers(1, 3), st.sampled_from(["causal", "full"]))
def test_decode_flops(model, keys, batch, mask):
    """A window that the cache keeps bounds the keys of a step, whatever the mask."""
    step = Workload(batch=batch, mask=mask).decode(keys)
    assert passed(model.table(), step, "flops") == model.flops(1, keys, batch)


@given(decoders(), st.integers(1, 8), st.integers(0, 40))
def test_a_chunk_of_a_prompt(model, queries, past):
    step = Pass(1, queries, past + queries, logits="all")
    assert passed(model.table(), step, "flops") == model.flops(queries, past + queries, 1, queries)


@given(decoders(), st.integers(1, 60))
def test_decode_bytes_of_one_sequence(model, keys):
    table, step = model.table(), Workload().decode(keys)
    moved = passed(table, step, "weights") + passed(table, step, "cache")
    assert moved == pytest.approx(model.read_bytes(keys), rel=1e-12)


@given(st.integers(1, 30), st.integers(0, 60), st.one_of(st.integers(1, 80), st.just(math.inf)))
def test_score_pairs_against_a_walk_over_positions(queries, past, window):
    walked = sum(min(p, window) for p in range(past + 1, past + queries + 1))
    assert score_pairs(queries, float(past + queries), window) == walked


def test_a_share_of_layers_is_a_whole_number_of_them():
    """Gemma 3 1B: 22 of 26 layers, whatever digits of the share are written down."""
    for share in (22 / 26, 0.846, 0.84616):
        model = Architectures(
            layers=26,
            width=8,
            query_heads=1,
            kv_heads=1,
            head_size=8,
            ffn_width=8,
            vocabulary=9,
            window=512,
            window_share=share,
        )
        assert sliding_layers(model)[0] == 22


def test_score_pairs_where_only_some_have_a_window():
    pairs = score_pairs(4, 4.0, np.array([2.0, np.inf]))
    assert pairs.tolist() == [1 + 2 + 2 + 2, 1 + 2 + 3 + 4]


@settings(max_examples=50)
@given(st.lists(decoders(), min_size=2, max_size=5), sizes)
def test_a_mixed_table_is_its_rows(models, prompt):
    """What one candidate has must not leak into another that lacks it, as NaN or otherwise."""
    tables = [model.table() for model in models]
    mixed = concatenate(tables).as_float()
    inventory = tensors(mixed)
    work = Workload(prompt=prompt, batch=2)
    for step in (work.prefill(), work.decode(prompt + 1)):
        for field in ("flops", "weights", "cache", "activations", "launches"):
            total = sum(
                getattr(operator.cost(mixed, inventory, step), field) * copies
                for operator in OPERATORS
                if (copies := operator.copies(mixed)).any()
            )
            alone = [passed(table, step, field) for table in tables]
            np.testing.assert_allclose(total, alone, rtol=1e-12)


MOE = Decoder(
    layers=2,
    width=64,
    query_heads=2,
    kv_heads=1,
    head_size=32,
    ffn_width=0,
    vocabulary=100,
    experts=16,
    experts_per_token=2,
    expert_width=48,
)


def test_experts_that_a_batch_is_expected_to_read():
    """Every token picks K of E experts at random: distinct ones counted over many draws."""
    draw = np.random.default_rng(0)
    one_expert = 3 * 64 * 48 * 2 * 2  # bytes in both layers
    table = MOE.table()
    fixed = MOE.read_bytes(1) - 2 * one_expert
    for batch in (1, 2, 5, 40):
        picks = draw.random((4000, batch, 16)).argsort(axis=2)[:, :, :2].reshape(4000, -1)
        distinct = np.mean([len(set(row)) for row in picks.tolist()])
        moved = passed(table, Workload(batch=batch).decode(1), "weights")
        rows = (batch - 1) * 64 * 2  # of the embedding
        cache = 2 * 2 * 32 * 2
        read = (moved - (fixed - cache) - rows) / one_expert
        assert read == pytest.approx(distinct, rel=0.01)
        if batch == 1:
            assert read == pytest.approx(2, rel=1e-12)
    everything = passed(table, Workload(batch=4000).decode(1), "weights")
    without_rows = weight_bytes(table)[0]
    assert everything == pytest.approx(without_rows + 100 * 64 * 2, rel=1e-9)


def test_union_of_active_neurons():
    """A neuron is read if any token of the step activates it: counted over many draws."""
    active = np.random.default_rng(0).random((20_000, 6)) < 0.2
    assert touched(np.array([0.2]), 6)[0] == pytest.approx(active.any(axis=1).mean(), rel=0.02)
    fields = dict(layers=3, width=40, query_heads=2, kv_heads=2, head_size=20, vocabulary=50)
    sparse = Decoder(**fields, ffn_width=100, gated=True, ffn_sparsity=0.8).table()
    dense = Decoder(**fields, ffn_width=100, gated=True).table()
    for batch, union in ((1, 0.2), (6, 1 - 0.8**6)):
        step = Workload(batch=batch).decode(1)
        for field, each in (("weights", 2), ("flops", 2 * batch)):
            saved = passed(dense, step, field) - passed(sparse, step, field)
            # The gate decides, so it is whole; up and down are needed for the union alone.
            assert saved == pytest.approx(3 * 2 * 40 * 100 * (1 - union) * each, rel=1e-9)


def test_sparse_network_beside_one_without_shared_experts():
    fields = vars(MOE) | {"ffn_sparsity": 0.5}
    del fields["values"]
    both = concatenate(
        [Decoder(**fields).table(), Decoder(**fields | {"shared_experts": 2}).table()]
    ).as_float()
    inventory = tensors(both)
    for operator in OPERATORS:
        copies = operator.copies(both)
        if copies.any():
            cost = operator.cost(both, inventory, Workload(batch=3).decode(9))
            assert np.isfinite(cost.flops * copies).all(), operator.name
            assert np.isfinite(cost.weights * copies).all(), operator.name


@given(decoders(), st.integers(2, 40))
def test_fused_attention_moves_less(model, prompt):
    for pick in (lambda work: work.prefill(), lambda work: work.decode(prompt)):
        fused = pick(Workload(prompt=prompt))
        unfused = pick(Workload(prompt=prompt, attention="unfused"))
        table = model.table()
        assert passed(table, fused, "flops") == passed(table, unfused, "flops")
        assert passed(table, fused, "scores") == 0
        scores = passed(table, unfused, "scores")
        # Scores written, read by the softmax, its result written and read: 4 of 2 bytes a pair.
        squares = [
            fused.queries * min(prompt, model.window + fused.queries - 1)
            if model.slides(layer)
            else fused.queries * prompt
            for layer in range(model.layers)
        ]
        assert scores == 4 * 2 * model.query_heads * sum(squares)


def test_the_embedding_is_a_look_up():
    """GenZ multiplies by it: 40 % of its prefill of Qwen2.5-0.5B (2 x 896 x 151936 a token)."""
    model = Decoder(
        layers=1, width=8, query_heads=1, kv_heads=1, head_size=8, ffn_width=8, vocabulary=1000
    )
    (look_up,) = (operator for operator in OPERATORS if operator.name == "embedding")
    cost = look_up.cost(model.table().as_float(), tensors(model.table()), Workload().decode(1))
    assert cost.flops == 0
    assert cost.weights == 8 * 2
