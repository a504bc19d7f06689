"""The table of candidates: what it refuses, how rows are picked, joined and told."""

import numpy as np
import pytest

from arch_space import Architectures, concatenate
from arch_space.architectures import columns, defaults
from spec_files import SpecError

DENSE = dict(
    layers=4, width=64, query_heads=4, kv_heads=2, head_size=16, ffn_width=128, vocabulary=100
)
MOE = DENSE | dict(ffn_width=0, experts=8, experts_per_token=2, expert_width=32)
MLA = DENSE | dict(kv_rank=32, rope_size=8)


@pytest.mark.parametrize("fields", [DENSE, MOE, MLA, MOE | dict(ffn_width=64, dense_layers=1)])
def test_models_that_can_exist(fields):
    assert len(Architectures.checked(**fields)) == 1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (DENSE | dict(layers=0), "layers must be at least 1"),
        (DENSE | dict(kv_heads=3), "query_heads must divide by kv_heads"),
        (DENSE | dict(ffn_width=0), "a dense layer needs an ffn_width"),
        (DENSE | dict(ffn_width=-1), "ffn_width must not be negative"),
        (DENSE | dict(layers=float("nan")), "layers must be a finite number"),
        (DENSE | dict(width=float("inf")), "width must be a finite number"),
        (DENSE | dict(window_share=float("nan")), "window_share must be a finite number"),
        (DENSE | dict(window_share=0.5), "window_share needs a window"),
        (DENSE | dict(window=4, window_share=1.5), r"window_share must lie in \[0, 1\]"),
        (DENSE | dict(weight_sparsity=1.0), r"weight_sparsity must lie in \[0, 1\)"),
        (DENSE | dict(ffn_sparsity=-0.1), r"ffn_sparsity must lie in \[0, 1\)"),
        (DENSE | dict(two_four=True), "two_four means weight_sparsity 0.5"),
        (DENSE | dict(experts=0), "experts must be at least 1"),
        (DENSE | dict(experts_per_token=0), "experts_per_token must be at least 1"),
        (DENSE | dict(experts_per_token=2), "experts_per_token exceeds experts"),
        (DENSE | dict(shared_experts=1), "shared_experts belongs to a MoE model"),
        (DENSE | dict(dense_layers=1), "dense_layers belongs to a MoE model"),
        (MOE | dict(expert_width=0), "a MoE model needs an expert_width"),
        (MOE | dict(dense_layers=5), "dense_layers exceeds layers"),
        (MOE | dict(dense_layers=1), "a dense layer needs an ffn_width"),
        (MLA | dict(rope_size=17), "rope_size exceeds head_size"),
        (DENSE | dict(query_rank=8), "query_rank belongs to"),
        (DENSE | dict(rope_size=8), "rope_size belongs to"),
        (DENSE | dict(weight_format=99), "weight_format is not a known format code"),
        (DENSE | dict(layers="4"), "layers: .*'4'.* is not a number"),
        (DENSE | dict(layers=[[4]]), "layers: a column has one dimension, not 2"),
        (DENSE | dict(layers=[1, 2], width=[1, 2, 3]), "width: 3 rows beside columns of 2"),
        (DENSE | dict(layer=4), "unknown architecture field 'layer'; nearest is 'layers'"),
        (DENSE | dict(names=("a", "b")), "names: 2 for 1 candidates"),
    ],
)
def test_models_that_cannot_exist(fields, says):
    with pytest.raises(SpecError, match=says):
        Architectures.checked(**fields)


def test_the_refused_row_is_named():
    fields = DENSE | dict(kv_heads=[2, 3])
    with pytest.raises(SpecError, match="candidate 1: query_heads"):
        Architectures.checked(**fields)
    with pytest.raises(SpecError, match="second: query_heads"):
        Architectures.checked(**fields, names=("first", "second"))


def table():
    return Architectures(**DENSE | dict(layers=[1, 2, 3]), names=("a", "b", "c"))


@pytest.mark.parametrize(
    ("index", "layers"),
    [
        (1, [2]),
        (-1, [3]),
        (np.int64(0), [1]),
        (slice(1, None), [2, 3]),
        ([2, 0, 2], [3, 1, 3]),
        (np.array([True, False, True]), [1, 3]),
        (slice(0, 0), []),
    ],
)
def test_rows(index, layers):
    picked = table()[index]
    assert len(picked) == len(layers)
    assert picked.layers.tolist() == layers
    assert picked.names == tuple("abc"[n - 1] for n in layers)


@pytest.mark.parametrize("index", [3, -4])
def test_no_such_row(index):
    with pytest.raises(IndexError):
        table()[index]


def test_columns_of_constants_keep_the_length_of_a_table():
    constants = concatenate([Architectures(**DENSE)] * 3)
    picked = Architectures(**{name: getattr(constants, name)[:1] for name in columns()})[[0, 0]]
    assert len(picked) == 2
    assert len(table()[1:].width) == 1


def test_columns_are_read_only_and_the_callers_array_stays_its_own():
    layers = np.array([1, 2])
    frozen = Architectures(**DENSE | dict(layers=layers))
    with pytest.raises(ValueError, match="read-only"):
        frozen.layers[0] = 9
    layers[0] = 5


def test_rows_as_dictionaries_round_trip():
    models = [DENSE | dict(weight_format="int4"), MOE | dict(window=8, window_share=0.5)]
    built = Architectures.from_rows(models)
    again = Architectures.from_rows([built.row(i) for i in range(2)])
    assert [again.row(i) for i in range(2)] == [built.row(i) for i in range(2)]
    assert built.row(0)["weight_format"] == "int4"
    assert built.row(1)["vocabulary"] == 100
    assert list(built.to_frame()["weight_format"]) == ["int4", "fp16"]


def test_rows_that_lack_a_field():
    with pytest.raises(SpecError, match="width is missing"):
        Architectures.from_rows([{k: v for k, v in DENSE.items() if k != "width"}])
    with pytest.raises(SpecError, match="architecture 1: width is missing"):
        Architectures.from_rows([DENSE, {k: v for k, v in DENSE.items() if k != "width"}])
    with pytest.raises(SpecError, match="no architectures"):
        Architectures.from_rows([])


def test_stacking_keeps_order_and_names():
    both = concatenate([table(), table()[1]])
    assert both.layers.tolist() == [1, 2, 3, 2]
    assert both.names == ("a", "b", "c", "b")
    assert concatenate([table(), Architectures(**DENSE)]).names == ()


def test_formats_by_name():
    model = Architectures(**DENSE)
    row = model.with_formats("int4", kv="int8").row()
    assert (row["weight_format"], row["embedding_format"]) == ("int4", "fp16")
    assert (row["kv_format"], row["activation_format"]) == ("int8", "fp16")
    assert model.with_formats("q4_k_m").row()["embedding_format"] == "q4_k_m"
    with pytest.raises(SpecError, match="nearest is 'int4'"):
        model.with_formats("imt4")
    with pytest.raises(SpecError, match="not a format for this: 'q4_0'"):
        model.with_formats(activations="q4_0")


def test_every_default_is_a_model_that_can_exist():
    assert set(defaults()) < set(columns())
    model = Architectures.checked(**DENSE | defaults())
    assert {name: getattr(model, name)[0] for name in defaults()} == defaults()
