"""Search a space for the candidates that no other beats, exactly or by NSGA-II."""

from roofline.search.enumeration import enumerate_exactly, seconds_to_enumerate
from roofline.search.evolution import evolve
from roofline.search.fronts import (
    hypervolume,
    hypervolume_ratio,
    merge,
    non_dominated,
    reference_point,
)
from roofline.search.objectives import OBJECTIVES, Constraint, parse_objectives
from roofline.search.problem import Evaluation, Evaluator, Problem, RooflineEvaluator
from roofline.search.result import SearchResult
from roofline.search.search import METHODS, search

__all__ = [
    "METHODS",
    "OBJECTIVES",
    "Constraint",
    "Evaluation",
    "Evaluator",
    "Problem",
    "RooflineEvaluator",
    "SearchResult",
    "enumerate_exactly",
    "evolve",
    "hypervolume",
    "hypervolume_ratio",
    "merge",
    "non_dominated",
    "parse_objectives",
    "reference_point",
    "search",
    "seconds_to_enumerate",
]
