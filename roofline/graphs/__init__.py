"""Collaboration graphs: models that answer, revise and decide together, within a budget."""

from roofline.graphs.graph import Graphs

__all__ = ["Graphs"]
