"""The steps of a recipe, one file a step.

To add one: a file with a class of `Step`, its name in `STEPS` below, its place in the order of
`roofline.compression.recipe`, and a test.
"""

from roofline.compression.steps.cache import Cache
from roofline.compression.steps.distil import Distil
from roofline.compression.steps.lora import Lora
from roofline.compression.steps.prune import Prune
from roofline.compression.steps.quantise import Quantise
from roofline.compression.steps.step import Step

STEPS: dict[str, type[Step]] = {
    "distil": Distil,
    "lora": Lora,
    "prune": Prune,
    "quantise": Quantise,
    "kv": Cache,
}

__all__ = ["STEPS", "Cache", "Distil", "Lora", "Prune", "Quantise", "Step"]
