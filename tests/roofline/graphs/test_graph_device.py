"""The engine's cost of graphs, against `estimate` and a loop over levels and swaps."""

import numpy as np
import pytest

from arch_space.library import load_model
from hardware_specs import load_device
from roofline.engine import estimate
from roofline.graphs.device import DeviceCost
from roofline.graphs.files import from_sentence
from roofline.graphs.graph import layered, stack
from roofline.graphs.pool import load_pool, load_task
from roofline.graphs.search.exhaustive import every_graph
from roofline.workload import Workload
from spec_files import SpecError

POOL, TASK = load_pool(["1b", "3b", "8b"]), load_task("math")
A, B = TASK.prompt, TASK.answer
PHONE = load_device("phone")
FORMATS = ("q4_k_m", None, None, None)
ARCH = {
    name: load_model(f"llama-3.{version}-{name}").with_formats(*FORMATS)
    for name, version in (("1b", 2), ("3b", 2), ("8b", 1))
}
JETSON = load_device("jetson-agx-orin-64gb")


def cost(device=PHONE, **options):
    return DeviceCost(POOL, TASK, device, formats=FORMATS, **options)


def asked(name, batch, prompt, device=PHONE):
    return estimate(ARCH[name], device, Workload(batch, prompt, B))


@pytest.mark.parametrize("width", [1, 2, 9])
def test_a_star_is_one_batch_and_then_the_sink(width):
    found = cost()(POOL.star(["1b"] * width))
    batch, sink = asked("1b", width, A), asked("3b", 1, A + width * B)
    assert found.latency[0] == pytest.approx(batch.latency[0] + sink.latency[0], rel=1e-9)
    assert found.energy[0] == pytest.approx(batch.energy[0] + sink.energy[0], rel=1e-9)


def test_a_chain_is_one_after_the_other():
    found = cost()(layered(1, 3, 0, POOL.sink))
    parts = [asked("1b", 1, A), *[asked("1b", 1, A + B)] * 2, asked("3b", 1, A + B)]
    assert found.latency[0] == pytest.approx(sum(part.latency[0] for part in parts), rel=1e-9)


def test_a_batch_decodes_cheaper_than_its_nodes_in_turn():
    price = cost()
    wide = price(POOL.star(["1b"] * 4)).latency[0]
    sink = asked("3b", 1, A + 4 * B).latency[0]
    assert wide - sink < 0.6 * 4 * asked("1b", 1, A).latency[0]


def test_models_of_one_level_take_turns():
    found = cost(JETSON)(POOL.star(["8b", "1b", "1b"]))
    parts = [
        asked("8b", 1, A, JETSON), asked("1b", 2, A, JETSON), asked("3b", 1, A + 3 * B, JETSON)
    ]  # fmt: skip
    assert found.latency[0] == pytest.approx(sum(part.latency[0] for part in parts), rel=1e-9)


def test_unlike_prompts_of_one_level_decode_together():
    """3 and 4 read one and two answers: two prefills, and a decode of batch 2 at their mean."""
    found = cost()(from_sentence("1 1b; 2 1b; 3 1b < 1; 4 1b < 1 2; sink < 3 4", POOL))
    reads = [asked("1b", 1, A + B).ttft[0], asked("1b", 1, A + 2 * B).ttft[0]]
    # Decoding is linear in the context but where products overtake traffic, and convex there: the
    # mean of both ends is the least bit above.
    lower, upper = (asked("1b", 2, A + d * B) for d in (1, 2))
    writes = np.mean([each.latency[0] - each.ttft[0] for each in (lower, upper)])
    first, sink = asked("1b", 2, A).latency[0], asked("3b", 1, A + 2 * B).latency[0]
    expected = first + sum(reads) + writes + sink
    assert found.latency[0] == pytest.approx(expected, rel=1e-3)
    assert found.latency[0] <= expected


def test_fan_in_shortens_prompts():
    few = cost(fan_in=2)(POOL.star(["1b"] * 4)).latency[0]
    sinks = [asked("3b", 1, A + d * B).latency[0] for d in (2, 4)]
    whole = cost()(POOL.star(["1b"] * 4)).latency[0]
    assert whole - few == pytest.approx(sinks[1] - sinks[0], rel=1e-9)


def test_resident_models_count_once_and_against_memory():
    price = cost(JETSON)
    one, two = price(POOL.star(["3b"])), price(POOL.star(["3b", "8b"]))
    work = asked("3b", 1, A + B, JETSON)
    assert one.memory[0] == pytest.approx(work.memory_bytes[0], rel=1e-9)  # the sink is a 3B too
    weights = [float(asked(name, 1, A).weight_bytes[0]) for name in ("3b", "8b")]
    assert two.memory[0] > sum(weights)
    assert two.memory[0] < sum(weights) * 1.3


def test_without_storage_what_does_not_fit_together_does_not_fit():
    found = cost()(stack([POOL.star(["8b"]), POOL.star(["3b"])]))
    assert found.fits.tolist() == [False, True]
    assert np.isinf(found.latency).tolist() == [True, False]
    assert found.memory[0] > cost().usable


def test_swapping_costs_the_bytes_over_the_bandwidth():
    """8B and the 3B sink do not fit together: both come in for every question."""
    rate = 2e9
    found = cost(swap_bandwidth=rate)(POOL.star(["8b"]))
    parts = [asked("8b", 1, A), asked("3b", 1, A + B)]
    moved = sum(float(part.weight_bytes[0]) for part in parts)
    assert found.swapped[0] == pytest.approx(moved)
    runs = sum(float(part.latency[0]) for part in parts)
    assert found.latency[0] == pytest.approx(runs + moved / rate, rel=1e-9)
    assert found.memory[0] <= cost().usable
    assert cost(swap_bandwidth=rate)(POOL.star(["3b"])).swapped[0] == 0.0


def test_no_storage_is_faster_than_memory():
    dram = PHONE.memory.dram.bandwidth.value
    assert cost(swap_bandwidth=1e15).swap_bandwidth == dram


def brute_force_swaps(price, graph):
    """The swaps of one graph by a plain simulation with sets, the second question's counted."""
    levels = graph.levels()[0]
    turns = []
    for level in range(int(levels[-1]) + 1):
        nodes = [n for n in np.flatnonzero(graph.present[0]) if levels[n] == level]
        turns.append(sorted({int(price.weights_of[graph.models[0, n]]) for n in nodes}))
    steps = price._steps(graph)
    resident: set[int] = set()
    for _ in range(2):
        swapped = 0.0
        for level, models in enumerate(turns):
            order = [m for m in models if m in resident] + [m for m in models if m not in resident]
            for position, model in enumerate(order):
                if model not in resident:
                    swapped += price.weights[model]
                    resident.add(model)
                need = steps.bytes[0, level, model]
                while sum(price.weights[m] for m in resident) + need > price.usable:

                    def wait(m, level=level, rest=order[position + 1 :]):
                        if m in rest:
                            return 0
                        ahead = [
                            gap
                            for gap in range(1, len(turns) + 1)
                            if m in turns[(level + gap) % len(turns)]
                        ]
                        return ahead[0] if ahead else 10**6

                    resident.remove(max((m for m in sorted(resident) if m != model), key=wait))
        assert sum(price.weights[m] for m in resident) <= price.usable
    return swapped


def test_swaps_are_those_of_a_plain_simulation():
    price = cost(swap_bandwidth=1e9)
    rng = np.random.default_rng(0)
    seen = set()
    for table in every_graph(4, 3, POOL.sink):
        rows = rng.choice(len(table), min(15, len(table)), replace=False)
        found = price(table[rows])
        for row, swapped in zip(rows, found.swapped, strict=True):
            graph = table[int(row)].pruned()
            used = {int(price.weights_of[m]) for m in graph.models[0] if m >= 0}
            if price.weights[sorted(used)].sum() > 0.95 * price.usable:
                assert swapped == pytest.approx(brute_force_swaps(price, graph)), row
                seen.add(round(swapped / 1e9, 2))
    assert len(seen) > 3


def test_a_table_costs_what_its_graphs_cost_one_by_one():
    price = cost(swap_bandwidth=1e9)
    table = stack(list(every_graph(3, 3, POOL.sink)))[::37]
    whole = price(table)
    for row in range(len(table)):
        one = price(table[row])
        for name in ("latency", "energy", "memory", "swapped"):
            assert getattr(one, name)[0] == pytest.approx(getattr(whole, name)[row], rel=1e-12)


def test_a_model_without_an_architecture_is_named(tmp_path):
    file = tmp_path / "models.yaml"
    file.write_text(
        "source: mine\ndate: 2026\nsink: a\nmodels:\n  a: {parameters: 1e9, layers: 8, width: 64}\n"
    )
    pool = load_pool(["a"], file)
    with pytest.raises(SpecError, match="model 'a' has no architecture"):
        DeviceCost(pool, TASK, PHONE)
