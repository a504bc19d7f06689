"""Exact fronts by proof: whole boxes of a space are left out by bounds that hold in all of it."""

from roofline.search.pruned.divide import can_follow
from roofline.search.pruned.pruning import prune
from roofline.search.pruned.state import Pruning

__all__ = ["Pruning", "can_follow", "prune"]
