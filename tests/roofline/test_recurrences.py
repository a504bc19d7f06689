"""Mixers with a state: their products against transformers, their states and traffic by hand.

transformers runs the scans in chunks, in single precision and padded to whole chunks, so products
within a scan differ from the recurrent form that the engine counts; everything else is the same to
the last product. Its convolutions pad on both sides: they compute `kernel - 1` outputs too many.
"""

import gc
import warnings
import weakref
from dataclasses import replace

import numpy as np
import pytest

from arch_space import Architectures, concatenate
from arch_space.huggingface import to_huggingface
from arch_space.library import load_model, load_models, reference_model
from arch_space.tensors import parameter_count, tensors, weight_bytes
from roofline.engine.memory import cache_bytes, state_bytes
from roofline.operators import OPERATORS
from roofline.workload import Pass, Workload

NAMES = ["qwen3.5-0.8b", "qwen3.5-35b-a3b", "qwen3-next-80b-a3b", "lfm2-350m",
         "nemotron-nano-9b-v2", "nemotron-3-nano-30b-a3b",
         "nemotron-3-super-120b-a12b"]  # fmt: skip
SCANS = ("mamba_scan", "delta_rule", "convolution")
MIXERS = ("Mamba2Mixer", "GatedDeltaNet", "ShortConv")
PROMPT = 64


def costs(arch: Architectures, step: Pass, field: str) -> dict[str, float]:
    """One kind of cost of each operator that a candidate has, all its instances."""
    inventory, columns = tensors(arch), arch.as_float()
    return {
        operator.name: float((getattr(operator.cost(columns, inventory, step), field) * n)[0])
        for operator in OPERATORS
        if (n := operator.copies(columns)).any()
    }


@pytest.fixture(scope="module", params=NAMES)
def counted(request):
    """A model, the products that PyTorch sees in its forward pass, those in its mixers apart."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from torch.utils.flop_counter import FlopCounterMode

    model = reference_model(request.param)
    arch = model.architectures()
    config = transformers.AutoConfig.for_model(**to_huggingface(arch, model.family))
    options = {"experts_implementation": "batched_mm"} if arch.experts[0] > 1 else {}
    ids = torch.zeros(1, PROMPT, device="meta", dtype=torch.long)
    mask = torch.zeros(1, 1, 1, 1, device="meta", dtype=torch.bfloat16)
    counter = FlopCounterMode(display=False, depth=9)
    with warnings.catch_warnings(), torch.device("meta"), torch.no_grad(), counter:
        warnings.simplefilter("ignore")
        built = transformers.AutoModelForCausalLM.from_config(
            config, dtype=torch.bfloat16, attn_implementation="eager", **options
        ).eval()
        built(input_ids=ids, attention_mask=mask, use_cache=False)
    mixers = {
        f"{type(built).__name__}.{name}"
        for name, module in built.named_modules()
        if type(module).__name__.endswith(MIXERS)
    }
    seen = {
        name: {str(product).split(".")[-1]: flops for product, flops in found.items()}
        for name, found in counter.get_flop_counts().items()
    }
    return arch, seen["Global"], [seen[name] for name in mixers]


def test_products_outside_the_scans_are_those_of_transformers(counted):
    arch, everything, mixers = counted
    scans = sum(found.get("bmm", 0) + found["convolution"] for found in mixers)
    step = Workload(prompt=PROMPT, mask="full", logits="all").prefill()
    ours = costs(arch, step, "flops")
    without = sum(flops for name, flops in ours.items() if name not in SCANS)
    assert without == sum(everything.values()) - scans


def test_convolutions_are_those_of_transformers_but_for_its_padding(counted):
    arch, _, mixers = counted
    row = arch.row()
    channels = row["state_heads"] * row["state_head_size"]
    channels += 2 * row["state_groups"] * row["state_size"]
    if row["convolution_layers"]:
        channels = row["width"]
    padded = PROMPT + row["kernel"] - 1
    assert {found["convolution"] for found in mixers} == {2 * row["kernel"] * channels * padded}
    if row["convolution_layers"]:
        ours = costs(arch, Workload(prompt=PROMPT).prefill(), "flops")["convolution"]
        assert ours == 2 * row["kernel"] * channels * PROMPT * row["convolution_layers"]


def test_a_chunked_scan_takes_no_fewer_products_than_the_recurrence(counted):
    arch, _, mixers = counted
    ours = costs(arch, Workload(prompt=PROMPT).prefill(), "flops")
    scan = sum(ours.get(name, 0) for name in SCANS)
    theirs = sum(found.get("bmm", 0) + found["convolution"] for found in mixers)
    assert scan <= theirs <= 8 * scan


def recurrence(row: dict, keys: np.ndarray, values: np.ndarray) -> int:
    """Multiply-adds of one token in one layer, walked head by head."""
    count = 0
    for _ in range(row["state_heads"]):
        state = np.zeros((row["state_size"], row["state_head_size"]))
        if row["delta_layers"]:
            held = keys @ state
            count += state.size
            state += np.outer(keys, values - held)
        else:
            state += np.outer(keys, values)
        assert (keys @ state).shape == values.shape
        count += 2 * state.size
    return count


@pytest.mark.parametrize("name", ["qwen3.5-0.8b", "nemotron-3-nano-4b"])
@pytest.mark.parametrize(("batch", "queries"), [(1, 1), (3, 1), (2, 5)])
def test_products_of_a_recurrence_by_a_walk_over_its_heads(name, batch, queries):
    arch = load_model(name)
    row = arch.row()
    walked = recurrence(row, np.ones(row["state_size"]), np.ones(row["state_head_size"]))
    channels = row["state_heads"] * row["state_head_size"]
    channels += 2 * row["state_groups"] * row["state_size"]
    layers = row["delta_layers"] + row["mamba_layers"]
    per_token = 2 * (walked + row["kernel"] * channels) * layers
    ours = costs(arch, Pass(batch, queries, 40 + queries), "flops")
    assert sum(ours.get(n, 0) for n in SCANS) == batch * queries * per_token


def test_states_by_hand():
    """Nemotron Nano 9B v2: 27 states of 128 heads, 80 x 128, and three taps of 12288 channels.

    Qwen3.5 27B: 48 states of 48 heads, 128 x 128 (3145728 bytes), 3 taps of 10240 channels (61440).
    """
    nemotron, qwen, lfm = load_models(["nemotron-nano-9b-v2", "qwen3.5-27b", "lfm2-350m"])
    assert state_bytes(nemotron)[0] == 27 * (128 * 80 * 128 * 4 + 3 * (128 * 80 + 2048) * 2)
    assert state_bytes(qwen)[0] == 48 * (3_145_728 + 61_440)
    assert state_bytes(lfm)[0] == 10 * 2 * 1024 * 2


@pytest.mark.parametrize("batch", [1, 4])
def test_a_cache_is_that_of_the_attending_layers_and_the_states(batch):
    """Four of Nemotron's 56 layers attend (8 KV heads of 128), 16 of Qwen's 64 (4 of 256)."""
    arch = load_models(["nemotron-nano-9b-v2", "qwen3.5-27b", "lfm2-350m"])
    a_token = np.array([4 * 2 * 8 * 128 * 2, 16 * 2 * 4 * 256 * 2, 6 * 2 * 8 * 64 * 2])
    for tokens in (100, 10_000):
        work = Workload(batch=batch, prompt=tokens - 1, generate=1)
        expected = batch * (tokens * a_token + state_bytes(arch))
        np.testing.assert_array_equal(cache_bytes(arch, work), expected)


def test_states_are_written_in_a_prefill_and_read_and_written_in_a_step():
    for name in ("nemotron-nano-9b-v2", "qwen3.5-0.8b", "lfm2-350m"):
        arch = load_model(name)
        state = state_bytes(arch)[0]
        for batch in (1, 3):
            for step, times in (
                (Pass(batch, 9, 9), 1),
                (Pass(batch, 9, 20), 2),
                (Pass(batch, 1, 5), 2),
            ):
                moved = costs(arch, step, "cache")
                assert sum(moved.get(scan, 0) for scan in SCANS) == times * batch * state


def test_only_attention_grows_with_the_context():
    for name in NAMES:
        short = costs(load_model(name), Pass(1, 1, 100), "cache")
        long = costs(load_model(name), Pass(1, 1, 1000), "cache")
        grown = {operator for operator, moved in long.items() if moved != short[operator]}
        assert grown == {"attention"}


ALL_KINDS = ["nemotron-nano-9b-v2", "qwen3.5-27b", "lfm2-350m", "minicpm3-4b", "falcon-7b",
             "opt-1.3b", "phi-2", "gemma-3n-e2b", "gemma-4-e2b", "gemma-4-31b"]  # fmt: skip


@pytest.mark.parametrize("name", ALL_KINDS)
def test_a_decode_step_reads_every_weight_once_but_the_tables_it_looks_up(name):
    arch = load_model(name)
    row = arch.row()
    read = sum(costs(arch, Workload().decode(10), "weights").values())
    inventory = tensors(arch)
    looked_up = [n for n in ("embedding", "positions", "layer_embedding") if n in inventory]
    tables = sum(inventory[n].stored_bytes[0] for n in looked_up)
    rows = 2 * sum(inventory[n].outputs[0] for n in looked_up)
    head = tables and inventory["embedding"].stored_bytes[0] if row["tied_embedding"] else 0
    assert read == pytest.approx(weight_bytes(arch)[0] - tables + head + rows, rel=1e-12)


def test_a_batch_of_a_moe_reads_no_more_than_all_weights():
    for name in ("nemotron-3-nano-30b-a3b", "qwen3.5-35b-a3b", "gpt-oss-20b", "gemma-4-26b-a4b"):
        arch = load_model(name)
        one = sum(costs(arch, Workload().decode(10), "weights").values())
        many = sum(costs(arch, Workload(batch=5000).decode(10), "weights").values())
        stored = weight_bytes(arch)[0]
        assert one < 0.35 * stored
        assert many == pytest.approx(stored, rel=0.03)  # 5000 rows of the embedding beside


def test_models_of_all_kinds_cost_the_same_in_one_table_as_alone():
    """What one model has must not leak into another that lacks it, as NaN or otherwise."""
    names = [*ALL_KINDS, *NAMES, "gpt-oss-20b", "gemma-4-26b-a4b", "deepseek-v3", "llama-4-scout"]
    alone = [load_model(name) for name in names]
    mixed = concatenate(alone).as_float()
    inventory = tensors(mixed)
    np.testing.assert_array_equal(
        parameter_count(mixed), [parameter_count(one)[0] for one in alone]
    )
    for work in (Workload(batch=2, prompt=600), Workload(prompt=30)):
        together = [cache_bytes(mixed, work), *(
            sum(
                getattr(operator.cost(mixed, inventory, step), field) * copies
                for operator in OPERATORS
                if (copies := operator.copies(mixed)).any()
            )
            for step in (work.prefill(), work.decode(work.prompt + 1))
            for field in ("flops", "weights", "cache", "activations", "launches")
        )]  # fmt: skip
        apart = [
            [cache_bytes(one, work)[0], *(
                sum(costs(one, step, field).values())
                for step in (work.prefill(), work.decode(work.prompt + 1))
                for field in ("flops", "weights", "cache", "activations", "launches")
            )]
            for one in alone
        ]  # fmt: skip
        np.testing.assert_allclose(np.array(together).T, apart, rtol=1e-12)


def test_layers_that_share_a_cache_store_none():
    """Gemma 3n E4B: 20 of 35 layers keep one, 16 of them a window of 512, 2 KV heads of 256."""
    arch = load_model("gemma-3n-e4b")
    a_token = 2 * 2 * 256 * 2
    work = Workload(prompt=4095, generate=1)
    assert cache_bytes(arch, work)[0] == a_token * (4 * 4096 + 16 * 512)
    every = replace(arch, shared_kv_layers=np.array([0]))
    assert cache_bytes(every, work)[0] == a_token * (7 * 4096 + 28 * 512)
    read = [costs(one, work.decode(4096), "cache") for one in (arch, every)]
    assert read[0] == read[1]  # they read the cache of another


def test_heads_of_full_attention_differ_where_the_model_says_so():
    """Gemma 4 31B: 50 sliding layers of 16 KV heads of 256, 10 full ones of 4 of 512."""
    arch = load_model("gemma-4-31b")
    work = Workload(prompt=9999, generate=1)
    expected = 50 * 1024 * 2 * 16 * 256 * 2 + 10 * 10_000 * 2 * 4 * 512 * 2
    assert cache_bytes(arch, work)[0] == expected
    flops = costs(arch, Pass(1, 1, 10_000), "flops")
    assert flops["attention"] == 10 * 10_000 * 2 * 32 * (512 + 512)
    assert flops["sliding_attention"] == 50 * 1024 * 2 * 32 * (256 + 256)
    width, queries = 5376, 32 * 512
    assert flops["full_attention_output"] == 10 * 2 * width * queries
    assert flops["full_attention_projections"] == 10 * 2 * width * (queries + 4 * 512)


def test_a_table_dies_with_its_last_name():
    """What is kept with a table must not hold the table, or chunks pile up until a collection."""
    gc.disable()
    try:
        table = load_model("gemma-4-31b").as_float()
        for arch in (table, load_model("qwen3-4b").as_float()):
            tensors(arch), cache_bytes(arch, Workload()), costs(arch, Pass(1, 1, 9), "flops")
        gone = [weakref.ref(table), weakref.ref(arch)]
        del table, arch
        assert [ref() for ref in gone] == [None, None]
    finally:
        gc.enable()
