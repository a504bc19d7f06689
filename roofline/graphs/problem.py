"""What is searched: graphs of a pool on a task, within a budget of FLOPs, seconds or joules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from roofline.graphs.graph import stack, star
from spec_files import SpecError, did_you_mean, format_quantity, parse_quantity

if TYPE_CHECKING:
    from roofline.graphs.cost import FlopCost
    from roofline.graphs.device import DeviceCost
    from roofline.graphs.graph import Graphs
    from roofline.graphs.pool import Pool, Task

Array = np.ndarray

Objective = Literal["flops", "latency", "energy"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)
MOST_NODES = 12
"""Nodes before the sink that a search places at most, if not told."""


@dataclass(frozen=True, eq=False)
class Problem:
    """The graphs that a search may return: those of at most `nodes` nodes within the budget.

    budget: in units, seconds or joules, by the objective.
    """

    pool: Pool
    task: Task
    flops: FlopCost
    device: DeviceCost | None
    objective: Objective
    budget: float
    nodes: int

    @property
    def places(self) -> int:
        """Places of a graph, that of the sink included."""
        return self.nodes + 1

    def cost(self, graphs: Graphs) -> Array:
        """What the budget counts, (G,); infinite where a graph does not fit the device."""
        return cost_of(graphs, self.flops, self.device, self.objective)

    def fits(self, graphs: Graphs) -> Array:
        """Which graphs the budget allows, (G,) bool."""
        return np.less_equal(self.cost(graphs), self.budget * (1.0 + 1e-12))

    def say(self, cost: float) -> str:
        """A cost as a person reads it."""
        return say(cost, self.objective)


def say(cost: float, objective: str) -> str:
    """A cost of an objective as a person reads it."""
    if objective == "flops":
        return f"{cost:.4g} units"
    return format_quantity(cost, "time" if objective == "latency" else "energy", digits=4)


def cost_of(
    graphs: Graphs, flops: FlopCost, device: DeviceCost | None, objective: Objective
) -> Array:
    """Units, seconds or joules of graphs, (G,)."""
    if objective == "flops":
        units = flops.units(graphs)
        return units if device is None else np.where(device(graphs).fits, units, np.inf)
    assert device is not None
    found = device(graphs)
    return found.latency if objective == "latency" else found.energy


def read_budget(text: str, objective: str) -> float:
    """Read a budget: a number of units, a time or an energy. SpecError says what is expected."""
    if objective not in OBJECTIVES:
        hint = did_you_mean(objective, OBJECTIVES)
        raise SpecError(f"--objective: unknown objective {objective!r}{hint}")
    if objective == "flops":
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not 0 < value < np.inf:
            raise SpecError(
                f"--budget: read {text!r}; write a number of units, as in 18, a unit being one "
                "node of the smallest model"
            )
        return value
    try:
        value = parse_quantity(text, "time" if objective == "latency" else "energy")
    except SpecError as error:
        raise SpecError(f"--budget: {error}") from None
    if value <= 0:
        raise SpecError(f"--budget: read {text!r}; nothing runs in none")
    return value


def make_problem(
    pool: Pool,
    task: Task,
    flops: FlopCost,
    device: DeviceCost | None,
    objective: Objective,
    budget: float,
    nodes: int | None = None,
) -> Problem:
    """Return a problem whose budget allows at least one graph; SpecError says what the least costs.

    nodes: most before the sink; by default as many as the budget could hold, up to `MOST_NODES`.
    """
    if objective != "flops" and device is None:
        raise SpecError(f"--objective {objective} needs a device: name one with --device")
    singles = stack([star([model], pool.sink) for model in range(pool.choices)])
    costs = cost_of(singles, flops, device, objective)
    if np.isnan(costs).any():
        assert device is not None
        raise SpecError(
            f"device {device.device.name}: its profile says neither a power nor energies per byte, "
            f"so {objective} is not known"
        )
    least = int(costs.argmin())
    if not np.isfinite(costs[least]):
        assert device is not None
        swaps = "" if device.swap_bandwidth is not None else " (or say --swap-bandwidth)"
        size = format_quantity(float(device(singles[least]).memory[0]), "bytes")
        has = format_quantity(device.usable, "bytes")
        raise SpecError(
            f"device {device.device.name}: even one {pool.names[least]} and the sink take {size}, "
            f"and a model may use {has}; choose a smaller number format{swaps}"
        )
    if costs[least] > budget:
        raise SpecError(
            f"--budget: no graph fits {say(budget, objective)}: the least, one {pool.names[least]} "
            f"read by the sink, takes {say(float(costs[least]), objective)}"
        )
    if nodes is None:
        nodes = 1
        while nodes < MOST_NODES:
            several = star([least] * (nodes + 1), pool.sink)
            lines = _chain(nodes + 1, least, pool.sink)
            if min(cost_of(stack([several, lines]), flops, device, objective)) > budget:
                break
            nodes += 1
    return Problem(pool, task, flops, device, objective, budget, nodes)


def _chain(nodes: int, model: int, sink: int) -> Graphs:
    from roofline.graphs.graph import layered

    return layered(1, nodes, model, sink)
