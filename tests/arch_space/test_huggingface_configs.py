"""config.json in and out: published files, round trips, and what is refused."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arch_space.architectures import Architectures, columns
from arch_space.huggingface import FAMILIES, families_of, from_huggingface, to_huggingface
from arch_space.huggingface.families import WRAPPERS
from arch_space.huggingface.keys import ACTIVATIONS
from arch_space.huggingface.layers import (
    DELTA_NET,
    GEMMA_3N,
    GEMMA_4,
    NEMOTRON_H,
    SHORT_CONVOLUTIONS,
)
from arch_space.library import load_model, reference_model, shipped_models
from spec_files import SpecError

CONFIGS = Path(__file__).parents[1] / "data" / "configs"
PUBLISHED = sorted(path.stem for path in CONFIGS.glob("*.json"))


def published(name: str) -> dict:
    return json.loads((CONFIGS / f"{name}.json").read_text())


def assert_same(one: Architectures, other: Architectures) -> None:
    for name in columns():
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_there_is_a_published_config_of_every_known_type():
    types = {config.get("model_type") for config in map(published, PUBLISHED)}
    assert types == {*FAMILIES, *WRAPPERS} - {"gemma3n_text", "gemma4_text", "qwen3_5_moe_text"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_config_is_the_shipped_model_of_its_name(name):
    assert_same(from_huggingface(published(name), name), load_model(name))


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("short", [False, True])
def test_transformers_5_writes_the_same_model_in_other_words(name, short, tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps(published(name)))
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    rewritten = json.loads(config.to_json_string(use_diff=short))
    assert "rope_theta" not in rewritten
    assert_same(from_huggingface(rewritten, name), load_model(name))


@pytest.mark.parametrize("name", [n for n in shipped_models() if reference_model(n).family])
def test_a_shipped_model_survives_the_round_trip(name):
    model = reference_model(name)
    arch = model.architectures()
    config = to_huggingface(arch, model.family)
    assert_same(from_huggingface(json.loads(json.dumps(config)), name), arch)
    assert model.family in families_of(arch)


def shares(experts) -> bool:
    return bool(experts.shared or experts.shared_width)


def recurrent(draw) -> dict:
    groups, size = draw(st.integers(1, 3)), st.integers(1, 32)
    return {
        "state_heads": groups * draw(st.integers(1, 3)),
        "state_groups": groups,
        "state_head_size": draw(size),
        "state_size": draw(size),
        "kernel": draw(st.integers(2, 5)),
    }


def delta_nets(draw, row: dict) -> dict:
    return recurrent(draw) | {"delta_layers": draw(st.integers(1, row["layers"]))}


def short_convolutions(draw, row: dict) -> dict:
    width = row["query_heads"] * row["head_size"]  # it has no head_dim
    layers = draw(st.integers(1, row["layers"]))
    return {"width": width, "convolution_layers": layers, "kernel": draw(st.integers(2, 5))}


def nemotron_h(draw, row: dict) -> dict:
    mamba, attending, mlp, moe = (draw(st.integers(0, 3)) for _ in range(4))
    found = recurrent(draw) | {
        "layers": mamba + attending + mlp + moe + 1,
        "tied_embedding": False,
        "mamba_layers": mamba,
        "ffn_layers": mlp + moe + 1,
    }
    if not moe:
        return found
    latent = draw(st.sampled_from([0, 24]))
    return found | {
        "experts": 6,
        "experts_per_token": draw(st.integers(1, 6)),
        "expert_width": draw(st.integers(1, 64)),
        "shared_experts": draw(st.integers(1, 3)),
        "dense_layers": mlp + 1,
        "router_bias": True,
        "expert_latent": latent,
    }


def own_embeddings(draw, row: dict) -> dict:
    """Of the layers, those that share a cache slide as often as the others, whole periods of 3."""
    shared, own = 3 * draw(st.integers(0, 3)), 3 * draw(st.integers(1, 3))
    layers = shared + own
    return {
        "layers": layers,
        "window": draw(st.integers(1, 4096)),
        "window_share": (layers - layers // 3) / layers,
        "shared_kv_layers": shared,
        "layer_embedding": draw(st.integers(1, 32)),
        "layer_vocabulary": draw(st.sampled_from([0, 5000])),
    }


def gemma_3n(draw, row: dict) -> dict:
    found = own_embeddings(draw, row) | {"norms": 8}
    return found | {"streams": draw(st.integers(1, 5)), "laurel_rank": draw(st.integers(1, 64))}


def gemma_4(draw, row: dict) -> dict:
    found = own_embeddings(draw, row) | {
        "norms": 5,
        "full_head_size": 2 * draw(st.integers(2, 64)),
    }
    if draw(st.booleans()):
        found |= {"full_kv_heads": 1, "value_is_key": True}
    if found["shared_kv_layers"] and draw(st.booleans()):
        wide = {"wide_layers": found["shared_kv_layers"], "wide_width": 2 * row["ffn_width"]}
        return found | wide
    if draw(st.booleans()):
        return found
    return found | {
        "norms": 9,
        "ffn_width": 0,
        "experts": 6,
        "experts_per_token": draw(st.integers(1, 6)),
        "expert_width": draw(st.integers(1, 64)),
        "shared_experts": draw(st.integers(1, 3)),
        "router_bias": True,
    }


KINDS = {
    DELTA_NET: delta_nets,
    SHORT_CONVOLUTIONS: short_convolutions,
    NEMOTRON_H: nemotron_h,
    GEMMA_3N: gemma_3n,
    GEMMA_4: gemma_4,
}


@st.composite
def candidates(draw, most_layers=40):
    """A candidate, and a model type that was made to say it."""
    family = draw(st.sampled_from(sorted(FAMILIES)))
    fixed = FAMILIES[family]
    count = st.integers(1, 4096)
    layers = draw(st.integers(1, most_layers))
    kv_heads, group = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    heads = kv_heads * group
    row = {
        "layers": layers,
        "width": heads * draw(st.integers(1, 128)),
        "query_heads": heads,
        "kv_heads": kv_heads,
        "head_size": draw(st.integers(2, 128)) * 2,
        "ffn_width": draw(count),
        "vocabulary": draw(count),
        "tied_embedding": draw(st.booleans()),
        "qkv_bias": fixed.qkv_bias,
        "gated": fixed.gated,
        "norms": fixed.norms,
        "qk_norm": ["none", "head", "projection"].index(fixed.qk_norm),
        **fixed.fixed,
    }
    if fixed.heads_fill_width:
        row["width"] = heads * row["head_size"]
    if fixed.experts:
        experts = draw(st.integers(2, 64))
        row |= {
            "experts": experts,
            "experts_per_token": draw(st.integers(1, experts)),
            "expert_width": draw(count),
            "shared_experts": draw(st.integers(1, 3)) if shares(fixed.experts) else 0,
            "dense_layers": draw(st.integers(0, layers)) if fixed.experts.dense else 0,
        }
        row["ffn_width"] *= row["dense_layers"] > 0
    if fixed.latent:
        row |= {
            "kv_heads": heads,
            "rope_size": 2 * draw(st.integers(1, row["head_size"] // 2 - 1)),
            "value_size": draw(count),
            "kv_rank": draw(count),
            "query_rank": draw(st.integers(0, 512)),
        }
    if fixed.windows.keys:
        some = "layer_types" in fixed.windows.keys
        sliding = draw(st.integers(0, layers) if some else st.sampled_from([0, layers]))
        row |= {"window": draw(count), "window_share": sliding / layers} if sliding else {}
    if fixed.kinds:
        row |= KINDS[fixed.kinds](draw, row)
    return Architectures.from_rows([row]), family


@given(candidates())
@settings(deadline=None, max_examples=300)
def test_any_candidate_survives_the_round_trip_in_its_family(drawn):
    arch, family = drawn
    assert_same(from_huggingface(to_huggingface(arch, family), "x"), arch)


@given(candidates(most_layers=4))
@settings(deadline=None, max_examples=40)
def test_any_candidate_is_the_model_that_transformers_builds(drawn):
    """Parameters, and which layers slide; the file is read as it stands."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from arch_space.tensors import parameter_count

    arch, family = drawn
    config = to_huggingface(arch, family)
    loaded = transformers.AutoConfig.for_model(**config)
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        built = transformers.AutoModelForCausalLM.from_config(loaded)
    kept = sum(b.numel() for name, b in built.named_buffers() if "correction_bias" in name)
    assert parameter_count(arch)[0] == kept + sum(p.numel() for p in built.parameters())
    if "layers_block_type" in config:
        return
    sliding = round(arch.window_share[0] * arch.layers[0])
    if "layer_types" in config:
        assert loaded.layer_types.count("sliding_attention") == sliding
    if sliding:
        assert loaded.sliding_window == arch.window[0]


@pytest.mark.parametrize(("name", "period"), [("gemma-2-2b", 2), ("gemma-3-1b", 6)])
def test_sliding_layers_are_written_where_the_published_model_has_them(name, period):
    model = reference_model(name)
    types = to_huggingface(model.architectures(), model.family)["layer_types"]
    assert [i + 1 for i, t in enumerate(types) if t == "full_attention"] == list(
        range(period, len(types) + 1, period)
    )


def test_keys_that_a_file_may_omit_take_the_defaults_of_their_config_class():
    transformers = pytest.importorskip("transformers")
    optional = ("num_key_value_heads", "head_dim", "tie_word_embeddings", "sliding_window",
                "use_sliding_window", "max_window_layers", "layer_types", "mlp_only_layers",
                "first_k_dense_replace")  # fmt: skip
    for name in PUBLISHED:
        config = published(name)
        if config["model_type"] in WRAPPERS:  # published without them already
            continue
        if not FAMILIES[config["model_type"]].latent:
            config |= {"num_attention_heads": 32, "hidden_size": 32 * 64}
        short = {key: value for key, value in config.items() if key not in optional}
        full = transformers.AutoConfig.for_model(**short).to_dict()
        assert_same(from_huggingface(short, name), from_huggingface(full, name))


QWEN2_WINDOWS = {"use_sliding_window": True, "sliding_window": 1024, "max_window_layers": 18}


@pytest.mark.parametrize(
    ("name", "change", "window", "sliding"),
    [
        ("qwen2.5-0.5b", QWEN2_WINDOWS, 1024, 6),
        ("qwen2.5-0.5b", QWEN2_WINDOWS | {"max_window_layers": 99}, 0, 0),
        ("qwen2.5-0.5b", QWEN2_WINDOWS | {"use_sliding_window": False}, 0, 0),
        (
            "qwen2.5-0.5b",
            QWEN2_WINDOWS | {"layer_types": ["sliding_attention", "full_attention"] * 12},
            1024,
            12,
        ),
        ("mistral-7b", {"sliding_window": None}, 0, 0),
        ("mixtral-8x7b", {"sliding_window": 100}, 100, 32),
        ("qwen3-30b-a3b", {"sliding_window": 100}, 0, 0),
        ("qwen3-30b-a3b", {"sliding_window": 100, "use_sliding_window": True}, 100, 48),
        ("gemma-3-1b", {"sliding_window_pattern": 2}, 512, 13),
        ("gemma-3-1b", {"layer_types": ["full_attention"] * 26}, 0, 0),
    ],
)
def test_sliding_layers_are_counted(name, change, window, sliding):
    arch = from_huggingface(published(name) | change, name)
    assert arch.window[0] == window
    assert arch.window_share[0] * arch.layers[0] == pytest.approx(sliding)


def test_leading_dense_layers_are_read():
    arch = from_huggingface(published("qwen3-30b-a3b") | {"mlp_only_layers": [0, 1]}, "x")
    assert arch.dense_layers[0] == 2
    assert arch.ffn_width[0] == 6144


REFUSED = [
    ("llama-3.2-1b", {"model_type": "lama"}, "model_type: read 'lama'; .*nearest is 'llama'"),
    ("llama-3.2-1b", {"model_type": "mamba"}, "model_type: read 'mamba'; not a known model type"),
    ("llama-3.2-1b", {"model_type": None}, "model_type: read None"),
    ("llama-3.2-1b", {"model_type": ["llama"]}, "model_type: read"),
    ("llama-3.2-1b", {"hidden_size": ...}, "hidden_size: missing"),
    ("llama-3.2-1b", {"hidden_size": ..., "hiden_size": 64}, "missing; nearest is 'hiden_size'"),
    ("llama-3.2-1b", {"hidden_size": "2048"}, "hidden_size: read '2048'; expected a whole number"),
    ("llama-3.2-1b", {"hidden_size": 2048.0}, "hidden_size: read 2048.0"),
    ("llama-3.2-1b", {"hidden_size": -2048}, "hidden_size: read -2048"),
    ("llama-3.2-1b", {"hidden_size": True}, "hidden_size: read True"),
    ("llama-3.2-1b", {"hidden_size": 2050}, "hidden_size: read 2050; llama wants a multiple"),
    ("llama-3.2-1b", {"num_hidden_layers": 0}, "num_hidden_layers: read 0"),
    ("llama-3.2-1b", {"vocab_size": None}, "vocab_size: read None"),
    ("llama-3.2-1b", {"num_key_value_heads": 7}, "num_key_value_heads: read 7; it does not divide"),
    ("llama-3.2-1b", {"tie_word_embeddings": "yes"}, "tie_word_embeddings: read 'yes'"),
    ("llama-3.2-1b", {"attention_bias": True}, "attention_bias: read True; a bias on the output"),
    ("llama-3.2-1b", {"mlp_bias": True}, "mlp_bias: read True"),
    ("llama-3.2-1b", {"layer_types": ["sliding_attention"] * 16}, "layer_types: read .* 0 layers"),
    ("llama-3.2-1b", {"quantization_config": {"bits": 4}}, "quantization_config: read"),
    ("qwen2.5-0.5b", {"head_dim": None, "num_attention_heads": 10}, "hidden_size: read 896; 10"),
    ("qwen2.5-0.5b", {"layer_types": ["full_attention"]}, "layer_types: .* a list of 24"),
    ("qwen2.5-0.5b", {"layer_types": "full"}, "layer_types: read 'full'"),
    ("qwen2.5-0.5b", {"layer_types": ["full"] * 24}, "unknown type 'full'"),
    ("qwen2.5-0.5b", {"layer_types": ["sliding_attention"] * 24}, "no sliding_window is in use"),
    ("qwen2.5-0.5b", {"use_sliding_window": 1}, "use_sliding_window: read 1; expected true"),
    ("gemma-2-2b", {"sliding_window": None}, "sliding_window: read None"),
    ("gemma-3-4b", {"text_config": ...}, "text_config: missing; expected the keys"),
    ("gemma-3-4b", {"text_config": {}}, "text_config: num_hidden_layers: missing"),
    ("olmoe-1b-7b", {"head_dim": 64}, "hidden_size: read 2048; olmoe wants"),
    ("mixtral-8x7b", {"num_local_experts": 1}, "num_local_experts: read 1"),
    ("mixtral-8x7b", {"num_experts_per_tok": 9}, "num_experts_per_tok: read 9; there are 8"),
    ("qwen3-30b-a3b", {"decoder_sparse_step": 2}, "decoder_sparse_step: read 2"),
    ("qwen3-30b-a3b", {"mlp_only_layers": [3]}, r"mlp_only_layers: read \[3\]; only leading"),
    ("qwen3-30b-a3b", {"mlp_only_layers": 3}, "mlp_only_layers: read 3"),
    ("deepseek-v2-lite", {"moe_layer_freq": 2}, "moe_layer_freq: read 2"),
    ("deepseek-v2-lite", {"first_k_dense_replace": 28}, "first_k_dense_replace: read 28"),
    ("deepseek-v2-lite", {"num_key_value_heads": 4}, "num_key_value_heads: read 4; latent"),
    ("qwen3.5-27b", {"attn_output_gate": False}, "attn_output_gate: read False; this model type"),
    ("qwen3.5-27b", {"full_attention_interval": 1}, "layer_types: .* none of them is a linear"),
    ("qwen3.5-27b", {"layer_types": ["mamba"] * 64}, "layer_types: read .*; unknown type 'mamba'"),
    ("qwen3.5-27b", {"linear_num_key_heads": 7}, "linear_num_key_heads: read 7; it does not"),
    ("qwen1.5-moe-a2.7b", {"shared_expert_intermediate_size": 5000}, "5000; expected a multiple"),
    ("lfm2-350m", {"conv_bias": True}, "conv_bias: read True; biases"),
    ("lfm2-350m", {"full_attn_idxs": [16]}, r"full_attn_idxs: read \[16\]; expected"),
    ("lfm2-350m", {"full_attn_idxs": ...}, "full_attn_idxs: missing"),
    ("nemotron-nano-9b-v2", {"hybrid_override_pattern": "MMX"}, "expected letters of M"),
    ("nemotron-nano-9b-v2", {"hybrid_override_pattern": "MM*"}, "none of them is a feed-forward"),
    ("nemotron-nano-9b-v2", {"layers_block_type": ["mambo"]}, "unknown type 'mambo'; nearest"),
    ("nemotron-nano-9b-v2", {"tie_word_embeddings": True}, "read True; this model type has a head"),
    ("nemotron-nano-9b-v2", {"use_bias": True}, "use_bias: read True"),
    ("nemotron-nano-9b-v2", {"use_conv_bias": False}, "use_conv_bias: read False"),
    ("gpt-oss-20b", {"mlp_bias": True}, "mlp_bias: read True"),
    ("llama-3.2-1b", {"head_dim": 63}, "head_dim: read 63; a rotary embedding"),
    ("deepseek-v2-lite", {"q_lora_rank": ...}, "q_lora_rank: missing"),
    ("llama-3.2-1b", {"hidden_size": 10**23}, "hidden_size: read 10{23}; .* at most 2147483648"),
    ("llama-3.2-1b", {"hidden_size": "9" * 5000}, r"hidden_size: read '9{50,60}\.\.\.; expected"),
    ("llama-3.2-1b", {"hidden_act": "sillu"}, "hidden_act: read 'sillu'; .*nearest is 'silu'"),
    ("llama-3.2-1b", {"hidden_act": None}, "hidden_act: read None; expected the name of"),
    ("gemma-2b", {"hidden_activation": "gelu_tanh"}, "hidden_activation: read 'gelu_tanh'; not a"),
    (
        "qwen2.5-0.5b",
        {"num_key_value_heads": ...},
        "num_key_value_heads: missing, which to qwen2 means 32; it does not divide the 14 query",
    ),
]


@pytest.mark.parametrize(("name", "change", "says"), REFUSED)
def test_what_no_column_can_say_is_refused_in_one_sentence(name, change, says):
    config = published(name) | change
    config = {key: value for key, value in config.items() if value is not ...}
    with pytest.raises(SpecError, match=says) as error:
        from_huggingface(config, "models/x/config.json")
    sentence = str(error.value)
    assert sentence.startswith("models/x/config.json: ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("name", "family", "change", "says"),
    [
        ("qwen2.5-0.5b", "qwen3", {}, "qwen3 cannot say this candidate: .*; qwen2 can"),
        ("llama-3.2-1b", "mixtral", {}, "mixtral cannot say .*; llama, mistral, gemma, phi3 can"),
        ("gemma-3-1b", "mistral", {}, "gemma3_text, gemma4_text can"),
        ("deepseek-v2-lite", "qwen3_moe", {}, "deepseek_v2 can"),
        ("llama-3.2-1b", "llama", {"gated": False}, "gated False, .*; no known type can"),
        ("llama-3.2-1b", "llama", {"norms": 3}, "norms 3, where it has 2; no known type can"),
        ("llama-3.2-1b", "llama", {"ffn_bias": True}, "ffn_bias True, where it has False; no "),
        ("qwen3.5-0.8b", "qwen3", {}, "cannot say .*; qwen3_5_text can"),
        ("gemma-4-e2b", "gemma4_text", {"wide_width": 6144}, "wide_width 6144, .* 12288; no known"),
        ("mistral-7b", "mistral", {"window_share": 0.5}, "sliding_layers 16, where it has 32"),
        ("llama-3.2-1b", "llma", {}, "unknown model type 'llma'; nearest is 'llama'"),
    ],
)
def test_a_type_that_cannot_say_a_candidate_is_refused(name, family, change, says):
    arch = replace(load_model(name), **{k: np.array([v]) for k, v in change.items()})
    with pytest.raises(SpecError, match=says):
        to_huggingface(arch, family)


@pytest.mark.parametrize("activation", ["silu", "gelu", "gelu_pytorch_tanh", "relu2"])
def test_activations_that_transformers_knows_are_read(activation):
    config = published("llama-3.2-1b") | {"hidden_act": activation}
    assert_same(from_huggingface(config, "x"), load_model("llama-3.2-1b"))


def test_known_activations_are_those_of_transformers():
    activations = pytest.importorskip("transformers").activations
    with_parameters = {"prelu", "xielu"}
    assert set(ACTIVATIONS) == set(activations.ACT2FN) - with_parameters


def test_one_config_is_of_one_candidate():
    arch = load_model("llama-3.2-1b")
    with pytest.raises(SpecError, match="one candidate, not 2"):
        to_huggingface(arch[np.array([0, 0])], "llama")
