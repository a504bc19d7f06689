"""Random search: graphs drawn with even edges, roles and models, nothing learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roofline.graphs.search.policy import Policy, draw

if TYPE_CHECKING:
    from roofline.graphs.ledger import Ledger

BATCH = 10


def search(ledger: Ledger, seed: int) -> None:
    """Draw until the ledger's evaluations are used up."""
    rng = np.random.default_rng(seed)
    policy = Policy.flat(ledger.problem)
    policy = policy.with_edge_probabilities(np.full(policy.edges.shape, 0.5))
    while ledger.left:
        ledger.ask(draw(policy, ledger.problem, min(BATCH, ledger.left), rng).graphs)
