"""Loss laws: the interface, the co-design law, Chinchilla."""

import itertools

import numpy as np
import pytest
import yaml

from arch_space.architectures import Architectures
from roofline.laws import law_names, load_law, out_of_range_reasons, predict, variables
from roofline.laws.forms.codesign import CodesignLaw
from roofline.laws.law import FOLDER
from spec_files import SpecError

QWEN = {  # Qwen2.5-0.5B
    "layers": 24,
    "width": 896,
    "query_heads": 14,
    "kv_heads": 2,
    "head_size": 64,
    "ffn_width": 4864,
    "vocabulary": 151_936,
    "qkv_bias": True,
}


def model(**changes):
    return Architectures(**(QWEN | changes))


def grid(expansions):
    """The paper's grid, heads of 64; its FFN expansions are not published."""
    rows = []
    for layers, width, (experts, active), r in itertools.product(
        range(4, 33, 4),
        range(768, 3073, 256),
        [(1, 1), (8, 1), (8, 2), (16, 1), (16, 2)],
        expansions,
    ):
        for kv_heads in (1, 2, 4, 8, width // 64):
            rows.append((layers, width, experts, active, r, kv_heads))
    layers, width, experts, active, r, kv_heads = np.array(rows).T
    return Architectures(
        layers=layers,
        width=width,
        query_heads=width / 64,
        kv_heads=kv_heads,
        head_size=64,
        ffn_width=r * width,
        vocabulary=32_000,
        experts=experts,
        experts_per_token=active,
        expert_width=r * width / active,
    )


@pytest.fixture(scope="module")
def codesign():
    return load_law("codesign")


# The interface


def test_shipped_laws_load_and_say_where_they_come_from():
    assert {"chinchilla", "chinchilla-2022", "codesign"} <= {*law_names()}
    for name in law_names():
        law = load_law(name)
        assert law.name == name
        assert "arXiv" in law.source
        assert law.title
        assert law.data
        assert law.date


def test_unknown_law_names_the_nearest():
    with pytest.raises(SpecError, match="nearest is 'codesign'"):
        load_law("co-design")


def test_a_law_joins_as_a_yaml_file(tmp_path):
    mine = yaml.safe_load((FOLDER / "chinchilla.yaml").read_text()) | {"title": "Mine", "e": 1.0}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(mine))
    law = load_law(path)
    assert law.name == "mine"
    shift = law.loss(model()) - load_law("chinchilla").loss(model())
    assert shift == pytest.approx(1.0 - 1.8172)
    path.write_text(yaml.safe_dump(mine | {"form": "chinchila"}))
    with pytest.raises(SpecError, match="nearest is 'chinchilla'"):
        load_law(path)
    path.write_text(yaml.safe_dump({k: v for k, v in mine.items() if k != "alpha"}))
    with pytest.raises(SpecError, match="alpha: missing"):
        load_law(path)


def test_constant_columns_give_every_candidate_its_loss(codesign):
    for law in map(load_law, law_names()):
        own = [part.shape for part in law.variables_of(model(layers=[12, 24, 24]))]
        assert set(own) <= {(1,), (3,)}, law.name
        many = predict(law, model(layers=[12, 24, 24]))
        assert many.loss.shape == many.in_range.shape == many.penalty.shape == (3,)
        assert many.loss[1] == many.loss[2] == predict(law, model()).loss[0]


def test_chunks_agree_with_single_candidates(codesign):
    layers = np.arange(40_000) % 40 + 1
    whole = predict(codesign, model(layers=layers))
    rows = [0, 16_383, 16_384, 39_999]
    for row in rows:
        one = predict(codesign, model(layers=layers[row]))
        assert whole.loss[row] == one.loss[0]
        assert whole.in_range[row] == one.in_range[0]


# The co-design law


def test_qwen_shape(codesign):
    assert codesign.loss(model()) == pytest.approx([3.4754], abs=5e-5)
    assert codesign.in_range(model()).all()


def test_terms_by_hand(codesign):
    # l 16, d 1024, r 2, rho 1/8, d_m 256
    by_hand = (
        9.96 / 16**1.63
        + 0.031 * 0.125**1.09 / (2**0.17 * 1024**-0.33)
        + 500 / (2**0.17 * 1024**0.97)
        + 0.20 / 256**0.05
        + 2.53
    )
    moe = model(
        layers=16, width=1024, query_heads=16, kv_heads=4, experts=8, expert_width=2048, ffn_width=0
    )
    assert codesign.loss(moe) == pytest.approx([by_hand])
    top_two = {"experts": 16, "experts_per_token": 2, "expert_width": 1024, "ffn_width": 0}
    moe = model(layers=16, width=1024, query_heads=16, kv_heads=4, **top_two)
    assert codesign.loss(moe) == pytest.approx([by_hand])


def test_range_over_the_papers_grid(codesign):
    """2.879 to 4.939 is the grid with r up to 4; r up to 8 reaches down to 2.859."""
    published = grid((0.5, 1, 2, 3, 4))
    losses = codesign.loss(published)
    assert losses.min() == pytest.approx(2.879, abs=6e-4)
    assert losses.max() == pytest.approx(4.939, abs=6e-4)
    assert codesign.in_range(published).all()
    wider = grid((0.5, 1, 2, 3, 4, 5.33, 8))
    assert codesign.loss(wider).min() == pytest.approx(2.859, abs=6e-4)
    assert codesign.in_range(wider).all()


def test_nothing_past_the_artefact_in_width_is_in_range(codesign):
    width = np.arange(768, 8192, 16.0)
    dense = model(width=width, query_heads=width / 64, ffn_width=4 * width)
    losses = codesign.loss(dense)
    assert width[losses.argmin()] == pytest.approx(3952, abs=16)
    assert (codesign.in_range(dense) == (width <= 3072)).all()


def test_integer_and_float_columns_agree(codesign):
    small = {"layers": np.int8(24), "kv_heads": np.int8(2), "head_size": np.int8(64)}
    mixed = model(**small, experts=np.int8(16), experts_per_token=np.int8(2), expert_width=2432)
    assert codesign.loss(mixed) == pytest.approx(codesign.loss(mixed.as_float()), rel=1e-14)
    assert variables.cached_width(mixed) == 128


def test_shared_experts_and_dense_layers_enter_and_are_flagged(codesign):
    moe = {"experts": 15, "experts_per_token": 1, "expert_width": 896}
    shared = model(**moe, shared_experts=1)
    assert variables.expansion(shared) == 2
    assert variables.activation(shared) == 2 / 16
    mixed = model(**moe, dense_layers=6)  # a quarter of the layers
    assert variables.expansion(mixed) == pytest.approx((0.75 * 896 + 0.25 * 4864) / 896)
    stored = 0.75 * 15 * 896 + 0.25 * 4864
    assert variables.activation(mixed) == pytest.approx((0.75 * 896 + 0.25 * 4864) / stored)
    assert codesign.out_of_range_reasons(shared) == ["shared experts"]
    assert codesign.out_of_range_reasons(mixed) == ["leading dense layers"]


def test_two_matrices_count_as_the_gated_network_of_equal_parameters(codesign):
    plain = model(gated=False, ffn_width=3 * 1024)
    assert codesign.loss(plain) == pytest.approx(codesign.loss(model(ffn_width=2 * 1024)))
    assert codesign.out_of_range_reasons(plain) == ["FFN of two matrices"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"width": 4096, "query_heads": 64, "ffn_width": 8192}, "width 4096 above 3072"),
        ({"layers": 33}, "layers 33 above 32"),
        ({"layers": 2}, "layers 2 below 4"),
        ({"ffn_width": 224}, "FFN expansion 0.25 below 0.5"),
        ({"experts": 64, "expert_width": 896}, "experts 64 above 16"),
        (
            {"experts": 16, "experts_per_token": 4, "expert_width": 896},
            "experts per token 4 above 2",
        ),
        ({"query_heads": 16}, "query heads x head size 1024 is not the width"),
        ({"head_size": 8, "query_heads": 112, "kv_heads": 16}, "head size 8 below 64"),
        ({"head_size": 896, "query_heads": 1, "kv_heads": 1}, "head size 896 above 128"),
        ({"kv_heads": 28}, "cached width 1792 above the width"),
        ({"window": 512, "window_share": 0.5}, "sliding-window layers"),
        ({"kv_rank": 128, "rope_size": 32}, "latent attention (MLA)"),
        ({"value_size": 128}, "own value size"),
    ],
)
def test_what_the_data_lacked_is_flagged_with_its_reason(codesign, changes, reason):
    table = model(**{name: [QWEN.get(name, 1), value] for name, value in changes.items()})
    table = table if "value_size" not in changes else model(value_size=[64, 128])
    assert codesign.out_of_range_reasons(table)[1] == reason
    assert not codesign.in_range(table)[1]


def test_keys_are_at_least_one_head_of_64_wide(codesign):
    narrow = model(head_size=8, query_heads=112, kv_heads=1)
    assert codesign.out_of_range_reasons(narrow) == [
        "head size 8 below 64; cached width 8 below 64"
    ]
    for head_size in (64, 128):
        edge = model(head_size=head_size, query_heads=896 // head_size, kv_heads=1)
        assert codesign.in_range(edge).all()
    assert codesign.in_range(model(kv_heads=14)).all()


def test_reasons_and_range_agree_and_accumulate(codesign):
    table = model(layers=[24, 33], width=[896, 4096], query_heads=[14, 64], ffn_width=[4864, 8192])
    assert out_of_range_reasons(codesign, table) == [
        "",
        "layers 33 above 32; width 4096 above 3072",
    ]
    assert predict(codesign, table).in_range.tolist() == [True, False]
    assert not codesign.in_range(model(layers=np.nan)).any()


def test_latent_attention_enters_by_its_cached_width():
    assert variables.cached_width(model(kv_rank=512, rope_size=64)) == 576


def test_tokens_of_the_codesign_law_are_fixed(codesign):
    assert load_law("codesign", tokens=10e9) == codesign
    with pytest.raises(SpecError, match=r"1e\+10 training tokens only"):
        load_law("codesign", tokens=20e9)


def test_coefficients_are_the_published_ones(codesign):
    assert isinstance(codesign, CodesignLaw)
    published = {"k_l": 9.96, "a_l": 1.63, "k_rho": 0.031, "a_rho": 1.09, "b1": -0.33, "k_d": 500}
    published |= {"b2": 0.97, "a_r": 0.17, "k_m": 0.20, "a_m": 0.05, "l_inf": 2.53}
    assert {name: getattr(codesign, name) for name in published} == published


# Chinchilla


def test_chinchilla_by_hand():
    replication, original = load_law("chinchilla"), load_law("chinchilla-2022")
    assert original.at(70e9, 1.4e12) == pytest.approx(1.9366, abs=2e-4)
    assert original.at(1e9, 1e10) == pytest.approx(
        1.69 + 406.4 / 1148.154 + 410.7 / 630.957, abs=1e-4
    )
    assert replication.at(1e9, 1e10) == pytest.approx(
        1.8172 + 482.01 / 10**3.1302 + 2085.43 / 10**3.658
    )


def test_chinchilla_counts_every_stored_parameter():
    law = load_law("chinchilla", tokens=20e9)
    assert law.tokens == 20e9
    assert law.loss(model()) == pytest.approx([law.at(494_032_768, 20e9)])  # Qwen2.5-0.5B


def test_chinchilla_flags_size_tokens_and_experts():
    law = load_law("chinchilla")
    assert law.in_range(model()).all()
    tiny = model(layers=4, width=256, query_heads=4, ffn_width=1024, vocabulary=1000)
    (reason,) = law.out_of_range_reasons(tiny)
    assert reason.startswith("parameters")
    assert reason.endswith("below 4.4e+07")
    assert law.out_of_range_reasons(model(experts=8, expert_width=896)) == ["mixture of experts"]
    short = load_law("chinchilla", tokens=1e9)
    assert short.out_of_range_reasons(model()) == ["training tokens 1e+09 below 5e+09"]
    with pytest.raises(SpecError, match="tokens"):
        load_law("chinchilla", tokens=-1)
