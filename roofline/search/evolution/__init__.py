"""Heuristic search: a genetic algorithm over the values of a space, and a walk along its front."""

from roofline.search.evolution.operators import neighbours
from roofline.search.evolution.run import ALGORITHMS, evolve

__all__ = ["ALGORITHMS", "evolve", "neighbours"]
