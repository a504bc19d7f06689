"""Bayesian optimisation by Optuna's tree-structured Parzen estimator (extra `bayesian`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roofline.graphs.search.policy import Choices, mended
from spec_files import SpecError

if TYPE_CHECKING:
    from roofline.graphs.ledger import Ledger


def search(ledger: Ledger, seed: int) -> None:
    """Suggest, evaluate and tell until the ledger's evaluations are used up.

    A suggestion that breaks a rule or the budget is mended (`mended`) and told as suggested.
    """
    try:
        import optuna
    except ImportError:
        raise SpecError(
            "--method bayesian needs Optuna: pip install 'roofline[bayesian]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    problem = ledger.problem
    k, m = problem.nodes, problem.pool.choices
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, multivariate=False)
    )
    models = [*problem.pool.names[:m], "none"]
    while ledger.left:
        trial = study.ask()
        edges = np.zeros((1, k + 1, k + 1), dtype=bool)
        picks = np.zeros((2, 1, k), dtype=int)
        for node in range(k):
            picks[1, 0, node] = models.index(trial.suggest_categorical(f"model {node}", models))
            picks[0, 0, node] = trial.suggest_categorical(f"fuser {node}", [False, True])
            for target in range(node + 1, k + 1):
                name = f"edge {node} {target}"
                edges[0, node, target] = trial.suggest_categorical(name, [False, True])
        graphs = mended(problem, Choices(edges, picks[0], picks[1]))
        value = float(np.nan_to_num(ledger.ask(graphs)[0], nan=0.0))
        study.tell(trial, value)
