"""Spaces against an enumeration in plain Python, and what their files may say."""

import itertools
import math

import numpy as np
import pytest

from arch_space import grid
from arch_space.spaces import Space, load_space, shipped_spaces
from spec_files import SpecError, parse_spec

SMALL = """
name: small
fixed: {vocabulary: 1000, ffn_multiple: 32}
dimensions:
  layers: {from: 2, to: 6, step: 2}
  width: [192, 256, 320, 384]
  head_size: [64, 96, 128]
  kv_heads: [1, 2, 3, all]
  ffn_ratio: [0.3, 0.31, 1, 2.67]
  experts, experts_per_token: [[1, 1], [4, 1], [4, 2], [1, 2]]
  weight_format: [fp16, int4, q4_k_m]
rules:
  - expert_width >= 48 if experts > 1
  - kv_heads * head_size <= width
  - ffn_ratio >= 0.31 if layers > 2
"""
MANY = "{from: 1, to: 9000, step: 1}"


def small() -> Space:
    return parse_spec(SMALL, Space, "small.yaml")


def by_hand() -> list[dict[str, object]]:
    """Every candidate of SMALL, in order, each once."""
    found: list[dict[str, object]] = []
    for layers, width, size, kv, ratio, (experts, active), form in itertools.product(
        (2, 4, 6),
        (192, 256, 320, 384),
        (64, 96, 128),
        (1, 2, 3, "all"),
        (0.3, 0.31, 1, 2.67),
        ((1, 1), (4, 1), (4, 2), (1, 2)),
        ("fp16", "int4", "q4_k_m"),
    ):
        heads = width // size
        kv = heads if kv == "all" else kv
        inner = 32 * math.ceil(ratio * width / active / 32 - 1e-9)
        if width % size or heads % kv or active > experts:
            continue
        if experts > 1 and inner < 48:
            continue
        if kv * size > width or (layers > 2 and ratio < 0.31):
            continue
        one = {
            "layers": layers,
            "width": width,
            "query_heads": heads,
            "head_size": size,
            "kv_heads": kv,
            "ffn_width": inner if experts == 1 else 0,
            "expert_width": inner if experts > 1 else 0,
            "experts": experts,
            "experts_per_token": active,
            "weight_format": form,
            "embedding_format": "q4_k_m" if form == "q4_k_m" else "fp16",
        }
        if one not in found:
            found.append(one)
    return found


def rows(space: Space) -> list[dict[str, object]]:
    arch, _ = space.candidates()
    frame = arch.to_frame()
    return frame[list(by_hand()[0])].to_dict("records")


def test_candidates_are_those_of_a_loop_in_plain_python():
    space = small()
    assert rows(space) == by_hand()
    assert space.valid_count == len(by_hand())
    assert space.size == 3 * 4 * 3 * 4 * 4 * 4 * 3


def test_every_candidate_passes_the_checks_of_a_table():
    for name in shipped_spaces():
        space = load_space(name)
        rng = np.random.default_rng(0)
        points = rng.integers(space.size, size=20_000)
        space.at(points[space.valid(points)]).check()
    small().candidates()[0].check()


@pytest.mark.parametrize("block", [1, 7, 100, 10**6])
def test_blocks_of_any_length_give_the_same_candidates(block):
    space = small()
    _, whole = space.candidates()
    parts = [space.candidates(i, i + block)[1] for i in range(0, space.size, block)][:2000]
    joined = np.concatenate(parts)
    np.testing.assert_array_equal(joined, whole[: len(joined)])


def test_masks_too_large_to_fold_count_the_same(monkeypatch):
    folded = small().valid_count
    monkeypatch.setattr(grid, "_MERGE", 1)
    space = small()
    assert len(space._grid.rules) > 1
    assert space.valid_count == folded
    assert rows(space) == by_hand()


def test_choices_and_indices_are_inverse():
    space = small()
    points = np.arange(space.size)
    np.testing.assert_array_equal(space.indices(space.choices(points)), points)
    assert space.axes[5] == ("experts", "experts_per_token")
    assert space.labels(3) == ["1", "2", "3", "all"]
    assert space.labels(5)[2] == "4 / 2"
    assert space.labels(6) == ["fp16", "int4", "q4_k_m"]


def test_a_point_out_of_the_grid_is_refused():
    space = small()
    with pytest.raises(SpecError, match="outside"):
        space.at(np.array([space.size]))
    assert len(space.at(np.array([], dtype=int))) == 0


def test_heads_may_be_given_instead_of_their_size():
    text = """
    name: heads
    fixed: {vocabulary: 10, ffn_width: 64, kv_heads: 1}
    dimensions: {layers: [1], width: [96, 100], query_heads: [3, 4]}
    """
    arch, _ = parse_spec(text, Space, "x").candidates()
    assert list(zip(arch.query_heads, arch.head_size, strict=True)) == [(3, 32), (4, 24), (4, 25)]


def test_fields_without_effect_do_not_multiply_candidates():
    text = """
    name: windows
    fixed: {vocabulary: 10, kv_heads: 1, head_size: 64, width: 64}
    dimensions:
      layers: [4, 8]
      window: [0, 128, 256]
      window_share: [0, 0.5]
      experts: [1, 8]
      expert_width: [32, 64]
      ffn_width: [96, 128]
    """
    space = parse_spec(text, Space, "x")
    arch, _ = space.candidates()
    # No window or one of two that half the layers use; a dense network of two, or experts of two.
    assert len(arch) == space.valid_count == 2 * (1 + 2) * (2 + 2)
    arch.check()


def test_a_geometric_series_has_both_ends():
    text = SMALL.replace("{from: 2, to: 6, step: 2}", "{from: 2, to: 16, factor: 2}")
    arch, _ = parse_spec(text, Space, "x").candidates()
    assert sorted(set(arch.layers.tolist())) == [2, 4, 8, 16]


@pytest.mark.parametrize("name", [*shipped_spaces(), "small"])
def test_a_space_survives_the_way_through_yaml(name):
    space = small() if name == "small" else load_space(name)
    again = parse_spec(space.to_yaml(), Space, "again.yaml")
    assert again == space
    assert again.valid_count == space.valid_count


def test_default_space_has_more_than_ten_million_candidates():
    assert load_space("on-device").valid_count >= 10**7


def test_paper_grid_is_that_of_table_5():
    arch, _ = load_space("paper-grid").candidates()
    pairs = set(zip(arch.experts.tolist(), arch.experts_per_token.tolist(), strict=True))
    assert sorted(set(arch.layers.tolist())) == list(range(4, 33, 4))
    assert pairs == {(1, 1), (8, 1), (8, 2), (16, 1), (16, 2)}
    assert (arch.width.min(), arch.width.max()) == (768, 3072)
    assert {1, 2, 4, 8, 12, 48} <= set(arch.kv_heads.tolist())
    # 12 heads of 64 fill a width of 768, and 8 KV heads do not divide them.
    assert len(arch) == 8 * 5 * 7 * (5 * 5 - 1)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("layers:", "layer:", r"x.yaml:5: dimensions.layer: unknown field 'layer'.*'layers'"),
        ("step: 2", "stp: 2", r"dimensions.layers.stp: unknown key; nearest is 'step'"),
        ("step: 2", "step: 0", r"dimensions.layers: step must be positive, not 0"),
        ("to: 6", "to: 1", r"dimensions.layers: runs from 2 down to 1"),
        ("[64, 96, 128]", "64", r"dimensions.head_size: read 64 where a list belongs"),
        ("[64, 96, 128]", "[64, 64]", r"dimensions.head_size: gives 64 twice"),
        ("[64, 96, 128]", "[64, 1.5]", r"head_size\[1\]: read 1.5 where a whole number belongs"),
        ("3, all]", "3, al]", r"kv_heads\[3\]: read 'al' where a number or 'all' belongs"),
        ("[4, 2]", "[4]", r"experts_per_token\[2\]: read \[4\] where 2 values belong"),
        ("q4_k_m]", "q4_k_mm]", r"weight_format\[2\]: unknown number format.*'q4_k_m'"),
        ("vocabulary: 1000", "ffn_width: 9", r"vocabulary is missing"),
        ("vocabulary: 1000", "vocabulary: 9, ffn_width: 9", r"ffn_width follows from ffn_ratio"),
        ("vocabulary: 1000", "vocabulary: 9, width: 9", r"width is given in fixed too"),
        ("vocabulary: 1000", "vocabulary: 9, gated: 1", r"read 1 where true or false belongs"),
        ("* head_size <=", "* head_siz <=", r"rules\[1\]: .*unknown field 'head_siz'.*head_size"),
        ("* head_size <= width", "", r"rules\[1\]: 'kv_heads' is not a rule: write e.g."),
        ("<= width", "<= __import__('os')", r"rules\[1\]: .*unknown field"),
        ("rules:", "rulez:", r"rulez: unknown key; nearest is 'rules'"),
        (
            "to: 6",
            "to: 1e12",
            r"layers.to: read 1000000000000.0 where a number of at most 2147483648",
        ),
        (
            "step: 2",
            "step: 1e-9",
            r"layers: has 4e\+09 values, where a dimension has at most 10,000",
        ),
        ("step: 2", "step: 1e-320", r"layers: has inf values, where"),
        ("6, step: 2", "2, step: 1e-320, factor: 2", r"layers: needs either a step or a factor"),
        ("step: 2", "factor: 1.0000000001", r"layers: has 1.1e\+10 values, where"),
        ("[64, 96, 128]", f"{[*range(1, 10_002)]}", r"head_size: has 10,001 values, where"),
        ("[192, 256", "[9999999999", r"width\[0\]: read 9999999999 where a number of at most 2147"),
        ("[192, 256", "[.inf", r"width\[0\]: read inf where a number of at most 2147483648"),
        (
            "[192, 256",
            f"[{'9' * 23}",
            r"x.yaml:6: .*width\[0\]: read '9{23}', a whole number beyond",
        ),
        (">= 48 if", ">= 4294967296 if", r"rules\[0\]: .*: a number of at most 2147483648 belongs"),
    ],
)
def test_an_error_says_where_and_what_is_nearest(old, new, says):
    assert old in SMALL
    with pytest.raises(SpecError, match=says) as error:
        parse_spec(SMALL.replace(old, new, 1), Space, "x.yaml")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "kv_heads * head_size <=",
            "0 divides",
            r"x.yaml:14: rules\[1\]: .*'0 divides width' holds",
        ),
        (
            "size <= width",
            "size > 99 * width",
            r"rules\[1\]: .*'.* > 99 \* width' holds nowhere\.$",
        ),
        ("[1, 2, 3, all]", "[7]", r"'kv_heads divides query_heads' holds nowhere\.$"),
        ("[[1, 1], [4, 1], [4, 2], [1, 2]]", "[[1, 2]]", "'experts_per_token is at most experts'"),
        ("[64, 96, 128]", "[100]", r"'head_size divides width' holds nowhere\.$"),
        (
            "layers:",
            "dense_layers: [9]\n  layers:",
            r"'dense_layers is at most layers' holds nowhere\.$",
        ),
        (
            "kv_heads * head_size <= width",
            "layers >= 4\n  - layers < 4",
            r"x.yaml:15: rules\[2\]: .*'layers < 4' holds nowhere that the rest of the space",
        ),
    ],
)
def test_a_space_without_a_candidate_says_what_leaves_none(old, new, says):
    assert old in SMALL
    with pytest.raises(SpecError, match=says) as error:
        parse_spec(SMALL.replace(old, new, 1), Space, "x.yaml")
    assert "no candidate of small is left: " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"[192, 256, 320, 384]": MANY, "[64, 96, 128]": MANY},
            "dimensions: width x head_size x kv_heads depend on each other and have 324,000,000 ",
        ),
        (
            {"[192, 256, 320, 384]": MANY, "[0.3, 0.31, 1, 2.67]": "{from: 1, to: 8, step: 0.001}"},
            "dimensions: width x ffn_ratio x experts, experts_per_token depend on",
        ),
        (
            {"[192, 256, 320, 384]": MANY, "{from: 2, to: 6, step: 2}": MANY, "> 1": "> layers"},
            r"rules\[0\]: layers x width x .* depend on each other .*; at most 10,000,000 can be",
        ),
    ],
)
def test_dimensions_that_depend_on_each_other_may_not_be_too_many(changes, says):
    text = SMALL
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(SpecError, match=says):
        parse_spec(text, Space, "x.yaml")


def test_a_series_that_does_not_move_ends():
    text = SMALL.replace("to: 6, step: 2", "to: 2, step: 1e-320")
    assert parse_spec(text, Space, "x").shape[0] == 1


def test_a_space_of_many_values_loads_and_counts():
    text = SMALL.replace("[0.3, 0.31, 1, 2.67]", "{from: 1, to: 8, step: 0.001}")
    space = parse_spec(
        text.replace("[192, 256, 320, 384]", "{from: 64, to: 6400, step: 64}"), Space, "x"
    )
    assert space.valid_count < space.size == 3 * 100 * 3 * 4 * 7001 * 4 * 3


def test_an_unknown_space_names_the_nearest():
    with pytest.raises(SpecError, match="nearest is 'on-device'"):
        load_space("ondevice")
