"""The inventory of tensors against a count that walks the layers one by one."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_space.architectures import Architectures, concatenate
from arch_space.tensors import (
    active_parameter_count,
    cache_bytes_per_token,
    parameter_count,
    tensors,
    weight_bytes,
)


def brute_force(row: dict, active: bool = False) -> int:
    """Parameters of one candidate, matrix by matrix; of those active, the experts of one token."""
    width, heads, size = row["width"], row["query_heads"], row["head_size"]
    value = row["value_size"] or size
    total = row["vocabulary"] * width * (1 if row["tied_embedding"] else 2) + width
    for layer in range(row["layers"]):
        total += row["norms"] * width
        if row["kv_rank"]:
            rank = row["query_rank"]
            total += width * rank + rank + rank * heads * size if rank else width * heads * size
            total += width * (row["kv_rank"] + row["rope_size"]) + row["kv_rank"]
            total += row["kv_rank"] * heads * (size - row["rope_size"] + value)
        else:
            outputs = [heads * size, row["kv_heads"] * size, row["kv_heads"] * value]
            total += sum(width * out + (out if row["qkv_bias"] else 0) for out in outputs)
            normed = {"none": 0, "head": 2 * size, "projection": outputs[0] + outputs[1]}
            total += normed[row["qk_norm"]]
        total += heads * value * width
        matrices = 3 if row["gated"] else 2
        if row["experts"] == 1 or layer < row["dense_layers"]:
            total += matrices * width * row["ffn_width"]
        else:
            total += width * row["experts"]
            used = row["experts_per_token" if active else "experts"]
            for _ in range(used + row["shared_experts"]):
                total += matrices * width * row["expert_width"]
    return total


@st.composite
def rows(draw):
    small = st.integers(1, 300)
    kv_heads = draw(st.integers(1, 6))
    layers = draw(st.integers(1, 9))
    row = {
        "layers": layers,
        "width": draw(small),
        "kv_heads": kv_heads,
        "query_heads": kv_heads * draw(st.integers(1, 6)),
        "head_size": draw(st.integers(2, 200)),
        "vocabulary": draw(small),
        "ffn_width": draw(small),
        "gated": draw(st.booleans()),
        "tied_embedding": draw(st.booleans()),
        "norms": draw(st.integers(0, 4)),
    }
    if draw(st.booleans()):
        row |= {
            "experts": (experts := draw(st.integers(2, 9))),
            "experts_per_token": draw(st.integers(1, experts)),
            "expert_width": draw(small),
            "shared_experts": draw(st.integers(0, 3)),
            "dense_layers": draw(st.integers(0, layers)),
        }
        row["ffn_width"] *= row["dense_layers"] > 0
    if draw(st.booleans()):
        row |= {
            "kv_rank": draw(small),
            "query_rank": draw(st.integers(0, 50)),
            "rope_size": draw(st.integers(0, row["head_size"] - 1)),
            "value_size": draw(st.integers(0, 50)),
        }
    else:
        row |= {"qkv_bias": draw(st.booleans()), "qk_norm": draw(st.integers(0, 2))}
    return row


FORMATS = st.sampled_from(["fp16", "int8", "int4-g128", "q4_0", "q4_k_m", "q6_k"])


@given(st.lists(rows(), min_size=1, max_size=5))
def test_parameters_are_those_of_a_walk_over_the_layers(drawn):
    table = Architectures.from_rows(drawn)
    walked = [brute_force(one.row()) for one in table]
    np.testing.assert_array_equal(parameter_count(table), walked)
    walked = [brute_force(one.row(), active=True) for one in table]
    np.testing.assert_allclose(active_parameter_count(table), walked, rtol=1e-12)


@given(st.lists(rows(), min_size=1, max_size=5), FORMATS)
def test_a_candidate_weighs_the_same_alone_and_in_any_table(drawn, weights):
    tables = [Architectures.from_rows([row]).with_formats(weights=weights) for row in drawn]
    alone = [weight_bytes(table)[0] for table in tables]
    np.testing.assert_allclose(weight_bytes(concatenate(tables)), alone, rtol=1e-12)
    assert np.all(np.isfinite(alone))


@given(rows())
def test_sixteen_bits_are_two_bytes(drawn):
    table = Architectures.from_rows([drawn])
    assert weight_bytes(table)[0] == 2 * parameter_count(table)[0]


@given(rows(), FORMATS, st.floats(0, 0.99), st.floats(0, 0.99))
def test_more_zeros_never_weigh_more(drawn, weights, one, other):
    table = Architectures.from_rows([drawn]).with_formats(weights=weights)
    few, many = (
        weight_bytes(replace(table, weight_sparsity=np.array([share])))[0]
        for share in sorted((one, other))
    )
    assert many <= few * (1 + 1e-12)
    assert few <= weight_bytes(table)[0] * (1 + 1e-12)


@given(rows(), st.sampled_from(["fp16", "int8", "int4-g32"]))
@settings(max_examples=50)
def test_the_cache_grows_with_kv_heads_and_nothing_else_of_the_projections(drawn, kv):
    plain = drawn | {"kv_rank": 0, "query_rank": 0, "rope_size": 0, "query_heads": 12}
    heads = [1, 2, 3, 4, 6, 12]
    table = Architectures.from_rows([plain | {"kv_heads": n} for n in heads]).with_formats(kv=kv)
    per_token = cache_bytes_per_token(table)
    np.testing.assert_allclose(per_token, per_token[0] * np.array(heads), rtol=1e-12)
    wide = Architectures.from_rows([plain | {"query_heads": 24, "kv_heads": 12}])
    np.testing.assert_allclose(cache_bytes_per_token(wide.with_formats(kv=kv)), per_token[-1])


def test_every_tensor_of_every_candidate_has_a_shape():
    table = Architectures.from_rows(
        [
            {"layers": 2, "width": 8, "query_heads": 2, "kv_heads": 1, "head_size": 4,
             "ffn_width": 0, "vocabulary": 10, "experts": 4, "expert_width": 6},
            {"layers": 3, "width": 8, "query_heads": 2, "kv_heads": 1, "head_size": 4,
             "ffn_width": 16, "vocabulary": 10},
        ]
    )  # fmt: skip
    for name, tensor in tensors(table).items():
        assert np.all(np.broadcast_to(tensor.elements, (2,)) >= 0), name
        assert np.all(np.isfinite(tensor.stored_bytes)), name
