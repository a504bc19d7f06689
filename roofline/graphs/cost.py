"""What a graph costs in FLOPs, by the published cost model (arXiv 2511.00086).

A node of in-degree d reads N_p = A + d B tokens and writes N_d = B, A and B being the lengths of
the task's prompt and answer. A model of M parameters, L layers and width D then takes

    C = 2 M N_p + 2 L D N_p (N_p + 1) + 2 M N_d + 2 L D N_d (2 N_p + N_d + 1)

A budget is counted in nodes of the smallest model that read nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from roofline.graphs.graph import Graphs
    from roofline.graphs.pool import Pool, Task

Array = np.ndarray


def node_flops(
    parameters: Array, layers: Array, width: Array, prompt: float, answer: float, degree: Array
) -> Array:
    """FLOPs of nodes by model and in-degree, of their common shape."""
    read = prompt + degree * answer
    products = 2.0 * parameters * (read + answer)
    attention = read * (read + 1.0) + answer * (2.0 * read + answer + 1.0)
    return products + 2.0 * layers * width * attention


@dataclass(frozen=True, eq=False)
class FlopCost:
    """The published cost of graphs over one pool and one task.

    prompt, answer: tokens. fan_in: how many answers a node reads at most, the published min(d, k);
    None for all that its edges bring.
    """

    pool: Pool
    prompt: int
    answer: int
    fan_in: int | None = None

    @classmethod
    def of(cls, pool: Pool, task: Task, fan_in: int | None = None) -> FlopCost:
        """Return the cost on a task."""
        return cls(pool, task.prompt, task.answer, fan_in)

    @property
    def unit(self) -> float:
        """FLOPs of one node of the smallest model, which reads nobody."""
        size, layers, width = map(np.asarray, self.pool.smallest)
        return float(node_flops(size, layers, width, self.prompt, self.answer, np.zeros(())))

    def nodes(self, graphs: Graphs) -> Array:
        """FLOPs of each node, (G, n); zero for an empty place."""
        pool, model, degree = self.pool, graphs.models, graphs.in_degree()
        if self.fan_in is not None:
            degree = np.minimum(degree, self.fan_in)
        flops = node_flops(
            pool.parameters[model], pool.layers[model], pool.width[model],
            self.prompt, self.answer, degree,
        )  # fmt: skip
        return np.where(graphs.present, flops, 0.0)

    def flops(self, graphs: Graphs) -> Array:
        """FLOPs of whole graphs, (G,)."""
        return self.nodes(graphs).sum(axis=1)

    def units(self, graphs: Graphs) -> Array:
        """The same in units, (G,)."""
        return self.flops(graphs) / self.unit
