"""FLOPs of the engine are those that PyTorch counts in the models of transformers, to the last one.

The models are built from our own config.json on the meta device: nothing is computed, every product
is seen. FlopCounterMode counts 2 FLOPs a multiply-add of matrix products and nothing else, as the
engine does.
- Eager attention multiplies the whole square whatever the mask says: our `full`. The causal half is
  counted by feeding tokens one at a time through a cache.
- The default expert products (grouped) are invisible to the counter, and the loop over experts
  depends on data; `batched_mm` gathers the chosen experts' weights and is counted exactly.
- Mixers with a state are in a file of their own, test_recurrences.py.
- Where layers share an earlier one's cache, transformers sends only the last token of a prompt
  through them if no more logits are wanted, as some runtimes do (a test of its own); under the
  others the engine sends all, so those models are compared on all logits.
"""

import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from arch_space.huggingface import FAMILIES, to_huggingface
from arch_space.huggingface.layers import DELTA_NET, NEMOTRON_H, SHORT_CONVOLUTIONS
from arch_space.library import load_model, reference_model, shipped_models
from hardware_specs import load_device
from roofline.engine import estimate
from roofline.workload import Workload

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

PROMPT = 64
STATES = (DELTA_NET, NEMOTRON_H, SHORT_CONVOLUTIONS)
WITH_FAMILY = [
    name
    for name in shipped_models()
    if (family := reference_model(name).family) and FAMILIES[family].kinds not in STATES
]
ONE_OF_A_FAMILY = sorted(
    {reference_model(name).family: name for name in reversed(WITH_FAMILY)}.values()
)
LATENT = [n for n in ONE_OF_A_FAMILY if FAMILIES[reference_model(n).family].latent]


@cache
def device():
    return load_device("jetson-orin-nano-super")


def build(arch, family):
    config = to_huggingface(arch, family)
    options = {"experts_implementation": "batched_mm"} if arch.experts[0] > 1 else {}
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.for_model(**config),
            dtype=torch.bfloat16,
            attn_implementation="eager",
            **options,
        ).eval()


def counted(model, tokens, batch=1, **inputs):
    """FLOPs of one forward pass. The mask, of all the keys, broadcasts over any number of them."""
    from torch.utils.flop_counter import FlopCounterMode

    mask = torch.zeros(1, 1, 1, 1, device="meta", dtype=torch.bfloat16)
    ids = torch.zeros(batch, tokens, device="meta", dtype=torch.long)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(input_ids=ids, attention_mask=mask, **inputs)
    return counter.get_total_flops()


def prefill_flops(arch, **workload):
    return estimate(arch, device(), Workload(generate=1, **workload)).prefill_flops[0]


@pytest.mark.parametrize("name", WITH_FAMILY)
def test_prefill_of_every_reference_model(name):
    model = reference_model(name)
    arch = model.architectures()
    built = build(arch, model.family)
    full = {"prompt": PROMPT, "mask": "full"}
    expected = counted(built, PROMPT, use_cache=False)
    assert prefill_flops(arch, **full, logits="all") == expected
    if arch.shared_kv_layers[0] or name not in ONE_OF_A_FAMILY:
        return
    expected = counted(built, PROMPT, batch=3, use_cache=False, logits_to_keep=1)
    assert prefill_flops(arch, **full, batch=3, logits="last") == expected


def small(name, prompt):
    """A copy with few layers whose window, if it has one, is shorter than the prompt."""
    arch = load_model(name)
    if arch.shared_kv_layers[
        0
    ]:  # of eight layers, the last four: two full ones, one of them shares
        wide = np.where(arch.wide_layers > 0, 4, 0)
        return replace(
            arch, layers=np.array([8]), window=np.array([prompt // 2]), wide_layers=wide,
            window_share=np.array([0.75]), shared_kv_layers=np.array([4]),
        )  # fmt: skip
    layers = 7  # one full layer in gemma3's turn of six; a dense and six expert layers in DeepSeek
    sliding = np.rint(arch.window_share * layers) / layers
    window = np.where(sliding > 0, prompt // 2, 0)
    return replace(arch, layers=np.array([layers]), window_share=sliding, window=window)


@pytest.mark.parametrize("name", [n for n in ONE_OF_A_FAMILY if n not in LATENT])
def test_causal_prefill_and_decoding_are_a_sum_over_tokens(name):
    """Windows included: a sliding layer's cache holds no more keys than its window."""
    prompt = 12
    arch = small(name, prompt)
    built = build(arch, reference_model(name).family)
    past = transformers.DynamicCache(config=built.config)
    cached = {"past_key_values": past, "use_cache": True}
    without_logits = [counted(built.model, 1, **cached) for _ in range(prompt - 1)]
    last = counted(built, 1, **cached)
    first_decoded = counted(built, 1, **cached)

    result = estimate(arch, device(), Workload(prompt=prompt, generate=1))
    assert result.prefill_flops[0] == sum(without_logits) + last
    assert result.decode_flops[0] == first_decoded
    head = counted(built, 1, use_cache=False) - counted(built.model, 1, use_cache=False)
    every = sum(without_logits) + last + (prompt - 1) * head
    assert prefill_flops(arch, prompt=prompt, mask="causal", logits="all") == every


@pytest.mark.parametrize("name", ["gemma-4-e2b", "gemma-4-e4b"])
def test_a_prompt_may_skip_the_layers_that_share_a_cache(name):
    """As transformers does: only the last token runs through them, and sees every token."""
    model = reference_model(name)
    arch = model.architectures()
    built = build(arch, model.family)
    skipping = counted(built, PROMPT, batch=3, use_cache=False, logits_to_keep=1)

    def flops(runtime, **asked):
        work, phone = Workload(3, PROMPT, 1, **asked), load_device("sd8elite5")
        return estimate(arch, phone, work, runtime=runtime).prefill_flops[0]

    # Eager attention multiplies the whole square, causal attention a half of it.
    a_pair = 4 * 8 * (12 * 256 + 3 * 512) if name == "gemma-4-e2b" else 4 * 8 * (20 * 256 + 4 * 512)
    above = 3 * PROMPT * (PROMPT - 1) / 2
    assert flops("litert") == skipping - above * a_pair
    assert flops("llama.cpp-opencl") > 1.6 * flops("litert")  # reads a prompt through all layers
    # Whoever wants all the logits, or shows every token the later ones, needs all the layers.
    for whole in ({"logits": "all"}, {"mask": "full"}):
        assert flops("litert", **whole) == flops("llama.cpp-opencl", **whole)


@pytest.mark.parametrize("name", LATENT)
def test_causal_prefill_of_latent_attention_spares_half_the_square(name):
    """transformers expands every cached latent again at each token, so no sum over tokens here."""
    arch = load_model(name)
    row = arch.row()
    above = PROMPT * (PROMPT - 1) / 2
    spared = 2 * row["layers"] * row["query_heads"] * (row["head_size"] + row["value_size"]) * above
    full = counted(build(arch, reference_model(name).family), PROMPT, use_cache=False)
    assert prefill_flops(arch, prompt=PROMPT, mask="causal", logits="all") == full - spared
