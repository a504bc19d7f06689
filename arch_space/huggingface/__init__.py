"""Hugging Face `config.json` in and out, for the model types that the columns can say exactly.

Files of transformers 4 and 5 are read without importing it. One table, `FAMILIES`, holds what a
model type fixes (biases, norms, which layers slide) and what its config class assumes for keys that
a file omits. A type that is not in the table is an error, and so is a key that no column can say.

Read from transformers' `configuration_*.py` and `modeling_*.py`, version 5.23.
"""

from arch_space.huggingface.families import FAMILIES, Family
from arch_space.huggingface.reading import from_huggingface
from arch_space.huggingface.writing import families_of, to_huggingface

__all__ = ["FAMILIES", "Family", "families_of", "from_huggingface", "to_huggingface"]
