"""Exchange, Kinetics, and serial against batched: published numbers, and formulas by hand."""

import numpy as np
import pytest

from arch_space.library import load_model, load_models
from hardware_specs import load_device
from roofline.strategies.exchange import exchange, generations
from roofline.strategies.kinetics import beside_engine, kinetics, kinetics_of
from roofline.strategies.schedule import cost
from roofline.strategies.serial import PUBLISHED, serial_over_batched, spread_that_explains
from roofline.strategies.strategy import sampling
from roofline.strategies.task import load_task
from spec_files import SpecError

PHONE = load_device("phone")
MATH = load_task("math")


def test_generations_for_a_model_14_times_larger() -> None:
    assert generations(14, [0.16, 0.79, 22]).round(1) == pytest.approx([257.8, 63.4, 15.8])


@pytest.mark.parametrize("ratio", [0.16, 0.79, 22.0])
def test_generations_spend_the_same_flops(ratio: float) -> None:
    """Pretraining and inference of the large, against those of the small with more inference."""
    parameters, pretrained, times = 3e9, 1e12, 14
    served = ratio * pretrained
    large = 6 * times * parameters * pretrained + 2 * times * parameters * served
    more = float(generations(times, ratio))
    assert 6 * parameters * pretrained + more * 2 * parameters * served == pytest.approx(large)


def test_exchange_ends_where_the_costs_meet() -> None:
    found = exchange(load_model("llama-3.2-1b"), load_model("llama-3.1-8b"), PHONE, MATH, "q4_k_m")
    small, large = (
        load_model(name).with_formats("q4_k_m") for name in ("llama-3.2-1b", "llama-3.1-8b")
    )
    assert found.times == pytest.approx(8.03e9 / 1.236e9, rel=0.01)
    one = cost(large, PHONE, sampling(MATH, 1.0, 1.0), 1).seconds[0, 0]
    below, above = np.floor(found.seconds), np.ceil(found.seconds) + 1
    at = cost(small, PHONE, sampling(MATH, np.array([below, above]), 1.0), 2).seconds[0]
    assert at[0] <= one * 1.03
    assert at[1] >= one * 0.97
    # decoded together, an answer more costs far less than the FLOPs say
    assert found.seconds > 2.5 * found.flops


def test_a_substitute_does_as_well_and_is_the_quickest() -> None:
    from roofline.strategies.plan import plan

    names = ["qwen2.5-1.5b", "qwen2.5-3b"]
    found = exchange(load_model(names[0]), load_model(names[1]), PHONE, MATH, "int8").substitute
    o = plan(PHONE, MATH, load_models(names), ["int8"], {}).options
    goal = o.accuracy[1, list(o.strategy).index("greedy")]
    able = [float(o.cost.seconds[0, t]) for t in range(len(o.strategy)) if o.accuracy[0, t] >= goal]
    once = float(o.cost.seconds[1, list(o.strategy).index("greedy")])
    assert found.accuracy >= found.large_accuracy == pytest.approx(goal)
    assert found.seconds == pytest.approx(min(able) / once)
    unknown = load_task("code")
    small, large = load_model(names[0]), load_model(names[1])
    assert exchange(small, large, PHONE, unknown, "int8").substitute is None


def test_exchange_refuses_a_larger_small_model() -> None:
    small, large = load_model("llama-3.2-1b"), load_model("llama-3.1-8b")
    with pytest.raises(SpecError, match="name the small model first"):
        exchange(large, small, PHONE, MATH, "int8")


def test_kinetics_worked_by_hand() -> None:
    """P 100, H 4, KV 2, d = 8 x 3, N 5, L_in 10, L_out 6: every term on paper."""
    found = kinetics(100, 4, 2, 24, 5, 10, 6, intensity=10.0)
    assert float(found.flops) == 5 * (2 * 100 * 6 + 2 * (2 * 10 + 6) * 6 * 4 * 24)
    assert float(found.cache) == 2 * (2 * 10 + 5 * 6) * 6 * 2 * 24
    assert float(found.eflops) == float(found.flops) + 10 * float(found.cache)


def test_kinetics_of_a_model() -> None:
    found = kinetics_of(load_models(["qwen3-0.6b", "qwen3-8b"]), MATH, np.array([1.0, 8.0]))
    # Qwen3-8B: 8.19e9 parameters, 32 heads, 8 KV heads, head size 128, 36 layers
    size = 8_190_735_360
    by_hand = kinetics(size, 32, 8, 128 * 36, np.array([1.0, 8.0]), 202, 275)
    assert found.eflops[1] == pytest.approx(by_hand.eflops, rel=0.1)
    assert found.cache[1] == pytest.approx(by_hand.cache)
    assert found.eflops.shape == (2, 2)


def test_attention_flops_of_kinetics_are_the_engines() -> None:
    """Products with weights and with the cache, against the engine's own count of FLOPs.

    The paper counts 2 (2 L_in + L_out) L_out H d for decoding: scores and values of L_out steps,
    each 4 H d per key, over a mean context of L_in + L_out / 2.
    """
    model = load_model("qwen3-0.6b")
    from roofline.engine import decode
    from roofline.workload import Pass

    ours = float(decode(model, PHONE, Pass(1, 1, 203), 275).flops[0])
    paper = float(kinetics_of(model, MATH, 1.0).flops[0])
    assert ours == pytest.approx(paper, rel=0.02)


def test_kinetics_and_the_engine_part_on_a_phone() -> None:
    rows = beside_engine(load_model("qwen3-4b").with_formats("int8"), "int8", PHONE, MATH)
    eight = next(row for row in rows if row["answers"] == 8)
    assert eight["eflops_over_one"] > 4  # the formula: eight answers cost nearly five
    assert eight["latency_over_one"] < 1.3  # the engine: hardly more than one
    assert eight["with_weights_over_one"] == pytest.approx(eight["latency_over_one"], abs=0.3)


@pytest.mark.parametrize("runtime", ["transformers", "vllm"])
def test_serial_over_batched_on_an_a100(runtime: str) -> None:
    models = load_models(["phi-3-mini", "qwen2.5-1.5b"])
    device = load_device("a100-80-sxm")
    equal = serial_over_batched(models, device, runtime=runtime)
    assert ((equal["latency"] > 7) & (equal["latency"] < 8)).all()
    spread = spread_that_explains(equal["latency"], np.mean(PUBLISHED["latency"]))
    assert ((spread > 0.1) & (spread < 0.3)).all()
    ragged = serial_over_batched(models, device, spread=float(spread[0]), runtime=runtime)
    assert ragged["latency"][0] == pytest.approx(np.mean(PUBLISHED["latency"]), rel=0.02)


def test_the_longest_of_eight() -> None:
    from roofline.strategies.serial import LONGEST_OF_8

    drawn = np.random.default_rng(0).standard_normal((200_000, 8)).max(axis=1)
    assert drawn.mean() == pytest.approx(LONGEST_OF_8, abs=0.005)
