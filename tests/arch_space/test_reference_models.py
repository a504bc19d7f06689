"""Shipped models hold the parameters that were published, and those that transformers builds."""

import json
import warnings

import numpy as np
import pytest

from arch_space.architectures import Architectures, columns
from arch_space.huggingface import families_of, to_huggingface
from arch_space.library import load_model, load_models, reference_model, shipped_models
from arch_space.tensors import active_parameter_count, parameter_count, weight_bytes
from spec_files import SpecError


@pytest.mark.parametrize("name", shipped_models())
def test_parameter_count_is_the_published_one(name):
    model = reference_model(name)
    assert parameter_count(model.architectures())[0] == model.parameters


WITH_FAMILY = [name for name in shipped_models() if reference_model(name).family]


@pytest.mark.parametrize("name", WITH_FAMILY)
def test_parameter_count_is_that_of_the_model_transformers_builds(name, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = reference_model(name)
    config = to_huggingface(model.architectures(), model.family)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        loaded = transformers.AutoConfig.from_pretrained(tmp_path)
        built = transformers.AutoModelForCausalLM.from_config(loaded)
    assert [type(built).__name__] == config["architectures"]
    assert parameter_count(model.architectures())[0] == stored(built)


def stored(built) -> int:
    """Numbers in a checkpoint: parameters, and the bias that a router learns outside of them."""
    biases = [b for name, b in built.named_buffers() if "correction_bias" in name]
    return sum(p.numel() for p in [*built.parameters(), *biases])


# Published configs of types that config.json is not read in here, as transformers takes them.
OTHER_TYPES = {
    "falcon-7b": (
        "falcon",
        {"vocab_size": 65024, "hidden_size": 4544, "num_hidden_layers": 32,
         "num_attention_heads": 71, "multi_query": True, "parallel_attn": True, "bias": False,
         "alibi": False, "new_decoder_architecture": False},
    ),
    "granite-3.1-8b": (
        "granite",
        {"vocab_size": 49155, "hidden_size": 4096, "intermediate_size": 12800,
         "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8,
         "tie_word_embeddings": True},
    ),
    "ministral-3-3b": (
        "ministral3",
        {"vocab_size": 131072, "hidden_size": 3072, "intermediate_size": 9216,
         "num_hidden_layers": 26, "num_attention_heads": 32, "num_key_value_heads": 8,
         "head_dim": 128, "tie_word_embeddings": True},
    ),
    "ministral-3-14b": (
        "ministral3",
        {"vocab_size": 131072, "hidden_size": 5120, "intermediate_size": 16384,
         "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8,
         "head_dim": 128, "tie_word_embeddings": False},
    ),
    "mpt-7b": (
        "mpt",
        {"vocab_size": 50432, "d_model": 4096, "n_layers": 32, "n_heads": 32, "no_bias": True},
    ),
    "mpt-30b": (
        "mpt",
        {"vocab_size": 50432, "d_model": 7168, "n_layers": 48, "n_heads": 64, "no_bias": True},
    ),
    "opt-1.3b": (
        "opt",
        {"vocab_size": 50272, "hidden_size": 2048, "word_embed_proj_dim": 2048, "ffn_dim": 8192,
         "num_hidden_layers": 24, "num_attention_heads": 32, "max_position_embeddings": 2048},
    ),
    "phi-2": (
        "phi",
        {"vocab_size": 51200, "hidden_size": 2560, "intermediate_size": 10240,
         "num_hidden_layers": 32, "num_attention_heads": 32},
    ),
    "smollm3-3b": (
        "smollm3",
        {"vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 11008,
         "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 4,
         "tie_word_embeddings": True, "pad_token_id": None},
    ),
    "stablelm-2-1.6b": (
        "stablelm",
        {"vocab_size": 100352, "hidden_size": 2048, "intermediate_size": 5632,
         "num_hidden_layers": 24, "num_attention_heads": 32, "num_key_value_heads": 32,
         "use_qkv_bias": True},
    ),
    "stablelm-3b": (
        "stablelm",
        {"vocab_size": 50304, "hidden_size": 2560, "intermediate_size": 6912,
         "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32},
    ),
}  # fmt: skip
# Types that transformers has no class of, but one of the same shape, in its words. Counts
# published: internlm2 1,889,110,016; ChatGLM3 6,243,584,000; Baichuan2 7,505,973,248; LLaDA
# 16,031,162,368 bytes in 16 bits (its safetensors index); Dream that of Qwen2.5 7B, its start.
SAME_SHAPE = {
    "baichuan2-7b": "llama",
    "chatglm3-6b": "qwen2",
    "dream-7b": "qwen2",
    "internlm2-1.8b": "llama",
    "llada-8b": "llama",
    "minicpm4-0.5b": "llama",
}


@pytest.mark.parametrize("name", [n for n in OTHER_TYPES if n in shipped_models()])
def test_parameter_count_of_a_type_that_only_transformers_knows(name):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model_type, keys = OTHER_TYPES[name]
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        config = transformers.AutoConfig.for_model(model_type, **keys)
        built = transformers.AutoModelForCausalLM.from_config(config)
    assert reference_model(name).parameters == sum(p.numel() for p in built.parameters())


@pytest.mark.parametrize("name", SAME_SHAPE)
def test_a_type_that_no_library_has_is_that_of_another_in_shape(name):
    assert SAME_SHAPE[name] in families_of(load_model(name))


def test_the_text_decoder_of_deepseek_ocr():
    """The checkpoint's 3,336,106,240 less its vision encoder, as transformers builds the text."""
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("transformers.models.deepseek_ocr2.modeling_deepseek_ocr2")
    config = library.DeepseekOcr2TextConfig(
        vocab_size=129280, hidden_size=1280, intermediate_size=6848, num_hidden_layers=12,
        num_attention_heads=10, num_key_value_heads=10, n_routed_experts=64, n_shared_experts=2,
        num_experts_per_tok=6, moe_intermediate_size=896,
        mlp_layer_types=["dense"] + ["sparse"] * 11,
    )  # fmt: skip
    with torch.device("meta"):
        text = library.DeepseekOcr2TextModel(config)
    head = 129280 * 1280
    counted = sum(p.numel() for p in text.parameters()) + head
    assert reference_model("deepseek-ocr-3b").parameters == counted


@pytest.mark.parametrize("name", shipped_models())
def test_every_shipped_model_says_where_it_comes_from(name):
    model = reference_model(name)
    assert model.name == name
    assert model.title
    assert model.source.where.startswith("https://huggingface.co/")
    assert model.source.where.endswith("/config.json")
    assert np.datetime64(model.source.date) > np.datetime64("2022")


# Active parameters as published: Mixtral (arXiv 2401.04088) 12.9 B; Qwen3 (arXiv 2505.09388) 3.3 B;
# OLMoE (arXiv 2409.02060) 1.3 B; DeepSeek-V2-Lite (arXiv 2405.04434) 2.4 B without the embeddings.
@pytest.mark.parametrize(
    ("name", "billions", "without_embedding"),
    [
        ("mixtral-8x7b", 12.9, False),
        ("qwen3-30b-a3b", 3.3, False),
        ("qwen3-235b-a22b", 22.2, False),
        ("deepseek-ocr-3b", 0.57, True),
        ("olmoe-1b-7b", 1.3, False),
        ("deepseek-v2-lite", 2.4, True),
    ],
)
def test_active_parameters_are_the_published_ones(name, billions, without_embedding):
    arch = load_model(name)
    active = active_parameter_count(arch)[0]
    if without_embedding:
        active -= (arch.vocabulary * arch.width)[0]
    assert active / 1e9 == pytest.approx(billions, abs=0.06)


def test_a_model_loads_by_name_file_and_folder(tmp_path):
    by_name = load_model("qwen3-8b")
    assert by_name.names == ("qwen3-8b",)
    assert load_model("qwen3-8b.yaml").names == ("qwen3-8b",)

    own = tmp_path / "mine.yaml"
    own.write_text(
        "name: mine\narchitecture: {layers: 2, width: 64, query_heads: 4, kv_heads: 2,"
        " head_size: 16, ffn_width: 128, vocabulary: 1000, weight_format: q4_0}\n"
    )
    assert load_model(own).row()["weight_format"] == "q4_0"

    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(to_huggingface(by_name, "qwen3")))
    for path in (folder, folder / "config.json"):
        loaded = load_model(path)
        assert loaded.names == ("checkpoint",)
        assert loaded.row() == by_name.row()


def test_stacked_models_keep_their_numbers_in_every_format():
    names = shipped_models()
    together = load_models(names)
    assert together.names == tuple(names)
    for weights in ("fp16", "int8", "int4-g128", "q4_k_m"):
        stacked = weight_bytes(together.with_formats(weights=weights))
        alone = [weight_bytes(load_model(n).with_formats(weights=weights))[0] for n in names]
        np.testing.assert_allclose(stacked, alone, rtol=1e-14)
    np.testing.assert_array_equal(
        parameter_count(together), [reference_model(n).parameters for n in names]
    )


GOOD = """name: mine
architecture:
  layers: 2
  width: 64
  query_heads: 4
  kv_heads: 2
  head_size: 16
  ffn_width: 128
  vocabulary: 1000
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("layers: 2", "layer: 2", 3, "architecture.layer: unknown key; nearest is 'layers'"),
        ("layers: 2", "layers: 2.5", 3, "architecture.layers: read 2.5"),
        ("layers: 2", "layers: -2", 3, "architecture.layers: read -2"),
        ("layers: 2", "layers: 0", 2, "layers must be at least 1"),
        ("layers: 2", "layers: true", 3, "architecture.layers: read true"),
        ("  layers: 2\n", "", 2, "architecture.layers: missing"),
        ("kv_heads: 2", "kv_heads: 3", 2, "query_heads must divide by kv_heads"),
        ("width: 64", "width: 64\n  qk_norm: heads", 5, "nearest is 'head'"),
        ("width: 64", "width: 64\n  kv_format: int88", 2, "nearest is 'int8'"),
        ("width: 64", "width: 64\n  gated: 1", 5, "architecture.gated: read 1"),
        ("name: mine", "name: mine\nfamily: qwen33", 2, "family: unknown model type 'qwen33'"),
        ("name: mine", "name: mine\nparameters: many", 2, "parameters: read 'many'"),
        (
            "name: mine",
            "name: mine\nparameters: 138049",
            2,
            "parameters: read 138,049, but the architecture has 138,048.",
        ),
        ("width: 64", "width: 9999999999", 4, "architecture.width: read 9999999999: input should"),
        ("width: 64", "width: " + "9" * 23, 4, f"architecture.width: read '{'9' * 23}', a whole"),
        ("width: 64", "width: " + "9" * 5000, 4, "architecture.width: read '9999"),
    ],
)
def test_a_bad_model_file_is_told_in_one_sentence(tmp_path, old, new, line, says):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    assert len(load_model(path)) == 1
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(SpecError) as error:
        load_model(path)
    sentence = str(error.value)
    assert sentence.startswith(f"{path}:{line}: ")
    assert says in sentence
    assert sentence.count("\n") == 0
    assert len(sentence) < len(str(path)) + 200


def test_a_parameter_count_that_the_architecture_has_is_taken(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace("name: mine", "name: mine\nparameters: 138048"))
    assert reference_model(path).parameters == 1000 * 64 + 2 * (
        64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128 + 2 * 64
    ) + 64  # fmt: skip


def test_a_folder_stands_for_its_config(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    config = to_huggingface(load_model("qwen3-8b"), "qwen3")
    (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    assert load_model("mine").names == load_model("mine/").names == ("mine",)
    monkeypatch.chdir(folder)
    assert load_model(".").names == load_model("config.json").names == ("mine",)
    for name in ("", " "):  # no folder, although Path("") is this one
        with pytest.raises(SpecError, match="no model was named"):
            load_model(name)
    (folder / "qwen3-8b").mkdir()
    assert load_model("qwen3-8b").names == ("qwen3-8b",)


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 5000 + ".json", "x\0", "x\0.json"])
def test_a_name_that_no_file_can_have_is_one_sentence(name):
    with pytest.raises(SpecError, match=r"^no model 'x.*: no such file") as error:
        load_model(name)
    assert "\0" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_a_model_that_is_not_there_is_told_with_the_nearest(tmp_path):
    with pytest.raises(SpecError, match=r"no model 'llama-3-9b'.*nearest is 'llama-3-8b'"):
        load_model("llama-3-9b")
    with pytest.raises(SpecError, match=r"nearest is 'llama-3\.2-1b'"):
        load_models(["llama-3.2-1b", "lama-3.2-1b"])
    with pytest.raises(SpecError, match=r"is a folder without a config\.json\.$"):
        load_model(tmp_path)
    with pytest.raises(SpecError, match="no such file"):
        load_model(tmp_path / "config.json")
    with pytest.raises(SpecError, match="no models"):
        load_models([])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", r"config.json:1: not JSON"),
        (b"\xff\xfe{", "not UTF-8"),
        (b"[]", "read list where keys and values belong"),
        (b"{}", "model_type: missing"),
        (b'{"hidden_size": 1, "hidden_size": 2}', "config.json: hidden_size: given twice"),
        (b"[" * 100_000, "config.json: nested too deeply"),
        (
            b'{"model_type": "llama", "num_hidden_layers": ' + b"9" * 5000 + b"}",
            "num_hidden_layers: read '9{50,60}[.]{3}; expected a whole number",
        ),
    ],
)
def test_a_broken_config_json_is_told_in_one_sentence(tmp_path, text, says):
    (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(SpecError, match=says):
        load_model(tmp_path)


def test_rows_that_no_model_could_have_are_refused():
    good = load_model("deepseek-v2-lite").row()
    assert Architectures.from_rows([good]).row() == good
    for field, value in [
        ("qkv_bias", True),
        ("qk_norm", 1),
        ("qk_norm", 3),
        ("kv_rank", 0),
        ("dense_layers", 28),
        ("experts_per_token", 65),
        ("window_share", float("nan")),
        ("vocabulary", 2**31 + 1),
    ]:
        with pytest.raises(SpecError):
            Architectures.from_rows([good | {field: value}])
    assert set(good) == set(columns())
