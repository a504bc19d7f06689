"""What training teams get, held against the stacks' own loaders and against numbers by hand."""

import importlib.util
import json
import sys
import warnings
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import yaml

from arch_space.architectures import Architectures
from arch_space.library import load_model
from hardware_specs import load_device
from roofline.cli import run
from roofline.engine import estimate
from roofline.export import Cluster, Front, Plan, make_plan, stacks, write_plan
from roofline.export.compute import deepseek_compute, forward_flops, rule_flops, training_flops
from roofline.export.hyperparameters import hyper_laws
from roofline.export.ladder import siblings
from roofline.export.plan import trained
from roofline.export.stacks import Training
from roofline.laws import load_law
from roofline.search.sweep import Sweep
from roofline.workload import Workload
from spec_files import SpecError, read_spec

SETTING = Training("run", 1024, 64, 1000, 8, 1e-3, 1e-5, 50)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sweep's folder, without its figures."""
    path = tmp_path_factory.mktemp("front")
    job = Sweep.prepare(device=load_device("phone"), space="paper-grid", references=["none"])
    found = job.run(job.problem())
    (path / "sweep.yaml").write_text(job.to_yaml())
    (path / "summary.json").write_text(json.dumps(found.to_dict() | {"points": None}))
    (path / "front.csv").write_text(found.front.to_csv(index=False))
    return path


@pytest.fixture(scope="module")
def front(folder):
    return Front.load(folder)


@pytest.fixture(scope="module")
def cluster():
    return Cluster.of(load_device("h100-sxm"), 64, 0.4)


@pytest.fixture(scope="module")
def planned(front, cluster):
    return make_plan(front, "0", "litgpt", front.sweep.law, cluster, 4096)


def built(text):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = json.loads(text)
    moe = {"experts_implementation": "batched_mm"} if "num_experts_per_tok" in config else {}
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.for_model(**config),
            dtype=torch.bfloat16, attn_implementation="eager", **moe,
        ).eval()  # fmt: skip


def test_fifty_random_members_load_in_transformers_with_the_predicted_parameters(front):
    members = front.architectures()
    alone = np.flatnonzero(np.ravel(members.experts) == 1)[-3:]
    others = np.setdiff1d(np.arange(len(front)), alone)
    rows = [*alone, *np.random.default_rng(0).choice(others, 50 - len(alone), replace=False)]
    kinds = set()
    for row in rows:
        text = stacks()["huggingface"].files(members[int(row)], SETTING)["config.json"]
        model = built(text)
        kinds.add(model.config.model_type)
        assert sum(p.numel() for p in model.parameters()) == front.table["parameters"][row]
    assert len(kinds) > 1  # dense and mixtures


@pytest.mark.parametrize("member", [0, 63, -1])
def test_flops_of_an_exported_model_are_those_that_pytorch_counts(front, member):
    from torch.utils.flop_counter import FlopCounterMode

    torch = pytest.importorskip("torch")
    arch, tokens = front.architectures()[member], 96
    model = built(stacks()["huggingface"].files(arch, SETTING)["config.json"])
    ids = torch.zeros(1, tokens, device="meta", dtype=torch.long)
    mask = torch.zeros(1, 1, 1, 1, device="meta", dtype=torch.bfloat16)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(input_ids=ids, attention_mask=mask, use_cache=False)
    row = arch.row()
    above = tokens * (tokens - 1) / 2  # eager attention multiplies the masked half as well
    spared = 2 * row["layers"] * row["query_heads"] * 2 * row["head_size"] * above
    assert forward_flops(arch, tokens)[0] == counter.get_total_flops() - spared
    work = Workload(prompt=tokens, generate=1, logits="all")
    assert (
        forward_flops(arch, tokens)[0] == estimate(arch, load_device("phone"), work).prefill_flops
    )


def installed(package, file):
    """Return one module of a package by itself, without what its __init__ imports."""
    try:
        path = distribution(package).locate_file(file)
    except PackageNotFoundError:
        pytest.skip(
            f"{package} is not installed, nor is it in the test extra, for it wants an older "
            f"huggingface-hub than transformers does: pip install --no-deps {package}"
        )
    spec = importlib.util.spec_from_file_location(f"_{package}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


VARIED = {
    "dense": load_model("llama-3.2-1b"),
    "qwen2": load_model("qwen2.5-0.5b"),
    "qk norms, own head size": load_model("qwen3-0.6b"),
    "norms over all heads": load_model("olmo-2-1b"),
    "experts": load_model("mixtral-8x7b"),
}


@pytest.mark.parametrize("name", VARIED)
def test_litgpt_reads_its_file_and_builds_the_model(name, tmp_path):
    config_module = installed("litgpt", "litgpt/config.py")
    arch = VARIED[name]
    texts = stacks()["litgpt"].files(arch, SETTING)
    (tmp_path / "model_config.yaml").write_text(texts["model_config.yaml"])
    config = config_module.Config.from_checkpoint(tmp_path)
    assert (config.n_layer, config.head_size) == (arch.layers[0], arch.head_size[0])
    assert yaml.safe_load(texts["pretrain.yaml"])["train"]["max_tokens"] == SETTING.tokens
    pytest.importorskip("lightning", reason="litgpt's model needs lightning")
    torch = pytest.importorskip("torch")
    from litgpt import GPT, Config

    with torch.device("meta"):
        model = GPT(Config.from_checkpoint(tmp_path))
    count = sum(p.numel() for p in model.parameters())
    tied = model.lm_head.weight.numel() if arch.tied_embedding[0] else 0
    assert count - tied == front_count(arch)


def front_count(arch):
    from arch_space.tensors import parameter_count

    return parameter_count(arch)[0]


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory):
    torch = pytest.importorskip("torch")
    pytest.importorskip("megatron.core", reason="pip install megatron-core")
    from megatron.core import parallel_state

    store = f"file://{tmp_path_factory.mktemp('store') / 'ranks'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    parallel_state.initialize_model_parallel()
    yield
    parallel_state.destroy_model_parallel()
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_rank")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["dense", "qwen2", "qk norms, own head size", "experts"])
def test_megatron_core_reads_its_file_and_builds_the_model(name):
    import torch
    import torch.nn.functional as F
    from megatron.core.models.gpt import GPTModel
    from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
    from megatron.core.transformer.transformer_config import TransformerConfig

    arch = VARIED[name]
    fields = yaml.safe_load(stacks()["megatron"].files(arch, SETTING)["transformer_config.yaml"])
    quiet = {"use_cpu_initialization": True, "perform_initialization": False}
    config = TransformerConfig(**fields, activation_func=F.silu, **quiet)
    layers = get_gpt_layer_local_spec(
        num_experts=config.num_moe_experts, moe_grouped_gemm=False,
        qk_layernorm=config.qk_layernorm, normalization=config.normalization,
    )  # fmt: skip
    with torch.device("meta"):
        model = GPTModel(
            config, layers, int(arch.vocabulary[0]), 1024, position_embedding_type="rope",
            share_embeddings_and_output_weights=bool(arch.tied_embedding[0]),
        )  # fmt: skip
    assert sum(p.numel() for p in model.parameters()) == front_count(arch)


@pytest.mark.usefixtures("one_rank")
@pytest.mark.filterwarnings("ignore")
def test_megatron_takes_one_expert_of_many(front):
    """It refuses a softmax after the choice of one expert, whose weight would always be 1."""
    from megatron.core.transformer.transformer_config import TransformerConfig

    arch = front.architectures()[0]
    assert arch.experts_per_token[0] == 1
    texts = stacks()["megatron"].files(arch, SETTING)
    TransformerConfig(**yaml.safe_load(texts["transformer_config.yaml"]))
    assert "--moe-router-pre-softmax" in texts["train.sh"]


def test_nanotron_takes_every_field_of_its_model():
    module = installed("nanotron", "nanotron/config/models_config.py")
    arch = VARIED["dense"]
    text = stacks()["nanotron"].files(arch, SETTING)["config.yaml"]
    config = module.LlamaConfig(**yaml.safe_load(text)["model"]["model_config"])
    assert config.num_hidden_layers == arch.layers[0]
    assert config.num_key_value_heads == arch.kv_heads[0]
    assert config.intermediate_size == arch.ffn_width[0]


def test_torchtitan_gets_a_module_of_the_candidate(front):
    arch = front.architectures()[0]
    text = stacks()["torchtitan"].files(arch, SETTING)["roofline_export/config_registry.py"]
    compile(text, "config_registry.py", "exec")
    row = arch.row()
    assert f"EXPERTS, TOP_K, HIDDEN = {row['experts']}, 1, {row['expert_width']}\n" in text
    assert (
        f"LAYERS, WIDTH, VOCABULARY, TIED = {row['layers']}, {row['width']}, 151936, True" in text
    )
    assert "<" not in text.replace("<=", "")


def test_a_refusal_names_the_stacks_that_can():
    from roofline.export.stacks import check

    with pytest.raises(SpecError, match=r"a mixture of experts; huggingface, litgpt, .*megatron"):
        check("nanotron", VARIED["experts"])
    with pytest.raises(SpecError, match="a head of 128 where 16 heads do not fill"):
        check("nanotron", Architectures(**VARIED["dense"].row() | {"query_heads": 16,
              "head_size": 128, "width": 1024, "kv_heads": 8, "qk_norm": 0} | FP16))  # fmt: skip
    with pytest.raises(SpecError, match=r"latent attention; huggingface can"):
        check("litgpt", load_model("deepseek-v2-lite"))


FP16 = {f"{part}_format": 0 for part in ("weight", "embedding", "kv", "activation")}


def test_hyperparameter_laws_by_hand():
    """Llama 3.2 1B, 973,146,112 parameters outside the embedding, on 20B tokens."""
    arch = VARIED["dense"]
    size, tokens = 973_146_112, 20e9
    step, deep = hyper_laws().values()
    advice = step.advise(arch, tokens, 2048)
    assert advice.learning_rate == pytest.approx(1.79 * size**-0.713 * tokens**0.307)
    assert advice.batch_tokens == pytest.approx(0.58 * tokens**0.571)
    assert not advice.extrapolation
    assert "tokens" in step.advise(arch, 5e12, 2048).meaning
    assert "D 5e+12 lies above" in step.advise(arch, 5e12, 2048).extrapolation
    # M = 72 l d^2 + 12 l d S (arXiv 2401.02954): an FFN of 8/3 of the width, as many KV heads.
    plain = Architectures(
        layers=30, width=1536, query_heads=12, kv_heads=12, head_size=128, ffn_width=4096,
        vocabulary=1000, norms=0,
    )  # fmt: skip
    m = 72 * 30 * 1536**2 + 12 * 30 * 1536 * 2048
    compute = deepseek_compute(plain, 1e9, 2048)[0]
    assert compute == pytest.approx(m * 1e9, rel=1e-4)  # the last norm is not theirs
    said = deep.advise(plain, 1e9, 2048)
    assert said.learning_rate == pytest.approx(0.3118 * compute**-0.125)
    assert said.batch_tokens == pytest.approx(0.2920 * compute**0.3271)
    assert "mixture" in deep.advise(VARIED["experts"], 1e9, 2048).extrapolation


def test_compute_and_memory_by_hand(cluster):
    arch = VARIED["dense"]
    flops = training_flops(arch, 20e9, 4096)[0]
    rule = rule_flops(arch, 20e9)[0]
    assert rule == 6 * 1_235_814_400 * 20e9
    # What 6ND leaves out is attention over half the square; what it adds, norms (33 x 2048).
    half = 3 * 2 * 16 * 32 * 2 * 64 * (4096 + 1) / 2 * 20e9
    assert flops == pytest.approx(rule - 6 * 33 * 2048 * 20e9 + half, rel=1e-12)
    assert cluster.gpu_hours(flops) == pytest.approx(flops / (989e12 * 0.4 * 3600))
    from roofline.export.compute import Memory

    memory = Memory.of(arch, 4096, cluster)
    assert memory.states == 16 * 1_235_814_400 / 64
    assert memory.logits == 6 * 4096 * 128_256
    assert memory.fits


@pytest.mark.parametrize(
    ("law", "member"), [("codesign", 0), ("chinchilla", 0), ("chinchilla", -1)]
)
def test_a_ladder_keeps_proportions_and_reaches_its_share(front, law, member):
    arch = trained(front.architectures())[member]
    used = load_law(law)
    rungs = siblings(arch, used, 4096)
    assert len(rungs) >= 2
    assert all(a.share < b.share < 1 for a, b in pairwise(rungs))
    whole = training_flops(arch, used.tokens, 4096)[0]
    for rung in rungs:
        mine, theirs = rung.architecture.row(), arch.row()
        assert training_flops(rung.architecture, rung.tokens, 4096)[0] == pytest.approx(
            rung.share * whole
        )
        bend = (mine["width"] / theirs["width"]) / (mine["layers"] / theirs["layers"])
        assert 0.4 < bend < 2.5
        assert mine["head_size"] == theirs["head_size"]
        for name in ("experts", "experts_per_token", "vocabulary"):
            assert mine[name] == theirs[name]
        for name in ("ffn_width", "expert_width"):
            wanted = theirs[name] / theirs["width"]
            assert mine[name] / mine["width"] == pytest.approx(wanted, abs=32 / mine["width"])
    if law == "codesign":
        assert all(used.in_range(rung.architecture)[0] for rung in rungs)


def test_picks(front):
    tpot, memory, loss = (front.table[c] for c in ("tpot_s", "memory_bytes", "loss"))
    assert front.pick("knee") == front.summary["knee"]
    assert front.pick("7") == 7
    row = front.pick("tpot<20ms")
    assert tpot[row] < 0.02
    assert loss[row] == loss[tpot < 0.02].min()
    row = front.pick("memory < 2GB and loss<=3.6 or layers == 4")
    met = ((memory < 2e9) & (loss <= 3.6)) | (front.table["layers"] == 4)
    assert loss[row] == loss[met].min()


def test_a_plan_reads_back(planned, front, tmp_path):
    plan, files = planned
    write_plan(tmp_path / "team", plan, files, front.sweep.law, front)
    assert read_spec(tmp_path / "team" / "plan.yaml", Plan) == plan
    assert plan.choice.parameters == front.table["parameters"][0]
    text = (tmp_path / "team" / "plan.md").read_text()
    assert f"{plan.choice.parameters:,}" in text
    assert "no training configuration states them" in text
    assert "nan" not in text.lower().replace("nanotron", "")
    for each in (plan.choice, *plan.ladder):
        for name in each.files:
            assert (tmp_path / "team" / each.folder / name).stat().st_size


def test_from_the_command_line(folder, tmp_path, capsys):
    for name in stacks():
        pick = "loss<3.6" if name != "nanotron" else "experts == 1"
        words = ["export", str(folder), "--to", name, "--pick", pick, "-o", str(tmp_path / name)]
        assert run([*words, "--json"]) == 0, capsys.readouterr().err
        said = json.loads(capsys.readouterr().out)
        assert said["stack"] == name
        assert said["choice"]["flops"] > 0


BAD = {
    "unknown pick": (["--pick", "kne"], "did you mean 'knee'|nearest is 'knee'"),
    "no such member": (["--pick", "100000"], "members are numbered 0 to"),
    "none meets": (["--pick", "tpot<1us"], "no member meets .*nearest is member"),
    "no unit": (["--pick", "tpot<20"], "write its unit"),
    "unknown column": (["--pick", "tpto<20"], "'tpto'.*tpot"),
    "unknown stack": (["--to", "megatro"], "megatron"),
    "utilisation": (["--utilisation", "40"], "above 0 and at most 1"),
    "no utilisation": (["--utilisation", "0"], "above 0 and at most 1"),
    "gpus": (["--gpus", "0"], "at least one device"),
    "no bf16": (["--cluster", "rtx2080ti"], "no peak for bf16"),
    "unknown law": (["--law", "chinchila"], "chinchilla"),
    "tokens": (["--tokens", "20B"], "10B|1e\\+10|tokens only"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case, folder, tmp_path, capsys):
    words, said = BAD[case]
    out = tmp_path / "out"
    assert run(["export", str(folder), "-o", str(out), *words]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    import re

    assert re.search(said, error), error
    assert not out.exists()


def test_bad_fronts(folder, front, tmp_path, capsys):
    table = pd.read_csv(folder / "front.csv")
    cases = {
        "no column 'query_heads'": table.drop(columns="query_heads"),
        "no column 'loss'": table.drop(columns="loss"),
        "was the file edited": table.assign(layers=table["layers"] + 1),
        "column 'width' does not hold numbers": table.assign(width="wide"),
        "column 'width' has empty cells": table.assign(width=np.nan),
    }
    for said, bad in cases.items():
        bad.to_csv(tmp_path / "front.csv", index=False)
        words = ["export", str(tmp_path / "front.csv"), "--pick", "0", "--law", "codesign"]
        assert run([*words, "-o", str(tmp_path / "out")]) == 2
        assert said in capsys.readouterr().err
    assert run(["export", str(tmp_path / "none")]) == 2
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.txt").write_text("mine")
    assert run(["export", str(folder), "-o", str(tmp_path / "kept")]) == 2
    assert "not empty" in capsys.readouterr().err
    assert [f.name for f in (tmp_path / "kept").iterdir()] == ["mine.txt"]
    table.to_csv(tmp_path / "front.csv", index=False)
    assert run(["export", str(tmp_path / "front.csv"), "-o", str(tmp_path / "out")]) == 2
    assert "write --law" in capsys.readouterr().err


ONE_OF_MANY = load_model("mixtral-8x7b").row() | {
    "layers": 2, "width": 64, "ffn_width": 96, "expert_width": 96, "query_heads": 4, "kv_heads": 2,
    "head_size": 16, "vocabulary": 128,
}  # fmt: skip


@pytest.mark.parametrize(("chosen", "learns"), [(1, False), (2, True)])
def test_a_router_of_one_expert_does_not_learn_where_weights_sum_to_one(chosen, learns):
    """The loss of the text alone: what balances experts is another loss."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    arch = Architectures.from_rows([ONE_OF_MANY | {"experts_per_token": chosen}])
    text = stacks()["huggingface"].files(arch, SETTING)["config.json"]
    config = transformers.AutoConfig.for_model(**json.loads(text))
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).float()
    tokens = torch.randint(0, 128, (2, 16))
    model(input_ids=tokens, labels=tokens).loss.backward()
    router = max(
        p.grad.abs().max().item() for n, p in model.named_parameters() if n.endswith("gate.weight")
    )
    assert (router > 1e-6) is learns
    for name, module in stacks().items():
        caution = module.caution(arch) if hasattr(module, "caution") else ""
        assert bool(caution) is (name in ("huggingface", "litgpt") and not learns)
