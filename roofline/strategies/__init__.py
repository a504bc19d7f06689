"""What a model reaches when it may compute longer, and what that costs on a device."""

from roofline.strategies.difficulty import Bin, Difficulty, difficulty_names, load_difficulty
from roofline.strategies.verifier import Verifier

__all__ = ["Bin", "Difficulty", "Verifier", "difficulty_names", "load_difficulty"]
