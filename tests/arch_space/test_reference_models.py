"""Shipped models hold the parameters that were published, and those that transformers builds."""

import json
import warnings

import numpy as np
import pytest

from arch_space.architectures import Architectures, columns
from arch_space.huggingface import to_huggingface
from arch_space.library import load_model, load_models, reference_model, shipped_models
from arch_space.tensors import active_parameter_count, parameter_count, weight_bytes
from spec_files import SpecError


@pytest.mark.parametrize("name", shipped_models())
def test_parameter_count_is_the_published_one(name):
    model = reference_model(name)
    assert parameter_count(model.architectures())[0] == model.parameters


@pytest.mark.parametrize("name", shipped_models())
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
    assert parameter_count(model.architectures())[0] == sum(p.numel() for p in built.parameters())


@pytest.mark.parametrize("name", shipped_models())
def test_every_shipped_model_says_where_it_comes_from(name):
    model = reference_model(name)
    assert model.name == name
    assert model.title
    assert model.family
    assert model.source.where.startswith("https://huggingface.co/")
    assert model.source.where.endswith("/config.json")
    assert np.datetime64(model.source.date) > np.datetime64("2023")


# Active parameters as published: Mixtral (arXiv 2401.04088) 12.9 B; Qwen3 (arXiv 2505.09388) 3.3 B;
# OLMoE (arXiv 2409.02060) 1.3 B; DeepSeek-V2-Lite (arXiv 2405.04434) 2.4 B without the embeddings.
@pytest.mark.parametrize(
    ("name", "billions", "without_embedding"),
    [
        ("mixtral-8x7b", 12.9, False),
        ("qwen3-30b-a3b", 3.3, False),
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
        ("layers: 2", "layers: true", 3, "architecture.layers: read True"),
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
    with pytest.raises(SpecError, match=r"no model 'qwen3-9b'.*nearest is 'qwen3-8b'"):
        load_model("qwen3-9b")
    with pytest.raises(SpecError, match=r"nearest is 'llama-3\.2-1b'"):
        load_models(["llama-3.2-1b", "llama3.2-1b"])
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
