"""A search from its settings to its answer: the best graph, the runner-up, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from roofline.graphs.files import as_json, sentence
from roofline.graphs.search import bayesian, exhaustive, random, reinforce
from roofline.graphs.search.agent import Agent, Proposer
from roofline.graphs.search.proposers.rules import Rules

if TYPE_CHECKING:
    from roofline.graphs.cost import FlopCost
    from roofline.graphs.device import DeviceCost
    from roofline.graphs.graph import Graphs
    from roofline.graphs.ledger import Ledger
    from roofline.graphs.pool import Pool, Task
    from roofline.graphs.search.agent import OnFailure
    from roofline.graphs.surrogate import Surrogate

Method = Literal["agent", "reinforce", "random", "bayesian", "exhaustive"]
METHODS: tuple[str, ...] = get_args(Method)
EVALUATIONS = 30
"""Ten steps of three graphs, as published."""


def search(
    ledger: Ledger,
    method: str,
    seed: int,
    proposer: Proposer | None = None,
    on_failure: OnFailure = "stop",
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Run one method on a ledger. proposer, on_failure, tell: of the agent; by default by rules."""
    if method == "agent":
        rules = Rules()
        Agent(proposer or rules, rules, on_failure, tell).search(ledger, seed)
    elif method == "exhaustive":
        exhaustive.search(ledger)
    else:
        by_name = {"reinforce": reinforce, "random": random, "bayesian": bayesian}
        by_name[method].search(ledger, seed)


@dataclass(frozen=True, eq=False)
class Found:
    """One graph, a table of one, and all that is known of it.

    latency: seconds, energy: joules, memory: bytes, swapping: seconds of it; NaN without a device,
    and where it does not fit it, fits being false.
    accuracy: by the surrogate, with its error, both shares of one; within: whether it was fitted to
    graphs of the kind. utility: what was searched for; NaN for a graph that no search found.
    """

    graph: Graphs
    said: str
    units: float
    flops: float
    latency: float
    energy: float
    memory: float
    swapping: float
    fits: bool
    accuracy: float
    error: float
    within: bool
    utility: float = np.nan

    def to_dict(self, pool: Pool) -> dict[str, Any]:
        """Return the graph as its file has it, with what was found about it, in SI units."""
        names = (
            "units", "flops", "latency", "energy", "memory", "swapping", "fits",
            "accuracy", "error", "within", "utility",
        )  # fmt: skip
        values = {name: getattr(self, name) for name in names}
        about = {name: None if each != each else each for name, each in values.items()}
        about |= {"width": int(self.graph.width()[0]), "depth": int(self.graph.depth()[0])}
        return as_json(self.graph, pool) | {"about": {"graph": self.said} | about}


def describe(
    graph: Graphs,
    pool: Pool,
    task: Task,
    flops: FlopCost,
    device: DeviceCost | None,
    surrogate: Surrogate,
    utility: float = np.nan,
) -> Found:
    """Price one graph and predict its accuracy."""
    predicted = surrogate.predict(graph, task, pool)
    priced = None if device is None else device(graph)
    fits = priced is None or bool(priced.fits[0])
    timed = priced if fits else None
    return Found(
        graph=graph,
        said=sentence(graph, pool),
        units=float(flops.units(graph)[0]),
        flops=float(flops.flops(graph)[0]),
        latency=np.nan if timed is None else float(timed.latency[0]),
        energy=np.nan if timed is None else float(timed.energy[0]),
        memory=np.nan if priced is None else float(priced.memory[0]),
        swapping=np.nan if timed is None else float(timed.swapping[0]),
        fits=fits,
        accuracy=float(predicted.accuracy[0]),
        error=predicted.error,
        within=bool(predicted.within[0]),
        utility=utility,
    )
